"""Which kinds of values the parts of a condition have, and which of its comparisons and calls never work with
them: `principal.groups.contains("ops")` is valid CEL, and always an error, since `groups` is a list.

Law of this file: a part has every kind that is not known to be impossible; only where no kind of one side
fits the other is something reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from json import dumps as encoded
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from mcpguard.authoring.conditions import CallPath, Loops, constant_in, is_has, is_macro, path_of, sized_by
from mcpguard.core.conditions.cel import offset_of
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.names import METHODS
from mcpguard.core.conditions.tree import inner
from mcpguard.core.model import Json

if TYPE_CHECKING:
    from mcpguard.core.conditions.cel_python import PythonEngine

Kinds = frozenset[str]
"""Kinds that a value may have, in words; empty where any is possible."""
ANY: Kinds = frozenset()

_BY_PATH: Mapping[tuple[str | None, ...], str] = {
    **dict.fromkeys((("server",), ("action",), ("tool", "name"), ("principal", "id")), "text"),
    **dict.fromkeys((("principal", "source"), ("client", "agent"), ("resource", "uri")), "text"),
    **dict.fromkeys((("findings",), ("principal", "groups")), "a list"),
    **dict.fromkeys((("session", "labels"), ("session", "facts")), "a list"),
    **dict.fromkeys((("findings", None), ("principal", "groups", None)), "text"),
    **dict.fromkeys((("session", "labels", None), ("session", "facts", None)), "text"),
    **dict.fromkeys((("principal", "claims"), ("client", "claims")), "an object"),
    ("session", "calls"): "a number",
    ("now",): "a time",
}
"""What mcpguard itself puts there. What a server, a token or a call puts somewhere may be anything."""
_BY_TYPE = {
    **{"string": "text", "integer": "a number", "number": "a number", "boolean": "true or false"},
    **{"array": "a list", "object": "an object", "null": "null"},
}
_OF_CALLS = {
    **dict.fromkeys(("size", "int", "uint", "double"), "a number"),
    **{"string": "text", "timestamp": "a time", "duration": "a duration"},
    **dict.fromkeys(("has", "exists", "all", "exists_one", *METHODS), "true or false"),
    **dict.fromkeys(("filter", "map"), "a list"),
}
_LISTS = ("list_lit", "exprlist")
_SIZED = {"text", "a list", "an object"}
_ORDERED = {"text", "a number", "true or false", "a time", "a duration"}
_ORDERS = {"relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">="}

KindsAt = Callable[[CallPath], Kinds]
"""Gives the kinds of what a path of `args` leads to."""


class Misfit(Struct, frozen=True):
    """What never works, as a sentence, at `offset` (characters) of the condition."""

    offset: int
    said: str


class Choice(Struct, frozen=True):
    """That the value at `path` is compared with these texts and no others, at `offset`."""

    path: CallPath
    texts: tuple[str, ...]
    offset: int


def kinds_of_schemas(schemas: list[dict[str, Json]]) -> Kinds:
    """The kinds of the values that fit at least one of `schemas` (JSON Schema)."""
    found: set[str] = set()
    for schema in schemas:
        types = schema.get("type")
        names = types if type(types) is list else [types]
        if not all(type(name) is str and name in _BY_TYPE for name in names):
            return ANY
        found |= {_BY_TYPE[str(name)] for name in names}
    return frozenset(found)


def misfits(text: str, of_arguments: KindsAt) -> list[Misfit]:
    """What never works in the condition `text`; nothing in what the Python engine cannot parse."""
    reader = _KindReader(text, of_arguments)
    return [found for tree, loops in _relations(text) for found in reader.misfits(tree, loops)]


def choices(text: str) -> Iterator[Choice]:
    """Where the condition `text` asks whether a value is one of some texts, in its order."""
    for tree, loops in _relations(text):
        if tree.data != "relation" or tree.children[0].data not in ("relation_eq", "relation_in"):
            continue
        left, right = tree.children[0].children[0], tree.children[1]
        sides = [(left, right)] if tree.children[0].data == "relation_in" else [(left, right), (right, left)]
        for side, other in sides:
            path, items = _path(side, loops), _items(other)
            texts = [one[0] for one in map(constant_in, items) if one and type(one[0]) is str]
            if path is not None and items and len(texts) == len(items):
                yield Choice(path, tuple(texts), _offset(text, side))


def _items(tree: Any) -> list[Any]:
    node = inner(tree)
    if node.data == "exprlist":
        return list(node.children)
    return [] if node.data == "list_lit" else [node]


def _relations(text: str) -> Iterator[tuple[Any, Loops]]:
    from celpy import CELParseError

    try:
        tree = cast("PythonEngine", engine("python")).parsed(text)
        found = list(_walk(tree, {}))
    except (CELParseError, RecursionError):
        return
    yield from found


def _walk(tree: Any, loops: Loops) -> Iterator[tuple[Any, Loops]]:
    """Each comparison and call in `tree`, with the variables around it."""
    if not hasattr(tree, "children") or is_has(tree):
        return
    is_relation = tree.data == "relation" and len(tree.children) == 2
    if is_relation or tree.data in ("member_dot_arg", "ident_arg"):
        yield tree, loops
    if not is_macro(tree):
        for child in tree.children:
            yield from _walk(child, loops)
        return
    over, _, arguments = tree.children
    yield from _walk(over, loops)
    variable, *conditions = arguments.children
    path = _path(over, loops)
    element = None if path is None else CallPath(path.root, (*path.steps, None))
    for condition in conditions:
        yield from _walk(condition, {**loops, str(inner(variable).children[0]): element})


def _path(tree: Any, loops: Loops) -> CallPath | None:
    """As `path_of`, which takes a list of one value for the value."""
    return None if inner(tree).data in _LISTS else path_of(tree, loops)


def _offset(text: str, tree: Any) -> int:
    token = next(tree.scan_values(lambda one: getattr(one, "line", None)))
    return offset_of(text, token.line, token.column)


def _written(path: CallPath) -> str:
    return path.root + "".join("[…]" if step is None else f".{step}" for step in path.steps)


class _KindReader:
    def __init__(self, text: str, of_arguments: KindsAt) -> None:
        self._text = text
        self._of_arguments = of_arguments

    def misfits(self, tree: Any, loops: Loops) -> Iterator[Misfit]:
        if tree.data == "relation":
            how, left, right = tree.children[0].data, tree.children[0].children[0], tree.children[1]
            said = self._compared(how, left, right, loops)
        elif (sized := sized_by(tree)) is not None:
            left = sized.children[0] if sized.data == "exprlist" else sized
            said = self._sized(left, loops)
        elif tree.data == "member_dot_arg" and tree.children[1].value in METHODS:
            left, said = tree.children[0], self._method(tree, loops)
        else:
            return
        if said:
            yield Misfit(_offset(self._text, left), said)

    def _compared(self, how: str, left: Any, right: Any, loops: Loops) -> str:
        ones, others = self._kinds(left, loops), self._kinds(right, loops)
        if how == "relation_in":
            return self._inside(left, right, loops)
        if not ones or not others:
            return ""
        if how in _ORDERS:
            fits = ones & others & _ORDERED
            said = f"{self._what(left, loops)} and {self._what(right, loops)} have no order"
            return "" if fits else f"{said}, so `{_ORDERS[how]}` always fails"
        if ones & others:
            return ""
        always = "false" if how == "relation_eq" else "true"
        said = (
            f"{self._what(left, loops)} never equals {self._what(right, loops)}, so this is always {always}"
        )
        return said + self._member(left, right, loops)

    def _inside(self, left: Any, right: Any, loops: Loops) -> str:
        ones, others = self._kinds(left, loops), self._kinds(right, loops)
        if others and not others & {"a list", "an object"}:
            return f"`in` needs a list on its right, not {self._what(right, loops)}, so it always fails"
        items = _items(right) if inner(right).data in _LISTS else []
        each = [self._kinds(one, loops) for one in items]
        if ones and each and all(kinds and not kinds & ones for kinds in each):
            return f"{self._what(left, loops)} is never one of these, so this is always false"
        return ""

    def _sized(self, tree: Any, loops: Loops) -> str:
        kinds = self._kinds(tree, loops)
        fits = not kinds or kinds & _SIZED
        return "" if fits else f"{self._what(tree, loops)} has no size, so this always fails"

    def _method(self, tree: Any, loops: Loops) -> str:
        owner, name, *rest = tree.children
        kinds = self._kinds(owner, loops)
        if not kinds or "text" in kinds:
            return ""
        said = f"`{name}()` is for text, not for {self._what(owner, loops)}, so it always fails"
        return said + (self._member(owner, rest[0], loops) if rest else "")

    def _member(self, left: Any, right: Any, loops: Loops) -> str:
        """What to write where a list was meant to contain a text."""
        for side, other in ((left, right), (right, left)):
            path, constant = _path(side, loops), constant_in(other)
            if path is not None and self._kinds(side, loops) == {"a list"} and constant:
                return f"; write `{encoded(constant[0], ensure_ascii=False)} in {_written(path)}`"
        return ""

    def _what(self, tree: Any, loops: Loops) -> str:
        kinds = " or ".join(sorted(self._kinds(tree, loops)))
        path = _path(tree, loops)
        return kinds if path is None else f"`{_written(path)}` ({kinds})"

    def _kinds(self, tree: Any, loops: Loops) -> Kinds:
        node = inner(tree)
        if node.data in _LISTS:
            return frozenset(["a list"])
        constant, path = constant_in(node), path_of(node, loops)
        if constant is not None:
            return _of_constant(constant[0])
        if path is not None and path.root == "args" and path.steps:
            return self._of_arguments(path)
        if path is not None:
            word = _BY_PATH.get((path.root, *path.steps), "")
        elif node.data in ("ident_arg", "member_dot_arg"):
            word = _OF_CALLS.get(str(node.children[0 if node.data == "ident_arg" else 1]), "")
        else:
            word = ""
        return frozenset([word] if word else [])


def _of_constant(value: Json) -> Kinds:
    if value is None:
        return frozenset(["null"])
    words = {str: "text", bool: "true or false"}
    return frozenset([words.get(type(value), "a number")])
