"""The two fronts that clients can connect to: our own standard input and output, or an HTTP address.

Each says when it is over, waits for what is in flight, and closes. `serve/app.py` runs one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcpguard.adapters.system.clock import elapsed
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.telemetry.counting import ClientCounts, Counts, page
from mcpguard.adapters.transports.stdio import StdioClient
from mcpguard.config.loading import evidence_folder
from mcpguard.config.terms import TokenTerms
from mcpguard.core.errors import AuditError
from mcpguard.core.model import Json, Principal
from mcpguard.gateway.ports import Health, Readiness, Receiver
from mcpguard.serve.worlds import Shared, World

if TYPE_CHECKING:
    from mcpguard.adapters.transports.http import HttpClient
    from mcpguard.adapters.transports.http.bearer import TokenVerifier
    from mcpguard.adapters.transports.http.unverified import RefusedTokens


FEW_WORLDS = 8
BALANCE_SECONDS = 0.005
"""With more than this many worlds, flow control looks at them no more often than this: a look costs time for
each, and what can come meanwhile is bounded by the pipes and sockets."""


class StdioFront:
    """One client, whose process started ours."""

    where = "stdio"
    listening: int | None = None
    """The descriptor that clients connect to; None where there is only one client."""
    in_use: Mapping[str, int] = {}
    """How much clients have open, by what; nothing where there is only one."""

    def __init__(self, shared: Shared) -> None:
        self._client = StdioClient(shared.turn, shared.settings.limits.message_bytes)
        self._world = World(shared, self._client, operating_system_user())

    async def open(self, ended: Callable[[], None]) -> None:
        """Serve from now on; `ended()` is called when the client has gone for good. Raises OSError."""
        self._client.connect(self._world.gateway, ended)

    @property
    def drained(self) -> bool:
        """Whether no answer is in flight and all of them were handed to the system."""
        return self._world.gateway.idle and self._client.drained

    def drain(self) -> None:
        """Begin nothing new; what is in flight continues."""
        self._world.gateway.drain()

    def worlds(self) -> list[World]:
        return [self._world]

    def balance(self) -> bool:
        """Stop and resume reading; whether to look again after the next turn."""
        self._client.hold(self._world.full)
        return self._world.balance()

    def under_way(self) -> int:
        """Bytes of answers that are inspected, or that clients have not taken yet."""
        return self._world.inspecting + self._client.unsent

    def reconfigure(self) -> None:
        """The settings of the process have changed, on which nothing here depends."""

    def read_again(self) -> None:
        """Read again what was read from elsewhere, of which there is nothing here."""

    async def end(self, gently: bool) -> None:
        """End all worlds, with what they started."""
        await self._world.close(gently)

    def close(self) -> None:
        """Release the descriptors: everything has been sent."""
        self._client.close()


class HttpFront:
    """Any number of clients, who come and go; implements the `ClientEntrance` of the HTTP transport. What it
    shares with StdioFront is described there."""

    where: str
    """The address that it listens on."""
    _refused_tokens: RefusedTokens | None = None

    def __init__(self, shared: Shared, host: str, port: int) -> None:
        """Port 0 picks a free port."""
        # Imported where it is needed: most processes serve one client over stdio.
        from mcpguard.adapters.transports.http import Endpoint, HttpServer

        settings = shared.settings
        self.where = f"{host}:{port}"
        self._shared = shared
        self._address = (host, port)
        self._worlds: dict[Receiver, tuple[World, HttpClient]] = {}
        self._balancing: asyncio.TimerHandle | None = None
        self._balanced_at = 0.0
        token = settings.config.http.token
        self._verifier = None if token is None else self._verifying(token)
        shared.needs.always = True
        endpoint = Endpoint(
            self,
            shared.turn,
            shared.clock,
            settings.config.http,
            host,
            settings.limits.message_bytes,
            self._verifier,
        )
        self._quotas = endpoint.quotas
        self._quotas.told = partial(shared.warn, "quota-reached")
        if self._refused_tokens is not None:
            endpoint.refused_token = self._refused_tokens.add
        shared.needs.warned["serving"].append(self._quotas.warning)
        endpoint.readiness = lambda: Readiness(shared.needs.look(), self.upstreams())
        self._endpoint = endpoint
        self._measuring: MetricsPage | None = None
        self.reconfigure()
        self._server = HttpServer(endpoint, shared.diagnostics.report)

    def _verifying(self, token: TokenTerms) -> TokenVerifier:
        from mcpguard.adapters.transports.http.bearer import TokenVerifier
        from mcpguard.adapters.transports.http.unverified import RefusedTokens

        shared = self._shared
        report, changed = shared.diagnostics.report, shared.upstream_changed
        verifier = TokenVerifier(token, _fetch(token), elapsed, report, changed)
        shared.needs.also["tokens"] = verifier.problem
        self._refused_tokens = RefusedTokens(shared.clock, partial(shared.warn, "tokens-refused"))
        shared.needs.warned["tokens"] += [verifier.warning, self._refused_tokens.warning]
        return verifier

    def read_again(self) -> None:
        """The keys of the issuer of tokens."""
        if self._verifier is not None:
            self._verifier.fetch_again()

    def reconfigure(self) -> None:
        """They say whether there are metrics."""
        settings = self._shared.settings
        if not settings.config.telemetry.metrics:
            self._endpoint.serve_metrics(None)
            return
        if self._measuring is None:
            self._measuring = MetricsPage(evidence_folder(settings.config), self._shared, self)
        self._endpoint.serve_metrics(self._measuring.text)

    async def open(self, ended: Callable[[], None]) -> None:
        """Only a signal ends it."""
        host, port = await self._server.start(*self._address)
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._shared.diagnostics.report("", f"listening on http://{self.where}/mcp", "info")

    @property
    def listening(self) -> int | None:
        return self._server.listening

    @property
    def in_use(self) -> Mapping[str, int]:
        return self._quotas.totals | {"connections": self._server.connections}

    def clients(self) -> ClientCounts:
        """What metrics show of clients."""
        refused = 0 if self._refused_tokens is None else self._refused_tokens.count
        over, closed = self._quotas.refused, self._server.closed
        return ClientCounts(len(self._worlds), self.in_use, over, refused, closed)

    def upstreams(self) -> tuple[Health, ...]:
        return healths_of(self.worlds())

    def enter(self, client: HttpClient, principal: Principal) -> Receiver:
        world = World(self._shared, client, principal)
        self._worlds[world.gateway] = world, client
        return world.gateway

    async def leave(self, receiver: Receiver, gently: bool) -> None:
        world, _client = self._worlds.pop(receiver)
        await world.close(gently)
        self._shared.upstream_changed()
        self._shared.turn.end()

    @property
    def drained(self) -> bool:
        return all(world.gateway.idle for world in self.worlds())

    def drain(self) -> None:
        self._server.drain()
        for world in self.worlds():
            world.gateway.drain()

    def worlds(self) -> list[World]:
        return [world for world, _client in self._worlds.values()]

    def balance(self) -> bool:
        """Not after each turn where there are many worlds, most of which are quiet."""
        if self._balancing is not None:
            return True
        loop = asyncio.get_running_loop()
        wait = self._balanced_at + BALANCE_SECONDS - loop.time()
        if len(self._worlds) <= FEW_WORLDS or wait <= 0:
            return self._balance_all()
        self._balancing = loop.call_later(wait, self._balance_later)
        return True

    def _balance_later(self) -> None:
        self._balancing = None
        self._shared.turn.strained = self._balance_all()

    def _balance_all(self) -> bool:
        self._balanced_at = asyncio.get_running_loop().time()
        strained = False
        for world, client in self._worlds.values():
            client.hold(world.full)
            strained |= world.balance()
        return strained

    def under_way(self) -> int:
        worlds = self._worlds.values()
        return self._server.unsent + sum([world.inspecting + client.load.waiting for world, client in worlds])

    async def end(self, gently: bool) -> None:
        await self._server.close(gently)
        if self._refused_tokens is not None:
            self._refused_tokens.close()

    def close(self) -> None:
        """The server has released them."""


Front = StdioFront | HttpFront


def healths_of(worlds: Iterable[World]) -> tuple[Health, ...]:
    """How all their upstreams are."""
    return tuple(health for world in worlds for one in world.serving for health in one.healths)


def held_in(worlds: Iterable[World]) -> dict[str, int]:
    """How many definitions of each server are held back, where most are: each session has its own lists."""
    most: dict[tuple[str, str], int] = {}
    for world in worlds:
        for key, count in world.gateway.held.items():
            most[key] = max(count, most.get(key, 0))
    found: dict[str, int] = {}
    for (server, _), count in most.items():
        if count:
            found[server] = found.get(server, 0) + count
    return found


def _fetch(token: TokenTerms) -> Callable[[str], Awaitable[Json]]:
    """How keys are fetched: from the hosts that the configuration names, and from public addresses."""
    from mcpguard.adapters.network import fetch_json

    hosts = (urlsplit(url).hostname for url in (token.issuer, token.jwks_url) if url is not None)
    named = frozenset(host for host in hosts if host is not None)
    return lambda url: fetch_json(url, named)


MOST_LINES = 10_000
"""Lines of evidence that are read at once."""


class MetricsPage:
    """`/metrics`: what this process counted, read from its own evidence when somebody asks, so that a call
    pays nothing for it. Reading is done in a thread, once at a time."""

    def __init__(self, folder: Path, shared: Shared, front: HttpFront) -> None:
        # Imported where it is needed: most processes serve no metrics.
        from mcpguard.adapters.audit.following import FollowedLine, Following
        from mcpguard.adapters.telemetry.evidence_events import CallJoiner

        self._following = Following(folder, from_start=True, only_own=True)
        self._shared = shared
        self._front = front
        self._joining: CallJoiner[FollowedLine] = CallJoiner(self._following.origin)
        self._counts = Counts()
        self._lock = asyncio.Lock()

    async def text(self) -> bytes:
        async with self._lock:
            await asyncio.to_thread(self._count)
            needs, front = self._shared.needs.look(), self._front
            clients, waiting = front.clients(), self._shared.store.waiting_calls
            held = held_in(front.worlds())
            return page(self._counts, self._shared.sinks(), needs, clients, front.upstreams(), waiting, held)

    def _count(self) -> None:
        try:
            self._following.begin()
            while lines := self._following.read(MOST_LINES):
                for line in lines:
                    self._counts.add(self._joining.add(line.file, line.data, line))
                self._following.keep(lines, {})
        except AuditError:
            pass  # That evidence cannot be read is seen by `ready`; what was counted stays.
