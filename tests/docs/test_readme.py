"""The README: its policy decides as it says, its figures are measured, its commands exist."""

from __future__ import annotations

import re
from runpy import run_path
from typing import Any

from mcpguard.core.model import Permit
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from tests.docs.pages import ROOT, blocks, links
from tests.docs.verdicts import verdict
from tests.rows import each

README = ROOT / "README.md"
TEXT = README.read_text("utf-8")


@each(
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
    page = (ROOT / "docs" / "speed.md").read_text("utf-8")
    marks = ["<!-- bench -->", "<!-- bench http -->", "<!-- /bench -->"]
    assert [page.count(mark) for mark in marks] == [1, 1, 1]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_short_table_of_speed_has_the_figures_of_its_page() -> None:
    figures = run_path(str(ROOT / "bench" / "readme.py"))
    begin, end = figures["PARTS"]["short"]
    shown = TEXT.partition(begin)[2].partition(end)[0].strip()
    assert shown == figures["short"]((ROOT / "docs" / "speed.md").read_text("utf-8"))


def test_the_commands_of_the_readme_use_what_is_there() -> None:
    assert (ROOT / "scripts" / "test").exists()
    assert (ROOT / "constraints.txt").exists()
    assert "python3 scripts/test" in TEXT


def test_each_guide_is_linked_once() -> None:
    linked = [target for _, target in links(README) if "/guides/" in target and "#" not in target]
    guides = [str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "guides").glob("*.md")]
    assert sorted(linked) == sorted(guides)


def test_there_are_five_ways_to_put_it_in_front_of_a_client_and_moving_in_comes_first() -> None:
    section = TEXT.partition("## Put it in front of your servers\n\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\*\*(\d)\.", section, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert section.partition("```")[2].startswith("sh\n.venv/bin/mcpguard import\n```\n")
