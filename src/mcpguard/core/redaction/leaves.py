"""The strings and numbers of a JSON value, laid side by side to be scanned once, and put back.

Law of this file: `gather` and `rebuild` meet the leaves in the same order. Strings are ordered by the name
of the member that holds them, so that the texts of several content blocks stand side by side, whatever
else the blocks have in them; then come the numbers, then the distinct names.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping

from msgspec import Struct

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Detection, Json
from mcpguard.core.redaction.matching import PAD

DEPTH = 128
"""Levels of nesting that are inspected; a deeper value is refused."""

SEPARATOR = "\x1f"


class Leaves:
    """What `gather` found. `columns` maps a member's name to the strings under it ("" at the root)."""

    __slots__ = ("columns", "numbers")

    def __init__(self, value: Json) -> None:
        self.columns: defaultdict[str, list[str]] = defaultdict(list)
        self.numbers: list[int | float] = []
        if type(value) is dict:
            _gather_dict(value, self.columns, self.numbers, DEPTH)
        else:
            _gather_list((value,), "", self.columns, self.numbers, DEPTH + 1)

    def parts(self) -> list[str]:
        """All leaves in their order."""
        parts: list[str] = []
        for column in self.columns.values():
            parts += column
        if self.numbers:
            parts += map(repr, self.numbers)
        parts += self.columns
        return parts

    def orders(self) -> "tuple[Order, ...]":
        """The orders in which the leaves may say something together: as `parts` has them, and where a name
        has a digit, so that it may be a piece of a value, each name before what it names."""
        if not has_digit(self.columns):
            return _AS_THEY_ARE
        named: list[int] = []
        strings = sum(map(len, self.columns.values()))
        numbers = range(strings, strings + len(self.numbers))
        at = 0
        for name, column in enumerate(self.columns.values(), numbers.stop):
            named += [name, *range(at, at + len(column))]
            at += len(column)
        return Order(None), Order([*named, *numbers])

    def is_number(self, index: int) -> bool:
        """Whether the part of this index is a number."""
        return 0 <= index - sum(map(len, self.columns.values())) < len(self.numbers)

    def placed(self, names: Container[str]) -> Iterator[tuple[str, int, str]]:
        """The strings under these names: name, where it starts in the joined bytes, string."""
        at = 0
        for name, column in self.columns.items():
            for text in column:
                if name in names:
                    yield name, at, text
                at += len(text.encode("utf-8", "surrogatepass")) + 1


class Order(Struct, frozen=True):
    """An order of leaves, as indices of `Leaves.parts`; None for that of `parts`."""

    indices: list[int] | None

    def arranged(self, parts: list[str]) -> list[str]:
        """The parts in this order."""
        return parts if self.indices is None else [parts[index] for index in self.indices]

    def part(self, place: int) -> int:
        """The index in `parts` of what is at `place` in this order."""
        return place if self.indices is None else self.indices[place]


_AS_THEY_ARE = (Order(None),)
_DIGIT = re.compile("[0-9]")


def has_digit(names: Iterable[str]) -> bool:
    """Whether one of the names has a digit of ASCII in it."""
    joined = "".join(names)
    return not joined.isalpha() and _DIGIT.search(joined) is not None


def padded(parts: list[str]) -> bytes:
    """The parts joined, in UTF-8, as `matching` wants it."""
    return SEPARATOR.join(parts).encode("utf-8", "surrogatepass") + PAD


def _gather_list(
    value: Iterable[Json],
    name: str,
    columns: defaultdict[str, list[str]],
    numbers: list[int | float],
    depth: int,
) -> None:
    if not depth:
        raise InspectionError(f"nested deeper than {DEPTH} levels")
    column = columns[name]
    for child in value:
        kind = type(child)
        if kind is str:
            column.append(child)
        elif kind is dict:
            _gather_dict(child, columns, numbers, depth - 1)
        elif kind is list:
            _gather_list(child, name, columns, numbers, depth - 1)
        elif kind is int or kind is float:
            numbers.append(child)
        elif child is not None and kind is not bool:
            raise InspectionError("not a JSON value")


def _gather_dict(
    value: dict[str, Json], columns: defaultdict[str, list[str]], numbers: list[int | float], depth: int
) -> None:
    if not depth:
        raise InspectionError(f"nested deeper than {DEPTH} levels")
    for name, child in value.items():
        kind = type(child)
        column = columns[name]
        if kind is str:
            column.append(child)
        elif kind is dict:
            _gather_dict(child, columns, numbers, depth - 1)
        elif kind is list:
            _gather_list(child, name, columns, numbers, depth - 1)
        elif kind is int or kind is float:
            numbers.append(child)
        elif child is not None and kind is not bool:
            raise InspectionError("not a JSON value")


class EditedLeaf(str):
    """A leaf that was changed; `kinds` says what was taken out of it."""

    __slots__ = ("kinds",)
    kinds: tuple[str, ...]


class Rebuild:
    """Rebuild a value with some leaves changed. `findings` then says what changed, and where."""

    def __init__(self, leaves: Leaves, parts: Iterable[str]) -> None:
        rest = iter(parts)
        self._columns: Mapping[str, Iterator[str]] = {
            name: iter([next(rest) for _ in column]) for name, column in leaves.columns.items()
        }
        self._numbers = iter([next(rest) for _ in leaves.numbers])
        self._names = dict(zip(leaves.columns, rest, strict=True))
        self.findings: list[Detection] = []

    def value(self, old: Json, name: str = "", path: str = "") -> Json:
        """`old` with the changed leaves in it; `path` is its JSON Pointer (RFC 6901) in the new value."""
        kind = type(old)
        if kind is dict:
            return self._dict(old, path)
        if kind is list:
            return [self.value(child, name, f"{path}/{i}") for i, child in enumerate(old)]
        if kind is str:
            return self._leaf(next(self._columns[name]), path)
        if kind is int or kind is float:
            new = next(self._numbers)
            return self._leaf(new, path) if type(new) is EditedLeaf else old
        return old

    def _leaf(self, new: str, path: str) -> str:
        if type(new) is not EditedLeaf:
            return new
        self.findings += [Detection(kind, path) for kind in new.kinds]
        return str(new)

    def _dict(self, old: dict[str, Json], path: str) -> dict[str, Json]:
        taken = {name for name in old if type(self._names[name]) is not EditedLeaf}
        made: dict[str, Json] = {}
        for name, child in old.items():
            new = self._names[name]
            unique = str(new)
            if type(new) is EditedLeaf:
                copies = 1
                while unique in taken:
                    copies += 1
                    unique = f"{new}({copies})"
                taken.add(unique)
            where = f"{path}/{unique.replace('~', '~0').replace('/', '~1')}"
            if type(new) is EditedLeaf:
                self.findings += [Detection(kind, where) for kind in new.kinds]
            made[unique] = self.value(child, name, where)
        return made


class Layout:
    """Where each part is in the joined bytes."""

    __slots__ = ("starts",)

    def __init__(self, parts: Iterable[str]) -> None:
        self.starts = [0]
        for part in parts:
            self.starts.append(self.starts[-1] + len(part.encode("utf-8", "surrogatepass")) + 1)

    def touched(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The parts that a span lies in: index, and start and end within the part."""
        index = bisect_right(self.starts, start) - 1
        while index < len(self.starts) - 1 and self.starts[index] < end:
            base, after = self.starts[index], self.starts[index + 1] - 1
            first, last = max(start, base), min(end, after)
            if first < last:
                yield index, first - base, last - base
            index += 1
