"""A random value whose pieces follow one another with other text between, none of which counts alone.

Shards are pieces of four characters and more: cells of a table, lines of a log, members, strings that a
program joins. Four characters prove nothing, so a chain has to come to most of the value, or to CHAIN
characters of a long one. Words, lines and hashes make no such chain.

Separated runs are what is left of a value with its marks escaped: `a$b` as `a=24b`, `a\\PYZdl{}b` or
`a</i><i>$</i><i>b`. No encoder is known here. The value says where its marks are, so its runs of letters and
digits are followed over whatever an encoder writes, with a mark in it. A run counts by how improbable it is:
the more characters it has and the nearer the last one is, the more.

Law of this file: nobody learns whether a piece is right until nearly all are.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import looks_random
from mcpguard.core.redaction.held.blocks import Piece, Run
from mcpguard.core.redaction.held.fragments import LEAST as ALONE
from mcpguard.core.redaction.held.fragments import UnguessablePiece
from mcpguard.core.redaction.held.payloads import HEXADECIMAL

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
_FAR_APART = 16

_WINDOW = CHAIN * (PIECE + _LOST - 1) // PIECE + PIECE

_ENOUGH = 38
"""Bits: as many as the eight capitals that count where a value is scattered."""
_FAR = 96
"""Characters between two runs: a mark in a tag of its own, between two tags."""
_MIXED, _ALIKE = 6, 3
"""Bits of a character, in a run that only random values have, and in one of a word, a number or an escape."""
_RARE = 12
"""Bits of a run that is searched for: two characters of any kind, or four of hexadecimal."""
_SURE = 18
"""Bits of any other run that is searched for, so that half of a long value is found too."""
_LONGEST = 128
"""Characters of a value."""
_TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=")
"""What few encoders escape, and none that is not known."""
_KINDS = 3
"""Kinds of marks that no name has. With as many a value is random, if less than a third of it is words."""
_MOST = 3
"""Places of a run from which the next one is looked for: a short one is in what an encoder writes, too."""

_RUN = expression(rb"[A-Za-z0-9]+")
_OF_ONE_KIND = expression(rb"[A-Z][a-z]{2,}|[a-z]+|[A-Z]+|[xu]?[0-9a-f]+|[XU]?[0-9A-F]+")
_WORD = expression(rb"[A-Z]?[a-z]{4,}|[A-Z]{4,}|[0-9]{4,}")
_SYLLABLE = expression(rb"[A-Z]?[a-z]{3,}|[A-Z][a-z]{2}")
_OF_PASSWORDS = frozenset("!\"#$%&'()*;<>?@[\\]^`{|}")
_MARK = expression(rb"[^A-Za-z0-9]")
_END = b"\xff"
"""Of a text, or of a piece of one."""


class Shards(Piece, frozen=True):
    """A core of a value, to be found in pieces."""

    leads_on = True

    @property
    def least(self) -> int:
        """How many characters of it count."""
        return min(CHAIN, len(self.text) * _PART[0] // _PART[1])

    def cost(self, found: int) -> int:
        """It is looked at what stands before and behind."""
        return 1 if found else 16

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Letters alone are in words, digits in times."""
        step = next((step for size, step in _STEPS if len(self.text) <= size), _FAR_APART)
        for begin in range(0, len(self.text) - PIECE + 1, step):
            for at in range(begin, min(begin + step, len(self.text) - PIECE + 1)):
                block = self.text[at : at + PIECE]
                if not block.isalpha() and not block.isdigit():
                    yield block, at
                    break

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        """A chain that goes on beyond it has CHAIN characters before."""
        first = max(0, at - _WINDOW)
        yield at - first, self.text[first : at + PIECE + _WINDOW]

    def runs(self, seen: bytes, end: int, at: int) -> list[Run]:
        """The pieces of the chain, or that alone which counts alone."""
        first, last, low, high = self._widened(seen, end - PIECE, at, 0)
        if last - first >= ALONE:
            return [(first, last)]
        pieces = [(first, last)]
        size = high - low
        while ahead := self._next(seen, last, high):
            first, last, begin, high = ahead
            size += high - begin
            pieces.append((first, last))
        while behind := self._before(seen, pieces[0][0], low):
            first, last, low, stop = behind
            size += stop - low
            pieces.insert(0, (first, last))
        return pieces if len(pieces) > 1 and size >= self.least else []

    def said(self, seen: bytes, runs: list[Run], end: int) -> Iterator[bytes]:
        """What counts alone is a run of a core too."""
        if len(runs) > 1:
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


