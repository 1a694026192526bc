from __future__ import annotations

from pathlib import Path
from unicodedata import category

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import LIMIT, SHELL, shell
from mcpguard.core.functions.shell.launch import INNER
from mcpguard.core.functions.shell.reading import DEPTH, TEXTS, TEXTS_LIMIT
from mcpguard.core.functions.shell.tree import NESTING, OPENERS
from mcpguard.core.functions.shell.words import SubstitutionSpans, read_word
from tests.rows import each

CORPUS = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "shell.yaml").read_text(encoding="utf-8"))
LOOKING = ["ls", "cat", "git", "grep"]
READING = [*LOOKING, "find", "head", "wc", "sort", "[", "echo", "env", "xargs", "sed", "awk", "sh"]


def first_guard(text: str) -> bool:
    try:
        told = shell(text)
    except FunctionError:
        return False
    return told["simple"] and all(one in LOOKING for one in told["programs"])


def second_guard(text: str) -> bool:
    try:
        told = shell(text)
    except FunctionError:
        return False
    allowed = all(one in READING for one in told["programs"])
    return allowed and not told["writes"] and not told["code"]


def refusal(text: str) -> str:
    with pytest.raises(FunctionError) as raised:
        shell(text)
    return str(raised.value)


@each("case", CORPUS["refused"], ids=lambda case: case["why"])
def test_an_attack_passes_no_guard(case: dict) -> None:
    assert not first_guard(case["text"])
    assert not second_guard(case["text"])


@each("case", CORPUS["not_simple"], ids=lambda case: case["why"])
def test_what_is_not_literal_or_not_alone_is_not_simple(case: dict) -> None:
    assert not first_guard(case["text"])


@each("case", CORPUS["allowed"], ids=lambda case: case["text"])
def test_ordinary_commands_pass(case: dict) -> None:
    assert second_guard(case["text"]) or case.get("simple")
    assert first_guard(case["text"]) == case.get("simple", False)


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS["refused"]) >= 60
    assert len(CORPUS["allowed"]) >= 25


def test_all_fields_are_always_there() -> None:
    assert set(shell("ls")) == set(SHELL.fields)
    assert set(shell("f() { ls | rm $x > y & }; f")) == set(SHELL.fields)


def test_a_refusal_never_quotes_the_text() -> None:
    for text in ("hunter2 $(", "$hunter2", "eval $hunter2", "hunter2 < /dev/tcp/hunter2/1", "sh --hunter2"):
        assert "hunter2" not in refusal(text)


def args(text: str) -> list[str]:
    (command,) = shell(text)["commands"]
    return command["args"]


@each(
    ("text", "expected"),
    [
        (r"echo a\ b 'c d' " + '"e f"', ["a b", "c d", "e f"]),
        (r"echo l''s l\s 'l'" + '"s"', ["ls", "ls", "ls"]),
        (r'echo "\a\$\"\\"', ['\\a$"\\']),
        ('echo "a\\\nb"', ["ab"]),
        ("echo '' \"\"", ["", ""]),
        (r"echo $'a\tb\\\n'", ["a\tb\\\n"]),
        ('echo $ a$ "b$" "$ c"', ["$", "a$", "b$", "$ c"]),
        ("echo a#b a=b a,b {} ]", ["a#b", "a=b", "a,b", "{}", "]"]),
        (
            'echo "${x}" ${#x} ${x%.*} $1 $? $((1 + 2))',
            ["${x}", "${#x}", "${x%.*}", "$1", "$?", "$((1 + 2))"],
        ),
        ('echo a! ! \'b!c\' "d!e" "\\!f" g!h', ["a!", "!", "b!c", "d!e", "\\!f", "g!h"]),
        ("echo x:~ x~", ["x:~", "x~"]),
    ],
)
def test_quotes_are_removed(text: str, expected: list[str]) -> None:
    assert args(text) == expected


