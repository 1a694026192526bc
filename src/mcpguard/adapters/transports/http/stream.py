"""The one way out: an HTTP answer that is either one JSON text or a stream of events (SSE).

Law of this file: nothing is handed to the connection but in `flush`, which the turn calls after evidence is
durable (law 5). No task and no future an answer: a flight hands it over, and waits only where the client
does not take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct, field

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.load import FULL_BYTES, Load
from mcpguard.adapters.transports.http.request import Headers, Send
from mcpguard.gateway.flight import Flight
from mcpguard.gateway.ports import Clock

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


class Outlet(Struct, eq=False):
    """One HTTP answer. The first thing said decides: `answer` makes it one JSON text, `event` or `open` a
    stream, which a later `answer` or `end` ends. What is said after the end is dropped.

    `_headers` go with every answer, `granted` with all but a refusal."""

    _send: Send
    _turn: Turn
    _clock: Clock
    _load: Load
    _headers: Headers = ()
    granted: Headers = ()
    granted_it: bool = False
    """Whether the client was given what `granted` says."""
    ended: bool = False
    """Whether all is said."""
    done: bool = False
    """Whether the client has taken all of it."""
    _start: dict[str, object] | None = None
    _streaming: bool = False
    _over: bool = False
    _queue: deque[bytes | memoryview] = field(default_factory=deque)
    _flight: Flight | None = None
    _beat: Callable[[], None] = _nothing

    def open(self) -> None:
        """Begin a stream now."""
        self._begin()
        self._turn.touch(self)

    def _begin(self) -> None:
        if not self._streaming and not self.ended:
            self._streaming = True
            self.granted_it = True
            headers = [*_STREAM, *self._headers, *self.granted]
            self._start = {"type": "http.response.start", "status": 200, "headers": headers}
            self._beat = self._clock.later(BEAT_SECONDS, self._beats)

    def event(self, *parts: bytes, event_id: bytes = b"", last: bool = False) -> None:
        """Say one message on the stream, and with `last` nothing more; `parts` are one line of JSON with its
        line end."""
        if self.ended:
            return
        if not self._streaming:
            self._begin()
        if last:
            self.ended = True
            self._beat()
        self._put((b"id: %b\n%b" % (event_id, _EVENT) if event_id else _EVENT, *parts, b"\n"))

    def write(self, *parts: bytes) -> None:
        """Say something on the stream as it stands."""
        if not self.ended:
            if not self._streaming:
                self._begin()
            self._put(parts)

    def answer(self, status: int, parts: tuple[bytes, ...], granted: bool) -> None:
        """Say the last message, which is a line of JSON. `status` counts if it is the only one."""
        if self.ended:
            return
        if self._streaming:
            self.event(*parts, last=True)
            return
        size = sum(map(len, parts))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size), *self._headers]
        if granted:
            self.granted_it = True
            headers += self.granted
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self.ended = True
        self._put(parts)

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
        size = sum(map(len, self._queue))
        self._queue.clear()
        if self._load.gone(size):
            self._turn.touch()

    def _put(self, parts: tuple[bytes, ...]) -> None:
        self._queue += parts
        self._turn.strained |= self._load.added(sum(map(len, parts)), self.ended)
        self._turn.touch(self)

    def _beats(self) -> None:
        self._beat = self._clock.later(BEAT_SECONDS, self._beats)
        if not self._queue:
            self._put((_BEAT,))

    def flush(self) -> None:
        """Hand over what the client takes."""
        if self._flight is None or self._flight.over:
            self._flight = Flight(self._hand_over())

    async def _hand_over(self) -> None:
        if self._start is not None and not self._over:
            start, self._start = self._start, None
            await self._send(start)
        queue = self._queue
        while (queue or self.ended) and not self._over:
            if self._load.waiting > FULL_BYTES:
                chunk = self._next()
            else:
                chunk = queue[0] if len(queue) == 1 else b"".join(queue)
                queue.clear()
            self._over = self.ended and not queue
            await self._send({"type": "http.response.body", "body": chunk, "more_body": not self._over})
            # It counts until it is taken, and what was paused for it then goes on.
            if self._load.taken(len(chunk)):
                self._turn.touch()
        self.done = self._over

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
