"""Who is held back where a client does not take its answer (laws 5 and 8).

Law of this file: what the client takes goes at once, and only the rest counts. A session's own world waits
for its client for as long as it takes; a world that several clients share waits for none of them longer than
`STALL_SECONDS`, and keeps a bounded amount for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from msgspec import Struct

from mcpguard.adapters.transports.http.request import Connection
from mcpguard.gateway.ports import Clock

FULL_BYTES = 256 * 1024
"""With this much that a client has not taken, whatever feeds it is paused."""
BUDGET_BYTES = 1024 * 1024
"""More than this is not kept for an answer that nobody is held back for."""
STALL_SECONDS = 2.0
"""A client that takes less than `FULL_BYTES` in this time holds nobody back; one that takes nothing has
stopped."""


class SessionBacklog(Struct, eq=False, kw_only=True):
    """Bytes that wait in one legacy session, of all its answers."""

    piece: ClassVar[int | None] = None
    """A message goes to the connection in pieces of this many bytes; None for whole."""

    waiting: int = 0

    @property
    def full(self) -> bool:
        """Whether what feeds it should wait."""
        return self.waiting > FULL_BYTES

    def added(self, size: int, last: bool = False) -> bool:
        """`size` more bytes wait, the `last` of their answer or not. Returns whether it is full now."""
        self.waiting += size
        return self.waiting > FULL_BYTES

    def taken(self, size: int) -> bool:
        """`size` bytes no longer wait. Returns whether it was full and has room again."""
        was_full = self.waiting > FULL_BYTES
        self.waiting -= size
        return was_full and self.waiting <= FULL_BYTES

    def last(self) -> None:
        """This answer is complete."""

    def gone(self, size: int) -> bool:
        """The client is gone, so the last `size` bytes are dropped. Returns as `taken`."""
        return size > 0 and self.taken(size)


class Share(SessionBacklog, eq=False):
    """Bytes that wait of one answer, in a world that several clients share.

    It holds the world back as long as its client takes enough. Above `BUDGET_BYTES` its connection is cut:
    when more is said and nobody is held back for it, or when nothing moved for `STALL_SECONDS`.
    """

    piece: ClassVar[int | None] = FULL_BYTES

    _world: SessionBacklog
    """The sum of all."""
    _holding: set[SessionBacklog]
    """Those that hold the world back."""
    _connection: Connection
    _clock: Clock
    _wake: Callable[[], None]
    """Lets flow control look again."""
    _given: int = 0
    _seen: int = 0
    _ended: bool = False
    _stop: Callable[[], None] | None = None

    @property
    def full(self) -> bool:
        return self in self._holding

    def added(self, size: int, last: bool = False) -> bool:
        if last:
            self._ended = True
            if self in self._holding:
                self.last()
        if self.waiting > BUDGET_BYTES and self not in self._holding:
            self._connection.cut()
        self.waiting += size
        self._world.waiting += size
        self._given += size
        if self._stop is None and self.waiting > FULL_BYTES:
            self._seen = self._left_us
            self._hold(True)
            self._stop = self._clock.later(STALL_SECONDS, self._look)
        return self in self._holding

    def taken(self, size: int) -> bool:
        self.waiting -= size
        self._world.waiting -= size
        return self._stop is not None and self.waiting <= FULL_BYTES and self._calm()

    def last(self) -> None:
        """See `SessionBacklog.last`: to hold others back for it would be of no use."""
        self._ended = True
        if self in self._holding:
            self._hold(False)
            self._wake()

    def gone(self, size: int) -> bool:
        was_full = self in self._holding
        if size:
            self.taken(size)
        self._calm()
        return was_full

    @property
    def _left_us(self) -> int:
        return self._given - self.waiting - self._connection.unsent

    def _calm(self) -> bool:
        if self._stop is None:
            return False
        self._stop()
        self._stop = None
        return self._hold(False)

    def _hold(self, on: bool) -> bool:
        """Hold the world back or not: whether that is a change."""
        before, on = self in self._holding, on and not self._ended
        if on:
            self._holding.add(self)
        else:
            self._holding.discard(self)
        return before != on

    def _look(self) -> None:
        seen, self._seen = self._seen, self._left_us
        moved = self._seen - seen
        self._stop = self._clock.later(STALL_SECONDS, self._look)
        if self.waiting + self._connection.unsent > BUDGET_BYTES and moved <= 0:
            self._calm()
            self._connection.cut()
        else:
            self._hold(moved >= FULL_BYTES)
        self._wake()
