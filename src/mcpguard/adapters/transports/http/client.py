"""The client of one world over HTTP: which of its requests, and so which HTTP answer, a message belongs to.

Law of this file: nothing is said but a `Redacted` or a fixed text of ours (laws 2 and 6), and each message
goes out once, on one stream.
"""

import asyncio
import re
from collections.abc import Sequence

from msgspec import Struct

from mcpguard.adapters.transports.http.load import SessionBacklog
from mcpguard.adapters.transports.http.quotas import InUse
from mcpguard.adapters.transports.http.request import HttpRefusal
from mcpguard.adapters.transports.http.stream import STANDING, HttpAnswer, Stream, StreamHistory
from mcpguard.core.model import Json, Redacted
from mcpguard.gateway.ports import RequestId
from mcpguard.protocol import eras, jsonrpc

MOST_REQUESTS = 256
"""How many requests of one world may be open at once."""

_STATUS = {
    jsonrpc.PARSE_ERROR: 400,
    jsonrpc.INVALID_REQUEST: 400,
    jsonrpc.INVALID_PARAMS: 400,
    jsonrpc.METHOD_NOT_FOUND: 404,
    eras.HEADER_MISMATCH: 400,
    eras.MISSING_CAPABILITY: 400,
    eras.UNSUPPORTED_VERSION: 400,
}
_EVENT_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")
_CLOSED = jsonrpc.encode({"code": jsonrpc.REFUSED, "message": "the session was closed"})
_NOT_TAKEN = jsonrpc.encode(
    {
        "code": jsonrpc.REFUSED,
        "message": "earlier answers have not been read; send this request again later",
    }
)


def too_busy(request_id: RequestId | None) -> HttpRefusal:
    """The refusal of a request where its world has as many as it may have."""
    said = f"this client has {MOST_REQUESTS} requests open, which is the limit"
    return HttpRefusal(503, said, jsonrpc.REFUSED, ((b"retry-after", b"1"),), request_id)


class _Asked(Struct, eq=False):
    """A request that waits for its answer. `stream` is what its answer goes out on, None for the standing
    stream. `malformed` ones were never a message."""

    original: RequestId | None
    stream: Stream | None
    malformed: bool


