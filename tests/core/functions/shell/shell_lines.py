"""Command lines for the shells: most ordinary, some with every trick of syntax that a shell has.

`lines(seed)` never ends. A line calls only programs of `PROGRAMS`, writes only below its folder, and starts
nothing that goes on for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

PROGRAMS = ("ls", "cat", "grep", "sort", "head", "rm", "cp", "git", "python3", "make", "frob", "sed")
"""What stands in for all programs. The shells' own commands are real."""

FILES = ["a.txt", "b.py", "c.py", "sub/d.txt", "sub", "./a.txt", "new.txt", "-x", ".hid"]
PLAIN = [
    "rm",
    "cat",
    "-l",
    "-n",
    "-rn",
    "--all",
    "foo",
    "x=y",
    "a,b",
    "1,5p",
    "@",
    "+",
    "%s",
    "HEAD~1",
    "main..HEAD",
    "a:b",
    "]",
]
EXPANSIONS = (
    "$x", '"$x"', "${x}", "${x:-y}", "${x%.*}", "$((1+2))", "$(ls)", '"$(ls -l)"', "`ls`", "~", "~/x", "$?", "$#", "$@",
    '"$@"', "$'a\\tb'", "$'a\\x62'", "$'\\'rm'", '$"a"', "${x@P}", "${!x}", "${x/a/b}", "$[1+1]", "$((x[0]))", "{a,b}",
    "{1..3}", "{-x,a}", "a{b", "{a,b}.txt", "{a.txt,b.py}", "a{.txt,}", "{b,c}.*", "*.{py,txt}", "{3..1}", '{a,"b"}', "{a,b}{c,d}",
    "{a,b*}", "*{a,t}*", ".{hid,?id}", "{a,,b}", "{,}", "{a}", "{}", "{a,{b,c}}", "{a..c}", "{1..3..2}", "{01..03}", "{0..2}.txt", "{1..2}{a,b}",
    "{-1..1}", "{1..a}", '"{a,b}"', "\\{a,b}", "{a\\,b}", "{a,b}'c'", "'x'{a,b}", "{'a',b}", "$x{a,b}", "~{a,b}", "{~,a}", "{a,~}", "{=ls,a}", "x{a,b}=y", "{x=,a}", "{a,b", "a,b}", "{a,b}}", "{,-}x", "-{n,l}", "{-n,a.txt}", "{sub/d,a}.txt", "{a.txt,sub/*}", "{!a,b}", "{#,a}", "{a,b}#c", "{@,+}",
    "{,-x}", "sub/{d,e}.txt", "{a,$x}", '"$x $(ls)"', '"$x\t$(ls a.txt)b"', '"${x} $(cat < a.txt)"', "<(ls)", ">(cat)", "=ls", "$IFS", "${IFS}a", "$0", "a$x", "-$x", "${x[0]}",
)  # fmt: skip
GLOBS = [
    "*",
    "*.py",
    "sub/*",
    "[ab].*",
    "?.py",
    "./*",
    "*/d.txt",
    "*x",
    ".h*",
    "[!a]*",
    "**",
    "-*",
    "@(a|b)",
    "*(.)",
]
REDIRECTS = (
    "> {}", ">> {}", "< {}", "2> {}", "2>/dev/null", "2>&1", ">&2", "> /dev/null 2>&1", "&> {}", "&>> {}", ">| {}", "<> {}",
    ">& {}", "2>&-", "3> {}", "3< {}", "<& 0", "12> {}", "{{x}}> {}", "<<< foo", "<<< '$x'", "<<< \"$(ls)\"", ">! {}", "1>&2 2> {}",
)  # fmt: skip
HEREDOCS = (
    "cat > new.txt <<< x", "cat >> new.txt <<< 'x y' -l", "ls > new.txt <<< \"rm\"; rm a.txt > sub/e.txt <<< x", "cat <<E\nplain\nE\n", "cat <<'E'\n$(rm a.txt)\nE\n", "cat <<E\n$(rm a.txt)\nE\n", "cat <<-E\n\tx\n\tE\n", "cat <<E\na\\\nE\n",
    "cat <<E | sort\nx\nE\n", "cat <<E > new.txt\nx\nE\n", "cat <<E; rm a.txt\nx\nE\n", "cat <<\"E F\"\nx\nE F\n", "cat <<E\n`ls`\nE\n",
    "cat <<A <<B\nx\nA\ny\nB\n", "cat <<E\nx\nE \nE\n",
)  # fmt: skip
ODD = (
    "time {0}", "! {0}", "coproc {0}", "exec {0}", "command {0}", "builtin {0}", "eval '{0}'", "eval {0}", "env {0}", "env A=1 {0}",
    "env -i {0}", "nohup {0}", "nice {0}", "timeout 5 {0}", "xargs {0}", "sh -c '{0}'", "bash -c '{0}'", "sh -ec \"{0}\"",
    "A=1 {0}", "PATH=. {0}", "x=1; {0}", "export x=1; {0}", "read x < a.txt; {0}", "alias ls='rm'\n{0}", "f() {{ {0}; }}; f",
    "function f {{ {0}; }}; f", "f() ( {0} ); f", "sort() {{ {0}; }}; sort", "trap '{0}' EXIT", ". ./a.txt; {0}", "source a.txt; {0}",
    "find . -name '*.py' -exec {0} {{}} \\;", "find . -exec {0} {{}} +", "find sub -exec {0} + \\;", "set -f; {0}", "set -- -x; {0}", "{0} #comment",
    "{0} # rm a.txt", "{0}\\\n", "\\\n{0}", "{0} \\\n -l", "{{ {0}; }}", "( {0} )", "(({0}))", "(( 1 )) && {0}", "[[ a = a ]] && {0}",
    "[ a = a ] && {0}", "test -f a.txt && {0}", "if {0}; then ls; fi", "if ls; then {0}; else cat a.txt; fi", "for x in a b; do {0}; done",
    "for x in a.txt b.py; do {0} $x; done", "for x in sub/* *.py; do {0} \"$x\"; done", "for x in a.txt; do x=c.py; {0} \"$x\"; done",
    "for x in a.txt; do for x in c.py; do ls; done; {0} $x; done", "for x in '*.py' 'a b' -x; do {0} $x \"$x\"; done",
    "for x in a.txt c.py; do {0} \"$x*\" \"${{x}}.txt\" $x*; done", "for x in sub/*; do {0} $x '*'\"$x\"; done", "for x in ls rm; do $x; {0}; done",
    "for x in a b; do {0}; break; done; cat $x", "for x in a; do read x < b.py; {0} $x; done", "{0} <(ls -l)", "{0} <(cat a.txt) x", "while read x; do {0}; done < <(ls)", "while IFS= read -r x; do {0} \"$x\"; done < a.txt", "for x in a.txt; do read x < b.py; {0} \"$x\"; done",
    "{0} - <<'E'\nx\nE\n", "cat - <<E\nx\nE\n",
    "for x in *; do {0}; done", "for ((i=0;i<1;i++)); do {0}; done", "case a in a) {0};; esac", "case a in (a) {0};; esac", "select x in a; do {0}; done",
    "until {0}; do {0}; done", "while false; do {0}; done", "!!; {0}", "!ls; {0}", "ls !$; {0}", "^a^b^; {0}", "let 1; {0}", "printf -v x y; {0}",
    "printf '%s' a; {0}", "echo a; {0}", "echo -e 'a\\nb' | {0}", "cd sub; {0}", "cd sub && {0}", "cd sub || {0}", "(cd sub && {0})", "cd sub && cd .. && {0}",
    "cd . && {0}", "cd nowhere; {0}", "cd nowhere && {0}", "cd sub | {0}", "! cd sub; {0}", "pushd sub; {0}", "cd - ; {0}", "cd; {0}", "cd \"sub\"; {0}",
    "{0} > new.txt -l", "> new.txt {0}", "< a.txt {0}", "2>/dev/null {0}", "{0} & ls", "{0} | cat", "{0} |& cat", "ls | {0} | sort", "{0} || ls",
    "l\\s; {0}", "\"ls\"; {0}", "l''s; {0}", "$'ls'; {0}", "$(echo ls); {0}", "{{ls,-l}}; {0}", "./ls; {0}", "LS; {0}", "{0}\r", "{0}\r\nls",
    "ls\u00a0{0}", "ls\u2028{0}", "ls \u3000 {0}", "{0}\n\n\tls", "{0};;ls", "; {0}", "{0};", "& {0}", "always {{ {0}; }}", "{{ ls; }} always {{ {0}; }}",
    "repeat 2 {0}", "noglob {0}", "- {0}", "exec 3>new.txt; {0}", "exec > new.txt; {0}", "cat < a.txt {0}", "cat > new.txt a.txt; {0}", "{0} <a.txt>new.txt",
)  # fmt: skip


