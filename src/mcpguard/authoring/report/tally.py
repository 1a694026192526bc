"""What the records of a period come to: counted while they are read, so that memory does not grow with them.

    chains -> records -> RecordTally

Law of this file: a chain that was altered does not count, and what it would have added is not guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import chain_name, lines
from mcpguard.authoring.report.dwell import DwellWatch
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Opened, Outcome, Record

_ANSWERS = {
    "approval-given": "approved",
    "approval-refused": "denied",
    "approval-void": "void",
    "approval-ended": "ended",
}
_ANSWER = re.compile(r"ticket (\S+) (?:of (\S+) )?by (.+?)(?=[,;]|: |$)")
_KINDS = {
    "tools/call": "tool",
    "prompts/get": "prompt",
    "resources/read": "resource",
    "resources/subscribe": "resource",
}
RECORDED_RESULTS = frozenset({"ok", "tool-error", "error", "withheld"})
"""The outcomes that say that something came back."""


class Use(Struct):
    """How often somebody used something."""

    allowed: int = 0
    refused: int = 0
    last: datetime | None = None

    def add(self, allowed: bool, at: datetime) -> None:
        self.allowed += allowed
        self.refused += not allowed
        self.last = at if self.last is None else max(self.last, at)


class Who(Struct):
    """A principal as the records have it."""

    use: Use = field(default_factory=Use)
    asked: int = 0
    first: datetime | None = None
    agents: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    humans: set[str] = field(default_factory=set)


class Refused(Struct, frozen=True):
    """What refusals are grouped by."""

    principal: str
    what: str
    cause: str
    rules: tuple[str, ...]


class AlikeRefusals(Struct):
    """Refusals that are alike."""

    count: int
    last: datetime
    example: str


class PersonsAnswer(Struct, frozen=True):
    """What a person said, as a notice has it."""

    at: datetime
    verdict: str
    ticket: str
    principal: str
    by: str


class RecordTally(Struct):
    """Everything that a review needs of the records. `since` is where the period begins; what is older counts
    only for how old a credential is."""

    since: datetime
    begins: datetime | None = None
    who: dict[str, Who] = field(default_factory=dict)
    uses: dict[tuple[str, str, str, str], Use] = field(default_factory=dict)
    """By (principal, server, kind, name)."""
    rules: dict[str, Use] = field(default_factory=dict)
    refusals: dict[Refused, AlikeRefusals] = field(default_factory=dict)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (kind, server)."""
    days: dict[str, list[int]] = field(default_factory=dict)
    """Day -> allowed, refused, asked."""
    answers: list[PersonsAnswer] = field(default_factory=list)
    ticket_uses: Counter[str] = field(default_factory=Counter)
    rotated: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    credential_calls: Counter[str] = field(default_factory=Counter)
    definitions: dict[str, set[str]] = field(default_factory=dict)
    changed: Counter[str] = field(default_factory=Counter)
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
        servers: dict[str, str] = {}
        for file in files:
            for line in lines(file):
                record = read_record(line)
                if record is not None:
                    self._take(record, chain_name(file), servers)

    def _take(self, record: Record, file: str, servers: dict[str, str]) -> None:
        self.begins = record.at if self.begins is None else min(self.begins, record.at)
        if isinstance(record, Decided):
            self._credentials(record)
        elif isinstance(record, Noticed) and record.what == "credential-rotated":
            self.rotated[record.detail] = record.at
        if record.at < self.since:
            return
        if isinstance(record, Decided):
            if record.effect == "allow":
                servers[record.id] = record.server
            self._decided(record)
        elif isinstance(record, Outcome):
            self._outcome(record, servers.pop(record.id, ""))
        elif isinstance(record, Noticed):
            self._noticed(record)
        if isinstance(record, Decided | Outcome | Noticed | Opened | Closed):
            self.dwell.take(record, file)

    def _credentials(self, record: Decided) -> None:
        for name in {*record.credentials, *filter(None, [record.credential])}:
            self.seen[name] = min(record.at, self.seen.get(name, record.at))

    def _decided(self, record: Decided) -> None:
        if record.effect == "ask":
            self.who.setdefault(record.principal, Who()).asked += 1
            self._day(record.at)[2] += 1
            return
        allowed = record.effect == "allow"
        self.counts["decided"] += 1
        self.counts["enforced"] += record.observed is None
        self.counts["allowed"] += allowed
        self._day(record.at)[0 if allowed else 1] += 1
        self._principal(record, allowed)
        for rule in record.rules:
            self.rules.setdefault(rule, Use()).add(allowed, record.at)
        if allowed:
            self.credential_calls.update({*record.credentials, *filter(None, [record.credential])})
        else:
            self._refused(record)
        if record.approval:
            self.ticket_uses[record.approval.partition(" ")[0]] += 1

    def _day(self, at: datetime) -> list[int]:
        return self.days.setdefault(at.date().isoformat(), [0, 0, 0])

    def _principal(self, record: Decided, allowed: bool) -> None:
        who = self.who.setdefault(record.principal, Who())
        who.use.add(allowed, record.at)
        who.first = record.at if who.first is None else min(who.first, record.at)
        for names, name in (
            (who.agents, record.agent),
            (who.clients, record.client),
            (who.humans, record.human),
        ):
            if name and len(names) < 100:  # A client may call itself anything, each time.
                names.add(name)
        kind = _KINDS.get(record.method)
        name = record.tool or record.subject
        if kind is not None and record.server and name:
            self.uses.setdefault((record.principal, record.server, kind, name), Use()).add(allowed, record.at)
        if record.tool and record.tool_digest:
            self.definitions.setdefault(record.server, set()).add(record.tool)

    def _refused(self, record: Decided) -> None:
        target = "/".join(filter(None, (record.server, record.tool or record.subject)))
        key = Refused(record.principal, target or record.method, record.cause, record.rules)
        group = self.refusals.setdefault(key, AlikeRefusals(0, record.at, record.id))
        group.count += 1
        if record.at >= group.last:
            group.last, group.example = record.at, record.id

    def _outcome(self, record: Outcome, server: str) -> None:
        self.counts["ended"] += 1
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
            self.changed[record.server] += 1
        elif record.what == "upstream-started":
            self.starts[record.server] += 1
        elif record.what == "evidence-gap":
            self.gaps.append(record.detail)
        elif record.what in _ANSWERS and (said := _ANSWER.match(record.detail)):
            ticket, principal, by = said[1], said[2] or record.principal, said[3].strip()
            self.answers.append(PersonsAnswer(record.at, _ANSWERS[record.what], ticket, principal, by))
