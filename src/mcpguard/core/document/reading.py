"""A file that a person wrote -> one frozen model, with every mistake at its place.

Law of this file: all mistakes are reported at once, each with line, column and a caret, and a message
names keys and choices but never a value: a value may be a credential.
"""

from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcpguard.core.document.constraints import LENIENT, MISTAKE, Path
from mcpguard.core.document.written import CHOICE, NEAR, NO_VALUE, SHAPE, Written
from mcpguard.core.document.yaml_tree import Fault, Node, offset_place, parse_tree
from mcpguard.core.errors import DocumentError, Problem, did_you_mean

T = TypeVar("T", bound=Written)

EXCERPT_LIMIT = 240
"""A source line above this many characters is not shown."""

_NAMES = {
    "string_type": ("text", "text"),
    "int_type": ("int", "a whole number"),
    "float_type": ("float", "a number"),
    "bool_type": ("bool", "true or false"),
    "tuple_type": ("list", "a list"),
    "dict_type": ("map", "a mapping"),
    "model_type": ("map", "a mapping"),
}
"""pydantic's type of an error of type -> the kind of Node that is wanted, and its name."""

_KINDS = {
    "servers": "a configuration",
    "rules": "a policy",
    "tests": "a file of policy tests",
    "mcpServers": "a client's own list of servers",
    "inputs": "a client's own list of servers",
}
"""The key that each kind of file has, and no other -> the kind."""
_OF_CLIENTS = ("mcpServers", "inputs")
"""VS Code has `inputs` beside `servers`."""

_AT_THE_KEY = (NO_VALUE, "extra_forbidden")
_KEY = "[key]"
"""What pydantic puts at the end of the place of a key."""
_FOUND = {
    "map": "a mapping",
    "list": "a list",
    "text": "text",
    "null": "nothing",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
}


class Document:
    """A parsed YAML `text`. `source` is how messages call it.

    `secret_keys` are keys whose source lines are never shown in an excerpt; with some, the value of an
    unknown key is not shown either, and where the YAML is broken no line is, since nobody knows what it is.
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
        self.text = text
        self._lines = text.splitlines()
        self._error = error
        root, faults = parse_tree(text)
        self._hidden = _secret_lines(root, secret_keys)
        self._careful = bool(secret_keys)
        self._blind = self._careful and root is None
        if not faults and (root is None or root.kind == "null"):
            faults = [Fault(0, 0, "the file is empty")]
        if faults or root is None:
            self.fail(self._problem(*fault) for fault in faults)
        self._root = root

    def read(self, type_: type[T]) -> T:
        """The document as a `type_`. Raises the DocumentError of the constructor with all mistakes in it."""
        value, problems = self.examine(type_)
        if problems or value is None:
            self.fail(problems)
        return value

    def examine(self, type_: type[T]) -> tuple[T | None, list[Problem]]:
        """The document as a `type_`, and what is wrong with it. There is a value wherever all types are
        right, so that whoever reads it can look for more mistakes; it is useful only without any."""
        data = _plain(self._root)
        try:
            value, problems = type_.model_validate(data), []
        except ValidationError as error:
            if other := self._other_kind(type_):
                return None, [other]
            errors = error.errors(include_url=False, include_input=False)
            problems = [self._error_problem(type_, one) for one in errors]
            if any(one["type"] != MISTAKE for one in errors):
                return None, problems
            value = type_.model_validate(data, context=LENIENT)
        for at, part in value.parts():
            problems += [self.problem((*at, *place), said) for place, said in part.mistakes()]
        return value, problems

    def has(self, key: str) -> bool:
        """Whether the document is a mapping with this key."""
        return any(_children(self._root, key))

    def _other_kind(self, type_: type[Written]) -> Problem | None:
        """The sentence about a file of another kind than is to be read; None where that is not known."""
        names = type_.names()
        wanted = [key for key in _KINDS if key in names]
        own = any(self.has(key) for key in wanted) and (self.has("version") or not self.has("inputs"))
        if own or not wanted:
            return None
        for key, kind in _KINDS.items():
            for at, _ in _children(self._root, key) if key not in wanted else ():
                said = f"this is {kind} (`{key}`), and {_KINDS[wanted[0]]} (`{wanted[0]}`) is expected here"
                if key in _OF_CLIENTS:
                    said += "; `mcpguard help import` says how to move them in"
                found = self._problem(at.line, at.column, said)
                found.excerpt = _without_value(found.excerpt, at.column - 1)
                return found
        return None

    def _error_problem(self, type_: type[Written], error: ErrorDetails) -> Problem:
        node, types = self._root, list(_members(type_))
        at = node
        loc = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
        for step in loc:
            types = [
                one for outer in types for inner in _inside(outer, step) for one in _members(inner)
            ] or types
            for key, value in _children(node, step):
                at, node = key, value
        at_key = error["type"] in _AT_THE_KEY or _KEY in loc[-1:]
        sentence = _sentence(error, node, types)
        if at_key:
            found = self._problem(at.line, at.column, sentence)
            if self._careful:
                found.excerpt = _without_value(found.excerpt, at.column - 1)
            return found
        return self._node_problem(node, sentence, error.get("ctx", {}).get("offset"))

    def problem(self, path: Path, message: str, offset: int | None = None) -> Problem:
        """`message` at the value of `path`, or where that is left out at the nearest around it.

        `offset` counts characters inside a text value.
        """
        node = self._root
        for step in path:
            inner = next(_children(node, step), None)
            if inner is None:
                break
            node = inner[1]
        return self._node_problem(node, message, offset)

    def place(self, path: Path) -> str:
        """Where `path` begins, FILE:LINE."""
        found = self.problem(path, "")
        return f"{found.source}:{found.line}"

    def fail(self, problems: Iterable[Problem]) -> NoReturn:
        """Raise the DocumentError of the constructor with `problems`, in the order of the lines."""
        raise self._error(sorted(problems, key=lambda problem: (problem.line, problem.column)))

    def _node_problem(self, node: Node, message: str, offset: int | None) -> Problem:
        line, column = node.line, node.column
        if offset is not None and node.kind == "text":
            line, column = offset_place(self.text, node, offset)
        return self._problem(line, column, message)

    def _problem(self, line: int, column: int, message: str) -> Problem:
        shown = 0 < line <= len(self._lines) and line not in self._hidden and not self._blind
        excerpt = self._lines[line - 1].replace("\t", " ") if shown else ""
        if len(excerpt) > EXCERPT_LIMIT:
            excerpt = ""
        return Problem(self.source, line, column, message, excerpt)


def read(text: str, source: str, type_: type[T], error: type[DocumentError] = DocumentError) -> T:
    """The YAML `text` as a `type_`. Raises `error` with every mistake in it."""
    return Document(text, source, error).read(type_)


def _children(node: Node, step: str | int) -> Iterator[tuple[Node, Node]]:
    """The key and the value at `step` of a mapping, or the item of a list twice; nothing if there is none."""
    if node.kind == "map":
        yield from ((key, value) for key, value in node.value if key.value == step)
    elif node.kind == "list" and isinstance(step, int) and step < len(node.value):
        yield node.value[step], node.value[step]


def _without_value(line: str, key: int) -> str:
    """`line` up to the end of the key that begins at `key`."""
    colon = line.find(":", key)
    return line if colon < 0 else f"{line[: colon + 1]} …"


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


def _sentence(error: ErrorDetails, node: Node, types: list[Any]) -> str:
    """What is wrong in the words of our own: pydantic's may quote the value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == MISTAKE:
        return str(context["said"])
    if kind == SHAPE:
        return _expected("", error["msg"], node)
    if kind == CHOICE:
        return context.get("said") or _chosen(context["expected"], node)
    if kind in _NAMES:
        wanted, name = _NAMES[kind]
        needed = _needed(types) if kind == "model_type" else ""
        return _expected(wanted, name + needed, node)
    return _wrong_key(kind, str(error["loc"][-1]), types)


