"""A wire to a server that a test scripts, and a world around it: a listener that keeps what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.session.connecting import no_past
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.life import Backoff, Terms
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Caller, Invocation, Listed, Permit, Principal
from mcpguard.gateway.flight import Wait, as_future
from mcpguard.gateway.ports import Question
from mcpguard.protocol import eras
from tests.adapters.upstreams import START

SECONDS = 20
MODERN = "2026-07-28"
META = eras.PREFIX + "subscriptionId"

Message = dict[str, Any]
Server = Callable[["FakeWire", Message], None]


async def failure(wait: Wait[Any]) -> str:
    with pytest.raises(UpstreamError) as caught:
        await as_future(wait)
    return str(caught.value)


def permit(method: str = "tools/call", caller: Caller | None = None, **params: Any) -> Permit:
    invocation = Invocation(
        "n-1", method, Principal("ada", "os-user"), START, params=params, caller=caller or Caller()
    )
    return Permit(invocation, ())


def modern_caller(level: str | None = None) -> Caller:
    return Caller(MODERN, True, {"elicitation": {}}, level)


def legacy(capabilities: Message | None = None, name: str = "fake", version: str = "2025-06-18") -> Server:
    """A server that refuses `server/discover`, and gives `{}` to whatever else but `tools/call` and `tasks/…`."""

    def serve(wire: FakeWire, message: Message) -> None:
        method, request_id = message.get("method"), message.get("id")
        if method is None or request_id is None or method.startswith(("tools/call", "tasks/")):
            return
        if method == "server/discover":
            wire.error(request_id, -32601)
        elif method == "initialize":
            info = {"name": name, "version": "1"}
            given = {"protocolVersion": version, "capabilities": capabilities or {}, "serverInfo": info}
            wire.result(request_id, given)
        else:
            wire.result(request_id, {})

    return serve


def modern(capabilities: Message | None = None, name: str = "fake") -> Server:
    """A server that refuses `initialize`, acknowledges each stream, and answers no `tools/call`."""

    def serve(wire: FakeWire, message: Message) -> None:
        method, request_id = message.get("method"), message.get("id")
        if method == "server/discover":
            info = {eras.SERVER_INFO_KEY: {"name": name, "version": "1"}}
            wire.result(
                request_id,
                {
                    "resultType": "complete",
                    "supportedVersions": [MODERN],
                    "capabilities": capabilities or {},
                    "_meta": info,
                    "instructions": "be kind",
                },
            )
        elif method == "subscriptions/listen":
            wire.acknowledge(message)
        elif method == "initialize":
            wire.error(request_id, -32601)

    return serve


def silent(_wire: FakeWire, _message: Message) -> None:
    """Takes and answers nothing."""


class FakeWire:
    """Implements `wire.Wire`; the server answers after the turn, as a real one does."""

    def __init__(self, world: World, listener: WireListener, serve: Server) -> None:
        self.listener = listener
        self.sent: list[Message] = []
        self.targets: list[Listed | None] = []
        self.credentials: list[str] = []
        self.forgotten: list[int] = []
        self.revision: tuple[str, bool] | None = None
        self.closed = False
        self.held = False
        self.words = ""
        self.unsent = 0
        self.one_stream = True
        self.last_status = 0
        self.lets_go = False
        self.opening: BaseException | None = None
        self.ends_at_once = False
        self._world = world
        self._serve = serve

    async def open(self) -> None:
        if self.opening is not None:
            raise self.opening
        if self.ends_at_once:
            self.listener.ended()

    def send(self, message: Message, target: Listed | None = None, credential: str = "") -> None:
        assert not self.closed
        self.credentials.append(credential)
        self.sent.append(message)
        self.targets.append(target)
        asyncio.get_running_loop().call_soon(self._serve, self, message)
        self._world.stir()

    def greeted(self, version: str, modern: bool) -> None:
        self.revision = (version, modern)

    def forget(self, request_id: int) -> bool:
        self.forgotten.append(request_id)
        self._world.stir()
        return self.lets_go

    def hold(self, on: bool) -> None:
        self.held = on

    async def last_words(self) -> str:
        return self.words

    async def close(self, gently: bool) -> None:
        self.closed = True
        self.listener.ended()

    # --- what the server says ----------------------------------------------------------------------

    def say(self, message: Message, related: int | None = None) -> None:
        self.listener.received({"jsonrpc": "2.0", **message}, 100, related)
        self._world.stir()

    def result(self, request_id: Any, result: Any) -> None:
        self.say({"id": request_id, "result": result})

    def error(self, request_id: Any, code: int, **data: Any) -> None:
        error = {"code": code, "message": "no", **({"data": data} if data else {})}
        self.say({"id": request_id, "error": error})

    def notify(self, method: str, **params: Any) -> None:
        self.say({"method": method, "params": params})

    def acknowledge(self, message: Message, **instead: Any) -> None:
        agreed = instead or message["params"]["notifications"]
        method = "notifications/subscriptions/acknowledged"
        self.notify(method, _meta={META: message["id"]}, notifications=agreed)

    def methods(self) -> list[str]:
        return [message.get("method", "answer") for message in self.sent]

    def last(self, method: str) -> Message:
        return next(message for message in reversed(self.sent) if message.get("method") == method)


class World:
    """An upstream over fake wires, and who hears it. Life N talks to `servers[N]`, later ones to the last."""

    def __init__(self, *servers: Server, **terms: Any) -> None:
        self.wires: list[FakeWire] = []
        self.heard: list[tuple[str, Message]] = []
        self.related: list[Any] = []
        self.questions: list[Question] = []
        self.withdrawn_ones: list[Question] = []
        self.parted_ones: list[Any] = []
        self.renewals: list[str] = []
        self.reports: list[str] = []
        self.states: list[str] = []
        self.modern = terms.pop("modern", False)
        self.version = "2025-11-25"
        self.declared_to = lambda _server: Caller(capabilities={"roots": {}})
        self.prepare_wire: Callable[[FakeWire], None] = lambda _: None
        self._servers = servers
        self._stirred = asyncio.Event()
        wires = terms.pop("wires", 1)
        given: Message = {
            "name": "x",
            "turn": Turn(asyncio.get_running_loop()),
            "listener": self,
            "report": lambda name, line: self.reports.append(f"{name}: {line}"),
            "clean": lambda text: text.replace("s3cret", "***"),
            "start_seconds": 10.0,
            "call_seconds": 10.0,
            "message_bytes": 10_000,
            "changed": self._changed,
        }
        self.terms = Terms(**{**given, **terms})
        past = no_past(self.terms, Backoff(lambda: 0.0))
        self.upstream = Instance(self.terms, [self._make] * wires, past)

    def _make(self, listener: WireListener) -> FakeWire:
        serve = self._servers[min(len(self.wires), len(self._servers) - 1)]
        wire = FakeWire(self, listener, serve)
        self.prepare_wire(wire)
        self.wires.append(wire)
        return wire

    def _changed(self) -> None:
        self.states.append(self.upstream.health.state)
        self.stir()

    @property
    def wire(self) -> FakeWire:
        return self.wires[-1]

    def notified(self, server: str, method: str, params: Message, related: Any = None) -> None:
        self.heard.append((method, params))
        self.related.append(related)
        self.stir()

    def renewed(self, server: str) -> None:
        self.renewals.append(server)
        self.stir()

    def parted(self, related: Any) -> None:
        self.parted_ones.append(related)
        self.stir()

    def asked(self, question: Question) -> None:
        self.questions.append(question)
        self.stir()

    def withdrawn(self, question: Question) -> None:
        self.withdrawn_ones.append(question)
        self.stir()

    def stir(self) -> None:
        self._stirred.set()

    async def until(self, what: Callable[[], Any]) -> None:
        """Wait until `what()` holds; a test that waits for ever is ended by `run`."""
        while not what():
            self._stirred.clear()
            await self._stirred.wait()

    async def ready(self) -> World:
        await as_future(self.upstream.ready())
        return self

    async def sent(self, method: str, count: int = 1) -> Message:
        """The last message of this method, once there are `count`."""
        await self.until(lambda: self.wires and self.wire.methods().count(method) >= count)
        return self.wire.last(method)

    async def dead(self) -> None:
        """Wait until the life is over and the next may begin."""
        self.wire.listener.ended()
        await self.until(lambda: self.upstream.health.state in ("waiting", "failed"))
        await self.settled()

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
