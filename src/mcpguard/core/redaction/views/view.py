"""A view of a text, and for each place in it where that comes from."""

import re
from bisect import bisect_right

SEPARATOR = b"\x1f"
_WHITE = b" \t\n\r\x0b\x0c\x1f"
_KEPT = re.compile(rb"(?:[^\s\x1f\\]++|\\(?![nr]))++")

Size = tuple[int, int]
"""How much of a piece comes from how much: so many bytes from so many characters."""

WHOLE: Size = (1, 1)
"""A piece that is there as it stands."""
REPLACED: Size = (0, 0)
"""A piece all of whose bytes come from all of it."""


class View:
    """`text`, which ends in PAD, is made of pieces of `outer`, None where it is the text itself."""

    __slots__ = ("_flat", "_made", "_outer", "_pieces", "text")

    def __init__(self, text: bytes, outer: "View | None" = None) -> None:
        self.text = text
        self._outer = outer
        self._made: list[int] = []
        self._pieces: list[tuple[int, int, Size]] = []
        self._flat: Flat | None = None

    def add(self, made: int, start: int, end: int, size: Size) -> None:
        """A piece that begins at `made`, of what `outer` has from `start` to `end`."""
        self._made.append(made)
        self._pieces.append((start, end, size))

    @property
    def flat(self) -> "Flat":
        """The same without what stands between its leaves."""
        if self._flat is None:
            self._flat = Flat(self)
        return self._flat

    def place(self, start: int, end: int) -> tuple[int, int]:
        """What is at `start` to `end` here, in the text that all is a view of."""
        if self._outer is None:
            return start, end
        return self._outer.place(self.at(start), self.at(end - 1, 1))

    def at(self, place: int, more: int = 0) -> int:
        """Where in `outer` the byte at `place` begins; with `more`, 1, where it ends."""
        piece = bisect_right(self._made, place) - 1
        start, end, (wide, narrow) = self._pieces[piece]
        if not wide:
            return end if more else start
        offset = (place - self._made[piece] + more) * narrow
        return min(end, start + (-(-offset // wide) if more else offset // wide))


class Flat(View):
    """A view without its separators, so that what was cut up is in one piece; `bounds` is where each leaf but
    the first begins."""

    __slots__ = ("_bounds", "source")

    def __init__(self, outer: View) -> None:
        super().__init__(outer.text.replace(SEPARATOR, b""), outer)
        self.source = outer.text
        self._bounds: list[int] | None = None

    @property
    def bounds(self) -> list[int]:
        """Found when they are first needed: most texts hold nothing."""
        if self._bounds is None:
            self._bounds, size = [], 0
            for leaf in self.source.split(SEPARATOR)[:-1]:
                size += len(leaf)
                self._bounds.append(size)
        return self._bounds

    def at(self, place: int, more: int = 0) -> int:
        return place + bisect_right(self.bounds, place) + more


class Bare(View):
    """A view without its separators, white space and the ends of lines as JSON writes them: what an encoder
    has put into lines is in one piece."""

    __slots__ = ("_source",)

    def __init__(self, outer: View) -> None:
        super().__init__(bare(outer.text), outer)
        self._source = outer.text

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            size = 0
            for found in _KEPT.finditer(self._source):
                self.add(size, *found.span(), WHOLE)
                size += len(found[0])
        return super().at(place, more)


def bare(text: bytes) -> bytes:
    """`text` as `Bare` has it."""
    return text.replace(b"\\n", b"").replace(b"\\r", b"").translate(None, _WHITE)
