"""A call under other policies compared with the one on record: its effect, its obligations, how a person
answers, and what rules on results did with what came back.

    PastDecision, NewVerdict -> Divergence

Law of this file: it is the same only where both sides are known and equal. What may be less than it was is
never the same, whatever else is more. The result itself is not on record: a rule that reads it has a value
only where the outcome says which, or where the same rule was there then; what another one would do is
unknown, and each is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from msgspec import structs

from mcpguard.authoring.explain.unknown import Unknown
from mcpguard.authoring.replay.judging import REASONS, NewVerdict, ReplayJudge
from mcpguard.authoring.replay.past import PastDecision, PastOutcome
from mcpguard.authoring.replay.request import PastRequest
from mcpguard.authoring.replay.strictness import (
    EFFECT,
    NOTHING,
    Divergence,
    Obligations,
    added,
    difference,
    either,
    obligations_of,
    unchanged,
)
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Verdict
from mcpguard.core.evidence.records import FORMAT
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.pdp import bind, over
from mcpguard.core.policy.terms import ACTIONS, EXTENSION, Effect

REVIEWED = frozenset({"ok", "tool-error", "error", "withheld"})
"""How calls end whose result rules were asked about."""
NO_LONGER = "no longer withheld as by {}"
RESULTS = "what {} (`on: result`) would do is not known: {}"
UNRECORDED = {
    "findings": "what would be found in it is not on record",
    "result": "results are not on record",
    "session": "the state of its session when the result arrived is not on record",
}
"""Why it is not known, by the name that a rule reads; other names as for rules on calls."""

_RESULT = frozenset({"result", "findings"})
_NOTHING = frozenset[str]()

Values = Mapping[CompiledRule, Verdict | None]


def of_results(
    past: PastDecision, request: PastRequest, old: PolicySet | None, new: PolicySet, alike: bool
) -> Divergence:
    """How what comes back would differ; `alike` says that as much is taken out of it before."""
    if not new.reviewing and (old is None or not old.reviewing) and past.outcome is None:
        return NOTHING
    call, outcome = request.invocation, past.outcome
    candidates = new.candidates_of(call, "result")
    before = () if old is None else old.candidates_of(call, "result").all
    if outcome is None and not before and not candidates.all:
        return NOTHING
    if outcome is not None and outcome.status not in REVIEWED:
        return NOTHING
    held = {rule: _held(rule, outcome) for rule in before}
    kept = frozenset[str]() if old is None else unchanged(old, new)
    same = {
        rule.name: value for rule, value in held.items() if rule.name in kept and (alike or not _looks(rule))
    }
    unknown = {"result": _NOTHING, "session": _NOTHING}
    if outcome is None or not alike or _redacting(outcome, held):
        unknown["findings"] = _NOTHING
    lost = Unknown({**request.unknown.known, **unknown})
    bound = bind(candidates, call, findings=sorted(() if outcome is None else outcome.kinds))
    values = {
        rule: same[rule.name] if rule.name in same else lost.verdict(rule, bound) for rule in candidates.all
    }
    unsure = {rule: _unrecorded(rule, lost) for rule, value in values.items() if value is None}
    open_ = {rule: why for rule, why in unsure.items() if rule.name not in same}
    # What a limit withholds is not by a rule on results; without the old policies it is not known what did.
    by = () if outcome is None else outcome.rules
    if old is not None:
        by = tuple([name for name in by if any(rule.name == name for rule in held)])
    return _compared(call, outcome, held, values, frozenset(same), open_, by)


def _unrecorded(rule: CompiledRule, lost: Unknown) -> str:
    """Why it is not known whether it holds."""
    reads = sorted(lost.read_by(rule.when))
    return RESULTS.format(rule.name, ", ".join(UNRECORDED.get(name) or REASONS[name] for name in reads))


def _compared(
    call: Invocation,
    outcome: PastOutcome | None,
    held: Values,
    values: Values,
    same: frozenset[str],
    unsure: Mapping[CompiledRule, str],
    by: tuple[str, ...],
) -> Divergence:
    """`same` are rules that hold now where they did then; `unsure` says of others why it is not known whether
    they hold. `by` are the rules on results that did something."""
    unsaid = Divergence(unsaid=tuple(unsure.values()))
    refusing = [rule.name for rule in _holding(values, "deny")]
    if outcome is not None and outcome.status == "withheld":
        if refusing or not by:
            return NOTHING
        maybe = any(rule.effect == "deny" for rule in unsure)
        return unsaid if maybe else Divergence(looser=(NO_LONGER.format(", ".join(by)),))
    if refusing:
        return Divergence(stricter=(f"withheld by {', '.join(refusing)}",))
    gone = [rule for rule, value in held.items() if value is None and rule.name not in same]
    return difference(_obligations(held, call), _obligations(values, call)) + _dropped(gone) + unsaid


def _held(rule: CompiledRule, outcome: PastOutcome | None) -> Verdict | None:
    """What its condition evaluated to."""
    if outcome is None:
        return None
    if rule.name in outcome.rules:
        return TRUE
    return None if outcome.status == "withheld" and rule.effect == "allow" else FALSE


def _redacting(outcome: PastOutcome, held: Values) -> bool:
    """Whether what was found may be what rules on results took out."""
    known = {rule.name for rule in held}
    return not known >= set(outcome.rules) or any(
        rule.written.redact for rule, value in held.items() if value is TRUE
    )


def _looks(rule: CompiledRule) -> bool:
    """Whether it looks at what came back."""
    return rule.condition is not None and bool(rule.condition.reads & _RESULT)


def _holding(values: Values, effect: Effect) -> list[CompiledRule]:
    return [rule for rule, value in values.items() if rule.effect == effect and value in (TRUE, ERROR)]


def _obligations(values: Values, call: Invocation) -> Obligations:
    allowing = _holding(values, "allow")
    whole = tuple([rule for rule in allowing if values[rule] is TRUE and not over(rule, call)])
    return added(obligations_of(whole), [rule for rule in allowing if rule not in whole])


def _dropped(gone: list[CompiledRule]) -> Divergence:
    """What is less strict without rules of which it is not known what they did."""
    denying = [rule.name for rule in gone if rule.effect == "deny"]
    wanted = obligations_of(tuple([rule for rule in gone if rule.effect == "allow"]))
    less = difference(wanted, obligations_of(())).looser
    return Divergence((NO_LONGER.format(", ".join(denying)), *less) if denying else less)


NOT_AT_HAND = (
    "the policies in force then are not available (--config), so what else their rules required is unknown"
)
MAY_ADD = "whether a rule holds that adds something depends on what is not on record"
STRICT: dict[Effect, int] = {"allow": 0, "ask": 1, "deny": 2}
_BARE = Obligations(credential=None, spotlight=None, placeholders=None, arguments=None, limits=None)


class ReplayedPolicies:
    """The old policies, None if they are not available, and the new ones."""

    def __init__(self, old: PolicySet | None, known: Iterable[PolicySet], new: PolicySet) -> None:
        self.old, self.new = old, new
        self.names = {} if old is None else {rule.name: rule for rule in old.rules}
        self.kept = frozenset[str]() if old is None else unchanged(old, new)
        """The rules that both have."""
        self.limiting = frozenset(name for name in self.kept if self.names[name].written.limit)
        self._judging = None if old is None else ReplayJudge(old, known)

    def before(self, past: PastDecision, request: PastRequest) -> NewVerdict:
        assert self._judging is not None  # noqa: S101 - the caller has checked
        return self._judging.decide(past, request)


def compare(
    past: PastDecision,
    request: PastRequest,
    verdict: NewVerdict,
    replayed: ReplayedPolicies,
    observed: bool = False,
) -> Divergence:
    """How the new `verdict` on `request` differs from the `past` one. Where it would only be `observed` and
    the call was let through, its effect makes no difference."""
    if observed:
        return _of_call_made(past, request, verdict, replayed)
    effects = {effect: _effect(past.effect, effect) for effect in verdict.effects}
    refused = [found for effect, found in effects.items() if "deny" in (effect, past.effect)]
    goes_on = [found for effect, found in effects.items() if "deny" not in (effect, past.effect)]
    if goes_on:
        wants = _of_call_made(past, request, verdict, replayed)
        goes_on = [found + wants for found in goes_on]
    return either(goes_on + refused, verdict.missing)


def _of_call_made(
    past: PastDecision, request: PastRequest, verdict: NewVerdict, replayed: ReplayedPolicies
) -> Divergence:
    alike = all(one.redact == frozenset(past.record.redact) for one in verdict.wants)
    results = of_results(past, request, replayed.old, replayed.new, alike)
    return _wants(past, request, verdict, replayed) + results


def _effect(then: Effect, now: Effect) -> Divergence:
    if STRICT[now] == STRICT[then]:
        return NOTHING
    return Divergence(stricter=(EFFECT,)) if STRICT[now] > STRICT[then] else Divergence(looser=(EFFECT,))


def _wants(
    past: PastDecision, request: PastRequest, verdict: NewVerdict, replayed: ReplayedPolicies
) -> Divergence:
    """The same of what is wanted of a call that goes on."""
    record, old, new = past.record, replayed.old, replayed.new
    goes_on = record.effect == "allow" and record.observed is None
    told = _recorded_obligations(past, _BARE) if goes_on else None
    if not verdict.wants:
        return Divergence(unsaid=verdict.missing)
    if record.policy_digest == new.digest:
        # The same rules want the same.
        return difference(told, verdict.wants[0]) if told and len(verdict.wants) == 1 else NOTHING
    if old is None or not past.rules or not replayed.names.keys() >= set(past.rules):
        found = [difference(told, one) for one in verdict.wants] if told else [NOTHING]
        return either(found, (MAY_ADD,)) + Divergence(unsaid=(NOT_AT_HAND,))
    then: tuple[Obligations, ...]
    if goes_on:
        rules = tuple([replayed.names[name] for name in past.rules])
        asking = tuple([rule for rule in rules if rule.effect == past.effect == "ask"])
        wants = obligations_of(rules, asking)
        then = (_recorded_obligations(past, wants) or wants,)
    else:
        # Which rules allow what nobody has approved is not on record.
        then = replayed.before(past, request).wants
    if len(then) == len(verdict.wants) == 1:
        return difference(then[0], verdict.wants[0])
    alike = len(then) == len(verdict.wants) and _adding(past, old) | _adding(past, new) <= replayed.kept
    pairs = zip(then, verdict.wants, strict=True) if alike else product(then, verdict.wants)
    return either([difference(*pair) for pair in pairs] or [Divergence(unsaid=(MAY_ADD,))], (MAY_ADD,))


def _recorded_obligations(past: PastDecision, wants: Obligations) -> Obligations | None:
    """The same as the record has it, which knows of rules that failed; earlier formats do not have it."""
    record = past.record
    if past.format < FORMAT:
        return None
    # A request about a task is made with the credential of the call that began it.
    own = not record.method.startswith("tasks/")
    return structs.replace(
        wants,
        redact=frozenset(record.redact),
        labels=frozenset(record.labels),
        facts=frozenset(record.facts),
        credential=record.credential if own else None,
    )


def _adding(past: PastDecision, policies: PolicySet) -> frozenset[str]:
    """The rules that may want something of the call."""
    record = past.record
    action = record.method if record.method in ACTIONS else EXTENSION
    found = policies.candidates(record.server, record.tool or None, action)
    return frozenset(rule.name for rule in found.ask + found.allow if rule.adds)