@each(
    ("text", "programs"),
    [
        ("env -u A -C /x -- A=1 ls", ["env", "ls"]),
        ("env --unset=A --chdir /x ls", ["env", "ls"]),
        ("sudo -n --user root ls", ["ls", "sudo"]),
        ("nohup nice -n5 timeout --foreground -s9 1 ls", ["ls", "nice", "nohup", "timeout"]),
        ("command -v rm", ["command"]),
        ("env", ["env"]),
        ("xargs", ["xargs"]),
        ("eval", ["eval"]),
        ("xargs -I% cp % x", ["cp", "xargs"]),
        ("watch -n 2 'ls | rm'", ["ls", "rm", "watch"]),
        ("/BIN/Ls", ["/BIN/Ls", "Ls", "ls"]),
        ("../bin/rm", ["../bin/rm", "rm"]),
        ("sh -c 'ls; sh -c \"rm x\"'", ["ls", "rm", "sh"]),
        ("find . -delete -exec env mv {} \\; -ok cp {} +", ["cp", "env", "find", "mv", "rm"]),
        ("find . -exec ls + \\;", ["find", "ls"]),
        ("alias a=b", ["alias"]),
        ("unset x y; readonly z", ["readonly", "unset"]),
    ],
)
def test_wrappers_are_looked_through(text: str, programs: list[str]) -> None:
    assert shell(text)["programs"] == programs


# As the manuals have them; X stands for the argument of an option or an operand.
OPTIONS = {
    "env": "-i, -u X, -C X, --ignore-environment, --unset X, --chdir X",
    "sudo": "-E, -H, -n, -S, -P, -b, -u X, -g X, -p X, -C X, -D X, --user X, --group X, --non-interactive, "
    "--set-home, --stdin, --preserve-env, --chdir X, --prompt X",
    "doas": "-n, -u X",
    "nice": "-n X, --adjustment X",
    "ionice": "-c X, -n X, -t, --class X, --classdata X, --ignore",
    "timeout": "-k X, -s X, -v, --kill-after X, --signal X, --preserve-status, --foreground, --verbose",
    "gtimeout": "-k X, -s X, -v, --kill-after X, --signal X, --preserve-status, --foreground",
    "time": "-p",
    "stdbuf": "-i X, -o X, -e X, --input X, --output X, --error X",
    "setsid": "-c, -f, -w, --ctty, --fork, --wait",
    "exec": "-c, -l, -a X",
    "command": "-p",
    "unbuffer": "-p",
    "caffeinate": "-d, -i, -s, -u",
    "xargs": "-0, -r, -t, -x, -n X, -L X, -P X, -d X, -E X, -s X, -I %, -a X, --null, --no-run-if-empty, "
    "--verbose, --exit, --max-args X, --max-procs X, --delimiter X, --arg-file X",
    "watch": "-n X, -t, -d, -b, -e, -g, -c, --interval X, --no-title, --beep, --errexit, --color",
}


@each(("name", "options"), OPTIONS.items())
def test_every_option_of_a_wrapper_leads_to_the_inner_command(name: str, options: str) -> None:
    operand = "5 " if name.endswith("timeout") else ""
    for option in options.split(", "):
        for written in {option, option.replace(" X", "=X") if option.startswith("--") else option}:
            text = f"{name} {written} {operand}ls"
            assert shell(text)["programs"] == sorted([name, "ls"]), text


@each("name", ["nohup", "builtin", "noglob", "nocorrect", "busybox", "toybox", "eval"])
def test_a_wrapper_without_options_leads_to_the_inner_command(name: str) -> None:
    assert shell(f"{name} rm x")["programs"] == sorted([name, "rm"])


@each("action", ["-exec", "-execdir", "-ok", "-okdir"])
def test_every_action_of_find_that_runs_a_program_is_looked_through(action: str) -> None:
    assert shell(f"find . {action} rm {{}} \\;")["programs"] == ["find", "rm"]


@each("action", ["-fprint out", "-fprint0 out", "-fls out", "-fprintf out %p"])
def test_every_action_of_find_that_writes_a_file_names_it(action: str) -> None:
    assert shell(f"find . {action}")["writes"] == ["out"]


