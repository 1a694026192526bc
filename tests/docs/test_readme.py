"""The README promises nothing that no test proves."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mcpguard.core.detectors import OPT_IN
from mcpguard.core.model import Permit
from mcpguard.core.policy import PolicySet, compile_policy
from tests.docs.pages import ROOT, blocks, links
from tests.docs.verdicts import verdict

README = ROOT / "README.md"
TEXT = README.read_text("utf-8")


def rows() -> list[str]:
    section = TEXT.partition("## What it promises")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][2:]


def test_there_are_promises() -> None:
    assert len(rows()) >= 10


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_each_promise_names_a_test_that_exists(row: str) -> None:
    cells = row.strip("| ").split(" | ")
    assert len(cells) == 2
    found = re.fullmatch(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", cells[1])
    assert found, cells[1]
    source = (ROOT / found[2]).read_text("utf-8")
    assert re.search(rf"^(?:async )?def {found[1]}\(", source, re.MULTILINE)


@pytest.mark.parametrize(
    ("tool", "args", "expected"),
    [
        ("git_log", {}, True),
        ("git_create_branch", {"branch_name": "agent/fix-typo"}, True),
        ("git_create_branch", {"branch_name": "main"}, "git-careful/branch-names"),
        ("git_create_branch", {"branch_name": 1}, "git-careful/branch-names"),
        ("git_reset", {}, False),
    ],
)
def test_the_policy_of_the_readme_decides_as_it_says(
    tool: str, args: dict[str, Any], expected: bool | str
) -> None:
    (block,) = blocks("yaml", "policy", [README])
    policies = PolicySet([compile_policy(block.text, "README.md", OPT_IN)])
    found = verdict(policies, "git", tool, args)
    assert isinstance(found, Permit) == (expected is True)
    if isinstance(expected, str):
        assert found.rules == (expected,)


def test_the_place_for_the_figures_is_marked() -> None:
    marks = ["<!-- bench -->", "<!-- bench http -->", "<!-- /bench -->"]
    assert [TEXT.count(mark) for mark in marks] == [1, 1, 1]
    places = [TEXT.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_commands_of_the_readme_use_what_is_there() -> None:
    assert (ROOT / "scripts" / "test").exists()
    assert (ROOT / "constraints.txt").exists()
    assert "python3 scripts/test" in TEXT


def test_each_guide_is_linked_once() -> None:
    linked = [target for _, target in links(README) if "/guides/" in target and "#" not in target]
    guides = [str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "guides").glob("*.md")]
    assert sorted(linked) == sorted(guides)


def test_moving_in_comes_first() -> None:
    section = TEXT.partition("## Put it in front of your servers\n\n")[2]
    assert section.startswith("```sh\n.venv/bin/mcpguard import\n```\n")
