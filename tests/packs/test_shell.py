"""The sample calls of the shell pack, and the programs that it names: what shell() must know of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import yaml

from mcpguard.authoring.tests.cases import Case
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.core.functions import FUNCTIONS
from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.shell.programs import known
from mcpguard.core.redaction.redactor import Redactor
from tests.packs.packs import FOLDER, POSTURES, ROOT, Pack, loaded, samples
from tests.rows import each

PROJECT = "/srv/project"
REDACTOR = Redactor(b"the key of these tests, 32 bytes")
SECRET_NAME = FUNCTIONS["secretName"].call
WRITERS = set(["chmod", "cp", "git", "ln", "mkdir", "mv", "rm", "rmdir", "tee", "touch"])
"""Programs that change something, and that it lets write below the folder."""
ODD = {
    "python3 - <<'EOF'\nprint(1)\nEOF",
    "kill $(lsof -t -i :3000)",
    "env | grep NODE",
}
"""Ordinary, but shell() cannot read it, it ends a program, or it shows the environment."""
ASKED = {
    "git ls-remote --get-url",
    *("git diff --cached --name-only | xargs -r ls -la", "git ls-files -z | xargs -0 wc -l | tail -1"),
    "git diff $(git merge-base main HEAD) --stat",
    "for f in $(git ls-files '*.py'); do wc -l \"$f\"; done",
    'for d in */; do echo "$d: $(ls "$d" | wc -l)"; done',
    *("echo $PATH | tr ':' '\\n'", 'basename "$(pwd)"'),
    *("wc -l $(find src -name '*.py')", "xargs -n1 basename < list.txt", "sha256sum -c SHA256SUMS"),
    "find . -name '*.py' | xargs grep -n \"import os\"",
    "find . -name '*.py' -print0 | xargs -0 grep -l foo",
    'find src -name \'*.ts\' | while read f; do echo "$f $(wc -l < "$f")"; done',
    "column -t -s $'\\t' a.tsv",
}
"""A part of git that can ask a server, and what depends on a variable or on what a command prints."""
SHOWN = {
    *("cat .en?", "cat .e*", "cat .[e]nv", "git grep . -- '.e*'", "git diff HEAD~1 -- '*.key'"),
    *(
        "find . -name .env -exec cat {} +",
        "find . -name '.e*' -exec cat {} +",
        "find . -type f -exec cat {} +",
    ),
    "find . -not -name '*.py' -exec tail {} +",
    "find . -name '*.py' -o -path '*ssh*' -exec grep -r . {} +",
    "find . -regex '.*\\.\\(py\\|pem\\)' -exec grep . {} +",
    *(
        "git stash show -p -u",
        "git stash show -pu",
        "git show stash@{0}^3",
        'for f in .e*; do cat "$f"; done',
    ),
    *("git diff --no-index README.md .", "git diff --no-index empty src"),
    *("grep -r --include='.e*' . .", "grep -r . . --include='*.{py,key}'"),
    *("rg -g .env .", "rg --hidden -g '*.p*' KEY", "rg --type-add 'x:.env' -t x KEY"),
    *("git grep KEY -- '.e*'", "git log -p -- ':(glob)**/.e*'", "git show HEAD -- '*.pem'"),
}
"""Harm that lies in what a program shows, which shell() does not judge."""


@cache
def lines() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each command line with the postures for which it is ordinary, and for which it is harmful."""
    return {
        one.name: (one.group.ordinary, one.group.harmful)
        for one in samples("shell").samples
        if one.call.args.get("command") == one.name and not one.group.session.labels
    }


READING = [line for line, (ordinary, _) in lines().items() if "read-only" in ordinary]
WORKING = [
    line for line, (ordinary, _) in lines().items() if "read-only" not in ordinary and "careful" in ordinary
]
HARMFUL = [line for line, (_, harmful) in lines().items() if set(harmful) == set(POSTURES)]


