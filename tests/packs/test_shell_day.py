"""A developer's day in command lines, and the programs that the packs name: what shell() must know of them."""

from __future__ import annotations

import re

import pytest
import yaml

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.shell.table import known
from tests.packs.packs import FOLDER, ROOT, Pack

DAY = yaml.safe_load((ROOT / "tests" / "packs" / "shell_day.yaml").read_text("utf-8"))
PROJECT = "/srv/project"
SECRET = re.compile(r"(^|/)[.]env$|[.]key$")
TOOLS = set(
    [
        "black",
        "bundle",
        "cargo",
        "dotnet",
        "eslint",
        "flake8",
        "go",
        "golangci-lint",
        "gradle",
        "make",
        "mvn",
        "mypy",
        "npm",
        "pnpm",
        "prettier",
        "pytest",
        "ruff",
        "tox",
        "tsc",
        "yarn",
    ]
)
"""Programs of a project that a sensible policy lets run in it."""
WRITERS = set(["chmod", "cp", "git", "ln", "mkdir", "tee", "touch"])
"""Programs that change something, and that it lets write below the folder."""
NAMED = re.compile(r"program (?:in \[([^\]]*)\]|== (\"[^\"]*\"))")


def test_the_day_is_long() -> None:
    assert sum(len(lines) for lines in DAY.values()) >= 300
    assert all(len(set(lines)) == len(lines) for lines in DAY.values())


@pytest.mark.parametrize("line", [*DAY["allow"], *DAY["ask"]])
def test_an_ordinary_line_is_read(line: str) -> None:
    assert shell(line, PROJECT)["commands"]


@pytest.mark.parametrize("line", DAY["allow"])
def test_what_is_allowed_only_reads_or_works_with_the_project_in_its_folder(line: str) -> None:
    told = shell(line, PROJECT)
    assert (told["unknown"], told["outside"], told["indirect"], told["folders"]) == (
        [],
        [],
        False,
        told["folders"],
    )
    assert told["simple"] or not told["code"] or set(told["obeys"]) & TOOLS
    assert set(told["sends"]) <= TOOLS
    assert set(told["changes"]) <= WRITERS


@pytest.mark.parametrize("line", DAY["ask"])
def test_what_a_person_should_see_is_not_simple(line: str) -> None:
    assert not shell(line, PROJECT)["simple"]


@pytest.mark.parametrize("line", DAY["refuse"])
def test_what_is_refused_is_never_simple_inside_and_without_a_secret(line: str) -> None:
    try:
        told = shell(line, PROJECT)
    except FunctionError:
        return
    assert not told["simple"] or told["outside"] or any(SECRET.search(path) for path in told["reads"])


@pytest.mark.parametrize("posture", ["read-only", "careful", "open-with-guards"])
def test_every_program_that_a_pack_names_is_known(posture: str) -> None:
    text = Pack("shell", posture).path.read_text("utf-8")
    lists = [first or second for first, second in NAMED.findall(text)]
    named = {name.strip('"') for one in lists for name in re.findall(r'"[^"]*"', one)}
    assert len(named) > 20
    assert {name for name in named if known(name) is None} == set()


def test_only_the_shell_pack_names_programs() -> None:
    others = [
        path for path in FOLDER.rglob("*.yaml") if path.parent.name != "shell" and "_test" not in path.name
    ]
    assert not any("shell(" in path.read_text("utf-8") for path in others)
