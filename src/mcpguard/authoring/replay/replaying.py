"""Every recorded decision once more under other policies, and what would change.

Law of this file: a decision of which the record does not say enough is never counted as the same. What a
limit did under the old policies is on record and is not counted again; under others it is counted from the
first record of the replay on, where a rule that nobody changed did not refuse. Whether a limit refuses again
cannot be said after a call that it counted then and may not count now.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from msgspec import Struct, field, structs

from mcpguard.authoring.explain.hypothesis import in_snapshot
from mcpguard.authoring.replay.comparing import STRICT, ReplayedPolicies, compare
from mcpguard.authoring.replay.judging import NewVerdict, ReplayJudge
from mcpguard.authoring.replay.past import (
    DistrustedChain,
    Intervention,
    OnlyCounted,
    PastDecision,
    PastFact,
    Received,
)
from mcpguard.authoring.replay.report import (
    MOST_EXAMPLES,
    Direction,
    ReplayChange,
    ReplayedVerdict,
    ReplayReport,
    ReplayUnsaid,
)
from mcpguard.authoring.replay.request import PastRequest, Requests
from mcpguard.authoring.replay.strictness import EFFECT, Divergence
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.evidence.records import Decided
from mcpguard.core.model import Cause, Charge
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.session import PARTS, Session
from mcpguard.core.policy.terms import window_of

FREED = "a limit refused it, and earlier calls that this counted would be decided otherwise"


def counted_since(policies: Iterable[PolicySet], since: datetime | None) -> datetime | None:
    """Since when decisions may have used up what limits of `policies` still count; None if no rule has a
    limit."""
    limits = [rule.written.limit for one in policies for rule in one.rules if rule.written.limit is not None]
    if not limits:
        return None
    seconds = [window_of(limit.per) or 0 for limit in limits]
    if since is None or not all(seconds):
        return datetime.min.replace(tzinfo=UTC)  # A session may have begun at any time.
    return since - timedelta(seconds=max(seconds) * (PARTS + 1) / PARTS)


class _Uncounted(Struct, frozen=True):
    session: Session
    charges: tuple[Charge, ...]
    past: PastDecision


class LimitCounts:
    """What limits have used up, by session. `digest` is that of the policies."""

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._sessions: dict[object, Session] = {}
        self._interventions: dict[object, list[Intervention]] = {}
        self._waiting: dict[str, _Uncounted] = {}
        self._freed: dict[object, set[str]] = {}
        """By session, the rules whose limits calls used up then that may not use them up now."""
        self.counted = False
        """Whether a limit was counted at all."""

    def limited(self, past: PastDecision, verdict: NewVerdict, kept: frozenset[str]) -> NewVerdict:
        """The verdict with what limits refuse; `kept` are those that the old policies have too."""
        record = past.record
        # Earlier versions did not record what the session is called.
        name = record.session or (record.principal, record.agent)
        own = record.policy_digest == self._digest
        by_limit = past.cause == Cause.LIMIT.value
        if by_limit and (own or (kept.issuperset(past.rules) and verdict.effects != {"deny"})):
            if not self._freed.get(name, set()).isdisjoint(past.rules):
                return structs.replace(verdict, effects=verdict.effects | {"deny"}, missing=(FREED,))
            # What had used it up may be from before the first record.
            return _reached(past.rules)
        if own:
            return verdict
        found = self._counted(past, verdict, name)
        if past.effect != "deny":
            freed = set(past.rules)
            if found.effects == {past.effect}:
                freed.difference_update(map(_rule_of, found.charges))
            elif past.effect == "ask":
                freed |= kept  # Those that it named asked; others may have counted it.
            self._freed.setdefault(name, set()).update(freed)
        return found

    def _counted(self, past: PastDecision, verdict: NewVerdict, name: object) -> NewVerdict:
        """The verdict with what limits refuse that are counted here, in the session `name`."""
        record = past.record
        if not verdict.charges:
            return verdict
        self.counted = True
        session = self._session(name, record.at)
        full = [charge for charge in verdict.charges if not session.room(charge, record.at)]
        if full:
            return _reached(tuple(map(_rule_of, full)))
        if "ask" in verdict.effects and not record.approval:
            return verdict  # It is not known what a person would have said.
        for charge in verdict.charges:
            session.charge(charge, record.at)
        bytes_of = tuple(charge for charge in verdict.charges if charge.unit == "bytes")
        if bytes_of:
            self._waiting[record.id] = _Uncounted(session, bytes_of, past)
        return verdict

    def received(self, came: Received) -> None:
        waiting = self._waiting.pop(came.id, None)
        for charge in () if waiting is None else waiting.charges:
            assert waiting is not None  # noqa: S101 - it has charges
            waiting.session.charge(structs.replace(charge, amount=came.size), waiting.past.record.at)

    def intervened(self, one: Intervention) -> None:
        """A person did this, and it may come ahead of decisions that are earlier."""
        insort(self._interventions.setdefault(one.session, []), one, key=lambda each: each.at)

    def _session(self, name: object, at: datetime) -> Session:
        """The session as it was then, with what people did to it by then."""
        session = self._sessions.setdefault(name, Session())
        pending = self._interventions.get(name)
        while pending and pending[0].at <= at:
            one = pending.pop(0)
            kept = session.kept
            # What windows hold outlasts a session.
            session.kept = kept.without_limit(one.limit) if one.limit else kept.ended(one.at.timestamp())
        return session


def _rule_of(charge: Charge) -> str:
    return charge.key.split(" ")[0]


def _reached(rules: tuple[str, ...]) -> NewVerdict:
    return NewVerdict(frozenset({"deny"}), Cause.LIMIT.value, rules)


_ORDER: dict[Direction, int] = {"loosened": 0, "both": 1, "credential": 2, "tightened": 3, "otherwise": 4}

ALTERED = "its chain was altered, or written by a newer mcpguard"
NOTE_STATE = (
    "each decision has the labels and facts of its session as they are on record; those that only these "
    "policies would set are not in it: {}"
)
NOTE_PARAMS = (
    "{} has no value here, so calls that depend on it would be refused: a configuration that gives it one "
    "can be replayed with --config"
)
OBSERVED = "only observed"
NOTE_OBSERVED = "the configuration only observes what the policies refuse of {}"
NOTE_LIMITS = "limits were counted from the first of these records on"
NOTE_RESULTS = (
    "results are not on record: of each it is known how the call ended, which rules on results acted, and "
    "which kinds were removed"
)


class _Many(Struct):
    """Decisions that are alike."""

    count: int = 0
    examples: deque[str] = field(default_factory=partial(deque, maxlen=MOST_EXAMPLES))

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
    """The counts so far of a replay under `policies`; `before` are others that may have been in force.
    `observed` are the servers for which `policies` would only be observed."""

    def __init__(
        self,
        policies: PolicySet,
        before: Iterable[PolicySet] = (),
        snapshot: Snapshot | None = None,
        since: datetime | None = None,
        observed: frozenset[str] = frozenset(),
    ) -> None:
        self._policies = policies
        self._since = since
        self._observed = observed
        known = [*before, policies]
        self._known = {one.digest: one for one in known}
        self.reviewing = bool(observed) or any(one.reviewing for one in known)
        """Whether it counts how calls ended: for rules on results, and for results that were withheld."""
        self._requests = Requests(snapshot)
        self._judging = ReplayJudge(policies, known, observed)
        self.aside = counted_since(known, since)
        """Since when decisions count that use up limits, asked for or not; None where no rule has one."""
        self._sides: dict[str, ReplayedPolicies] = {}
        self._counting = LimitCounts(policies.digest)
        self._definitions = Definitions(snapshot)
        self._counts = dict.fromkeys(("decisions", "no_rule_asked", "same", "unsaid", "folded"), 0)
        self._changes: dict[_Alike, _Many] = {}
        self._missing: dict[tuple[str, str, str], _Many] = {}
        self._altered: list[str] = []
        self._labelled: set[str] = set()

    def take(self, found: Iterable[PastFact]) -> ReplayReport:
        for one in found:
            if isinstance(one, PastDecision):
                self._take(one)
            elif isinstance(one, DistrustedChain):
                self._altered.append(one.chain)
            elif isinstance(one, Received):
                self._counting.received(one)
            elif isinstance(one, OnlyCounted):
                self._counts["folded"] += one.count
            else:
                self._counting.intervened(one)
        return self._report()

    def _take(self, past: PastDecision) -> None:
        record = past.record
        if past.aside:
            if past.standing == "rules":
                self._verdict(past, self._requests.of(record))
            return
        self._counts["decisions"] += 1
        self._labelled.update(record.labels, record.facts, record.session_labels, record.session_facts)
        if past.standing == "altered":
            self._unsaid(past, ALTERED)
            return
        self._definitions.take(record)
        if past.standing == "no-rule-asked":
            self._counts["no_rule_asked"] += 1
        else:
            then = self._requests.of(record)
            again = self._verdict(past, then)
            sides = self._sides_of(record.policy_digest)
            observed = record.server in self._observed
            if observed and past.enforced:
                self._compare(past, NewVerdict(frozenset({"allow"})), Divergence(looser=(OBSERVED,)))
            elif observed and past.effect == "allow" and again.effects != {"allow"}:
                self._compare(past, again, compare(past, then, again, sides, observed), OBSERVED)
            else:
                self._compare(past, again, compare(past, then, again, sides))

    def _verdict(self, past: PastDecision, request: PastRequest) -> NewVerdict:
        limiting = self._sides_of(past.record.policy_digest).limiting
        return self._counting.limited(past, self._judging.decide(past, request), limiting)

    def _compare(self, past: PastDecision, verdict: NewVerdict, found: Divergence, note: str = "") -> None:
        direction = _direction(found)
        effects = " or ".join(effect for effect in STRICT if effect in verdict.effects)
        parts = (*found.looser, *found.stricter, *filter(None, (found.credential,)))
        note = ", ".join(one for one in (*parts, note) if one not in (EFFECT, ""))
        if direction is None:
            instead = (f"{effects} instead of {past.effect}",) if EFFECT in found.stricter else ()
            self._unsaid(past, "; ".join((*instead, *found.unsaid)))
        elif direction == "otherwise" and _same(past, verdict):
            self._counts["same"] += 1
        else:
            before = past.effect, past.cause, tuple(sorted(past.rules))
            after = effects, verdict.cause, tuple(sorted(verdict.rules))
            change = _Alike(direction, past.record.server, _what(past), before, after, note)
            self._changes.setdefault(change, _Many()).add(past.record.id)

    def _sides_of(self, digest: str) -> ReplayedPolicies:
        old = self._known.get(digest)
        digest = "" if old is None else digest
        sides = self._sides.get(digest)
        if sides is None:
            sides = self._sides[digest] = ReplayedPolicies(old, self._known.values(), self._policies)
        return sides

    def _unsaid(self, past: PastDecision, why: str) -> None:
        self._counts["unsaid"] += 1
        key = past.record.server, _what(past), why
        self._missing.setdefault(key, _Many()).add(past.record.id)

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
            altered=tuple(self._altered),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterable[str]:
        rules = [rule for rule in self._policies.rules if not rule.shadow]
        new = {name for rule in rules for name in (*rule.written.label, *rule.written.fact)} - self._labelled
        if new and any(rule.condition is not None and "session" in rule.condition.reads for rule in rules):
            yield NOTE_STATE.format(", ".join(sorted(new)))
        if unset := sorted({name for rule in rules for name in rule.unset}):
            yield NOTE_PARAMS.format(", ".join(f"`params.{name}`" for name in unset))
        if self._observed:
            yield NOTE_OBSERVED.format(", ".join(sorted(self._observed)))
        if self._counting.counted:
            yield NOTE_LIMITS
        if any(one.reviewing for one in self._known.values()):
            yield NOTE_RESULTS
        yield from self._definitions.notes()


def _what(past: PastDecision) -> str:
    return past.record.tool or past.record.method


def _direction(found: Divergence) -> Direction | None:
    """Whether it lets more through or less, None where that cannot be said."""
    if found.looser:
        return "both" if found.stricter else "loosened"
    if found.credential:
        return "credential"
    if found.unsaid:
        return None
    return "tightened" if found.stricter else "otherwise"


def _same(past: PastDecision, verdict: NewVerdict) -> bool:
    if past.effect == "ask" and (past.record.effect == "allow" or not past.rules):
        # Those that allow what was approved are on record too, or it was taken back.
        return set(verdict.rules) <= set(past.rules) or not past.rules
    return set(verdict.rules) == set(past.rules) and verdict.cause == past.cause


def _printed(change: _Alike, group: _Many) -> ReplayChange:
    before, after = (
        ReplayedVerdict(effect=effect, cause=cause, rules=rules)
        for effect, cause, rules in (change.before, change.after)
    )
    about = structs.asdict(change) | {"before": before, "after": after}
    return ReplayChange.model_validate(about | structs.asdict(group))


MOST_NAMED = 5

REFUSED = "{} refused before any rule was consulted (pin, or unknown name), which is not replayed"
CHANGED = "the definition changed within these records: {}"
OTHER = "the snapshot has another definition, which a pin would refuse until it is accepted: {}"
GONE = "the snapshot does not have the tool any more, so its calls would be refused as unknown: {}"


class Definitions:
    """The digests of what was called, by server and tool."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._digests: dict[tuple[str, str], set[str]] = {}
        self._last: dict[tuple[str, str], str] = {}
        self._refused = 0

    def take(self, record: Decided) -> None:
        self._refused += record.cause in (Cause.PIN.value, "unknown")
        if record.tool and record.tool_digest:
            place = record.server, record.tool
            self._last[place] = record.tool_digest
            known = self._digests.setdefault(place, set())
            if len(known) < 2:
                known.add(record.tool_digest)

    def notes(self) -> Iterator[str]:
        """What a replay leaves out."""
        if self._refused:
            calls = f"{self._refused:,} call{'s were' if self._refused > 1 else ' was'}"
            yield REFUSED.format(calls)
        yield from _naming(CHANGED, [place for place, digests in self._digests.items() if len(digests) > 1])
        if self._snapshot is None:
            return
        offered = {
            server: {one.name: one.digest for one in in_snapshot(self._snapshot, server, "tool")}
            for server in {server for server, _ in self._last} & self._snapshot.servers.keys()
        }
        now = {place: offered[place[0]].get(place[1]) for place in self._last if place[0] in offered}
        other = [place for place, digest in now.items() if digest not in (None, self._last[place])]
        yield from _naming(OTHER, other)
        yield from _naming(GONE, [place for place, digest in now.items() if digest is None])


def _naming(said: str, places: list[tuple[str, str]]) -> Iterator[str]:
    if places:
        names = [f"{server}/{tool}" for server, tool in sorted(places)]
        more = len(names) - MOST_NAMED
        yield said.format(", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else ""))
