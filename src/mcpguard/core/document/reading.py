"""A file that a person wrote -> one frozen Struct, with every mistake at its place.

Law of this file: all mistakes are told at once, each with line, column and a caret, and a message
names keys and choices but never a value: a value may be a credential.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin

from msgspec import Struct, structs

from mcpguard.core.document.yaml_tree import Fault, Node, offset_place, parse_tree
from mcpguard.core.errors import DocumentError, Problem

T = TypeVar("T", bound=Struct)
Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists, from the root."""

EXCERPT_LIMIT = 240
"""A source line above this many characters is not shown."""

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "nothing"}
_FOUND = {
    "map": "a mapping",
    "list": "a list",
    "text": "text",
    "null": "nothing",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
}
_KINDS = {str: "text", int: "int", float: "float", bool: "bool", NoneType: "null"}


class Document:
    """A parsed YAML text. `source` is how messages call it.

    `secret_keys` are keys whose source lines are never shown in an excerpt; where the YAML is broken
    no line is shown, since nobody knows what it belongs to.
    Raises `error` (a DocumentError) where the text is broken or empty.
    """

    def __init__(
        self,
        text: str,
        source: str,
        error: type[DocumentError] = DocumentError,
        secret_keys: frozenset[str] = frozenset(),
    ) -> None:
        self.source = source
        self._text = text
        self._lines = text.splitlines()
        self._error = error
        root, faults = parse_tree(text)
        self._hidden = _secret_lines(root, secret_keys)
        self._blind = bool(secret_keys) and root is None
        if not faults and (root is None or root.kind == "null"):
            faults = [Fault(0, 0, "the file is empty")]
        if faults or root is None:
            self.fail(self._problem(*fault) for fault in faults)
        self._root = root

    def read(self, type_: type[T], nulls: bool = True) -> T:
        """The document as a `type_`. Unknown keys are mistakes, and without `nulls` keys without a value.
        Raises the DocumentError of the constructor with all mistakes in it."""
        filler = _Filler(nulls)
        value = filler.fill(self._root, type_)
        if filler.faults:
            self.fail(self._problem(*fault) for fault in filler.faults)
        return cast(T, value)

    def problem(self, path: Path, message: str, offset: int | None = None) -> Problem:
        """`message` at the value of `path`, or where that is left out at the nearest around it.

        `offset` counts characters inside a text value.
        """
        node = self._root
        for step in path:
            inner = _child(node, step)
            if inner is None:
                break
            node = inner
        line, column = node.line, node.column
        if offset is not None and node.kind == "text":
            line, column = offset_place(self._text, node, offset)
        return self._problem(line, column, message)

    def fail(self, problems: Iterable[Problem]) -> NoReturn:
        """Raise the DocumentError of the constructor with `problems`, in the order of the lines."""
        raise self._error(sorted(problems, key=lambda problem: (problem.line, problem.column)))

    def _problem(self, line: int, column: int, message: str) -> Problem:
        shown = 0 < line <= len(self._lines) and line not in self._hidden and not self._blind
        excerpt = self._lines[line - 1].replace("\t", " ") if shown else ""
        if len(excerpt) > EXCERPT_LIMIT:
            excerpt = ""
        return Problem(self.source, line, column, message, excerpt)


def read(text: str, source: str, type_: type[T], error: type[DocumentError] = DocumentError) -> T:
    """The YAML `text` as a `type_`. Raises `error` with every mistake in it."""
    return Document(text, source, error).read(type_)


def _child(node: Node, step: str | int) -> Node | None:
    if node.kind == "map":
        return next((value for key, value in node.value if key.value == step), None)
    if node.kind == "list" and isinstance(step, int) and step < len(node.value):
        return cast(Node, node.value[step])
    return None


def _secret_lines(node: Node | None, keys: frozenset[str]) -> set[int]:
    hidden: set[int] = set()
    if node is None or not keys:
        return hidden
    if node.kind == "list":
        for item in node.value:
            hidden |= _secret_lines(item, keys)
    elif node.kind == "map":
        for key, value in node.value:
            if key.value in keys:
                hidden.update(range(key.line, value.end_line + 1))
            hidden |= _secret_lines(value, keys)
    return hidden