def test_the_day_is_long() -> None:
    assert len([line for line, (ordinary, _) in lines().items() if ordinary]) >= 400
    assert len(HARMFUL) >= 400


@each("line", [line for line in READING if line not in ASKED])
def test_what_reads_is_simple_and_inside(line: str) -> None:
    told = shell(line, PROJECT)
    assert told["simple"]
    assert (told["outside"], told["indirect"]) == ([], False)
    shown = {one["program"] for one in told["commands"] if one["kind"] in ("reads", "shows")}
    assert {*told["unknown"], *told["sends"]} <= shown


@each("line", [line for line in WORKING if line not in ODD])
def test_what_works_is_read_and_not_simple(line: str) -> None:
    told = shell(line, PROJECT)
    assert told["commands"]
    assert not told["simple"]
    assert set(told["changes"]) <= WRITERS


@each("line", HARMFUL)
def test_what_is_harmful_is_never_simple_inside_and_without_a_secret(line: str) -> None:
    try:
        told = shell(line, PROJECT)
        secret = any(SECRET_NAME(path) for path in told["reads"])
    except FunctionError:
        return
    assert not told["simple"] or told["outside"] or told["sends"] or secret or line in SHOWN


CORPUS = yaml.safe_load((ROOT / "tests/core/functions/corpus/programs.yaml").read_text("utf-8"))
BUILDS = {"gradle build", "cmake --build .", "phpunit x", "tsc --project evil.json"}
SCRIPTS = {
    *("command sh evil", "rbash -c 'sh evil'", "stdbuf -i0 sh x", "timeout 7d sh x", "zsh evil"),
    *("dash evil.sh", "dotnet run", "go run x.go", "just x", "perl x.pl", "pip install ."),
    *("bash x.sh", "bash evil", "time sh x", "node x.js", "./ls"),
    *("cargo run", "npm run x", "pnpm run x", "yarn run x"),
}
REPOSITORY = {"git fetch", "git pull", "git push", "git push origin main", "git remote update"}


@each(
    ("posture", "meant"),
    [
        ("read-only", set()),
        ("careful", BUILDS | {"git fetch"}),
        ("open-with-guards", BUILDS | SCRIPTS | REPOSITORY),
    ],
)
def test_of_what_runs_or_sends_only_builds_and_scripts_of_the_project_are_allowed(
    posture: str, meant: set[str]
) -> None:
    session = {"facts": ["tests-passed"]}
    allowed = set()
    for line in (*CORPUS["run"], *CORPUS["send"]):
        call = {"server": "shell", "tool": "run_command", "args": {"command": line, "workdir": PROJECT}}
        case = Case.model_validate({"name": "a call", "call": call, "expect": "allow", "session": session})
        if rehearse(loaded(Pack("shell", posture)), case, REDACTOR).outcome.effect == "allow":
            allowed.add(line)
    assert allowed == meant


# --- programs ------------------------------------------------------------------------------------


def conditions(posture: str, rule_id: str = "") -> Iterator[str]:
    for rule in loaded(Pack("shell", posture)).rules:
        if rule_id in ("", rule.written.id):
            yield rule.when or ""


def listed(condition: str) -> Iterator[str]:
    """The programs in the lists of a condition: `program in ["a", "b"]`, `program == "a"`."""
    for several, one in re.findall(r"program (?:in \[([^\]]*)\]|== (\"[^\"]*\"))", condition):
        yield from re.findall(r'"([^"]*)"', several or one)


@each("posture", POSTURES)
def test_every_program_that_a_pack_names_is_known(posture: str) -> None:
    named = {name for one in conditions(posture) for name in listed(one)}
    assert len(named) >= (0 if posture == "read-only" else 20)
    assert {name for name in named if not set("?/") & set(name) and known(name) is None} == set()


def test_only_the_shell_pack_names_programs() -> None:
    others = [
        path for path in FOLDER.rglob("*.yaml") if path.parent.name != "shell" and "_test" not in path.name
    ]
    assert not any("shell(" in path.read_text("utf-8") for path in others)
