"""The parts of a condition, each with its place and, for one request, its value; and its logic, the operands
under &&, ||, ! and ?:, each decided by itself.

    (args.a == 1 || has(args.b)) && !args.c   ->   the whole, its operands, their operands, the values in them

Law of this file: a part means by itself what it means in its place. So what reads the variable of a loop is
left out, and so is the argument of `has()`, which is not a value. An operand is decided by the engine that
decides the whole condition, so that what is reported about it is what counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, cast

from msgspec import Struct

from mcpguard.core.conditions.cel import FALSE, TRUE, Bound, ConditionError, Engine, Verdict
from mcpguard.core.conditions.cel_python import PythonCondition, PythonEngine
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.loops import MACROS
from mcpguard.core.model import Json

Role = Literal["whole", "operand", "test", "side", "value"]
Logic = Literal["and", "or", "not", "choice", "atom"]

_OPERATORS = ("relation_", "addition_", "multiplication_")
_CHAINS: dict[str, Logic] = {"conditionalor": "or", "conditionaland": "and"}
_NAMES = frozenset(["ident", "literal"])
_SELECTIONS = frozenset(["member_dot", "member_index"])


class SubExpression(Struct, frozen=True):
    """A sub-expression: `text[start:end]` of the condition, in characters; `depth` counts the parts around.

    `role`: the `whole` condition; an `operand` of && or ||; the `test` and each `side` of ?: (where what they
    give is the answer); any other `value`, such as an argument of a function or a side of a comparison.
    `logic` is how the parts directly inside make its value; an `atom` is no matter of theirs alone.
    """

    role: Role
    text: str
    start: int
    end: int
    depth: int
    logic: Logic

    @property
    def branch(self) -> bool:
        """Whether it must be a boolean, and decides the whole together with others."""
        return self.role != "value"


@lru_cache(4096)
def parts_of(text: str) -> tuple[SubExpression, ...]:
    """The parts of the condition `text`, each before what is inside it, in the order of the text. Names and
    constants alone are left out. Raises ConditionError for what the Python engine does not compile."""
    tree = _compiled(text).tree
    _place_booleans(text, tree)
    finder = _Finder(text)
    finder.read(tree, "whole", True, 0)
    return tuple(finder.parts)


def value_of(text: str, bound: Bound) -> Json:
    """The value of a condition or a part of one for a request, by the Python engine; `Verdict.ERROR` where
    it cannot be evaluated. Raises ConditionError as `parts_of`."""
    return _compiled(text).value(bound)


@lru_cache(4096)
def _compiled(text: str) -> PythonCondition:
    return cast(PythonEngine, engine("python")).compile(text)


class _Finder:
    def __init__(self, text: str) -> None:
        self.parts: list[SubExpression] = []
        self._text = text

    def read(self, tree: Any, role: Role, boolean: bool, depth: int) -> None:
        """Take `tree` as a part with this `role`, then what is inside. `boolean`: it must be one."""
        outer = _without_operator(tree)
        node = inner(outer)
        if role != "value" or node.data not in _NAMES:
            start, end = _span(outer)
            self.parts.append(
                SubExpression(role, self._text[start:end], start, end, depth, _logic(node, boolean))
            )
            depth += 1
        for child, inner_role, inner_boolean in _children(node, boolean):
            self.read(child, inner_role, inner_boolean, depth)


def _place_booleans(text: str, tree: Any) -> None:
    """The library forgets where `true` and `false` stood, the only words that it reads twice."""
    words = [one for one in tokens_of(text) if one.kind == "name" and one.text in ("true", "false")]
    literals = tree.scan_values(lambda token: token.type == "BOOL_LIT")
    for token, word in zip(literals, words, strict=True):
        token.start_pos, token.end_pos = word.start, word.start + len(word.text)


def _span(tree: Any) -> tuple[int, int]:
    """Where `tree` begins and ends. A tree that has no place there begins, or ends, with a boolean."""
    first = last = tree
    while hasattr(first, "children") and first.meta.start_pos is None:
        first = first.children[0]
    while hasattr(last, "children") and last.meta.end_pos is None:
        last = last.children[-1]
    return getattr(first, "meta", first).start_pos, getattr(last, "meta", last).end_pos


def _logic(node: Any, boolean: bool) -> Logic:
    if node.data == "expr":
        return "choice" if boolean else "atom"
    if node.data == "unary":
        return "not" if node.children[0].data == "unary_not" else "atom"
    return _CHAINS.get(node.data, "atom")


def _children(node: Any, boolean: bool) -> Iterator[tuple[Any, Role, bool]]:
    """What is to be read inside of `node`: the tree, its role, and whether it must be a boolean."""
    if node.data == "expr":
        test, *sides = node.children
        yield test, "test", True
        for side in sides:
            yield side, "side" if boolean else "value", boolean
    elif node.data in _CHAINS:
        for operand in _operands(node, node.data):
            yield operand, "operand", True
    elif node.data == "unary":
        operator, negated = node.children
        yield negated, "value", operator.data == "unary_not"
    else:
        for child in _values(node):
            yield child, "value", False


def _operands(tree: Any, data: str) -> Iterator[Any]:
    """All operands of a chain of one operator, which the tree nests to the left."""
    left, right = tree.children
    if left.data == data and len(left.children) == 2:
        yield from _operands(left, data)
    else:
        yield left
    yield right


def _values(node: Any) -> Iterator[Any]:
    """The trees inside of a node that is neither a choice nor a chain."""
    children = [child for child in node.children if hasattr(child, "children")]
    if node.data in _NAMES or (node.data == "ident_arg" and node.children[0].value == "has"):
        return
    if node.data in _SELECTIONS:
        owner, *index = children
        within = inner(owner)
        # `args.a` says nothing beside `args.a.b`; what a call gives does.
        yield from _values(within) if within.data in _SELECTIONS else [owner]
        yield from index
    elif node.data == "member_dot_arg" and node.children[1].value in MACROS:
        yield children[0]
    else:
        for child in children:
            yield from child.children if child.data in ("exprlist", "mapinits") else [child]


def _without_operator(tree: Any) -> Any:
    """The left side of a comparison or of arithmetic stands in a node with its operator."""
    while tree.data.startswith(_OPERATORS):
        tree = tree.children[0]
    return tree


def inner(tree: Any) -> Any:
    """`tree` without the layers of the grammar, and without parentheses."""
    while len(tree.children) == 1 and hasattr(tree.children[0], "children"):
        tree = tree.children[0]
        if tree.data in ("exprlist", "mapinits"):
            return tree
    return tree


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


class WantedAtom(Struct, frozen=True):
    """An atom that would have to have another value: `value`."""

    text: str
    value: bool


class DecidedTree(Struct):
    """A condition's nodes with their verdicts for one request."""

    engine: Engine
    bound: Bound
    known: dict[str, Verdict] = {}

    def verdict(self, node: LogicNode) -> Verdict:
        """The value of the node on its own."""
        found = self.known.get(node.text)
        if found is None:
            found = self.known[node.text] = self.engine.compile(node.text).verdict(self.bound)
        return found

    def needs(self, node: LogicNode, value: bool) -> tuple[WantedAtom, ...]:
        """The fewest atoms that must change for the node to be `value`, of as many rather those that read an
        argument, and not the guard that an `&&` begins with; none where it is."""
        if self.verdict(node) is (TRUE if value else FALSE):
            return ()
        if node.logic == "atom":
            return (WantedAtom(node.text, value),)
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
        return min(each if value else reversed(each), key=_unlikely)


def _unlikely(needs: tuple[WantedAtom, ...]) -> tuple[int, int]:
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


def _node(parts: tuple[SubExpression, ...], at: int) -> LogicNode:
    part = parts[at]
    nodes = () if part.logic == "atom" else tuple(_node(parts, one) for one in _inside(parts, at))
    # What `!` stands before may be a constant, which is not part.
    return LogicNode(part.text, part.logic if nodes else "atom", nodes)


def _inside(parts: tuple[SubExpression, ...], at: int) -> Iterator[int]:
    """The parts directly inside of the part at `at`."""
    depth = parts[at].depth
    for index in range(at + 1, len(parts)):
        if parts[index].depth <= depth:
            return
        if parts[index].depth == depth + 1:
            yield index
