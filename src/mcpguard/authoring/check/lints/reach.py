"""Lints on rules that never decide, on what is allowed without any bound, on limits that no call can reach or
none can keep, and on names: what rules mention that does not exist, and what exists that no rule mentions.

Law of this file: it reports only what holds in every case. A rule covers another only where every request
that the other can match it matches too, as far as globs alone can tell; a limit only where the limits of
other rules are used up before it; a glob only where all servers that it could mean are known.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example, matches, reads_only
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


MOST_NAMED = 8
"""How many tools are named in one finding; of the others only how many."""


def _tools_unmentioned(subject: LintSubject) -> Iterator[Problem]:
    if subject.config is None or not subject.policies:
        return
    for server in subject.servers or ():
        names = [name for of, name, _ in subject.tools if of == server]
        silent = sorted(name for name in names if not _mentioned(subject, server, name))
        # Where nothing of a server is mentioned, P404 says so.
        if silent and any(matches(server, one.servers) for one in subject.rules):
            more = f" and {len(silent) - MOST_NAMED} more" if len(silent) > MOST_NAMED else ""
            said = f"no rule mentions these tools of {server}, so calls are refused: "
            names_said = ", ".join(silent[:MOST_NAMED]) + more
            yield subject.config.problem(("servers", server), said + names_said)


def _mentioned(subject: LintSubject, server: str, name: str) -> bool:
    return any(one.rule.can_match(server, name, "tools/call") for one in subject.rules)


def _tool_unknown(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        if not subject.knows(placed):
            continue
        names = {name for server, name, _ in subject.tools if matches(server, placed.servers)}
        for index, glob in enumerate(placed.written.tools or ()):
            if not any(matches(name, (glob,)) for name in names):
                yield placed.problem(
                    ("tools", index), f"no tool of the servers that it names matches `{glob}`"
                )


def _server_unknown(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        if subject.servers is not None and not any(matches(name, placed.servers) for name in subject.servers):
            yield placed.problem(("server",), "no server of this configuration matches")


def _server_unmentioned(subject: LintSubject) -> Iterator[Problem]:
    if subject.config is None or not subject.policies:
        return
    for server, served in (subject.servers or {}).items():
        if served and not any(matches(server, one.servers) for one in subject.rules):
            said = f"no rule mentions {server}, so every call to it is refused"
            yield subject.config.problem(("servers", server), said)


_READ = example(
    "{id: read, effect: allow, server: files, tools: [read]}", "{id: mail, effect: allow, server: mail}"
)

TOOLS_UNMENTIONED = Lint(
    "P401",
    "note",
    "Tools that no rule mentions, so calls to them are refused: intentionally, or forgotten. Needs a "
    "snapshot.",
    _tools_unmentioned,
    _READ,
    example(
        "{id: read, effect: allow, server: files, tools: [read, compare]}",
        "{id: no-writes, effect: deny, server: files, tools: [write]}",
        "{id: mail, effect: allow, server: mail}",
    ),
    whole=True,
)

TOOL_UNKNOWN = Lint(
    "P402",
    "warning",
    "A glob in `tools` matches no tool of the servers that the rule names. Needs a snapshot.",
    _tool_unknown,
    example('{id: read, effect: allow, server: files, tools: [read, "get_*"]}'),
    _READ,
)

SERVER_UNKNOWN = Lint(
    "P403",
    "warning",
    "A rule matches no server of the configuration.",
    _server_unknown,
    example("{id: read, effect: allow, server: flies}"),
    _READ,
)

SERVER_UNMENTIONED = Lint(
    "P404",
    "warning",
    "A server that no rule mentions: every call to it is refused.",
    _server_unmentioned,
    example("{id: read, effect: allow, server: files}"),
    _READ,
    whole=True,
)

COVERAGE = (TOOLS_UNMENTIONED, TOOL_UNKNOWN, SERVER_UNKNOWN, SERVER_UNMENTIONED)
