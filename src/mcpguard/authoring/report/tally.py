"""The totals of the records of a period, counted while they are read, so that memory does not grow with them;
and dwell time: from the moment that a session deserves a person's attention to the moment that it gets it.

    chains -> records -> RecordTally

A dwell time begins with the first refusal of a session or with the first label that it has, whichever is
earlier. It ends when a person answers a ticket of that session, clears a label of it or ends it, or when the
process that served it ends. What begins after that is a new one.

Law of this file: a chain that was altered does not count, and what it would have added is not guessed. What
begins and ends a time comes out of different chains, so nothing is concluded before all of them were read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import chain_name, lines, origin
from mcpguard.authoring.report.review import DwellTime, ReviewedApproval
from mcpguard.core.evidence.changes import ANSWER_VOID, VOID, made
from mcpguard.core.evidence.records import (
    HANDED_ON,
    KIND_USED,
    PAUSED,
    UNDECIDED,
    Closed,
    Decided,
    Noticed,
    Opened,
    Outcome,
    Record,
)

_PERSON = frozenset(
    {
        "approval-given",
        "approval-refused",
        "approval-ended",
        "refusal-ended",
        "label-cleared",
        "limit-cleared",
        "session-ended",
        "pin-accepted",
        "pins-forgotten",
        VOID,
        ANSWER_VOID,
    }
)
_TICKET = re.compile(r"\bticket (\S+)")
_SESSION = re.compile(r"\bsession ([0-9a-f]{32})\b")


class _SessionTrack(Struct):
    """What is known of a session: the first and the last reason in each minute, so that memory is bounded,
    and the chains in which it was served."""

    principal: str
    reasons: dict[datetime, list[tuple[datetime, str]]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    acts: list[datetime] = field(default_factory=list)

    def add(self, at: datetime, because: str, file: str) -> None:
        self.files.add(file)
        kept = self.reasons.setdefault(at.replace(second=0, microsecond=0), [])
        kept[1:] = [(at, because)]


class DwellWatch(Struct):
    """Follows the records of all sessions, chain by chain."""

    sessions: dict[str, _SessionTrack] = field(default_factory=dict)
    closed: dict[str, datetime] = field(default_factory=dict)
    _next: dict[str, str] = field(default_factory=dict)
    """A chain -> the one in which its process went on."""
    _calls: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """The first chain of its process and the id of an allowed call -> its session and principal, until its
    outcome is there."""
    _tickets: dict[str, str] = field(default_factory=dict)
    """A ticket -> its session."""
    _acts: list[Noticed] = field(default_factory=list)

    def take(self, record: Record, file: str, process: str) -> None:
        """One more record, of the chain `file`; `process` is the first one of its process."""
        if isinstance(record, Decided):
            self._decided(record, file, process)
        elif isinstance(record, Outcome):
            session, principal = self._calls.pop((process, record.id), ("", ""))
            if session and record.labels:
                self._reason(session, principal, record.at, f"label {', '.join(record.labels)}", file)
        elif isinstance(record, Noticed) and record.what in _PERSON:
            self._acts.append(record)
        elif isinstance(record, Closed) and record.reason not in HANDED_ON:
            self.closed[file] = record.at
        elif isinstance(record, Opened) and record.continues:
            self._next[record.continues] = file

    def _decided(self, record: Decided, file: str, process: str) -> None:
        session = record.session or f"{record.principal} {record.agent or ''}".rstrip()
        if record.ticket:
            self._tickets[record.ticket] = session
        labels = record.session_labels + record.labels
        if record.effect == "deny" and record.cause not in UNDECIDED:
            why = f"refused: {', '.join(record.rules) or record.cause}"
            self._reason(session, record.principal, record.at, why, file)
        elif labels:
            self._reason(session, record.principal, record.at, f"label {', '.join(labels)}", file)
        if record.effect == "allow":
            self._calls[process, record.id] = session, record.principal

    def _reason(self, session: str, principal: str, at: datetime, because: str, file: str) -> None:
        self.sessions.setdefault(session, _SessionTrack(principal)).add(at, because, file)

    def found(self, now: datetime) -> list[DwellTime]:
        """All of them, once every record was taken; `now` is the end of what goes on."""
        for act in made(self._acts):
            if (seen := self.sessions.get(self._session_of(act))) is not None:
                seen.acts.append(act.at)
        every = (one for name, seen in self.sessions.items() for one in self._dwelt(name, seen))
        return [
            DwellTime(**one, seconds=((one["ended"] or now) - one["began"]).total_seconds()) for one in every
        ]

    def _session_of(self, act: Noticed) -> str:
        named = _SESSION.search(act.detail)
        if named is not None or act.session:
            return named[1] if named is not None else act.session
        ticket = _TICKET.search(act.detail)
        return self._tickets.get(act.ticket or (ticket[1] if ticket else ""), "")

    def _process_end(self, file: str) -> datetime | None:
        """When the process ended that wrote this chain."""
        for _ in range(len(self._next)):  # However they are tied.
            file = self._next.get(file, file)
        return self.closed.get(file)

    def _dwelt(self, name: str, seen: _SessionTrack) -> Iterator[dict[str, Any]]:
        ends = [(at, 1, "person") for at in seen.acts]
        ends += [(at, 1, "process end") for at in map(self._process_end, seen.files) if at is not None]
        begins = [(at, 0, because) for kept in seen.reasons.values() for at, because in kept]
        going: dict[str, Any] = {}
        for at, is_end, said in sorted(begins + ends):
            if not going and not is_end:
                going = {"session": name, "principal": seen.principal, "began": at, "because": said}
            elif going and is_end:
                yield going | {"ended": at, "by": said}
                going = {}
        if going:
            yield going | {"ended": None, "by": "open"}


_ANSWERS = {
    "approval-given": "approved",
    "approval-refused": "denied",
    ANSWER_VOID: "void",
    "approval-ended": "ended",
    "refusal-ended": "ended",
    VOID: "void",
}
_ANSWER = re.compile(r"(?:[a-z-]+: )?ticket (\S+) (?:of (\S+) )?by (.+?)(?=[,;]|: |$)")
RECORDED_RESULTS = frozenset({"ok", "tool-error", "error", "withheld"})
"""The outcomes that say that something came back."""


def _changed_by(detail: str) -> Iterable[str]:
    """The things whose definition changed, by the detail of a `pin-changed`: `tool NAME: …` names one, and
    `3 more tools` names none."""
    name = detail.rpartition(": ")[0]
    more = detail.partition(" ")[0]
    return (name,) if name else (f"another {number}" for number in range(int(more) if more.isdigit() else 0))


class UseCount(Struct):
    """How often somebody used something."""

    allowed: int = 0
    refused: int = 0
    last: datetime | None = None

    def add(self, allowed: bool, at: datetime) -> None:
        self.allowed += allowed
        self.refused += not allowed
        self.last = at if self.last is None else max(self.last, at)


class TalliedPrincipal(Struct):
    """A principal as the records have it."""

    use: UseCount = field(default_factory=UseCount)
    asked: int = 0
    first: datetime | None = None
    agents: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    humans: set[str] = field(default_factory=set)
    actors: dict[str, UseCount] = field(default_factory=dict)


class Refused(Struct, frozen=True):
    """What refusals are grouped by."""

    principal: str
    actor: str
    what: str
    cause: str
    rules: tuple[str, ...]


class AlikeRefusals(Struct):
    """Refusals that are alike."""

    count: int
    last: datetime
    example: str


class RecordTally(Struct):
    """Everything that a review needs of the records. `since` is where the period begins; what is older counts
    only for how old a credential is."""

    since: datetime
    begins: datetime | None = None
    principals: dict[str, TalliedPrincipal] = field(default_factory=dict)
    uses: dict[tuple[str, str, str, str], UseCount] = field(default_factory=dict)
    """By (principal, server, kind, name)."""
    rules: dict[str, UseCount] = field(default_factory=dict)
    refusals: dict[Refused, AlikeRefusals] = field(default_factory=dict)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (kind, server)."""
    days: dict[str, list[int]] = field(default_factory=dict)
    """Day -> allowed, refused, asked."""
    answers: list[ReviewedApproval] = field(default_factory=list)
    """What people said, without `uses`."""
    ticket_uses: Counter[str] = field(default_factory=Counter)
    rotated: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    credential_calls: Counter[str] = field(default_factory=Counter)
    definitions: dict[str, set[str]] = field(default_factory=dict)
    changed: dict[str, set[str]] = field(default_factory=dict)
    """By server: its tools and prompts whose definition changed, each as `tool NAME`."""
    starts: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    """`decided`, `enforced`, `allowed`, `ended`, `brought` and `inspected`: what coverage is made of."""
    gaps: list[str] = field(default_factory=list)
    folded: int = 0
    """Refusals that were only counted."""
    dwell: DwellWatch = field(default_factory=DwellWatch)

    def read(self, files: Iterable[Path]) -> None:
        """Count the records of these chains, in their order."""
        # A call may end in the next chain of its process.
        servers: dict[tuple[str, str], str] = {}
        paths = {chain_name(file): file for file in files}
        processes: dict[str, str] = {}
        for name, file in paths.items():
            process = processes[name] = origin(name, paths, processes)
            for line in lines(file):
                record = read_record(line)
                if record is not None:
                    self._take(record, name, process, servers)

    def _take(self, record: Record, file: str, process: str, servers: dict[tuple[str, str], str]) -> None:
        self.begins = record.at if self.begins is None else min(self.begins, record.at)
        if isinstance(record, Decided):
            for name in {*record.credentials, *filter(None, [record.credential])}:
                self.seen[name] = min(record.at, self.seen.get(name, record.at))
        elif isinstance(record, Noticed) and record.what == "credential-rotated":
            self.rotated[record.detail] = record.at
        if record.at < self.since:
            return
        if isinstance(record, Decided):
            if record.effect == "allow":
                servers[process, record.id] = record.server
            self._decided(record)
        elif isinstance(record, Outcome):
            self._outcome(record, servers.pop((process, record.id), ""))
        elif isinstance(record, Noticed):
            self._noticed(record)
        if isinstance(record, Decided | Outcome | Noticed | Opened | Closed):
            self.dwell.take(record, file, process)

    def _decided(self, record: Decided) -> None:
        if record.effect == "ask":
            self.principals.setdefault(record.principal, TalliedPrincipal()).asked += 1
            self._day(record.at)[2] += 1
            return
        allowed = record.effect == "allow"
        self.counts["decided"] += 1
        self.counts["enforced"] += record.observed is None
        self.counts["allowed"] += allowed
        self._day(record.at)[0 if allowed else 1] += 1
        self._principal(record, allowed)
        for rule in record.rules:
            self.rules.setdefault(rule, UseCount()).add(allowed, record.at)
        if allowed:
            self.credential_calls.update({*record.credentials, *filter(None, [record.credential])})
        else:
            target = "/".join(filter(None, (record.server, record.tool or record.subject)))
            what = target or record.method
            key = Refused(record.principal, record.actor, what, record.cause, record.rules)
            group = self.refusals.setdefault(key, AlikeRefusals(0, record.at, record.id))
            group.count += 1
            if record.at >= group.last:
                group.last, group.example = record.at, record.id
        if record.approval:
            self.ticket_uses[record.approval.partition(" ")[0]] += 1

    def _day(self, at: datetime) -> list[int]:
        return self.days.setdefault(at.date().isoformat(), [0, 0, 0])

    def _principal(self, record: Decided, allowed: bool) -> None:
        principal = self.principals.setdefault(record.principal, TalliedPrincipal())
        principal.use.add(allowed, record.at)
        principal.first = record.at if principal.first is None else min(principal.first, record.at)
        for names, name in (
            (principal.agents, record.agent),
            (principal.clients, record.client),
            (principal.humans, record.human),
        ):
            if name and len(names) < 100:  # A client may call itself anything, each time.
                names.add(name)
        # A token names them, and an identity provider can name as many as it likes.
        if record.actor in principal.actors or (record.actor and len(principal.actors) < 100):
            principal.actors.setdefault(record.actor, UseCount()).add(allowed, record.at)
        kind = "tool" if record.method == "tools/call" else KIND_USED.get(record.method)
        name = record.tool or record.subject
        if kind is not None and record.server and name:
            self.uses.setdefault((record.principal, record.server, kind, name), UseCount()).add(
                allowed, record.at
            )
        if record.tool and record.tool_digest:
            self.definitions.setdefault(record.server, set()).add(record.tool)

    def _outcome(self, record: Outcome, server: str) -> None:
        self.counts["ended"] += record.status != PAUSED
        self.counts["brought"] += record.status in RECORDED_RESULTS
        self.counts["inspected"] += record.status in RECORDED_RESULTS and (
            bool(record.result) or record.status == "withheld"
        )
        self._found(record.findings, server)

    def _found(self, findings: dict[str, int], server: str) -> None:
        for place, count in findings.items():
            self.found[place.partition(" ")[0], server] += count

    def _noticed(self, record: Noticed) -> None:
        self.notices[record.what] += 1
        self._found(record.findings, record.server)
        self.folded += 0 if record.refusals is None else record.refusals.count
        if record.what == "pin-changed":
            self.changed.setdefault(record.server, set()).update(_changed_by(record.detail))
        elif record.what == "upstream-started":
            self.starts[record.server] += 1
        elif record.what == "evidence-gap":
            self.gaps.append(record.detail)
        elif record.what in _ANSWERS and (said := _ANSWER.match(record.detail)):
            about = {"ticket": said[1], "principal": said[2] or record.principal, "by": said[3].strip()}
            about |= {"at": record.at, "verdict": _ANSWERS[record.what], "uses": 0}
            self.answers.append(ReviewedApproval.model_validate(about))
