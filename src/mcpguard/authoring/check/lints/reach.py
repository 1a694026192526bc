"""Lints on rules that never decide, and on what is allowed without any bound.

Law of this file: it reports only what holds in every case. A rule covers another only where every request
that the other can match it matches too, as far as globs alone can tell.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example, reads_only
from mcpguard.core.conditions.cel import ERROR, NOTHING, TRUE
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json
from mcpguard.core.policy.terms import ACTIONS, ANY_ACTION


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
            said = f"it never decides: {deny.rule.name} denies all that it matches, without a condition"
            yield placed.problem(("effect",), said)


def _shadowed(subject: LintSubject) -> Iterator[Problem]:
    wide = [one for one in subject.rules if _certain(one)]
    for placed in subject.rules:
        if placed.rule.shadow or placed.rule.adds or placed.written.message:
            continue
        other = next((one for one in wide if _makes_idle(one, placed)), None)
        if other is not None:
            said = f"it changes nothing: {other.rule.name} has the same effect on all that it matches"
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
        if condition is None or condition.reads:
            continue
        verdict = condition.verdict(NOTHING)
        always = "always an error" if verdict is ERROR else f"always {verdict.value}"
        advice = "leave `when` out" if verdict is TRUE else "the rule says nothing that depends on a call"
        yield placed.problem(("when",), f"the condition reads nothing, so it is {always}: {advice}")


def _unbounded(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        one = placed.written
        if one.effect != "allow" or one.on != "call" or placed.rule.condition or one.limit or one.argument:
            continue
        free = [name for server, name, tool in subject.tools_of(placed) if _free(subject, server, name, tool)]
        if free:
            said = f"{', '.join(free)} may change things, and no condition, limit, `ask` or `deny` bounds it"
            yield placed.problem(("tools",), said)


def _free(subject: LintSubject, server: str, name: str, tool: dict[str, Json]) -> bool:
    if reads_only(tool):
        return False
    return not any(
        one.rule.can_match(server, name, "tools/call")
        for one in subject.rules
        if one.written.effect != "allow" and one.written.on == "call" and not one.rule.shadow
    )


UNREACHABLE = Lint(
    "P101",
    "warning",
    "An `allow` or `ask` rule never decides, since a `deny` without a condition denies all that it matches.",
    _unreachable,
    example(
        "{id: read, effect: allow, server: files, tools: [read]}",
        '{id: nothing, effect: deny, server: files, tools: ["*"]}',
    ),
    example(
        "{id: read, effect: allow, server: files, tools: [read]}",
        '{id: no-keys, effect: deny, server: files, tools: ["*"], when: args.path.endsWith(".pem")}',
    ),
)

SHADOWED = Lint(
    "P102",
    "warning",
    "A rule changes nothing, since another one has the same effect on all that it matches, without a "
    "condition. A rule that adds something (`redact`, `limit`, a `message` ...) is never reported.",
    _shadowed,
    example(
        '{id: read, effect: allow, server: files, tools: [read], when: args.path.startsWith("/srv/")}',
        "{id: all-of-files, effect: allow, server: files}",
    ),
    example(
        '{id: read, effect: allow, server: files, tools: [read], when: args.path.startsWith("/srv/")}',
        "{id: mail, effect: allow, server: mail}",
    ),
)

CONSTANT = Lint(
    "P103",
    "warning",
    "A condition reads nothing of the call, so it is always the same.",
    _constant,
    example('{id: off-for-now, effect: allow, server: files, when: "1 == 2"}'),
    example("{id: off-for-now, effect: allow, server: files, mode: shadow}"),
)

UNBOUNDED = Lint(
    "P104",
    "note",
    "A tool that does not declare itself read-only is allowed, and no condition, limit, set argument, `ask` "
    "or `deny` bounds that. If that is intended, the note documents what an agent is trusted with. Needs a "
    "snapshot.",
    _unbounded,
    example("{id: write, effect: allow, server: files, tools: [write]}"),
    example('{id: write, effect: allow, server: files, tools: [write], when: args.path.startsWith("/srv/")}'),
    whole=True,
)

REACH = (UNREACHABLE, SHADOWED, CONSTANT, UNBOUNDED)
