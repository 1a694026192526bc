"""The strings and numbers of a JSON value, laid side by side to be scanned once.

Law of this file: they have one order, in which `rebuilding` puts them back. Strings are ordered by the name
of the member that holds them, so that the texts of several content blocks stand side by side, whatever
else the blocks have in them; then come the numbers, then the distinct names. What stands side by side in the
value itself is another order of the same.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property, lru_cache
from itertools import accumulate, chain, islice, repeat
from operator import eq, methodcaller
from typing import cast

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors.named.objects import NumberedLeaf
from mcpguard.core.redaction.engine.matching import PAD

DEPTH = 128
"""Levels of nesting that are inspected; a deeper value is refused."""

SEPARATOR = "\x1f"

LABEL = "type"
"""The member whose text says only of what type a content block is, and stands between what the blocks say."""

EDGE = 512
"""Characters at each end of a long text that may belong to something that is cut up over several."""


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

    def become(self, other: "Leaves") -> None:
        """Be as another one. What was here is given back, whoever refers to it."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def naming(self) -> list[str]:
        """The names of members that have a string or members below them, and not only numbers."""
        return [name for name, column in self.columns.items() if column is not _NOTHING]

    def parts(self) -> list[str]:
        """All leaves in their order."""
        parts = [*chain.from_iterable(self.columns.values())]
        if self.numbers:
            parts += self._written(1)
        parts += self.columns
        return parts

    def text(self) -> tuple[bytes, int]:
        """What `padded` makes of them, without a text for each of many numbers, which take 50 bytes each; and
        how many they are."""
        texts = [*chain.from_iterable(self.columns.values())]
        count = len(texts) + len(self.numbers) + len(self.columns)
        if self.numbers:
            texts += self._written(_AT_ONCE)
        texts += self.columns
        # As `padded` does, on the road of every answer.
        return SEPARATOR.join(texts).encode("utf-8", "surrogatepass") + PAD, count

    def _written(self, each: int) -> Iterable[str]:
        """The numbers as JSON has them, in texts of so `each` many of them where there are many."""
        numbers = self.numbers
        if len(numbers) < _MANY:
            return map(repr, numbers)
        if each > 1:
            slices = (numbers[at : at + each] for at in range(0, len(numbers), each))
            return (SEPARATOR.join(map(repr, some)) for some in slices)
        return map(lru_cache(_KNOWN, typed=True)(repr), numbers)

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

    def reordered(self) -> bool:
        """Whether `document` has a different order than `parts`."""
        if len(self.document) < 2:
            return False
        columns: Iterable[list[str]] = self.columns.values()
        if LABEL in self.columns:
            columns = [column for name, column in self.columns.items() if name != LABEL]
        return not all(map(eq, self.document, chain.from_iterable(columns)))

    def orders(self) -> "Iterator[Order]":
        """The orders in which the leaves may say something together: as `parts` has them; as they stand in
        the value; and where a name has a digit, so that it may be a piece of something, each leaf behind its
        name."""
        yield AS_THEY_ARE
        if self.reordered():
            yield Order(lambda: self._indices(named=False), lambda: edges(self.document))
        if has_digit(self.columns):
            yield self.named()

    def named(self) -> "Order":
        """That of all leaves as they stand, each behind its name."""
        return Order(lambda: self._indices(named=True), self.named_text)

    def named_text(self) -> bytes:
        """`edges` of the leaves as they stand, each behind its name: few at a time, since there may be as
        many as bytes."""
        texts: list[str] = []
        done: list[bytes] = []

        def write() -> None:
            done.append(edges(texts)[: -len(PAD)])
            texts.clear()

        _name(self.value, texts, write)
        return SEPARATOR.encode().join([*done, edges(texts)])

    def _indices(self, named: bool) -> "array[int]":
        """The indices of the strings as they stand; `named`: and of the numbers, each behind its name."""
        strings, numbers = self._strings(), self.numbered()
        names = {name: index for index, name in enumerate(self.columns, numbers.stop)} if named else None
        made = array("I")
        _lay(self.value, "", made.append, (strings, iter(numbers), names.__getitem__ if names else None))
        return made

    def pointers(self) -> dict[int, str]:
        """The JSON Pointer (RFC 6901) of each string and number, by its index among the parts."""
        made: dict[int, str] = {}
        _point(self.value, "", "", made, (self._strings(), iter(self.numbered()), None))
        return made

    def placed(self, names: Set[str]) -> Iterator[tuple[str, int, str]]:
        """The strings under these names: name, where it starts in the joined bytes, string."""
        left = len(names & self.columns.keys())
        at = 0
        for name, column in self.columns.items():
            if not left:
                return
            if name not in names:
                at += len(SEPARATOR.join(column).encode("utf-8", "surrogatepass")) + 1 if column else 0
                continue
            left -= 1
            for text in column:
                yield name, at, text
                at += len(text.encode("utf-8", "surrogatepass")) + 1


_MANY = 1_000
"""Numbers of which some are likely to be equal."""
_KNOWN = _AT_ONCE = 4_096


_Rest = tuple[Mapping[str, Iterator[int]], Iterator[int], Callable[[str], int] | None]
"""What is laid for the strings of each name and for the numbers, in their order, and for a name."""


