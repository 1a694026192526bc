"""The streams of events of one client, and the one way out: an HTTP answer that is either one JSON text or
such a stream (SSE). In a session, streams are numbered and kept for a client whose connection broke
(basic/transports of 2025-11-25, resumability and redelivery).

Law of this file: nothing is handed to the connection but in `flush`, which the turn calls after evidence is
durable. An event goes out again only on the stream that it was said on, and what is kept is bounded for each
session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct, field

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.load import FULL_BYTES, SessionBacklog
from mcpguard.adapters.transports.http.request import JSON, Headers, HttpRequest
from mcpguard.gateway.ports import Clock, RequestId
from mcpguard.protocol import jsonrpc

KEPT = 256
"""How many events of one session are kept, of all its streams together; the oldest go first."""
KEPT_BYTES = 1024 * 1024
"""And they are no more than this."""
RETRY_MILLISECONDS = 1000
"""What a client is told to wait before it comes back."""
BEAT_SECONDS = 15.0
"""Each quiet stream says so this often, so that nothing between us and the client closes it, and an answer
that takes longer becomes a stream; and as often it is looked whether a token has expired."""

STANDING = 0
"""The number of the standing stream; the others have that of their request."""

_ID = b"%d-%d"
_TOO_LARGE = jsonrpc.encode(
    {"code": jsonrpc.REFUSED, "message": "the connection broke, and the answer was too large to keep"}
)
_BEAT = b":\n\n"
_EVENT = b"event: message\ndata: "
_STREAM: Headers = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)

Parts = tuple[bytes, ...]


class StreamTimer:
    """The open streams of a front and whoever may wait for an answer, all with one timer: most are answered
    long before it."""

    __slots__ = ("_clock", "_unanswered", "streams", "ticking")

    def __init__(self, clock: Clock, unanswered: Callable[[], list[list[HttpAnswer]]] = list) -> None:
        """`unanswered()` gives the answers of the open requests of each client of the front."""
        self.streams: dict[HttpAnswer, None] = {}
        self.ticking = False
        self._clock = clock
        self._unanswered = unanswered

    def start(self) -> None:
        """From now on each open stream says that it is there, until there is neither one nor a client."""
        if not self.ticking:
            self.ticking = True
            self._clock.later(BEAT_SECONDS, self._tick)

    def _tick(self) -> None:
        self.ticking = False
        now, clients = self._clock.now().timestamp(), self._unanswered()
        for stream in list(self.streams):
            stream.beat(now)
        for answers in clients:
            for answer in answers:
                answer.wait()
        if clients or self.streams:
            self.start()


class StreamHistory:
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
    _journal: StreamHistory | None
    outlet: HttpAnswer | None = None
    last: int = -1
    over: bool = False
    waiting: int = 0
    _given: int = -1
    _primed: bool = False

    @property
    def reachable(self) -> bool:
        """Whether the client hears it now, or has an id to come back with."""
        return self.outlet is not None or self.last >= 0

    def said_all(self, after: int) -> bool:
        """Whether nothing comes after the event `after`."""
        return self.over and (self._journal is None or not self._journal.after(self.number, after))

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

    def withdraw(self) -> None:
        """One of its requests gets no answer. Without any other the stream ends, which is an empty one if
        nothing was said before; whoever comes back to it reads that it is over."""
        self.waiting -= 1
        self.over = self.waiting <= 0
        journal = self._journal
        if self.over and journal is not None and journal.last(self.number) < self.last:
            journal.keep(self.number, self.last, ())  # It had only the event that primes it.
        if self.over and self.outlet is not None:
            self.outlet.end()

    def resume(self, outlet: HttpAnswer, after: int | None = None) -> None:
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

    def leave(self, outlet: HttpAnswer) -> None:
        """This connection is gone; nothing happens if the stream goes out on another one by now."""
        if self.outlet is outlet:
            self.outlet = None


class HttpAnswer(Struct, eq=False):
    """One HTTP answer. The first thing said decides: `answer` makes it one JSON text, `event` or `open` a
    stream, which a later `answer` or `end` ends. What is said after the end is dropped.

    `granted` are headers that go with all but a refusal."""

    _request: HttpRequest
    _turn: Turn
    _beats: StreamTimer
    _load: SessionBacklog
    granted: Headers = ()
    standing: bool = False
    """Whether it is open for whatever comes, and not until an answer."""
    granted_it: bool = False
    """Whether the client was given what `granted` says."""
    ended: bool = False
    """Whether all is said."""
    done: bool = False
    """Whether the client has taken all of it."""
    _start: tuple[int, list[tuple[bytes, bytes]]] | None = None
    _is_late: bool = False
    _streaming: bool = False
    _over: bool = False
    _queue: deque[bytes | memoryview] = field(default_factory=deque)
    _size: int = 0
    _waits: bool = False
    """Whether the client did not take all at once, and what is queued counts."""

    def open(self) -> None:
        """Begin a stream now."""
        if not self._streaming and not self.ended:
            self._begin()
            self._turn.touch(self)

    def wait(self) -> None:
        """It takes long: begin a stream, which can say that it is there, if this was so at an earlier beat.
        What `granted` says goes with an answer only."""
        if self._is_late and not self.granted:
            self.open()
        self._is_late = True

    def _begin(self) -> None:
        self._streaming = self.granted_it = True
        self._start = 200, [*_STREAM, *self._request.cors, *self.granted]
        beats = self._beats
        beats.streams[self] = None
        if not beats.ticking:
            beats.start()

    def event(self, *parts: bytes, event_id: bytes = b"", last: bool = False) -> None:
        """Say one message on the stream, and with `last` nothing more; `parts` are one line of JSON with its
        line end."""
        if not self.ended:
            self.write(b"id: %b\n%b" % (event_id, _EVENT) if event_id else _EVENT, *parts, b"\n")
            if last:
                self.ended = True
                del self._beats.streams[self]
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
            del self._beats.streams[self]
            self._turn.touch(self)

    def drop(self) -> None:
        """The client is gone: nothing of this is taken any more."""
        self.ended = self._over = True
        self._beats.streams.pop(self, None)
        size, self._size = self._size if self._waits else 0, 0
        self._queue.clear()
        if self._load.gone(size):
            self._turn.touch()

    def beat(self, now: float) -> None:
        """Say that it is there, if nothing else is said. One that would stay open beyond the end of its token
        is cut: its client opens it again with another one."""
        if self.standing and self._request.until <= now:
            self._request.connection.cut()
        elif not self._queue:
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
