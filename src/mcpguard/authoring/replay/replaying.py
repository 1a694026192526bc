"""Every recorded decision once more under other policies, and what would change.

Law of this file: a decision of which the record does not say enough is never counted as the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from mcpguard.authoring.replay.besides import NOTHING, Besides, besides
from mcpguard.authoring.replay.counting import Counting
from mcpguard.authoring.replay.judging import Again, Judging
from mcpguard.authoring.replay.past import PastDecision, Received, SessionEnded
from mcpguard.authoring.replay.report import (
    MOST_EXAMPLES,
    Direction,
    ReplayChange,
    ReplayedVerdict,
    ReplayReport,
    ReplayUnsaid,
)
from mcpguard.authoring.replay.request import Requests
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.written import Effect

_STRICT: dict[Effect, int] = {"allow": 0, "ask": 1, "deny": 2}
_ORDER: dict[Direction, int] = {"loosened": 0, "credential": 1, "tightened": 2, "otherwise": 3}

ALTERED = "its file was altered: `mcpguard audit verify` says where"
NOTE_STATE = (
    "each decision has the labels and facts of its session as they are on record; those that only these "
    "policies would set are not in it: {}"
)
NOTE_LIMITS = "limits were counted from the first of these records on"
NOTE_RESULTS = "rules with `on: result` were not replayed: results are not on record"


class _Many(Struct):
    """Decisions that are alike."""

    count: int = 0
    examples: deque[str] = deque(maxlen=MOST_EXAMPLES)

    def add(self, id_: str) -> None:
        self.count += 1
        self.examples.append(id_)


class _Alike(Struct, frozen=True):
    direction: Direction
    server: str
    what: str
    before: tuple[str, str, tuple[str, ...]]
    after: tuple[str, str, tuple[str, ...]]
    note: str = ""


class Replay:
    """The counts so far of a replay under `policies`; `before` are others that may have been in force."""

    def __init__(
        self,
        policies: PolicySet,
        before: Iterable[PolicySet] = (),
        snapshot: Snapshot | None = None,
        since: datetime | None = None,
    ) -> None:
        self._policies = policies
        self._since = since
        known = [*before, policies]
        self._known = {one.digest: one for one in known}
        self._judging = Judging(policies, known, Requests(snapshot))
        self._counting = Counting(policies.digest)
        self._counts = dict.fromkeys(("decisions", "no_rule_asked", "same", "unsaid"), 0)
        self._changes: dict[_Alike, _Many] = {}
        self._missing: dict[tuple[str, str, str], _Many] = {}
        self._labelled: set[str] = set()

    def take(self, found: Iterable[PastDecision | Received | SessionEnded]) -> ReplayReport:
        """Replay what was found."""
        for one in found:
            if isinstance(one, PastDecision):
                self._take(one)
            elif isinstance(one, Received):
                self._counting.received(one)
            else:
                self._counting.ended(one)
        return self._report()

    def _take(self, past: PastDecision) -> None:
        self._counts["decisions"] += 1
        record = past.record
        self._labelled.update(record.labels, record.facts, record.session_labels, record.session_facts)
        if past.standing == "altered":
            self._unsaid(past, ALTERED)
        elif past.standing == "no-rule-asked":
            self._counts["no_rule_asked"] += 1
        else:
            self._compare(past, self._counting.limited(past, self._judging.again(past)))

    def _compare(self, past: PastDecision, again: Again) -> None:
        direction, found = _direction(past, again), NOTHING
        if direction == "otherwise" and past.effect != "deny":
            old = self._known.get(past.record.policy_digest)
            found = besides(past, again, old, self._policies)
            direction = _of(found)
        note = ", ".join((*found.looser, *found.stricter, *filter(None, (found.credential,))))
        if direction is None:
            self._unsaid(past, "; ".join(found.unsaid or again.missing))
        elif direction == "otherwise" and not note and _same(past, again):
            self._counts["same"] += 1
        else:
            before = past.effect, past.cause, tuple(sorted(past.rules))
            effects = sorted(again.effects, key=lambda one: _STRICT[one])
            after = " or ".join(effects), again.cause, tuple(sorted(again.rules))
            change = _Alike(direction, past.record.server, _what(past), before, after, note)
            self._changes.setdefault(change, _Many(examples=deque(maxlen=MOST_EXAMPLES))).add(past.record.id)

    def _unsaid(self, past: PastDecision, why: str) -> None:
        self._counts["unsaid"] += 1
        key = past.record.server, _what(past), why
        group = self._missing.setdefault(key, _Many(examples=deque(maxlen=MOST_EXAMPLES)))
        group.add(past.record.id)

    def _report(self) -> ReplayReport:
        counts = dict.fromkeys(_ORDER, 0)
        for change, group in self._changes.items():
            counts[change.direction] += group.count
        ordered = sorted(self._changes.items(), key=lambda one: (_ORDER[one[0].direction], -one[1].count))
        missing = sorted(self._missing.items(), key=lambda one: -one[1].count)
        return ReplayReport(
            policies=self._policies.names,
            policy_digest=self._policies.digest,
            since=self._since,
            **self._counts,
            **counts,
            changes=tuple(_printed(change, group) for change, group in ordered),
            missing=tuple(
                ReplayUnsaid(
                    server=server, what=what, why=why, count=group.count, examples=tuple(group.examples)
                )
                for (server, what, why), group in missing
            ),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterable[str]:
        rules = [rule for rule in self._policies.rules if not rule.shadow]
        new = {name for rule in rules for name in (*rule.written.label, *rule.written.fact)} - self._labelled
        if new and any(rule.condition is not None and "session" in rule.condition.reads for rule in rules):
            yield NOTE_STATE.format(", ".join(sorted(new)))
        if self._counting.counted:
            yield NOTE_LIMITS
        if any(one.reviewing for one in self._known.values()):
            yield NOTE_RESULTS


def _what(past: PastDecision) -> str:
    return past.record.tool or past.record.method


def _direction(past: PastDecision, again: Again) -> Direction | None:
    """Whether it lets more through or less, None where that cannot be said."""
    before = _STRICT[past.effect]
    after = [_STRICT[one] for one in again.effects]
    if max(after) < before:
        return "loosened"
    if min(after) > before:
        return "tightened"
    return None if len(after) > 1 else "otherwise"


def _of(found: Besides) -> Direction | None:
    """The same of what changes besides."""
    if found.looser:
        return "loosened"
    if found.credential:
        return "credential"
    if found.unsaid:
        return None
    return "tightened" if found.stricter else "otherwise"


def _same(past: PastDecision, again: Again) -> bool:
    if past.effect == "ask" and (past.record.effect == "allow" or not past.rules):
        # Those that allow what was approved are on record too, or it was taken back.
        return set(again.rules) <= set(past.rules) or not past.rules
    return set(again.rules) == set(past.rules) and again.cause == past.cause


def _printed(change: _Alike, group: _Many) -> ReplayChange:
    before, after = (
        ReplayedVerdict(effect=effect, cause=cause, rules=rules)
        for effect, cause, rules in (change.before, change.after)
    )
    return ReplayChange(
        direction=change.direction,
        server=change.server,
        what=change.what,
        before=before,
        after=after,
        note=change.note,
        count=group.count,
        examples=tuple(group.examples),
    )