@each(
    "text",
    [
        "env -x ls", "env -ix ls", "env --what ls", "env --ignore-environment=x ls", "env -u", "env -u $x ls",
        "env -$x ls", "env - ls", "timeout $x ls", "xargs -I x ls", "sh -o x", "sh -c", "find . -exec", "find -exec \\;",
        "find . -fprint", "env 'a b'", "env ''", "sh -eo", "sh -o vi -c ls", "sh -oc x ls", "env if", "/bin/", "-x", "env -- -x", "time", "builtin > x", "export 'a[0]=1'", "export -f x",
        "export", "sh -c typeset",
    ],
)  # fmt: skip
def test_what_a_wrapper_runs_is_known_or_refused(text: str) -> None:
    assert refusal(text)


@each(
    "text",
    [
        "python x.py", "python3.12 x", "sh", "sh - x", "bash -n x", "bash x.sh", "sh -- x", "A=1 ls", "export x=$y", "http_proxy=x ls", "http_proxy=x", "x= ls", "export x=1", "env x=1 ls", "histchars=x",
        "printf %d $x", "printf $x", "printf -v x y", "exit x", "test -v x", "test -R x", "test -Z x", "test -t $x", "test $x", "git config edit", "git config get x y", "git fetch a1::x", "git push \"x$y\"", "test \"$x\" -eq 1", "uniq a b", "uniq - b", "uniq -c -- -a -b",
        "uniq $x", "awk", "awk -i inplace x", "awk -v $x y", "awk -v", "awk $x", "awk 1 -v", "sed", "sed $x", "sed 1p $x",
        "git --paginate log", "git frotz", "git log -O x", "git push -O", "sort $x", "sort --outp=x y", "rg --pre x y",
        "wget x", "git merge -s x y", "git pull -qs x", "git tag -s x",
        "date 010100002030", "date -u 0101", "diff -l a b", "diff --pag a b", "file -z x", "shuf -o x y", "ip netns exec x y",
        "genv sudo x", "chronic x", "git -C x", "diff3 --diff-program=x a b c",
    ],
)  # fmt: skip
def test_given_code_is_told(text: str) -> None:
    assert shell(text)["code"]


@each(
    "text",
    [
        "python --version", "sh -c ls", "sh -euo pipefail -c ls", "printf '%s\\n' \"$x\"", "printf %d 1", "exit 1", "exit $?", "test -f x",
        "test \"$x\" = y", "test $? -eq 0", "test -1 -lt 0", "test -t 1",
        "[ $# -eq 2 ]", "[ \"${#x}\" -gt 3 ]", "[ $((1+2)) -eq 3 ]", "[ \"$x\" = y -a 1 -eq 1 ]", "[ ! -f \"$x\" ]", "[ -n \"$x\" -o -z \"$y\" ]",
        "printf '%-9s %5d %.1f\\n' \"$x\" 1 3.14", "printf -- '- %s\\n' x", "printf '%x' 0xff", "printf %d \"'A\"", "printf '%*d' 5 1", "printf 100%%",
        "printf \"Hello $x\\n\"", "ulimit -n 4096", "ulimit -Sc unlimited", "COLUMNS=200 ls", "export LINES=50", "export COLUMNS", "read -p 'go on? ' x",
        "echo 'a[$(rm)]'", "grep '[`rm`]' x", "git commit -m 'Mend [`f`]'", "git config get a.b", "git config list", "git config --get-regexp x", "git log -S a::b", "uniq -c a", "uniq -c -- -a", "uniq -c -", "awk -F , -v x=1 '{print $1}' y", "awk 1 x", "sed -e 3q x",
        "git", "git -P log --", "git push -u x", "git --version", "sort -u x", "sort --unique x", "rg x y",
        "x=1", "LANG=C ls", "x=", "export LANG=C", "git log -s", "git commit -s -m x", "date", "date +%s", "date -u -d 2026-01-01 +%s",
        "diff -r a b", "file x",
    ],
)  # fmt: skip
def test_what_is_given_no_code_is_told_so(text: str) -> None:
    assert not shell(text)["code"]


