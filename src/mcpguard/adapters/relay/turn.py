"""The end of each turn of the event loop: evidence becomes durable, and only then do bytes leave.

Law of this file: nothing is flushed while a record waits for its commit (law 5). Afterwards flow control
looks, while something is strained, so that a side that does not take its output stops what feeds it.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from mcpguard.adapters.relay.room import Room

MESSAGES_A_TURN = 64
"""Of what came from one side, more messages wait for the next turn, so that no side starves another."""
BYTES_A_TURN = 16 * 1024
"""The same for what is left once so many bytes were handled: to inspect them may take long. Messages over
AT_ONCE do not count: where they take long, a thread inspects them."""


class Ledger(Protocol):
    """What is committed at the end of a turn."""

    @property
    def pending(self) -> bool:
        """Whether `commit` would do something now."""

    def commit(self) -> None:
        """Make it durable, now or soon; resumes who waits for that."""


class Flushable(Protocol):
    """What sends bytes at the end of a turn."""

    def flush(self) -> None:
        """Send what can be sent without blocking."""


class Turn:
    """One per process. A link that handles input is `inside` until it calls `end`; everything else calls
    `touch`, which ends the turn soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ledger: Ledger | None = None
        self.balance: Callable[[], bool] | None = None
        """Flow control: stops and resumes reading; whether it has to look again after the next turn."""
        self.room: Room | None = None
        """Room for the large messages of servers; None where there is no limit."""
        self.strained = False
        """Whether a side took less than it was given, or has a great deal to do: only then may anything be
        full, and flow control looks."""
        self._loop = loop
        self.unsent: dict[Flushable, None] = {}
        """What has bytes to send at the end of the turn."""
        self.inside = False
        """Whether input is being handled, so that nothing leaves until `end`."""
        self._scheduled = False

    def end(self) -> None:
        """Commit, flush, and let flow control look where something is strained."""
        self.inside = True
        self._scheduled = False
        ledger = self.ledger
        try:
            while True:
                if ledger is not None and ledger.pending:
                    ledger.commit()
                elif self.unsent:
                    self.unsent.popitem()[0].flush()
                else:
                    break
        finally:
            self.inside = False
        if self.strained and self.balance is not None:
            self.strained = self.balance()

    def end_with(self, link: Flushable) -> None:
        """`link` can send again: end the turn now."""
        self.unsent[link] = None
        self.end()

    def strain(self) -> None:
        """Flow control has something to look at, at the end of this turn or soon."""
        self.strained = True
        self.touch()

    def touch(self, link: Flushable | None = None) -> None:
        """Something happened that needs the end of a turn; `link` has bytes to send."""
        if link is not None:
            self.unsent[link] = None
        if not self.inside and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.end)