class WeighedRun(NamedTuple):
    """Letters and digits between two marks, and how many bits it takes to guess them."""

    text: bytes
    bits: int


class SeparatedRuns(Piece, frozen=True):
    """The runs of a value. `size` is how far they reach at most with what is between them."""

    each: tuple[WeighedRun, ...]
    size: int
    leads_on = True

    def cost(self, found: int) -> int:
        """Each run is followed from the one before."""
        return 16 * len(self.each) if found else 32 + 4 * len(self.each)

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """What is searched for in the text itself, and which of the runs it is."""
        said = [run.bits for run in self.each]
        for at in [at for at, bits in enumerate(said) if bits >= _SURE] or [said.index(max(said))]:
            yield self.each[at].text, at

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        """All of it, since no part is known to be in a text that has it."""
        yield at, self.text

    def runs(self, seen: bytes, end: int, at: int) -> list[Run]:
        """All from the first run that is there to the last."""
        run = self.each[at]
        start = end - len(run.text)
        after, more = _followed(seen[end : end + self.size].partition(_END)[0], self.each[at + 1 :])
        # Backwards it is the same.
        ahead = (WeighedRun(one.text[::-1], one.bits) for one in self.each[:at][::-1])
        before, less = _followed(seen[max(0, start - self.size) : start].rpartition(_END)[2][::-1], ahead)
        return [(start - before, end + after)] if less + run.bits + more >= _ENOUGH else []


def _followed(text: bytes, runs: Iterable[WeighedRun]) -> tuple[int, int]:
    """How far these `runs` follow one another from the beginning of `text` on, and how many bits they say."""
    ends = {0: 0}
    for run in runs:
        marks = {end: mark.start() for end in ends if (mark := _MARK.search(text, end, end + _FAR))}
        found: dict[int, int] = {}
        most = max(ends) + _FAR + len(run.text)
        place = text.find(run.text, min(marks.values()) + 1, most) if marks else -1
        while place >= 0 and len(found) < _MOST:
            near = [
                ends[end] + max(0, run.bits + 1 - (place - end).bit_length())
                for end, mark in marks.items()
                if mark < place <= end + _FAR
            ]
            if near:
                found[place + len(run.text)] = max(near)
            place = text.find(run.text, place + 1, most)
        if not found:
            break
        ends = found
    return max(ends.items(), key=lambda one: one[1])


def separated(values: Iterable[str]) -> Iterator[SeparatedRuns]:
    """What is looked for of some values: of each that is random, and has marks that tokens do not have."""
    for value in values:
        if len(value) > _LONGEST or _TOKEN.issuperset(value):
            continue
        text = value.encode("utf-8", "surrogatepass")
        each = tuple(WeighedRun(run, _bits(run)) for run in _RUN.findall(text))
        said = [run.bits for run in each]
        if max(said, default=0) < _RARE or sum(said) < _ENOUGH:
            continue
        if looks_random(value) or _is_password(value, each):
            yield SeparatedRuns(text, each, len(text) + _FAR * len(each))


def _is_password(value: str, runs: Iterable[WeighedRun]) -> bool:
    words = sum(len(run.text) for run in runs if _SYLLABLE.fullmatch(run.text))
    return len(_OF_PASSWORDS.intersection(value)) >= _KINDS and words * 3 < sum(len(run.text) for run in runs)


def _bits(run: bytes) -> int:
    """No run says enough alone, and words say nothing."""
    rest = _WORD.sub(b"", run)
    return min(len(rest) * (_ALIKE if _OF_ONE_KIND.fullmatch(rest) else _MIXED), _ENOUGH - 1)
