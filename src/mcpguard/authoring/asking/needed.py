"""The texts and patterns that the records of a call must have for a condition to be true of it.

Law of this file: what it cannot follow needs nothing. A condition that is an error is not true, so a call
must have whatever is read in any case: of `args.a + args.b == 3` the keys of the arguments `a` and `b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import chain
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, json

from mcpguard.authoring.asking.patterns import LinePattern, compiled, pattern_of
from mcpguard.authoring.asking.ranges import (
    all_but,
    at_least,
    at_most,
    not_beginning,
    not_ending,
    number,
    quoted,
)
from mcpguard.core.conditions.cel_text import string_value
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.hoisting import MACROS

if TYPE_CHECKING:
    from mcpguard.adapters.audit.passages import Texts
    from mcpguard.core.conditions.cel_python import PythonEngine

DECIDED = frozenset(
    ["args", "subject", "prompt", "resource", "credentials", "approval", "ticket", "trace", "id"]
)
"""Names of what stands in the record of a decision only."""
ENDED = frozenset(["message", "error"])
"""Names of what an outcome may contain."""
Needs = tuple[frozenset[bytes | LinePattern], ...]
"""The records have at least one of each of these sets, as it stands in JSON; () is true of every call."""
_NEVER: Needs = (frozenset(),)
_MOST = 64
"""Of sets that alternatives make together; more of them need nothing."""
_AND, _OR, _CHOICE = "conditionaland", "conditionalor", "expr"
_UNLIKE = {"startsWith": not_beginning, "endsWith": not_ending}
_QUOTES = {"startsWith": (b'"', b""), "endsWith": (b"", b'"'), "contains": (b"", b"")}
"""What stands before and after the text that a method looks for."""
_FLOWS = frozenset([("exists", True), ("exists_one", True), ("all", False)])
"""Macros that have this value only where their condition has it of an element."""
_EXACT = 10**15
"""Whole numbers below are written with all their digits."""
_HOW = {"relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MADE = {"prompt": "subject", "resource": "subject"}
"""Names of maps that conditions see, each with the member of a record that it is made of."""


class _Way(Struct, frozen=True):
    """A value: what `steps` lead to from the name `root`; None is an element, or a key that is computed."""

    root: str
    steps: tuple[str | None, ...] = ()


_Loops = Mapping[str, _Way | None]


def needed(text: str, names: frozenset[str]) -> Needs:
    """What the condition `text` needs of these names."""
    from celpy import CELParseError

    try:
        tree = cast("PythonEngine", engine("python")).parsed(text)
        return tuple(dict.fromkeys(_Needs(names).of(tree, True, {})))
    except (CELParseError, RecursionError):
        return ()


def texts_in(needs: Needs) -> Texts:
    """Those that are plain texts."""
    return tuple(
        cast("frozenset[bytes]", some) for some in needs if all(isinstance(one, bytes) for one in some)
    )


def _either(ways: Iterable[Needs]) -> Needs:
    found = _NEVER
    for way in ways:
        found = tuple({one | other: None for one in found for other in way})
        if len(found) > _MOST:
            return ()
        found = tuple(one for one in found if not any(other < one for other in found))
    return found


class _Needs:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def of(self, tree: Any, value: bool, loops: _Loops) -> Needs:
        """What is needed for `tree` to be `value`; `loops` are the variables around it."""
        node = _inner(tree)
        if node.data == _CHOICE:
            test, *sides = node.children
            ways = zip((True, False), sides, strict=True)
            return _either(self.of(test, way, loops) + self.of(side, value, loops) for way, side in ways)
        if node.data in (_AND, _OR):
            each = [self.of(one, value, loops) for one in node.children]
            return tuple(chain(*each)) if (node.data == _AND) == value else _either(each)
        if node.data == "unary" and node.children[0].data == "unary_not":
            return self.of(node.children[1], not value, loops)
        if _is_has(node) and value:
            return self._keys(_way(node.children[1], loops))
        if _is_macro(node):
            return self._read(node, loops) + self._element(node, value, loops)
        return self._read(node, loops) + self._compared(node, value, loops)

    def _read(self, tree: Any, loops: _Loops) -> Needs:
        """What is needed for it not to be an error."""
        node = _inner(tree)
        way = _way(node, loops)
        if way is not None:
            return self._keys(way)
        if node.data in (_AND, _OR):
            return ()
        children = [child for child in node.children if hasattr(child, "children")]
        if _is_has(node):
            way = _way(children[0], loops)
            return self._keys(way and _Way(way.root, way.steps[:-1]))
        if node.data == _CHOICE or _is_macro(node):
            children = children[:1]
        return tuple(chain(*(self._read(child, loops) for child in children)))

    def _element(self, node: Any, value: bool, loops: _Loops) -> Needs:
        over, name, *rest = node.children
        arguments = rest[0].children if rest else []
        if len(arguments) != 2 or (name.value, value) not in _FLOWS:
            return ()
        way, variable = _way(over, loops), _inner(arguments[0])
        element = way and _Way(way.root, (*way.steps, None))
        return self.of(arguments[1], value, {**loops, str(variable.children[0]): element})

    def _compared(self, node: Any, value: bool, loops: _Loops) -> Needs:
        if node.data == "relation":
            return self._related(node, value, loops)
        if node.data == "member_dot_arg":
            return self._asked(node, value, loops) if len(node.children) == 3 else ()
        token = json.encode(value)
        if node.data == "literal":
            return () if _token(node) == token else _NEVER
        return self._has(_way(node, loops), token, begins=True)

    def _related(self, node: Any, value: bool, loops: _Loops) -> Needs:
        relation, (left,), right = node.children[0].data, node.children[0].children, node.children[1]
        if relation == "relation_in":
            return (self._in if value else self._not_in)(left, right, loops)
        if relation in ("relation_eq", "relation_ne"):
            compare = self._equal if value == (relation == "relation_eq") else self._unequal
            return compare(left, right, loops) + compare(right, left, loops)
        how = _HOW[relation] if value else _OPPOSITE[_HOW[relation]]
        return self._ordered(left, how, right, loops) + self._ordered(right, _MIRRORED[how], left, loops)

    def _equal(self, side: Any, other: Any, loops: _Loops) -> Needs:
        token = _token(other)
        some = () if token is None else self._has(_way(side, loops), token, begins=True)
        if some:
            return some
        return self._ordered(side, "<=", other, loops) + self._ordered(side, ">=", other, loops)

    def _unequal(self, side: Any, other: Any, loops: _Loops) -> Needs:
        bound = _number(other)
        if bound is not None and _sized(side) is not None:
            return _either(self._ordered(side, how, other, loops) for how in "<>")
        token = b"0" if bound == 0 else _token(other)
        return () if token is None else self._lines(_way(side, loops), all_but(token.decode()))

    def _ordered(self, side: Any, how: str, other: Any, loops: _Loops) -> Needs:
        """What is needed for `side` to be `how` (<, <=, >, >=) the number `other`."""
        bound, sized = _number(other), _sized(side)
        if bound is None:
            return ()
        if sized is None:
            return self._lines(_way(side, loops), number(how, bound))
        way = _way(sized, loops)
        least = floor(bound) + 1 if how == ">" else ceil(bound)
        most = ceil(bound) - 1 if how == "<" else floor(bound)
        if how[0] == "<":
            return self._lines(way, at_most(most))
        return self._lines(way, at_least(least), also_empty=False) if least > 0 else ()

    def _lines(self, way: _Way | None, pattern: str | None, also_empty: bool = True) -> Needs:
        """The JSON of a value matches `pattern`. A record leaves out what is empty, so what may match
        `also_empty` values is looked for in arguments only."""
        if way is None or way.root not in self._names or pattern is None:
            return ()
        argument = way.steps[-1:] if way.root == "args" else ()
        if argument == (None,):  # Of a map the elements are its keys.
            return (frozenset([LinePattern(r"[\[,:{]" + pattern)]),)
        if not argument and (also_empty or bool(way.steps) != (way.root in _MADE)):
            return ()
        whole = "arguments" if way.root == "args" else _MADE.get(way.root, way.root)
        key = json.encode(argument[0] if argument else whole).decode()
        return (frozenset([LinePattern(f"{quoted(key)}:{pattern}")]),)

    def _in(self, left: Any, right: Any, loops: _Loops) -> Needs:
        items, token = _inner(right), _token(left)
        if items.data == "exprlist":
            return _either(self._equal(left, one, loops) for one in items.children)
        return () if token is None else self._has(_way(items, loops), token)

    def _not_in(self, left: Any, right: Any, loops: _Loops) -> Needs:
        items = _inner(right)
        some = items.children if items.data == "exprlist" else ()
        return tuple(chain(*(self._unequal(left, one, loops) for one in some)))

    def _asked(self, node: Any, value: bool, loops: _Loops) -> Needs:
        """What a method needs to be `value` for a text."""
        way, how, literal = _way(node.children[0], loops), str(node.children[1]), _token(node.children[2])
        if literal is None or literal[:1] != b'"':
            return ()
        if not value:
            unlike = _UNLIKE.get(how)
            return () if unlike is None else self._lines(way, unlike(json.decode(literal)))
        if how == "matches":
            return self._matched(way, json.decode(literal))
        if how not in _QUOTES:
            return ()
        before, after = _QUOTES[how]
        return self._has(way, before + literal[1:-1] + after, begins=bool(before))

    def _matched(self, way: _Way | None, text: str) -> Needs:
        found = pattern_of(text)
        if found is None or way is None or way.root not in self._names:
            return ()
        ways = ([json.encode(run)[1:-1] for run in some] for some in found.ways)
        texts = _either(tuple(chain(*(self._has(way, run) for run in some))) for some in ways)
        # A record leaves out what is empty.
        whole = way.root == "args" or not compiled([LinePattern(text)]).search(b"")
        return (*texts, frozenset([found.lines])) if whole else texts

    def _has(self, way: _Way | None, part: bytes, begins: bool = False) -> Needs:
        """What is needed for the JSON of a value to have `part`, or to begin with it."""
        if way is None or way.root not in self._names:
            return ()
        if way.root != "args":
            # A record leaves out what is empty.
            return (frozenset([part]),) if part.strip(b'"') else ()
        if not way.steps:
            return () if begins else (frozenset([part]),)
        key = way.steps[-1]
        return (frozenset([part if key is None or not begins else b"%b:%b" % (json.encode(key), part)]),)

    def _keys(self, way: _Way | None) -> Needs:
        if way is None or way.root != "args" or "args" not in self._names:
            return ()
        return tuple(frozenset([json.encode(step) + b":"]) for step in way.steps if step is not None)


def _inner(tree: Any) -> Any:
    """`tree` without the layers of the grammar, and without parentheses."""
    while len(tree.children) == 1 and hasattr(tree.children[0], "children"):
        tree = tree.children[0]
        if tree.data in ("exprlist", "mapinits"):
            break
    return tree


def _is_has(node: Any) -> bool:
    return bool(node.data == "ident_arg" and node.children[0].value == "has")


def _is_macro(node: Any) -> bool:
    return bool(node.data == "member_dot_arg" and node.children[1].value in MACROS)


def _way(tree: Any, loops: _Loops) -> _Way | None:
    """The value that `tree` selects; None for what is computed."""
    node = _inner(tree)
    if node.data == "ident":
        name = str(node.children[0])
        return loops[name] if name in loops else _Way(name)
    if node.data not in ("member_dot", "member_index"):
        return None
    owner = _way(node.children[0], loops)
    if owner is None:
        return None
    key = node.children[1]
    step = str(key) if node.data == "member_dot" else _string(key)
    return _Way(owner.root, (*owner.steps, step))


def _sized(tree: Any) -> Any:
    """What `tree` is the size of; None for another expression."""
    node = _inner(tree)
    if node.data == "ident_arg" and node.children[0].value == "size" and len(node.children) == 2:
        return node.children[1]
    is_method = node.data == "member_dot_arg" and node.children[1].value == "size" and len(node.children) == 2
    return node.children[0] if is_method else None


def _number(tree: Any) -> Decimal | None:
    """The value of a numeric constant."""
    node = _inner(tree)
    word = str(node.children[0]) if node.data == "literal" else ""
    try:
        if word[:1] in "0123456789-.":
            whole = re.fullmatch(r"-?(?:0x[0-9a-f]+|[0-9]+)u?", word.lower())
            return Decimal(int(whole[0].rstrip("u"), 0)) if whole else Decimal(repr(float(word)))
    except ValueError:
        pass
    return None


def _string(tree: Any) -> str | None:
    token = _token(tree) or b""
    return json.decode(token) if token[:1] == b'"' else None


def _token(tree: Any) -> bytes | None:
    """The JSON of a constant; of a number what all that are equal begin with."""
    node = _inner(tree)
    if node.data != "literal":
        return None
    word = str(node.children[0])
    if word in ("true", "false", "null"):
        return word.encode()
    if word[-1] in "\"'":
        return None if word[0] in "bB" else json.encode(string_value(word))
    try:
        number = float(word)
    except ValueError:
        return None
    if not number.is_integer():
        return json.encode(number) if isfinite(number) else None
    # A record may have -0.0 for 0.
    return str(int(number)).encode() if 0 < abs(number) < _EXACT else None
