"""One connection of a client: HTTP/1.1 as httptools parses it.

Law of this file: one request is served at a time, and what a connection may send besides bodies is bounded in
bytes and in time; what cannot be read in exactly one way, or not to its end, is not served.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import httptools

from mcpguard.adapters.transports.http.guard import HTTP_VERSIONS, check_framing, split_target
from mcpguard.adapters.transports.http.quotas import InUse, Quotas
from mcpguard.adapters.transports.http.request import ANONYMOUS, TEXT, HttpRefusal, HttpRequest, plain_answer
from mcpguard.adapters.transports.http.unverified import SAID, UNUSED_SAID, UnverifiedConnections
from mcpguard.protocol import eras

HEAD_BYTES = 64 * 1024
"""The most that the line and headers of one request may have, give or take one read."""
FIELDS = 128
"""The most headers that one request may have."""
BODY_BYTES = 64 * 1024
"""Above this many bytes of a body that nobody has taken yet, nothing more is read."""
KEEP_ALIVE_SECONDS = 75
"""How long a connection may stay open between two requests, or while its client takes none of an answer."""
LINGER_SECONDS = 2.0
"""How long what a client still sends is read and dropped once its connection has had its last answer."""
LINGER_BYTES = 1024 * 1024
"""And at most this much of it."""
STALLED_SECONDS = 2.0
"""A client that takes nothing of its answer for this long counts as stalled."""
SURPLUS = 16
"""How many connections above the bound are told so; further ones are cut."""

_PLAIN = re.compile(r"/[a-z0-9_/-]*")
_ONCE = frozenset({"authorization", "content-type", "host", "origin"})
_UPGRADING = frozenset({"upgrade", "http2-settings"})


class Connections:
    """What the connections of a front share. `report(sentence)` tells the operator of a defect, without any
    text of its exception. Answers of at most `unread` bytes are kept for clients that have stalled."""

    def __init__(
        self,
        endpoint: Callable[[HttpRequest], Coroutine[Any, Any, None]],
        report: Callable[[str], None],
        head_seconds: float,
        quotas: Quotas,
        unread: int,
    ) -> None:
        self.endpoint = endpoint
        self.head_seconds = head_seconds
        self.most = most = quotas.connections
        self.full = quotas.full
        self.everyone = quotas.of(ANONYMOUS)
        """What is counted for a client that has not shown who it is."""
        self.open: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.report = report
        said = UNUSED_SAID if quotas.shared else SAID
        self.unverified = UnverifiedConnections(max(1, most // 2), report, said=said)
        self.unread = unread
        self.stalled: set[HttpConnection] = set()

    def defect(self, error: BaseException | None) -> None:
        """Report what we did not expect."""
        self.report(f"internal error ({type(error).__name__}) in the HTTP front")

    @property
    def unsent(self) -> int:
        """Bytes that clients have not taken yet."""
        return sum([one.unsent for one in self.open])

    def relieve(self) -> None:
        """Cut stalled clients while too much is kept for them: who has most unread goes first."""
        while self.stalled and sum(one.unsent for one in self.stalled) > self.unread:
            largest = max(self.stalled, key=lambda one: one.unsent)
            self.stalled.discard(largest)
            largest.cut()


class HttpConnection(asyncio.Protocol):
    """A connection, which is `request.Connection` as well. A request that comes while another is served is
    not queued: its client has to send it again, and the connection ends with the answer (RFC 9112, section
    9.3.2). So it is still read, and mcpguard notices that the client is gone."""

    transport: asyncio.Transport

    def __init__(self, shared: Connections) -> None:
        self.shared = shared
        self._parser = _parser(self)
        self._loop = asyncio.get_running_loop()
        self.request: HttpRequest | None = None
        """The one that is served, or was served last."""
        self._url = b""
        self._fields = 0
        self._headers: dict[str, str] = {}
        self._surplus = self._deaf = self._parting = self._upgrading = self._paused = False
        # Bytes since the last ones of a body, or since the end of a head or of a request.
        self._unclaimed = 0
        self._in_head = True
        self._late: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self.peer, self.unverified, self.takes = "", True, True
        self._in_use: InUse | None = None
        self.resumes: Callable[[], None] | None = None

    # --- the transport -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport = transport
        self.put = transport.write
        """See `request.Connection.put`."""
        self.peer = str((transport.get_extra_info("peername") or [""])[0])
        shared, connections = self.shared, self.shared.open
        connections.add(self)
        self._late = self._loop.call_later(shared.head_seconds, self._head_is_late)
        self._surplus = len(connections) > shared.most and not shared.unverified.spare()
        if not self._surplus:
            shared.unverified.add(self)
        if len(connections) > shared.most + SURPLUS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unclaimed += len(data)
        if self._deaf:
            if self._parting and self._unclaimed > LINGER_BYTES:
                self.transport.abort()
            return
        if self._surplus:
            # Not before it has asked: what it sends after we have closed would cost it the answer.
            said = f"mcpguard serves {self.shared.most} connections at once, and all are in use"
            self.shared.full("connections", said)
            self._part_with(503, said.encode(), more=b"retry-after: 5\r\n")
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
            self.shared.unverified.idle.pop(self, None)
        problem: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as raised:
            problem = raised
        if problem is not None:
            self._misread(data, problem)
        if self._unclaimed > HEAD_BYTES and not self._parting:
            self._refuse(431, b"The head or the end of the request is too large.")
        request = self.request
        if self._late is None and not self._parting and (request is None or request.complete):
            # Also for what is left of a request that was answered before it had all come.
            self.doubt()
            self._late = self._loop.call_later(self.shared.head_seconds, self._head_is_late)

    def pause_writing(self) -> None:
        self.takes = False
        self._stall = self._loop.call_later(STALLED_SECONDS, self._look, self.unsent)

    def resume_writing(self) -> None:
        self.takes = True
        self.shared.stalled.discard(self)
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        resumes, self.resumes = self.resumes, None
        if resumes is not None:
            resumes()

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.open.discard(self)
        self.shared.unverified.discard(self)
        self._rest()
        self._lose()
        self.resume_writing()
        for timer in (self._late, self._idle):
            if timer is not None:
                timer.cancel()

    # --- the parser --------------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url
        if self.request is not None and not self.request.complete:
            self.request.keep_alive = False
            self._deaf = True

    def on_header(self, name_bytes: bytes, value_bytes: bytes) -> None:
        """A header of it, or a field behind its body. Raises HttpRefusal with 400 where a header that routes
        is given twice: two parties might each believe another one. For `mcp-*` it is a HeaderMismatch
        (basic/transports/streamable-http)."""
        if self._deaf:
            return
        if not self._in_head:
            # Behind a body it is not a header (RFC 9110, section 6.5.1).
            raise HttpRefusal(400, "Trailer fields are not accepted.", 0)
        self._fields += 1
        if self._fields > FIELDS:
            raise HttpRefusal(431, "The request has too many header fields.", 0)
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1").strip(" \t")
        if name not in self._headers:
            self._headers[name] = value
        elif name.startswith("mcp-"):
            raise HttpRefusal(400, "an Mcp-* header is present twice", eras.HEADER_MISMATCH)
        elif name in _ONCE:
            raise HttpRefusal(400, "a header that may be present only once is present twice")
        else:
            self._headers[name] += ", " + value

    def on_headers_complete(self) -> None:
        """Its head is whole: it is served, unless another one is. Raises HttpRefusal where it is not."""
        self._in_head = False
        self._unclaimed = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self._deaf:
            return
        parser, headers = self._parser, self._headers
        if parser.should_upgrade():
            self._check_upgrade()
            return
        version, (path, query) = parser.get_http_version(), (self._url.decode("latin-1"), b"")
        if _PLAIN.fullmatch(path) is None:
            path, query = split_target(self._url, headers)
        if "transfer-encoding" in headers or "host" not in headers or version not in HTTP_VERSIONS:
            check_framing(version, headers)
        modern = version == "1.1"
        self.request = request = HttpRequest(
            self,
            parser.get_method().decode("ascii"),
            path,
            query,
            headers,
            headers.pop("authorization", None),
            in_use=self.shared.everyone,
            keep_alive=modern and parser.should_keep_alive(),
            chunks=modern,
            expects=modern and headers.get("expect", "").lower() == "100-continue",
        )
        self._url, self._headers, self._fields = b"", {}, 0
        # Not by `Background`: it would be one more file on the road of each call.
        task = self._loop.create_task(self.shared.endpoint(request))
        self.shared.tasks.add(task)
        task.add_done_callback(self.shared.tasks.discard)
        task.add_done_callback(request.handled)

    def on_body(self, body: bytes) -> None:
        self._unclaimed = 0
        request = self.request
        if not self._deaf and request is not None and not (request.complete or request.unwanted):
            request.arrived += body
            if len(request.arrived) > BODY_BYTES and not self._paused:
                self._paused = True
                self.transport.pause_reading()
            request.stirred.set()

    def on_message_complete(self) -> None:
        """It has come to its end."""
        self._in_head = True
        self._unclaimed = 0
        if not self._deaf and not self._upgrading and self.request is not None:
            self.request.whole = True
            self.request.stirred.set()

    def _check_upgrade(self) -> None:
        if self._parser.get_method() == b"CONNECT":
            raise HttpRefusal(501, "mcpguard is not a forward proxy.", 0)
        self._upgrading = True

    def _misread(self, data: bytes, problem: Exception) -> None:
        """The parser has stopped."""
        cause = problem.__context__ if isinstance(problem, httptools.HttpParserCallbackError) else problem
        if isinstance(cause, httptools.HttpParserUpgrade):
            self._read_without_upgrade(data[cause.args[0] :])
        elif isinstance(cause, HttpRefusal):
            kind, body = cause.body
            self._refuse(cause.status, body, kind)
        elif isinstance(cause, httptools.HttpParserError):
            self._refuse(400, b"Invalid HTTP request received.")
        else:
            self.shared.defect(cause)
            self._refuse(500, b"Internal Server Error")

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Go on as if the client had asked for no other protocol, which it may be told by the answer (RFC
        9110, section 7.8). The parser took the body for that protocol: it reads the head again, without the
        request for it."""
        parser = self._parser
        line = b"%b %b HTTP/%b" % (parser.get_method(), self._url, parser.get_http_version().encode())
        kept = [
            f"{name}: {value}".encode("latin-1")
            for name, value in self._headers.items()
            if name not in _UPGRADING
        ]
        self._parser, self._upgrading, self._in_head = _parser(self), False, True
        self._url, self._headers, self._fields = b"", {}, 0
        self.data_received(b"\r\n".join((line, *kept, b"", rest)))

    # --- for its request, and for whoever holds connections --------------------------------------------

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def cut(self) -> None:
        self.transport.abort()

    def give_way(self) -> None:
        self.shared.open.discard(self)
        self.transport.abort()

    def doubt(self) -> None:
        if not self.unverified:
            self.unverified = True
            self.shared.unverified.add(self)

    def welcome(self, in_use: InUse | None = None) -> None:
        if in_use is not None and in_use is not self._in_use:
            in_use.check("connections")
            self._rest()
            self._in_use = in_use
            in_use.connections += 1
        self.unverified = False
        self.shared.unverified.discard(self)

    def _rest(self) -> None:
        """It counts for nobody: no answer is due, and none of one is left to take."""
        if self._in_use is not None:
            self._in_use.connections -= 1
            self._in_use = None

    def fail(self, request: HttpRequest, defect: BaseException) -> None:
        self.shared.defect(defect)
        if not (request.complete or request.lost):
            if not request.started:
                self.transport.write(plain_answer(500, b"Internal Server Error"))
            request.complete = True
            self.part()
            request.end()

    async def settled(self) -> None:
        """Wait until what is being served has its answer, or its client is gone."""
        if self.request is not None:
            await self.request.settled()

    def finish(self) -> None:
        """Close it once what is being served has its answer."""
        if self.request is not None and not self.request.complete:
            self.request.keep_alive = False
        elif not self._parting:
            self.transport.close()

    def read_on(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def answered(self, keep_alive: bool) -> None:
        if not keep_alive:
            self.part()
        elif not self.transport.is_closing():
            if self._paused:
                self.read_on()
            unsent = self.transport.get_write_buffer_size()
            self._idle = self._loop.call_later(KEEP_ALIVE_SECONDS, self._is_quiet, unsent)
            if not unsent:
                if self._in_use is not None:
                    self._rest()
                self.shared.unverified.idle[self] = None

    def part(self) -> None:
        """Say that nothing more comes, and close in a moment: at once, what the client still sends would
        cost it the answer (RFC 9112, section 9.6)."""
        self._deaf = self._parting = True
        self._unclaimed = 0
        if not self.transport.is_closing():
            self.read_on()
            with suppress(OSError):  # The client may be gone; `connection_lost` follows.
                self.transport.write_eof()
            if not self.unsent:
                self.shared.unverified.idle[self] = None
            seconds = KEEP_ALIVE_SECONDS if self.unsent else LINGER_SECONDS
            self._idle = self._loop.call_later(seconds, self._is_quiet, self.unsent)

    def _is_quiet(self, before: int) -> None:
        """Close it, or wait on while the client takes an answer of which this many bytes were unsent."""
        left = self.unsent
        if left and left < before:
            self._idle = self._loop.call_later(KEEP_ALIVE_SECONDS, self._is_quiet, left)
        else:
            (self.transport.abort if left else self.transport.close)()

    def _look(self, before: int) -> None:
        """See whether the client has taken any of its answer since `unsent` bytes of it were unsent."""
        if self.unsent < before:
            self.shared.stalled.discard(self)
        else:
            self.shared.stalled.add(self)
        self._stall = self._loop.call_later(STALLED_SECONDS, self._look, self.unsent)
        self.shared.relieve()

    def _lose(self) -> None:
        request = self.request
        if request is not None and not request.complete:
            request.lost = True
            request.end()

    def _refuse(self, status: int, said: bytes, kind: bytes = TEXT) -> None:
        """Answer what cannot be read on, unless another answer has begun."""
        request = self.request
        serving = request is not None and not request.complete
        self._lose()
        if request is not None and request.started and (serving or not self._in_head):
            self._deaf = self._parting = True
            self.transport.abort()
        else:
            self._part_with(status, said, kind)

    def _part_with(self, status: int, said: bytes, kind: bytes = TEXT, more: bytes = b"") -> None:
        self.transport.write(plain_answer(status, said, kind, more))
        self.part()

    def _head_is_late(self) -> None:
        self._late = None
        self.transport.close()


def _parser(connection: HttpConnection) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(connection)
    # What comes after a request that closes the connection must not cost it its answer.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