@each(
    ("text", "reads"),
    [
        ("for f in a b; do head $f; done", ["a", "b"]),
        ("for f in 'a b' c; do head \"$f\"; done", ["a b", "c"]),
        ('for f in src/*.py; do head "${f}"; done', ["src"]),
        ("for d in a b; do for f in c d; do head $d/$f; done; done", ["a/c", "a/d", "b/c", "b/d"]),
        ("for i in 1 2; do head x; done", ["x"]),
        ("for f in a.x b; do head ${f%.x}.y; done", ["a.y", "b.y"]),
        ("for f in a.b.c d 'e.*f'; do head \"${f%.*}.y\"; done", ["a.b.y", "d.y", "e.y"]),
        ('for f in src/*.js; do head "${f%.js}.ts" "${f%.*}"; done', ["src"]),
        ('for f in .env.x; do head "${f%.x}"; done', [".env"]),
        ("for i in {1..2}; do head a/$i; done", ["a/1", "a/2", "a/{1..2}"]),
        ("diff <(head a) <(head b)", ["a", "b"]),
        ("head < <(head a)", ["a"]),
        ("head x - <<'E'\ny\nE", ["x"]),
        ("head \"$(cat <<'E'\na (1) `b` 'c' #2\n\nE\n)\"", ["a (1) `b` 'c' #2"]),
        ('head "$(cat <<E\na\nE\n)".txt', ["a.txt"]),
        ("cat <(head a) x", ["a", "x"]),
        ('head x; echo "exit $?"', ["x"]),
    ],
)
def test_what_a_loop_or_a_command_within_reads_is_told(text: str, reads: list[str]) -> None:
    told = shell(text)
    assert told["reads"] == reads
    assert told["simple"]
    assert not told["assignments"]
    assert not told["substitutions"]


@each(
    ("text", "outside"),
    [
        ("sh -c 'head ../a'; cd b", ["/p/../a"]),
        ("cd b && sh -c 'head ../a'", []),
        ("cd b; ls; cd ..", []),
        ("cd b && ls; cd .. # back", []),
        ("cd b\ncd ..", []),
        ("cd ..", ["/p/.."]),
        ("cd b; ls; cd ../..", ["/p/b/../.."]),
        ("cd b; cd .. && ls", ["/p/.."]),
        ("cd b; cd .. | ls", ["/p/.."]),
        ("cd b; ls; cd .. > ../a", ["/p/..", "/p/../a"]),
        ("cd b; if ls; then cd ..; fi", ["/p/.."]),
        ("cd b; { cd ..; }; head ../a", ["/p/..", "/p/../../a", "/p/../a", "/p/b/../../a"]),
        ("cd b; sh -c 'cd ..'; cd ..", []),
        ("cd b; eval 'cd ..'; head ../a", ["/p/../a"]),
        ("cd b && sh -c 'head ../a'; cd c", []),
        ("eval 'head ../a'\ncd b", ["/p/../a"]),
        ("timeout 5 sh -c \"sh -c 'head ../a'\" && cd b", ["/p/../a"]),
        ("echo $(head ../a); cd b", ["/p/../a"]),
        ('cd b && echo "$(head ../a)"', []),
        ("echo $(echo $(head ../a)); cd b", ["/p/../a"]),
        ('[ -n "$(head ../a)" ]; cd b', ["/p/../a"]),
        ("for f in a c; do echo $(head ../$f); done; cd b", ["/p/../$f"]),
    ],
)
def test_what_a_command_is_given_runs_where_that_command_does(text: str, outside: list[str]) -> None:
    assert shell(text, "/p")["outside"] == outside


@each(
    "text",
    ["cat() { echo rm x; }; sh -c \"$(cat <<'E'\nls\nE\n)\"", 'alias cat=x; head "$(cat <<E\na\nE\n)"'],
)
def test_what_cat_prints_is_not_known_where_functions_are_defined(text: str) -> None:
    with pytest.raises(FunctionError, match=r"here-document|not literal"):
        shell(text)


@each("behind", ["| head", "&& head"])
def test_what_goes_on_behind_a_here_document_is_refused_with_what_is_read(behind: str) -> None:
    with pytest.raises(
        FunctionError, match=r"only redirects behind `<<'EOF'`: .* `} \| head` on the line after"
    ):
        shell(f"cat <<'EOF' {behind}\nls\nEOF")
    told = shell("{ cat <<'EOF'\nls\nEOF\n} " + behind)
    assert (told["programs"], told["code"]) == (["cat", "head"], False)


