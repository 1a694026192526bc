"""`/metrics`: what this process counted, read from its own evidence when somebody asks.

Law of this file: a call pays nothing for it. Reading is done in a thread, once at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from mcpguard.adapters.audit.following import FollowedLine, Following
from mcpguard.adapters.telemetry.counting import Counts, page
from mcpguard.adapters.telemetry.happenings import Joining
from mcpguard.core.errors import AuditError
from mcpguard.serve.worlds import Shared

MOST = 10_000
"""Lines that are read at once."""


class Measuring:
    """Counts what is in the chains of this process."""

    def __init__(self, folder: Path, shared: Shared, sessions: Callable[[], int]) -> None:
        """`sessions()` gives how many clients are connected."""
        self._following = Following(folder, from_start=True, only_own=True)
        self._shared = shared
        self._sessions = sessions
        self._joining: Joining[FollowedLine] = Joining()
        self._counts = Counts()
        self._lock = asyncio.Lock()

    async def text(self) -> bytes:
        async with self._lock:
            await asyncio.to_thread(self._count)
            return page(self._counts, self._shared.sinks(), self._shared.needs.look(), self._sessions())

    def _count(self) -> None:
        try:
            self._following.begin()
            while lines := self._following.read(MOST):
                for line in lines:
                    self._counts.add(self._joining.add(line.file, line.data, line))
                self._following.keep(lines, {})
        except AuditError:
            pass  # That evidence cannot be read is seen by `ready`; what was counted stays.
