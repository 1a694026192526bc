"""TOML as a tree, and as its statements; and edits of whole statements.

`tomlkit` says how each statement is written, `tomllib` what it means: it names the places of mistakes, and a
line of a text ends with `\\n` for it, as for the clients. tomlkit has no offsets, and a table that it removes
takes along the comments above the next one, so edits are made in the text, by spans that its items add up to.
A value's span is the whole of its statement: `key = value`, lines and all.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Item, Key, Table

from mcpguard.onboarding.formats import DEPTH_LIMIT, Change, Member, Step, TreeNode, UnreadableFormat, Way
from mcpguard.onboarding.formats.jsonc import newline

_PLACE = re.compile(r"at line ([0-9]+), column ([0-9]+)")
_DEEP = f"nested deeper than {DEPTH_LIMIT} levels"
_OTHER = "this is written in a way that is not supported"
# What a bracket in it does not open or close: comments and texts. Then brackets, and ends of lines.
_TOKEN = re.compile(
    r"""#[^\n]*|\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\[\]{}\n]""",
    re.DOTALL,
)


class Statement(NamedTuple):
    """A header (`header` is "[" or "[[") or a pair (""), from the first character of its line to the end of
    its last line, line break and all. `path` of a pair has the path of its table in front."""

    header: str
    path: tuple[str, ...]
    start: int
    end: int


class _Piece(NamedTuple):
    """A statement (`path` is not empty), comment or blank as it is written."""

    written: str
    header: str = ""
    path: tuple[str, ...] = ()


def statements(text: str) -> list[Statement]:
    """The statements of `text`, which must be TOML, in order. Raises UnreadableFormat."""
    found: list[Statement] = []
    for start, end in _tables(text):
        # tomlkit puts tables of one name together, so each is read on its own.
        try:
            document = tomlkit.parse(text[start:end])
        except TOMLKitError as error:
            line = error.line if isinstance(error, ParseError) else 1
            why = _DEEP if "levels deep" in str(error) else _OTHER
            raise UnreadableFormat(start + _offset(text[start:end], line, 1), why) from None
        at = start
        for piece in _pieces(document, (), ""):
            begin, at = at, at + len(piece.written)
            if text[begin:at] != piece.written:
                raise UnreadableFormat(begin, _OTHER)
            if len(piece.path) > DEPTH_LIMIT:
                raise UnreadableFormat(begin, _DEEP)
            if piece.path:
                found.append(Statement(piece.header, piece.path, begin, at))
    return found


def _tables(text: str) -> Iterator[tuple[int, int]]:
    """Where each table begins and ends, from the line of its header to that of the next one."""
    starts, depth, line = [0], 0, 0
    for token in _TOKEN.finditer(text):
        said = token[0]
        if said == "\n":
            line = token.end()
        elif said == "[" and depth == 0 and line and not text[line : token.start()].strip():
            starts.append(line)
        depth += (said in "[{") - (said in "]}")
    return zip(starts, [*starts[1:], len(text)], strict=True)


def _pieces(container: Container, path: tuple[str, ...], dotted: str) -> Iterator[_Piece]:
    for key, item in container.body:
        if key is None:
            yield _Piece(item.as_string())
        elif isinstance(item, AoT):
            for table in item.body:
                yield _header("[[", table, (*path, key.key))
                yield from _pieces(table.value, (*path, key.key), "")
        elif isinstance(item, Table):
            if item.display_name is not None:
                yield _header("[", item, (*path, key.key))
            within = f"{dotted}{key.as_string()}." if key.is_dotted() else ""
            yield from _pieces(item.value, (*path, key.key), within)
        else:
            yield _pair(dotted, key, item, (*path, key.key))


def _header(bracket: str, table: Table, path: tuple[str, ...]) -> _Piece:
    said = f"{bracket}{table.display_name}{bracket.replace('[', ']')}"
    return _Piece(_with_trivia(said, table), bracket, path)


def _pair(dotted: str, key: Key, item: Item, path: tuple[str, ...]) -> _Piece:
    said = f"{dotted}{key.as_string()}{key.sep}{item.as_string()}"
    return _Piece(_with_trivia(said, item), "", path)


def _with_trivia(said: str, item: Item) -> str:
    trivia = item.trivia
    return f"{trivia.indent}{said}{trivia.comment_ws}{trivia.comment}{trivia.trail}"


