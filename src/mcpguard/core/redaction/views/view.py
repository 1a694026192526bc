"""A view of a text, and for each place in it where that comes from."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import accumulate

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, Matcher
from mcpguard.core.redaction.engine.patterns import shapes

SEPARATOR = b"\x1f"
GAP = b"\xff"
"""Stands between pieces that have nothing to do with one another. It never occurs in UTF-8."""

_SLICE = 256 * 1024
_LONGEST_ESCAPE = 64
_ESCAPES = (b"%", b"\\", b"&", b"<", b"=", b"\x1b")
_WINDOW, _BEFORE = 4 * 1024, 256
"""Bytes that are searched for the signs of a disguise at once, and before these, where one may begin."""
ENOUGH = 64 * 1024
"""Bytes that were decoded and are a view of their own."""

_PADDING = expression(rb"(?:o|DQo|Cgo)?={1,2}(?![A-Za-z0-9+/=])")
"""It fills up the letters of base64; ahead of it those of a line end that the decoded text ends with."""
_BREAK = expression(rb"[\s\\\x1f]")

Size = tuple[int, int]
"""How much of a piece comes from how much: so many bytes from so many characters."""

WHOLE: Size = (1, 1)
"""A piece that is there as it stands."""
REPLACED: Size = (0, 0)
"""A piece all of whose bytes come from all of it."""
SQUEEZED: Size = (-1, 0)
"""A piece that is there without its separators."""


def lines_of(width: int, ends: int) -> Size:
    """A piece that is made of lines of `width` bytes, behind each of which `ends` bytes are left out."""
    return width, -ends


class View:
    """`text`, which ends in PAD, is made of pieces of `outer`, None where it is the text itself. `stretches`:
    lines may be joined that have nothing to do with one another, so that what begins in `outer` is no longer
    here. `joined`: it is nothing but such lines. `weight`: as so many hits counts each thing that is found.
    `signs` tells those of its text, where it was read already.
    """

    __slots__ = (
        *("_from", "_late", "_made", "_outer", "_sizes", "_squeezed"),
        *("joined", "signs", "stretches", "text", "weight"),
    )

    def __init__(self, text: bytes, outer: "View | None" = None) -> None:
        self.text = text
        self.signs: Callable[[Budget], set[int]] | None = None
        self.joined = self.stretches = False
        self._outer = outer
        self.weight: int = 1 if outer is None else outer.weight
        if outer is not None:
            # Plain numbers in a row: there may be as many pieces as bytes.
            self._made, self._from, self._sizes = array("I"), array("I"), array("h")
            self._squeezed = -1, array("I")
            self._late: list[tuple[int, int, Callable[[], Iterable[int]]]] = []

    def add(self, made: int, start: int, end: int, size: Size) -> None:
        """A piece that begins at `made`, of what `outer` has from `start` to `end`."""
        self._made.append(made)
        self._from.append(start)
        self._from.append(end)
        self._sizes.extend(size)

    def add_each(self, made: int, begins: Sequence[int], places: Iterable[int]) -> None:
        """The same for pieces that are REPLACED, of what begins at `made`."""
        self._made.extend(map(made.__add__, begins))
        self._from.extend(places)
        self._sizes.frombytes(bytes(2 * self._sizes.itemsize * len(begins)))

    def add_late(self, made: int, count: int, places: Callable[[], Iterable[int]]) -> None:
        """The same for `count` pieces of a byte each, whose places are asked for when something is found.
        A view has either these or others."""
        self._late.append((made, count, places))

    def place(self, start: int, end: int) -> tuple[int, int]:
        """What is at `start` to `end` here, in the text that all is a view of."""
        if self._outer is None:
            return start, end
        start, end = self._outer.place(self.at(start), self.at(end - 1, 1))
        return start, end if self.weight == self._outer.weight else self._padded(end)

    def _padded(self, end: int) -> int:
        """`end`, behind the signs that fill up the last letters of base64: a line that ends with one looks
        like a line that is cut, and the sign is not part of what is decoded."""
        root = self
        while root._outer is not None:
            root = root._outer
        found = _PADDING.match(root.text, end)
        return found.end() if found else end

    def before_a_break(self, start: int, end: int) -> bytes:
        """What is at `start` to `end` here, up to where `outer` has something that is left out here."""
        piece = (self._outer or self).text[self.at(start) : self.at(end - 1, 1)]
        found = _BREAK.search(piece)
        return piece[: found.start()] if found else piece

    def at(self, place: int, more: int = 0) -> int:
        """Where in `outer` the byte at `place` begins; with `more`, 1, where it ends."""
        for made, count, places in self._late:
            self.add_each(made, range(count), places())
        self._late.clear()
        piece = bisect_right(self._made, place) - 1
        start, end = self._from[2 * piece : 2 * piece + 2]
        wide, narrow = self._sizes[2 * piece : 2 * piece + 2]
        if not wide:
            return end if more else start
        offset = place - self._made[piece]
        if wide < 0:
            return start + offset + bisect_right(self._ends_of_leaves(start, end), offset) + more
        if narrow < 0:
            return start + offset - offset // wide * narrow + more
        offset = (offset + more) * narrow
        return min(end, start + (-(-offset // wide) if more else offset // wide))

    def _ends_of_leaves(self, start: int, end: int) -> "array[int]":
        """Where each leaf of a squeezed piece ends in it. What is asked next is mostly in the same."""
        if self._outer is not None and self._squeezed[0] != start:
            self._squeezed = start, _ends(self._outer.text[start:end])
        return self._squeezed[1]


def _ends(text: bytes) -> "array[int]":
    ends, size = array("I"), 0
    for at in range(0, len(text), ENOUGH):  # Not at once: there may be as many leaves as bytes.
        sums = array("I", accumulate(map(len, text[at : at + ENOUGH].split(SEPARATOR)), initial=size))
        ends += sums[1:-1]
        size = sums[-1]
    return ends


class FlatView(View):
    """A view without its separators, so that what was cut up is in one piece; `bounds` is where each leaf but
    the first begins."""

    __slots__ = ("_bounds", "source")

    def __init__(self, outer: View, text: bytes | None = None) -> None:
        """`text` is what it comes to, where that is known."""
        super().__init__(outer.text.replace(SEPARATOR, b"") if text is None else text, outer)
        self.source = outer.text
        self._bounds: array[int] | None = None

    @property
    def bounds(self) -> "array[int]":
        """Found when they are first needed: most texts hold nothing."""
        if self._bounds is None:
            self._bounds = _ends(self.source)
        return self._bounds

    def at(self, place: int, more: int = 0) -> int:
        return place + bisect_right(self.bounds, place) + more


class ViewBuilder:
    """A view in the making."""

    def __init__(self, outer: View) -> None:
        self._outer = outer
        self._view = View(b"", outer)
        self._text = bytearray()

    def add(self, plain: bytes, start: int, end: int, size: Size = REPLACED) -> None:
        """`plain` comes from what the outer view has from `start` to `end`."""
        self._view.add(len(self._text), start, end, size)
        self._text += plain

    def add_each(self, plain: bytes, begins: Sequence[int], places: Iterable[int]) -> None:
        """Pieces at once, all of whose bytes come from all of each: where each begins in `plain`, and in
        pairs from where to where in the outer view it comes."""
        self._view.add_each(len(self._text), begins, places)
        self._text += plain

    def add_late(self, plain: bytes, places: Callable[[], Iterable[int]]) -> None:
        """Pieces of a byte each, as `View.add_late` has them."""
        self._view.add_late(len(self._text), len(plain), places)
        self._text += plain

    @property
    def size(self) -> int:
        """How many bytes it has so far."""
        return len(self._text)

    def gap(self) -> None:
        """What is added from now on has nothing to do with what was."""
        self._text += GAP

    def made(self, stretches: bool = False) -> View | None:
        """The view, None of no pieces; what is added from now on is another one. `stretches`: it is made of
        lines that may have nothing to do with one another."""
        if not self._text:
            return None
        made, self._view = self._view, View(b"", self._outer)
        self._text += PAD
        made.text, self._text = bytes(self._text), bytearray()
        made.joined = made.stretches = stretches
        return made

    def parts(self, least: int = 0) -> Iterator[View]:
        """The same, where it has more than `least` bytes."""
        if self.size > least and (made := self.made()):
            yield made


def slices(text: bytes, most: int = _SLICE) -> Iterator[tuple[int, int]]:
    """`text` without its PAD in stretches of whole lines, where it has such, and else of whole characters and
    escapes: while one is looked through no other thread runs."""
    at, size = 0, len(text) - len(PAD)
    while at < size:
        end = min(size, at + most)
        if end < size:
            line = max(text.rfind(b"\n", at, end), text.rfind(SEPARATOR, at, end)) + 1
            end = line or max(at + 1, _before_an_escape(text, at + most))
        yield at, end
        at = end


Window = tuple[int, int, set[int]]
"""From where to where in a text, and the indices of the patterns that are there."""


def windows(text: bytes, table: str, signs: Iterable[str]) -> Iterator[Window]:
    """All of `text`, in windows of a few kilobytes; `signs` are the patterns, compiled as `table`."""
    matcher = shapes(table, *signs)
    for at, stop in slices(text, _WINDOW):
        yield at, stop, _found(matcher, text[max(0, at - _BEFORE) : stop] + PAD)


def _found(matcher: Matcher, padded: bytes) -> set[int]:
    found: set[int] = set()
    matcher.search(padded, lambda index, *_: found.add(index))
    return found


def near(found: Iterable[Window], wanted: Container[int] | None = None) -> Iterator[tuple[int, int]]:
    """What is searched with an expression, which takes ten times as long as to look for signs: the stretches
    in which there is one of the `wanted` patterns, by default any, with a window before and behind them."""
    begin, before, end, quiet = -1, 0, 0, 0
    for at, stop, indices in found:
        if indices if wanted is None else any(map(wanted.__contains__, indices)):
            begin, quiet = begin if begin >= 0 else before, 0
        elif begin >= 0:
            quiet += 1
            if quiet > 1:
                if begin < end:
                    yield begin, end
                begin = -1
        if begin >= 0 and stop - begin >= _SLICE:  # While one is looked through no other thread runs.
            yield begin, stop
            begin = stop
        before, end = at, stop
    if 0 <= begin < end:
        yield begin, end


def _before_an_escape(text: bytes, end: int) -> int:
    """Where the last escape begins before `end`, or the last character."""
    least = end - _LONGEST_ESCAPE
    begin = max(text.rfind(one, least, end) for one in _ESCAPES)
    if begin < 0:
        return end - next(back for back in range(_LONGEST_ESCAPE) if text[end - back] & 0xC0 != 0x80)
    return least + len(text[least:begin].rstrip(b"\\"))
