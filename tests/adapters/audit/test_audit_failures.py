"""Evidence that cannot be written: failures that the kernel makes, and processes that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mcpguard.adapters.audit import writer as audit_file
from mcpguard.adapters.audit.reader import chain_files, lines, verified
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Noticed
from mcpguard.core.evidence.verification import verify
from tests.adapters.audit.audit_records import CLOSED, DECIDED, NOW, OPENED, failure, kinds, stored

pytestmark = pytest.mark.anyio


def test_a_record_that_cannot_be_encoded_fails_alone(sink: AuditFile) -> None:
    good = sink.write(OPENED)
    assert "JSON" in failure(sink.write(Noticed(NOW, "finding", detail="\ud800")))
    sink.commit()
    assert stored(good)
    assert verify(lines(sink.path)).intact


@pytest.mark.parametrize("durability", ["flush", "fsync"])
async def test_a_write_that_fails_is_cut_off_and_a_later_one_may_succeed(
    folder: Path, durability: audit_file.Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Event()
    sink = AuditFile(folder, durability, on_pending=done.set)

    async def commit() -> None:
        done.clear()
        sink.commit()
        if durability == "fsync":
            await done.wait()

    sink.write(OPENED)
    await commit()
    real = os.write

    def half(file: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return real(file, data[: len(data) // 2])

    def full(_file: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    refused = sink.write(DECIDED)
    await commit()
    assert failure(refused).endswith("cannot be written: No space left on device")
    assert kinds(sink.path) == ["opened"]

    monkeypatch.setattr(os, "write", real)
    accepted = sink.write(DECIDED)
    await commit()
    assert stored(accepted)
    sink.close(CLOSED)
    report = verify(lines(sink.path))
    assert report.intact
    assert report.closed
    assert report.records == 3


def test_the_first_record_of_a_chain_survives_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = AuditFile(folder)
    before.write(OPENED)
    before.close(CLOSED)
    sink = AuditFile(folder)
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    refused = sink.write(OPENED)
    sink.commit()
    assert "Input/output error" in failure(refused)
    monkeypatch.undo()
    sink.write(DECIDED)
    sink.close(CLOSED)
    assert kinds(sink.path) == ["opened", "decision", "closed"]
    assert verify(lines(sink.path)).intact
    assert json.loads(next(lines(sink.path)))["anchors"][0]["file"] == before.path.name


def test_a_file_that_cannot_be_cut_off_fails_for_good(
    sink: AuditFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(5, "Input/output error")

    sink.write(OPENED)
    sink.commit()
    monkeypatch.setattr(os, "write", fails)
    monkeypatch.setattr(os, "ftruncate", fails)
    refused = sink.write(DECIDED)
    sink.commit()
    monkeypatch.undo()
    assert "Input/output error" in failure(refused)
    assert "Input/output error" in failure(sink.write(DECIDED))
    with pytest.raises(AuditError, match="Input/output error"):
        sink.close(CLOSED)


def test_an_unforeseen_failure_refuses_too(sink: AuditFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise RuntimeError("hunter2-is-not-to-be-seen")

    monkeypatch.setattr(os, "write", fails)
    refused = sink.write(OPENED)
    sink.commit()
    monkeypatch.undo()
    assert failure(refused).endswith("cannot be written: RuntimeError")


@pytest.mark.parametrize("harm", ["removed", "cut off", "appended to"])
def test_a_file_that_something_else_changed_fails_for_good(sink: AuditFile, harm: str) -> None:
    sink.write(OPENED)
    sink.commit()
    if harm == "removed":
        sink.path.unlink()
    elif harm == "cut off":
        os.truncate(sink.path, 10)
    else:
        with sink.path.open("ab") as file:
            file.write(b"x\n")
    refused = sink.write(DECIDED)
    sink.commit()
    assert "was removed or changed" in failure(refused)
    assert "was removed or changed" in failure(sink.write(DECIDED))


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
    (path,) = chain_files(folder)
    report = verify(lines(path))
    assert error.strip().endswith("cannot be written: File too large")
    assert int(accepted) > 0
    assert report.records == int(accepted) + 2
    assert report.intact
    assert report.closed


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
            [sys.executable, "-c", textwrap.dedent(script), str(folder)], stdout=subprocess.PIPE, text=True
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
