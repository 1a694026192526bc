"""`mcpguard suggest`: a diff of what records suggest; it writes nothing without a terminal and a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpguard.cli import main
from tests.authoring.test_own_policy_standing import home
from tests.authoring.test_suggest import decided, record
from tests.cli.operating.test_session import notices

Capture = pytest.CaptureFixture[str]

__all__ = ["home"]


@pytest.fixture(autouse=True)
def configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(home / "mcpguard.yaml"))


def says(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: word)


def test_it_shows_what_was_refused_and_a_diff_and_writes_nothing(home: Path, capsys: Capture) -> None:
    record(home, decided(1), decided(2))
    assert main(["suggest"]) == 0
    said = capsys.readouterr().out
    assert "no rule" in said
    assert "git/log" in said
    assert "c-1, c-2" in said
    assert "+      && false" in said
    assert not (home / "my-approvals.yaml").exists()


def test_as_json(home: Path, capsys: Capture) -> None:
    record(home, decided(1))
    assert main(["suggest", "--json", "--since", "2h", "--server", "git"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["tool"], one["count"]) for one in told["suggestions"]] == [("log", 1)]
    assert told["diff"].startswith("--- /dev/null\n+++ my-approvals.yaml\n")


def test_nothing_to_suggest_says_so(home: Path, capsys: Capture) -> None:
    record(home)
    assert main(["suggest"]) == 0
    assert "no tool call was refused for lack of a rule" in capsys.readouterr().out


def test_a_call_to_a_server_that_is_not_configured_suggests_nothing(home: Path, capsys: Capture) -> None:
    record(home, decided(1, server="wrapped"))
    assert main(["suggest"]) == 0
    assert capsys.readouterr().out.startswith("no tool call was refused for lack of a rule")


def test_what_is_no_call_of_a_tool_is_counted(home: Path, capsys: Capture) -> None:
    record(home, *(decided(one, method="resources/read", tool="", subject="a:b") for one in (1, 2)))
    assert main(["suggest"]) == 0
    said = capsys.readouterr().out
    assert "other requests that no rule allows: resources/read 2; for them write rules with `action`" in said
    assert main(["suggest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["others"] == {"resources/read": 2}


def test_altered_evidence_is_reported(home: Path, capsys: Capture) -> None:
    chain = record(home, decided())
    chain.write_bytes(chain.read_bytes().replace(b'"log"', b'"lug"'))
    assert main(["suggest"]) == 1
    assert (
        f"{chain.name} was altered, or written by a newer mcpguard, so it is ignored"
        in capsys.readouterr().err
    )
    assert main(["suggest", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["altered"] == [chain.name]


def test_what_sound_evidence_suggests_is_written_beside_an_altered_chain(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = record(home, decided(1))
    chain.write_bytes(chain.read_bytes().replace(b'"log"', b'"lug"'))
    record(home, decided(2))
    says(monkeypatch, "y")
    assert main(["suggest", "--write"]) == 1
    assert "written log-" in capsys.readouterr().out


def test_a_person_writes_it(home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    record(home, decided())
    says(monkeypatch, "y")
    assert main(["suggest", "--write"]) == 0
    said = capsys.readouterr().out
    assert "written log-" in said
    assert "rules that end in `&& false` allow nothing yet: replace `false` in each" in said
    assert "&& false" in (home / "my-approvals.yaml").read_text()
    assert [what for what, _ in notices(home)] == ["rules-suggested"]
    assert main(["test", str(home / "my-approvals_test.yaml")]) == 0


def test_whoever_does_not_say_yes_writes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(home, decided())
    says(monkeypatch, "")
    assert main(["suggest", "--write"]) == 1
    assert not (home / "my-approvals.yaml").exists()


def test_an_agent_without_a_terminal_writes_nothing(home: Path, capsys: Capture) -> None:
    record(home, decided())
    assert main(["suggest", "--write"]) == 2
    assert "needs a terminal" in capsys.readouterr().err
    assert not (home / "my-approvals.yaml").exists()


def test_what_changed_after_it_was_shown_is_not_written(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(home, decided())
    says(monkeypatch, "y")
    monkeypatch.setattr("builtins.input", lambda _: record(home, decided(2, tool="other")) and "y")
    assert main(["suggest", "--write"]) == 2
    assert "the suggestions have changed in the meantime" in capsys.readouterr().err
    assert not (home / "my-approvals.yaml").exists()


@pytest.mark.parametrize("since", ["7", "1y", "-1d", "\u0663d"])
def test_a_time_is_a_date_or_an_age(since: str, capsys: Capture) -> None:
    assert main(["suggest", f"--since={since}"]) == 2
    assert "an age such as 30m, 2h, 3d or 2w" in capsys.readouterr().err
