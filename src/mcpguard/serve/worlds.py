"""A world: everything that serves one client, a gateway with its own upstreams. And what the worlds of a
process share.

Law of this file: two clients share no upstream, no catalogue and no cache, so nothing that one of them does
or sees affects the other (law 8).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from sys import maxsize

from msgspec import structs

from mcpguard import __version__
from mcpguard.adapters.audit.bounded import EvidenceBounds
from mcpguard.adapters.audit.heads import AT_START
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.credentials.broker import NOT_RENEWED, Broker, shown_for
from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.system.disk import DiskThread, to_loop
from mcpguard.adapters.system.own_process import Allocator
from mcpguard.adapters.telemetry.diagnostics import Diagnostics
from mcpguard.adapters.upstreams.process.child import ChildProcesses
from mcpguard.adapters.upstreams.server import ServerUpstream
from mcpguard.adapters.upstreams.session.life import Terms
from mcpguard.config.loading import Server, evidence_folder
from mcpguard.core.advised import completed
from mcpguard.core.evidence.records import Noticed
from mcpguard.core.model import Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.egress import Egress
from mcpguard.core.policy.pins import Hold
from mcpguard.core.policy.tickets import Ticket
from mcpguard.core.redaction.redactor import AT_ONCE, Redactor
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.gateway import Gateway
from mcpguard.gateway.inspection.inspector import InspectionBatch, Inspector, Sealed
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import AuditHealth, AuditSink, Client, Health, LostAlerts, Recipient, SinkState
from mcpguard.gateway.recorder import Recorder
from mcpguard.gateway.scope import ClientScope
from mcpguard.serve.evidence import SinkGate
from mcpguard.serve.notifying import notifying
from mcpguard.serve.readiness import ServingNeeds
from mcpguard.serve.recognising import ValueRecogniser
from mcpguard.serve.settings import (
    FOR_STATE,
    ServerParts,
    Settings,
    claim_variables,
    named_of,
    parts_of,
    pinned_as,
    recognition_of,
)
from mcpguard.serve.state import state_of
from mcpguard.serve.wiring import UpstreamLines, Wiring, bound_of, kinds_of, references_of

RETIRE_SECONDS = 5.0
"""How long open calls may still take of a server that was removed from the configuration, or changed."""
LOOK_SECONDS = 0.05
"""How often it is looked whether they are over."""
END_SECONDS = 1.0
"""How long the end of the process waits until the file of sessions is closed."""
SCANNERS = 2
"""Threads that inspect what is too big to do it between two messages."""


COPIES = 4
"""How many times an inspected message is in memory: its bytes, its texts, and these as they are searched."""


class Shared:
    """What all worlds of one process share. None of it remembers a client."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        config = settings.config
        self.turn = Turn(loop)
        self.clock = SystemClock()
        self.redactor = Redactor(key=os.urandom(32))
        self.redactor.shown = shown_for(settings.servers, config.credentials)
        self.together = self.turn.together = InspectionBatch(self.redactor)
        self.diagnostics = Diagnostics(self.clean, form=settings.log_format, later=self.clock.later)
        report, changed = self.diagnostics.report, self.upstream_changed
        self.children = ChildProcesses()
        self.audit = AuditFile(evidence_folder(config), config.audit.durability, self.turn, AT_START)
        self.turn.ledger = self.audit
        self.bounds = EvidenceBounds(config.audit.bounds, self.clock, self.audit.write, report, changed)
        self.audit.bound = self.bounds
        self.gate = SinkGate(self.audit)
        """What decisions are recorded through, where a sink that fails stops serving."""
        self.store = state_of(config, self.clock, self._state_url, partial(to_loop, loop), updates=True)
        self.store.changed, self.store.replaced = changed, partial(self.warn, "state-replaced")
        egress = Egress(self.redactor, bound_of(settings.servers, config.credentials))
        self.judge = Judge(settings.policies, self.store, report, egress, settings.approvals.places)
        named, rotated = named_of(settings), partial(to_loop, loop, self.note, "credential-rotated")
        late, keys = partial(to_loop, loop, self._not_renewed), config.credentials
        self.credentials = Broker(keys, named, self.redactor, report, rotated=rotated, late=late)
        self._loop = loop
        self.sinks: Callable[[], tuple[SinkState, ...]] = tuple
        """How exporting is."""
        look_again = partial(to_loop, loop, changed)
        self.needs = ServingNeeds(self.audit, self.store, self.credentials, report, look_again, self._blocked)
        self._notifying()
        self.watcher: Callable[[], None] | None = None
        """Called when an upstream of any world has another state."""
        say = partial(report, "")
        self.recognising = ValueRecogniser(self.audit, self.turn, self.clock, say, changed)
        self.used = Allocator().used
        """Called when large messages were handled, and their memory is free."""
        self._scanners = ThreadPoolExecutor(SCANNERS, "mcpguard-inspect")

    def _state_url(self, ref: CredentialRef) -> Secret:
        return self.credentials.get(ref, Recipient(FOR_STATE, None, Principal("", "")))

    @property
    def _blocks(self) -> bool:
        return self.settings.config.telemetry.blocks

    def _blocked(self) -> str | None:
        return self.gate.problem if self._blocks else None

    def pinning(self, server: str) -> tuple[str, Hold]:
        """See `ClientScope.pinning`."""
        config = self.settings.config
        entry = config.servers.get(server)
        return ("", "changed") if entry is None else (pinned_as(entry, config.path == Path()), entry.pins)

    @property
    def evidence(self) -> AuditSink:
        """Where gateways record what they decide."""
        return self.gate if self._blocks else self.audit

    def reconfigure(self, settings: Settings) -> PolicySet:
        """From now on `settings` are in force, as far as they are shared; gives the policies before."""
        old, self.settings = self.settings, settings
        # Approvals by passkey count in this process alone, which knows what it has used.
        kept = structs.replace(settings.approvals, process=old.approvals.process, used=old.approvals.used)
        self.settings = structs.replace(settings, approvals=kept)
        claim_variables(settings)
        named = named_of(settings)
        self.redactor.shown = shown_for(settings.servers, settings.config.credentials)
        self.credentials.reconfigure(settings.config.credentials, named)
        self.recognise()
        if settings.config.approvals.targets != old.config.approvals.targets:
            self._notifying()
        bound = bound_of(settings.servers, settings.config.credentials)
        if bound != self.judge.egress.bound:  # The redactor keeps each.
            self.judge.egress = Egress(self.redactor, bound)
        self.store.idle_seconds = settings.config.session_idle_seconds
        before, self.judge.policies = self.judge.policies, settings.policies
        self.judge.places = settings.approvals.places
        return before

    def recognise(self) -> None:
        """Have the values of the configuration in force held, beside serving."""
        self.recognising.begin(*recognition_of(self.settings, self.redactor))
        self.used()

    async def close(self) -> None:
        """End every lease, and read and store nothing any more."""
        await asyncio.to_thread(self.credentials.close)
        # The last process that used its file moves what is in the log to it.
        DiskThread("mcpguard-state-end").within(END_SECONDS, self.store.close)
        await self.recognising.close()

    def _notifying(self) -> None:
        notify, option = self.settings.config.approvals.targets, self.settings.approvals.option
        report = self.diagnostics.report
        self.notifying = notifying(notify, self.credentials, self.redactor, report, self._loop, option)

    def evidence_changed(self, health: AuditHealth) -> None:
        """Evidence cannot be written any more, or can again."""
        if health.ok:
            meanwhile = "the new chain records how many requests were refused meanwhile"
            said = f"evidence can be written again; {meanwhile}"
        else:
            said = f"no evidence can be written, so every request is refused until it can: {health.problem}"
        self.diagnostics.report("", said, "info" if health.ok else "error")
        self.upstream_changed()

    def warn(self, what: str, said: str) -> None:
        """Tell the operator, and leave evidence."""
        self.diagnostics.report("", said, "warning")
        self.note(what, said)

    def _not_renewed(self, name: str, why: str) -> None:
        """A lease could not be renewed; `why` is "" once it was."""
        if why:
            self.warn("credential-not-renewed", f"{NOT_RENEWED}: {why}")
        else:
            self.diagnostics.report("", f"{name} was renewed again", "info")
            self.note("credential-renewed", name)
        self.upstream_changed()

    def note(self, what: str, detail: str) -> None:
        """Leave evidence of something that is about no client; `detail` is mcpguard's own, or inspected."""
        self.audit.write(Noticed(at=self.clock.now(), what=what, detail=detail))
        self.turn.touch()

    def alert(self, ticket: Ticket) -> None:
        """Tell all whom the configuration names about a call that waits."""
        if self.notifying is not None:
            self.notifying.send(ticket)

    @property
    def lost_alerts(self) -> tuple[LostAlerts, ...]:
        """Alerts about calls that wait for a person that cannot be sent."""
        return self.notifying.failing if self.notifying is not None else ()

    def upstream_changed(self) -> None:
        """An upstream has another state, or is gone."""
        if self.watcher is not None:
            self.watcher()

    def clean(self, text: str, most: int = maxsize) -> str:
        """`text` as an operator may see it, with commands that work as they stand. `most` as of
        `Redactor.inspect_text`."""
        return self.redactor.inspect_text(completed(text, self.settings.approvals.option), most)

    def strain(self) -> None:
        """Have flow control look at the end of this turn."""
        self.turn.strained = True

    def scan(self, work: Callable[[], Sealed]) -> Awaitable[Sealed]:
        """Inspect in a thread."""
        self.used()
        return asyncio.get_running_loop().run_in_executor(self._scanners, work)


