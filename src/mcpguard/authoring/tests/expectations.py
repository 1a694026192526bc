"""What was expected of a case against what became of it, and why each rule did what it did.

Law of this file: two engines may differ in one way only: one of them refuses what the other allows. That is
said; any other difference fails the case.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct
from pydantic import Field

from mcpguard.authoring.tests.cases import Expect
from mcpguard.authoring.tests.rehearsal import CaseOutcome, Look
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.tree import Part, parts_of, value_of
from mcpguard.core.document.printed import Printed
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledRule
from mcpguard.core.policy.terms import Effect, window_of

_ORDER = ("allow", "withhold", "ask", "deny")
"""Effects, each tighter than the one before."""

_SETS = frozenset(["rules", "redact", "labels", "facts", "via"])
_ordered = msgspec.json.Encoder(order="deterministic").encode


class Difference(Printed):
    """A key of `expect` that came out otherwise."""

    key: str = Field(description="The key, or what else was not as it had to be.")
    expected: Json = Field(description="What was expected.")
    got: Json = Field(description="What came instead.")


class Judgement(Struct, frozen=True):
    """Whether a case passed: without `differences`. `warning` says that the Python engine refuses."""

    differences: tuple[Difference, ...] = ()
    warning: str = ""

    @property
    def passed(self) -> bool:
        return not self.differences


class Reason(Printed):
    """Why a candidate had a say or not."""

    rule: str = Field(description="`POLICY/ID`.")
    effect: Effect = Field(description="Of the rule.")
    state: Literal["held", "not-held", "failed"] = Field(description="What its condition evaluated to.")
    because: tuple[str, ...] = Field(
        (), description="The smallest parts of its condition that made it so, empty where it held."
    )


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
    clash = Difference(key="engines", expected=first.effect, got=f"{said} by the Python engine")
    return Judgement((clash, *others))


def differences(expected: Expect, outcome: CaseOutcome) -> Iterator[Difference]:
    """Each key of `expected` that `outcome` does not meet."""
    if outcome.broken:
        yield Difference(key="after", expected="calls that are allowed", got=outcome.broken)
        return
    for key in type(expected).model_fields:
        wanted = getattr(expected, key)
        got = getattr(outcome, key)
        if wanted is not None and not _meets(key, wanted, got):
            yield Difference(key=key, expected=_shown(key, wanted), got=_shown(key, got))


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
    if key == "timeout":
        return window_of(wanted or "0s") == window_of(got or "0s")
    return _ordered(wanted) == _ordered(got)


def _shown(key: str, value: Json) -> Json:
    return sorted(value) if key in _SETS else value


def _reason(rule: CompiledRule, look: Look) -> Reason:
    if rule.until is not None and look.now >= rule.until:
        because = ("its policy has expired",)
        return Reason(rule=rule.name, effect=rule.effect, state="not-held", because=because)
    verdict = TRUE if rule.condition is None else rule.condition.verdict(look.bound)
    if verdict is TRUE:
        return Reason(rule=rule.name, effect=rule.effect, state="held")
    said = "is false" if verdict is FALSE else "cannot be evaluated"
    guilty = _guilty(parts_of(rule.when or ""), False if verdict is FALSE else ERROR, look.bound)
    return Reason(
        rule=rule.name,
        effect=rule.effect,
        state="not-held" if verdict is FALSE else "failed",
        because=tuple(f"{part.text} {said}" for part in guilty),
    )


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