def test_a_here_document_of_another_form_is_refused_with_what_is_read() -> None:
    with pytest.raises(FunctionError, match=r"with `<<` and a plain word"):
        shell("cat <<-EOF\nls\nEOF")


@each("text", ["eval 'cd() { ls; }'; cd a && head ../b", "alias cd=ls\ncd a && head ../b"])
def test_where_cd_leads_is_not_known_where_functions_are_defined(text: str) -> None:
    assert shell(text)["indirect"]


@each(
    "text",
    [
        "for f in $x; do head $f; done", "for f in 'a b'; do head $f; done", "for f in *.py; do head $f; done",
        "for f in a; do f=b; head $f; done", "f=1; for f in a; do f=b; head $f; done", "for f in a; do read f < b; head $f; done",
        "for f in a; do for f in b; do ls; done; head $f; done", "for f in a b c d e; do head $f; " + "ls; " * 450 + "done",
        "for npm_config_x in a; do head $npm_config_x; done", "for path in a; do head $path; done", "for f in a; do head ${f%?}; done", "for f in a; do head ${f%a}; done",
        "for f in *; do head \"${f%.js}\"; done", "for f in a.*; do head \"${f%.*}\"; done", "for f in x[.]js; do head \"${f%.*}\"; done", "for f in a*; do head \"${f%.*}\"; done",
        "for i in {a,b}; do head $i; done",
        "for f in a*; do head \"$f$f\"; done", "for f in a*; do head '*'\"$f\"; done", "for f in a; do ls; done; head $f",
        "head <(ls)x", "head \"$(ls <(ls))\"", "for f in a; do eval f=b; head $f; done", "for f in a; do command eval f=b; head $f; done",
        "ls() { f=b; }; for f in a; do ls; head $f; done", "g() { for f in a; do ls; head $f; done; }; ls() { f=b; }; g",
        "while ls; do for f in a; do ls; head $f; done; eval 'ls() { f=b; }'; done", "for f in a; do printf -v f b; head $f; done",
        "for f in a; do let f=1; head $f; done", "for f in a; do . ./b; head $f; done", "for f in a; do getopts b f; head $f; done",
    ],
)  # fmt: skip
def test_a_value_that_is_not_certain_is_not_taken_for_known(text: str) -> None:
    told = shell(text)
    assert told["indirect"]
    assert not told["simple"]


@each(
    "body",
    [
        "it's", "a \"'", "a )", "( a", "a \\ b", "`a", "$(rm x)", "${x}", "'#' a", "# it's", "E) a", "E\n.env", "'(' \" '",
    ],
)  # fmt: skip
def test_a_text_that_an_older_shell_ends_elsewhere_is_refused(body: str) -> None:
    assert refusal(f"echo \"$(cat <<'E'\n{body}\nE\n)\"")


@each("text", ['echo "$(cat <<E\n$x\nE\n)"', 'echo "$(cat <<E\n`x`\nE\n)"', "echo $(cat <<'E'\na\nE\n)"])
def test_a_text_that_a_shell_would_expand_is_refused(text: str) -> None:
    assert "in `$(...)` only as" in refusal(text)


def test_code_is_told_of_each_command() -> None:
    def of(text: str) -> list[bool]:
        return [one["code"] for one in shell(text)["commands"]]

    assert of("make 2>&1 | sed -n 1p | sort") == [True, False, False]
    assert of("find . -exec make \\; ; ls") == [True, True, False]
    assert of("LD_PRELOAD=x ls | cat") == [True, False]
    assert of("sh -c 'make; ls'; cat a") == [True, False, True, False]
    assert of("sh -c 'ls'; cat a") == [False, False, False]
    assert of("export A=1; ls | cat") == [True, True, True]


