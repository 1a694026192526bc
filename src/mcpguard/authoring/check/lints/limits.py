"""The lint on limits that no call can reach or none can keep.

Law of this file: a limit is reported only where the limits of other rules are used up before it, whatever is
called.
"""

from collections.abc import Iterator

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example
from mcpguard.authoring.check.lints.reach import covers
from mcpguard.core.errors import Problem
from mcpguard.core.policy.terms import LimitTerms, window_of

UNITS = ("calls", "bytes", "units")


def _idle(subject: LintSubject) -> Iterator[Problem]:
    limited = [one for one in subject.rules if one.written.limit is not None and not one.rule.shadow]
    certain = [one for one in limited if one.rule.condition is None and one.rule.until is None]
    for placed in limited:
        limit = placed.written.limit
        assert limit is not None  # noqa: S101 - it is one of those that have one
        if limit.units is not None and isinstance(limit.cost, int) and limit.cost > limit.units:
            said = f"no call fits into it: one costs {limit.cost}, and {limit.units} are allowed"
            yield placed.problem(("limit",), said)
            continue
        other = next((one for one in certain if _before(one, placed)), None)
        if other is not None:
            said = (
                f"it is never reached: the limit of {other.rule.name} covers its calls and is used up first"
            )
            yield placed.problem(("limit",), said)


def _before(wide: PlacedRule, narrow: PlacedRule) -> bool:
    """Whether the limit of `wide` is always used up before that of `narrow`."""
    one, two = wide.written.limit, narrow.written.limit
    if one is None or two is None or wide is narrow or not covers(wide, narrow):
        return False
    unit = next(unit for unit in UNITS if getattr(two, unit) is not None)
    most, mine = getattr(one, unit), getattr(two, unit)
    if most is None or most > mine or one.cost != two.cost or not _spans(one, two):
        return False
    if most < mine or one.per != two.per or not covers(narrow, wide) or narrow.rule.condition is not None:
        return True
    # Of two that are the same, the second is one too many.
    return (wide.policy.policy.policy, wide.index) < (narrow.policy.policy.policy, narrow.index)


def _spans(wide: LimitTerms, narrow: LimitTerms) -> bool:
    """Whether each window of `narrow` lies in one of `wide`, also with what it holds back longer."""
    long, short = window_of(wide.per) or 0, window_of(narrow.per) or 0
    return wide.per == narrow.per or (long > 0 and short > 0 and long * 60 >= short * 61)


IDLE_LIMIT = Lint(
    "P105",
    "warning",
    "A limit is never reached: that of another rule, which has no condition, covers the same calls and is "
    "used up first; or no call fits into it, since one costs more than it allows.",
    _idle,
    example(
        "{id: read, effect: allow, server: files, tools: [read], limit: {calls: 100, per: 1m}}",
        "{id: all-of-files, effect: allow, server: files, limit: {calls: 50, per: 1h}}",
        "{id: send, effect: allow, server: mail, limit: {units: 5, cost: 10, per: session}}",
    ),
    example(
        "{id: read, effect: allow, server: files, tools: [read], limit: {calls: 20, per: 1m}}",
        "{id: all-of-files, effect: allow, server: files, limit: {calls: 50, per: 1h}}",
        "{id: send, effect: allow, server: mail, limit: {units: 50, cost: 10, per: session}}",
    ),
)

LIMITS = (IDLE_LIMIT,)
