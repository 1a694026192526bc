"""`mcpguard audit export`: once, or on from a cursor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpguard.adapters.audit.following import Following
from mcpguard.cli import main
from tests.adapters.telemetry.telemetry_records import DECIDED, OUTCOME, STORY, chain

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def test_calls_are_exported_with_those_that_have_no_outcome(folder: Path, capfd: Capture) -> None:
    chain(folder, *STORY, close=False)
    assert main(["audit", "export", str(folder), "--format", "ocsf"]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["status_code"] for event in events if event["class_uid"] == 6003][-1] == "no-outcome"
    assert len(events) == 9


def test_with_a_cursor_the_next_run_goes_on(folder: Path, tmp_path: Path, capfd: Capture) -> None:
    words = ["audit", "export", str(folder), "--cursor", str(tmp_path / "cursor")]
    chain(folder, DECIDED)
    assert main(words) == 0
    assert len(capfd.readouterr().out.splitlines()) == 3
    chain(folder, OUTCOME)
    assert main(words) == 0
    assert len(capfd.readouterr().out.splitlines()) == 3
    other = Following(folder, tmp_path / "cursor")
    other.begin()
    assert main(words) == 2
    assert "another process exports" in capfd.readouterr().err
    other.close()


@pytest.mark.parametrize(
    ("since", "count"), [("2026-08-02", 0), ("2026-07-01T00:00Z", 4), ("9999w", 4), ("1m", 0)]
)
def test_what_was_over_before_is_left_out(folder: Path, capfd: Capture, since: str, count: int) -> None:
    chain(folder, DECIDED, OUTCOME)
    assert main(["audit", "export", str(folder), "--since", since]) == 0
    assert len(capfd.readouterr().out.splitlines()) == count


def test_evidence_is_not_exported_into_itself(folder: Path, tmp_path: Path, capfd: Capture) -> None:
    chain(folder, DECIDED)
    (file,) = folder.iterdir()
    before = file.read_bytes()
    for source, to in ((folder, folder / "new.jsonl"), (folder, file), (file, file)):
        assert main(["audit", "export", str(source), "--to", str(to)]) == 2
        assert "would be mistaken for a chain of this evidence" in capfd.readouterr().err
    assert (list(folder.iterdir()), file.read_bytes()) == ([file], before)
    assert main(["audit", "export", str(folder), "--to", str(tmp_path / "new.jsonl")]) == 0
    assert (tmp_path / "new.jsonl").read_bytes() == before


def test_a_cursor_that_is_none_can_be_removed_to_begin_again(
    folder: Path, tmp_path: Path, capfd: Capture
) -> None:
    chain(folder, DECIDED)
    (tmp_path / "cursor").write_text("")
    assert main(["audit", "export", str(folder), "--cursor", str(tmp_path / "cursor")]) == 2
    assert "cannot be read: remove it to export everything" in capfd.readouterr().err


def test_a_destination_that_takes_nothing_is_two(folder: Path, capfd: Capture) -> None:
    chain(folder)
    assert main(["audit", "export", str(folder), "--to", "http://127.0.0.1:9/"]) == 2
    assert "127.0.0.1:9 does not accept connections" in capfd.readouterr().err
    assert main(["audit", "export", str(folder), "--to", "gopher://x"]) == 2
    assert "not a destination" in capfd.readouterr().err
    assert main(["audit", "export", str(folder), "--since", "yesterday"]) == 2
    assert "expected a date" in capfd.readouterr().err
    assert main(["audit", "export", str(folder / "none")]) == 2
    assert "no audit log" in capfd.readouterr().err