@each(
    ("text", "found"),
    [
        ("git stash show -p", []),
        ("git stash push -u", []),
        ("git stash show -up", [".*"]),
        ("git stash show --include-untracked", [".*"]),
        ("git show stash@{1}^3 refs/stash^2", [".*"]),
        ("git diff --no-index a.py b.py", []),
        ("git diff --no-index a.py src/", ["src/.*"]),
        ("curl -s 'http://localhost:8000/.env?x'", [".env"]),
        ("curl 127.0.0.1/a/.ssh/id_rsa", ["a/.ssh/id_rsa"]),
        ("curl -s http://localhost:8000/api/users", []),
    ],
)
def test_what_shows_all_that_is_there_could_show_secrets(text: str, found: list[str]) -> None:
    assert shell(text)["secrets"] == found


def test_a_folder_is_left_for_certain_only_where_nothing_stands_for_the_change() -> None:
    assert shell("cd src && cat ../a", "/x")["outside"] == []
    for text in (
        "true || cd src && cat ../a",
        "ls || cd src && cd .. && cat a",
        "cd a || (cd src) && cat ../a",
    ):
        assert shell(text, "/x")["outside"]


@each("wrapper", ["time", "nohup", "nice", "env", "timeout 5", "busybox", "xargs", "exec"])
def test_a_program_called_cd_changes_no_folder(wrapper: str) -> None:
    told = shell(f"{wrapper} cd src && cat ../a", "/x")
    assert told["indirect"]
    assert not told["simple"]
    assert shell("command cd src && cat ../a", "/x")["simple"]


def test_a_past_state_that_is_checked_out_is_not_a_file() -> None:
    assert shell("git checkout HEAD~3 a.py")["writes"] == ["a.py"]
    assert shell("git checkout a~3 a.py")["writes"] == ["a.py", "a~3"]


def test_names_that_a_builtin_sets_in_disguise_are_told() -> None:
    told = shell("\\export A=b; command read -r c_d <<< x; builtin unset d")
    assert told["assignments"] == ["A", "c_d", "d"]
    assert shell("\\export $x")["code"]
    assert shell("IFS=, X=1 read -r c_d")["assignments"] == ["X", "c_d"]


def test_redirects_are_told() -> None:
    told = shell("ls <<< f < a > b 2>> c 2>&1 >&- 3>& 1 &> d >& e")
    assert told["reads"] == ["a"]
    assert told["writes"] == ["b", "c", "d", "e"]
    assert {"operator": ">&", "target": "1"} in told["redirects"]
    assert {"operator": "<<<", "target": "f"} in told["redirects"]


def test_the_text_of_a_here_document_is_told() -> None:
    told = shell("cat <<EOF > f\na $x\nEOF\n")
    assert told["redirects"] == [{"operator": ">", "target": "f"}, {"operator": "<<", "target": "a $x\n"}]
    assert told["expansions"]
    assert not shell("cat <<'EOF'\na $x\nEOF\n")["expansions"]


def test_names_that_are_set_or_defined_are_told() -> None:
    told = shell("a=1; b=2 c+=3 ls; export d e=5; for f in $x; do ls; done; env g=7 ls; unset h; alias i=ls")
    assert told["assignments"] == ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert told["functions"] == ["i"]
    assert shell("f() { ls; }; function g { ls; }; k() ( ls )")["functions"] == ["f", "g", "k"]


@each(
    "text",
    [
        "a.b() { ls; }", "ls <&x", "cat <<EOF\na\\b\nEOF", "cat <<EOF\n`a`\nEOF", "cat <<EOF\nx", "cat $(cat <<E\nx\nE\n)",
        "x=(a)", "x=#", "ls <x>y", "[ a\nb ]", "[ ]; [ a ] b", "[ a;b ]", "ls } fi", "{ ls }", "((ls); rm)", "echo $((ls); rm)", "{ls; }",
        "echo \"$'\"", "echo $/", "echo $x[1]", "ls\u0378", "", " \n", "cat <<E <<F\nE\nF",
        "cat <\\\nx", "{ ls; } > x -l", "ls &> x rm y", "ls >& x rm y", "ls &>> x rm y", "x=1\\\n2", "# x", "#", "ls;# x", "(# x\nls)", "for f in a;# b\ndo ls; done", "ls <(ls # x\n)", "echo a|\\\ncat", "cat <<\\E\nx\nE",
    ],
)  # fmt: skip
def test_what_shells_could_read_differently_is_refused(text: str) -> None:
    assert refusal(text)


