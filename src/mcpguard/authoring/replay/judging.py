"""The verdict of policies on a recorded request, or the possible ones where the record is incomplete.

    PastDecision -> PastRequest -> NewVerdict

Law of this file: where a rule reads what is unknown, each verdict that is possible is counted as possible.
A condition that the old policies had too, and whose value follows from what was decided, has that value; and
policies by which it was decided decide it again as they did, if that is possible by what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct, structs

from mcpguard.authoring.explain.unknown import Unknown
from mcpguard.authoring.replay.past import PastDecision
from mcpguard.authoring.replay.request import PastRequest
from mcpguard.authoring.replay.strictness import Obligations, added, obligations_of
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Verdict
from mcpguard.core.model import Cause, Charge, Deny, Invocation, Permit
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.obligations import ObligationError, charges_of, credential_of
from mcpguard.core.policy.pdp import bind, decide, names, over
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.terms import Effect, Observation

MOST_KEPT = 65_536
"""How many verdicts are kept for requests that are the same."""

MOST_READERS = 3
"""At most this many of the rules that read what is missing are named."""

REASONS = {
    "args": "its arguments were redacted, or are not on record",
    "tool": "what the server says about the tool is not on record (--snapshot FILE)",
    "prompt": "what the server says about the prompt is not on record (--snapshot FILE)",
    "resource": "what the server says about the resource is not on record (--snapshot FILE)",
    "session": "what the session had counted is not on record",
    "principal": "what the rule reads of the principal is not on record",
    "client": "what the client said about itself is not on record",
}
"""Why the verdict on a call is not known, by the name that a rule reads."""
NO_STATE = "the state of its session could not be read then"
SETS = "a rule sets arguments, and others are not on record"

_asked = attrgetter(
    *("method", "server", "tool", "subject", "tool_digest", "agent", "client", "args"),
    *("session_labels", "session_facts"),
)
"""What a record says of a request, but for its time, its id and who asked."""

Proven = Mapping[tuple[str, str], Verdict]


class NewVerdict(Struct, frozen=True):
    """What the new policies decide. `effects` are the possible ones: if there is one, `rules` made it, and if
    several, `missing` says what is unknown. `charges` have yet to be counted against limits. `wants` are the
    obligations of a call that is let through: the least and the most if they are unknown."""

    effects: frozenset[Effect]
    cause: str = ""
    rules: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    wants: tuple[Obligations, ...] = ()
    missing: tuple[str, ...] = ()


class ReplayJudge:
    """Decides recorded requests under `policies`. `before` are policies that may have been in force, by whose
    digest a record says that they were. Of the servers `observed` it also says what would be wanted of a
    call that is refused."""

    def __init__(
        self, policies: PolicySet, before: Iterable[PolicySet], observed: frozenset[str] = frozenset()
    ) -> None:
        self.policies = policies.observing(None)
        self._observed = observed
        self._named = {rule.name: rule for rule in policies.rules}
        self._before = {one.digest: one for one in before}
        self._kept: dict[tuple[object, ...], NewVerdict] = {}
        self._reads: dict[tuple[object, CompiledRule], frozenset[str]] = {}

    def decide(self, past: PastDecision, request: PastRequest) -> NewVerdict:
        """The verdict on `request`, that of the `past` decision, without limits."""
        record = past.record
        if past.cause == Cause.ERROR.value and not past.rules:
            return _any(NO_STATE)
        candidates = self.policies.candidates_of(request.invocation)
        if not candidates.lasting:
            return self._decided(past, request, candidates)
        before = past.record.policy_digest if past.record.policy_digest in self._before else ""
        key = (
            _asked(record),
            request.invocation.principal,
            request.key,
            before and (before, past.effect, past.cause, past.rules),
            past.cause == Cause.PLACEHOLDER.value,
        )
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = self._decided(past, request, candidates)
        return found

    def _decided(self, past: PastDecision, request: PastRequest, candidates: Candidates) -> NewVerdict:
        found = self._judged(past, request, candidates)
        own = past.record.policy_digest == self.policies.digest
        if own and found.missing and past.effect in found.effects:
            return NewVerdict(frozenset({past.effect}), past.cause, past.rules, wants=found.wants)
        return found

    def _judged(self, past: PastDecision, request: PastRequest, candidates: Candidates) -> NewVerdict:
        if past.cause == Cause.PLACEHOLDER.value and not request.intact:
            # Ours stand for what was taken out, and for what was sent.
            wanted = any(rule.written.placeholders for rule in candidates.all)
            return _any(REASONS["args"]) if wanted else _deny(Cause.PLACEHOLDER.value)
        reading = self._reading(request)
        if not any(map(reading.names, candidates.all)):
            return self._settled(request)
        known = self._values(past, request, candidates)
        return _possible(known, request, candidates, reading)

    def _settled(self, request: PastRequest) -> NewVerdict:
        """The verdict where all is known that the rules read. Nobody is asked about what could not go on."""
        call, session = request.invocation, Session(request.session)
        verdict = decide(self.policies, call, session)
        asking: tuple[str, ...] = ()
        approved = frozenset[str]()
        while isinstance(verdict, Deny) and verdict.cause is Cause.APPROVAL:
            asking = asking or verdict.rules
            approved |= frozenset(verdict.rules)
            verdict = decide(self.policies, call, session, approved=approved)
        if isinstance(verdict, Deny):
            if verdict.cause is Cause.ARGUMENTS and not request.intact:
                return _any(REASONS["args"])
            wanted = self._observing(call, session) if call.server in self._observed else ()
            return structs.replace(_deny(verdict.cause.value, verdict.rules), wants=wanted)
        wants = self._wanted(verdict, asking)
        if asking:
            return NewVerdict(frozenset({"ask"}), Cause.APPROVAL.value, asking, verdict.charges, (wants,))
        return NewVerdict(frozenset({"allow"}), "", verdict.rules, verdict.charges, (wants,))

    def _observing(self, call: Invocation, session: Session) -> tuple[Obligations, ...]:
        """What rules require of a call that is refused but goes on, since its server is only observed."""
        observation = Observation(self._observed, call.now + timedelta(days=1))
        verdict = decide(self.policies.observing(observation), call, session)
        return () if isinstance(verdict, Deny) else (self._wanted(verdict),)

    def _wanted(self, permit: Permit, asking: tuple[str, ...] = ()) -> Obligations:
        # Rules that failed add to it, and have no name there.
        return structs.replace(
            obligations_of(self._rules(permit.rules), self._rules(asking)),
            redact=frozenset(permit.redact + permit.unredacted),
            labels=frozenset(permit.labels),
            spotlight=permit.spotlight,
        )

    def _rules(self, names: tuple[str, ...]) -> tuple[CompiledRule, ...]:
        return tuple([self._named[name] for name in names])

    def _reading(self, request: PastRequest) -> _ReadNames:
        return _ReadNames(self._reads, request.unknown, request.key)

    def _values(
        self, past: PastDecision, request: PastRequest, candidates: Candidates
    ) -> dict[CompiledRule, Verdict | None]:
        """The value of each rule's condition; None if it is unknown."""
        bound = bind(candidates, request.invocation, Session(request.session))
        proven: Proven = {}
        before = self._before.get(past.record.policy_digest)
        if before is not None:
            proven = proven_by(past, before.candidates_of(request.invocation), request)
        reading = self._reading(request)
        found: dict[CompiledRule, Verdict | None] = {}
        for rule in candidates.all:
            if not reading.names(rule):
                found[rule] = TRUE if rule.condition is None else rule.condition.verdict(bound)
                continue
            found[rule] = request.unknown.verdict(rule, bound)
            if found[rule] is None:
                found[rule] = proven.get((rule.effect, rule.when or ""))
        return found


