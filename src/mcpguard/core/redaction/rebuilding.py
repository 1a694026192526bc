"""A value with some of its leaves changed, and where they stand.

Law of this file: the leaves are met in the order in which `Leaves` has gathered them.
"""

from collections.abc import Iterable

from mcpguard.core.model import Detection, Json
from mcpguard.core.redaction.leaves import Leaves

LONGEST_PATH = 256
"""Characters of a JSON Pointer that is reported."""

MOST_PATHS = 200
"""How many findings are told apart by where they are; the rest by their kind alone."""


class EditedLeaf(str):
    """A leaf that was changed; `kinds` says what was taken out of it."""

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

    def __init__(self, leaves: Leaves, parts: Iterable[str]) -> None:
        rest = iter(parts)
        # The last first, so that each is given back when it is in its place.
        self._columns = {
            name: [next(rest) for _ in column][::-1] for name, column in leaves.columns.items() if column
        }
        self._numbers = [next(rest) for _ in leaves.numbers][::-1]
        names = zip(leaves.columns, rest, strict=True)
        self._renamed = {name: new for name, new in names if type(new) is EditedLeaf}
        self.findings: dict[Detection, None] = {}

    def value(self, old: Json, name: str = "", path: Path = None) -> Json:
        """`old` with the changed leaves in it; `path` is where that stands in the new value."""
        kind = type(old)
        if kind is dict:
            return self._dict(old, path)
        if kind is list:
            return [self.value(child, name, (path, i)) for i, child in enumerate(old)]
        if kind is str:
            return self._leaf(self._columns[name].pop(), path)
        if kind is int or kind is float:
            new = self._numbers.pop()
            return self._leaf(new, path) if type(new) is EditedLeaf else old
        return old

    def _leaf(self, new: str, path: Path) -> str:
        if type(new) is not EditedLeaf:
            return new
        self._find(new, path)
        return str(new)

    def _find(self, new: EditedLeaf, path: Path) -> None:
        if not new.kinds:
            return  # Something hidden was made visible.
        where = pointer(path) if len(self.findings) < MOST_PATHS else ""
        for kind in new.kinds:
            self.findings[Detection(kind, where)] = None

    def _dict(self, old: dict[str, Json], path: Path) -> dict[str, Json]:
        if not self._renamed or self._renamed.keys().isdisjoint(old):
            return self._members(old, path)
        taken = {name for name in old if name not in self._renamed}
        copies: dict[str, int] = {}
        made: dict[str, Json] = {}
        for name, child in old.items():
            new = self._renamed.get(name)
            unique = name if new is None else _unique(str(new), taken, copies)
            if new is not None:
                self._find(new, (path, unique))
            made[unique] = self.value(child, name, (path, unique))
        return made

    def _members(self, old: dict[str, Json], path: Path) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, child in old.items():
            if type(child) is str:
                new = self._columns[name].pop()
                made[name] = new if type(new) is str else self._leaf(new, (path, name))
            elif type(child) is dict:
                made[name] = self._dict(child, (path, name))
            else:
                made[name] = self.value(child, name, (path, name))
        return made


def _unique(name: str, taken: set[str], copies: dict[str, int]) -> str:
    """`name`, or with the next number that makes it none of those that are `taken`; then it is taken."""
    copy = copies.get(name, 0) + 1
    unique = name if copy == 1 else f"{name}({copy})"
    while unique in taken:
        copy += 1
        unique = f"{name}({copy})"
    copies[name] = copy
    taken.add(unique)
    return unique
