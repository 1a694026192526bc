"""JSON with comments (`jsonc.py`), TOML (`toml_text.py`) and YAML (`yaml_text.py`) as trees in which every
value knows where it stands in the text.

Law of this package: a span covers the value itself and neither comments, commas nor blanks around it, so what
is edited between two spans is nobody's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import getitem
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from mcpguard.core.errors import McpGuardError

DEPTH_LIMIT = 64
"""How deep lists and mappings may be nested."""

Step = str | int
"""A key of a mapping or an index of a list."""

Way = tuple[Step, ...]
"""Where something is in a document."""

Change = tuple[int, int, str]
"""`text[start:end]` becomes the text."""

ALIAS = ...
"""The value of a YAML alias, which is not followed."""


class TreeNode(Struct):
    """A value at `text[start:end]`. `value` is a list of `Member` for a map, of `TreeNode` for a list, else
    the Python value."""

    kind: Literal["map", "list", "plain"]
    start: int
    end: int
    value: Any

    def get(self, step: Step) -> TreeNode | None:
        """What stands under a key (the last one, if it is there twice) or an index; None if nothing does."""
        if self.kind == "map":
            found: list[TreeNode] = [member.node for member in self.value if member.key == step]
            return found[-1] if found else None
        if self.kind == "list" and isinstance(step, int) and 0 <= step < len(self.value):
            inner: TreeNode = self.value[step]
            return inner
        return None

    def at(self, path: Way) -> TreeNode | None:
        """What stands at the end of `path`, None if nothing does."""
        node: TreeNode | None = self
        for step in path:
            node = None if node is None else node.get(step)
        return node

    def there(self, path: Way) -> TreeNode:
        """As `at`. Raises UnreadableFormat where nothing does."""
        node = self.at(path)
        if node is None:
            raise UnreadableFormat(0, "the servers are gone")
        return node

    def repeated(self) -> list[Member]:
        """The members of a map whose keys were there before."""
        keys: set[str] = set()
        found = []
        for member in self.value if self.kind == "map" else ():
            if member.key in keys:
                found.append(member)
            keys.add(member.key)
        return found

    def spans(self) -> list[tuple[int, int]]:
        """Where each item of a list, or each member of a map with its key, begins and ends."""
        if self.kind == "map":
            return [(member.start, member.node.end) for member in self.value]
        return [(node.start, node.end) for node in self.value]

    def plain(self) -> Any:
        """The value as Python has it."""
        if self.kind == "map":
            return {member.key: member.node.plain() for member in self.value}
        return [node.plain() for node in self.value] if self.kind == "list" else self.value


class Member(NamedTuple):
    """One member of a map: its key begins at `start`, and it ends where its value ends."""

    key: str
    start: int
    node: TreeNode


class Unreadable(McpGuardError):
    """A client's file that is not what it should be. The sentence has file, line and column, and no value."""


class UnreadableFormat(Exception):
    """What a reader of a format raises: `offset` in the text, and what is wrong there."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


def within(data: Any, path: Iterable[Step]) -> Any:
    """What stands at the end of `path` in a plain value. Raises LookupError or TypeError if nothing does."""
    return reduce(getitem, path, data)


def found_within(data: Any, path: Iterable[str]) -> Any:
    """The same through mappings alone; None if nothing does."""
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def leaves(data: Any) -> Iterator[Any]:
    """Every value in a plain one that is neither a list nor a mapping."""
    if isinstance(data, (dict, list)):
        for one in data.values() if isinstance(data, dict) else data:
            yield from leaves(one)
    else:
        yield data


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of `offset`, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
