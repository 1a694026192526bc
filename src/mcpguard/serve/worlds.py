"""A world: what serves one client, a gateway with its own upstreams. And what the worlds of a process share.

Law of this file: two clients share no upstream, no catalogue and no cache, so nothing that one of them does
or sees reaches the other (law 8).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.audit.writer import AuditFile, Durability
from mcpguard.adapters.credentials.broker import Broker, named_by
from mcpguard.adapters.relay.link import FULL_BYTES
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.store.sqlite import SqliteStore, default_folder
from mcpguard.adapters.system.allocator import Allocator
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.telemetry.diagnostics import Diagnostics
from mcpguard.adapters.upstreams.process.child import Nursery
from mcpguard.adapters.upstreams.server import ServerUpstream
from mcpguard.adapters.upstreams.session.life import Terms
from mcpguard.config.file import (
    APPROVAL_TICKET_SECONDS,
    APPROVAL_WAIT_SECONDS,
    LIST_SECONDS,
    SESSION_IDLE_SECONDS,
    THINK_SECONDS,
    HttpEntry,
    NotifyEntry,
)
from mcpguard.config.loading import Credential, Server
from mcpguard.config.policies import PolicyFile
from mcpguard.core.model import Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.egress import Egress
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.gateway.gateway import Gateway
from mcpguard.gateway.inspection import Inspector, Sealed
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import Client, Recipient
from mcpguard.gateway.recorder import Recorder
from mcpguard.gateway.scope import ApprovalTerms, ClientScope
from mcpguard.protocol.names import Prefix
from mcpguard.serve.alerting import alerts, notified_by
from mcpguard.serve.policy_watch import Look
from mcpguard.serve.wiring import Wiring, bound_of, references_of

SCANNERS = 2
"""Threads that inspect what is too big to do it between two messages."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that one serving process is made of. `config` is the path of its configuration."""

    servers: tuple[Server, ...]
    credentials: dict[str, Credential] = {}
    policies: PolicySet
    audit_folder: Path
    durability: Durability
    message_bytes: int
    think_seconds: float = THINK_SECONDS
    list_seconds: float = LIST_SECONDS
    policy_files: tuple[PolicyFile, ...] = ()
    """Where the policies came from; they are reloaded when one changes."""
    policy_look: Look = ()
    """How these looked before they were loaded."""
    session_folder: Path | None = None
    """None for the default of the user."""
    session_idle_seconds: float = SESSION_IDLE_SECONDS
    approvals: ApprovalTerms = ApprovalTerms(APPROVAL_WAIT_SECONDS, APPROVAL_TICKET_SECONDS)
    notify: tuple[NotifyEntry, ...] = ()
    """Who hears that a call waits for an approval."""
    http: HttpEntry = HttpEntry.model_construct()
    agent: str | None = None
    project: str | None = None
    """The folder of the project whose servers these are, where a client has such."""
    prefix: Prefix | None = None
    """How tools are named; None where the configuration does not say who sees which servers."""
    withheld: frozenset[str] = frozenset()
    """Variables that hold credentials which are not for this process."""
    advice: str = ""
    config: Path | None = None


