"""Lints on rules that never decide, on limits that no call can reach or none can keep, and on what is allowed
without any bound.

Law of this file: it reports only what holds in every case. A rule covers another only where every request
that the other can match it matches too, as far as globs alone can tell; a limit only where it is used up
before the other, whatever is called.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule, reads_only
from mcpguard.core.conditions.cel import ERROR, NOTHING, TRUE
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json
from mcpguard.core.policy.terms import ACTIONS, ANY_ACTION, LimitTerms, window_of


def _glob_covers(wide: str, narrow: str) -> bool:
    if wide == narrow or not any(one in narrow for one in "*?["):
        return wide == narrow or fnmatchcase(narrow, wide)
    # A star of the wide one takes a wildcard of the narrow one as it would take what that stands for.
    return not any(one in wide for one in "?[") and fnmatchcase(narrow, wide)


def _all_covered(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    return all(any(_glob_covers(one, glob) for one in wide) for glob in narrow)


def _actions(placed: PlacedRule) -> frozenset[str]:
    return ACTIONS if ANY_ACTION in placed.written.action else frozenset(placed.written.action)


def covers(wide: PlacedRule, narrow: PlacedRule) -> bool:
    """Whether `wide` matches whatever `narrow` can match."""
    if wide.written.on != narrow.written.on or not _actions(narrow) <= _actions(wide):
        return False
    if not _all_covered(wide.servers, narrow.servers):
        return False
    if wide.written.tools is None:
        return True
    if narrow.written.tools is None:
        return "*" in wide.written.tools and _actions(narrow) == {"tools/call"}
    return _all_covered(wide.written.tools, narrow.written.tools)


def _certain(placed: PlacedRule) -> bool:
    """Whether the rule holds for all that it matches, and for ever."""
    return placed.rule.condition is None and not placed.rule.shadow and placed.rule.until is None


def _unreachable(subject: LintSubject) -> Iterator[Problem]:
    denying = [one for one in subject.rules if one.written.effect == "deny" and _certain(one)]
    for placed in subject.rules:
        if placed.written.effect == "deny" or placed.rule.shadow:
            continue
        deny = next((one for one in denying if covers(one, placed)), None)
        if deny is not None:
            said = (
                f"it never decides: {deny.rule.name} denies everything that it matches, without a condition"
            )
            yield placed.problem(("effect",), said)


def _shadowed(subject: LintSubject) -> Iterator[Problem]:
    wide = [one for one in subject.rules if _certain(one)]
    for placed in subject.rules:
        if placed.rule.shadow or placed.rule.adds or placed.written.message:
            continue
        other = next((one for one in wide if _makes_idle(one, placed)), None)
        if other is not None:
            said = f"it changes nothing: {other.rule.name} has the same effect on everything that it matches"
            yield placed.problem((), f"{said}, without a condition")


def _makes_idle(wide: PlacedRule, narrow: PlacedRule) -> bool:
    if wide is narrow or wide.written.effect != narrow.written.effect or not covers(wide, narrow):
        return False
    if not narrow.rule.approves <= wide.rule.approves:
        return False
    # Of two rules that are the same, the second is one too many.
    same = _certain(narrow) and covers(narrow, wide) and not wide.rule.adds and not wide.written.message
    same = same and wide.rule.approves <= narrow.rule.approves
    return not same or _place(wide) < _place(narrow)


def _place(placed: PlacedRule) -> tuple[str, int]:
    return placed.policy.policy.policy, placed.index


def _constant(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        condition = placed.rule.condition
        if condition is None:
            continue
        # `&&` is false and `||` is true by one constant operand, whatever the others read.
        verdict = condition.verdict(NOTHING)
        if verdict is ERROR and condition.reads:
            continue
        always = "an error" if verdict is ERROR else verdict.value
        filled = placed.rule.placed
        if filled is not None and filled.reads:
            params = ", ".join(f"`{name}`" for name in sorted(filled.reads))
            entry = ", ".join(f"{name}: …" for name in sorted(filled.reads))
            said = f"with this value of {params} the condition is always {always}: set another in the"
            said += f" configuration, `policies: [{{file: …, params: {{{entry}}}}}]`"
        else:
            why = "has a constant operand" if condition.reads else "reads nothing"
            advice = "leave `when` out" if verdict is TRUE else "the rule does not depend on the call"
            said = f"the condition {why}, so it is always {always}: {advice}"
        yield placed.problem(("when",), said)


def _unbounded(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        if one.effect != "allow" or one.on != "call" or placed.rule.condition or one.limit or one.argument:
            continue
        free = [name for server, name, tool in subject.tools_of(placed) if _free(subject, server, name, tool)]
        if free:
            said = (
                f"{', '.join(free)} may change things, and no condition, limit, `ask` or `deny` restricts it"
            )
            yield placed.problem(("tools",), said)


def _free(subject: LintSubject, server: str, name: str, tool: dict[str, Json]) -> bool:
    if reads_only(tool):
        return False
    return not any(
        one.rule.can_match(server, name, "tools/call")
        for one in subject.rules
        if one.written.effect != "allow" and one.written.on == "call" and not one.rule.shadow
    )


_UNITS = ("calls", "bytes", "units")


def _idle(subject: LintSubject) -> Iterator[Problem]:
    limited = [one for one in subject.rules if one.written.limit is not None and not one.rule.shadow]
    certain = [one for one in limited if one.rule.condition is None and one.rule.until is None]
    for placed in limited:
        limit = placed.written.limit
        assert limit is not None  # noqa: S101 - it is one of those that have one
        if limit.units is not None and isinstance(limit.cost, int) and limit.cost > limit.units:
            said = f"no call can use it: a call costs {limit.cost}, and {limit.units} are allowed"
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
    unit = next(unit for unit in _UNITS if getattr(two, unit) is not None)
    most, mine = getattr(one, unit), getattr(two, unit)
    if most is None or most > mine or one.cost != two.cost or not _spans(one, two):
        return False
    if most < mine or one.per != two.per or not covers(narrow, wide) or narrow.rule.condition is not None:
        return True
    return _place(wide) < _place(narrow)


def _spans(wide: LimitTerms, narrow: LimitTerms) -> bool:
    """Whether each window of `narrow` lies in one of `wide`, also with what it holds back longer."""
    long, short = window_of(wide.per) or 0, window_of(narrow.per) or 0
    return wide.per == narrow.per or (long > 0 and short > 0 and long * 60 >= short * 61)


def _unread(subject: LintSubject) -> Iterator[Problem]:
    open_ones = [one.rule for one in subject.rules if one.written.effect != "deny" and _decides_calls(one)]
    for placed in subject.rules:
        one = placed.written
        if one.effect != "deny" or one.when is None or not one.message or not _decides_calls(placed):
            continue
        tools = _tools_of(subject, placed)
        if tools and not any(rule.can_match(*tool, "tools/call") for rule in open_ones for tool in tools):
            said = f"nobody reads it: no rule allows {', '.join(name for _, name in tools)}, so a call gets"
            yield placed.problem(("message",), f'{said} "Unknown tool", as one of a missing tool does')


def _decides_calls(placed: PlacedRule) -> bool:
    return placed.written.on == "call" and not placed.rule.shadow and "tools/call" in _actions(placed)


def _tools_of(subject: LintSubject, placed: PlacedRule) -> list[tuple[str, str]]:
    """(server, tool) of all that a rule on tools matches; none where that is not known."""
    if _actions(placed) != {"tools/call"}:
        return []
    if subject.knows(placed):
        return [(server, name) for server, name, _ in subject.tools_of(placed)]
    named = [(server, tool) for server in placed.servers for tool in placed.written.tools or ()]
    return [] if any(sign in name for one in named for name in one for sign in "*?[") else named


def _without_tool(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        never = [] if one.tools is None else [name for name in one.action if name not in _OF_TOOLS]
        if never:
            said = (
                f"never matches {', '.join(never)}, which have no tool: write a rule without `tools` for them"
            )
            yield placed.problem(("action",), said)


_OF_TOOLS = frozenset({"tools/call", ANY_ACTION})
_DATA = frozenset({"resources/read", "prompts/get"})
"""Actions beside calls of tools that give data."""


def _calls_only(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        written = placed.policy.policy.rules[placed.index]
        # What says which actions or tools it is about means these.
        if written.effect == "allow" or "action" in written.model_fields_set or written.tools is not None:
            continue
        if not _may_be_of_data(placed):
            continue
        for other in subject.rules:
            more = sorted(_actions(other) & _DATA) if other.written.effect == "allow" else []
            if more and _overlap(placed.servers, other.servers):
                said = (
                    f"it applies only to `tools/call`, and {other.rule.name} also allows {' and '.join(more)}"
                )
                better = "add these to `action`, or write `action: [tools/call]`"
                yield placed.problem((), f"{said}: {better}")
                break


def _may_be_of_data(placed: PlacedRule) -> bool:
    """Whether its condition says something of a resource or a prompt: it reads no argument that only a tool
    has."""
    if any(read.root == "tool" for read in placed.reads):
        return False
    arguments = {read.steps[:1] for read in placed.reads if read.root == "args"}
    return not arguments or bool(arguments & {(), ("uri",)})


def _overlap(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return any(_glob_covers(one, two) or _glob_covers(two, one) for one in some for two in others)


REACH: dict[str, Finder] = {
    "P101": _unreachable,
    "P102": _shadowed,
    "P103": _constant,
    "P104": _unbounded,
    "P105": _idle,
    "P106": _unread,
    "P107": _without_tool,
    "P108": _calls_only,
}