class World:
    """One client's gateway and upstreams; nothing is started before it is needed."""

    def __init__(self, shared: Shared, client: Client, principal: Principal) -> None:
        settings = shared.settings
        self._shared = shared
        self._client = client
        self._principal = principal
        shared.store.enter(principal, settings.config.agent)
        self._report = shared.diagnostics.of(principal, settings.config.agent)
        # Somebody at another machine has no use for a path of this one.
        option = settings.approvals.option if principal.source == "os-user" else str
        self._inspector = Inspector(shared.redactor, shared.scan, shared.together, option, shared.strain)
        self.upstreams: dict[str, ServerUpstream] = {}
        self._lines = UpstreamLines(self._report, self._healths, shared.upstream_changed)
        # Before its upstreams, which call it directly.
        self._own = self._scope()
        self._configure()
        self.gateway = Gateway(self._own)
        self._made: dict[str, ServerParts] = {}
        """What each upstream is made of."""
        self._leaving: dict[ServerUpstream, None] = {}
        self._retiring = Background("a server that was removed from the configuration could not be stopped")
        self._serve(parts_of(shared.settings.config))

    def _scope(self) -> ClientScope:
        shared, settings = self._shared, self._shared.settings
        recorder = Recorder(
            clock=shared.clock,
            principal=self._principal,
            agent=settings.config.agent,
            judge=shared.judge,
            credentials={},
            nonce=os.urandom(6).hex(),
            inspector=self._inspector,
            arguments=settings.config.audit.arguments == "redacted",
            room=shared.bounds.room(self._principal, settings.config.agent),
        )
        return ClientScope(
            judge=shared.judge,
            inspector=self._inspector,
            audit=shared.evidence,
            recorder=recorder,
            servers=(),
            upstreams=self.upstreams,
            client=self._client,
            clock=shared.clock,
            identity=("mcpguard", __version__),
            report=self._report,
            think_seconds=settings.limits.think_seconds,
            store=shared.store,
            alert=shared.alert,
            advice=settings.advice,
            prefix=settings.config.prefix,
            pinning=shared.pinning,
        )

    def _configure(self) -> None:
        """Have the scope as the settings of the process are now."""
        settings, scope = self._shared.settings, self._own
        scope.audit = self._shared.evidence
        scope.think_seconds = settings.limits.think_seconds
        scope.list_seconds = settings.limits.list_seconds
        scope.approvals = settings.approvals
        scope.tracing = settings.tracing
        scope.known = self._shared.recognising.known
        scope.recorder.credentials = references_of(settings.servers, settings.config.credentials)
        scope.recorder.kinds = kinds_of(settings.config.credentials)
        scope.extensions, scope.extension_ids = _extensions(settings)
        scope.eager = tuple(server.name for server in settings.servers if server.eager)
        scope.servers = tuple(server.name for server in settings.servers)

    def _upstream(self, server: Server) -> ServerUpstream:
        shared = self._shared
        terms = Terms(
            name=server.name,
            turn=shared.turn,
            listener=self.gateway,
            report=self._report,
            clean=partial(shared.clean, most=AT_ONCE),
            start_seconds=server.start_timeout_seconds,
            call_seconds=server.call_timeout_seconds,
            message_bytes=shared.settings.limits.message_bytes,
            changed=self._lines.of(server.name),
            noted=partial(self._noted, server.name),
        )
        return Wiring(
            server=server,
            entries=shared.settings.config.credentials,
            credentials=shared.credentials,
            to=Recipient(server.name, None, self._principal),
            terms=terms,
            children=shared.children,
            echo=partial(self._report, level="info", inspected=True, output=True),
        ).upstream()

    def _healths(self, server: str) -> list[Health]:
        return self.upstreams[server].healths if server in self.upstreams else []

    def _noted(self, server: str, what: str, detail: str) -> None:
        self._shared.audit.write(self._own.recorder.noticed(what, server, detail))

    def reconfigure(self) -> None:
        """The settings of the process are others."""
        self._configure()
        parts = parts_of(self._shared.settings.config)
        kept = frozenset(name for name, part in self._made.items() if parts.get(name) == part)
        for name in self._made.keys() - kept:
            self._leaving[self.upstreams[name]] = None
            self._retiring.start(self._retire(self.upstreams[name]))
        self._serve({name: part for name, part in parts.items() if name not in kept})
        self._made = parts
        self.gateway.reconfigured(kept)

    def _serve(self, parts: dict[str, ServerParts]) -> None:
        for server in self._shared.settings.servers:
            if server.name in parts:
                self.upstreams[server.name] = self._upstream(server)
                self._made[server.name] = parts[server.name]

    async def _retire(self, upstream: ServerUpstream) -> None:
        """End an upstream as soon as its calls are over."""
        clock = self._shared.clock
        deadline = clock.seconds() + RETIRE_SECONDS
        while clock.seconds() < deadline and any(health.open for health in upstream.healths):
            await asyncio.sleep(LOOK_SECONDS)
        await upstream.close(True, f"upstream '{upstream.name}' was changed in the configuration, or removed")
        del self._leaving[upstream]
        self._shared.upstream_changed()

    @property
    def serving(self) -> list[ServerUpstream]:
        """The upstreams that the configuration names."""
        return [self.upstreams[name] for name in self._own.servers]

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether nothing more should be read from the client: an upstream takes no more."""
        return self._client_full or any(upstream.full for upstream in self.upstreams.values())

    @property
    def inspecting(self) -> int:
        """Bytes that inspection in threads takes."""
        return self._inspector.waiting * COPIES

    @property
    def _client_full(self) -> bool:
        return self._client.full or self._inspector.full

    def balance(self) -> bool:
        """Whoever feeds a client that is full stops being read, and so does a server much of which is being
        inspected. Whether something is full still, or was and may hold the client back again."""
        full, crowded = self._client_full, self._inspector.crowded
        held = False
        for name, upstream in self.upstreams.items():
            hold = full or crowded(name)
            upstream.hold(hold)
            held |= hold
        return held or any(upstream.strained for upstream in self.upstreams.values())

    async def close(self, gently: bool) -> None:
        """End every request, with its outcome on record, and every upstream with all that it started."""
        self.gateway.abandon("abandoned")
        self._shared.turn.end()
        await self._retiring.close()
        everyone = {*self.upstreams.values(), *self._leaving}
        await asyncio.gather(*(upstream.close(gently) for upstream in everyone))
        self._shared.store.leave(self._principal, self._shared.settings.config.agent)


def _extensions(settings: Settings) -> tuple[dict[str, str], tuple[str, ...]]:
    """The server of each method of an extension, and the names of the extensions."""
    found = [(server.name, *one) for server in settings.servers for one in server.extensions.items()]
    methods = {method: server for server, _name, methods in found for method in methods}
    return methods, tuple(dict.fromkeys(name for _server, name, _methods in found))
