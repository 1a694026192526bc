"""Lints on conditions that fail where they are evaluated: on arguments that calls may lack, against the input
schemas of the tools that the rule matches, and on what the two CEL engines make of a condition.

Law of this file: only rules on `tools/call` alone are looked at for arguments, since elsewhere `args` is
something else; one tool whose schema says nothing about an argument is enough to report nothing. An engine
that is not installed is left out, and nothing is evaluated.
"""

import re
from collections.abc import Iterator

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule, once
from mcpguard.authoring.conditions import ValueRead
from mcpguard.authoring.snapshot import Presence, Steps, presence
from mcpguard.core.conditions.cel import ConditionError, Engine, EngineName
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.loops import MACROS
from mcpguard.core.conditions.tree import SubExpression, parts_of
from mcpguard.core.errors import Problem

_NAMES: tuple[EngineName, ...] = ("cpp", "python")
MOST_NAMED = 5
"""How many tools a message names."""
_LARGEST = 2**53 - 1
"""Of the whole numbers that all programs read as they are (RFC 8259, section 6)."""


def _engines() -> Iterator[Engine]:
    for name in _NAMES:
        try:
            yield engine(name)
        except ImportError:
            pass


def _refused(subject: LintSubject) -> Iterator[Problem]:
    engines: tuple[Engine, ...] = ()
    for placed in subject.rules:
        when, condition = placed.rule.placed, placed.rule.condition
        if when is None or condition is None:
            continue
        # Made when a condition asks: to make the slower one takes a quarter of a second.
        engines = engines or tuple(_engines())
        for one in (one for one in engines if one.name != condition.engine.name):
            try:
                one.compile(when.text)
            except ConditionError as error:
                offset, sentence = error.mistakes[0]
                said = f'where only the engine "{one.name}" is installed, this policy is refused: {sentence}'
                yield placed.problem(("when",), said, when.origin(offset))


