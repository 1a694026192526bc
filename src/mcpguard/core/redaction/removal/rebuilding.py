"""A value with some of its leaves changed, and where they stand.

Law of this file: the leaves are met in the order in which `Leaves` has gathered them.
"""

from itertools import islice

from mcpguard.core.model import Detection, Json
from mcpguard.core.redaction.leaves import Leaves

LONGEST_PATH = 256
"""Characters of a JSON Pointer that is reported."""

MOST_PATHS = 200
"""How many findings are told apart by where they are; the rest by their kind alone."""


class EditedLeaf(str):
    """A leaf from which something was taken out; `kinds` says what."""

    __slots__ = ("kinds",)
    kinds: tuple[str, ...]

    def __new__(cls, text: str) -> "EditedLeaf":
        made = super().__new__(cls, text)
        made.kinds = ()
        return made


Path = tuple["Path", str | int] | None
"""Where a value stands: where its parent stands, and its name or its index in that; None is the root."""


def pointer(path: Path) -> str:
    """The JSON Pointer (RFC 6901), of at most `LONGEST_PATH` characters: of a place that is longer, that of
    the innermost value around it that is not."""
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    made = ""
    for step in reversed(steps):
        room = LONGEST_PATH - len(made) - 1
        name = str(step) if len(str(step)) <= room else "~" * LONGEST_PATH
        name = name.replace("~", "~0").replace("/", "~1")
        if len(name) > room:
            break
        made = f"{made}/{name}"
    return made


class Rebuild:
    """Rebuild a value with some leaves changed. `findings` then says what changed, and where."""

    def __init__(self, leaves: Leaves, parts: list[str]) -> None:
        """`parts` are used up."""
        self._parts = parts
        self._next: dict[str, int] = {}
        """By name, the index of the next string under it: a list for each of many names takes three times
        as much."""
        at = 0
        for name, column in leaves.columns.items():
            if column:
                self._next[name] = at
                at += len(column)
        self._number = at
        end = at + len(leaves.numbers)
        names = zip(leaves.columns, islice(parts, end, None), strict=True)
        self._renamed = {name: new for name, new in names if new is not name}
        del parts[end:]
        self.findings: dict[Detection, None] = {}

    def _string(self, name: str) -> str:
        """The next one under a name. It is given back when it is in its place."""
        at = self._next[name]
        self._next[name] = at + 1
        new, self._parts[at] = self._parts[at], ""
        return new

    def value(self, old: Json, name: str = "", path: Path = None) -> Json:
        """`old` with the changed leaves in it; `path` is where that stands in the new value."""
        kind = type(old)
        if kind is dict:
            return self._dict(old, path)
        if kind is list:
            return [self.value(child, name, (path, i)) for i, child in enumerate(old)]
        if kind is str:
            return self._leaf(self._string(name), path)
        if kind is int or kind is float:
            new = self._parts[self._number]
            self._number += 1
            return self._leaf(new, path) if type(new) is EditedLeaf else old
        return old

    def _leaf(self, new: str, path: Path) -> str:
        if type(new) is not EditedLeaf:
            return new
        self._find(new, path)
        return str(new)

    def _find(self, new: EditedLeaf, path: Path) -> None:
        where = pointer(path) if len(self.findings) < MOST_PATHS else ""
        for kind in new.kinds:
            self.findings[Detection(kind, where)] = None

    def _dict(self, old: dict[str, Json], path: Path) -> dict[str, Json]:
        renamed = self._renamed
        copies: dict[str, int] = {}
        made: dict[str, Json] = {}
        for name, child in old.items():
            unique = name
            if renamed and (new := renamed.get(name)) is not None:
                unique = str(new)
                if unique in made or unique in old:
                    unique = self._unique(unique, old, made, copies)
                if type(new) is EditedLeaf:
                    self._find(new, (path, unique))
            kind = type(child)
            if kind is str:
                leaf = self._string(name)
                made[unique] = leaf if type(leaf) is str else self._leaf(leaf, (path, unique))
            elif kind is int and type(self._parts[self._number]) is str:  # As most values are.
                made[unique] = child
                self._number += 1
            elif kind is dict:
                made[unique] = self._dict(child, (path, unique))
            else:
                made[unique] = self.value(child, name, (path, unique))
        return made

    def _unique(self, name: str, old: dict[str, Json], made: dict[str, Json], copies: dict[str, int]) -> str:
        """`name`, or with the next number that makes it one that no other member has."""
        copy = copies.get(name, 1)
        unique = name if copy == 1 else f"{name}({copy})"
        while unique in made or (unique in old and unique not in self._renamed):
            copy += 1
            unique = f"{name}({copy})"
        copies[name] = copy
        return unique
