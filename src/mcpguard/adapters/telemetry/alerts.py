"""Alerts on evidence: thresholds, and one alert where something crosses one.

Law of this file: an alert names records and holds no value, no argument and no text of a server. What
follows within the quiet time is counted and not told again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial

from msgspec import Struct, json

from mcpguard.adapters.telemetry.destinations import Rendered
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.core.errors import CredentialError, TelemetryError
from mcpguard.core.evidence.records import Decided, Noticed
from mcpguard.core.legible import utc
from mcpguard.core.redaction.removal.placeholder import CREDENTIAL

MINUTE = timedelta(minutes=1)
MOST_RECORDS = 20
"""How many records are named by an alert, the last ones."""
MOST_KEPT = 1_000

SUMMARIES = {
    "denials": "many requests of one principal were refused",
    "approvals": "many calls of one principal ask for an approval",
    "held-secret": "a credential that mcpguard holds appeared where it must not be",
    "pin-change": "the definition of a tool has changed",
    "evidence-lost": "no evidence can be written, so every request is refused",
    "evidence-gap": "for a time no evidence could be written",
}


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


class _Tally(Struct):
    """What was seen of one kind, of one principal or server."""

    times: deque[tuple[datetime, AlertRecord]]
    more: int = 0
    quiet_until: datetime | None = None


class AlertWatch:
    """Raises alerts."""

    def __init__(self, terms: AlertTerms, host: str) -> None:
        self._terms = terms
        self._host = host
        self._seen: dict[tuple[str, str], _Tally] = {}
        self._lost_until: datetime | None = None

    def lost(self, since: datetime) -> list[Alert]:
        """The alert that no evidence can be written since then; none where that was told, or not long after
        another one. No record says so before it is over."""
        until = self._lost_until
        if "evidence-gap" not in self._terms.events or (until is not None and since < until):
            return []
        self._lost_until = since + self._terms.quiet
        kind = "evidence-lost"
        return [Alert(kind, SUMMARIES[kind], since, since, "", 1, (), self._host)]

    def due(self, now: datetime) -> list[Alert]:
        """The alerts about what came in a quiet time that is over by `now`."""
        found = []
        for (kind, about), seen in self._seen.items():
            if seen.quiet_until is not None and now >= seen.quiet_until:
                if seen.more:
                    found.append(self._alert(kind, about, seen, now))
                else:
                    seen.quiet_until = None
        return found

    @property
    def next_due(self) -> datetime | None:
        """When the first quiet time is over in which something came; None for never."""
        ends = (one.quiet_until for one in self._seen.values() if one.quiet_until and one.more)
        return min(ends, default=None)

    def observe(self, happened: Iterable[EvidenceEvent]) -> list[Alert]:
        """Take these events; returns the alerts that they raise."""
        found = []
        for one in happened:
            for kind, about, least in self._kinds(one):
                alerts = (self._count(kind, about, least, one) for _ in range(_times(one)))
                found += [alert for alert in alerts if alert is not None]
        return found

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
            kind = {"pin-changed": "pin-change", "evidence-gap": "evidence-gap"}.get(record.what, "")
            if kind in terms.events:
                yield kind, record.server, 1
            if "held-secret" in terms.events and _has_held(record.findings):
                yield "held-secret", record.server, 1

    def _count(self, kind: str, about: str, least: int, one: EvidenceEvent) -> Alert | None:
        seen = self._seen.setdefault((kind, about), _Tally(deque(maxlen=MOST_KEPT)))
        identity = getattr(one.record, "id", "")
        seen.times.append((one.at, AlertRecord(identity, one.place.file, one.place.hash)))
        if seen.quiet_until is not None:
            if one.at < seen.quiet_until:
                seen.more += 1
                return None
            seen.quiet_until = None
        while seen.times and least > 1 and seen.times[0][0] <= one.at - MINUTE:
            seen.times.popleft()
        if len(seen.times) < least:
            return None
        if seen.more:
            seen.more += 1
        return self._alert(kind, about, seen, one.at)

    def _alert(self, kind: str, about: str, seen: _Tally, at: datetime) -> Alert:
        """What is told now, after which it is quiet for a time."""
        records = tuple(dict.fromkeys(record for _at, record in seen.times))[-MOST_RECORDS:]
        since = seen.times[0][0]
        count = max(len(seen.times), seen.more)
        seen.times.clear()
        seen.more, seen.quiet_until = 0, at + self._terms.quiet
        return Alert(kind, SUMMARIES[kind], at, since, about, count, records, self._host)


def _times(one: EvidenceEvent) -> int:
    """How often it counts: refusals that were recorded together are many."""
    folded = one.record.folded if isinstance(one.record, Noticed) else None
    return 1 if folded is None else min(folded.count, MOST_KEPT)


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
        now, due, lost = self._now(), self._watch.next_due, self._lost()
        if not lines and lost is None and (due is None or now < due):
            return 0
        watch = deepcopy(self._watch)
        problems = []
        over = [] if lost is None else watch.lost(lost)
        for alert in [*over, *watch.observe(one for one, _line in lines), *watch.due(now)]:
            for name, tell in self._targets.items():
                key = (name, json.encode(alert))
                if key not in self._told:
                    try:
                        problem = tell(alert)
                    except CredentialError as error:
                        problem = str(error)
                    if problem:
                        problems.append(f"{name}: {problem}")
                    else:
                        self._told.add(key)
        if problems:
            raise TelemetryError("; ".join(problems))
        self._watch = watch
        self._told.clear()
        return 0

    def close(self) -> None:
        """Nothing is open."""
