"""Lints on values that a condition can never find: of another kind than what they are compared with, or names
that the rule itself does not match.

Law of this file: the kind of an argument is known where the schemas of all tools that the rule matches say
it, since a call whose arguments do not fit is refused before any rule (decision 0019).
"""

from collections.abc import Iterator
from functools import partial

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule, matches
from mcpguard.authoring.conditions import CallPath
from mcpguard.authoring.kinds import ANY, Choice, Kinds, choices, kinds_of_schemas, misfits
from mcpguard.authoring.snapshot import leads_to
from mcpguard.core.errors import Problem, did_you_mean


def _never_fits(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        when = placed.rule.placed
        if when is not None:
            for found in misfits(when.text, partial(_kinds, subject, placed)):
                yield placed.problem(("when",), found.said, when.origin(found.offset))


def _kinds(subject: LintSubject, placed: PlacedRule, path: CallPath) -> Kinds:
    if set(placed.written.action) != {"tools/call"} or not subject.knows(placed):
        return ANY
    tools = [tool for _, _, tool in subject.tools_of(placed)]
    each = [kinds_of_schemas(leads_to(tool.get("inputSchema"), path.steps)) for tool in tools]
    return frozenset().union(*each) if all(each) else ANY


def _never_matched(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        when = placed.rule.placed
        if when is not None:
            for choice in choices(when.text):
                if said := _said(choice, _names(placed, choice)):
                    yield placed.problem(("when",), said, when.origin(choice.offset))


def _said(choice: Choice, of_rule: tuple[str, ...]) -> str:
    """What is wrong with `choice` where only names that match `of_rule` occur."""
    if not of_rule or any(matches(text, of_rule) for text in choice.texts):
        return ""
    name = ".".join((choice.path.root, *map(str, choice.path.steps)))
    never = " or ".join(f"`{one}`" for one in choice.texts)
    hint = did_you_mean(choice.texts[0], of_rule)
    said = f"`{name}` is never {never}, since the rule is for {', '.join(of_rule)}"
    return f"{said}; {hint}" if hint else said


def _names(placed: PlacedRule, choice: Choice) -> tuple[str, ...]:
    """Patterns of which each value at the path of `choice` matches one; none where any may be there."""
    by_path = {
        ("server",): placed.servers,
        ("action",): tuple(placed.written.action),
        ("tool", "name"): tuple(placed.written.tools or ()),
    }
    return by_path.get((choice.path.root, *map(str, choice.path.steps)), ())


KINDS: dict[str, Finder] = {"P206": _never_fits, "P207": _never_matched}
