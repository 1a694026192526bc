"""`mcpguard audit export`: once, or on from a cursor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.following import Following
from mcpguard.cli import main
from mcpguard.core.evidence.records import Checkpoint
from tests.adapters.audit.audit_records import NOW
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


def test_what_was_removed_between_two_runs_is_said(folder: Path, tmp_path: Path, capfd: Capture) -> None:
    words = ["audit", "export", str(folder), "--cursor", str(tmp_path / "cursor")]
    first = chain(folder, DECIDED)
    removal = Checkpoint(NOW, removed=1, removed_until=first.name)
    first.unlink()
    chain(folder, removal)
    assert main(words) == 0  # It was gone before the cursor was made.
    second = chain(folder, DECIDED)
    assert main(words) == 0
    second.unlink()
    chain(folder, structs.replace(removal, removed_until=second.name))
    assert main(words) == 0  # It was read before.
    # Names begin with the second in which a chain began.
    third = folder / f"9{second.name[1:]}"
    chain(folder, structs.replace(removal, removed_until=third.name))
    capfd.readouterr()
    assert main(words) == 1
    assert f"chains up to {third.name} were removed before they were all exported" in capfd.readouterr().err
    assert main(words) == 0


def test_a_removal_that_cannot_be_read_is_exported_as_it_is(folder: Path, capfd: Capture) -> None:
    path = chain(folder, DECIDED)
    path.write_bytes(path.read_bytes() + b'{"kind":"checkpoint","removed_until":5}\n')
    assert main(["audit", "export", str(folder)]) == 1
    assert "was altered" in capfd.readouterr().err


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
