"""TOML -> a tree with spans, and its statements. What it means, `tomllib` says; where it stands, this.

A value's span is the whole of its statement: `key = value`, lines and all.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

from mcpguard.onboarding.formats.tree import DEPTH_LIMIT, Broken, Member, Node

_STRING = r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''
_KEY = re.compile(rf"[ \t]*({_STRING}|[A-Za-z0-9_-]+)[ \t]*(\.)?", re.DOTALL)
_PIECE = re.compile(rf"{_STRING}|#[^\n]*|[\[\]{{}}\n]|[^\[\]{{}}\n\"'#]+", re.DOTALL)
_IDLE = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:#[^\n]*)?")
_PLACE = re.compile(r"at line ([0-9]+), column ([0-9]+)")


class Statement(NamedTuple):
    """A header (`header` is "[" or "[[") or a pair (""), from the first character of its line to the end of
    its last line, line break and all. `path` of a pair has the path of its table in front."""

    header: str
    path: tuple[str, ...]
    start: int
    end: int


def statements(text: str) -> list[Statement]:
    """The statements of `text`, which must be TOML, in order."""
    found: list[Statement] = []
    table: tuple[str, ...] = ()
    at = 0
    while True:
        idle = _IDLE.match(text, at)
        at = idle.end() if idle else at
        if at >= len(text):
            return found
        start = text.rfind("\n", 0, at) + 1
        header = "[[" if text.startswith("[[", at) else "[" if text[at] == "[" else ""
        path, at = _keys(text, at + len(header))
        end = _end(text, at)
        if header:
            table = path
        if len(table) + len(path) > DEPTH_LIMIT:
            raise Broken(start, f"nested deeper than {DEPTH_LIMIT} levels")
        found.append(Statement(header, path if header else table + path, start, end))
        at = end


def _keys(text: str, at: int) -> tuple[tuple[str, ...], int]:
    path: list[str] = []
    more = True
    while more:
        found = _KEY.match(text, at)
        if not found:
            raise Broken(at, "a key is expected here")
        path.append(next(iter(tomllib.loads(f"{found[1]}=1"))))
        more = found[2] is not None
        at = found.end()
    return tuple(path), at


def _end(text: str, at: int) -> int:
    """Where the line ends in which the value that `at` leads to ends."""
    depth = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if not found:
            raise Broken(at, "text has no end")
        piece = found[0]
        at = found.end()
        # The brackets of a header close more than they open.
        depth = max(0, depth + (piece in ("[", "{")) - (piece in ("]", "}")))
        if piece == "\n" and depth == 0:
            break
    return at


def parse(text: str) -> Node:
    """The tree of `text`. Raises Broken."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Broken(_offset(text, str(error)), "not TOML") from None
    except ValueError:
        raise Broken(0, "a number has too many digits") from None
    except RecursionError:
        raise Broken(0, "nested too deep") from None
    root = Node("map", 0, len(text), [])
    table = root
    for one in statements(text):
        if one.header:
            table = _table(root, one)
        else:
            data = tomllib.loads(text[one.start : one.end])
            _merge(table, data, one)
    return root


def _offset(text: str, message: str) -> int:
    found = _PLACE.search(message)
    if not found:
        return len(text)
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: int(found[1]) - 1])) + int(found[2]) - 1


def _table(root: Node, one: Statement) -> Node:
    node = root
    for step in one.path[:-1]:
        node = _inner(node, step, one)
    last = one.path[-1]
    if one.header == "[":
        return _inner(node, last, one)
    found = node.get(last)
    if found is None:
        found = Node("list", one.start, one.end, [])
        node.value.append(Member(last, one.start, found))
    found.value.append(Node("map", one.start, one.end, []))
    inner: Node = found.value[-1]
    return inner


def _inner(node: Node, step: str, one: Statement) -> Node:
    found = node.get(step)
    if found is None:
        found = Node("map", one.start, one.end, [])
        node.value.append(Member(step, one.start, found))
    if found.kind == "list":
        inner: Node = found.value[-1]
        return inner
    return found


def _merge(node: Node, data: dict[str, Any], one: Statement) -> None:
    for key, value in data.items():
        found = node.get(key)
        if found is not None and found.kind == "map" and isinstance(value, dict):
            _merge(found, value, one)
        else:
            node.value.append(Member(key, one.start, _node(value, one)))


def _node(value: Any, one: Statement) -> Node:
    if isinstance(value, dict):
        members = [Member(key, one.start, _node(inner, one)) for key, inner in value.items()]
        return Node("map", one.start, one.end, members)
    if isinstance(value, list):
        return Node("list", one.start, one.end, [_node(inner, one) for inner in value])
    return Node("plain", one.start, one.end, value)
