"""The streams of events of one client: numbered, and in a session kept for a client whose connection broke
(basic/transports of 2025-11-25, resumability and redelivery).

Law of this file: an event goes out again only on the stream that it was said on, and what is kept is
bounded for each session.
"""

from collections import deque

from msgspec import Struct

from mcpguard.adapters.transports.http.stream import Outlet
from mcpguard.gateway.ports import RequestId
from mcpguard.protocol import jsonrpc

KEPT = 256
"""So many events of one session are kept, of all its streams together; the oldest go first."""
KEPT_BYTES = 1024 * 1024
"""And they are no more than this."""
RETRY_MILLISECONDS = 1000
"""What a client is told to wait before it comes back."""
_ID = b"%d-%d"
_TOO_LARGE = jsonrpc.encode(
    {"code": jsonrpc.REFUSED, "message": "the connection broke, and the answer was too large to keep"}
)

STANDING = 0
"""The number of the standing stream; the others have that of their request."""

Parts = tuple[bytes, ...]


class Journal:
    """What was said in one session, on all its streams, oldest first."""

    __slots__ = ("_bytes", "_events")

    def __init__(self) -> None:
        self._events: deque[tuple[int, int, Parts]] = deque()
        self._bytes = 0

    def keep(self, stream: int, number: int, parts: Parts) -> None:
        """Keep this event. One that is alone over the bound is not kept, and costs no other its place."""
        size = sum(map(len, parts))
        if size > KEPT_BYTES:
            return
        self._events.append((stream, number, parts))
        self._bytes += size
        while len(self._events) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= sum(map(len, self._events.popleft()[2]))

    def after(self, stream: int, number: int) -> list[tuple[int, Parts]]:
        """The events of this stream behind that number, as (number, parts)."""
        return [(at, parts) for of, at, parts in self._events if of == stream and at > number]

    def last(self, stream: int) -> int:
        """The number of the newest event of this stream, -1 if none is kept."""
        return max((at for of, at, _parts in self._events if of == stream), default=-1)


class Stream(Struct, eq=False):
    """One stream, whatever connection it goes out on, if any. `last` is the number of its newest event, -1
    while the client has no id of it; `waiting` counts the requests that it has yet to answer, and `over` says
    that all is said. Without a journal its events have no ids and nothing is kept."""

    number: int
    _journal: Journal | None
    outlet: Outlet | None = None
    last: int = -1
    over: bool = False
    waiting: int = 0
    _given: int = -1
    _primed: bool = False

    @property
    def reachable(self) -> bool:
        """Whether the client hears it now, or has an id to come back with."""
        return self.outlet is not None or self.last >= 0

    def prime(self) -> None:
        """Give the client an id before there is anything to say."""
        if self._journal is not None and self.outlet is not None:
            self._primed = True
            self.last = self._given = self.last + 1
            self.outlet.write(
                b"id: %d-%d\nretry: %d\ndata: \n\n" % (self.number, self.last, RETRY_MILLISECONDS)
            )

    def event(self, *parts: bytes, kept: Parts | None = None) -> None:
        """Say one message, a line of JSON. Where there is a journal it is kept, or `kept` in its place."""
        event_id = b""
        if self._journal is not None:
            self.last += 1
            self._journal.keep(self.number, self.last, parts if kept is None else kept)
            event_id = _ID % (self.number, self.last)
        if self.outlet is not None:
            self._given = self.last
            self.outlet.event(*parts, event_id=event_id, last=self.over)

    def answer(self, original: RequestId | None, status: int, parts: Parts, granted: bool = False) -> None:
        """Answer the request with the id `original`. The last answer ends the stream, and is the whole of it,
        with `status`, if nothing was said before."""
        self.waiting -= 1
        self.over = self.waiting <= 0
        if self.last >= 0 or not self.over:
            # A client that comes back for an answer which is not kept must not wait for ever.
            fits = self._journal is None or sum(map(len, parts)) <= KEPT_BYTES
            self.event(*parts, kept=None if fits else (jsonrpc.error_line(original, _TOO_LARGE),))
        elif self.outlet is not None:
            self.outlet.answer(status, parts, granted)

    def resume(self, outlet: Outlet, after: int | None = None) -> None:
        """Go out on this connection from now on, first with what came after the event `after`; None means
        after what was handed to an earlier connection. That one ends, if it is still there."""
        earlier, self.outlet = self.outlet, outlet
        if earlier is not None:
            earlier.end()
        outlet.open()
        if self._journal is not None:
            for number, parts in self._journal.after(self.number, self._given if after is None else after):
                outlet.event(*parts, event_id=_ID % (self.number, number))
        self._given = self.last
        if self.over:
            outlet.end()

    def part(self) -> None:
        """End the connection and not the stream, if the client was told when to come back (`prime`)."""
        if self._primed and self.outlet is not None:
            self.outlet.end()
            self.outlet = None

    def leave(self, outlet: Outlet) -> None:
        """This connection is gone; nothing happens if the stream goes out on another one by now."""
        if self.outlet is outlet:
            self.outlet = None
