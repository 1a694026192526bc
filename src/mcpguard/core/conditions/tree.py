"""The logic of a condition: its operands under &&, ||, ! and ?:, each decided by itself for one request.

Law of this file: an operand is decided by the engine that decides the whole condition, so that what is
reported about it is what counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from mcpguard.core.conditions.cel import FALSE, TRUE, Bound, ConditionError, Engine, Verdict
from mcpguard.core.conditions.parts import Logic, Part, parts_of

_ARGUMENT = re.compile(r"\bargs\b")


class LogicNode(Struct, frozen=True):
    """A part that must be true or false. An `atom` has no logic inside; a `choice` has three nodes."""

    text: str
    logic: Logic
    nodes: tuple[LogicNode, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, LogicNode]]:
        """The node and those inside, each before its inner ones, with how deep it stands."""
        yield depth, self
        for node in self.nodes:
            yield from node.walk(depth + 1)


class Wanted(Struct, frozen=True):
    """An atom that would have to come to something else: to `value`."""

    text: str
    value: bool


class DecidedTree:
    """A condition's nodes with their verdicts for one request."""

    def __init__(self, engine: Engine, bound: Bound) -> None:
        self._engine = engine
        self._bound = bound
        self._known: dict[str, Verdict] = {}

    def verdict(self, node: LogicNode) -> Verdict:
        """What the node comes to, taken by itself."""
        found = self._known.get(node.text)
        if found is None:
            found = self._known[node.text] = self._engine.compile(node.text).verdict(self._bound)
        return found

    def needs(self, node: LogicNode, value: bool) -> tuple[Wanted, ...]:
        """The fewest atoms that must change for the node to be `value`, of as many rather those that read an
        argument; none where it is."""
        if self.verdict(node) is (TRUE if value else FALSE):
            return ()
        if node.logic == "atom":
            return (Wanted(node.text, value),)
        if node.logic == "not":
            return self.needs(node.nodes[0], not value)
        if node.logic == "choice":
            test, yes, no = node.nodes
            ways = [
                self.needs(test, way) + self.needs(side, value) for way, side in ((True, yes), (False, no))
            ]
            return min(ways, key=_unlikely)
        each = [self.needs(one, value) for one in node.nodes]
        if (node.logic == "and") == value:
            return tuple({wanted: None for needs in each for wanted in needs})
        return min(each, key=_unlikely)


def _unlikely(needs: tuple[Wanted, ...]) -> tuple[int, int]:
    """How unlikely changes are: few come first, and of as many those of arguments, which a caller chooses,
    before the caller, the time, and what the session did."""
    return len(needs), sum(not _ARGUMENT.search(one.text) for one in needs)


def tree_of(text: str) -> LogicNode:
    """The tree of a condition. One that only the C++ engine reads is an atom."""
    try:
        parts = parts_of(text)
    except ConditionError:
        return LogicNode(text, "atom")
    return _node(parts, 0)


def _node(parts: tuple[Part, ...], at: int) -> LogicNode:
    part = parts[at]
    nodes = () if part.logic == "atom" else tuple(_node(parts, one) for one in _inside(parts, at))
    # What `!` stands before may be a constant, which is not part.
    return LogicNode(part.text, part.logic if nodes else "atom", nodes)


def _inside(parts: tuple[Part, ...], at: int) -> Iterator[int]:
    """The parts directly inside of the part at `at`."""
    depth = parts[at].depth
    for index in range(at + 1, len(parts)):
        if parts[index].depth <= depth:
            return
        if parts[index].depth == depth + 1:
            yield index
