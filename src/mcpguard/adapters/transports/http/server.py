"""uvicorn's HTTP protocol on a socket that we bind, in the loop that runs already.

Law of this file: it installs no signal handler, prints no log line and no exception text (law 2), and
bounds what one connection may send before it has made a request. uvicorn's own `Server` is not used: it
takes the signals, and wakes ten times a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from email.utils import formatdate

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mcpguard.adapters.transports.http.endpoint import Endpoint
from mcpguard.adapters.transports.http.shortage import Shortage

HEAD_BYTES = 64 * 1024
"""The most that the line and headers of one request may have, give or take one read."""
HEAD_SECONDS = 30.0
"""How long the head of a request may take, a new connection may stay silent, and the rest may take of a
request that was answered already."""
KEEP_ALIVE_SECONDS = 75
"""How long a connection may stay open between two requests."""
GRACE_SECONDS = 2.0
"""How long answers may take to go out once every world has ended."""

MOST_CONNECTIONS = 1000
"""So many connections are served at once."""
SURPLUS = 16
"""So many more are told so; further ones are cut."""


class HttpServer:
    """Listens, and serves `endpoint` on every connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        report: Callable[[str, str], None],
        head_seconds: float = HEAD_SECONDS,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """`report("", sentence)` tells the operator of a defect, without any text of its exception. `most`
        connections are served at once."""
        self._endpoint = endpoint
        self._head_seconds = head_seconds
        self._most = most
        self._state = _State()
        self._config = Config(
            endpoint,
            loop="none",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._defects = _Defects(report)
        self._shortage = Shortage(report)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on this address; gives it with the port that the system chose for 0. Raises OSError
        where the address cannot be had."""
        listening = _bound(host, port)
        self._config.load()
        logger = logging.getLogger("uvicorn.error")
        logger.propagate = False
        logger.addHandler(self._defects)
        self._shortage.watch(asyncio.get_running_loop())
        self._listener = await asyncio.get_running_loop().create_server(self._connection, sock=listening)
        bound = listening.getsockname()
        return str(bound[0]), int(bound[1])

    def _connection(self) -> asyncio.Protocol:
        protocol = _Protocol(self._config, self._state, {})
        protocol.app_state["connection"] = protocol
        protocol.state = self._state
        protocol.head_seconds = self._head_seconds
        protocol.most = self._most
        return protocol

    async def close(self, gently: bool) -> None:
        """Accept nobody more, end every world, let the answers go out for a moment, and cut the rest."""
        if self._listener is not None:
            self._listener.close()
        await self._endpoint.close(gently)
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=GRACE_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        self._shortage.close()
        logging.getLogger("uvicorn.error").removeHandler(self._defects)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; without that, each answer that is
    # written in two pieces takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def _full(most: int) -> bytes:
    said = b"mcpguard serves %d connections at once, and all are in use" % most
    head = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    return head + b"retry-after: 5\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said)


class _State(ServerState):
    """What the connections share. Every answer has a Date (RFC 9110, section 6.6.1), which is written anew
    once a second."""

    _shown_second = 0

    def put_date(self) -> None:
        now = int(time.time())
        if now != self._shown_second:
            self._shown_second = now
            self.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]


class _Defects(logging.Handler):
    """Takes uvicorn's log. Its lines quote exceptions, which may quote anything, so only the kind of the
    exception is told."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(logging.ERROR)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._report("", f"internal error ({type(error).__name__}) in the HTTP front")


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which is `load.Connection` as well. It has a bound on the number of connections,
    and on the head of a request, in bytes and in time. One request is served at a time: uvicorn stops reading
    while a second one waits, and would not hear that the client of the first is gone."""

    state: _State
    head_seconds = HEAD_SECONDS
    most = MOST_CONNECTIONS
    _surplus = False
    _deaf = False
    _unclaimed = 0
    """Bytes since the last ones of a body, or since the end of a head or of a request."""
    _in_head = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_seconds, self._head_is_late)
        self._surplus = len(self.connections) > self.most
        if len(self.connections) > self.most + SURPLUS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._surplus:
            # Not before it has asked: what it sends after we have closed would cost it the answer.
            self.transport.write(_full(self.most))
            self.transport.close()
            return
        if self._deaf:
            return
        self._unclaimed += len(data)
        super().data_received(data)
        if self._unclaimed > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head or the end of the request is too large.")
        if self._late is None and not self._serving:
            # Also for what is left of a request that was answered before it had all come.
            self._late = self.loop.call_later(self.head_seconds, self._head_is_late)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)
        elif not self._deaf and not self.transport.is_closing():
            # Behind a body it is no header (RFC 9110, section 6.5.1), and uvicorn would make it one.
            self.send_400_response("Fields behind the body are not taken.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unclaimed = 0
        self._stop_waiting()
        if self._serving:
            # Its client has to send this one again (RFC 9112, section 9.3.2): the connection ends with the
            # answer to the one before, and nothing more is read from it.
            self.cycle.keep_alive = False
            self._deaf = True
            return
        self.state.put_date()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unclaimed = 0
        if not self._deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._unclaimed = 0
        if not self._deaf:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        # What cannot be read to its end is not served, and no answer has another one in it.
        cycle = self.cycle
        if self._serving:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is not None and cycle.response_started and (self._serving or not self._in_head):
            self.transport.abort()
        else:
            super().send_400_response(msg)

    @property
    def _serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def unsent(self) -> int:
        """See `load.Connection.unsent`."""
        return self.transport.get_write_buffer_size()

    def cut(self) -> None:
        """See `load.Connection.cut`."""
        self.transport.abort()

    def _head_is_late(self) -> None:
        self._late = None
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.app_state.clear()  # It has this very object in it.
        self._stop_waiting()
