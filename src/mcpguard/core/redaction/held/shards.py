"""A random value in pieces that are too short to count alone, with other text between: cells of a table,
lines of a log, members, strings that a program joins.

Law of this file: four characters prove nothing, so what is found is a chain. Its pieces follow one another
in the value and in the text, and come to most of the value or to CHAIN characters of a long one. Words,
lines and hashes make no such chain, and nobody learns whether a piece is right until nearly all are.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from mcpguard.core.redaction.held.fragments import HEXADECIMAL, UnguessablePiece
from mcpguard.core.redaction.held.fragments import LEAST as ALONE

LEAST = 16
"""Characters of a skeleton. What is random in a shorter value is met by chance."""
PIECE = 4
CHAIN = 40

_PART = 7, 10
_REACH = 400
"""Characters of a skeleton that may stand between two pieces."""
_LOST = 4
"""Characters that may be missing between two pieces: what follows a piece may go on as the value does."""
_STEPS = ((48, 3), (128, 7))
_FAR = 16

_WINDOW = CHAIN * (PIECE + _LOST - 1) // PIECE + PIECE

Piece = tuple[int, int]


class Shards(NamedTuple):
    """A core of a value, to be found in pieces."""

    text: bytes

    @property
    def cost(self) -> int:
        """Triggers of a budget where it leads to nothing: it is looked at what stands before and behind."""
        return 16

    @property
    def least(self) -> int:
        """How many characters of it count."""
        return min(CHAIN, len(self.text) * _PART[0] // _PART[1])

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """What is searched for, and where it is in the core. Letters alone are in words, digits in times."""
        step = next((step for size, step in _STEPS if len(self.text) <= size), _FAR)
        for begin in range(0, len(self.text) - PIECE + 1, step):
            for at in range(begin, min(begin + step, len(self.text) - PIECE + 1)):
                block = self.text[at : at + PIECE]
                if not block.isalpha() and not block.isdigit():
                    yield block, at
                    break

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        """What decides whether a block that begins at `at` leads to anything: a chain that goes on beyond it
        has CHAIN characters before."""
        first = max(0, at - _WINDOW)
        yield at - first, self.text[first : at + PIECE + _WINDOW]

    def runs(self, skeleton: bytes, end: int, at: int) -> list[Piece]:
        """Around a block that ends at `end` of `skeleton` and begins at `at` of the core: the pieces of the
        chain that it is in, none where there is too little of one, and that alone which counts alone."""
        first, last, low, high = self._widened(skeleton, end - PIECE, at, 0)
        if last - first >= ALONE:
            return [(first, last)]
        pieces = [(first, last)]
        size = high - low
        while ahead := self._next(skeleton, last, high):
            first, last, begin, high = ahead
            size += high - begin
            pieces.append((first, last))
        while behind := self._before(skeleton, pieces[0][0], low):
            first, last, low, stop = behind
            size += stop - low
            pieces.insert(0, (first, last))
        return pieces if len(pieces) > 1 and size >= self.least else []

    def said(self, _bones: bytes, _runs: list[Piece], _end: int, _at: int) -> Iterator[bytes]:
        """What such a chain says of the value."""
        yield self.text

    def _widened(self, skeleton: bytes, first: int, at: int, floor: int) -> tuple[int, int, int, int]:
        """How far `skeleton` and the core are the same around PIECE characters: in the one, and in the
        other."""
        text, low, last, high = self.text, at, first + PIECE, at + PIECE
        while low and first > floor and skeleton[first - 1] == text[low - 1]:
            first -= 1
            low -= 1
        most = len(text)
        while high < most and skeleton[last] == text[high]:
            last += 1
            high += 1
        return first, last, low, high

    def _next(self, skeleton: bytes, last: int, high: int) -> tuple[int, int, int, int] | None:
        text, find, most = self.text, skeleton.find, last + _REACH
        for at in range(high, min(high + _LOST, len(text) - PIECE + 1)):
            place = find(text[at : at + PIECE], last, most)
            if place >= 0:
                first, last, _, high = self._widened(skeleton, place, at, place)
                return first, last, at, high
        return None

    def _before(self, skeleton: bytes, first: int, low: int) -> tuple[int, int, int, int] | None:
        text, least = self.text, max(0, first - _REACH)
        for stop in range(low, max(low - _LOST, PIECE - 1), -1):
            place = skeleton.rfind(text[stop - PIECE : stop], least, first)
            if place >= 0:
                begin, at = place, stop - PIECE
                while at and begin and skeleton[begin - 1] == text[at - 1]:
                    begin, at = begin - 1, at - 1
                return begin, place + PIECE, at, stop
        return None


def shards(cores: tuple[UnguessablePiece, ...]) -> Iterator[Shards]:
    """Those of the cores of a value that are long enough."""
    for core in cores:
        if len(core.text) >= LEAST:
            yield Shards(core.text)


_P = TypeVar("_P", UnguessablePiece, Shards)


def without_parts(found: Iterable[_P]) -> tuple[_P, ...]:
    """Those that are not within another one in which as little counts: what is found of a part is found of
    the whole too. Of digits of a dump the rest of the row is found with them."""
    each = tuple(dict.fromkeys(found))
    return tuple(
        one
        for one in each
        if HEXADECIMAL.issuperset(one.text)
        or not any(one is not two and one.least >= two.least and one.text in two.text for two in each)
    )
