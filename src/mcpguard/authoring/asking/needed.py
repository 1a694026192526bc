"""The texts and patterns that the records of a call must have for a condition to be true of it.

Law of this file: what it cannot follow needs nothing. A condition that is an error is not true, so a call
must have whatever is read in any case: of `args.a + args.b == 3` the keys of the arguments `a` and `b`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, json

from mcpguard.authoring.asking.patterns import LinePattern, compiled, pattern_of
from mcpguard.authoring.asking.results import names_in, part_of_name, result_of, tables_of, written
from mcpguard.authoring.asking.times import Span, overlap
from mcpguard.authoring.asking.zoned import ZonedNeed, in_zones, outside
from mcpguard.authoring.conditions import (
    CallPath,
    Loops,
    constant_text,
    is_has,
    is_macro,
    path_of,
    token_of,
    within,
)
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.tree import inner

if TYPE_CHECKING:
    from mcpguard.adapters.audit.passages import IndexedPassage
    from mcpguard.core.conditions.cel_python import PythonEngine

DECIDED = frozenset(
    ["args", "subject", "prompt", "resource", "credentials", "approval", "ticket", "trace", "token", "id"]
)
"""Names of what stands in the record of a decision only."""
ENDED = frozenset(["message", "error"])
"""Names of what an outcome may contain."""


class CaselessText(Struct, frozen=True):
    """A text in which each ASCII letter may have the other case."""

    text: bytes


class AnyOf(Struct, frozen=True):
    """All of what one of these ways needs."""

    ways: tuple[Needs, ...]


class DuringAny(Struct, frozen=True):
    """A call was decided in one of these times, which are in order."""

    spans: tuple[Span, ...]


_Need = bytes | LinePattern | CaselessText | ZonedNeed | AnyOf | DuringAny
Needs = tuple[_Need, ...]
"""What a call has: texts and patterns stand in the JSON of its records; () is true of every call."""
Clauses = tuple[frozenset[bytes | LinePattern], ...]
"""The records have at least one of each of these sets."""
NEVER: Needs = (AnyOf(()),)
"""No call has it."""
Known = Callable[[str, bool], Needs]
_MOST = 64
"""Of sets that alternatives make together; more of them need nothing."""
_AND, _OR, _CHOICE = "conditionaland", "conditionalor", "expr"
_QUOTES = {"startsWith": (b'"', b""), "endsWith": (b"", b'"'), "contains": (b"", b"")}
"""What stands before and after the text that a method looks for."""
_LEFT: tuple[Needs, ...] = ((b"/../",), (b'/.."',))
"""What a path has that leaves the folder it begins with."""
_FLOWS = frozenset([("exists", True), ("exists_one", True), ("all", False)])
"""Macros that have this value only where their condition has it of an element."""


def needed(text: str, names: frozenset[str], known: Known = lambda _, __: ()) -> Needs:
    """What the condition `text` needs of these names. `known` says of parts of it what they need to have that
    value, if that is known otherwise."""
    from celpy import CELParseError

    try:
        tree = cast("PythonEngine", engine("python")).parsed(text)
        return _Needs(text, names, known).of(tree, True, {})
    except (CELParseError, RecursionError):
        return ()


def may_match(needs: Needs, known: IndexedPassage) -> bool:
    """Whether a call of a passage may have all of it."""
    return all(_may_have(one, known) for one in needs)


def _may_have(one: _Need, known: IndexedPassage) -> bool:
    if isinstance(one, bytes | CaselessText):
        return known.has(one if isinstance(one, bytes) else one.text)
    if isinstance(one, ZonedNeed):
        return one.may_hold(known.zones)
    if isinstance(one, DuringAny):
        return overlap(one.spans, known.first, known.latest)
    return isinstance(one, LinePattern) or any(may_match(way, known) for way in one.ways)


def clauses(needs: Needs) -> Clauses:
    """What follows from it for the JSON of the records."""
    found: dict[frozenset[bytes | LinePattern], None] = {}
    for one in needs:
        if isinstance(one, AnyOf):
            found |= dict.fromkeys(_either(map(clauses, one.ways)))
        elif isinstance(one, bytes | LinePattern):
            found[frozenset([one])] = None
    return tuple(found)


def _either(ways: Iterable[Clauses]) -> Clauses:
    found: Clauses = (frozenset(),)
    for way in ways:
        found = tuple({one | other: None for one in found for other in way})
        if len(found) > _MOST:
            return ()
        found = tuple(one for one in found if not any(other < one for other in found))
    return found


def _names(folder: str) -> Needs:
    """A path that lists the names of its folder apart has one of the gaps that `pathWithin` passes over."""
    names = [json.encode(name)[1:-1] for name in folder.split("/") if name]
    whole = (b"/" if folder.startswith("/") else b"") + b"/".join(names)
    gaps = ((gap + name,) for name in names[1:] for gap in (b"/./", b"//"))
    return _one_of([(whole,), (b"/../",), *gaps]) if names[1:] else tuple([whole] if names else ())


def _one_of(ways: Iterable[Needs]) -> Needs:
    some = tuple(dict.fromkeys(ways))
    if len(some) == 1:
        return some[0]
    return (AnyOf(some),) if all(some) else ()


class _Needs:
    def __init__(self, text: str, names: frozenset[str], known: Known) -> None:
        self._text, self._names, self._known = text, names, known

    def of(self, tree: Any, value: bool, loops: Loops) -> Needs:
        """What is needed for `tree` to be `value`; `loops` are the variables around it."""
        node = inner(tree)
        if node.data == _CHOICE:
            test, *sides = node.children
            ways = zip((True, False), sides, strict=True)
            return _one_of(self.of(test, way, loops) + self.of(side, value, loops) for way, side in ways)
        if node.data in (_AND, _OR):
            each = [self.of(one, value, loops) for one in node.children]
            return tuple(chain(*each)) if (node.data == _AND) == value else _one_of(each)
        if node.data == "unary" and node.children[0].data == "unary_not":
            return self.of(node.children[1], not value, loops)
        some = () if loops else self._known(self._text[node.meta.start_pos : node.meta.end_pos], value)
        if some:
            return some
        if is_macro(node):
            return self._read(node, loops) + self._element(node, value, loops)
        asked = is_has(node) and value
        some = self._keys(path_of(node.children[1], loops)) if asked else self._read(node, loops)
        return some + self._compared(node, value, loops) + in_zones(node, value, loops)

    def _read(self, tree: Any, loops: Loops) -> Needs:
        """What is needed for it not to be an error."""
        node = inner(tree)
        path = path_of(node, loops)
        if path is not None:
            return self._keys(path)
        if node.data in (_AND, _OR):
            return ()
        children = [child for child in node.children if hasattr(child, "children")]
        if is_has(node):
            path = path_of(children[0], loops)
            return self._keys(path and CallPath(path.root, path.steps[:-1]))
        if node.data == _CHOICE or is_macro(node):
            children = children[:1]
        return tuple(chain(*(self._read(child, loops) for child in children)))

    def _element(self, node: Any, value: bool, loops: Loops) -> Needs:
        over, name, *rest = node.children
        arguments = rest[0].children if rest else []
        if len(arguments) != 2 or (name.value, value) not in _FLOWS:
            return ()
        path, variable = path_of(over, loops), inner(arguments[0])
        element = path and CallPath(path.root, (*path.steps, None))
        return self.of(arguments[1], value, {**loops, str(variable.children[0]): element})

    def _compared(self, node: Any, value: bool, loops: Loops) -> Needs:
        if node.data == "relation":
            return self._related(node, value, loops)
        if node.data == "member_dot_arg":
            return self._asked(node, value, loops) if len(node.children) == 3 else ()
        if node.data == "ident_arg":
            return self._within(node, value, loops)
        token = json.encode(value)
        if node.data == "literal":
            return () if token_of(node) == token else NEVER
        return self._has(path_of(node, loops), token, begins=True)

    def _related(self, node: Any, value: bool, loops: Loops) -> Needs:
        relation, (left,), right = node.children[0].data, node.children[0].children, node.children[1]
        if relation == "relation_in" and value:
            return self._in(left, right, loops)
        if relation not in ("relation_eq", "relation_ne") or value != (relation == "relation_eq"):
            return ()
        return self._equal(left, right, loops) + self._equal(right, left, loops)

    def _equal(self, side: Any, other: Any, loops: Loops) -> Needs:
        token = token_of(other)
        if token is not None and token[:1] == b'"' and (found := result_of(side, loops)):
            return self._in_url(*found, "==", json.decode(token))
        return () if token is None else self._has(path_of(side, loops), token, begins=True)

    def _in(self, left: Any, right: Any, loops: Loops) -> Needs:
        items, token = inner(right), token_of(left)
        if items.data == "exprlist":
            return _one_of(self._equal(left, one, loops) for one in items.children)
        tables = tables_of(items, loops)
        if tables is not None and tables.root in self._names:
            names = names_in(constant_text(left) or "")
            return tuple(chain(*((CaselessText(one.encode()), LinePattern(f"(?i){one}")) for one in names)))
        return () if token is None else self._has(path_of(items, loops), token)

    def _asked(self, node: Any, value: bool, loops: Loops) -> Needs:
        """What a method needs to be `value` for a text."""
        path, how = path_of(node.children[0], loops), str(node.children[1])
        literal = token_of(node.children[2])
        if not value or literal is None or literal[:1] != b'"':
            return ()
        if found := result_of(node.children[0], loops):
            text = json.decode(literal)
            return (
                self._in_url(*found, how, text) if how in _QUOTES else self._matched_in_url(*found, how, text)
            )
        if how == "matches":
            return self._matched(path, json.decode(literal))
        if how not in _QUOTES:
            return ()
        before, after = _QUOTES[how]
        return self._has(path, before + literal[1:-1] + after, begins=bool(before))

    def _in_url(self, part: str, path: CallPath, how: str, text: str, any_case: bool = False) -> Needs:
        if path.root not in self._names:
            return ()
        texts = written(part, how, text, any_case)
        some = [json.encode(one)[1:-1] for one in texts]
        pattern = "" if texts == (text,) else part_of_name(part, text)
        if some and not pattern:
            pattern = f"(?i){'|'.join([re.escape(one.decode()) for one in some])}"
        needs = _one_of((CaselessText(one),) for one in some) if some else ()
        return (*needs, LinePattern(pattern)) if pattern else ()

    def _matched_in_url(self, part: str, path: CallPath, how: str, text: str) -> Needs:
        found = pattern_of(text) if how == "matches" else None
        if found is None:
            return ()
        # Names are in lower case, whatever is written.
        ways = [
            [run.lower() if found.any_case and part == "host" else run for run in way] for way in found.ways
        ]
        return _one_of(
            tuple(chain(*(self._in_url(part, path, "contains", run, found.any_case) for run in way)))
            for way in ways
        )

    def _within(self, node: Any, value: bool, loops: Loops) -> Needs:
        """What `pathWithin` needs, which decodes nothing: the names of a folder, or, where paths begin with
        one, a step out of it."""
        found = within(node, loops)
        if found is None or found[0].root != "args" or "args" not in self._names:
            return ()
        path, folders = found
        return _one_of(map(_names, folders) if value else [(outside(path, folders),), *_LEFT])

    def _matched(self, path: CallPath | None, text: str) -> Needs:
        found = pattern_of(text)
        if found is None or path is None or path.root not in self._names:
            return ()
        made = CaselessText if found.any_case else bytes
        texts = _one_of(tuple(made(json.encode(run)[1:-1]) for run in some) for some in found.ways)
        # A record leaves out what is empty.
        whole = path.root == "args" or not compiled([LinePattern(text)]).search(b"")
        return (*texts, found.lines) if whole else texts

    def _has(self, path: CallPath | None, part: bytes, begins: bool = False) -> Needs:
        """What is needed for the JSON of a value to have `part`, or to begin with it."""
        if path is None or path.root not in self._names:
            return ()
        if path.root != "args":
            # A record leaves out what is empty.
            return (part,) if part.strip(b'"') else ()
        if not path.steps:
            return () if begins else (part,)
        key = path.steps[-1]
        return (part if key is None or not begins else b"%b:%b" % (json.encode(key), part),)

    def _keys(self, path: CallPath | None) -> Needs:
        if path is None or path.root != "args" or "args" not in self._names:
            return ()
        return tuple(json.encode(step) + b":" for step in path.steps if step is not None)
