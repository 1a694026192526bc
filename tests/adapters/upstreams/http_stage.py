"""What the HTTP wires are tested with: a listener that remembers, an open wire, and messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.wires.address import UpstreamAddress
from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.adapters.upstreams.wires.sse import SseWire
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.secret import parse_template
from mcpguard.protocol.eras import CAPABILITIES_KEY, VERSION_KEY
from mcpguard.protocol.jsonrpc import Oversize
from tests.adapters.credentials.fake_credentials import FakeCredentials, program

DEADLINE = 20.0
LIMIT = 64 * 1024
MODERN = "2026-07-28"
LEGACY = "2025-11-25"


class RecordingEar(WireListener):
    """Remembers all that it hears as tuples: what, and with which arguments."""

    def __init__(self, turn: Turn) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._turn = turn
        self._changed = asyncio.Event()

    def _hear(self, *what: Any) -> None:
        assert self._turn.inside, "an listener is told within a turn"
        self.heard.append(what)
        self._changed.set()

    def received(self, message: dict[str, Any], size: int, related: int | None = None) -> None:
        assert size > 0
        self._hear("received", message, related)

    def broken(self, request_id: int | str | None, sentence: str, shown: str, why: str = "") -> None:
        self._hear("broken", request_id, sentence, shown)

    def oversize(self, line: Oversize) -> None:
        self._hear("oversize", line)

    def failed(self, request_id: int, sentence: str, lost: bool = False) -> None:
        self._hear("failed", request_id, sentence, lost)

    def expired(
        self, request_id: int, said: dict[str, Any] | None = None, size: int = 0, sure: bool = True
    ) -> None:
        self._hear("expired", request_id, said, sure)

    def parted(self, request_id: int) -> None:
        self._hear("parted", request_id)

    def ended(self) -> None:
        self._hear("ended")

    async def until(self, found: Callable[[list[tuple[Any, ...]]], Any]) -> Any:
        """Wait until `found(heard)` is something, and give that."""
        while not (result := found(self.heard)):
            self._changed.clear()
            await self._changed.wait()
        return result

    async def fate(self, request_id: int) -> tuple[Any, ...]:
        """How this request ended: its answer, or its failure."""

        def found(heard: list[tuple[Any, ...]]) -> Any:
            for what in heard:
                if what[0] == "received" and "method" not in what[1] and what[1]["id"] == request_id:
                    return what
                if what[0] in ("failed", "expired", "broken") and what[1] == request_id:
                    return what
            return None

        return await self.until(found)

    async def answer(self, request_id: int) -> dict[str, Any]:
        """Its answer; fails at once if it has another fate."""
        fate = await self.fate(request_id)
        assert fate[0] == "received", fate
        return fate[1]

    async def failure(self, request_id: int) -> str:
        """The sentence of its failure."""
        fate = await self.fate(request_id)
        assert fate[0] == "failed", fate
        return fate[2]


def address(url: str, headers: dict[str, str] | None = None, **values: str) -> UpstreamAddress:
    """An address whose references `${env:…}` have these values."""
    templates = {name: parse_template(text) for name, text in (headers or {}).items()}
    return UpstreamAddress(parse_template(url), templates, FakeCredentials(**values), program())


@asynccontextmanager
async def wired(
    kind: type[StreamableHttpWire] | type[SseWire],
    where: UpstreamAddress,
    limit: int = LIMIT,
    **more: Any,
) -> AsyncIterator[tuple[Any, RecordingEar]]:
    """An open wire and its listener; closed afterwards."""
    turn = Turn(asyncio.get_running_loop())
    listener = RecordingEar(turn)
    wire = kind("far", where, limit, turn, listener, **more)
    await wire.open()
    try:
        yield wire, listener
    finally:
        await wire.close(True)


def request(request_id: int, method: str, **params: Any) -> dict[str, Any]:
    """A request as the session writes it for a legacy upstream."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def modern(request_id: int, method: str, **params: Any) -> dict[str, Any]:
    """A request as the session writes it for a modern upstream."""
    meta = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}
    return request(request_id, method, **params, _meta=meta)


def hello(request_id: int, version: str = LEGACY) -> dict[str, Any]:
    """An initialize request."""
    info = {"name": "test", "version": "1"}
    capabilities = {"elicitation": {}, "roots": {}}
    return request(
        request_id, "initialize", protocolVersion=version, capabilities=capabilities, clientInfo=info
    )


READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def greet(wire: Any, listener: RecordingEar, version: str = LEGACY) -> dict[str, Any]:
    """Do the legacy handshake; gives the answer."""
    wire.send(hello(1, version))
    answer = await listener.answer(1)
    wire.greeted(version, False)
    wire.send(READY)
    return answer
