"""Alerts on evidence: thresholds, and one alert where something crosses one.

Law of this file: an alert names records and holds no value, no argument and no text of a server. What
follows within the quiet time is counted and not told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from msgspec import Struct, json, structs

from mcpguard.adapters.telemetry.destinations import Rendered
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.core.errors import CredentialError, TelemetryError
from mcpguard.core.evidence.records import LOST, Decided, Noticed
from mcpguard.core.legible import utc
from mcpguard.core.redaction.removal.placeholder import CREDENTIAL

MINUTE = timedelta(minutes=1)
MOST_RECORDS = 20
"""How many records are named by an alert, the last ones."""

SUMMARIES = {
    "denials": "many requests of one principal were refused",
    "approvals": "many calls of one principal ask for an approval",
    "held-secret": "a credential that mcpguard holds appeared where it must not be",
    "pin-change": "the definition of a tool has changed",
    "server-lost": "a tool server could not be started, has ended, or did not answer and was ended",
    "evidence-lost": "no evidence can be written, so every request is refused",
    "evidence-gap": "for a time no evidence could be written",
}


_OF_NOTICES = {"pin-changed": "pin-change", "evidence-gap": "evidence-gap", LOST: "server-lost"}


class AlertTerms(Struct, frozen=True):
    """What raises an alert: how many a minute, 0 for never; and which events."""

    denials: int = 0
    approvals: int = 0
    events: frozenset[str] = frozenset()
    quiet: timedelta = timedelta(minutes=10)


class AlertRecord(Struct, frozen=True):
    """A record that caused an alert; `id` is that of the call, "" for none."""

    id: str
    chain: str
    hash: str


class Alert(Struct, frozen=True):
    """An alert. `about` is the principal or the server, `count` how many records caused it, with those that
    came in the quiet time before."""

    alert: str
    summary: str
    at: datetime
    since: datetime
    about: str
    count: int
    records: tuple[AlertRecord, ...]
    host: str

    @property
    def text(self) -> tuple[str, str]:
        """A title and a body for people."""
        about = f" ({self.about})" if self.about else ""
        calls = ", ".join(dict.fromkeys(one.id for one in self.records if one.id))
        lines = [
            f"{self.summary}{about}",
            f"{self.count} since {utc(self.since)} on {self.host}",
            *([f"calls: {calls}"] if calls else []),
            f"see: mcpguard {'audit show' if self.records else 'status'}",
        ]
        return f"mcpguard: {self.alert}", "\n".join(lines)


class _AlertCause(NamedTuple):
    """A record that stands for `number` of them: refusals that were recorded together are many."""

    at: datetime
    record: AlertRecord
    number: int


class _Tally(Struct):
    """What was seen of one kind, of one principal or server: in the last minute, or in the quiet time that
    lasts until `quiet_until`. `kept` are the last ones of these, `count` is how many there were since
    `since`."""

    kept: tuple[_AlertCause, ...] = ()
    count: int = 0
    since: datetime | None = None
    quiet_until: datetime | None = None


class AlertWatch:
    """Raises alerts."""

    def __init__(self, terms: AlertTerms, host: str) -> None:
        self._terms = terms
        self._host = host
        self._seen: dict[tuple[str, str], _Tally] = {}
        self._lost_until: datetime | None = None

    def copied(self) -> AlertWatch:
        """One that goes on from here, while this one stays as it is."""
        other = copy(self)
        other._seen = dict(self._seen)
        return other

    def lost(self, since: datetime) -> list[Alert]:
        """The alert that no evidence can be written since then; none where that was told, or not long after
        another one. No record says so before it is over."""
        until = self._lost_until
        if "evidence-gap" not in self._terms.events or (
            until is not None and since < until and not self._is_set_back(until, since)
        ):
            return []
        self._lost_until = since + self._terms.quiet
        kind = "evidence-lost"
        return [Alert(kind, SUMMARIES[kind], since, since, "", 1, (), self._host)]

    def due(self, now: datetime) -> list[Alert]:
        """The alerts about what came in a quiet time that is over by `now`. What has no bearing on a later
        alert is forgotten."""
        found = []
        for key, before in list(self._seen.items()):
            until = before.quiet_until
            is_over = until is not None and self._is_set_back(until, now)
            tally = structs.replace(before, quiet_until=now) if is_over else before
            alerts, seen = self._after_quiet(key, tally, now)
            found += alerts
            if seen.quiet_until is None and not _since(seen.kept, now - MINUTE):
                del self._seen[key]
            else:
                self._seen[key] = seen
        return found

    def is_due(self, now: datetime) -> bool:
        """Whether a quiet time in which something came is over by `now`, or would last too long since the
        clock was set back."""
        ends = (one.quiet_until for one in self._seen.values() if one.quiet_until and one.count)
        return any(until <= now or self._is_set_back(until, now) for until in ends)

    def observe(self, happened: Iterable[EvidenceEvent]) -> list[Alert]:
        """Take these events; returns the alerts that they raise."""
        return [
            alert
            for one in happened
            for kind, about, least in self._kinds(one)
            for alert in self._count((kind, about), least, one)
        ]

    def _kinds(self, one: EvidenceEvent) -> Iterable[tuple[str, str, int]]:
        """What it counts as, of whom, and how many a minute raise an alert."""
        record, terms = one.record, self._terms
        if isinstance(record, Decided):
            if record.effect == "deny" and terms.denials:
                yield "denials", record.principal, terms.denials
            if record.effect == "ask" and terms.approvals:
                yield "approvals", record.principal, terms.approvals
            found = {} if one.outcome is None else one.outcome.findings
            if "held-secret" in terms.events and (record.cause == "credential" or _has_held(found)):
                yield "held-secret", record.server, 1
        elif isinstance(record, Noticed):
            if record.what == "refusals-folded" and terms.denials:
                yield "denials", record.principal, terms.denials
            kind = _OF_NOTICES.get(record.what, "")
            if kind in terms.events:
                yield kind, record.server, 1
            if "held-secret" in terms.events and _has_held(record.findings):
                yield "held-secret", record.server, 1

    def _count(self, key: tuple[str, str], least: int, one: EvidenceEvent) -> list[Alert]:
        folded = one.record.folded if isinstance(one.record, Noticed) else None
        found = AlertRecord(getattr(one.record, "id", ""), one.place.file, one.place.hash)
        latest = _AlertCause(one.at, found, 1 if folded is None else folded.count)
        alerts, seen = self._after_quiet(key, self._seen.get(key, _Tally()), one.at)
        if seen.quiet_until is not None:
            kept = (*seen.kept, latest)[-MOST_RECORDS:]
            count, since = seen.count + latest.number, seen.since or one.at
            self._seen[key] = _Tally(kept, count, since, seen.quiet_until)
            return alerts
        # As many as `least` within a minute raise an alert, so no more of them are kept.
        kept = (*_since(seen.kept, one.at - MINUTE), latest)
        seen = _Tally(kept, sum(each.number for each in kept), kept[0].at)
        if seen.count < least:
            self._seen[key] = seen
            return alerts
        self._seen[key] = _Tally(quiet_until=one.at + self._terms.quiet)
        return [*alerts, self._alert(key, seen, one.at)]

    def _is_set_back(self, until: datetime, now: datetime) -> bool:
        """Whether the clock was set to a time before the quiet time that ends at `until`, which would then
        last too long."""
        return now < until - self._terms.quiet - MINUTE

    def _after_quiet(self, key: tuple[str, str], seen: _Tally, now: datetime) -> tuple[list[Alert], _Tally]:
        """What is told where the quiet time is over by `now`, and what was seen since. It is told as of its
        end, so that whoever is told again later is told the same."""
        found = []
        while (until := seen.quiet_until) is not None and until <= now:
            if seen.count:
                found.append(self._alert(key, seen, until))
                seen = _Tally(quiet_until=until + self._terms.quiet)
            else:
                seen = _Tally()
        return found, seen

    def _alert(self, key: tuple[str, str], seen: _Tally, at: datetime) -> Alert:
        kind, about = key
        records = tuple(dict.fromkeys(one.record for one in seen.kept))[-MOST_RECORDS:]
        since = seen.since or at
        return Alert(kind, SUMMARIES[kind], at, since, about, seen.count, records, self._host)


def _since(kept: tuple[_AlertCause, ...], begin: datetime) -> tuple[_AlertCause, ...]:
    """Those after `begin`."""
    return tuple(one for one in kept if one.at > begin)


def _has_held(findings: Mapping[str, int]) -> bool:
    return any(name.startswith(CREDENTIAL) for name in findings)


_now = partial(datetime.now, UTC)


class AlertSink:
    """A destination of telemetry that tells people. `targets` are ways to tell, by what the configuration
    calls them: each gives why it could not, "" where it could, or raises CredentialError."""

    def __init__(
        self,
        watch: AlertWatch,
        targets: Mapping[str, Callable[[Alert], str]],
        now: Callable[[], datetime] = _now,
        lost: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """`now()` is the time in UTC; `lost()` is since when no evidence can be written, None where it is."""
        self._now = now
        self._lost = lost
        self._watch = watch
        self._targets = targets
        self._told: set[tuple[str, bytes]] = set()

    def deliver(self, lines: Sequence[Rendered]) -> int:
        """Tell all targets of the alerts that these raise, or a quiet time that is over; those that were told
        are not told again."""
        now, lost = self._now(), self._lost()
        if not lines and lost is None and not self._watch.is_due(now):
            return 0
        watch = self._watch.copied()
        over = [] if lost is None else watch.lost(lost)
        alerts = [*over, *watch.observe(one for one, _line in lines), *watch.due(now)]
        tried = ((name, self._tell(name, alerts)) for name in self._targets)
        if problems := [f"{name}: {problem}" for name, problem in tried if problem]:
            raise TelemetryError("; ".join(problems))
        self._watch = watch
        self._told.clear()
        return 0

    def _tell(self, name: str, alerts: list[Alert]) -> str:
        """Send a target the alerts that it does not have yet, up to one that it refuses; gives why."""
        for alert in alerts:
            key = (name, json.encode(alert))
            if key in self._told:
                continue
            try:
                problem = self._targets[name](alert)
            except CredentialError as error:
                problem = str(error)
            if problem:
                return problem
            self._told.add(key)
        return ""

    def close(self) -> None:
        """Nothing is open."""