class _ReadNames(NamedTuple):
    """Which names a rule reads of which something is unknown."""

    kept: dict[tuple[object, CompiledRule], frozenset[str]]
    unknown: Unknown
    key: object

    def names(self, rule: CompiledRule) -> frozenset[str]:
        found = self.kept.get((self.key, rule))
        if found is None:
            found = self.unknown.read_by(rule.when) | self.cost(rule)
            self.kept[self.key, rule] = found
        return found

    def cost(self, rule: CompiledRule) -> frozenset[str]:
        """The same of what it counts."""
        limit = rule.written.limit
        return self.unknown.read_by(limit.cost if limit and isinstance(limit.cost, str) else "")


def proven_by(past: PastDecision, then: Candidates, request: PastRequest) -> dict[tuple[str, str], Verdict]:
    """What conditions of the old policies evaluated to, by effect and text, as far as the decision shows."""
    named, cause = frozenset(past.rules), past.cause
    by_rule = past.effect == "deny" and cause in (Cause.RULE.value, Cause.ERROR.value)
    no_rule = cause == Cause.NO_RULE.value
    values: dict[CompiledRule, Verdict] = {}
    for rule in then.deny:
        if by_rule and rule.name in named:
            values[rule] = TRUE if cause == Cause.RULE.value else ERROR
        elif past.effect != "deny" or no_rule or cause == Cause.LIMIT.value:
            values[rule] = FALSE
    for rule in then.ask if past.effect != "deny" or no_rule else ():
        if rule.name in named:
            # Or it failed, which asks as well.
            values[rule] = TRUE
        elif past.effect == "allow" or no_rule or not then.approving:
            values[rule] = FALSE
    for rule in then.allow if past.effect == "allow" or no_rule else ():
        if rule.name in named:
            values[rule] = TRUE
        elif not over(rule, request.invocation) and (no_rule or not rule.adds):
            # Or it failed, which allows nothing either.
            values[rule] = FALSE
    return {(rule.effect, rule.when or ""): value for rule, value in values.items()}


