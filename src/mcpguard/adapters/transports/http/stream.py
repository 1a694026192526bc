"""The one way out: an HTTP answer that is either one JSON text or a stream of events (SSE), and who is held
back where a client does not take it (laws 5 and 8).

Law of this file: nothing is handed to the connection but in `flush`, which the turn calls after evidence is
durable. What the client takes goes at once, and only the rest counts. A session's own world waits for its
client for as long as it takes; a world that several clients share waits for none of them longer than
`STALL_SECONDS`, and keeps a bounded amount for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from msgspec import Struct, field

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.request import JSON, Connection, Headers, HttpRequest
from mcpguard.gateway.ports import Clock

FULL_BYTES = 256 * 1024
"""With this much that a client has not taken, whatever feeds it is paused."""
BUDGET_BYTES = 1024 * 1024
"""More than this is not kept for an answer that nobody is held back for."""
STALL_SECONDS = 2.0
"""A client that takes less than `FULL_BYTES` in this time holds nobody back; one that takes nothing has
stopped."""
BEAT_SECONDS = 15.0
"""A quiet stream says so this often, so that nothing between us and the client closes it."""

_BEAT = b":\n\n"
_EVENT = b"event: message\ndata: "
_STREAM: Headers = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def _nothing() -> None:
    """No beat to stop."""


class Load(Struct, eq=False, kw_only=True):
    """Bytes that wait in one legacy session, of all its answers."""

    piece: ClassVar[int | None] = None
    """A message goes to the connection in pieces of so many bytes; None for whole."""

    waiting: int = 0

    @property
    def full(self) -> bool:
        """Whether what feeds it should wait."""
        return self.waiting > FULL_BYTES

    def added(self, size: int, last: bool = False) -> bool:
        """So many bytes more wait, the `last` of their answer or not: whether it is full now."""
        self.waiting += size
        return self.waiting > FULL_BYTES

    def taken(self, size: int) -> bool:
        """So many bytes wait no more: whether it was full until now."""
        was_full = self.waiting > FULL_BYTES
        self.waiting -= size
        return was_full and self.waiting <= FULL_BYTES

    def last(self) -> None:
        """Nothing more comes of this answer."""

    def gone(self, size: int) -> bool:
        """The client is gone, and the last `size` bytes are not wanted: as `taken`."""
        return size > 0 and self.taken(size)


class Share(Load, eq=False):
    """Bytes that wait of one answer, in a world that several clients share.

    It holds the world back as long as its client takes enough. Above `BUDGET_BYTES` its connection is cut:
    when more is said and nobody is held back for it, or when nothing moved for `STALL_SECONDS`.
    """

    piece: ClassVar[int | None] = FULL_BYTES

    _world: Load
    """The sum of all."""
    _holding: set[Load]
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
        """See `Load.full`."""
        return self in self._holding

    def added(self, size: int, last: bool = False) -> bool:
        """See `Load.added`."""
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
        """See `Load.taken`."""
        self.waiting -= size
        self._world.waiting -= size
        return self._stop is not None and self.waiting <= FULL_BYTES and self._calm()

    def last(self) -> None:
        """See `Load.last`: to hold others back for it would be of no use."""
        self._ended = True
        if self in self._holding:
            self._hold(False)
            self._wake()

    def gone(self, size: int) -> bool:
        """See `Load.gone`."""
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


class Outlet(Struct, eq=False):
    """One HTTP answer. The first thing said decides: `answer` makes it one JSON text, `event` or `open` a
    stream, which a later `answer` or `end` ends. What is said after the end is dropped.

    `granted` are headers that go with all but a refusal."""

    _request: HttpRequest
    _turn: Turn
    _clock: Clock
    _load: Load
    granted: Headers = ()
    granted_it: bool = False
    """Whether the client was given what `granted` says."""
    ended: bool = False
    """Whether all is said."""
    done: bool = False
    """Whether the client has taken all of it."""
    _start: tuple[int, list[tuple[bytes, bytes]]] | None = None
    _streaming: bool = False
    _over: bool = False
    _queue: deque[bytes | memoryview] = field(default_factory=deque)
    _size: int = 0
    _waits: bool = False
    """Whether the client did not take all at once, and what is queued counts."""
    _beat: Callable[[], None] = _nothing

    def open(self) -> None:
        """Begin a stream now."""
        if not self._streaming and not self.ended:
            self._begin()
            self._turn.touch(self)

    def _begin(self) -> None:
        self._streaming = self.granted_it = True
        self._start = 200, [*_STREAM, *self._request.cors, *self.granted]
        self._beat = self._clock.later(BEAT_SECONDS, self._beats)

    def event(self, *parts: bytes, event_id: bytes = b"", last: bool = False) -> None:
        """Say one message on the stream, and with `last` nothing more; `parts` are one line of JSON with its
        line end."""
        if not self.ended:
            self.write(b"id: %b\n%b" % (event_id, _EVENT) if event_id else _EVENT, *parts, b"\n")
            if last:
                self.ended = True
                self._beat()
                if self._waits:
                    self._load.last()

    def write(self, *parts: bytes) -> None:
        """Say something on the stream as it stands."""
        if self.ended:
            return
        if not self._streaming:
            self._begin()
        self._queue += parts
        size = sum(map(len, parts))
        self._size += size
        if self._waits:
            self._turn.strained |= self._load.added(size)
        self._turn.unsent[self] = None
        if not self._turn.inside:
            self._turn.touch()

    def answer(self, status: int, parts: tuple[bytes, ...], granted: bool) -> None:
        """Say the last message, which is a line of JSON. `status` counts if it is the only one."""
        if self.ended:
            return
        if self._streaming:
            self.event(*parts, last=True)
            return
        self._size = sum(map(len, parts))
        length = (b"content-length", b"%d" % self._size)
        headers = [(b"content-type", JSON), length, *self._request.cors]
        if granted:
            self.granted_it = True
            headers += self.granted
        self._start = status, headers
        self.ended = True
        self._queue += parts
        self._turn.unsent[self] = None
        if not self._turn.inside:
            self._turn.touch()

    def end(self) -> None:
        """End the stream; one that never began is begun, so that the request has an answer."""
        if not self.ended:
            if not self._streaming:
                self._begin()
            self.ended = True
            self._load.last()
            self._beat()
            self._turn.touch(self)

    def drop(self) -> None:
        """The client is gone: nothing of this is taken any more."""
        self.ended = self._over = True
        if self._streaming:
            self._beat()
        size, self._size = self._size if self._waits else 0, 0
        self._queue.clear()
        if self._load.gone(size):
            self._turn.touch()

    def _beats(self) -> None:
        self._beat = self._clock.later(BEAT_SECONDS, self._beats)
        if not self._queue:
            self.write(_BEAT)

    def flush(self) -> None:
        """Hand over what the client takes; the rest counts until it is taken."""
        queue, request = self._queue, self._request
        if self._start is not None and not self._over:
            request.start(*self._start)
            self._start = None
            if not queue and not self.ended:
                request.write(b"", False)
        while (queue or self.ended) and not self._over:
            if not request.connection.takes:
                if not self._waits:
                    self._waits = True
                    self._turn.strained |= self._load.added(self._size, self.ended)
                request.connection.resumes = self._resume
                return
            if self._size > FULL_BYTES:
                chunk = self._next()
            else:
                chunk = queue[0] if len(queue) == 1 else b"".join(queue)
                queue.clear()
            self._size -= len(chunk)
            self._over = self.done = self.ended and not queue
            request.write(chunk, self._over)
            # What was paused for it goes on.
            if self._waits and self._load.taken(len(chunk)):
                self._turn.strain()
        self._waits = False

    def _resume(self) -> None:
        self._turn.end_with(self)

    def _next(self) -> bytes | memoryview:
        chunk = self._queue.popleft() if self._queue else b""
        piece = self._load.piece
        if piece is not None and len(chunk) > piece:
            view = memoryview(chunk)
            self._queue.appendleft(view[piece:])
            return view[:piece]
        if len(chunk) >= FULL_BYTES or not self._queue:
            return chunk
        parts: list[bytes | memoryview] = [chunk]
        size = len(chunk)
        while self._queue and size + len(self._queue[0]) <= FULL_BYTES:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        return b"".join(parts)
