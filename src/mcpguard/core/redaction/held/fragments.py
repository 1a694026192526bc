"""Pieces of a random value: the beginning that a terminal shows of it, or what stands before some other text.

Law of this file: LEAST characters in a row of a value count as the value, and only those that nobody knows:
not what its format begins with, nor the words in it. So what is matched cannot be found by trying one
character after another.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import looks_random
from mcpguard.core.redaction.held.blocks import Piece, Run
from mcpguard.core.redaction.held.reduced import skeleton_of

LEAST = 12
"""How many characters of a skeleton in a row, with a digit and a letter among them."""
_BLOCK = 8
_STRIDE = 16
_STEP = LEAST - _BLOCK + 1
"""A block begins at each so many characters, so that LEAST in a row have a whole one in them."""

_TOKEN = expression(r"[\w+/.~:$-]{16,}={0,2}", re.ASCII)
_BEGINNING = expression(
    r"(?:[a-z]{2,10}[-_]|[A-Z]{2,6}[-_.]){1,3}|AKIA|ASIA|AIza|SG\.|ya29\.|gh[a-z]_|glpat-|eyJ[\w-]+\.[\w-]{0,24}"
)
_COMPOSITE = expression(r"\s|://")
_RUN = expression(r"[A-Za-z0-9]+|[^A-Za-z0-9]+")
_WORD = expression(r"[A-Z]?[a-z]{3,}[0-9]{0,4}|[A-Z]{4,}|[0-9]{4,}")
_ARMOUR = "PRIVATE KEY-----"
_LINE = expression(r"\\[nr]|[\n\r]")


class UnguessablePiece(Piece, frozen=True):
    """A stretch of the skeleton of a value that nobody can guess."""

    @property
    def least(self) -> int:
        """How many characters of it count."""
        return LEAST

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        for at in range(0, len(self.text) - _BLOCK + 1, _STEP):
            yield self.text[at : at + _BLOCK], at

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        for ahead in range(min(at, LEAST - _BLOCK) + 1):
            if at - ahead + LEAST <= len(self.text):
                yield ahead, self.text[at - ahead : at - ahead + LEAST]

    def runs(self, seen: bytes, end: int, at: int) -> list[Run]:
        first, last = around(seen, end - _BLOCK, end, self.text, at)
        if last - first < LEAST:
            return []
        found = seen[first:last]
        return [] if found.isdigit() or found.isalpha() else [(first, last)]

    def said(self, seen: bytes, runs: list[Run], end: int) -> Iterator[bytes]:
        """Each LEAST characters of such runs that have the block in them."""
        for first, last in runs:
            for start in range(max(first, end - LEAST), min(end - _BLOCK, last - LEAST) + 1):
                yield seen[start : start + LEAST]


def around(seen: bytes, start: int, end: int, text: bytes, at: int) -> tuple[int, int]:
    """How far `seen` and `text` are the same around `start` to `end`, which is at `at` of the text."""
    first, last = start, end
    # Mostly much is the same, and many bytes are compared as fast as one.
    shift = at - start
    while first >= _STRIDE <= shift + first and seen.endswith(
        text[shift + first - _STRIDE : shift + first], 0, first
    ):
        first -= _STRIDE
    while shift + last + _STRIDE <= len(text) and seen.startswith(
        text[shift + last : shift + last + _STRIDE], last
    ):
        last += _STRIDE
    while first and shift + first and seen[first - 1] == text[shift + first - 1]:
        first -= 1
    while shift + last < len(text) and seen[last] == text[shift + last]:
        last += 1
    return first, last


def stretches(values: Sequence[str]) -> Iterator[str]:
    """What nobody can guess of a value and its members; only of these, where it is made of several."""
    for value in values:
        if _ARMOUR in value:
            lines = [line for line in _LINE.split(value) if not {"-----", ":"} & {line[:5], *line}]
            # The first lines of two keys are alike.
            yield "".join(lines[2:])
    for text in single(values):
        yield from _between_words(text) if looks_random(text) else ()


def single(values: Sequence[str]) -> Iterator[str]:
    """Those of a value and its members that are one secret, and not made of several."""
    members = len(values) > 1
    for index, value in enumerate(values):
        alone = _TOKEN.fullmatch(value) or ((index or not members) and not _COMPOSITE.search(value))
        if alone and _ARMOUR not in value:
            yield value


def cores(found: Iterable[str]) -> Iterator[UnguessablePiece]:
    """Those of the stretches of a value."""
    return (
        UnguessablePiece(skeleton) for text in found if len(skeleton := skeleton_of(text.encode())) >= LEAST
    )


def _between_words(value: str) -> Iterator[str]:
    """What is between the words of `value`, behind what its format begins with."""
    begin = _BEGINNING.match(value)
    stretch = ""
    for run in _RUN.findall(value[begin.end() if begin else 0 :]):
        if _WORD.fullmatch(run):
            yield stretch
            stretch = ""
        else:
            stretch += run
    yield stretch
