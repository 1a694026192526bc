"""`mcpguard import --observe`: what moves in is only observed at first, until a day, and nothing else is."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mcpguard.cli import main
from mcpguard.config.loading import find_config, load_config
from mcpguard.core.policy.terms import Observation
from tests.onboarding.corpus import Person, tree
from tests.onboarding.test_views import has, outside_state

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("backend")
IMPORT = ("import", "--yes", "--no-start")


def path() -> Path:
    return find_config(None, os.environ)


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def observed() -> Observation:
    found = load_config(path()).observe
    assert found is not None
    return found


@pytest.mark.parametrize(("option", "days"), [("--observe", 14), ("--observe=3", 3), ("--observe=31", 31)])
def test_the_imported_servers_are_observed_for_so_many_days(
    person: Person, capsys: Capture, option: str, days: int
) -> None:
    has(person.home / ".cursor/mcp.json", "notes", "files")
    before = outside_state(person)
    assert main([*IMPORT, option]) == 0
    said = capsys.readouterr().out
    assert observed().servers == {"notes", "files"}
    assert observed().until == day(days)
    assert f"notes, files: policies are recorded and not enforced until the end of {day(days)} (UTC)" in said
    assert "`mcpguard audit show --observed` prints what would be refused" in said
    assert main(["check"]) == 0
    assert "policies are recorded and not enforced" in capsys.readouterr().out
    assert main(["undo"]) == 0
    assert outside_state(person) == before


def test_without_the_option_nothing_is_observed(person: Person) -> None:
    has(person.home / ".cursor/mcp.json", "notes")
    assert main([*IMPORT]) == 0
    assert load_config(path()).observe is None


def test_servers_that_move_in_later_join_with_the_day_that_is_there(person: Person, capsys: Capture) -> None:
    has(person.home / ".cursor/mcp.json", "notes")
    assert main([*IMPORT, "--observe=3"]) == 0
    has(person.home / ".codeium/windsurf/mcp_config.json", "files")
    assert main([*IMPORT, "--observe"]) == 0
    assert observed().servers == {"notes", "files"}
    assert observed().until == day(3)
    has(person.home / ".gemini/settings.json", "other")
    assert main([*IMPORT]) == 0
    assert observed().servers == {"notes", "files"}
    before = tree(*person)
    capsys.readouterr()
    assert main([*IMPORT, "--observe"]) == 0
    assert tree(*person) == before


def test_one_that_is_over_has_to_go_first(person: Person, capsys: Capture) -> None:
    has(person.home / ".cursor/mcp.json", "notes")
    assert main([*IMPORT, "--observe"]) == 0
    data = yaml.safe_load(path().read_text())
    data["observe"]["until"] = "2020-01-31"
    path().write_text(yaml.safe_dump(data))
    has(person.home / ".codeium/windsurf/mcp_config.json", "files")
    before = outside_state(person)
    capsys.readouterr()
    assert main([*IMPORT, "--observe"]) == 2
    assert "is of 2020-01-31 and has no effect: remove it there, and import again" in capsys.readouterr().err
    assert outside_state(person) == before


def test_a_dry_run_says_it_too(person: Person, capsys: Capture) -> None:
    has(person.home / ".cursor/mcp.json", "notes")
    assert main(["import", "--dry-run", "--observe"]) == 0
    said = capsys.readouterr().out
    assert "observed notes: policies are recorded and not enforced" in said
    assert "observe:" in said


@pytest.mark.parametrize("days", ["0", "32", "-1", "x", "1.5"])
def test_other_numbers_of_days_are_refused(days: str, capsys: Capture) -> None:
    assert main([*IMPORT, f"--observe={days}"]) == 2
    assert "must be a whole number from 1 to 31" in capsys.readouterr().err
