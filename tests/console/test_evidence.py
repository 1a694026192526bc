"""The newest evidence: in order, bounded, and what cannot be read is counted."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.console import evidence
from mcpguard.console.evidence import Evidence
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Outcome, Record
from tests.console.desk import DECIDED, NOW, OPENED


def chain(folder: Path, *records: Record) -> AuditFile:
    audit = AuditFile(folder, "flush")
    for one in (OPENED, *records):
        audit.write(one)
    audit.commit()
    return audit


def decided(number: int, seconds: float = 0.0) -> Decided:
    return structs.replace(DECIDED, id=f"c-{number}", at=NOW + timedelta(seconds=seconds))


def ids(found: Evidence) -> list[str]:
    return [call.decision.id for call in found.calls]


def test_records_of_several_processes_come_in_the_order_of_time(tmp_path: Path) -> None:
    files = [chain(tmp_path, decided(1), decided(3, 3)), chain(tmp_path, decided(2, 2))]
    found = Evidence(tmp_path)
    assert found.poll()
    assert ids(found) == ["c-1", "c-2", "c-3"]
    assert not found.poll()
    for file in files:
        file.close(Closed(NOW, "done"))


def test_what_is_appended_is_seen_with_its_outcome(tmp_path: Path) -> None:
    audit = chain(tmp_path, decided(1))
    found = Evidence(tmp_path)
    found.poll()
    (call,) = found.called("c-1")
    assert call.outcome is None
    audit.write(Outcome(NOW, "c-1", "ok", 1.5))
    audit.write(Noticed(NOW, "label-cleared", detail="x"))
    audit.commit()
    before = found.revision
    assert found.poll()
    assert call.outcome is not None
    assert call.place.number == 2
    assert call.outcome_place is not None
    assert call.outcome_place.number == 3
    assert [one.notice.what for one in found.notices] == ["label-cleared"]
    assert found.revision == before + 1
    audit.close(Closed(NOW, "done"))


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    audit = chain(tmp_path, decided(1))
    (path,) = tmp_path.glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    found = Evidence(tmp_path)
    found.poll()
    assert ids(found) == []
    path.write_bytes(whole)
    found.poll()
    assert ids(found) == ["c-1"]
    assert found.unreadable == 0
    audit.close(Closed(NOW, "done"))


def test_what_nobody_writes_is_counted_and_left_out(tmp_path: Path) -> None:
    tmp_path.joinpath("a.jsonl").write_bytes(b'{"kind":"decision"}\nno\n\xff\xfe\n' + b"[" * 100 + b"\n")
    os.mkfifo(tmp_path / "b.jsonl")
    tmp_path.joinpath("c.jsonl").mkdir()
    found = Evidence(tmp_path)
    found.poll()
    assert found.calls == []
    assert found.unreadable == 6
    found.poll()
    assert found.unreadable == 6


def test_a_chain_that_was_removed_after_its_time_is_no_trouble(tmp_path: Path) -> None:
    audit = chain(tmp_path, decided(1))
    found = Evidence(tmp_path)
    found.poll()
    (path,) = tmp_path.glob("*.jsonl")
    path.unlink()
    assert not found.poll()
    assert found.unreadable == 0
    assert ids(found) == ["c-1"]
    with suppress(AuditError):
        audit.close(Closed(NOW, "done"))


def test_a_folder_that_is_not_there_has_no_evidence(tmp_path: Path) -> None:
    found = Evidence(tmp_path / "none")
    assert not found.poll()
    assert found.calls == []


def test_of_large_files_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "FIRST_BYTES", 2000)
    audit = chain(tmp_path, *(decided(number, number) for number in range(50)))
    found = Evidence(tmp_path)
    found.poll()
    assert found.partly
    assert ids(found)[-1] == "c-49"
    assert 0 < len(found.calls) < 20
    assert found.unreadable == 0
    audit.close(Closed(NOW, "done"))


def test_only_so_many_calls_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_CALLS", 3)
    audit = chain(tmp_path, *(decided(number, number) for number in range(5)))
    found = Evidence(tmp_path)
    found.poll()
    assert ids(found) == ["c-2", "c-3", "c-4"]
    assert found.since == found.calls[0].at
    assert found.called("c-0") == []
    assert found.partly
    audit.close(Closed(NOW, "done"))


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    tmp_path.joinpath("a.jsonl").write_bytes(b"x" * (3 << 20))
    found = Evidence(tmp_path)
    found.poll()
    assert found.unreadable == 1
    assert not found.poll()


def test_what_a_session_did_before_is_its_own(tmp_path: Path) -> None:
    other = structs.replace(decided(2, 2), agent="other")
    audit = chain(tmp_path, decided(1, 1), other, decided(3, 3), decided(4, 9))
    found = Evidence(tmp_path)
    found.poll()
    before = found.before(NOW + timedelta(seconds=5), "os-user:ada", "desk", 5)
    assert [call.decision.id for call in before] == ["c-3", "c-1"]
    assert len(found.before(NOW + timedelta(seconds=5), "os-user:ada", "desk", 1)) == 1
    audit.close(Closed(NOW, "done"))


def test_a_chain_of_another_process_ends_no_call(tmp_path: Path) -> None:
    real = chain(tmp_path, decided(1))
    denied = structs.replace(decided(1, 1), effect="deny")
    planted = chain(tmp_path, denied, Outcome(NOW, "c-1", "error", 9))
    found = Evidence(tmp_path)
    found.poll()
    assert [call.outcome for call in found.called("c-1")] == [None, Outcome(NOW, "c-1", "error", 9)]
    real.close(Closed(NOW, "rotated"))
    later = AuditFile(tmp_path, "flush")
    later.write(structs.replace(OPENED, continues=real.path.name))
    later.write(Outcome(NOW, "c-1", "ok", 1.5))
    later.commit()
    found.poll()
    statuses = [call.outcome.status for call in found.called("c-1") if call.outcome is not None]
    assert statuses == ["ok", "error"]
    for file in (planted, later):
        file.close(Closed(NOW, "done"))
