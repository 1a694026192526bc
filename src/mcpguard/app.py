"""The composition root: settings in, a serving process out. The only file that names concrete adapters."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.allocator import Allocator
from mcpguard.adapters.audit_file import AuditFile, Durability
from mcpguard.adapters.audit_reader import default_folder
from mcpguard.adapters.clock import SystemClock
from mcpguard.adapters.credentials import SOURCES
from mcpguard.adapters.diagnostics import Diagnostics
from mcpguard.adapters.identity import operating_system_user
from mcpguard.adapters.link import FULL_BYTES
from mcpguard.adapters.policy_files import builtin_read_only, load_policies
from mcpguard.adapters.transports.stdio import StdioClient
from mcpguard.adapters.turn import Turn
from mcpguard.adapters.upstreams.environment import Environment
from mcpguard.adapters.upstreams.process import Nursery
from mcpguard.adapters.upstreams.stdio import Launch, StdioUpstream
from mcpguard.config import Config, Server
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence import Closed, Opened
from mcpguard.core.model import Json
from mcpguard.core.policy import PolicySet
from mcpguard.core.redaction import OPT_IN, Redactor
from mcpguard.core.secret import CredentialRef, Template
from mcpguard.flight import as_future
from mcpguard.gateway import Gateway
from mcpguard.inspection import Inspector, Sealed
from mcpguard.recorder import Recorder

SCANNERS = 2
"""Threads that inspect what is too big to do it between two messages."""
DRAIN_SECONDS = 5.0
"""How long answers in flight may take after the client has closed its side."""

WRAP_ADVICE = (
    "mcpguard wrap offers only tools that the server marks as read-only; "
    "for more, write a policy and use `mcpguard run`"
)


class Settings(Struct, frozen=True):
    """Everything that one serving process is made of."""

    servers: tuple[Server, ...]
    policies: PolicySet
    audit_folder: Path
    durability: Durability
    message_bytes: int
    agent: str | None = None
    advice: str = ""


def settings_from(config: Config) -> Settings:
    """The settings of a loaded configuration. Raises PolicyError."""
    return Settings(
        servers=tuple(server for server in config.servers.values() if not server.disabled),
        policies=load_policies(config.policies, OPT_IN),
        audit_folder=config.audit.path if config.audit else default_folder(),
        durability=config.audit.durability if config.audit else "flush",
        message_bytes=config.limits.message_bytes,
        agent=config.agent,
    )


def settings_for_wrap(command: str, args: tuple[str, ...], env: tuple[str, ...]) -> Settings:
    """One server, no configuration: read-only tools, and `env` names variables that it may have."""
    from mcpguard.config import MESSAGE_BYTES

    server = Server(
        name="server",
        command=command,
        args=args,
        env={name: Template(("", ""), (CredentialRef("env", name),)) for name in env},
        cwd=None,
        start_timeout_seconds=60.0,
        disabled=False,
    )
    return Settings(
        (server,), builtin_read_only(), default_folder(), "flush", MESSAGE_BYTES, advice=WRAP_ADVICE
    )


def serve(settings: Settings) -> int:
    """Serve standard input and output until the client ends it or a signal does; gives the exit code.

    Raises AuditError where no evidence could be left. Afterwards no upstream is alive.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_Process(settings).run())


