"""Room for the large messages that servers send, in the whole process: what of them is read, inspected and
not yet taken by clients counts together.

Law of this file: a small message never waits. Of the large ones at least one goes on, and one that makes no
progress gives its place to the next: so no server and no client keeps the others out.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

SMALL_BYTES = 256 * 1024
"""A message that has no more than this waits for nothing."""
LOOK_SECONDS = 0.05
"""How often those that wait are looked at: clients take their answers, and the place of a message that has
stopped goes to the next."""


class Reader(Protocol):
    """Reads one message at a time."""

    def halt(self, on: bool) -> None:
        """Read nothing more of it, or read again."""


class WaitingReader:
    """A Reader that is a coroutine."""

    def __init__(self, room: "Room | None") -> None:
        self._room = room
        self._go = asyncio.Event()
        self._go.set()

    def halt(self, on: bool) -> None:
        if on:
            self._go.clear()
        else:
            self._go.set()

    async def keeps(self, size: int) -> None:
        """See `Room.keeps`; returns when there is room."""
        if self._room is not None:
            self._room.keeps(self, size)
            await self._go.wait()

    def leaves(self) -> None:
        if self._room is not None:
            self._room.leaves(self)


class Room:
    """One per process. `elsewhere()` is how many bytes are inspected or unsent, and `full` gives how much of
    all there may be."""

    def __init__(self, most: int, elsewhere: Callable[[], int], freed: Callable[[], None]) -> None:
        """`freed()` is called when nothing large is read any more."""
        self.most = most
        self.elsewhere = elsewhere
        self._freed = freed
        self._sizes: dict[Reader, int] = {}
        self._halted: set[Reader] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._seen: tuple[Reader | None, int] = None, 0

    @property
    def full(self) -> bool:
        """Whether further large messages have to wait."""
        return sum(self._sizes.values()) + self.elsewhere() > self.most

    def keeps(self, reader: Reader, size: int) -> None:
        """`reader` has this many bytes of a message that is not complete."""
        if size <= SMALL_BYTES:
            self.leaves(reader)
            return
        self._sizes[reader] = size
        if reader is not next(iter(self._sizes)) and self.full:
            self._halted.add(reader)
            reader.halt(True)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def leaves(self, reader: Reader) -> None:
        """Its message is complete, or given up."""
        if self._sizes.pop(reader, None) is None:
            return
        if reader in self._halted:
            self._go_on(reader)
        if self._sizes:
            self._go_on(next(iter(self._sizes)))
        else:
            self._freed()

    def _go_on(self, reader: Reader) -> None:
        if reader in self._halted:
            self._halted.discard(reader)
            reader.halt(False)

    def _look(self) -> None:
        self._timer = None
        first = next(iter(self._sizes), None)
        now = first, self._sizes.get(first, 0) if first is not None else 0
        if first is not None and now == self._seen:
            self._sizes[first] = self._sizes.pop(first)
        self._seen = now
        if self._sizes:
            self._go_on(next(iter(self._sizes)))
        for reader in [one for one in self._sizes if one in self._halted]:
            if self.full:
                break
            self._go_on(reader)
        if self._halted:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
