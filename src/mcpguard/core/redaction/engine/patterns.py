"""A few expressions in one pass: the seam over the regular expressions of the multi-pattern engine.

Law of this file: both engines call `visit` for the same (pattern, end) pairs; one contract suite runs on
both. A pattern with words begins with one of them and ends, for each of these, in one place.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice

from msgspec import Struct

from mcpguard.core.redaction.engine.matching import PAD, HyperscanMatcher, Matcher, Visit

_SLICE = 256 * 1024
"""How much is searched before other threads may run."""


class Pattern(Struct, frozen=True):
    """One of `words`, which are in lower case where `any_case` says that case does not matter, and then
    `rest`, an expression that Hyperscan and `re` read alike. Without words there may be fewer ends where
    matches overlap; with `once` one is enough."""

    words: tuple[str, ...]
    rest: str
    any_case: bool = False
    once: bool = False

    @property
    def expression(self) -> str:
        """All of it."""
        return f"(?:{'|'.join(map(re.escape, self.words))}){self.rest}" if self.words else self.rest


def shape(expression: str, once: bool = True) -> Pattern:
    """A pattern without words."""
    return Pattern((), expression, once=once)


@cache
def shapes(table: str, *expressions: str, once: bool = True) -> Matcher:
    """These patterns without words, compiled when they are first asked for."""
    return compile_patterns([shape(one, once) for one in expressions], table)


class HyperscanPatterns(HyperscanMatcher):
    """Hyperscan (Vectorscan) in block mode. Raises ImportError where there is no wheel."""

    __slots__ = ()

    def __init__(self, patterns: Sequence[Pattern], table: str = "") -> None:
        import hyperscan

        self._compile(
            hyperscan,
            table,
            [pattern.expression.encode() for pattern in patterns],
            [
                hyperscan.HS_FLAG_CASELESS * pattern.any_case | hyperscan.HS_FLAG_SINGLEMATCH * pattern.once
                for pattern in patterns
            ],
        )


class PlainPatterns:
    """The same from the standard library: each word is found by itself, and what follows is matched there."""

    __slots__ = ("_patterns",)
    in_order = False

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = [
            (
                index,
                [word.encode() for word in pattern.words],
                re.compile(pattern.expression.encode(), re.IGNORECASE if pattern.any_case else 0),
                pattern,
            )
            for index, pattern in enumerate(patterns)
        ]

    def search(self, padded: bytes, visit: Visit, start: int = 0) -> bool:
        """See Matcher."""
        stop = len(padded) - len(PAD)
        for index, words, expression, pattern in self._patterns:
            if not words:
                matches = expression.finditer(padded, start, stop)
                for match in islice(matches, 1) if pattern.once else matches:
                    if visit(index, 0, match.end(), 0, padded):
                        return True
                continue
            any_case = pattern.any_case
            seen = -1
            for begin in range(start, stop, _SLICE):
                piece = padded[begin : min(stop, begin + _SLICE + len(PAD))]
                piece = piece.lower() if any_case else piece
                starts = sorted({begin + at for word in words for at in _all(piece, word) if at < _SLICE})
                for place in starts:
                    found = expression.match(padded, place, stop)
                    if found and found.end() != seen:
                        seen = found.end()
                        if visit(index, 0, seen, 0, padded):
                            return True
        return False


def _all(text: bytes, word: bytes) -> list[int]:
    places = []
    at = text.find(word)
    while at >= 0:
        places.append(at)
        at = text.find(word, at + 1)
    return places


def compile_patterns(patterns: Sequence[Pattern], table: str = "") -> Matcher:
    """The best matcher that this machine has. Takes some ten milliseconds for each pattern, unless a `table`
    of this name is kept (see compile_literals)."""
    try:
        return HyperscanPatterns(patterns, table)
    except ImportError:
        return PlainPatterns(patterns)
