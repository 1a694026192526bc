"""The services around the evidence of a serving process: maintenance, signing, where heads are sent,
and the sinks and alerts that `telemetry` and `alerts` of the configuration export it to, each in a
thread.

Law of this file: the private key, the headers of a sink and the URL of an alert are for these and for no
server. Nothing here is on the path of a call, unless a sink that fails has to block everything.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct, json, structs

from mcpguard.adapters.audit.upkeep import SinkPositions, Upkeep
from mcpguard.adapters.system.disk import to_loop
from mcpguard.adapters.telemetry.diagnostics import Level
from mcpguard.config.terms import DESKTOP, NotifyTerms
from mcpguard.core.errors import ExportError
from mcpguard.core.evidence.records import Decided, Record
from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef, Secret, filled, sole_reference
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import AuditHealth, AuditSink, Credentials, Recipient, SinkState
from mcpguard.serve.notifying import FOR_NOTIFY

if TYPE_CHECKING:
    from mcpguard.adapters.audit.following import FollowedLine
    from mcpguard.adapters.audit.writer import AuditFile
    from mcpguard.adapters.telemetry.alerts import Alert, AlertSink
    from mcpguard.adapters.telemetry.destinations import Destination
    from mcpguard.adapters.telemetry.exporting import Exporter
    from mcpguard.config.evidence import AlertsEntry
    from mcpguard.config.loading import Audit, SinkTerms, Telemetry


FOR_KEY = "audit.key"
"""For whom the private key is: no server has this name."""


def signed_by(audit: Audit) -> dict[str, frozenset[CredentialRef]]:
    """The reference that evidence may have, as `broker.named_by` gives those of servers."""
    return {} if audit.key is None else {FOR_KEY: frozenset((audit.key,))}


def upkeep(
    sink: AuditFile,
    folder: Path,
    audit: Audit,
    report: Callable[[str, Level], None],
    credentials: Credentials,
    over_http: bool,
    sinks: SinkPositions,
) -> Upkeep:
    """That of a process, by what its configuration says."""
    to = Recipient(FOR_KEY, None, Principal("", ""))
    key = None
    if audit.key is not None:
        # Imported where it is needed: most configurations sign nothing.
        from mcpguard.adapters.audit.signing import private_key

        key = partial(private_key, partial(credentials.get, audit.key, to), audit.key)
    heads = audit.heads
    if heads is not None and heads.stdout and not over_http:
        report("`audit.heads.stdout` has no effect here: a client reads this output", "warning")
    send = None
    if heads is not None:
        from mcpguard.serve.kept_heads import head_sender

        send = head_sender(heads, over_http)
    return Upkeep(sink, folder, audit.upkeep, report, key, send, sinks)


FOR_SINKS = "telemetry"
"""With a URL after it, for whom the headers are: no server has this name."""
FOR_ALERTS = "alerts.webhook"
"""For whom its URL is."""
LOOK_SECONDS = 5.0
"""How often it is looked for sinks that do not answer."""
END_SECONDS = 3.0
"""How long the end of the process waits for what is still to be exported; the next process does the rest."""


def exported_by(telemetry: Telemetry, alerts: AlertsEntry | None) -> dict[str, frozenset[CredentialRef]]:
    """The references that sinks and alerts may have, as `broker.named_by` gives those of servers."""
    named = {
        f"{FOR_SINKS} {one.to}": frozenset(ref for text in one.headers.values() for ref in text.refs)
        for one in telemetry.sinks
        if one.headers
    }
    url = alerts.webhook_reference if alerts is not None else None
    return named if url is None else {**named, FOR_ALERTS: frozenset([url])}


class SinkGate:
    """Evidence that takes no decision while a sink takes nothing; implements `ports.AuditSink`."""

    def __init__(self, audit: AuditSink) -> None:
        self.problem = ""
        """Why not, "" where it takes them."""
        self.sink = ""
        """Which sink it is, as clients may know it."""
        self.refused = 0
        self._audit = audit

    def write(self, record: Record) -> Wait[None]:
        if self.problem and isinstance(record, Decided):
            self.refused += 1
            refused: Wait[None] = Wait()
            refused.fail(ExportError(f"mcpguard cannot export evidence to {self.sink}"))
            return refused
        return self._audit.write(record)

    def settled(self) -> Wait[None]:
        return self._audit.settled()


class _Exported(Struct):
    """A sink that is exported to, the thread that does, and where its position is saved. `removed` counts
    records that were removed before it received them."""

    exporter: Exporter[FollowedLine]
    thread: threading.Thread
    cursor: Path
    removed: int = 0

    @property
    def name(self) -> str:
        state = self.exporter.state
        return f"{state.format} to {state.to}"


class Exporting:
    """All sinks of a process."""

    def __init__(
        self,
        gate: SinkGate,
        credentials: Credentials,
        report: Callable[[str, Level], None],
        note: Callable[[str, str], None],
        changed: Callable[[], None],
        host: str,
        health: Callable[[], AuditHealth],
    ) -> None:
        """`report` takes a line for the operator, `note(what, detail)` leaves evidence, `changed()` is called
        for another state; all in the loop, in which this is made. `host` is the name of this machine,
        `health()` says whether evidence can be written."""
        self._gate = gate
        self._credentials = credentials
        self._report = report
        self._note = note
        self._changed = changed
        self._host = host
        self._health = health
        self._loop = asyncio.get_running_loop()
        self._running: dict[tuple[str, ...], _Exported] = {}
        self._ending: list[threading.Thread] = []
        self._blocks = False
        """Whether a sink that fails stops serving."""
        self._starts = True
        """Whether this process has just begun, so that all of its evidence is for a new sink."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def states(self) -> tuple[SinkState, ...]:
        running = tuple(self._running.values())
        return tuple(structs.replace(one.exporter.state, removed=one.removed) for one in running)

    def unsent(self, chain: Path) -> tuple[str, ...]:
        from mcpguard.adapters.audit.following import unread

        return tuple(one.name for one in tuple(self._running.values()) if unread(one.cursor, chain, 1))

    def lose(self, chains: Sequence[Path], last: str) -> None:
        from mcpguard.adapters.audit.following import unread

        for one in tuple(self._running.values()):
            if count := sum(unread(one.cursor, chain) for chain in chains):
                to_loop(self._loop, self._lost, one, count, last)

    def _lost(self, one: _Exported, count: int, last: str) -> None:
        one.removed += count
        records = "1 record was" if count == 1 else f"{count:,} records were"
        why = "removed by `audit.keep_days` or `audit.keep_bytes` before they had arrived"
        said = f"{records} {why}: {one.name}"
        self._note("telemetry-lost", f"{said}; chains up to {last}")
        self._report(said, "warning")
        self._changed()

    def follow(
        self, folder: Path, telemetry: Telemetry, alerts: AlertsEntry | None, notify: tuple[NotifyTerms, ...]
    ) -> None:
        """Export what is in `folder` as the configuration says now; what it says as before goes on."""
        wanted: dict[tuple[str, ...], Callable[[], _Exported]] = {}
        for sink in telemetry.sinks:
            key = sink.to, sink.format, *(f"{name}: {text}" for name, text in sink.headers.items())
            wanted[key] = partial(self._sink, folder, sink)
        for name, alerting in self._alerting(alerts, notify).items():
            # Each target by itself: one that hangs must not hold up the others.
            begins = partial(self._exporter, folder, name, "alerts", alerting)
            wanted["alerts", name, repr((alerts, notify))] = begins
        for key in self._running.keys() - wanted.keys():
            over = self._running.pop(key)
            over.exporter.end()
            self._ending.append(over.thread)
        for key, make in wanted.items():
            if key not in self._running:
                self._running[key] = made = make()
                made.thread.start()
        self._starts = False
        self._blocks = telemetry.blocks
        self._hold()
        if self._running and self._timer is None:
            self._look()

    def _sink(self, folder: Path, sink: SinkTerms) -> _Exported:
        # Imported where it is needed: most processes export nothing.
        from mcpguard.adapters.telemetry.exporting import sink_of

        to = sink_of(sink.to, sink.format, self._host, partial(self._headers, sink))
        return self._exporter(folder, sink.to, sink.format, to)

    def _alerting(self, entry: AlertsEntry | None, notify: tuple[NotifyTerms, ...]) -> dict[str, AlertSink]:
        if entry is None:
            return {}
        return alert_sinks(entry, notify, self._credentials, self._host, self._health)

    def _exporter(self, folder: Path, to: str, form: str, sink: Destination[Any]) -> _Exported:
        from mcpguard.adapters.audit.following import Following
        from mcpguard.adapters.telemetry.exporting import Exporter
        from mcpguard.config.user_state import state_folder

        named = sha256(f"{folder} {form} {to}".encode()).hexdigest()[:16]
        cursor = state_folder("telemetry") / f"{named}.cursor"
        following = Following(folder, cursor, own=self._starts)
        if not self._starts:
            following.from_now()
        exporter = Exporter(
            to,
            form,
            following,
            sink,
            self._host,
            partial(to_loop, self._loop, self._report),
            lambda _state: to_loop(self._loop, self._is),
        )
        thread = threading.Thread(target=exporter.run, name="mcpguard-export", daemon=True)
        return _Exported(exporter, thread, cursor)

    def _look(self) -> None:
        """Now and then look for sinks that have not answered for long: their threads cannot say so."""
        for one in self._running.values():
            one.exporter.look()
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _headers(self, sink: SinkTerms) -> Mapping[str, Secret]:
        """Asked in a thread, each time: a value may have changed."""
        to = Recipient(f"{FOR_SINKS} {sink.to}", urlsplit(sink.to).hostname, Principal("", ""))
        return {
            name: filled(template, [self._credentials.get(ref, to) for ref in template.refs])
            for name, template in sink.headers.items()
        }

    def _is(self) -> None:
        self._hold()
        self._changed()

    def _hold(self) -> None:
        """Accept or refuse decisions, depending on the present state of the sinks."""
        gate = self._gate
        failing = (one for one in self.states if one.since and one.format != "alerts")
        down = next(failing, None) if self._blocks else None
        before, gate.problem = gate.problem, ""
        if down is not None:
            gate.sink = _place(down.to)
            gate.problem = down.problem if down.to in down.problem else f"{down.to}: {down.problem}"
        if gate.problem and not before:
            self._note("telemetry-blocked", gate.problem)
            said = "a sink accepts no evidence, so every request is refused until it does"
            self._report(f"{said} (`telemetry.on_sink_failure: block`): {gate.problem}", "error")
        elif before and not gate.problem:
            count = "1 request was" if gate.refused == 1 else f"{gate.refused:,} requests were"
            meanwhile = f"{count} refused meanwhile"
            self._note("telemetry-resumed", meanwhile)
            why = "all sinks accept evidence again" if self._blocks else "sinks no longer stop serving"
            self._report(f"{why}; requests are served: {meanwhile}", "info")
            gate.refused = 0

    def close(self) -> None:
        """Export what is still there, if that does not take long."""
        if self._timer is not None:
            self._timer.cancel()
        ends = time.monotonic() + END_SECONDS
        for one in self._running.values():
            one.exporter.end()
        for thread in (*self._ending, *(one.thread for one in self._running.values())):
            thread.join(max(0.0, ends - time.monotonic()))