def _name(value: Json, texts: list[str], write: Callable[[], None]) -> None:
    """Add all leaves as they stand, each behind its name, to `texts`, which `write` empties."""
    kind = type(value)
    if len(texts) >= _AT_ONCE:
        write()
    if kind is list or kind is dict:
        children: Iterable[Json] = value.values() if kind is dict else value
        if len(value) > _MANY and _OF_LEAVES.issuperset(map(type, children)):
            # A step of Python for each takes five times as long.
            each = map(str, children)
            leaves = chain.from_iterable(zip(value, each, strict=True)) if kind is dict else each
            while some := [*islice(leaves, _AT_ONCE)]:
                if texts:
                    write()
                texts += some
        elif kind is dict:
            for name, child in value.items():
                texts.append(name)
                _name(child, texts, write)
        else:
            for child in value:
                _name(child, texts, write)
    elif kind in _OF_LEAVES:
        texts.append(str(value))


def _lay(value: Json, name: str, add: Callable[[int], None], rest: _Rest) -> None:
    """Add something for each string as it stands; with names, for these and for the numbers too."""
    kind, (strings, numbers, named) = type(value), rest
    if kind is str:
        add(next(strings[name]))
    elif kind is list:
        for child in value:
            _lay(child, name, add, rest)
    elif kind is dict:
        for below, child in value.items():
            if named is not None:
                add(named(below))
            elif below == LABEL and type(child) is str:
                next(strings[below])
                continue
            _lay(child, below, add, rest)
    elif named is not None and (kind is int or kind is float):
        add(next(numbers))


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


class Order:
    """An order of leaves. `edges` makes those of the leaves in it."""

    def __init__(
        self, indices: "Callable[[], array[int]] | None" = None, edges: Callable[[], bytes] = bytes
    ) -> None:
        self._make = indices
        self.edges = edges

    @cached_property
    def indices(self) -> "array[int] | None":
        """Of `Leaves.parts`; None for their own order. Made when asked for: mostly nothing is there."""
        return self._make() if self._make else None

    def arranged(self, parts: list[str]) -> list[str]:
        """The parts in this order."""
        return parts if self.indices is None else [parts[index] for index in self.indices]

    def part(self, place: int) -> int:
        """The index in `parts` of what is at `place` in this order."""
        return place if self.indices is None else self.indices[place]


AS_THEY_ARE = Order()
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
_OF_TEXTS: set[type[object]] = {str}
_OF_NUMBERS: set[type[object]] = {int}
_OF_LEAVES: set[type[object]] = {str, int, float}
_NO_TEXTS: list[str] = []
_NOTHING: list[str] = []
"""The columns of a name without strings, and of one with nothing but numbers, booleans and nulls. Never
changed: there may be as many such names as numbers."""


def _gather_list(
    value: Sequence[Json],
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
    if column is _NO_TEXTS or column is _NOTHING:
        column = columns[name] = []
    if len(value) > _MANY and _gather_at_once(value, column, document, numbers):
        return
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


def _gather_at_once(value: Sequence[Json], column: list[str], document: list[str], numbers: _Numbers) -> bool:
    """Whether all that is in it is of one kind, and gathered: a list that grows is copied again and again."""
    kinds: set[type[object]] = set(map(type, value))
    if kinds == _OF_TEXTS:
        column += cast("list[str]", value)
        document += cast("list[str]", value)
    elif kinds == _OF_NUMBERS:
        numbers += cast(_Numbers, value)
    return kinds in (_OF_TEXTS, _OF_NUMBERS)


def _gather_dict(  # noqa: C901, PLR0912 - on the road of every answer, where a call for each member counts
    value: dict[str, Json],
    columns: _Columns,
    document: list[str],
    numbers: _Numbers,
    tables: list[None],
    depth: int,
) -> None:
    if not depth:
        raise InspectionError(f"nested deeper than {DEPTH} levels")
    if len(value) > _MANY and _members_at_once(value, columns, document, numbers):
        return
    for name, child in value.items():
        kind = type(child)
        if kind is str:
            column = columns.get(name, _NO_TEXTS)
            if column is _NO_TEXTS or column is _NOTHING:
                columns[name] = [child]
            else:
                column.append(child)
            if name != LABEL:
                document.append(child)
        elif kind is dict:
            if columns.setdefault(name, _NO_TEXTS) is _NOTHING:
                columns[name] = _NO_TEXTS
            _gather_dict(child, columns, document, numbers, tables, depth - 1)
        elif kind is list:
            _gather_list(child, name, columns, document, numbers, tables, depth - 1)
        else:
            columns.setdefault(name, _NOTHING)
            if kind is int or kind is float:
                numbers.append(child)
            elif child is not None and kind is not bool:
                raise InspectionError("not a JSON value")


def _members_at_once(
    value: dict[str, Json], columns: _Columns, document: list[str], numbers: _Numbers
) -> bool:
    """Whether all members are of one kind, and gathered: a step of Python for each takes twice as long."""
    kinds: set[type[object]] = set(map(type, value.values()))
    if kinds == _OF_NUMBERS:
        deque(map(columns.setdefault, value, repeat(_NOTHING)), 0)
        numbers += cast("Iterable[int]", value.values())
    elif kinds == _OF_TEXTS and LABEL not in value and columns.keys().isdisjoint(value):
        columns.update(zip(value, map(list, zip(value.values(), strict=True)), strict=True))
        document += cast("Iterable[str]", value.values())
    else:
        return False
    return True


_IN_UTF_8: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")


class Layout:
    """Where each part is in the joined bytes."""

    __slots__ = ("starts",)

    def __init__(self, parts: Sequence[str]) -> None:
        texts = parts if all(map(str.isascii, parts)) else map(_IN_UTF_8, parts)
        self.starts = array("I", accumulate(map((1).__add__, map(len, texts)), initial=0))

    def part(self, place: int) -> tuple[int, int]:
        """The part in which a place is, and where that begins."""
        index = bisect_right(self.starts, place) - 1
        return index, self.starts[index]

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
