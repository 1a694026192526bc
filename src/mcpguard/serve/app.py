"""The composition root: settings in, a serving process out."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from mcpguard import __version__
from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.room import Room
from mcpguard.adapters.system.clock import SetClocks
from mcpguard.adapters.system.disk import Standby, to_loop
from mcpguard.adapters.system.own_process import installed_versions, machine_name, operating_system_user
from mcpguard.adapters.system.terminal import has_terminal
from mcpguard.adapters.telemetry.status_file import Status, StatusFile, status_here
from mcpguard.adapters.upstreams.process.inherited import kept_back
from mcpguard.adapters.upstreams.process.own_folder import default_root, sweep
from mcpguard.config.loading import CLIENT_FOLDER, Config, Server, config_option, evidence_folder
from mcpguard.config.terms import ServingLimits
from mcpguard.core.conditions.engines import engine
from mcpguard.core.errors import AuditError, CredentialError
from mcpguard.core.evidence.records import FORMAT, Closed, Noticed, Opened
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.secret import CredentialRef, Template
from mcpguard.gateway.flight import as_future
from mcpguard.gateway.ports import LostAlerts
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.serve.evidence import Exporting, upkeep
from mcpguard.serve.fronts import Front, HttpFront, StdioFront, healths_of, held_in
from mcpguard.serve.handover import HandedConfig
from mcpguard.serve.interventions import digests_of, passkeys_of
from mcpguard.serve.reloading import Reloading
from mcpguard.serve.settings import Settings, claim_variables, places_of
from mcpguard.serve.worlds import Shared

ROOM = 4
"""How many messages of the largest size may be read from servers, inspected and unsent at once."""
LEFT_SECONDS = 5.0
"""How long answers in flight may take after the client has closed its side."""
LAST_SECONDS = 1.0
"""How long the records and answers of what was given up may take."""

COLLECTING = (20_000, 10, 10)
"""How often Python looks for cycles. With its default of 700, what messages are made of is traversed again
and again: a tenth of the cost of an answer of 10,000 objects, 3 % of that of pipelined calls. With 5,000, so
are the 25 objects of each call that waits for a sync. With 50,000, what they leave behind takes up memory."""
SWITCH_SECONDS = 0.0005
"""After this long a thread that inspects lets the loop go on, which needs that several times a call. Python's
own default is ten times as long."""

WAITING = 256
"""How many questions to keychains, programs and services may be open at once; threads are made as needed. The
default of a small machine is six, and six that hang would hold up the credentials of every other server."""

ENGINES = ("cel-expr-python", "cel-python")
"""The packages that evaluate conditions."""

WRAP_ADVICE = (
    "mcpguard wrap offers only tools that the server marked as read-only when it was first listed: restart "
    "it after a change of the server; for more, write a policy and use `mcpguard run`"
)


def loaded(found: HandedConfig, again: Callable[[], HandedConfig]) -> Settings:
    """The settings made of what was `found`; `again` reads it again."""
    return Settings(
        config=found.config,
        policies=found.policies,
        policy_look=found.policy_look,
        approvals=_approval_terms(found.config),
        config_look=found.config_look,
        reload=lambda: loaded(again(), again),
    )


def _approval_terms(config: Config) -> ApprovalTerms:
    passkeys = passkeys_of(config)
    return ApprovalTerms(
        config.approvals.wait_seconds,
        config.approvals.ticket_seconds,
        lambda ticket, answer: asyncio.to_thread(passkeys.objection, ticket, answer),
        os.urandom(8).hex(),
        option=partial(config_option, config.path, {}),
        places=places_of(config),
    )


def settings_for_wrap(
    command: str, args: tuple[str, ...], env: tuple[str, ...], cwd: str | None, policies: PolicySet
) -> Settings:
    """One server, no configuration: what `policies` allow, and `env` names variables that it may have. `cwd`
    is as in a configuration, a relative one relative to the folder that this runs in."""
    server = Server(
        name="server",
        command=command,
        args=args,
        env={name: Template(("", ""), (CredentialRef("env", name),)) for name in env},
        cwd=None if cwd is None or cwd == CLIENT_FOLDER else Path(cwd).expanduser().absolute(),
        in_client_folder=cwd == CLIENT_FOLDER,
        eager=True,
    )
    # A server that is alone holds up no other: its client waits as it would without mcpguard.
    limits = ServingLimits(list_seconds=server.start_timeout_seconds)
    config = Config(Path(), {server.name: server}, limits=limits)
    return Settings(config=config, policies=policies, advice=WRAP_ADVICE)


def serve(settings: Settings) -> int:
    """Serve standard input and output until the client ends it or a signal does; gives the exit code.

    Raises AuditError where no evidence could be left. Afterwards no upstream is alive.
    """
    return _run(settings, StdioFront)


def serve_http(settings: Settings, host: str, port: int) -> int:
    """Serve clients over HTTP until a signal ends it; gives the exit code. The operator is told the URL once
    clients can come.

    Raises AuditError as `serve`, and OSError where the address is not available.
    """
    return _run(settings, lambda shared: HttpFront(shared, host, port))


def _run(settings: Settings, make_front: Callable[[Shared], Front]) -> int:
    claim_variables(settings)
    # What is there stays: no later search for garbage has to look at it.
    gc.freeze()
    gc.set_threshold(*COLLECTING)
    sys.setswitchinterval(SWITCH_SECONDS)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(WAITING, "mcpguard-wait"))
    shared = Shared(settings, loop)
    return loop.run_until_complete(_Process(shared, make_front(shared)).run())


class _Process:
    """One serving process."""

    def __init__(self, shared: Shared, front: Front) -> None:
        self._shared = shared
        self._front = front
        self._stop: asyncio.Future[str] = asyncio.get_event_loop().create_future()
        self._signalled = self._hurry = False

    async def run(self) -> int:
        shared, front, loop = self._shared, self._front, asyncio.get_running_loop()
        await self._open_audit()
        shared.turn.balance = front.balance
        shared.turn.room = Room(ROOM * shared.settings.limits.message_bytes, front.under_way, shared.used)
        loop.set_exception_handler(self._defect)
        threading.excepthook = shared.diagnostics.of_threads
        logging.lastResort = shared.diagnostics.of_libraries
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, signal.Signals(number).name, True)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up, has_terminal())
        self._warn()
        try:
            await front.open(lambda: self._end("client-ended", False))
        except OSError:
            self._close_audit("failed")
            raise
        self._standby.start(front.listening)
        shared.note("started", front.where)
        status = self._show_status()
        over_http = front.where != "stdio"
        self._reloading = Reloading(shared, front.worlds, over_http, status.changed, self._export)
        recovery = Background("what a killed mcpguard left behind could not be revoked")
        recovery.start(self._recover())
        shared.turn.touch()
        reason = await self._stop
        shared.needs.stopping = f"it is stopping ({reason})"
        front.drain()
        shared.note("stopping", reason)
        status.changed()
        await self._drain(reason)
        await front.end(not self._signalled)
        await shared.close()
        await recovery.close()
        status.close()
        self._reloading.close()
        shared.children.close()
        shared.turn.end()
        front.close()
        return self._close_audit(reason)

    def _warn(self) -> None:
        """Say which engine is missing, and which servers do not get a proxy that the machine has: its address
        holds a credential."""
        if slow := _slow(self._shared.judge.policies):
            self._shared.diagnostics.report("", slow, "warning")
        servers = [one for one in self._shared.settings.servers if one.url is None]
        for name in kept_back(os.environ):
            without = [one.name for one in servers if name not in one.env]
            if without:
                said = f"{name} holds a user name or password, so it is not passed on to {', '.join(without)}"
                advice = f"if they need it, write `{name}: ${{env:{name}}}` in their `env`"
                self._shared.diagnostics.report("", f"{said}; {advice}")

    def _show_status(self) -> StatusFile:
        """What `mcpguard status` reads, from now on."""
        shared, front = self._shared, self._front
        config, reload = shared.settings.config, shared.settings.reload
        path = "" if reload is None else str(config.path)
        first = status_here(path, front.where, config.agent or "", config.project or "")

        def look() -> Status:
            observation = shared.judge.policies.observation
            return structs.replace(
                first,
                upstreams=healths_of(front.worlds()),
                alerts=shared.lost_alerts,
                loaded=self._reloading.loaded,
                not_in_force=self._reloading.not_in_force,
                observing="" if observation is None else observation.said,
                needs=shared.needs.look(),
                sinks=shared.sinks(),
                unrecognised=shared.recognising.problem,
                in_use=front.in_use,
                waiting=shared.store.waiting_calls,
                held=held_in(front.worlds()),
                in_force=digests_of(shared.judge.policies.asking, shared.settings.approvals.places),
            )

        status = StatusFile(look, shared.diagnostics.report)
        shared.watcher = status.changed
        status.start()
        return status

    async def _recover(self) -> None:
        """Remove and take back what earlier ones left, beside serving; at a source with evidence first."""
        threading.Thread(target=sweep, args=(default_root(),), daemon=True).start()
        shared, loop = self._shared, asyncio.get_running_loop()
        for ref, take_back in shared.credentials.left().items():
            noted = Noticed(at=shared.clock.now(), what="credential-taken-back", detail=str(ref))
            written = as_future(shared.audit.write(noted))
            shared.turn.touch()
            try:
                await written
            except AuditError:
                return
            # Nobody waits for it at the end: what is not taken back now, the next start takes back.
            threading.Thread(target=self._take_back, args=(take_back, loop), daemon=True).start()

    def _take_back(self, take_back: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        try:
            take_back()
        except CredentialError as problem:
            said = f"what a killed mcpguard left behind could not be revoked: {problem}"
            to_loop(loop, self._shared.diagnostics.report, "", said)

    def _opened(self) -> Opened:
        shared = self._shared
        return Opened(
            at=shared.clock.now(),
            version=__version__,
            pid=os.getpid(),
            principal=operating_system_user().text,
            policies=shared.judge.policies.names,
            policy_digest=shared.judge.policies.digest,
            agent=shared.settings.config.agent,
            format=FORMAT,
            host=machine_name(),
            engine=installed_versions(*ENGINES),
        )

    async def _open_audit(self) -> None:
        shared = self._shared
        shared.audit.opening = self._opened
        started = as_future(shared.audit.write(self._opened()))
        shared.turn.end()
        try:
            await started
        except AuditError:
            shared.audit.discard()
            raise
        shared.audit.on_health = shared.evidence_changed
        shared.recognise()
        settings, say = shared.settings, partial(shared.diagnostics.report, "")
        self._exporting = Exporting(
            shared.gate,
            shared.credentials,
            say,
            shared.note,
            shared.upstream_changed,
            machine_name(),
            lambda: shared.audit.health,
        )
        self._export(settings)
        self._upkeep = upkeep(
            shared.audit,
            evidence_folder(settings.config),
            settings.config.audit,
            say,
            shared.credentials,
            self._front.where != "stdio",
            self._exporting,
        )
        self._know_warnings()
        self._upkeep.start(asyncio.get_running_loop())
        self._standby = Standby(asyncio.get_running_loop(), say)
        shared.sinks = lambda: self._exporting.states

    def _know_warnings(self) -> None:
        """Have what an operator should know though requests are served shown with what it is about."""
        shared, warned = self._shared, self._shared.needs.warned
        clocks = SetClocks(partial(shared.warn, "clock-set"))
        warned["evidence"] += [lambda: self._upkeep.warning, lambda: shared.bounds.folding, clocks.look]
        warned["policies"].append(lambda: _slow(shared.judge.policies))
        warned["serving"] += [lambda: shared.recognising.problem, lambda: _mute(shared.lost_alerts)]

    def _export(self, settings: Settings) -> None:
        """Export evidence as `settings` say."""
        self._front.reconfigure()
        config = settings.config
        folder, notify = evidence_folder(config), config.approvals.targets
        self._exporting.follow(folder, config.telemetry, config.alerts, notify)

    def _defect(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # The default handler prints the exception's message, which may quote anything (law 2).
        kind = type(context.get("exception")).__name__
        self._shared.diagnostics.report("", f"internal error ({kind}): {context.get('message', '')}", "error")

    def _end(self, reason: str, signalled: bool) -> None:
        # A client closes our input first, and sends a signal when that takes too long for it.
        self._hurry = self._hurry or (signalled and self._stop.done())
        self._signalled = self._signalled or signalled
        if not self._stop.done():
            self._stop.set_result(reason)

    def _hung_up(self, had_terminal: bool) -> None:
        """SIGHUP is for reading the configuration again, unless it says that the terminal is gone."""
        if had_terminal and not has_terminal():
            self._end("SIGHUP", True)
        else:
            self._reloading.now()
            self._front.read_again()

    def _close_audit(self, reason: str) -> int:
        self._upkeep.close()
        self._standby.close()
        self._shared.bounds.close()
        self._shared.diagnostics.tell()
        try:
            self._shared.audit.close(Closed(at=self._shared.clock.now(), reason=reason))
        except AuditError as problem:
            self._shared.diagnostics.report("", str(problem))
            return 1
        finally:
            self._upkeep.send_last()
            self._exporting.close()
        return 0

    async def _drain(self, reason: str) -> None:
        """Let what is in flight finish; what is late is given up, with a record and an answer."""
        seconds = self._shared.settings.limits.drain_seconds if self._signalled else LEFT_SECONDS
        if self._signalled:
            said = f"stopping ({reason}): no new calls start; calls in flight have {seconds:g} s to finish"
            self._shared.diagnostics.report("", said, "info")
        if await self._drained(seconds) or not self._signalled:
            return
        for world in self._front.worlds():
            world.gateway.abandon("abandoned")
        self._shared.turn.end()
        self._hurry = False
        await self._drained(LAST_SECONDS)

    async def _drained(self, seconds: float) -> bool:
        """Whether all was finished, within this many seconds and before somebody is in a hurry."""
        clock = self._shared.clock
        deadline = clock.seconds() + seconds
        while not (done := self._front.drained) and not self._hurry and clock.seconds() < deadline:
            await asyncio.sleep(0.005)
        return done


def _mute(lost: tuple[LostAlerts, ...]) -> str:
    """Which alerts about calls that wait for a person cannot be sent, "" for none."""
    return f"alerts to {', '.join(one.to for one in lost)} cannot be sent" if lost else ""


def _slow(policies: PolicySet) -> str:
    """What to tell an operator if the faster engine could not be imported, "" if it could."""
    # The faster one leaves some conditions to it.
    if "python" not in policies.engines or engine().name != "python":
        return ""
    return (
        "policy conditions are evaluated by the slower engine, cel-python: "
        "cel-expr-python is not installed or cannot be imported"
    )