def _place(to: str) -> str:
    """Without a path and a query of a URL: these may be as good as a credential, and clients read it."""
    url = urlsplit(to)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url.netloc else to


ALERT_SECONDS = 30.0
"""How long the target of an alert may take."""


def alert_sinks(
    entry: AlertsEntry,
    notify: tuple[NotifyTerms, ...],
    credentials: Credentials,
    host: str,
    health: Callable[[], AuditHealth],
) -> dict[str, AlertSink]:
    """What tells each of those whom the configuration names; `host` is the name of this machine, `health()`
    says whether evidence can be written."""
    from mcpguard.adapters.telemetry.alerts import AlertSink, AlertTerms, AlertWatch

    terms = AlertTerms(entry.denials_per_minute, entry.approvals_per_minute, entry.events, entry.quiet)
    targets: dict[str, Callable[[Alert], str]] = {}
    if entry.command is not None:
        targets["the command"] = partial(_by_command, list(entry.command))
    if entry.webhook_reference is not None:
        targets["the webhook"] = partial(_by_webhook, entry.webhook_reference, credentials)
    elif entry.webhook is not None:
        # Its path is what may be secret: whoever knows it can post.
        name = f"the webhook at {urlsplit(entry.webhook).netloc}"
        targets[name] = partial(_by_webhook, Secret(entry.webhook), credentials)
    for one in notify if entry.notify else ():
        targets[one.to] = partial(_by_notifier, one.to, credentials)

    def lost() -> datetime | None:
        now = health()
        return None if now.ok else datetime.fromtimestamp(now.since, UTC)

    return {
        name: AlertSink(AlertWatch(terms, host), {name: tell}, lost=lost) for name, tell in targets.items()
    }


def _by_command(words: list[str], alert: Alert) -> str:
    from mcpguard.adapters.approvals.notifying import by_command

    return by_command(words, json.encode(alert), ALERT_SECONDS)


def _by_webhook(url: Secret | CredentialRef, credentials: Credentials, alert: Alert) -> str:
    from mcpguard.adapters.telemetry.destinations import posted

    if isinstance(url, CredentialRef):
        url = credentials.get(url, Recipient(FOR_ALERTS, None, Principal("", "")))
    return posted(url, json.encode(alert))


def _by_notifier(to: str, credentials: Credentials, alert: Alert) -> str:
    from mcpguard.adapters.approvals.notifying import told

    recipient = Recipient(FOR_NOTIFY, None, Principal("", ""))
    url = None if to == DESKTOP else credentials.get(sole_reference(to), recipient)
    return told(url, *alert.text, ALERT_SECONDS)
