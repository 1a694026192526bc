"""What the tests of evidence share: records, and what became of a wait."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.reader import lines
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.relay.turn import Flushable, Turn
from mcpguard.config.terms import Durability
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Closed, Decided, Opened, Outcome, Record
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import AuditHealth

NOW = datetime(2026, 8, 1, 7, 0, tzinfo=UTC)
OPENED = Opened(NOW, "0.1.0", os.getpid(), "os-user:1000", ("github",), "d" * 64)
# `tests.workers` forks after this is imported.
os.register_at_fork(after_in_child=lambda: structs.force_setattr(OPENED, "pid", os.getpid()))
DECIDED = Decided(NOW, "n-1", "os-user:1000", "tools/call", "allow", server="github", tool="get")
OUTCOME = Outcome(NOW, "n-1", "ok", 1.5)
CLOSED = Closed(NOW, "eof")
ROTATED = Closed(NOW, "rotated")


def failure(wait: Wait[None]) -> str:
    """The sentence with which `wait` failed, or "" where it did not."""
    assert wait.done
    try:
        for _ in wait.__await__():
            pass
    except AuditError as error:
        return str(error)
    return ""


def stored(wait: Wait[None]) -> bool:
    """Whether `wait` is over and well."""
    return wait.done and not failure(wait)


def kinds(path: Path) -> list[str]:
    """The kinds of the records in `path`, in order."""
    return [json.loads(line)["kind"] for line in lines(path)]


def fault(patched: pytest.MonkeyPatch, write: Callable[[int, bytes], int]) -> None:
    """From now on what is written to files is written by `write`."""
    real = os.write

    def chosen(file: int, data: bytes) -> int:
        return write(file, data) if stat.S_ISREG(os.fstat(file).st_mode) else real(file, data)

    patched.setattr(os, "write", chosen)


def broken(_file: int, _data: bytes) -> int:
    """A disk that takes nothing."""
    raise OSError(5, "Input/output error")


class Unended(Turn):
    """A turn that the test ends; `asked` is set when something asks for its end."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.asked = asyncio.Event()

    def touch(self, link: Flushable | None = None) -> None:
        self.asked.set()

    def end(self) -> None:
        self.asked.set()


class Owner:
    """What owns a sink in a process that serves: it commits at the end of each turn of the loop."""

    def __init__(self, folder: Path, durability: Durability = "flush") -> None:
        turn = Turn(asyncio.get_running_loop())
        self.sink = turn.ledger = AuditFile(folder, durability, turn)
        self.commit = turn.end
        self.sink.on_health = self.tell
        self.told: list[bool] = []
        self._well = asyncio.Event()

    def tell(self, health: AuditHealth) -> None:
        self.told.append(health.ok)
        if health.ok:
            self._well.set()
        else:
            self._well.clear()

    async def healthy(self) -> None:
        """Evidence can be written again."""
        await asyncio.wait_for(self._well.wait(), 10)

    async def over(self, wait: Wait[None]) -> None:
        """`wait` is over, well or not."""
        event = asyncio.Event()
        wait.then(lambda _: event.set())
        await asyncio.wait_for(event.wait(), 10)

    async def stored(self, record: Record) -> None:
        """`record` is durable."""
        wait = self.sink.write(record)
        await self.over(wait)
        assert stored(wait), failure(wait)
