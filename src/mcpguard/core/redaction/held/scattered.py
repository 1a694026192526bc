"""A random value spread over rows: pieces of one to three characters, each after a number, a name or a word.

Law of this file: any text contains pieces that short. So only what keeps its order in such rows is compared:
the capitals, since numbers have none and few rows have words in capitals, or else all letters. As many in a
row as nobody can guess count as the value, and everything between them is removed with them.
"""

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import NamedTuple

from mcpguard.core.redaction.held.blocks import Piece, Run
from mcpguard.core.redaction.held.disguise import aligned
from mcpguard.core.redaction.held.fragments import around
from mcpguard.core.redaction.held.reduced import FROM_MARKS, LETTERS

_FEWEST = 8
"""Of 26 letters each: 38 bits."""
_OF_SIX = 14
"""Of the letters of hexadecimal: 36 bits."""
_HEXADECIMAL = frozenset(b"ABCDEF" + b"abcdef".translate(LETTERS))
_PART = 3, 4
_LONGEST_BLOCK = 12
_ENCODED = 128
"""Characters of the longest value that is looked for in base64 spread over rows."""
_ROOM = 2
"""Characters of the value. Rows are not equally long."""
_FAR = 4096
_CAPITALS = bytes(65 <= byte < 91 for byte in range(256))
_ANY_CASE = bytes(65 <= byte & ~32 < 91 for byte in range(256))
_FROM_COMMON = b"ETASINROCDLPMFUGZHBWVYKJXQ"
_FEW = 2


class Rows(NamedTuple):
    """What is found of a value: its `inner` characters, with this many `before` and `after` them."""

    pattern: bytes
    before: int
    inner: int
    after: int

    def widen(self, text: bytes, start: int, end: int) -> tuple[int, int]:
        """The span of all rows, of which those from `start` to `end` were found."""
        each = -(-(end - start) // self.inner)
        gap = b"\n" if b"\n" in text[start:end] else b"\x1f"
        floor = max(0, start - _FAR, text.rfind(b"\xff", 0, start) + 1)
        ceiling = min(text.find(b"\xff", end), end + _FAR)
        first = max(floor, start - each * (self.before + _ROOM)) if self.before else start
        last = min(ceiling, end + each * (self.after + _ROOM)) if self.after else end
        stop = text.find(gap, last, ceiling)
        return max(floor, text.rfind(gap, floor, first) + 1), ceiling if stop < 0 else stop


class ScatteredLetters(Piece, frozen=True):
    """The capitals of a value, or its letters. `at` says where in the value each of them is; `size` is how
    long that is."""

    at: tuple[int, ...]
    size: int

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        yield self.block, self._begin

    @property
    def _begin(self) -> int:
        return len(self.text) - _least(self.text)

    @property
    def block(self) -> bytes:
        """What is searched for: what any run that counts has in it."""
        return self.text[self._begin : _least(self.text)][:_LONGEST_BLOCK]

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        yield 0, self.text[self._begin : _least(self.text)]

    def runs(self, seen: bytes, end: int, at: int) -> list[Run]:
        first, last = around(seen, end - len(self.block), end, self.text, at)
        return [(first, last)] if last - first >= _least(self.text) else []

    def form(self, run: Run, end: int, at: int) -> Rows:
        ahead = end - len(self.block) - at
        begins, ends = self.at[run[0] - ahead], self.at[run[1] - ahead - 1] + 1
        return Rows(self.text, begins, ends - begins, self.size - ends)


def signs(pieces: Iterable[ScatteredLetters]) -> tuple[bytes, bytes]:
    """Of each block of capitals a letter, and of each block of letters one, in lower case. A text without the
    former has no such capitals, and a skeleton without the latter no such letters."""
    capitals, letters = [], []
    for one in pieces:
        if one.text.isupper():
            capitals.append(one.block)
        else:
            letters.append(one.block.translate(FROM_MARKS))
    return _one_of_each(capitals, _FROM_COMMON), _one_of_each(letters, _FROM_COMMON.lower())


def _one_of_each(blocks: list[bytes], from_common: bytes) -> bytes:
    """Few letters, and such as are rare in ordinary text."""
    chosen = []
    while blocks:
        joined = b"".join(blocks)
        cost = {one: _FEW + at for at, one in enumerate(reversed(from_common))}
        chosen.append(max(cost, key=lambda one: joined.count(one) / cost[one]))
        blocks = [block for block in blocks if chosen[-1] not in block]
    return bytes(chosen)


def scattered(stretches: Iterable[str]) -> Iterator[ScatteredLetters]:
    """What is looked for of the stretches of a value, as they are and in base64."""
    for text in stretches:
        encoded = aligned(text.encode()) if len(text) <= _ENCODED else ()
        yield from _of(text)
        for form in encoded:
            yield from _of(form)


def _of(form: str) -> Iterator[ScatteredLetters]:
    """The capitals of a form; where these are too few, its letters."""
    data = form.encode("ascii", "replace")
    for kept in (_CAPITALS, _ANY_CASE):
        at = tuple(compress(range(len(data)), data.translate(kept)))
        found = bytes(compress(data, data.translate(kept)))
        text = found if kept is _CAPITALS else found.translate(LETTERS)
        if len(text) >= _least(text):
            yield ScatteredLetters(text, at, len(form))
            return


def _least(text: bytes) -> int:
    """This many letters in a row count."""
    few = _OF_SIX if _HEXADECIMAL.issuperset(text) else _FEWEST
    return max(few, -(-len(text) * _PART[0] // _PART[1]))
