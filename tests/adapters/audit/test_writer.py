"""Evidence in real files: who owns them, groups, and the end."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from mcpguard.adapters.audit.reader import lines
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.verification import verify
from mcpguard.gateway.flight import Flight
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME, failure, kinds, stored


def test_the_file_and_its_folder_belong_to_the_user_alone(sink: AuditFile, folder: Path) -> None:
    assert stat.S_IMODE(sink.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sink.path.parent == folder
    assert f"-{os.getpid()}-" in sink.path.name
    assert sink.path.name.endswith(".jsonl")


def test_a_child_process_does_not_inherit_the_file(sink: AuditFile) -> None:
    names = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, check=True, close_fds=False)
    assert sink.path.name.encode() not in names.stdout


def test_a_record_is_durable_in_the_commit_and_not_before(sink: AuditFile) -> None:
    wait = sink.write(OPENED)
    assert sink.pending
    assert not wait.done
    assert sink.path.read_bytes() == b""
    sink.commit()
    assert stored(wait)
    assert not sink.pending
    assert kinds(sink.path) == ["opened"]


def test_records_of_one_turn_share_one_wait_and_one_write(
    sink: AuditFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: writes.append(file) or real(file, data))
    waits = {id(sink.write(record)) for record in (OPENED, DECIDED, OUTCOME)}
    sink.commit()
    assert len(waits) == 1
    assert len(writes) == 1


def test_a_commit_without_records_touches_nothing(sink: AuditFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", None)
    sink.commit()
    assert not sink.pending


def test_flights_that_a_commit_resumes_write_the_next_batch(sink: AuditFile) -> None:
    order = []

    async def call() -> None:
        await sink.write(DECIDED)
        order.append(kinds(sink.path)[-1])
        await sink.write(OUTCOME)
        order.append(kinds(sink.path)[-1])

    sink.write(OPENED)
    flight = Flight(call())
    sink.commit()
    assert sink.pending
    assert order == ["decision"]
    sink.commit()
    assert flight.over
    assert order == ["decision", "outcome"]


def test_closing_stores_what_is_pending_and_comes_last(sink: AuditFile) -> None:
    async def call() -> None:
        await sink.write(DECIDED)
        await sink.write(OUTCOME)

    sink.write(OPENED)
    flight = Flight(call())
    sink.close(CLOSED)
    assert flight.over
    assert kinds(sink.path) == ["opened", "decision", "outcome", "closed"]
    assert verify(lines(sink.path)).closed


def test_after_the_end_nothing_is_accepted_and_a_second_close_does_nothing(sink: AuditFile) -> None:
    sink.write(OPENED)
    sink.close(CLOSED)
    assert failure(sink.write(DECIDED)) == "the audit log is closed"
    sink.close(CLOSED)
    assert kinds(sink.path) == ["opened", "closed"]


def test_a_folder_that_cannot_be_made_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("")
    with pytest.raises(AuditError, match=r"audit folder .*/audit cannot be used \(.*\): make it a folder"):
        AuditFile(tmp_path / "audit")