class Shared:
    """What all worlds of one process share. None of it remembers a client."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.turn = Turn(loop)
        self.clock = SystemClock()
        self.redactor = Redactor(key=os.urandom(32))
        self.diagnostics = Diagnostics(self.redactor.inspect_text)
        self.nursery = Nursery()
        self.audit = AuditFile(settings.audit_folder, settings.durability, self.turn.touch)
        self.turn.ledger = self.audit
        folder = settings.session_folder or default_folder()
        self.store = SqliteStore(folder, settings.session_idle_seconds, self.clock)
        bound = bound_of(settings.servers, settings.credentials)
        egress = Egress(self.redactor, bound)
        self.judge = Judge(settings.policies, self.store, self.diagnostics.report, egress)
        report = self.diagnostics.report
        named = named_by(settings.servers, settings.credentials) | notified_by(settings.notify)
        self.credentials = Broker(settings.credentials, named, self.redactor, report=report)
        self.alerts = alerts(settings.notify, self.credentials, self.redactor, report, loop)
        self.watcher: Callable[[], None] | None = None
        """Called when an upstream of any world has another state."""
        self._allocator = Allocator()
        self._scanners = ThreadPoolExecutor(SCANNERS, "mcpguard-inspect")

    def upstream_changed(self) -> None:
        """An upstream has another state, or is gone."""
        if self.watcher is not None:
            self.watcher()

    def scan(self, work: Callable[[], Sealed]) -> Awaitable[Sealed]:
        """Inspect in a thread."""
        self._allocator.used()
        self.turn.strained = True
        return asyncio.get_running_loop().run_in_executor(self._scanners, work)


class World:
    """One client's gateway and upstreams; nothing is started before it is needed."""

    def __init__(self, shared: Shared, client: Client, principal: Principal) -> None:
        settings = shared.settings
        self._shared = shared
        self._client = client
        self._principal = principal
        shared.store.enter(principal, settings.agent)
        self._inspector = Inspector(shared.redactor, shared.scan)
        self.upstreams: dict[str, ServerUpstream] = {}
        # Before its upstreams, which call it directly.
        self.gateway = Gateway(self._scope())
        for server in settings.servers:
            self.upstreams[server.name] = self._upstream(server)

    def _scope(self) -> ClientScope:
        shared, settings = self._shared, self._shared.settings
        recorder = Recorder(
            clock=shared.clock,
            principal=self._principal,
            agent=settings.agent,
            judge=shared.judge,
            credentials=references_of(settings.servers, settings.credentials),
            nonce=os.urandom(4).hex(),
            inspect_text=self._inspector.text,
        )
        extensions = [(s.name, *one) for s in settings.servers for one in s.extensions.items()]
        return ClientScope(
            judge=shared.judge,
            inspector=self._inspector,
            audit=shared.audit,
            recorder=recorder,
            servers=tuple(server.name for server in settings.servers),
            upstreams=self.upstreams,
            client=self._client,
            clock=shared.clock,
            identity=("mcpguard", __version__),
            report=shared.diagnostics.report,
            think_seconds=settings.think_seconds,
            list_seconds=settings.list_seconds,
            store=shared.store,
            approvals=settings.approvals,
            alert=shared.alerts.send,
            advice=settings.advice,
            prefix=settings.prefix,
            extensions={method: server for server, _name, methods in extensions for method in methods},
            eager=tuple(server.name for server in settings.servers if server.eager),
            extension_ids=tuple(dict.fromkeys(name for _server, name, _methods in extensions)),
        )

    def _upstream(self, server: Server) -> ServerUpstream:
        shared = self._shared
        terms = Terms(
            name=server.name,
            turn=shared.turn,
            listener=self.gateway,
            report=shared.diagnostics.report,
            clean=shared.redactor.inspect_text,
            start_seconds=server.start_timeout_seconds,
            call_seconds=server.call_timeout_seconds,
            message_bytes=shared.settings.message_bytes,
            changed=shared.upstream_changed,
        )
        return Wiring(
            server=server,
            entries=shared.settings.credentials,
            credentials=shared.credentials,
            to=Recipient(server.name, None, self._principal),
            terms=terms,
            nursery=shared.nursery,
        ).upstream()

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether nothing more should be read from the client: an upstream takes no more."""
        return self._client_full or any(upstream.full for upstream in self.upstreams.values())

    @property
    def _client_full(self) -> bool:
        return self._client.full or self._inspector.waiting > FULL_BYTES

    def balance(self) -> bool:
        """Whoever feeds a client that is full stops being read. Whether something is full still, or was and
        may hold the client back again."""
        full = self._client_full
        for upstream in self.upstreams.values():
            upstream.hold(full)
        return full or any(upstream.strained for upstream in self.upstreams.values())

    async def close(self, gently: bool) -> None:
        """End every request, with its outcome on record, and every upstream with all that it started."""
        self.gateway.abandon("abandoned")
        self._shared.turn.end()
        await asyncio.gather(*(upstream.close(gently) for upstream in self.upstreams.values()))
        self._shared.store.leave(self._principal, self._shared.settings.agent)
