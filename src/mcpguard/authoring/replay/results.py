"""What rules on results did with what came back, and what others would do with it.

    PastDecision, the old policies and the new -> Divergence

Law of this file: the result itself is not on record. A rule that reads it has a value only where the outcome
says which, or where the same rule was there then; what another one would do is unknown, and each is named.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcpguard.authoring.explain.unknown import Unknown
from mcpguard.authoring.replay.judging import REASONS
from mcpguard.authoring.replay.past import Came, PastDecision
from mcpguard.authoring.replay.request import Then
from mcpguard.authoring.replay.strictness import (
    NOTHING,
    Divergence,
    Obligations,
    added,
    difference,
    obligations_of,
    unchanged,
)
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Verdict
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.pdp import bind, over
from mcpguard.core.policy.terms import Effect

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
    past: PastDecision, then: Then, old: PolicySet | None, new: PolicySet, alike: bool
) -> Divergence:
    """How what comes back would differ; `alike` says that as much is taken out of it before."""
    if not new.reviewing and (old is None or not old.reviewing) and past.came is None:
        return NOTHING
    call, came = then.invocation, past.came
    candidates = new.candidates_of(call, "result")
    before = () if old is None else old.candidates_of(call, "result").all
    if came is None and not before and not candidates.all:
        return NOTHING
    if came is not None and came.status not in REVIEWED:
        return NOTHING
    held = {rule: _held(rule, came) for rule in before}
    kept = frozenset[str]() if old is None else unchanged(old, new)
    same = {
        rule.name: value for rule, value in held.items() if rule.name in kept and (alike or not _looks(rule))
    }
    unknown = {"result": _NOTHING, "session": _NOTHING}
    if came is None or not alike or _redacting(came, held):
        unknown["findings"] = _NOTHING
    lost = Unknown({**then.unknown.known, **unknown})
    bound = bind(candidates, call, findings=sorted(() if came is None else came.kinds))
    values = {
        rule: same[rule.name] if rule.name in same else lost.verdict(rule, bound) for rule in candidates.all
    }
    unsure = {rule: _unrecorded(rule, lost) for rule, value in values.items() if value is None}
    open_ = {rule: why for rule, why in unsure.items() if rule.name not in same}
    return _compared(call, came, held, values, frozenset(same), open_)


def _unrecorded(rule: CompiledRule, lost: Unknown) -> str:
    """Why it is not known whether it holds."""
    reads = sorted(lost.read_by(rule.when))
    return RESULTS.format(rule.name, ", ".join(UNRECORDED.get(name) or REASONS[name] for name in reads))


def _compared(
    call: Invocation,
    came: Came | None,
    held: Values,
    values: Values,
    same: frozenset[str],
    unsure: Mapping[CompiledRule, str],
) -> Divergence:
    """`same` are rules that hold now where they did then; `unsure` says of others why it is not known whether
    they hold."""
    unsaid = Divergence(unsaid=tuple(unsure.values()))
    refusing = [rule.name for rule in _holding(values, "deny")]
    if came is not None and came.status == "withheld":
        # What a limit withholds is not by a rule on results.
        by = [name for name in came.rules if not held or any(rule.name == name for rule in held)]
        if refusing or not by:
            return NOTHING
        maybe = any(rule.effect == "deny" for rule in unsure)
        return unsaid if maybe else Divergence(looser=(NO_LONGER.format(", ".join(by)),))
    if refusing:
        return Divergence(stricter=(f"withheld by {', '.join(refusing)}",))
    gone = [rule for rule, value in held.items() if value is None and rule.name not in same]
    return difference(_wants(held, call), _wants(values, call)) + _dropped(gone) + unsaid


def _held(rule: CompiledRule, came: Came | None) -> Verdict | None:
    """What its condition came to."""
    if came is None:
        return None
    if rule.name in came.rules:
        return TRUE
    return None if came.status == "withheld" and rule.effect == "allow" else FALSE


def _redacting(came: Came, held: Values) -> bool:
    """Whether what was found may be what rules on results took out."""
    known = {rule.name for rule in held}
    return not known >= set(came.rules) or any(
        rule.written.redact for rule, value in held.items() if value is TRUE
    )


def _looks(rule: CompiledRule) -> bool:
    """Whether it looks at what came back."""
    return rule.condition is not None and bool(rule.condition.reads & _RESULT)


def _holding(values: Values, effect: Effect) -> list[CompiledRule]:
    return [rule for rule, value in values.items() if rule.effect == effect and value in (TRUE, ERROR)]


def _wants(values: Values, call: Invocation) -> Obligations:
    allowing = _holding(values, "allow")
    whole = tuple([rule for rule in allowing if values[rule] is TRUE and not over(rule, call)])
    return added(obligations_of(whole), [rule for rule in allowing if rule not in whole])


def _dropped(gone: list[CompiledRule]) -> Divergence:
    """What is less strict without rules of which it is not known what they did."""
    denying = [rule.name for rule in gone if rule.effect == "deny"]
    wanted = obligations_of(tuple([rule for rule in gone if rule.effect == "allow"]))
    less = difference(wanted, obligations_of(())).looser
    return Divergence((NO_LONGER.format(", ".join(denying)), *less) if denying else less)
