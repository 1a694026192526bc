"""Evidence that survives a power failure: the sync runs in a thread, groups form meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from mcpguard.adapters.audit import chain_file, writer
from mcpguard.adapters.audit.reader import lines, verified
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.verification import verify
from mcpguard.gateway.flight import Wait
from tests.adapters.audit.audit_records import (
    CLOSED,
    DECIDED,
    OPENED,
    OUTCOME,
    Owner,
    Unended,
    failure,
    fault,
    kinds,
    stored,
)

pytestmark = pytest.mark.anyio


class SlowDisk:
    """An fdatasync that waits until the test lets it go, and may fail then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.error: OSError | None = None
        self.count = 0
        monkeypatch.setattr(chain_file, "sync_file", self._sync)

    def _sync(self, file: int) -> None:
        self.count += 1
        self.entered.release()
        self.release.acquire()
        if self.error is not None:
            raise self.error
        os.fsync(file)


async def test_records_written_during_a_sync_are_the_next_group(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    sink = AuditFile(folder, "fsync")
    first = sink.write(OPENED)
    sink.commit()
    disk.entered.acquire()
    later = [sink.write(DECIDED), sink.write(OUTCOME)]
    assert not sink.pending
    sink.commit()
    assert not first.done
    disk.release.release(2)
    await _over(first)
    assert not later[0].done
    await _over(later[0])
    assert later[0] is later[1]
    assert disk.count == 2
    disk.release.release()
    sink.close(CLOSED)
    assert verify(lines(sink.path)).closed


async def test_a_sync_that_fails_takes_what_was_sealed_on_top_of_it_along(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    turn = Unended()
    sink, done = AuditFile(folder, "fsync", turn), turn.asked
    disk.release.release()
    sink.write(OPENED)
    done.clear()
    sink.commit()
    await done.wait()
    disk.entered.acquire()
    disk.error = OSError(5, "Input/output error")
    lost = sink.write(DECIDED)
    sink.commit()
    disk.entered.acquire()
    on_top = sink.write(OUTCOME)
    done.clear()
    disk.release.release()
    await done.wait()
    assert "Input/output error" in failure(lost)
    assert "Input/output error" in failure(on_top)
    disk.error = None
    disk.release.release(10)
    first = sink.path
    sink.close(CLOSED)
    assert kinds(first) == ["opened", "closed"]
    assert kinds(sink.path) == ["opened", "notice", "closed"]
    assert verify(lines(sink.path)).intact


async def test_a_sync_that_does_not_end_refuses_and_what_it_stored_in_the_end_is_in_the_chain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    disk = SlowDisk(monkeypatch)
    owner = Owner(folder, "fsync")
    sink = owner.sink
    disk.release.release()
    await owner.stored(OPENED)
    lost = sink.write(DECIDED)
    await owner.over(lost)
    assert "has not responded" in failure(lost)
    assert "has not responded" in failure(sink.write(DECIDED))
    assert owner.told == [False]
    first = sink.path
    disk.release.release(20)
    await owner.healthy()
    sink.close(CLOSED)
    assert kinds(first) == ["opened", "decision", "closed"]
    assert kinds(sink.path) == ["opened", "notice", "closed"]
    reports, missing = verified(folder, {})
    assert all(report.intact for report in reports.values())
    assert missing == []


def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Writes go on when the first is set; the second has the threads that wrote."""
    goes_on, threads, real = threading.Event(), list[int](), os.write

    def write(file: int, data: bytes) -> int:
        threads.append(threading.get_ident())
        assert goes_on.wait(20)
        return real(file, data)

    fault(monkeypatch, write)
    return goes_on, threads


async def test_a_write_that_hangs_where_all_wait_for_it_refuses_and_what_it_stored_is_in_the_chain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "HOLD_SECONDS", 0.05)
    monkeypatch.setattr(writer, "TRUST_SECONDS", 0.0)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    owner = Owner(folder)
    sink = owner.sink
    await owner.stored(OPENED)
    goes_on, _ = hanging(monkeypatch)
    lost = sink.write(DECIDED)
    await owner.over(lost)
    assert "has not responded" in failure(lost)
    assert "has not responded" in failure(sink.write(DECIDED))
    first = sink.path
    goes_on.set()
    await owner.healthy()
    sink.close(CLOSED)
    assert kinds(first) == ["opened", "decision", "closed"]
    assert kinds(sink.path) == ["opened", "notice", "closed"]
    reports, missing = verified(folder, {})
    assert all(report.intact for report in reports.values())
    assert missing == []


async def test_a_write_soon_after_another_costs_no_thread_unless_it_has_many_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "TRUST_SECONDS", 1e9)
    goes_on, threads = hanging(monkeypatch)
    goes_on.set()
    owner = Owner(folder)
    for records in (1, 1, writer.MANY):
        for _ in range(records):
            owner.sink.write(OPENED)
        owner.commit()
    here = threading.get_ident()
    assert [one == here for one in threads] == [False, True, False]
    owner.sink.close(CLOSED)


@pytest.mark.parametrize("error", [None, OSError(5, "Input/output error")])
async def test_a_disk_that_hangs_does_not_hold_up_the_end_of_the_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    monkeypatch.setattr(writer, "END_SECONDS", 0.05)
    disk = SlowDisk(monkeypatch)
    owner = Owner(folder, "fsync")
    disk.release.release()
    await owner.stored(OPENED)
    owner.sink.write(DECIDED)
    disk.error = error
    with pytest.raises(AuditError, match="has not responded"):
        owner.sink.close(CLOSED)
    disk.release.release(20)


async def test_records_that_are_gathered_share_one_sync(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    disk.release.release(50)
    owner = Owner(folder, "group")
    first = owner.sink.write(OPENED)
    owner.commit()
    await asyncio.sleep(0)
    second = owner.sink.write(DECIDED)
    assert owner.sink.settled() is second is first
    await owner.over(second)
    assert stored(second)
    assert disk.count == 1
    owner.sink.write(OUTCOME)
    owner.commit()
    owner.sink.close(CLOSED)
    assert kinds(owner.sink.path) == ["opened", "decision", "outcome", "closed"]


async def test_enough_records_are_synced_at_once_also_where_some_are_gathered_already(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 3_600.0)
    disk = SlowDisk(monkeypatch)
    disk.release.release(50)
    owner = Owner(folder, "group")
    first = owner.sink.write(OPENED)
    owner.commit()
    for _ in range(writer.ENOUGH - 1):
        last = owner.sink.write(DECIDED)
    owner.commit()
    await owner.over(last)
    assert stored(first)
    for _ in range(writer.ENOUGH):
        last = owner.sink.write(DECIDED)
    owner.commit()
    await owner.over(last)
    assert disk.count == 2
    owner.sink.close(CLOSED)


async def test_groups_leave_nothing_for_the_collector(folder: Path) -> None:
    owner = Owner(folder, "fsync")
    await owner.stored(OPENED)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await owner.stored(DECIDED)
        assert gc.collect() == 0
    finally:
        gc.enable()
    owner.sink.close(CLOSED)


async def test_closing_waits_for_the_sync_that_is_under_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    turn = Unended()
    sink = AuditFile(folder, "fsync", turn)
    first = sink.write(OPENED)
    sink.commit()
    disk.release.release(2)
    sink.close(CLOSED)
    assert stored(first)
    turn.asked.clear()
    await asyncio.sleep(0)
    assert not turn.asked.is_set()
    assert kinds(sink.path) == ["opened", "closed"]


async def _over(wait: Wait[None]) -> None:
    event = asyncio.Event()
    wait.then(lambda _: event.set())
    await event.wait()
