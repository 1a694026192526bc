"""shell() against real shells: what it calls harmless is harmless there, and nothing happens that it does not say.

A longer run: MCPGUARD_SHELL_LINES=20000 MCPGUARD_SHELL_SEED=1 and this file.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from tests.core.functions.shell.shell_lines import lines
from tests.core.functions.shell.shells import REAL, Call, Done, Stage, present
from tests.core.functions.shell.shells import SHELLS as SHELL_ARGV
from tests.rows import each

_READ_FROM = re.compile(r"\A<\(.*\)\Z", re.DOTALL)
COUNT = int(os.environ.get("MCPGUARD_SHELL_LINES", "120"))
SEED = int(os.environ.get("MCPGUARD_SHELL_SEED", "11"))
SHELLS = present()
NO_HARM_BY_OPTIONS = ("ls", "cat", "grep", "head")
"""Stand-ins of which no option runs, writes or reads what a glob could bring in."""


def accepted() -> Iterator[tuple[str, dict[str, Any]]]:
    """Generated lines that shell() reads, with what it says of them."""
    for line in lines(SEED):
        try:
            yield line, shell(line)
        except FunctionError:
            continue


def contradictions(told: dict[str, Any], done: Done) -> list[str]:
    """What a shell did although shell() does not say so. Where it says `code`, anything may happen."""
    if told["code"]:
        return []
    found = [f"{call.program} ran" for call in done.calls if call.program not in told["programs"]]
    written = {posixpath.normpath(name) for name in told["writes"]}
    if not told["indirect"]:
        found += [f"{name} was changed" for name in done.changed - written]
        folders = {posixpath.normpath(name) for name in told["folders"]} | {"."}
        found += [f"{call.program} ran in {call.folder}" for call in done.calls if call.folder not in folders]
    if told["simple"]:
        found += [f"{name} was changed by a simple line" for name in done.changed]
        found += [
            f"another call of {call.program}: {call}" for call in done.calls if not expected(told, call)
        ]
    return found


def expected(told: dict[str, Any], call: Call) -> bool:
    """Whether a command that shell() names has these arguments, and its input is a file that it names."""
    files = {posixpath.normpath(name) for name in told["reads"]}
    contents = {
        "of a": "a.txt",
        "of b": "b.py",
        "of c": "c.py",
        "of d": "sub/d.txt",
        "of x": "-x",
        "of hid": ".hid",
    }
    if call.input in contents and contents[call.input] not in files:
        return False
    if {"find", "xargs"} & set(told["programs"]):
        return True
    return any(same(call, one["args"]) for one in told["commands"] if one["program"] == call.program)


def same(call: Call, args: list[str]) -> bool:
    """Whether a call has the arguments `args`, of which some may be globs for those that it has."""
    if list(call.args) == args:
        return True
    left = [_READ_FROM.sub("/*/fd/*", one).replace("$?", "*") for one in args]
    added = [one for one in call.args if one not in left or left.remove(one)]
    harmless = call.program in NO_HARM_BY_OPTIONS or "--" in args
    return bool(left) and all(
        any(fnmatchcase(one, pattern) for pattern in left) and (harmless or not one.startswith("-"))
        for one in added
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("shells"))


@pytest.mark.uncounted
@pytest.mark.skipif(
    "CI" not in os.environ and len(SHELLS) < 3, reason="bash, dash or busybox is not installed"
)
@pytest.mark.timeout(90 + COUNT // 5)
def test_no_shell_does_what_is_not_said(stage: Stage) -> None:
    assert {"bash", "dash", "busybox"} <= set(SHELLS)
    ran, simple = 0, 0
    for line, told in islice(accepted(), COUNT):
        simple += told["simple"]
        for name in SHELLS:
            done = stage.run(name, line)
            ran += bool(done.calls)
            assert contradictions(told, done) == [], (name, line, told)
    assert simple > COUNT // 10
    assert ran > COUNT


TEXTS = (
    "'E'\nFix it\n\nBody of *two* lines; ls\nE",
    "'E'\n\n\nCall `rm x` (it's 'quoted', and \"so on\") #12\n\n\nE",
    "E\n# a (remark)\n<a> & b | c\nE",
    '"E"\n$x costs $5\n  E\nE',
)


@each("name", SHELLS)
@each("text", TEXTS)
def test_a_text_that_cat_gives_is_the_argument_that_shells_make_of_it(name: str, text: str) -> None:
    line = f'printf %s "a $(cat <<{text}\n) b" && ls'
    try:
        (first, *_) = shell(line)["commands"]
    except FunctionError:
        assert "it's" in text
        return
    argv = [*SHELL_ARGV[name], line.removesuffix(" && ls")]
    assert subprocess.run(argv, capture_output=True, check=True, text=True).stdout == first["args"][1]


@pytest.mark.parametrize("name", SHELLS)
def test_the_stage_sees_what_a_line_does(stage: Stage, name: str) -> None:
    done = stage.run(name, "cd sub && cat < d.txt 'a b' *; ls > ../new.txt")
    root = str(stage.root)
    assert done.calls[0] == Call("cat", "sub", "of d", ("a b", "d.txt"))
    assert done.changed == {"new.txt"}
    assert contradictions(shell("ls"), done) != []
    assert root not in done.calls[0].folder


@each("text", ["ls\0rm", "ls\r\nrm", "ls\u00a0rm", "ls \u2028 rm", "ls\u3000rm"])
def test_no_character_that_shells_see_differently_is_read(text: str) -> None:
    with pytest.raises(FunctionError):
        shell(text)


def test_the_programs_that_are_looked_through_are_known() -> None:
    assert not any(
        shell(f"{name} ls")["unknown"] for name in REAL if name not in ("find", "sh", "bash", "timeout")
    )


BEHIND = [
    f"{first}{rest}"
    for first in (*(chr(code) for code in range(33, 127) if chr(code) not in '"!`'), "\\\n", "\u00e9", "\u4e2d", "\u0663", "")
    for rest in ("", "h", ":h", "s/a/b/", "0", "/")
]  # fmt: skip
VARIABLES = {
    **{"$f": "a/b.c", "${f}": "a/b.c", "${f%c}": "a/b.", "$(echo a/b)": "a/b", "$((1+2))": "3"},
    **{"$1": "x", "$?": "0", "$#": "1", "$@": "x", "$*": "x", "$-": None},
}


@pytest.mark.uncounted
@pytest.mark.parametrize("name", [name for name in ("bash", "dash", "busybox", "zsh") if name in SHELLS])
def test_what_stands_behind_a_variable_is_text_where_it_is_read(name: str) -> None:
    for variable, value in VARIABLES.items():
        behind = _read_behind(variable)
        script = "set -- x\nfor f in a/b.c; do\n"
        script += "".join(f'true; printf "%s\\0" "{variable}{text}"\n' for text in ["", *behind]) + "done"
        environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        argv = [*SHELL_ARGV[name], script]
        done = subprocess.run(argv, capture_output=True, check=True, env=environment, timeout=60)
        alone, *printed = done.stdout.decode().split("\0")[:-1]
        assert alone == value or value is None
        assert printed == [
            alone + re.sub(r"\\([\\$\"]|\n)", lambda one: one[1].strip(), text) for text in behind
        ]


@cache
def _read_behind(variable: str) -> tuple[str, ...]:
    """What may stand behind `variable` to shell(), without another one."""
    found = []
    for behind in BEHIND:
        another = variable == "$f" and re.match(r"\w", behind, re.ASCII)
        if another or "$" in behind or behind.endswith("\\"):
            continue
        try:
            shell(f'for f in a/b.c; do cat "{variable}{behind}"; done')
        except FunctionError:
            continue
        found.append(behind)
    return tuple(found)


KORN = {"mksh": ["mksh", "-c"], "ksh93": ["ksh93", "-c"]}
EVALUATED = (
    "let X", "[ X -eq 1 ]", "[ 1 -lt X ]", "test X -ge 1", "[ -t X ]", "[ -v X ]", "[[ X -eq 1 ]]", "[[ -t X ]]",
    "[[ -v X ]]", "[ -n a -a X -eq 1 ]", "for o in -eq; do [ X \"$o\" 1 ]; done",
    "echo -eq | while read -r o; do [ X \"$o\" 1 ]; done", "echo -t | while read -r o; do [ \"$o\" X ]; done",
    "printf %d X", "printf '%s %d' a X", "printf '%s%d' a 1 b X", "printf '%*s' X a", "printf '%.*s' X a",
    "printf '%1$d' X", "printf %x X", "printf %f X", "printf -- %d X", "printf '%s%n' a X", "printf -v X a",
    "printf '%(%Y)T' X", "exit X", "return X", "logout X", "shift X", "break X", "ulimit -f X", "ulimit X",
    "declare -i x=X", "'typeset' -i x=X", "integer x=X", "float x=X", "'unset' X", "\\export X=1", "\\readonly X",
    "echo a | read X", "read X < a.txt", "read -t X y < a.txt", "read -p X y < a.txt", "COLUMNS=X", "LINES=X ls",
    "export COLUMNS=X", "'export' LINES=X", "echo X | read COLUMNS", "for LINES in X; do ls; done", "RANDOM=X",
    "set -A X a", "getopts a X", "wait -n -p X", "mapfile X < a.txt", "'typeset' -i x; x=X",
)  # fmt: skip
"""X stands for a word of which a shell could take a part for an expression."""
EXPRESSIONS = ("path[$(touch P)]", "a[${ touch P;}]", "PWD=7", "x[$(touch P)]=1")


@each("line", EVALUATED)
def test_what_a_shell_evaluates_counts_as_code(line: str, tmp_path: Path) -> None:
    """Each is code, whatever shell is there; those that are show that the table holds what matters."""
    for expression in EXPRESSIONS:
        written = line.replace("X", f"'{expression}'")
        try:
            assert shell(written)["code"], written
        except FunctionError:
            continue


@pytest.mark.uncounted
@pytest.mark.parametrize("name", [name for name in (*SHELLS, *KORN) if shutil.which(name)])
def test_what_a_shell_evaluates_runs_a_command(name: str, tmp_path: Path) -> None:
    argv = {**SHELL_ARGV, **KORN}[name]
    (tmp_path / "a.txt").write_text("a\n")
    ran = set()
    for line in EVALUATED:
        written = line.replace("X", f"'{EXPRESSIONS[0]}'")
        subprocess.run([*argv, written], cwd=tmp_path, capture_output=True, timeout=10, check=False)
        made = tmp_path / "P"
        if made.exists():
            ran.add(line)
            made.unlink()
    assert (len(ran) > 10) == (name in ("bash", "zsh", "mksh"))