class _Process:
    """One serving process."""

    def __init__(self, settings: Settings) -> None:
        loop = asyncio.get_event_loop()
        self._settings = settings
        self._stop: asyncio.Future[str] = loop.create_future()
        self._hurry = False
        self._turn = Turn(loop)
        self._clock = SystemClock()
        self._redactor = Redactor(key=os.urandom(32))
        self._diagnostics = Diagnostics(self._redactor.inspect_text)
        self._nursery = Nursery()
        self._audit = AuditFile(settings.audit_folder, settings.durability, self._turn.touch)
        self._turn.ledger = self._audit
        self._turn.balance = self._balance
        self._client = StdioClient(self._turn, settings.message_bytes)
        self._sources = {name: source() for name, source in SOURCES.items()}
        self._principal = operating_system_user()
        self._allocator = Allocator()
        self._scanners = ThreadPoolExecutor(SCANNERS, "mcpguard-inspect")
        self._inspector = Inspector(self._redactor, self._scan)
        self._upstreams = {server.name: self._upstream(server) for server in settings.servers}
        self._gateway = self._make_gateway()

    def _make_gateway(self) -> Gateway:
        settings = self._settings
        recorder = Recorder(
            clock=self._clock,
            principal=self._principal,
            agent=settings.agent,
            policy_digest=settings.policies.digest,
            credentials={s.name: tuple(str(ref) for ref in s.credentials) for s in settings.servers},
            nonce=os.urandom(4).hex(),
        )
        return Gateway(
            policies=settings.policies,
            inspector=self._inspector,
            audit=self._audit,
            recorder=recorder,
            upstreams=self._upstreams,
            client=self._client,
            identity=("mcpguard", __version__),
            report=self._diagnostics.report,
            advice=settings.advice,
        )

    def _upstream(self, server: Server) -> StdioUpstream:
        launch = Launch(
            command=server.command,
            args=server.args,
            cwd=str(server.cwd) if server.cwd else None,
            environment=Environment(server.env, self._sources, self._redactor.hold),
            start_seconds=server.start_timeout_seconds,
            message_bytes=self._settings.message_bytes,
        )
        return StdioUpstream(
            server.name,
            launch,
            self._turn,
            self._nursery,
            version=lambda: self._gateway.version,
            notified=self._notified,
            report=self._diagnostics.report,
            clean=self._redactor.inspect_text,
        )

    def _notified(self, server: str, method: str, params: dict[str, Json]) -> None:
        self._gateway.notices.notified(server, method, params)

    async def run(self) -> int:
        """Serve to the end."""
        settings = self._settings
        opened = Opened(
            at=self._clock.now(),
            version=__version__,
            pid=os.getpid(),
            principal=f"{self._principal.source}:{self._principal.id}",
            policies=settings.policies.names,
            policy_digest=settings.policies.digest,
            agent=settings.agent,
        )
        started = as_future(self._audit.write(opened))
        self._turn.end()
        await started
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._defect)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, signal.Signals(number).name, True)
        self._client.connect(
            self._gateway.receive, self._gateway.refuse_message, lambda: self._end("client-ended", False)
        )
        self._turn.touch()
        reason = await self._stop
        await self._drain()
        self._gateway.abandon("abandoned")
        self._turn.end()
        await asyncio.gather(*(upstream.close(not self._hurry) for upstream in self._upstreams.values()))
        self._nursery.close()
        self._turn.end()
        self._client.close()
        return self._close_audit(reason)

    def _scan(self, work: Callable[[], Sealed]) -> Awaitable[Sealed]:
        self._allocator.used()
        return asyncio.get_running_loop().run_in_executor(self._scanners, work)

    def _defect(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # The default handler prints the exception's message, which may quote anything (law 2).
        kind = type(context.get("exception")).__name__
        self._diagnostics.report("", f"internal error ({kind}): {context.get('message', '')}")

    def _end(self, reason: str, hurry: bool) -> None:
        # A client closes our input first, and sends a signal when that takes too long for it.
        self._hurry = self._hurry or hurry
        if not self._stop.done():
            self._stop.set_result(reason)

    def _close_audit(self, reason: str) -> int:
        try:
            self._audit.close(Closed(at=self._clock.now(), reason=reason))
        except AuditError as problem:
            self._diagnostics.report("", str(problem))
            return 1
        return 0

    async def _drain(self) -> None:
        deadline = self._clock.seconds() + DRAIN_SECONDS
        while not (self._hurry or (self._gateway.idle and self._client.drained)):
            if self._clock.seconds() > deadline:
                return
            await asyncio.sleep(0.005)

    def _balance(self) -> None:
        """Whoever feeds a side that is full stops being read."""
        client_full = self._client.full or self._inspector.waiting > FULL_BYTES
        self._client.hold(client_full or any(upstream.full for upstream in self._upstreams.values()))
        for upstream in self._upstreams.values():
            upstream.hold(client_full)
