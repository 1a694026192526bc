"""What was expected of a case against what became of it, and why each rule did what it did.

Law of this file: two engines may differ in one way only: one of them refuses what the other allows. That is
said; any other difference fails the case.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from mcpguard.authoring.tests.cases import Expect
from mcpguard.authoring.tests.rehearsal import CaseOutcome, Look
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.parts import Part, parts_of, value_of
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledRule

_ORDER = ("allow", "withhold", "ask", "deny")
"""Effects, each tighter than the one before."""

_SETS = frozenset(["rules", "redact", "labels", "facts"])
_ordered = msgspec.json.Encoder(order="deterministic").encode


class Difference(Struct, frozen=True):
    """A key of `expect` that came out otherwise; both sides as JSON."""

    key: str
    expected: Json
    got: Json


class Judgement(Struct, frozen=True):
    """Whether a case passed: without `differences`. `warning` says that the Python engine refuses."""

    differences: tuple[Difference, ...] = ()
    warning: str = ""

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.differences


class Reason(Struct, frozen=True):
    """Why a candidate had a say or not. `state`: held, not-held or failed. `because` are the smallest parts
    of its condition that made it so, empty where it held."""

    rule: str
    effect: str
    state: str
    because: tuple[str, ...] = ()


def judge(expected: Expect, first: CaseOutcome, second: CaseOutcome | None) -> Judgement:
    """`first` is by the engine that decides, `second` by the Python engine, None where that is the one."""
    found = tuple(differences(expected, first))
    if second is None or found:
        return Judgement(found)
    others = tuple(differences(expected, second))
    if not others and second.effect == first.effect:
        return Judgement()
    said = f"{second.effect} ({second.cause})" if second.cause else second.effect
    if second.refused and _ORDER.index(second.effect) >= _ORDER.index(first.effect):
        return Judgement((), f"the Python engine refuses: {second.broken or said}")
    return Judgement((Difference("engines", first.effect, f"{said} by the Python engine"), *others))


def differences(expected: Expect, outcome: CaseOutcome) -> Iterator[Difference]:
    """Each key of `expected` that `outcome` does not meet."""
    if outcome.broken:
        yield Difference("after", "calls that are allowed", outcome.broken)
        return
    for key in type(expected).model_fields:
        wanted = getattr(expected, key)
        got = getattr(outcome, key)
        if wanted is not None and not _meets(key, wanted, got):
            yield Difference(key, _shown(key, wanted), _shown(key, got))


def reasons(looks: tuple[Look, ...]) -> list[Reason]:
    """What each candidate said in the decisions of a case, in the order in which effects count."""
    found: list[Reason] = []
    for look in looks:
        known = look.candidates.trial or look.candidates
        found += [_reason(rule, look) for rule in known.all]
    return found


def _meets(key: str, wanted: Json, got: Json) -> bool:
    if key in _SETS:
        return set(wanted) == set(got)
    if key == "message":
        return wanted in got
    return _ordered(wanted) == _ordered(got)


def _shown(key: str, value: Json) -> Json:
    return sorted(value) if key in _SETS else value


def _reason(rule: CompiledRule, look: Look) -> Reason:
    if rule.until is not None and look.now >= rule.until:
        return Reason(rule.name, rule.effect, "not-held", ("its policy has expired",))
    verdict = TRUE if rule.condition is None else rule.condition.verdict(look.bound)
    if verdict is TRUE:
        return Reason(rule.name, rule.effect, "held")
    state, value = ("not-held", False) if verdict is FALSE else ("failed", ERROR)
    said = "is false" if verdict is FALSE else "cannot be evaluated"
    guilty = _guilty(parts_of(rule.written.when or ""), value, look.bound)
    return Reason(rule.name, rule.effect, state, tuple(f"{part.text} {said}" for part in guilty))


def _guilty(parts: tuple[Part, ...], value: bool | Verdict, bound: Bound) -> list[Part]:
    """The smallest parts that give the whole its `value`: of a chain those operands that have it."""
    whole, *inside = parts
    operands = [one for one in inside if one.depth == whole.depth + 1 and one.role == "operand"]
    found: list[Part] = []
    for operand in operands:
        if value_of(operand.text, bound) is value:
            within = [
                one
                for one in inside
                if one.depth > operand.depth and operand.start <= one.start and one.end <= operand.end
            ]
            found += _guilty((operand, *within), value, bound)
    return found or [whole]