def _possible(
    known: dict[CompiledRule, Verdict | None],
    request: PastRequest,
    candidates: Candidates,
    reading: _ReadNames,
) -> NewVerdict:
    call = request.invocation
    denying = [rule for rule in candidates.deny if known[rule] in (TRUE, ERROR)]
    allow = [rule for rule in candidates.allow if known[rule] is TRUE and not over(rule, call)]
    may_allow = [rule for rule in candidates.allow if known[rule] is None and not over(rule, call)]
    asking = [rule for rule in candidates.ask if known[rule] in (TRUE, ERROR)]
    may_ask = [rule for rule in candidates.ask if known[rule] is None]
    if denying:
        true = [rule for rule in denying if known[rule] is TRUE]
        return _deny(Cause.RULE.value if true else Cause.ERROR.value, names(true or denying))
    effects = _effects(asking, may_ask, allow, may_allow)
    if any(known[rule] is None for rule in candidates.deny):
        effects.add("deny")
    if effects == {"deny"}:
        return _deny(Cause.NO_RULE.value)
    sure, maybe = asking + allow, may_ask + may_allow
    wants = _wants(known, request, candidates, sure, maybe)
    if len(effects) > 1 or any(rule.written.argument for rule in allow + may_allow):
        unsure = [(rule, reading.names(rule)) for rule in known if known[rule] is None]
        return _several(effects, unsure, wants)
    unsure = [(rule, reading.cost(rule)) for rule in sure if reading.cost(rule)]
    unsure += [(rule, reading.names(rule)) for rule in maybe if rule.written.limit or rule.written.credential]
    if unsure:
        return _several(effects, unsure, wants)
    return _certain(asking if effects == {"ask"} else [], sure, call, wants)


def _certain(
    asking: list[CompiledRule], sure: list[CompiledRule], call: Invocation, wants: tuple[Obligations, ...]
) -> NewVerdict:
    """The verdict where `sure` let it through, if those that are `asking` are answered so."""
    try:
        credential_of(sure)
        charges = tuple(charges_of(sure, call).values())
    except ObligationError:
        return _deny(Cause.ERROR.value, names(sure))
    if asking:
        return NewVerdict(frozenset({"ask"}), Cause.APPROVAL.value, names(asking), charges, wants)
    return NewVerdict(frozenset({"allow"}), "", names(sure), charges, wants)


def _effects(
    asking: list[CompiledRule],
    may_ask: list[CompiledRule],
    allow: list[CompiledRule],
    may_allow: list[CompiledRule],
) -> set[Effect]:
    ahead = frozenset[str]().union(*[rule.approves for rule in allow])
    may_ahead = ahead.union(*[rule.approves for rule in may_allow])
    effects: set[Effect] = set()
    if any(rule.name not in ahead for rule in asking + may_ask):
        effects.add("ask")
    if all(rule.name in may_ahead for rule in asking):
        if asking or allow or may_allow or any(rule.name in may_ahead for rule in may_ask):
            effects.add("allow")
        if not (asking or allow):
            effects.add("deny")
    return effects


def _wants(
    known: dict[CompiledRule, Verdict | None],
    request: PastRequest,
    candidates: Candidates,
    sure: list[CompiledRule],
    unsure: list[CompiledRule],
) -> tuple[Obligations, ...]:
    """What is wanted of it, where `sure` hold and `unsure` may."""
    # What has failed, or ended, redacts and labels all the same.
    ended = [rule for rule in candidates.allow if over(rule, request.invocation)]
    failed = [rule for rule in candidates.allow if known[rule] is ERROR]
    failed += [rule for rule in ended if known[rule] is TRUE]
    may_fail = [rule for rule in ended if known[rule] is None]
    asking = [tuple([rule for rule in some if rule.effect == "ask"]) for some in (sure, sure + unsure)]
    least = added(obligations_of(tuple(sure), asking[0]), failed)
    most = added(obligations_of((*sure, *unsure), asking[1]), failed + may_fail)
    return (least,) if least == most else (least, most)


def _several(
    effects: Iterable[Effect],
    unsure: list[tuple[CompiledRule, frozenset[str]]],
    wants: tuple[Obligations, ...],
) -> NewVerdict:
    readers: dict[str, list[str]] = {}
    for rule, unknown in unsure:
        for name in unknown:
            readers.setdefault(name, []).append(rule.name)
    possible = frozenset(effects)
    missing = tuple(f"{REASONS[name]} ({_readers_text(readers[name])})" for name in sorted(readers)) or (
        SETS,
    )
    possible = possible if len(possible) > 1 else possible | {"deny"}
    return NewVerdict(possible, missing=missing, wants=wants)


def _readers_text(readers: list[str]) -> str:
    named, more = ", ".join(readers[:MOST_READERS]), len(readers) - MOST_READERS
    return f"read by {named} and {more} more" if more > 0 else f"read by {named}"


def _deny(cause: str, rules: tuple[str, ...] = ()) -> NewVerdict:
    return NewVerdict(frozenset({"deny"}), cause, rules)


def _any(missing: str) -> NewVerdict:
    return NewVerdict(frozenset({"allow", "ask", "deny"}), missing=(missing,))
