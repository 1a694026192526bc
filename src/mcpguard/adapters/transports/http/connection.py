"""One connection of a client: HTTP/1.1 as httptools parses it, and an ASGI exchange for each request.

Law of this file: one request is served at a time, and what a connection may send besides bodies is bounded in
bytes and in time; what cannot be read to its end is not served, and no answer has another one in it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, MutableMapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools

from mcpguard.adapters.transports.http.request import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

HEAD_BYTES = 64 * 1024
"""The most that the line and headers of one request may have, give or take one read."""
BODY_BYTES = 64 * 1024
"""Above so many bytes of a body that nobody has taken yet, nothing more is read."""
KEEP_ALIVE_SECONDS = 75
"""How long a connection may stay open between two requests."""
SURPLUS = 16
"""So many connections above the bound are told so; further ones are cut."""

_CONTROL = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_BODYLESS = (204, 304)
_TEXT = b"content-type: text/plain; charset=utf-8\r\n"


class Connections:
    """What the connections of a front share. `report(sentence)` tells the operator of a defect, without any
    text of its exception."""

    def __init__(
        self, endpoint: Application, report: Callable[[str], None], head_seconds: float, most: int
    ) -> None:
        self.endpoint = endpoint
        self.head_seconds = head_seconds
        self.most = most
        self.open: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.report = report
        self._second, self._date = 0, b""

    def date(self) -> bytes:
        """The header that every answer has (RFC 9110, section 6.6.1), written anew once a second."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        return self._date


class HttpConnection(asyncio.Protocol):
    """A connection, which is `load.Connection` as well. A request that comes while another is served is not
    queued: its client has to send it again, and the connection ends with the answer (RFC 9112, section
    9.3.2). So it goes on being read, and mcpguard hears that the client is gone."""

    transport: asyncio.Transport

    def __init__(self, shared: Connections) -> None:
        self.shared = shared
        self._parser = httptools.HttpRequestParser(self)
        # What comes after a request that closes the connection must not cost it its answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._loop = asyncio.get_running_loop()
        self._served: ServedRequest | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._surplus = self._deaf = False
        self.paused = False
        """Nothing is read until somebody has taken what was."""
        # Bytes since the last ones of a body, or since the end of a head or of a request.
        self._unclaimed = 0
        self._in_head = True
        self._late: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.writable = asyncio.Event()
        """Set while the client takes what it is sent."""
        self.writable.set()

    # --- the transport -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport = transport
        connections = self.shared.open
        connections.add(self)
        self._late = self._loop.call_later(self.shared.head_seconds, self._head_is_late)
        self._surplus = len(connections) > self.shared.most
        if len(connections) > self.shared.most + SURPLUS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._surplus:
            # Not before it has asked: what it sends after we have closed would cost it the answer.
            self.transport.write(_full(self.shared.most))
            self.transport.close()
            return
        if self._deaf:
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._unclaimed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # It is answered as what it is without that.
        except httptools.HttpParserError:
            self._refuse(b"Invalid HTTP request received.")
        if self._unclaimed > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(b"The head or the end of the request is too large.")
        if self._late is None and (self._served is None or self._served.complete):
            # Also for what is left of a request that was answered before it had all come.
            self._late = self._loop.call_later(self.shared.head_seconds, self._head_is_late)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.shared.open.discard(self)
        if self._served is not None:
            self._served.lose()
        self.resume_writing()
        for timer in (self._late, self._idle):
            if timer is not None:
                timer.cancel()

    # --- the parser --------------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of it, or a field behind its body."""
        if self._in_head:
            name = name.lower()
            self._headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                self._expects = True
        elif not self._deaf and not self.transport.is_closing():
            # Behind a body it is no header (RFC 9110, section 6.5.1).
            self._refuse(b"Trailer fields are not accepted.")

    def on_headers_complete(self) -> None:
        """Its head is whole: it is served, unless another one is."""
        self._in_head = False
        self._unclaimed = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self._served is not None and not self._served.complete:
            self._served.keep_alive = False
            self._deaf = True
            return
        target = httptools.parse_url(self._url)
        path = target.path.decode("ascii")
        scope = {
            "type": "http",
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "query_string": target.query or b"",
            "headers": self._headers,
            "state": {"connection": self},
        }
        keep_alive = self._parser.get_http_version() == "1.1" and self._parser.should_keep_alive()
        self._served = served = ServedRequest(self, scope, keep_alive, self._expects)
        self._url, self._headers, self._expects = b"", [], False
        # Not by `Background`: it would be one more file on the road of each call.
        task = self._loop.create_task(self.shared.endpoint(scope, served.receive, served.send))
        self.shared.tasks.add(task)
        task.add_done_callback(served.ended)

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._unclaimed = 0
        served = self._served
        if not self._deaf and served is not None and not served.complete:
            served.feed(body)

    def on_message_complete(self) -> None:
        """It has come to its end."""
        self._in_head = True
        self._unclaimed = 0
        served = self._served
        if not self._deaf and served is not None and not served.complete:
            served.more = False
            served.stirred.set()

    # --- for its exchange, and for who holds connections -------------------------------------------

    @property
    def unsent(self) -> int:
        """See `load.Connection.unsent`."""
        return self.transport.get_write_buffer_size()

    def cut(self) -> None:
        """See `load.Connection.cut`."""
        self.transport.abort()

    def finish(self) -> None:
        """Close it once what is being served has its answer."""
        if self._served is not None and self._serving:
            self._served.keep_alive = False
        else:
            self.transport.close()

    def read_on(self, on: bool) -> None:
        """Read no more of a body, or read again."""
        self.paused = not on
        (self.transport.resume_reading if on else self.transport.pause_reading)()

    def answered(self, keep_alive: bool) -> None:
        """The answer has been written."""
        if not keep_alive:
            self.transport.close()
        if not self.transport.is_closing():
            if self.paused:
                self.read_on(True)
            self._idle = self._loop.call_later(KEEP_ALIVE_SECONDS, self.transport.close)

    @property
    def _serving(self) -> bool:
        return self._served is not None and not self._served.complete

    def _refuse(self, said: bytes) -> None:
        served, serving = self._served, self._serving
        if served is not None:
            served.lose()
        if served is not None and served.started and (serving or not self._in_head):
            self.transport.abort()
            return
        about = b"%bcontent-length: %d\r\nconnection: close\r\n\r\n" % (_TEXT, len(said))
        self.transport.write(_STATUS[400] + self.shared.date() + about + said)
        self.transport.close()

    def _head_is_late(self) -> None:
        self._late = None
        self.transport.close()


