"""A wire over Streamable HTTP, for both eras: each message is one POST, its answer JSON or an event stream.

Modern: 2026-07-28, basic/transports/streamable-http; legacy: 2025-03-26 to 2025-11-25, basic/transports.
Law of this file: headers are made from the message that is sent, never copied; a session id and a
credential go to the configured origin only.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial

from mcpguard.adapters.network import Exchange, Outbound
from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.wires.address import REFUSED, Sender, UpstreamAddress
from mcpguard.adapters.upstreams.wires.event_stream import EventStream
from mcpguard.adapters.upstreams.wires.http_reader import HttpReader
from mcpguard.adapters.upstreams.wires.outbox import Outbox, OutgoingMessage
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json, Listed
from mcpguard.protocol import headers as mirror
from mcpguard.protocol.calls import FORMS
from mcpguard.protocol.eras import VERSION_KEY
from mcpguard.protocol.jsonrpc import BATCHED

EVENTS = "text/event-stream"
SESSION = "Mcp-Session-Id"
FORGOTTEN, DOUBTFUL = 404, 400
"""What a server says that does not know our session: 404 (2025-11-25, basic/transports, session management),
and 400 where it takes the id of a session that it forgot for none at all, as many do; others say 400 of a
wrong argument."""
_JSON = "application/json"
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,1024}")
_RESUMES = 5
"""Reconnects in a row that bring nothing new, after which a broken answer is given up."""
FORGOTTEN_SECONDS = 5.0
_FAREWELL_SECONDS = 2.0


class StreamableHttpWire:
    """Implements `Wire`. `last_status` is the HTTP status of the last answer to a request, 0 before the
    first: what the session needs to fall back to another era or transport (backward compatibility)."""

    one_stream = False

    def __init__(
        self,
        name: str,
        address: UpstreamAddress,
        message_bytes: int,
        turn: Turn,
        listener: WireListener,
        connect: Callable[[frozenset[str]], Outbound] = Outbound,
        pause_seconds: float = 1.0,
    ) -> None:
        """`message_bytes` limits a message that comes. `connect(named)` makes connections; a stream that
        breaks is opened again after `pause_seconds`, later ones after longer, or when the stream says if that
        is later still."""
        self.name = name
        self.last_status = 0
        self._sender = Sender(address, connect)
        self._pause = pause_seconds
        self._reader = HttpReader(turn, listener, message_bytes)
        self._outbox = Outbox(turn, self._post)
        self._version = ""
        self._modern = False
        self._session: str | None = None
        self._background = Background("a stream of a server broke off")
        self._listening: asyncio.Task[None] | None = None
        self._events = EventStream(message_bytes)
        self._listens_since = 0
        self._closed = False

    # --- what the session does --------------------------------------------------------------------

    @property
    def held(self) -> bool:
        return self._reader.held

    @property
    def unsent(self) -> int:
        return self._outbox.unsent

    async def open(self) -> None:
        """Resolve the address; the first message connects. Raises CredentialError or UpstreamError."""
        await self._sender.open()

    def send(self, message: dict[str, Json], target: Listed | None = None, credential: str = "") -> int:
        """Post one message after the turn. `initialize` begins a new session."""
        if message.get("method") == "initialize":
            self._version, self._session, self._modern = "", None, False
            self._stop_listening()
        outgoing = OutgoingMessage(message, target, credential)
        self._outbox.put(outgoing)
        return len(outgoing.body)

    def greeted(self, version: str, modern: bool) -> None:
        """Later requests carry `version`; in the legacy era the GET stream is opened."""
        self._version, self._modern = version, modern
        self._reader.batches = version in BATCHED
        self._stop_listening()
        self._events = EventStream(self._reader.limit)
        if not modern and not self._closed:
            self._listening = self._background.start(self._listen())

    def forget(self, request_id: int) -> bool:
        """Modern: close its exchange, which cancels it (cancellation), True. Legacy: False; the exchange
        is closed a little later, when there was time for the notification that cancels it."""
        if self._modern or not self._version:
            self._outbox.drop(request_id)
            return True
        asyncio.get_running_loop().call_later(FORGOTTEN_SECONDS, self._outbox.drop, request_id)
        return False

    def hold(self, on: bool) -> None:
        self._reader.hold(on)

    async def last_words(self) -> str:
        """Nothing: a failed exchange has told its own reason."""
        return ""

    async def close(self, gently: bool) -> None:
        """Close every exchange; `gently` ends a legacy session with DELETE first."""
        if self._closed:
            return
        self._closed = True
        await self._background.close()
        await self._outbox.close()
        if gently and self._session is not None:
            try:
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    exchange = await self._sender.request("DELETE", self._headers())
                    exchange.close()
            except (UpstreamError, TimeoutError):
                pass  # A server need not allow it (session management), and there is no wait for it.
        await self._sender.close()
        self._reader.ended()

    # --- one message ----------------------------------------------------------------------------

    async def _post(self, outgoing: OutgoingMessage) -> None:
        exchange, headers = None, self._headers_of(outgoing)
        if outgoing.request_id is not None:
            self.last_status = 0
        try:
            sent = partial(self._outbox.sent, outgoing)
            exchange = await self._sender.request("POST", headers, outgoing.credential, outgoing.body, sent)
            if outgoing.request_id is None:
                await exchange.drain()
            else:
                self.last_status = exchange.status
                await self._answered(outgoing, outgoing.request_id, exchange, SESSION in headers)
        except UpstreamError as problem:
            self._reader.failed(outgoing.request_id, str(problem), lost=True)
        finally:
            if exchange is not None:
                exchange.close()
            self._listen_anew()

    def _headers(self) -> dict[str, str]:
        """The headers of every legacy request once it was greeted."""
        headers: dict[str, str] = {}
        if self._version:
            headers[mirror.VERSION] = self._version
        if self._session is not None:
            headers[SESSION] = self._session
        return headers

    def _headers_of(self, outgoing: OutgoingMessage) -> dict[str, str]:
        message = outgoing.message
        headers = {} if self._is_modern(outgoing) else self._headers()
        headers["Accept"] = f"{_JSON}, {EVENTS}"
        headers["Content-Type"] = _JSON
        if self._is_modern(outgoing) and "method" in message:
            headers |= mirror.standard(message)
            params = message.get("params", {})
            headers[mirror.VERSION] = params.get("_meta", {}).get(VERSION_KEY, self._version)
            if outgoing.target is not None and outgoing.method == "tools/call":
                schema = outgoing.target.descriptor.get("inputSchema")
                headers |= mirror.mirrored(schema, params.get("arguments") or {})
        return headers

    def _is_modern(self, outgoing: OutgoingMessage) -> bool:
        return self._modern or outgoing.method == "server/discover"

    async def _answered(
        self, outgoing: OutgoingMessage, request_id: int, exchange: Exchange, in_session: bool
    ) -> None:
        status, method = exchange.status, outgoing.method
        if status in REFUSED:
            raise self._sender.unwelcome(exchange, outgoing.credential)
        if status == FORGOTTEN and in_session:
            await exchange.drain()
            self._reader.expired(request_id)
        elif status >= 300:
            doubtful = status == DOUBTFUL and in_session
            words = status == DOUBTFUL and method in FORMS
            if not await self._reader.refusal(exchange, request_id, doubtful, words):
                raise UpstreamError(exchange.no_answer_to(method))
        elif exchange.media_type == _JSON:
            self._take_session(outgoing, exchange)
            await self._reader.whole(exchange, request_id, method)
        elif exchange.media_type == EVENTS:
            self._take_session(outgoing, exchange)
            await self._streamed(outgoing, request_id, exchange)
        else:
            raise UpstreamError(f"answered {method} with neither JSON nor an event stream (HTTP {status})")

    def _take_session(self, outgoing: OutgoingMessage, exchange: Exchange) -> None:
        session = exchange.header(SESSION)
        if outgoing.method == "initialize" and session is not None and _SESSION_ID.fullmatch(session):
            self._session = session

    # --- event streams --------------------------------------------------------------------------

    async def _streamed(self, outgoing: OutgoingMessage, request_id: int, exchange: Exchange) -> None:
        events = EventStream(self._reader.limit)
        broken: UpstreamError | None = None
        try:
            answered = await self._reader.stream(exchange, events, request_id)
        except UpstreamError as problem:
            answered, broken = False, problem
        else:
            on_purpose = bool(events.last_id) and events.retry_ms is not None
            if on_purpose and not answered and not self._is_modern(outgoing):
                self._reader.parted(request_id)
        if answered:
            await exchange.drain()
        elif self._is_modern(outgoing) or not await self._resumed(request_id, events, outgoing.credential):
            raise broken or UpstreamError(f"ended its stream before it answered {outgoing.method}")

    async def _resumed(self, request_id: int, events: EventStream, credential: str) -> bool:
        """Go on with a stream that broke (resumability and redelivery). False if that cannot be."""
        vain = 0
        while events.last_id and vain < _RESUMES:
            await self._wait(events, vain)
            seen = events.last_id, events.brought
            try:
                status, answered = await self._get(events, request_id, credential)
            except UpstreamError:
                status, answered = 0, False
            if answered:
                return True
            if 300 <= status < 500:
                return False
            vain = 0 if (events.last_id, events.brought) != seen else vain + 1
        return False

    async def _listen(self) -> None:
        """Hold the GET stream open until the server does not want it (listening for messages)."""
        events, vain = self._events, 0
        while True:
            self._listens_since = self._sender.turn
            seen = events.last_id, events.brought
            try:
                status, _ = await self._get(events, None)
            except UpstreamError:
                status = 0
            if 300 <= status < 500:
                return
            vain = 0 if (events.last_id, events.brought) != seen else vain + 1
            await self._wait(events, vain)

    def _listen_anew(self) -> None:
        """Nothing is received any more with a credential that is no longer in force."""
        if self._listening is None or self._listening.done() or self._listens_since == self._sender.turn:
            return
        self._listening.cancel()
        self._listening = self._background.start(self._listen())

    async def _wait(self, events: EventStream, vain: int) -> None:
        await asyncio.sleep(events.pause(self._pause, vain))

    async def _get(
        self, events: EventStream, request_id: int | None, credential: str = ""
    ) -> tuple[int, bool]:
        """Open a stream by GET and read it to its end: the HTTP status (406 for another content), and
        whether the request was dealt with."""
        headers = {**self._headers(), "Accept": EVENTS}
        if events.last_id:
            headers["Last-Event-ID"] = events.last_id
        events.restart()
        exchange = await self._sender.request("GET", headers, credential)
        try:
            if exchange.status != 200 or exchange.media_type != EVENTS:
                return (406 if exchange.status == 200 else exchange.status), False
            return 200, await self._reader.stream(exchange, events, request_id)
        finally:
            exchange.close()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