def _slow(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        condition = placed.rule.condition
        if condition is not None and condition.engine.name != engine().name:
            said = (
                "it calls a function on a computed value or a loop variable, so it runs on the slow engine, "
                "and more than some 100 to 250 items are an error; pathWithin(), hostIn() and secretName() "
                "accept a whole list, such as `args.files.map(f, f.path)`"
            )
            yield placed.problem(("when",), said)


def _unsafe(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for token in tokens_of(placed.written.when or ""):
            if token.kind == "number" and int(token.text, 16 if "x" in token.text else 10) > _LARGEST:
                said = (
                    "programs in JavaScript read other whole numbers as this one, and the rule does not; "
                    "have such ids sent as text, and compare them as text"
                )
                yield placed.problem(("when",), said, token.start)


def _on_tools(subject: LintSubject) -> Iterator[PlacedRule]:
    return (one for one in subject.rules if set(one.written.action) == {"tools/call"})


def _refusing(subject: LintSubject) -> Iterator[PlacedRule]:
    """Rules that refuse where their condition fails."""
    return (one for one in _on_tools(subject) if one.written.effect != "allow" and one.written.on == "call")


def _arguments(placed: PlacedRule) -> dict[Steps, ValueRead]:
    """What its condition reads of `args`, each once, where it reads it first."""
    found: dict[Steps, ValueRead] = {}
    for read in placed.reads:
        if read.root == "args" and read.steps and not read.probe:
            found.setdefault(read.steps, read)
    return found


def _probed(placed: PlacedRule) -> set[Steps]:
    return {read.steps for read in placed.reads if read.root == "args" and read.probe}


def _written(steps: Steps) -> str:
    """An argument as a condition writes it."""
    words = ["[...]" if step is None else f"[{step}]" if type(step) is int else f".{step}" for step in steps]
    return f"args{''.join(words)}"


def _ways(subject: LintSubject, placed: PlacedRule, steps: Steps) -> list[tuple[str, list[Presence]]]:
    """By tool that the rule matches, how far its schema leads along `steps`."""
    return [(name, presence(tool.get("inputSchema"), steps)) for _, name, tool in subject.tools_of(placed)]


def _optional(subject: LintSubject) -> Iterator[Problem]:
    for placed in _refusing(subject):
        probed, told = _probed(placed) | _demanded(subject, placed), set[Steps]()
        for steps, read in _arguments(placed).items():
            for name, ways in _ways(subject, placed, steps):
                heads = [steps[: n + 1] for n, way in enumerate(ways) if way is Presence.OPTIONAL]
                part = next((head for head in heads if head not in probed), None)
                if part and part not in told:
                    told.add(part)
                    said = f"{name} can be called without `{_written(part)}`, and then the condition fails"
                    way = f"has({_written(part)})"
                    advice = "so the call is refused: write"
                    advice += f" `!{way} || …` if that is intended, `{way} && …` if not"
                    yield placed.problem(("when",), f"{said}, {advice}", read.offset)


def _demanded(subject: LintSubject, placed: PlacedRule) -> set[Steps]:
    """Arguments without which another `deny` refuses all calls of the tools that the rule matches."""
    tools = _names(subject, placed)
    found = set[Steps]()
    for one in _refusing(subject):
        demand = _DEMAND.match(one.written.when or "")
        if demand and one.written.effect == "deny" and tools <= _names(subject, one):
            found.add((demand[1],))
    return found


def _names(subject: LintSubject, placed: PlacedRule) -> set[tuple[str, str]]:
    return {(server, name) for server, name, _ in subject.tools_of(placed)}


_DEMAND = re.compile(r"!has\(args\.(\w+)\) *(?:\|\||$)(?!.*\?)", re.DOTALL)


def _unguarded(subject: LintSubject) -> Iterator[Problem]:
    return once(_each_unguarded(subject))


def _each_unguarded(subject: LintSubject) -> Iterator[Problem]:
    for placed in _refusing(subject):
        if subject.tools_of(placed):
            continue
        probed, told = _probed(placed), set[Steps]()
        for steps, read in _arguments(placed).items():
            first = steps[:1]
            if first in told or first == (None,) or any(steps[: len(one)] == one for one in probed):
                continue
            told.add(first)
            said = f"a call without `{_written(first)}` is refused, since the condition fails, which is safe;"
            advice = "with `mcpguard snapshot`, check can tell whether there are such calls"
            yield placed.problem(("when",), f"{said} {advice}", read.offset)


def _missing(subject: LintSubject) -> Iterator[Problem]:
    for placed in _on_tools(subject):
        if not subject.knows(placed):
            continue
        seen = {read.steps: read for read in placed.reads if read.root == "args" and read.steps}
        told: set[Steps] = set()
        for steps, read in seen.items():
            ways = [way for _, way in _ways(subject, placed, steps)]
            if not ways or any(way[-1] is not Presence.NEVER for way in ways):
                continue
            part = steps[: max(map(len, ways))]
            if part not in told:
                told.add(part)
                said = f"no tool that it matches has an argument `{_written(part)}`"
                yield placed.problem(("when",), said, read.offset)


def _foreign(subject: LintSubject) -> Iterator[Problem]:
    for placed in _on_tools(subject):
        needed = _needed(placed) if placed.written.effect == "allow" else {}
        for steps, read in needed.items():
            ways = _ways(subject, placed, steps)
            without = [name for name, found in ways if found[-1] is Presence.NEVER]
            if without and len(without) < len(ways):  # Of what no tool has, `_missing` reports.
                more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
                who = f"{', '.join(without[:MOST_NAMED])}{more}"
                said = f"it never allows {who}, which cannot have `{_written(steps)}`"
                yield placed.problem(("when",), f"{said}: name the tools that it is for", read.offset)


def _needed(placed: PlacedRule) -> dict[Steps, ValueRead]:
    """The arguments without which its condition is never true."""
    needed = [] if placed.written.when is None else [*_needed_parts(placed.written.when)]
    return {
        steps: read
        for steps, read in _arguments(placed).items()
        if any(part.start <= read.offset < part.end for part in needed)
    }


def _needed_parts(text: str) -> Iterator[SubExpression]:
    """What has to be true for the condition to be, without what goes over elements or chooses."""
    needed = {0: True}
    try:
        parts = parts_of(text)
    except ConditionError:
        return  # `_refused` reports it.
    for part in parts:
        one = needed.get(part.depth, False)
        needed[part.depth + 1] = one and part.logic == "and"
        words = {token.text for token in tokens_of(part.text)}
        if one and part.logic == "atom" and words.isdisjoint({"?", *MACROS}):
            yield part


def _cost(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        limit = placed.written.limit
        if limit is None or isinstance(limit.cost, int):
            continue
        steps: Steps = tuple(limit.cost.split(".")[1:])
        for name, ways in _ways(subject, placed, steps):
            if {Presence.OPTIONAL, Presence.NEVER} & set(ways):
                said = f"{name} can be called without `{limit.cost}`, and a call without a cost is refused"
                yield placed.problem(("limit", "cost"), said)


EVALUATION: dict[str, Finder] = {
    "P201": _optional,
    "P202": _unguarded,
    "P203": _missing,
    "P204": _cost,
    "P205": _foreign,
    "P601": _refused,
    "P602": _slow,
    "P603": _unsafe,
}