class ServedRequest:
    """A request and its answer (ASGI 3, `http`)."""

    def __init__(
        self, connection: HttpConnection, scope: dict[str, Any], keep_alive: bool, expects: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.started = self.complete = False
        self._connection = connection
        self._bodyless = scope["method"] == "HEAD"
        self._expects = expects
        self._body = bytearray()
        self.more = True
        """Whether the body has not come to its end."""
        self._lost = False
        self.stirred = asyncio.Event()
        """Set where there is something to receive."""
        self._head = b""
        self._left: int | None = None  # Bytes of the answer to come; None: it is cut into chunks.

    def feed(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += body
        if len(self._body) > BODY_BYTES and not self._connection.paused:
            self._connection.read_on(False)
        self.stirred.set()

    def lose(self) -> None:
        """The client is gone, or is not understood any more."""
        self._lost = self._lost or not self.complete
        self.stirred.set()

    async def receive(self) -> MutableMapping[str, Any]:
        """See ASGI, Receive event."""
        transport = self._connection.transport
        if self._expects and not transport.is_closing():
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects = False
        if not self._lost and not self.complete:
            if self._connection.paused:
                self._connection.read_on(True)
            await self.stirred.wait()
            self.stirred.clear()
        if self._lost or self.complete:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """See ASGI, Response start and body events. Raises ValueError for a header that would be two."""
        await self._connection.writable.wait()
        if self._lost:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._bodyless:
            data, self._left = b"", 0
        elif self._left is not None:
            self._left -= len(body)
            data = body
        else:
            data = b"".join((b"%x\r\n" % len(body), body, b"\r\n")) if body else b""
            data = data if more else data + b"0\r\n\r\n"
        head, self._head = self._head, b""
        # In one piece, where there are two.
        self._connection.transport.write(b"".join((head, data)) if head else data)
        if not more:
            self.complete = True
            self.stirred.set()
            self._connection.answered(self.keep_alive and not self._left)

    def ended(self, task: asyncio.Task[None]) -> None:
        """Whoever serves it has ended: an answer that is not whole ends with its connection."""
        shared = self._connection.shared
        shared.tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            shared.report(f"internal error ({type(defect).__name__}) in the HTTP front")
        if self.complete or self._lost:
            return
        transport = self._connection.transport
        if not self.started:
            said = b"Internal Server Error"
            about = b"%bcontent-length: %d\r\nconnection: close\r\n\r\n" % (_TEXT, len(said))
            transport.write(_STATUS[500] + shared.date() + about + said)
        self.complete = True
        transport.close()

    def _start(self, status: int, headers: Any) -> None:
        parts = [_STATUS[status], self._connection.shared.date()]
        for name, value in headers:
            if _CONTROL.search(value):
                raise ValueError("a header has a control character")
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        self._bodyless = self._bodyless or status in _BODYLESS
        if self._left is None and not self._bodyless:
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        self.started, self._expects = True, False
        head = b"".join(parts)
        if self._left is None:
            self._connection.transport.write(head)
        else:
            self._head = head  # Its body follows at once.


def _full(most: int) -> bytes:
    said = b"mcpguard serves %d connections at once, and all are in use" % most
    about = b"retry-after: 5\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(said)
    return _STATUS[503] + _TEXT + about + said