@cache
def _fields(type_: type[Struct]) -> dict[str, structs.FieldInfo]:
    return {field.encode_name: field for field in structs.fields(type_)}


class _Filler:
    """Fills types from Nodes and collects what does not fit; a value is of use only without faults."""

    def __init__(self, nulls: bool) -> None:
        self.faults: list[Fault] = []
        self._nulls = nulls

    def fill(self, node: Node, type_: Any) -> Any:
        """The value of `node` as a `type_`."""
        origin = get_origin(type_) or type_
        if origin in (Union, UnionType):
            fitting = [one for one in get_args(type_) if _fits(node, one)]
            return self.fill(node, fitting[0]) if fitting else self._wrong(node, type_)
        return _plain(node) if type_ is Any else self._one(node, type_, origin)

    def _one(self, node: Node, type_: Any, origin: Any) -> Any:
        if not _fits(node, type_):
            return self._wrong(node, type_)
        if node.kind == "list":
            return origin(self.fill(item, get_args(type_)[0]) for item in node.value)
        if node.kind == "map":
            return self._map(node, type_) if origin is dict else self._struct(node, type_)
        if origin is Literal and node.value not in get_args(type_):
            return self._wrong(node, type_)
        return node.value

    def _map(self, node: Node, type_: Any) -> dict[str, Any]:
        inner = get_args(type_)[1]
        return {key.value: self.fill(value, inner) for key, value in node.value}

    def _struct(self, node: Node, type_: type[Struct]) -> Any:
        fields = _fields(type_)
        values: dict[str, Any] = {}
        known = len(self.faults)
        for key, value in node.value:
            field = fields.get(key.value)
            if field is None:
                self._fault(key, f"unknown key `{key.value}`{_nearest(key.value, fields)}")
            elif value.kind == "null" and not self._nulls:
                self._fault(key, f"`{key.value}` has no value: write one, or leave the key out")
            else:
                values[field.name] = self.fill(value, field.type)
        for name, field in fields.items():
            if field.required and field.name not in values:
                self._fault(node, f"`{name}` is missing")
        if len(self.faults) > known:
            return None
        try:
            return type_(**values)
        except ValueError as error:
            return self._fault(node, str(error))

    def _wrong(self, node: Node, type_: Any) -> None:
        message = f"expected {_name_of(type_)}"
        if _kind_of(type_) != node.kind:
            message += f", found {_FOUND[node.kind]}"
        if "text" in message and node.kind in ("int", "float", "bool"):
            message += "; put it in quotes"
        self._fault(node, message)

    def _fault(self, node: Node, message: str) -> None:
        self.faults.append(Fault(node.line, node.column, message))


def _plain(node: Node) -> Any:
    """Any value, as JSON has it."""
    if node.kind == "map":
        return {key.value: _plain(value) for key, value in node.value}
    return [_plain(item) for item in node.value] if node.kind == "list" else node.value


def _fits(node: Node, type_: Any) -> bool:
    return _kind_of(type_) == node.kind or (type_ is float and node.kind == "int")


def _kind_of(type_: Any) -> str:
    origin = get_origin(type_) or type_
    if origin is Literal:
        return _KINDS[type(get_args(type_)[0])]
    if origin in (list, tuple):
        return "list"
    return _KINDS.get(origin, "map")


def _name_of(type_: Any) -> str:
    origin = get_origin(type_) or type_
    if origin in (Union, UnionType):
        return " or ".join(_name_of(one) for one in get_args(type_) if one is not NoneType)
    if origin is Literal:
        choices = get_args(type_)
        return ("one of " if len(choices) > 1 else "") + ", ".join(str(one) for one in choices)
    return _NAMES.get(origin) or ("a list" if origin in (list, tuple) else "a mapping")


def _nearest(name: str, names: Iterable[str]) -> str:
    # Imported where a mistake is told: a start without mistakes does not pay for it.
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(names)}"