def _wrong_key(kind: str, name: str, types: list[Any]) -> str:
    if kind == "missing":
        return "`version` is missing: write `version: 1`" if name == "version" else f"`{name}` is missing"
    if kind == NO_VALUE:
        return f"`{name}` has no value: write one, or leave the key out"
    parts = [one for one in types if _is_part(one)]
    known = [key for one in parts for key in one.names()]
    said = [one.elsewhere[name] for one in parts if name in one.elsewhere]
    near = did_you_mean(name, known, NEAR)
    before = f"{near} `{name}`" if near else "it"
    said += [f"{before} belongs under `{key}`" for key in _around(name, parts)]
    said += [near or f"the known ones are {', '.join(known)}"]
    return f"unknown key `{name}`; {said[0]}"


def _around(name: str, parts: list[type[Written]]) -> Iterator[str]:
    """The keys of `parts` whose own part has the key `name`."""
    for part in parts:
        for key, field in part.names().items():
            inner = _members(part.model_fields[field].annotation)
            if any(_is_part(one) and name in one.names() for one in inner):
                yield key


def _needed(types: list[Any]) -> str:
    """The keys that the part needs, where it can be of one kind only."""
    parts = [one for one in types if _is_part(one)]
    keys = [
        f"`{key}`"
        for one in parts
        for key, name in one.names().items()
        if one.model_fields[name].is_required()
    ]
    return f" with {' and '.join(keys)}" if keys and len(parts) == 1 else ""


def _chosen(expected: str, node: Node) -> str:
    """A choice is wrong; pydantic names all of them as in `'a', 'b' or 'c'`."""
    choices = expected.replace(" or ", ", ").replace("'", "").split(", ")
    name = ("one of " if len(choices) > 1 else "") + ", ".join(choices)
    if "'" not in expected:
        return _expected("int", name, node)
    hint = did_you_mean(node.value, choices, NEAR) if node.kind == "text" else ""
    return _expected("text", name, node) + (hint and f"; {hint}")


def _expected(kind: str, name: str, node: Node) -> str:
    found = "" if kind == node.kind else f", found {_FOUND[node.kind]}"
    quotes = "; put it in quotes" if "text" in name and node.kind in ("int", "float", "bool") else ""
    brackets = "; put it in brackets" if (kind, node.kind) == ("list", "text") else ""
    dashes = "; begin each entry with `- `" if (kind, node.kind) == ("list", "map") else ""
    return f"expected {name}{found}{quotes}{brackets}{dashes}"


def _inside(type_: Any, step: str | int) -> Iterator[Any]:
    """The types of what stands at `step` of a value; the tag of a member of a union leads nowhere."""
    if _is_part(type_):
        if step in type_.names():
            yield type_.model_fields[type_.names()[str(step)]].annotation
        return
    origin, inner = get_origin(type_), get_args(type_)
    if origin is tuple and isinstance(step, int):
        yield inner[0]
    elif origin is dict:
        yield inner[1]


def _is_part(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Written)


def _members(type_: Any) -> Iterator[Any]:
    """The types that a value of a type may have, without what is annotated."""
    origin = get_origin(type_)
    if origin is Annotated:
        yield from _members(get_args(type_)[0])
    elif origin in (Union, UnionType):
        for one in get_args(type_):
            yield from _members(one)
    else:
        yield type_


def _plain(node: Node) -> Any:
    """Any value, as JSON has it."""
    if node.kind == "map":
        return {key.value: _plain(value) for key, value in node.value}
    return [_plain(item) for item in node.value] if node.kind == "list" else node.value