@each("char", "\u00a0\u2028\u2029\x1f\u202e\ud800\ue000\u0378", ids=category)
def test_a_character_of_which_nobody_sees_what_it_is_is_refused_in_quotes_too(char: str) -> None:
    assert "control characters, or blanks but space, tab and LF" in refusal(f"echo 'a{char}b'")


def test_size_and_depth_are_bounded() -> None:
    assert shell("ls " + "a" * (LIMIT - 3))["simple"]
    assert refusal("ls " + "a" * (LIMIT - 2))
    assert shell("echo " + "{}" * OPENERS)
    assert refusal("echo " + "{}" * (OPENERS + 1))
    assert shell(" && ".join(["ls"] * (NESTING - 1)))
    assert refusal(" && ".join(["ls"] * (NESTING + 3)))
    assert shell("eval " * DEPTH + "ls")["programs"] == ["eval", "ls"]
    assert refusal("eval " * (DEPTH + 1) + "ls")
    assert shell("eval ls;" * TEXTS)["programs"] == ["eval", "ls"]
    assert refusal("eval ls;" * (TEXTS + 1))
    assert refusal("eval eval " + "a" * (TEXTS_LIMIT // 2))
    assert shell("env " * (INNER - 1) + "ls")["programs"] == ["env", "ls"]
    assert refusal("env " * INNER + "ls")
    assert refusal("find . " + "-exec find " * 300)
    assert refusal("find . " + "-delete " * 300)


@each("source", [b"'a", b'"a', b"a\\"])
def test_a_word_that_does_not_end_is_refused(source: bytes) -> None:
    with pytest.raises(FunctionError):
        read_word(source, 0, SubstitutionSpans())


PIECES = st.sampled_from([
    "ls", "rm", "cat", "sh", "-c", "x", "'a b'", "\"", "'", "`", "$", "(", ")", "{", "}", "[", "]", ";", "&", "|", "<", ">",
    "<<", "EOF", "\n", "\\", "$(", "${", "$((", "))", "}}", "#", "!", "~", "*", "?", "=", "x=", "if", "then", "fi", "for",
    "in", "do", "done", "case", "esac", "while", "[[", "]]", "find", "-exec", "{}", "+", "\\;", "env", "sudo", "xargs", "eval",
    "\t", "é", "\0", "<(", ">(", "&&", "||", "$'", "2>&1", "function", "()", "-", "--", "1",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=14), st.sampled_from(["", " "]))
def test_any_text_is_answered_or_refused(pieces: list[str], between: str) -> None:
    try:
        told = shell(between.join(pieces))
    except FunctionError:
        return
    assert set(told) == set(SHELL.fields)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_characters_are_answered_or_refused(text: str) -> None:
    try:
        shell(text)
    except FunctionError:
        return


CASES = [case["text"] for key in ("refused", "not_simple") for case in CORPUS[key]]


def requoted(text: str, place: int, way: int) -> str:
    """The same commands, written another way: more blanks and lines around, or a quoted letter."""
    if way == 0:
        return f"  {text}\n"
    if way == 1:
        return text.replace(" ", " \t ") if not set(text) & set("'\"\\\n#$`") else text
    words = text.split(" ")
    word = words[place % len(words)]
    if not word.isascii() or not word.isalpha():
        return text
    quoted = {2: f"'{word}'", 3: f'"{word}"', 4: f"\\{word}", 5: f"{word[0]}''{word[1:]}"}[way]
    words[place % len(words)] = quoted
    return " ".join(words)


@settings(deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 8), st.integers(0, 5))
def test_another_spelling_of_an_attack_passes_no_guard_that_it_did_not(
    text: str, place: int, way: int
) -> None:
    other = requoted(text, place, way)
    assert first_guard(text) or not first_guard(other)
    if text.count("'") + text.count('"') == 0:
        assert second_guard(text) or not second_guard(other)
