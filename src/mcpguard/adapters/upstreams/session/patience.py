"""How long the client waits for an upstream that takes and answers nothing (laws 5 and 8).

Law of this file: the client is held back while a full upstream moves, so that memory stays small; one that
has stopped holds the client back no longer than `STALL_SECONDS`, and then takes a bounded amount more.
"""

import asyncio
from collections.abc import Callable

STALL_SECONDS = 2.0
"""A full upstream that has neither answered nor taken a byte for so long has stopped."""
FULL_OPEN = 256
"""Open requests above which an upstream is full."""
FULL_BYTES = 256 * 1024
"""Unsent bytes above which an upstream is full."""
MOST = 16
"""An upstream that has stopped takes so many times as much as a full one; what comes then is refused."""

LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
"""Methods whose answers everybody waits for, so they may not take as long as a call."""


class Patience:
    """Watches one upstream: how many requests are open, and how many bytes are not sent."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` lets flow control look again."""
        self._wake = wake
        self._last = (0, 0)
        self._moved: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def holds(self, opened: int, unsent: int) -> bool:
        """Whether the client should wait for this upstream."""
        if not crowded(opened, unsent):
            self._moved = None
            return False
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._moved is None or opened < self._last[0] or unsent < self._last[1]:
            self._moved = now
        self._last = (opened, unsent)
        if now - self._moved >= STALL_SECONDS:
            return False
        if self._timer is None:
            self._timer = loop.call_later(STALL_SECONDS, self._look)
        return True

    def _look(self) -> None:
        self._timer = None
        self._wake()


def crowded(opened: int, unsent: int) -> bool:
    """Whether an upstream is full."""
    return opened >= FULL_OPEN or unsent > FULL_BYTES


def exhausted(opened: int, unsent: int) -> bool:
    """Whether an upstream can take no more requests."""
    return opened >= MOST * FULL_OPEN or unsent > MOST * FULL_BYTES
