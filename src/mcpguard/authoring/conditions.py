"""What the expressions of a condition are (constants, values that are selected, sizes of them), and what a
condition reads and compares. Trees are those of the pure-Python engine (`celpy`, lark).

Law of this file: what is not one of these is None; what cannot be followed (a computed member, a comparison)
is left out or called unknown, so a finding that is made of it is never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, json

from mcpguard.authoring.snapshot import Steps
from mcpguard.core.conditions.cel import offset_of
from mcpguard.core.conditions.cel_text import string_value
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.loops import MACROS
from mcpguard.core.conditions.names import METHODS, NAMES
from mcpguard.core.conditions.tree import inner
from mcpguard.core.model import Json

if TYPE_CHECKING:
    from mcpguard.core.conditions.cel_python import PythonEngine

_EXACT = 10**15
"""Whole numbers below are written with all their digits."""

_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


class CallPath(Struct, frozen=True):
    """A value: what `steps` lead to from the name `root`; None is an element, or a key that is computed."""

    root: str
    steps: tuple[str | None, ...] = ()


Loops = Mapping[str, CallPath | None]
"""The variables of macros around an expression, and what each of them is."""


def is_has(node: Any) -> bool:
    """Whether it is `has(...)`."""
    return bool(node.data == "ident_arg" and node.children[0].value == "has")


def is_macro(node: Any) -> bool:
    """Whether it goes over elements, as `exists` does."""
    return bool(node.data == "member_dot_arg" and node.children[1].value in MACROS)


def path_of(tree: Any, loops: Loops) -> CallPath | None:
    """The value that `tree` selects; None for what is computed."""
    node = inner(tree)
    if node.data == "ident":
        name = str(node.children[0])
        return loops[name] if name in loops else CallPath(name)
    if node.data not in ("member_dot", "member_index"):
        return None
    owner = path_of(node.children[0], loops)
    if owner is None:
        return None
    key = node.children[1]
    step = str(key) if node.data == "member_dot" else constant_text(key)
    return CallPath(owner.root, (*owner.steps, step))


def sized_by(tree: Any) -> Any:
    """What `tree` is the size of; None for another expression."""
    node = inner(tree)
    if node.data == "ident_arg" and node.children[0].value == "size" and len(node.children) == 2:
        return node.children[1]
    is_method = node.data == "member_dot_arg" and node.children[1].value == "size" and len(node.children) == 2
    return node.children[0] if is_method else None


def within(node: Any, loops: Loops) -> tuple[CallPath, list[str]] | None:
    """What `pathWithin(paths, folders)` selects, and these if constant, without `.` and empty names."""
    if node.data != "ident_arg" or node.children[0].value != "pathWithin":
        return None
    arguments = node.children[1].children
    path, listed = path_of(arguments[0], loops), inner(arguments[-1])
    folders = [constant_text(one) for one in (listed.children if listed.data == "exprlist" else [listed])]
    known = [one for one in folders if one is not None]
    if path is None or len(arguments) != 2 or len(known) < len(folders):
        return None
    return path, [_normal(one) for one in known]


def _normal(path: str) -> str:
    return "/" * path.startswith("/") + "/".join(name for name in path.split("/") if name not in ("", "."))


def constant_in(tree: Any) -> tuple[Json] | None:
    """The constant that it is, in a tuple, since `null` is one too."""
    node = inner(tree)
    if node.data != "literal":
        return None
    word = str(node.children[0])
    if word in _WORDS:
        return (_WORDS[word],)
    if word[-1] in "\"'":
        return None if word[0] in "bB" else (string_value(word),)
    whole = re.fullmatch(r"(-?(?:0x[0-9a-f]+|[0-9]+))u?", word.lower())
    return (int(whole[1], 0) if whole else float(word),)


def constant_text(tree: Any) -> str | None:
    """The text that it is."""
    found = constant_in(tree)
    return found[0] if found and isinstance(found[0], str) else None


def token_of(tree: Any) -> bytes | None:
    """The JSON of a constant; of a number what all that are equal begin with."""
    found = constant_in(tree)
    if found is None:
        return None
    (value,) = found
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        # A record may have -0.0 for 0.
        return str(value).encode() if 0 < abs(value) < _EXACT else None
    return None if value in (inf, -inf) else json.encode(value)


_FLOWS = frozenset(["exists", "all"])
"""Macros that are true where their condition is true of elements."""


class ValueRead(Struct, frozen=True):
    """One value that a condition reads: `steps` into the name `root`, at `offset` (characters).

    `probe` says that it only asks whether the value is there (`has()`, or a key `in` a map), and then never
    fails for its last step. `member` is the constant that is looked for `in` it. `holds` is True where that
    makes the condition true, False where it stands behind a `!`, None where neither can be said.
    """

    root: str
    steps: Steps
    offset: int
    probe: bool = False
    member: str | None = None
    holds: bool | None = None


class Comparison(Struct, frozen=True):
    """An argument, or the address of a resource, that a condition compares with something: `how` is `==`,
    `!=`, `in` or a method such as `startsWith`, `against` the constant texts and words that it is compared
    with, as far as there are. `holds` and `offset` are as in `ValueRead`; of `!=`, `holds` is what the
    equality would make of the condition."""

    steps: Steps
    how: str
    against: tuple[str | bool, ...]
    offset: int
    holds: bool | None

    @property
    def argument(self) -> str:
        """The name of the argument, or of the member of it."""
        return next((step for step in reversed(self.steps) if type(step) is str), "")


_Way = tuple[str, Steps, Any]
_EQUAL = {"relation_eq": "==", "relation_ne": "!=", "relation_in": "in"}
_Loops = dict[str, tuple[str, Steps] | None]


def reads_of(text: str) -> tuple[ValueRead, ...]:
    """What the condition `text` reads, in its order; nothing of what the Python engine cannot parse."""
    return _found(text)[0]


def comparisons_of(text: str) -> tuple[Comparison, ...]:
    """What it compares arguments with, in its order."""
    return _found(text)[1]


@cache
def _found(text: str) -> tuple[tuple[ValueRead, ...], tuple[Comparison, ...]]:
    python = cast("PythonEngine", engine("python"))
    from celpy import CELParseError

    try:
        reader = _ConditionReader(text)
        reader.read(python.parsed(text), {}, True)
    except (CELParseError, RecursionError):
        return (), ()
    reads = sorted(dict.fromkeys(reader.found), key=lambda read: read.offset)
    return tuple(reads), tuple(sorted(reader.compared, key=lambda one: one.offset))


class _ConditionReader:
    def __init__(self, text: str) -> None:
        self.found: list[ValueRead] = []
        self.compared: list[Comparison] = []
        self._text = text

    def read(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        """Read `tree`; `loops` are the variables around it, by what they run through."""
        if not hasattr(tree, "children"):
            return
        self._compare(tree, loops, holds)
        way = _way(tree, loops)
        if way is not None:
            self._add(way, holds=holds)
            for index in tree.find_data("member_index"):
                if _step(index.children[1]) is None:
                    self.read(index.children[1], loops, None)
        elif is_has(tree):
            self._has(tree, loops, holds)
        elif is_macro(tree):
            self._macro(tree, loops, holds)
        elif tree.data == "relation" and tree.children[0].data == "relation_in":
            self._in(tree, loops, holds)
        elif tree.data == "unary" and tree.children[0].data == "unary_not":
            self.read(tree.children[1], loops, None if holds is None else not holds)
        else:
            self._inside(tree, loops, holds)

    def _compare(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        if tree.data == "relation" and len(tree.children) == 2:
            how, sides = _EQUAL.get(tree.children[0].data, ""), [*tree.children[0].children, tree.children[1]]
        elif tree.data == "member_dot_arg" and tree.children[1].value in METHODS:
            how, sides = str(tree.children[1].value), [tree.children[0], *tree.children[2:]]
        else:
            return
        ways = [_way(_of_text(side), loops) for side in sides]
        # A method compares what stands before it; `x.startsWith(args.path)` is about `x`.
        asked = ways if how in _EQUAL.values() else ways[:1]
        found = next((way for way in asked if way is not None and _is_argument(way)), None)
        if how and found is not None:
            _, steps, token = found
            others = [side for side, way in zip(sides, ways, strict=True) if way is not found]
            literals = [literal for side in others for literal in side.find_data("literal")]
            against = [
                word for (word,) in filter(None, map(constant_in, literals)) if type(word) in (str, bool)
            ]
            holds = not holds if how == "!=" and holds is not None else holds
            place = offset_of(self._text, token.line, token.column)
            self.compared.append(Comparison(steps, how, tuple(against), place, holds))

    def _inside(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        keeps = tree.data in ("conditionalor", "conditionaland")
        keeps = keeps or (len(tree.children) == 1 and tree.data != "ident_arg")
        for index, child in enumerate(tree.children):
            branch = tree.data == "expr" and index > 0
            self.read(child, loops, holds if keeps or branch else None)

    def _has(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        way = _way(tree.children[1], loops)
        if way is None:
            self._inside(tree.children[1], loops, None)
            return
        root, steps, token = way
        self._add(way, probe=True, holds=holds)
        if len(steps) > 1:
            self._add((root, steps[:-1], token))

    def _in(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        way, item = _way(tree.children[1], loops), _step(tree.children[0])
        if way is None or type(item) is not str:
            self._inside(tree, loops, None)
            return
        root, steps, token = way
        self._add(way, member=item, holds=holds)
        if root == "args":
            self._add((root, (*steps, item), token), probe=True)

    def _macro(self, tree: Any, loops: _Loops, holds: bool | None) -> None:
        over, name, *rest = tree.children
        self.read(over, loops, None)
        way = _way(over, loops)
        element = None if way is None else (way[0], (*way[1], None))
        arguments = rest[0].children if rest else []
        variable = next(iter(arguments[0].find_data("ident")), None) if arguments else None
        around = loops if variable is None else {**loops, variable.children[0].value: element}
        for argument in arguments[1:]:
            self.read(argument, around, holds if name.value in _FLOWS else None)

    def _add(self, way: _Way, **more: Any) -> None:
        root, steps, token = way
        self.found.append(ValueRead(root, steps, offset_of(self._text, token.line, token.column), **more))


def _of_text(tree: Any) -> Any:
    """What `tree` makes a text of by `string(…)`, else `tree`."""
    node = inner(tree)
    is_string = node.data == "ident_arg" and node.children[0].value == "string"
    return node.children[1] if is_string else node


def _is_argument(way: _Way) -> bool:
    return (way[0] == "args" and bool(way[1])) or way[:2] == ("resource", ("uri",))


def _step(tree: Any) -> str | int | None:
    """The constant text or number that `tree` is."""
    (value,) = constant_in(tree) or (None,)
    return value if type(value) in (str, int) else None


def _way(tree: Any, loops: _Loops) -> _Way | None:
    """The name and the steps that `tree` consists of, and where it begins; None for anything else."""
    node = inner(tree)
    if node.data == "ident":
        token = node.children[0]
        if token.value in loops:
            element = loops[token.value]
            return None if element is None else (*element, token)
        return (token.value, (), token) if token.value in NAMES else None
    if node.data not in ("member_dot", "member_index"):
        return None
    owner = _way(node.children[0], loops)
    if owner is None:
        return None
    key = node.children[1]
    step = str(key.value) if node.data == "member_dot" else _step(key)
    return owner[0], (*owner[1], step), owner[2]