class HttpClient:
    """Implements `ports.Client`. The gateway knows requests by numbers of ours, so that requests of several
    clients in one modern world may carry the same id."""

    def __init__(self, modern: bool, in_use: InUse, resumable: bool = False) -> None:
        """`modern` says which era its world is of; `in_use` is what its principal has open; `resumable` says
        that it is a session of Streamable HTTP, whose streams have ids and are kept."""
        self.modern = modern
        self.in_use = in_use
        self.resumable = resumable
        self.load = SessionBacklog()
        self.holding: set[SessionBacklog] = set()
        """The answers of a modern world that hold it back."""
        self._asked: dict[RequestId, _Asked] = {}
        self.numbers: dict[RequestId, int] = {}
        """The number of each open request of a legacy client, by the client's id."""
        self._last = 0
        self._journal = StreamHistory() if resumable else None
        self.standing = Stream(STANDING, self._journal)
        """The stream that belongs to no request: GET of Streamable HTTP, or that of HTTP+SSE."""
        self.held: asyncio.Event | None = None
        """Set once requests are let in again; None while they are let in."""

    @property
    def unanswered(self) -> list[HttpAnswer]:
        """The HTTP answers of its open requests, as far as they are still connected."""
        streams = [one.stream for one in self._asked.values() if one.stream is not None]
        return [one.outlet for one in streams if one.outlet is not None]

    # --- requests --------------------------------------------------------------------------------

    @property
    def asked(self) -> bool:
        """Whether it has an open request."""
        return bool(self._asked)

    @property
    def room(self) -> int:
        """How many more requests it may have open."""
        return MOST_REQUESTS - len(self._asked)

    def expect(
        self,
        original: RequestId | None,
        outlet: HttpAnswer | None,
        malformed: bool = False,
        primed: bool = False,
        sharing: int | None = None,
    ) -> int:
        """A request came, or what is `malformed`: the number that the gateway knows it by. `primed` makes its
        answer a stream at once, which its client can come back to. `sharing` is the number of an open
        request of the same POST, whose stream it shares. Raises OverQuotaError where too many of its
        principal are open, HttpRefusal (503) where too many of this world are."""
        in_use = self.in_use
        # What is refused on the standing stream is answered at once, so it takes no room.
        if not (malformed and outlet is None):
            if in_use.requests >= in_use.most["requests"]:
                raise in_use.refusal("requests", original)
            if len(self._asked) >= MOST_REQUESTS:
                raise too_busy(original)
        in_use.requests += 1
        self._last += 1
        stream = None if outlet is None else Stream(self._last, self._journal, outlet)
        if sharing is not None:
            stream = self._asked[sharing].stream
        if stream is not None:
            stream.waiting += 1
        self._asked[self._last] = _Asked(original, stream, malformed)
        if not self.modern and not malformed and original is not None:
            self.numbers[original] = self._last
        if primed and stream is not None:
            stream.prime()
        return self._last

    def number_of(self, original: Json) -> int | None:
        """The number of the open request with this id of a legacy client."""
        return self.numbers.get(original) if type(original) in (int, str) else None

    def disconnected(self, number: int, outlet: HttpAnswer) -> bool:
        """The POST of this request is over: whether that takes back the request. In the modern era it
        does (basic/patterns/cancellation); a legacy client has to say so, and may come back."""
        asked = self._asked.get(number)
        if asked is None:
            return False
        if self.modern or asked.malformed:
            del self._asked[number]
            self.in_use.requests -= 1
            if asked.stream is not None:
                asked.stream.waiting -= 1
            return not asked.malformed
        if asked.stream is not None:
            asked.stream.leave(outlet)
        return False

    def cancelled(self, number: int) -> None:
        """A legacy client took this request back: unless the gateway has answered it, its POST ends with no
        response to it (2025-11-25, basic/utilities/cancellation)."""
        asked = self._done(number)
        if asked is not None and asked.stream is not None:
            asked.stream.withdraw()

    def _end(self, asked: _Asked, error: bytes) -> None:
        stream = asked.stream
        if stream is not None and (stream.outlet is not None or stream.waiting > 1):
            stream.answer(asked.original, 200, (jsonrpc.error_line(asked.original, error),))

    def _end_all(self, numbers: Sequence[RequestId], error: bytes) -> None:
        for number in numbers:
            asked = self._done(number)
            if asked is not None:
                self._end(asked, error)

    def _done(self, number: RequestId | None) -> _Asked | None:
        asked = self._asked.pop(number, None) if number is not None else None
        if asked is not None:
            self.in_use.requests -= 1
        if asked is not None and asked.original is not None and self.numbers.get(asked.original) == number:
            del self.numbers[asked.original]
        return asked

    # --- ports.Client ----------------------------------------------------------------------------

    def reply(self, request_id: RequestId, result: Redacted) -> None:
        asked = self._done(request_id)
        if asked is not None and asked.original is not None:
            parts = jsonrpc.result_line(asked.original, result.payload)
            if asked.stream is None:
                self.standing.event(*parts)
            else:
                asked.stream.answer(asked.original, 200, parts, granted=True)

    def refuse(self, request_id: RequestId | None, error: Redacted) -> None:
        asked = self._done(request_id)
        if asked is None:
            return
        line = jsonrpc.error_line(asked.original, error.payload)
        if asked.stream is None:
            self.standing.event(line)
            return
        # A legacy error is an answer like any other; only what was not a message is one of HTTP.
        status = _STATUS.get(error.value["code"], 200) if self.modern or asked.malformed else 200
        asked.stream.answer(asked.original, status, (line,))

    def notify(self, method: str, params: Redacted, related: RequestId | None = None) -> None:
        self._say(jsonrpc.notification_line(method, params.payload), related)

    def ask(
        self, question_id: RequestId, method: str, params: Redacted, related: RequestId | None = None
    ) -> None:
        self._say(jsonrpc.question_line(question_id, method, params.payload), related)

    def part(self, request_id: RequestId) -> None:
        asked = self._asked.get(request_id)
        if asked is not None and asked.stream is not None:
            asked.stream.part()

    def shown(self, request_id: RequestId) -> RequestId:
        asked = self._asked.get(request_id)
        return request_id if asked is None or asked.original is None else asked.original

    # --- flow control, as `StdioClient` has it ---------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the client takes less than it is given; where it is several, see `load.Share`."""
        return bool(self.holding) if self.modern else self.load.full

    @property
    def drained(self) -> bool:
        """Whether everything was handed to the connections, or they are gone."""
        return self.load.waiting == 0

    def hold(self, on: bool) -> None:
        """Let no new request in, or let them in again. Notifications and answers come in always: what is
        full may be waiting for one."""
        if on and self.held is None:
            self.held = asyncio.Event()
        elif not on and self.held is not None:
            self.held.set()
            self.held = None

    async def admitted(self, numbers: Sequence[int], seconds: float) -> None:
        """Wait until these requests may come in, which are then those that it still `awaits`: after `seconds`
        they are answered with an error."""
        try:
            async with asyncio.timeout(seconds):
                await self._let_in()
        except TimeoutError:
            self._end_all(numbers, _NOT_TAKEN)

    def awaits(self, number: int) -> bool:
        """Whether this request is open: it was not taken back."""
        return number in self._asked

    async def _let_in(self) -> None:
        while self.held is not None:
            await self.held.wait()

    # --- streams ---------------------------------------------------------------------------------

    @property
    def stands(self) -> bool:
        """Whether the standing stream is open."""
        return self.standing.outlet is not None

    def place(self, event_id: str) -> tuple[Stream, int] | None:
        """The stream that this event was of, and its number there; None if it is unknown or forgotten. A
        stream is known as long as its request is open or one of its events is kept."""
        found = _EVENT_ID.fullmatch(event_id)
        if found is None or self._journal is None:
            return None
        of, number = int(found[1]), int(found[2])
        stream = self.standing if of == STANDING else self._stream(of, self._journal)
        return None if stream is None or number > stream.last else (stream, number)

    def _stream(self, of: int, journal: StreamHistory) -> Stream | None:
        for asked in self._asked.values():
            if asked.stream is not None and asked.stream.number == of:
                return asked.stream
        stream = Stream(of, journal, last=journal.last(of))
        stream.over = True
        return stream

    def close(self) -> None:
        """The world has ended: nothing stays open."""
        self.hold(False)
        self._end_all(list(self._asked), _CLOSED)
        if self.standing.outlet is not None:
            self.standing.outlet.end()

    def _say(self, line: bytes, related: RequestId | None) -> None:
        asked = self._asked.get(related) if related is not None else None
        stream = asked.stream if asked is not None else None
        # What belongs to a call that its client cannot come back to is still worth being told.
        (stream if stream is not None and stream.reachable else self.standing).event(line)
