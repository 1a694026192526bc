"""What shell() says of ordinary lines: which files, folders and programs."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.shell.reading import MOST
from tests.rows import each


@each(
    ("text", "reads"),
    [
        ("cat a b", ["a", "b"]),
        ("cat < a b", ["a", "b"]),
        ("tr < a x y", ["a"]),
        ("2>/dev/null cat a", ["a"]),
        ("cat a 2>&1 b", ["a", "b"]),
        ("cat - < a", ["a"]),
        ("grep x a", ["a"]),
        ("grep -e x a", ["a"]),
        ("grep -fp a", ["a", "p"]),
        ("grep --file=p a", ["a", "p"]),
        ("grep x a -A /etc/x", ["/etc/x", "a"]),
        ("ls *.py src/*/x.py /usr/l*", [".", "/usr", "src"]),
        ("ls */../x", ["*/../x"]),
        ("ls /*", ["/"]),
        ("cat a*/b/../../c", ["a*/b/../../c"]),
        ("find a -newer b -name c", ["a", "b"]),
        ("find a -name -delete", ["a", "rm"]),
        ("find a b -exec cat {} +", ["a", "b"]),
        ("find -exec cat {} +", ["."]),
        ("dd if=a", ["a"]),
        ("xargs -a a echo", ["a"]),
        ("xargs --arg-file=a -I% echo %", ["a"]),
        ("xargs --arg-file a cat b", ["a", "b"]),
        ("curl --data-urlencode x@a https://x/", ["a"]),
        ("ls < /dev/fd/3 > /dev/stderr", ["/dev/fd/3"]),
        ("dd bs=1 count=1 if=a", ["a"]),
        ("curl -d @a https://x/", ["a"]),
        ("curl -F b=@a file:///c", ["/c", "a"]),
        ("git diff HEAD~1 main..x stash@{0} ^v1^2 -- a", ["a"]),
        ("git show HEAD:a :b", [":b", "a"]),
        ("git show x/../HEAD~1", ["x/../HEAD~1"]),
        ("git grep x y -- a", ["a", "y"]),
        ("cd a && cat b", ["a", "a/b"]),
        ("cd a/ && cat /b ../c .", ["/b", "a", "a/", "a/../c"]),
        ("cd a; cat b", ["a", "a/b", "b"]),
        ("cd a || cat b", ["a", "a/b", "b"]),
        ("cd a\ncat b", ["a", "a/b", "b"]),
        ("cd a && (cd b && cat c)", ["a", "a/b", "a/b/c"]),
        ("(cd a && ls) && cat b", ["a", "a/b", "b"]),
        ("! cd a && cat b", ["a", "a/b", "b"]),
        ("cd a | cat && cat b", ["a", "a/b", "b"]),
        ("cd a && cat b < c d", ["a", "a/b", "a/c", "a/d"]),
        ("cd a &> /dev/null && cat b", ["a", "a/b", "b"]),
        ("cd . && cat b", [".", "b"]),
        ("cd -- -a && cat b", ["-a", "-a/b"]),
        ("{ cd a; } < b; cat c", ["a", "a/b", "a/c", "b", "c"]),
        ("test -f x && cat a", ["a"]),
        ("test -f /x || [ ../y -nt z ]", ["../y", "/x"]),
        ("sed -n -e 1p -e '$p' a", ["a"]),
        ("awk -F: '{print $1}' a", ["a"]),
        ("jq --slurpfile x b .c a", ["a", "b"]),
        ("sort -k 1 -t , a", ["a"]),
        ("echo /a/b* c/d?", ["/a", "c"]),
        ('for x in ../a/*; do echo "$x"; done', ["../a"]),
    ],
)
def test_files_that_are_read_are_named(text: str, reads: list[str]) -> None:
    told = shell(text)
    named = [one for one in told["reads"]] + (["rm"] if "rm" in told["programs"] else [])
    assert named == reads


@each(
    ("text", "writes"),
    [
        ("ls > a", ["a"]),
        ("ls > /dev/null 2>&1", []),
        ("cd a > b && ls > c", ["a/c", "b"]),
        ("{ cd a; ls; } > b", ["a/b", "b"]),
        ("sort -o a b", ["a"]),
        ("sort --output=a b", ["a"]),
        ("cp a b", ["b"]),
        ("cp -t c a b", ["c"]),
        ("cp -r a b -t c", ["c"]),
        ("ln -s a", ["a"]),
        ("git restore -q --staged -- a", []),
        ("git restore --staged -W a", ["a"]),
        ("git restore -S $x", ["$x"]),
        ("git restore -q a", ["a"]),
        ("mv a b", ["a", "b"]),
        ("tee a b", ["a", "b"]),
        ("chmod -x a", ["a"]),
        ("chmod 755 a", ["a"]),
        ("uniq src/*", ["src"]),
        ("find a -delete", ["a"]),
        ("find a -fprintf b %p", ["b"]),
        ("find a -fprint b -delete", ["a", "b"]),
        ("find a -fls b -exec rm c \\;", ["b", "c"]),
        ("dd of=a", ["a"]),
        ("git rm -r a", ["a"]),
        ("ls | tee a", ["a"]),
    ],
)
def test_files_that_are_written_are_named(text: str, writes: list[str]) -> None:
    assert shell(text)["writes"] == writes


@each(
    "text",
    [
        "ls | xargs cat", "xargs -a x echo", "file -f x", "date -f x", "wc --files0-from=x", "wc -l *", "du *",
        "sha1sum -c x", "sha1sum -- -c | md5sum --check x", "cat $x", "cat \"$x\"", "cat ~/x", "cat {a,$x}", "cp -- $x y",
        "cp * y", "cd && cat x", "cd - && cat x", "cd +1; cat x", "cd -1; cat x", "cd $x; cat y", "cd a b; cat y", "cd ''; ls", "pushd x; ls", "popd; ls",
        "for f in a b; do cd x; done", "while true; do cd x; done", "f() { cd x; }", "sh -c 'cd x'", "eval 'cd x'; cat y",
        "env -C x cat y", "env --chdir=x cat y", "sudo -D x cat y", "find . -execdir cat {} +", "find -files0-from x -delete",
        "find a\"$x\" -delete", "awk 'BEGIN { ARGV[1] = \"x\" } 1'", "dd if=a$x",
    ],
)  # fmt: skip
def test_files_that_the_line_does_not_name_are_indirect(text: str) -> None:
    assert shell(text)["indirect"]
    assert not shell(text)["simple"]


@each(
    "text",
    [
        "strings @held.txt",
        "nm @x",
        "readelf -a @x",
        "size @x",
        "strings -n @x a",
        "strings -- @x",
        "strings *",
    ],
)
def test_a_file_of_arguments_counts_as_code(text: str) -> None:
    assert shell(text)["code"]
    assert not shell(text)["simple"]
    assert shell("strings -n 8 a lib/*.so | head; nm a; readelf -a ./@x; size a")["simple"]


def test_many_folders_are_not_followed() -> None:
    assert not shell("cd a; cd b; cd c; cat x")["indirect"]
    assert shell("cd a; cd b; cd c; cd d; cat x")["indirect"]
    assert 2**3 <= MOST < 2**4


@each(
    ("text", "folders"),
    [
        ("ls", []),
        ("cd a && ls", ["a"]),
        ("cd /srv/project && ls", []),
        ("cd /srv/project/ && ls", []),
        ("cd /srv/project/../x && ls", ["/srv/project/../x"]),
        ("cd . && ls", []),
        ("git -C a log", ["a"]),
        ("git -C . log", []),
        ("git -C /srv/project log", []),
        ("cd a && git -C ../b log", ["a", "a/../b"]),
    ],
)
def test_folders_that_are_entered_are_named(text: str, folders: list[str]) -> None:
    told = shell(text, "/srv/project")
    expected = [one if one.startswith("/") else f"/srv/project/{one}" for one in folders]
    assert told["folders"] == expected
    assert told["code"] is (bool(expected) and "git" in text)


def test_double_brackets_are_a_test_where_every_shell_reads_them_so() -> None:
    assert shell("[[ -d a ]] && ls")["simple"]
    assert shell('if [[ "$x" != y ]]; then ls; fi')["programs"] == ["[", "ls"]
    assert shell("[[ -f /etc/x ]]", "/srv/project")["outside"] == ["/etc/x"]
    for text in ("[[ x > y ]]", "[[ a && b ]]", "[[ ( a ) ]]"):
        with pytest.raises(FunctionError, match="operator"):
            shell(text)
    for text in ("[[ 'a[$(id)]' -eq 1 ]]", "[[ -v a ]]", "[[ 1 -lt $x ]]"):
        with pytest.raises(FunctionError, match="compares no numbers"):
            shell(text)


def test_files_are_absolute_with_a_folder() -> None:
    told = shell("cat a /srv/project/b ../c /d *.py > e", "/srv/project")
    assert told["reads"] == ["/d", "/srv/project", "/srv/project/../c", "/srv/project/a", "/srv/project/b"]
    assert told["writes"] == ["/srv/project/e"]
    assert told["outside"] == ["/d", "/srv/project/../c"]
    assert shell("cat a ./b c/../d *.py ?./e .github/*")["outside"] == []
    assert shell("cd a && ./../../b; /usr/bin/ls", "/srv/project")["outside"] == ["/srv/project/a/./../../b"]
    assert shell("./gradlew test", "/srv/project")["reads"] == ["/srv/project/./gradlew"]
    assert shell("cat /a ../b ~/c 'd%d'", "")["outside"] == ["../b", "/a", "d%d", "~/c"]
    assert shell("cat a", "/")["reads"] == ["/a"]


@pytest.mark.uncounted
@each("glob", [".*", ".?/x", ".[.]/x", ".[^a]/x", "a/..*", "'.'?/x", "{.,a}?/x"])
def test_a_glob_that_means_the_folder_above_to_some_shell_leads_out(glob: str) -> None:
    assert shell(f"ls {glob}", "/srv/project")["outside"] != []
    assert shell(f'for f in {glob}; do ls "$f"; done', "/srv/project")["outside"] != []


@each("folder", ["srv", "~", "."])
def test_the_folder_is_absolute(folder: str) -> None:
    with pytest.raises(FunctionError, match="absolute"):
        shell("ls", folder)


@each(
    ("text", "obeys"),
    [
        ("git log", ["git"]),
        ("make test", ["make"]),
        ("pytest -q", ["pytest"]),
        ("go test ./...", ["go"]),
        ("npm --version", ["npm"]),
        ("env A=1 sh -c 'ruff check; eslint .'", ["eslint", "ruff"]),
        ("find . -exec git log {} +", ["git"]),
        ("docker compose up", ["docker"]),
        ("ls | cat", []),
    ],
)
def test_programs_that_obey_their_folder_are_named(text: str, obeys: list[str]) -> None:
    assert shell(text)["obeys"] == obeys


@each(
    "text",
    [
        "cd a && git log", "cd a; git log", "git log; cd a; git log", "git -C a log", "git -C \"$x\" log", "env -C a git log",
        "cd $x && git log", "find . -execdir git log \\;", "pushd a; git log", "git log | eval 'cd a; git log'",
    ],
)  # fmt: skip
def test_a_program_that_obeys_another_folder_counts_as_code(text: str) -> None:
    assert shell(text)["obeys"] == ["git"]
    assert shell(text)["code"]


@each(
    ("text", "unknown"),
    [
        ("frob", ["frob"]),
        ("/usr/bin/frob x", ["frob"]),
        ("./ls", ["./ls"]),
        ("/tmp/ls", ["/tmp/ls"]),
        ("LS", ["LS"]),
        ("ls2", ["ls2"]),
        ("python3.12 x", []),
        ("ls | frob", ["frob"]),
        ("env frob", ["frob"]),
        ("xargs frob", ["frob"]),
        ("find . -exec frob {} +", ["frob"]),
        ("ls() { cat; }; ls; frob", ["frob"]),
    ],
)
def test_programs_that_are_not_known_are_named(text: str, unknown: list[str]) -> None:
    told = shell(text)
    assert told["unknown"] == unknown
    assert told["code"] or not unknown


@each(
    "text",
    [
        "ls 2>/dev/null", "ls 2>&1", "cat < a", "ls *.py", "cd src && ls", "sed -n '1,5p' a", "git --no-pager log",
        "git log -S x", "git log main..HEAD", "git log --patch", "git log -u -5", "git diff main...x -- a", "tr < a x y",
        "cat /srv/project/a", "cat a | grep x | sort | uniq -c | sort -rn | head", "head -n 5 *.md", "git branch",
        "git branch --list 'x*'", "git tag -l", "git remote -v", "git stash list", "git config --get user.name",
        "git config get user.name", "git -P show --stat HEAD", "git remote get-url origin", "sort -- *.txt", "wc -l src/*.py",
        "find . -name '*.py' -exec grep -l x {} +", "awk 'NR >= 2 && $3 != \"x\" || $1' a", "sed 's/a/b/;/^#/d' a",
        "jq -r '.a[] | .b' a", "jq '.[] | select(.env == 1)' a", "awk '$3 > 10 {print $1}' a", "sed -e :a -e '$!N;ba' a", "python3 --version", "node -v", "env ls", "time ls", "timeout 5 ls", "command -v x",
        "sh -c 'ls | cat'", "git", "git reflog", "git reflog HEAD", "grep --version", "ls --help | head", "ls; ls", "if ls; then cat a; fi", "date +%F",
    ],
)  # fmt: skip
def test_ordinary_lines_are_simple(text: str) -> None:
    assert shell(text)["simple"]
    assert shell(text, "/srv/project")["outside"] == []


@each(
    "text",
    [
        "git push", "git push --force", "git rm -r .", "git commit -m x", "git branch x", "git branch --sort --list x",
        "git branch -D x", "git tag x", "git remote add x y", "git remote show x", "git stash", "git fetch", "git ls-remote",
        "git -C x log", "git --git-dir=x log", "git -c a=b log", "git config a.b c", "git config --unset a.b", "git worktree add x",
        "git log --output=x", "git log --frob", "git log --patc", "git $x", "git \"$x\"", "git clean -fdx", "git remote frob",
        "rm a", "mkdir a", "kill 1", "sudo ls", "ls > a", "ls &", "ls --frob", "sort -?", "ls --all=x", "sort -k", "sort *.py",
        "sort -o x", "rg --pre x", "head -$x a", "ls $x", "ls \"$x\"", "A=1 ls", "A=1 LANG=C ls", "curl https://x/", "ping x",
        "sed -i s/a/b/ x", "sed '1e x'", "sed 's/a/b/e'", "awk '{print > \"x\"}'", "awk '$1 > 2 {print > \"x\"}'", "awk '{printf \"a\" >> \"x\"}'", "jq '.a | env'", "jq '$ENV.A'", "sed ':a;w x'", "sed 'ba;e x'", "awk 1 /inet/tcp/0/x/80", "awk '{print SYMTAB[$1]}' a", "awk 'BEGIN {print ENVIRON[\"A\"]}'", "git reflog expire", "getent hosts x", "jq env", "date 0101", "jobs -x ls", "find . -frob", "exec -a rm ls x", "exec -c -a rm cat x", "file -p x", "file --preserve-date x", "xxd a -u", "uniq a -c", "cp -b a b", "gzip a", "rg x | ag -U y --pager=z",
        "umask 0", "hostname x", "uname x", "ls -l --sort", "test -v x", "yarn --version", ". --version", "rbash x",
    ],
)  # fmt: skip
def test_what_does_more_than_read_is_not_simple(text: str) -> None:
    assert not shell(text)["simple"]


# --- names of files ------------------------------------------------------------------------------


@each(
    ("text", "secrets"),
    [
        ("cat .env a", [".env"]),
        ("cat < .env", [".env"]),
        ("cp .env x", [".env"]),
        ("cd a && cat .env", ["a/.env"]),
        ("cat .e*", [".e*"]),
        ("cat deploy/*", ["deploy/*"]),
        ("grep x *.py", []),
        ("ls * .env", [".env"]),
        ("ls *", []),
        ("rm -f src/*.pyc", []),
        ("find . -name .env", [".env"]),
        ("find . -name '*.py' -exec grep -l x {} +", []),
        ("git show HEAD:.env", [".env", "HEAD:.env"]),
        ("git log -p -- .env", [".env"]),
        ("git commit -m 'Fix .env'", []),
        ("git log --format=%Cgreen%h%Creset", []),
        ("git log --pretty=%Cred%h .env", [".env"]),
        ("grep -rn process.env src", []),
        ("grep '.env' a", []),
        ("python3 x.py .env", [".env"]),
        ("tar cf - .env | cat", [".env"]),
        ("cat $x", ["$x"]),
        ("cat .env.example README.md", []),
    ],
)
def test_words_that_name_secrets(text: str, secrets: list[str]) -> None:
    assert shell(text)["secrets"] == secrets


TESTS = (
    "-name '*.py'",
    "-name '.e*'",
    "-name a.json",
    "-iname '*.PEM'",
    "-path './s*'",
    "-type f",
    "-name '*'",
)
JOINED = ("{0} {1} {2}", "{0} -o {1} {2}", "! {0} {1} {2}", "\\( {0} -o {1} \\) {2}", "! \\( {0} {1} \\) {2}")
JOINED += ("{0} -prune -o {1} {2}", "\\( ! {0} \\) -o {1} {2}", "{0} , {1} {2}", "\\( {0} \\) {1} -not {2}")
JOINED += ("{0} {2} -o {1}", "\\( {0} -o \\( {1} \\) \\) {2}")


@pytest.mark.uncounted
def test_where_cat_is_given_secrets_by_find_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    for name in ("a.py", ".env", "a.json", "a.pem", "src/b.py", "src/b.pem"):
        (tmp_path / name).touch()
    lines = [
        form.format(first, second, "-exec cat {} +") for form, first, second in product(JOINED, TESTS, TESTS)
    ]
    script = "\n".join(f"find . {line.replace('-exec cat {} +', '-print')}; echo =" for line in lines)
    shown = 0
    for line, given in zip(lines, run(["sh", "-c", script], tmp_path).split("=\n"), strict=False):
        if any(name.endswith((".env", ".pem")) for name in given.split()):
            assert shell(f"find . {line}")["secrets"], line
            shown += 1
    assert shown > 100


@each(
    ("text", "secrets"),
    [
        ("find . -name '*.py' -exec cat {} +", []),
        ("find . \\( -name '*.ts' -o -name '*.js' \\) -type f -exec cat {} +", []),
        ("find . -name x -prune -o -name '*.md' -exec head {} \\;", []),
        ("find a b -name 'README*' -exec cat {} +", []),
        ("find . -name '*.py' -not -name x -delete", []),
        ("find . -type f -exec wc {} +", []),
        ("find . -type f -exec grep x {} +", []),
        ("find . -iname '.E*' -exec grep x {} +", [".E*"]),
        ("find . -regex '.*\\.\\(py\\|js\\)' -exec grep x {} +", []),
        ("find . -exec tail {} +", ["./*"]),
        ("find . ! -name '*.md' -exec tail {} +", ["./*"]),
        ("find . -not -name '*.md' -exec tail {} +", ["./*"]),
        ("find . -type f ! \\( -name '*.md' -o -name '*.py' \\) -exec tail {} +", ["./*"]),
        ("find . \\) -exec tail {} +", ["./*"]),
        ("grep -r x . --include=*.json", []),
        ("grep -r process.env src --include=*.ts --exclude-dir=node_*", []),
        ("rg process.env src --glob=*.ts", []),
        ("grep -r process.env src --inc*=*.ts", ["process.env"]),
        ("grep -r x . --include=.e*", [".e*"]),
        ("grep -r --regexp=x* process.env", ["process.env"]),
        ("grep -r x . --include='*.{py,key}'", ["*.{py,key}"]),
        ("grep -r x . --include='secrets/*.yml'", ["secrets/*.yml"]),
        ("mv *.png docs/*.svg x/", []),
        ("cat a_private_key.png *_key*.png", ["*_key*.png", "a_private_key.png"]),
        ("grep x a/*.yml src/*", []),
        ("cat a/*.yml", ["a/*.yml"]),
        ("grep -n x .e* secrets/*.yml *", ["*", ".e*", "secrets/*.yml"]),
        ("grep -r x . --exclude=.env", []),
        ("rg x -g '!.env' -g 'src/**' -g 'src/*.json'", []),
        ("rg x -g '.ssh/**' --iglob=.ENV", [".ENV", ".ssh/**"]),
        ("git grep x -- '*.py' ':!.env' ':(exclude,glob)*.pem' ':^x'", []),
        ("git log -p -- ':(glob)**/.e*'", ["**/.e*"]),
        ("git diff HEAD -- config/*.json", []),
        ("git log -p -- ':(top).npmrc' ':(literal)id_rsa'", [".npmrc", "id_rsa"]),
        ("rg x -g '.ssh**/config'", [".ssh**/config"]),
        ("rg x -g '{.env,a:b}'", ["{.env,a:b}"]),
        ("rg x -g '**/*.ts' -g 'src/**/*.ts' --type-add 'web:*.html'", []),
    ],
)
def test_globs_that_choose_secrets_are_named(text: str, secrets: list[str]) -> None:
    assert shell(text)["secrets"] == secrets


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


@each(
    ("text", "obeyed"),
    [
        ("echo x > .git/hooks/pre-push", [".git/hooks/pre-push"]),
        ("cp x .github/workflows/ci.yml", [".github/workflows/ci.yml"]),
        ("cd .git && touch config", [".git/config"]),
        ("cat .vscode/tasks.json", []),
        ("eslint -o .github/x.yml .", [".github/x.yml"]),
        ("pytest && cat .vscode/tasks.json", []),
        ("git add .github/workflows/ci.yml", []),
        ("git checkout evil -- .github", [".github"]),
        ("curl -o CLAUDE.md https://example.com/", ["CLAUDE.md"]),
        ("mkdir 'a b' src", []),
        ("tar -czfAGENTS.md src", ["AGENTS.md"]),
        ("cp a AGENT[^S].md", ["AGENT[^S].md"]),
        ("sed -i s/a/b/ docs/*.md *.{yml,py}", ["*.yml", "*.{yml,py}", "docs/*.md"]),
        ("rm -f build/*.o out/* *.log", []),
        ("cat CLAUD*.md", []),
        ("go build -o=AGENTS.md", ["AGENTS.md"]),
        ("go test -coverprofile=AGENTS.md", ["AGENTS.md"]),
        ("wget -qOAGENTS.md https://example.com/", ["AGENTS.md"]),
    ],
)
def test_words_that_name_what_programs_obey(text: str, obeyed: list[str]) -> None:
    assert shell(text)["obeyed"] == obeyed


@each(
    ("text", "lines"),
    [
        ("git  commit -m 'a b'", ["git commit -m a\u00a0b"]),
        ("echo '' \"x\ty\"", ["echo \u00a0 x\u00a0y"]),
        ("ls | ./a.sh -x", ["ls", "./a.sh -x"]),
    ],
)
def test_a_line_has_a_blank_between_words_alone(text: str, lines: list[str]) -> None:
    assert [one["line"] for one in shell(text)["commands"]] == lines


@each(
    ("text", "fact", "words"),
    [
        ("cp -r secrets x", "secrets", ["secrets"]),
        ("mv .docker/ x", "secrets", [".docker/"]),
        ("tar czf x.tgz secrets", "secrets", ["secrets"]),
        ("zip -r x.zip src .docker", "secrets", [".docker"]),
        ("git mv secrets x", "secrets", ["secrets"]),
        ("ln -s ../.cargo x", "secrets", ["../.cargo"]),
        ("cd .docker && cp -r . ../x", "secrets", [".docker"]),
        ("mv made .venv", "obeyed", [".venv"]),
        ("cp -r node_modules x", "obeyed", ["node_modules"]),
        ("ls secrets/", "secrets", []),
        ("git add secrets", "secrets", []),
        ("rm -rf node_modules .venv", "obeyed", []),
        ("cp -r src/hooks x", "obeyed", []),
    ],
)
def test_a_folder_that_gets_another_name_counts_with_what_it_is_known_to_hold(
    text: str, fact: str, words: list[str]
) -> None:
    assert shell(text)[fact] == words


@each(
    ("text", "variables"),
    [
        ("ls", []),
        ('echo "$a" $b ${c%.x} "${#d}"', ["a", "b", "c", "d"]),
        ('echo $@ "$#" $1 $$ $? $((1+2))', ["1", "@"]),
        ('while read -r a b; do echo "$a" "${b}" "$c"; done < x', ["c"]),
        ("while read a; do echo $a; done < x", ["a"]),
        ("for f in a b; do cat $f; done", []),
        ("cat <<E\n$HOME $TOKEN\nE\n", ["TOKEN"]),
        ("sh -c 'echo \"$a\"'", ["a"]),
        ('diff <(echo "$a") b', ["a"]),
    ],
)
def test_variables_that_words_depend_on_are_named(text: str, variables: list[str]) -> None:
    assert shell(text)["variables"] == variables


@each(
    ("text", "assignments", "code"),
    [
        ("read -r line", [], False),
        ("read", [], False),
        ("IFS= read -r line", [], False),
        ("IFS=: read -r a b", [], False),
        ("IFS= ls", ["IFS"], True),
        ("IFS=", ["IFS"], True),
        ("IFS=$x cat a", ["IFS"], True),
        ("read a_b", ["a_b"], False),
        ("read PATH", ["PATH"], True),
        ("read path", ["path"], True),
        ("read -p x line", ["line", "x"], False),
        ("read $x", [], True),
        ("read 'a[$(id)]'", ["a"], True),
    ],
)
def test_read_sets_variables_that_programs_do_not_obey(text: str, assignments: list[str], code: bool) -> None:
    told = shell(text)
    assert told["assignments"] == assignments
    assert told["code"] is code
    assert ("read" in told["changes"]) is ("read" in text and bool(assignments or code))


@each(
    ("text", "writes"),
    [
        ("cat > a <<< x", ["a"]),
        ("cat >> a <<< 'x y'", ["a"]),
        ('cat > "a b" <<< x; rm y > z <<< "q"', ["a b", "y", "z"]),
        ("cat > a <<< x > b <<< y", ["a", "b"]),
        ("echo '> a <<< ' > b <<< 'x'", ["b"]),
        ("ls | cat > a <<< x && ls", ["a"]),
    ],
)
def test_a_here_string_may_stand_behind_a_redirect(text: str, writes: list[str]) -> None:
    assert shell(text)["writes"] == writes


@each(
    "text",
    ["cat 2> a <<< x", "cat > a b <<< x", "cat &> a <<< x", "cat > a <<< \"$(ls)\"", "cat > a <<< x <<E\ny\nE\n", "ls (", "cat > a <<< '"],
)  # fmt: skip
def test_a_here_string_behind_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FunctionError):
        shell(text)


@each(
    ("text", "reads"),
    [
        ("cat {a,b}", ["a", "b", "{a,b}"]),
        ("cat x{1..3}", ["x1", "x2", "x3", "x{1..3}"]),
        ("cat src/{a,b}/*.py", ["src/a", "src/b", "src/{a,b}"]),
        ("cat '{a,b}'", ["{a,b}"]),
    ],
)
def test_braces_are_read_as_shells_with_and_without_them_do(text: str, reads: list[str]) -> None:
    told = shell(text, "/srv")
    assert told["reads"] == [f"/srv/{one}" for one in reads]
    assert told["outside"] == []
    assert not told["indirect"]


@each(
    "text",
    [
        "cat {a,b}{c,d}", "cat {a,{b,c}}", "cat {3..1}", "cat {a,$x}", "cat {a,'b'}", "cat {1..99}", "cat {a..c}", "cat {a,b+c}", "cat {,a}",
        "cat x{a,ü}",
    ],
)  # fmt: skip
def test_braces_that_stand_for_more_than_a_short_list_are_not_known(text: str) -> None:
    told = shell(text)
    assert told["indirect"]
    assert not told["simple"]


@each(
    ("text", "simple"),
    [
        ('echo "$PWD: $(ls | wc -l)"', True),
        ("echo $((3 * 7))", True),
        ("printf '%s\\n' \"$(cat a)\"", True),
        ('printf "$(cat a)" x', False),
        ('echo "$TOKEN"', False),
        ("echo $(cat a)", False),
        ('ls "$(cat a)"', False),
        ('echo "$(rm a)"', False),
        ('f() { ls; }; echo "$(f)"', False),
        ('echo() { rm x; }; echo "$(ls)"', False),
    ],
)
def test_what_is_only_printed_may_depend_on_a_command(text: str, simple: bool) -> None:
    assert shell(text)["simple"] == simple


@each(
    ("text", "fact", "word"),
    [
        ("go test -coverprofile=.git/hooks/pre-commit", "obeyed", ".git/hooks/pre-commit"),
        ("gcc -o.git/hooks/pre-commit a.c", "obeyed", ".git/hooks/pre-commit"),
        ("frobnicate --out=.vscode/tasks.json", "obeyed", ".vscode/tasks.json"),
        ("docker build --file=.env .", "secrets", ".env"),
        ("frobnicate -f.env", "secrets", ".env"),
    ],
)
def test_a_file_that_is_joined_to_its_option_is_seen(text: str, fact: str, word: str) -> None:
    assert word in shell(text)[fact]
