"""A wire over the deprecated HTTP+SSE (2024-11-05, basic/transports): one stream brings everything, and names
the endpoint that messages are posted to.

Law of this file: the endpoint is of the configured origin, or nothing is sent (law 3). The wire is over when
its stream is.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from urllib.parse import urljoin

from mcpguard.adapters.network import Exchange, Outbound
from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.wires.address import REFUSED, Sender, UpstreamAddress, origin
from mcpguard.adapters.upstreams.wires.event_stream import Event, EventStream
from mcpguard.adapters.upstreams.wires.http import EVENTS, FORGOTTEN_SECONDS
from mcpguard.adapters.upstreams.wires.http_reader import HttpReader
from mcpguard.adapters.upstreams.wires.outbox import Outbox, OutgoingMessage
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.config.urls import is_plain_url
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json, Listed
from mcpguard.protocol import headers as mirror
from mcpguard.protocol import jsonrpc


class SseWire:
    """Implements `Wire`. `last_status` is the HTTP status that the stream was opened with, 0 before that."""

    one_stream = True

    def __init__(
        self,
        name: str,
        address: UpstreamAddress,
        message_bytes: int,
        turn: Turn,
        listener: WireListener,
        connect: Callable[[frozenset[str]], Outbound] = Outbound,
    ) -> None:
        """As `StreamableHttpWire`."""
        self.name = name
        self.last_status = 0
        self._sender = Sender(address, connect)
        self._reader = HttpReader(turn, listener, message_bytes, self._named)
        self._outbox = Outbox(turn, self._post)
        self._version = ""
        self._endpoint: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._background = Background("the stream of a server broke off")
        self._reading: asyncio.Task[None] | None = None
        self._opened = False
        self._problem = ""

    @property
    def held(self) -> bool:
        return self._reader.held

    @property
    def unsent(self) -> int:
        return self._outbox.unsent

    async def open(self) -> None:
        """Open the stream and wait for its endpoint. Raises CredentialError or UpstreamError; then
        nothing is left open."""
        try:
            await self._open()
        except (UpstreamError, asyncio.CancelledError):
            await self.close(False)
            raise
        self._opened = True
        if self._reading is not None and self._reading.done():
            self._end()

    async def _open(self) -> None:
        await self._sender.open()
        exchange = await self._sender.request("GET", {"Accept": EVENTS})
        self._reading = self._background.start(self._read(exchange))
        status = self.last_status = exchange.status
        if status in REFUSED:
            raise self._sender.unwelcome(exchange)
        if status != 200 or exchange.media_type != EVENTS:
            raise UpstreamError(f"opened no event stream (HTTP {status})")
        await asyncio.wait((self._endpoint, self._reading), return_when=asyncio.FIRST_COMPLETED)
        if not self._endpoint.done():
            raise UpstreamError("ended its stream before it named its endpoint")
        if origin(self._endpoint.result()) != origin(self._sender.url):
            raise UpstreamError("named an endpoint at another origin, to which nothing is sent")

    async def _read(self, exchange: Exchange) -> None:
        try:
            await self._reader.stream(exchange, EventStream(self._reader.limit), None)
            self._problem = "; it closed its stream"
        except UpstreamError as problem:
            self._problem = f"; it {problem}"
        finally:
            exchange.close()
        if self._opened:
            self._end()

    def _named(self, event: Event) -> None:
        if event.kind == "endpoint" and not self._endpoint.done():
            self._endpoint.set_result(_joined(self._sender.url, event.data.decode("utf-8", "replace")))

    def _end(self) -> None:
        if self._opened:
            self._opened = False
            self._reader.ended()

    def send(self, message: dict[str, Json], target: Listed | None = None, credential: str = "") -> int:
        """Post one message after the turn; its answer comes on the stream."""
        outgoing = OutgoingMessage(message, target, credential)
        self._outbox.put(outgoing)
        return len(outgoing.body)

    async def _post(self, outgoing: OutgoingMessage) -> None:
        exchange = None
        try:
            if not self._endpoint.done():
                raise UpstreamError("is not connected")
            url, sent = self._endpoint.result(), partial(self._outbox.sent, outgoing)
            headers = {"Content-Type": "application/json"}
            if self._version:
                headers[mirror.VERSION] = self._version
            exchange = await self._sender.request(
                "POST", headers, outgoing.credential, outgoing.body, sent, url
            )
            if exchange.status in REFUSED:
                raise self._sender.unwelcome(exchange, outgoing.credential)
            if exchange.status < 300:
                await exchange.drain()
            elif outgoing.request_id is not None and not await self._reader.refusal(
                exchange, outgoing.request_id
            ):
                raise UpstreamError(exchange.no_answer_to(outgoing.method))
        except UpstreamError as problem:
            self._reader.failed(outgoing.request_id, str(problem), lost=True)
        finally:
            if exchange is not None:
                exchange.close()

    def greeted(self, version: str, modern: bool) -> None:
        self._version = version
        self._reader.batches = version in jsonrpc.BATCHED

    def forget(self, request_id: int) -> bool:
        """False: the session cancels it. If it still is being posted a while later, that ends."""
        asyncio.get_running_loop().call_later(FORGOTTEN_SECONDS, self._outbox.drop, request_id)
        return False

    def hold(self, on: bool) -> None:
        self._reader.hold(on)

    async def last_words(self) -> str:
        """How the stream ended, "" while it has not."""
        return self._problem

    async def close(self, gently: bool) -> None:
        """Close the stream and every POST; there is no gentler way."""
        await self._outbox.close()
        await self._background.close()
        await self._sender.close()
        self._end()


def _joined(url: str, place: str) -> str:
    """The URL of an endpoint, "" (no origin) for what is not a URL."""
    try:
        joined = urljoin(url, place)
    except ValueError:
        return ""
    return joined if is_plain_url(joined) else ""
