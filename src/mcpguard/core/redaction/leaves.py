"""The strings and numbers of a JSON value, laid side by side to be scanned once, and put back.

Law of this file: `gather` and `rebuild` meet the leaves in the same order. Strings are ordered by the name
of the member that holds them, so that the texts of several content blocks stand side by side, whatever
else the blocks have in them; then come the numbers, then the distinct names. What stands side by side in the
value itself is another order of the same.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Detection, Json
from mcpguard.core.redaction.detectors.named.objects import NumberedLeaf
from mcpguard.core.redaction.matching import PAD

DEPTH = 128
"""Levels of nesting that are inspected; a deeper value is refused."""

SEPARATOR = "\x1f"

LABEL = "type"
"""The member whose text says only of what type a content block is, and stands between what the blocks say."""

EDGE = 512
"""Characters at each end of a long text that may belong to something that is cut up over several."""

LONGEST_PATH = 256
"""Characters of a JSON Pointer that is reported."""

MOST_PATHS = 200
"""So many findings are told apart by where they are; the rest by their kind alone."""


class Leaves:
    """What `gather` found. `columns` maps a member's name to the strings under it ("" at the root);
    `document` has the strings in the order in which they stand in the value, without those that say of
    what type a content block is. Something is in `tables` where a list stands in a list. `telling` are the
    names that say something of what they name, when somebody has asked."""

    __slots__ = ("columns", "document", "numbers", "tables", "telling", "value")

    def __init__(self, value: Json) -> None:
        self.value = value
        self.telling: set[str] | None = None
        columns: dict[str, list[str]] = {}
        document: list[str] = []
        numbers: list[int | float] = []
        tables: list[None] = []
        self.columns, self.document, self.numbers, self.tables = columns, document, numbers, tables
        # No object holds the four while they are filled: each answer pays for it at each of its levels.
        if type(value) is dict:
            _gather_dict(value, columns, document, numbers, tables, DEPTH)
        else:
            _gather_list((value,), "", columns, document, numbers, tables, DEPTH + 1)

    def parts(self) -> list[str]:
        """All leaves in their order."""
        parts: list[str] = []
        for column in self.columns.values():
            parts += column
        if self.numbers:
            parts += map(_written(len(self.numbers)), self.numbers)
        parts += self.columns
        return parts

    def marked(self) -> Json:
        """The value with strings that know their index among the parts."""
        return _marked(self.value, "", self._strings())

    def _strings(self) -> dict[str, Iterator[int]]:
        """By name, the indices of the strings under it."""
        strings: dict[str, Iterator[int]] = {}
        at = 0
        for name, column in self.columns.items():
            if column:
                strings[name] = iter(range(at, at + len(column)))
                at += len(column)
        return strings

    def numbered(self) -> range:
        """The indices of the parts that are numbers."""
        strings = sum(map(len, self.columns.values()))
        return range(strings, strings + len(self.numbers))

    def reordered(self, parts: list[str]) -> bool:
        """Whether `document` has another order than `parts`."""
        if len(self.document) < 2:
            return False
        if LABEL in self.columns:
            parts = [text for name, column in self.columns.items() if name != LABEL for text in column]
        return self.document != parts[: len(self.document)]

    def orders(self, parts: list[str]) -> "Iterator[Order]":
        """The orders in which the leaves may say something together: as `parts` has them; as they stand in
        the value; and where a name has a digit, so that it may be a piece of something, each leaf behind its
        name."""
        yield AS_THEY_ARE
        if self.reordered(parts):
            yield Order(self._indices(named=False))
        if has_digit(self.columns):
            yield self.named()

    def named(self) -> "Order":
        """That of all leaves as they stand, each behind its name."""
        return Order(self._indices(named=True))

    def _indices(self, named: bool) -> "array[int]":
        """The indices of the strings as they stand; `named`: and of the numbers, each behind its name."""
        strings, numbers = self._strings(), self.numbered()
        names = {name: index for index, name in enumerate(self.columns, numbers.stop)} if named else None
        made = array("L")
        _index(self.value, "", made, (strings, iter(numbers), names))
        return made

    def pointers(self) -> dict[int, str]:
        """The JSON Pointer (RFC 6901) of each string and number, by its index among the parts."""
        made: dict[int, str] = {}
        _point(self.value, "", "", made, (self._strings(), iter(self.numbered()), None))
        return made

    def placed(self, names: Container[str]) -> Iterator[tuple[str, int, str]]:
        """The strings under these names: name, where it starts in the joined bytes, string."""
        at = 0
        for name, column in self.columns.items():
            for text in column:
                if name in names:
                    yield name, at, text
                at += len(text.encode("utf-8", "surrogatepass")) + 1


_MANY = 1_000
"""Numbers of which some are likely to be equal."""
_KNOWN = 4_096


def _written(count: int) -> Callable[[int | float], str]:
    """What writes so many numbers: of many equal ones one text, since each takes 50 bytes."""
    return repr if count < _MANY else lru_cache(_KNOWN, typed=True)(repr)


_Rest = tuple[Mapping[str, Iterator[int]], Iterator[int], Mapping[str, int] | None]


def _index(value: Json, name: str, made: "array[int]", rest: _Rest) -> None:
    kind, (strings, numbers, names) = type(value), rest
    if kind is str:
        made.append(next(strings[name]))
    elif kind is list:
        for child in value:
            _index(child, name, made, rest)
    elif kind is dict:
        for below, child in value.items():
            if names is not None:
                made.append(names[below])
            elif below == LABEL and type(child) is str:
                next(strings[below])
                continue
            # As for what is below, for what most members are.
            if type(child) is str:
                made.append(next(strings[below]))
            else:
                _index(child, below, made, rest)
    elif names is not None and (kind is int or kind is float):
        made.append(next(numbers))


def _marked(value: Json, name: str, strings: Mapping[str, Iterator[int]]) -> Json:
    kind = type(value)
    if kind is str:
        return NumberedLeaf(value, next(strings[name]))
    if kind is list:
        return [_marked(child, name, strings) for child in value]
    if kind is dict:
        return {below: _marked(child, below, strings) for below, child in value.items()}
    return value


def _point(value: Json, name: str, path: str, made: dict[int, str], rest: _Rest) -> None:
    kind, (strings, numbers, _) = type(value), rest
    if kind is str:
        made[next(strings[name])] = path
    elif kind is int or kind is float:
        made[next(numbers)] = path
    elif kind is list:
        for index, child in enumerate(value):
            _point(child, name, f"{path}/{index}", made, rest)
    elif kind is dict:
        for below, child in value.items():
            _point(child, below, f"{path}/{below.replace('~', '~0').replace('/', '~1')}", made, rest)


class Order(Struct, frozen=True):
    """An order of leaves, as indices of `Leaves.parts`; None for that of `parts`."""

    indices: "array[int] | None"

    def arranged(self, parts: list[str]) -> list[str]:
        """The parts in this order."""
        return parts if self.indices is None else [parts[index] for index in self.indices]

    def part(self, place: int) -> int:
        """The index in `parts` of what is at `place` in this order."""
        return place if self.indices is None else self.indices[place]


AS_THEY_ARE = Order(None)
"""The order of `Leaves.parts`."""
_DIGIT = re.compile("[0-9]")


def has_digit(names: Iterable[str]) -> bool:
    """Whether one of the names has a digit of ASCII in it."""
    joined = "".join(names)
    return not joined.isalpha() and _DIGIT.search(joined) is not None


def padded(parts: list[str]) -> bytes:
    """The parts joined, in UTF-8, as `matching` wants it."""
    return SEPARATOR.join(parts).encode("utf-8", "surrogatepass") + PAD


def edges(texts: list[str]) -> bytes:
    """The same of texts each of which is known, for what is cut up over several: long ones without their
    middle."""
    if max(map(len, texts), default=0) <= 2 * EDGE:
        return padded(texts)
    runs: list[list[str]] = [[]]
    for text in texts:
        if len(text) <= 2 * EDGE:
            runs[-1].append(text)
        else:
            runs[-1].append(text[:EDGE])
            runs.append([text[-EDGE:]])
    return b"\xff".join(SEPARATOR.join(run).encode("utf-8", "surrogatepass") for run in runs) + PAD


_Columns = dict[str, list[str]]
_Numbers = list[int | float]
_NO_TEXTS: list[str] = []
"""The column of a name without strings. Never changed: there may be as many such names as numbers."""


def _gather_list(
    value: Iterable[Json],
    name: str,
    columns: _Columns,
    document: list[str],
    numbers: _Numbers,
    tables: list[None],
    depth: int,
) -> None:
    if not depth:
        raise InspectionError(f"nested deeper than {DEPTH} levels")
    column = columns.get(name, _NO_TEXTS)
    if column is _NO_TEXTS:
        column = columns[name] = []
    for child in value:
        kind = type(child)
        if kind is str:
            column.append(child)
            document.append(child)
        elif kind is dict:
            _gather_dict(child, columns, document, numbers, tables, depth - 1)
        elif kind is list:
            tables.append(None)
            _gather_list(child, name, columns, document, numbers, tables, depth - 1)
        elif kind is int or kind is float:
            numbers.append(child)
        elif child is not None and kind is not bool:
            raise InspectionError("not a JSON value")


def _gather_dict(
    value: dict[str, Json],
    columns: _Columns,
    document: list[str],
    numbers: _Numbers,
    tables: list[None],
    depth: int,
) -> None:
    if not depth:
        raise InspectionError(f"nested deeper than {DEPTH} levels")
    for name, child in value.items():
        kind = type(child)
        column = columns.get(name, _NO_TEXTS)
        if column is _NO_TEXTS:
            column = columns[name] = [] if kind is str else _NO_TEXTS
        if kind is str:
            column.append(child)
            if name != LABEL:
                document.append(child)
        elif kind is int or kind is float:
            numbers.append(child)
        elif kind is dict:
            _gather_dict(child, columns, document, numbers, tables, depth - 1)
        elif kind is list:
            _gather_list(child, name, columns, document, numbers, tables, depth - 1)
        elif child is not None and kind is not bool:
            raise InspectionError("not a JSON value")


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
        self._columns: Mapping[str, Iterator[str]] = {
            name: iter([next(rest) for _ in column]) for name, column in leaves.columns.items()
        }
        self._numbers = iter([next(rest) for _ in leaves.numbers])
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
            return self._leaf(next(self._columns[name]), path)
        if kind is int or kind is float:
            new = next(self._numbers)
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
                new = next(self._columns[name])
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


class Layout:
    """Where each part is in the joined bytes."""

    __slots__ = ("starts",)

    def __init__(self, parts: Iterable[str]) -> None:
        self.starts = array("L", [0])
        at = 0
        for part in parts:
            at += 1 + (len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass")))
            self.starts.append(at)

    def count(self, start: int, end: int) -> int:
        """How many parts a span lies in, those without text too."""
        return bisect_left(self.starts, end) - bisect_right(self.starts, start) + 1

    def touched(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The parts that a span lies in: index, and start and end within the part."""
        index = bisect_right(self.starts, start) - 1
        while index < len(self.starts) - 1 and self.starts[index] < end:
            base, after = self.starts[index], self.starts[index + 1] - 1
            first, last = max(start, base), min(end, after)
            if first < last:
                yield index, first - base, last - base
            index += 1