def parse(text: str) -> TreeNode:
    """The tree of `text`. Raises UnreadableFormat."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        raise UnreadableFormat(
            _offset(text, *map(int, found.groups())) if found else len(text), "not TOML"
        ) from None
    except ValueError:
        raise UnreadableFormat(0, "a number has too many digits") from None
    except RecursionError:
        raise UnreadableFormat(0, "nested too deep") from None
    root = TreeNode("map", 0, len(text), [])
    table = root
    for one in statements(text):
        if one.header:
            table = _table(root, one)
        else:
            data = tomllib.loads(text[one.start : one.end])
            _merge(table, data, one)
    return root


def _offset(text: str, line: int, column: int) -> int:
    return sum(map(len, text.splitlines(keepends=True)[: line - 1])) + column - 1


def _table(root: TreeNode, one: Statement) -> TreeNode:
    node = root
    for step in one.path[:-1]:
        node = _inner(node, step, one)
    last = one.path[-1]
    if one.header == "[":
        return _inner(node, last, one)
    found = node.get(last)
    if found is None:
        found = TreeNode("list", one.start, one.end, [])
        node.value.append(Member(last, one.start, found))
    found.value.append(TreeNode("map", one.start, one.end, []))
    inner: TreeNode = found.value[-1]
    return inner


def _inner(node: TreeNode, step: str, one: Statement) -> TreeNode:
    found = node.get(step)
    if found is None:
        found = TreeNode("map", one.start, one.end, [])
        node.value.append(Member(step, one.start, found))
    if found.kind == "list":
        inner: TreeNode = found.value[-1]
        return inner
    return found


def _merge(node: TreeNode, data: dict[str, Any], one: Statement) -> None:
    for key, value in data.items():
        found = node.get(key)
        if found is not None and found.kind == "map" and isinstance(value, dict):
            _merge(found, value, one)
        else:
            node.value.append(Member(key, one.start, _node(value, one)))


def _node(value: Any, one: Statement) -> TreeNode:
    if isinstance(value, dict):
        members = [Member(key, one.start, _node(inner, one)) for key, inner in value.items()]
        return TreeNode("map", one.start, one.end, members)
    if isinstance(value, list):
        return TreeNode("list", one.start, one.end, [_node(inner, one) for inner in value])
    return TreeNode("plain", one.start, one.end, value)


def replace(
    text: str, _root: TreeNode, way: Way, steps: list[Step], name: str, entry: dict[str, Any]
) -> list[Change]:
    """The first statement of the tables `steps` below `way` becomes the entry of mcpguard (unless `name` is
    ""), the others go; comments between statements stay."""
    path, names = tuple(map(str, way)), [*map(str, steps)]
    every = statements(text)
    mine = [one for one in every if any(one.path[: len(path) + 1] == (*path, other) for other in names)]
    seen = {one.path[len(path)] for one in mine}
    if seen != set(names):
        raise UnreadableFormat(
            0, "servers that are written in one line cannot be edited: give each a table of its own"
        )
    changes: list[Change] = []
    for one in mine:
        fresh = one is mine[0] and bool(name)
        changes.append((one.start, one.end, _new(text, every, one, path, name, entry) if fresh else ""))
    return changes


def insert(text: str, _root: TreeNode, path: Way, name: str, entry: dict[str, Any]) -> Change:
    """A table for `name` at the end."""
    line = newline(text)
    lead = "" if text.endswith("\n") else line
    return len(text), len(text), lead + line + block("", (*map(str, path), name), entry, line)


def block(indent: str, path: tuple[str, ...], entry: dict[str, Any], line: str = "\n") -> str:
    """A table with its header."""
    rows = [f"[{_dotted(path)}]", *tomlkit.dumps(entry).splitlines()]
    return "".join(f"{indent}{row}{line}" for row in rows)


def _new(
    text: str, every: list[Statement], one: Statement, path: tuple[str, ...], name: str, entry: dict[str, Any]
) -> str:
    indent = re.match(r"[ \t]*", text[one.start : one.end])
    lead = indent[0] if indent else ""
    line = newline(text)
    if one.header:
        return block(lead, (*path, name), entry, line)
    before = [other for other in every if other.header and other.start < one.start]
    table = before[-1].path if before else ()
    inner = ", ".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in entry.items())
    return f"{lead}{_dotted((*path, name)[len(table) :])} = {{ {inner} }}{line}"


def _dotted(path: tuple[str, ...]) -> str:
    return tomlkit.key(path).as_string()
