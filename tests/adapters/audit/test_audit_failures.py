"""Evidence that cannot be written: failures that the kernel makes, and processes that are killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mcpguard.adapters.audit import writer as audit_file
from mcpguard.adapters.audit.reader import chain_files, lines, verified
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.terms import Durability
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Noticed
from mcpguard.core.evidence.verification import verify
from tests.adapters.audit.audit_records import (
    CLOSED,
    DECIDED,
    NOW,
    OPENED,
    OUTCOME,
    Owner,
    broken,
    failure,
    fault,
    kinds,
    stored,
)
from tests.wire.warm import python

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_file, "RETRY_SECONDS", 0.01)


def test_a_record_that_cannot_be_encoded_fails_alone(sink: AuditFile) -> None:
    good = sink.write(OPENED)
    assert "JSON" in failure(sink.write(Noticed(NOW, "finding", detail="\ud800")))
    sink.commit()
    assert stored(good)
    assert verify(lines(sink.path)).intact


@pytest.mark.parametrize("durability", ["flush", "fsync", "group"])
async def test_after_a_write_that_fails_a_new_chain_says_what_was_refused(
    folder: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(folder, durability)
    sink = owner.sink
    await owner.stored(OPENED)
    first = sink.path
    real = os.write

    halves = []

    def full(file: int, data: bytes) -> int:
        halves.append(data)
        if len(halves) > 1:
            raise OSError(28, "No space left on device")
        return real(file, data[: len(data) // 2])

    with monkeypatch.context() as patched:
        fault(patched, full)
        refused = sink.write(DECIDED)
        await owner.over(refused)
        assert failure(refused).endswith("cannot be written: No space left on device")
        assert owner.told == [False]
        assert sink.health.problem == failure(refused)
        assert failure(sink.write(DECIDED)) == failure(refused)
    await owner.healthy()
    assert owner.told == [False, True]
    assert sink.health.problem == ""
    await owner.stored(DECIDED)
    sink.close(CLOSED)
    assert kinds(first) == ["opened", "closed"]
    assert kinds(sink.path) == ["opened", "notice", "decision", "closed"]
    gap = json.loads(list(lines(sink.path))[1])
    assert gap["what"] == "evidence-gap"
    assert gap["detail"].endswith(f"to this record, 2 requests refused: {failure(refused)}")
    reports, missing = verified(folder, {})
    assert missing == []
    assert all(report.intact and report.closed for report in reports.values())


async def test_what_was_decided_before_a_gap_may_have_its_outcome_after_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(folder)
    await owner.stored(OPENED)
    await owner.stored(DECIDED)
    first = owner.sink.path
    with monkeypatch.context() as patched:
        fault(patched, broken)
        await owner.over(owner.sink.write(DECIDED))
    await owner.healthy()
    assert verified(folder, {})[0][first.name].unfinished == ("n-1",)
    await owner.stored(OUTCOME)
    owner.sink.close(CLOSED)
    reports, _ = verified(folder, {})
    assert [report.unfinished for report in reports.values()] == [(), ()]
    assert all(report.intact for report in reports.values())


async def test_a_gap_goes_on_where_its_own_record_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(folder)
    await owner.stored(OPENED)
    real = os.write
    tries = []

    def no_notice(file: int, data: bytes) -> int:
        if b'"evidence-gap"' in bytes(data) and b'"notice"' in bytes(data):
            tries.append(file)
            if len(tries) < 3:
                raise OSError(28, "No space left on device")
        return real(file, data)

    with monkeypatch.context() as patched:
        fault(patched, broken)
        await owner.over(owner.sink.write(DECIDED))
        fault(patched, no_notice)
        await owner.healthy()
    assert len(tries) == 3
    assert owner.told == [False, True]
    assert "1 request refused" in list(lines(owner.sink.path))[1].decode()
    owner.sink.close(CLOSED)
    reports, missing = verified(folder, {})
    assert all(report.intact for report in reports.values())
    assert missing == []


def test_the_end_of_a_process_that_could_not_write_says_what_was_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = AuditFile(folder)
    before.write(OPENED)
    before.close(CLOSED)
    sink = AuditFile(folder)
    with monkeypatch.context() as patched:
        fault(patched, broken)
        refused = sink.write(OPENED)
        sink.commit()
        assert "Input/output error" in failure(refused)
        assert "Input/output error" in failure(sink.write(DECIDED))
    sink.close(CLOSED)
    assert kinds(sink.path) == ["opened", "notice", "closed"]
    assert len(chain_files(folder)) == 2
    assert verify(lines(sink.path)).intact
    assert json.loads(next(lines(sink.path)))["anchors"][0]["file"] == before.path.name


def test_an_end_that_cannot_be_written_either_is_an_error(
    sink: AuditFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(OPENED)
    sink.commit()
    fault(monkeypatch, broken)
    monkeypatch.setattr(os, "ftruncate", broken)
    refused = sink.write(DECIDED)
    sink.commit()
    assert "Input/output error" in failure(refused)
    with pytest.raises(AuditError, match="Input/output error"):
        sink.close(CLOSED)
    monkeypatch.undo()
    assert "Input/output error" in failure(sink.write(DECIDED))


def test_an_unforeseen_failure_refuses_too(sink: AuditFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise RuntimeError("hunter2-is-not-to-be-seen")

    monkeypatch.setattr(os, "write", fails)
    refused = sink.write(OPENED)
    sink.commit()
    monkeypatch.undo()
    assert failure(refused).endswith("cannot be written: RuntimeError")


@pytest.mark.parametrize("harm", ["removed", "folder removed", "cut off", "appended to", "emptied"])
async def test_a_file_that_something_else_changed_is_left_and_its_true_head_is_on_record(
    folder: Path, harm: str
) -> None:
    owner = Owner(folder)
    await owner.stored(OPENED)
    await owner.stored(DECIDED)
    first = owner.sink.path
    if harm == "removed":
        first.unlink()
    elif harm == "folder removed":
        shutil.rmtree(folder)
    elif harm == "appended to":
        with first.open("ab") as file:
            file.write(b"x\n")
    else:
        os.truncate(first, 10 if harm == "cut off" else 0)
    refused = owner.sink.write(DECIDED)
    await owner.over(refused)
    assert "was moved, removed or changed" in failure(refused)
    await owner.healthy()
    owner.sink.close(CLOSED)
    assert "was moved, removed or changed" in list(lines(owner.sink.path))[1].decode()
    reports, missing = verified(folder, {})
    assert reports[owner.sink.path.name].intact
    if first.exists():
        assert not reports[first.name].intact
    else:
        assert missing == [first.name]


@pytest.mark.parametrize("harm", ["the folder", "a folder above", "the file", "another file"])
async def test_evidence_that_was_moved_away_goes_on_in_a_new_chain_where_it_belongs(
    folder: Path, harm: str
) -> None:
    owner = Owner(folder)
    await owner.stored(OPENED)
    await owner.stored(DECIDED)
    first, moved = owner.sink.path, folder.parent.with_name("moved")
    {"the folder": folder, "a folder above": folder.parent}.get(harm, first).rename(moved)
    if harm == "another file":
        shutil.copy(moved, first)
    owner.sink.file.look_at = 0.0
    refused = owner.sink.write(DECIDED)
    await owner.over(refused)
    assert "was moved, removed or changed" in failure(refused)
    await owner.healthy()
    await owner.stored(DECIDED)
    owner.sink.close(CLOSED)
    assert owner.sink.path.parent == folder
    assert kinds(owner.sink.path) == ["opened", "notice", "decision", "closed"]
    assert "1 request refused" in list(lines(owner.sink.path))[1].decode()
    (old,) = [moved] if moved.is_file() else moved.rglob("*.jsonl")
    assert kinds(old) == ["opened", "decision"]
    assert verified(folder, {})[1] == ([] if harm == "another file" else [first.name])


async def test_a_file_in_the_place_of_the_folder_refuses_everything_until_it_is_gone(folder: Path) -> None:
    owner = Owner(folder)
    await owner.stored(OPENED)
    folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")
    owner.sink.file.look_at = 0.0
    for _ in range(2):
        refused = owner.sink.write(DECIDED)
        await owner.over(refused)
        assert f"a file is in place of the audit folder {folder}" in failure(refused)
    assert owner.told == [False]
    assert "a file is in place" in owner.sink.health.problem
    folder.unlink()
    await owner.healthy()
    await owner.stored(DECIDED)
    owner.sink.close(CLOSED)


async def test_where_nobody_can_tell_whether_a_file_is_in_its_place_it_is_written(
    sink: AuditFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_path: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", unknown)
        assert sink.file.in_place


def test_the_kernel_refusing_a_write_leaves_a_chain_that_verifies(folder: Path) -> None:
    """RLIMIT_FSIZE gives a real short write and then a real error."""
    script = """
        import resource, sys
        from pathlib import Path
        from mcpguard.adapters.audit.writer import AuditFile
        from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, failure

        sink = AuditFile(Path(sys.argv[1]))
        sink.write(OPENED)
        sink.commit()
        limit = sink.path.stat().st_size + 1000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        error, accepted = "", -1
        while not error:
            accepted += 1
            wait = sink.write(DECIDED)
            sink.commit()
            error = failure(wait)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sink.close(CLOSED)
        print(accepted, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    accepted, _, error = done.stdout.partition(" ")
    first, second = chain_files(folder)
    if kinds(first)[1] == "notice":
        first, second = second, first
    report = verify(lines(first))
    assert error.strip().endswith("cannot be written: File too large")
    assert int(accepted) > 0
    assert report.records == int(accepted) + 2
    assert report.closed
    assert kinds(second) == ["opened", "notice", "closed"]
    reports, missing = verified(folder, {})
    assert all(report.intact for report in reports.values())
    assert missing == []


def test_a_writer_that_is_killed_leaves_a_chain_that_verifies(folder: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from mcpguard.adapters.audit.writer import AuditFile
        from tests.adapters.audit.audit_records import DECIDED, OPENED, OUTCOME

        sink = AuditFile(Path(sys.argv[1]))
        sink.write(OPENED)
        sink.commit()
        print(sink.path, flush=True)
        acknowledged = 1
        while True:
            for record in (DECIDED, OUTCOME) * 40:
                sink.write(record)
            sink.commit()
            acknowledged += 80
            print(acknowledged, flush=True)
    """
    chance = random.Random(20260801)
    for _ in range(12):
        with subprocess.Popen(
            [*python(), "-c", textwrap.dedent(script), str(folder)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            path = Path(writer.stdout.readline().strip())
            for _ in range(chance.randrange(1, 60)):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
        report = verify(lines(path))
        assert report.intact
        assert not report.closed
        assert report.records >= int(rest[-1] if rest else 81)
    reports, missing = verified(folder, {})
    assert all(report.intact for report in reports.values())
    assert missing == []