def lines(seed: int) -> Iterator[str]:
    """Lines without end, the same for the same seed."""
    writer = _Writer(Random(seed))
    while True:
        yield writer.line()


class _Writer:
    def __init__(self, random: Random) -> None:
        self.random = random

    def one(self, *acts: Callable[[], str]) -> str:
        return self.random.choice(acts)()

    def quoted(self, text: str) -> str:
        ways = (
            f"'{text}'",
            f'"{text}"',
            text,
            text,
            text[:1] + "''" + text[1:],
            f"\\{text}",
            f'{text[:2]}"{text[2:]}"',
        )
        return self.random.choice(ways)

    def word(self) -> str:
        chance = self.random.random()
        if chance < 0.4:
            return self.quoted(self.random.choice(FILES))
        if chance < 0.7:
            return self.quoted(self.random.choice(PLAIN))
        return self.random.choice(GLOBS if chance < 0.85 else EXPANSIONS)

    def redirect(self) -> str:
        return self.random.choice(REDIRECTS).format(self.quoted(self.random.choice(FILES)))

    def command(self) -> str:
        parts = [
            self.quoted(self.random.choice(PROGRAMS))
            if self.random.random() < 0.1
            else self.random.choice(PROGRAMS)
        ]
        parts += [self.word() for _ in range(self.random.randrange(4))]
        if self.random.random() < 0.3:
            parts.insert(self.random.randrange(len(parts) + 1), self.redirect())
        return self.random.choice((" ", " ", " ", "  ", "\t")).join(parts)

    def statement(self) -> str:
        chance = self.random.random()
        if chance < 0.5:
            return self.command()
        if chance < 0.56:
            return self.random.choice(HEREDOCS)
        return self.random.choice(ODD).format(self.command())

    def line(self) -> str:
        count = self.random.choice((1, 1, 1, 2, 2, 3))
        text = self.statement()
        for _ in range(count - 1):
            text += self.random.choice(("; ", " && ", " || ", " | ", "\n", " & ", ";")) + self.statement()
        return self.damaged(text) if self.random.random() < 0.15 else text

    def damaged(self, text: str) -> str:
        """With a piece of syntax put in, or a character taken out, anywhere."""
        at = self.random.randrange(len(text) + 1)
        piece = self.random.choice(
            [
                "'",
                '"',
                "\\",
                "$",
                "`",
                "(",
                ")",
                "{",
                "}",
                "[",
                "]",
                ";",
                "&",
                "|",
                "<",
                ">",
                "#",
                "!",
                "~",
                "=",
                "\n",
                "*",
                "?",
                "$(",
                "${",
                "$'",
                "<<",
                "&&",
                "||",
            ]
        )
        return text[:at] + piece + text[at + self.random.randrange(2) :]
