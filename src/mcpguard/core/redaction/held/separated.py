"""A random value with its marks escaped: `a$b` as `a=24b`, `a\\PYZdl{}b` or `a</i><i>$</i><i>b`.

Law of this file: no encoder is known here. The value says where its marks are, so its runs of letters and
digits are followed from one to the next, over whatever an encoder writes, with a mark in it. A run counts by
how improbable it is: the more characters it has and the nearer the last one is, the more.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import looks_random

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


class Run(NamedTuple):
    """Letters and digits between two marks, and how many bits it takes to guess them."""

    text: bytes
    bits: int


class SeparatedRuns(NamedTuple):
    """The runs of a value. `size` is how far they reach at most with what is between them."""

    text: bytes
    each: tuple[Run, ...]
    size: int

    @property
    def cost(self) -> int:
        """Triggers of a budget where a run leads to nothing."""
        return 24

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """What is searched for in the text itself, and which of the runs it is."""
        said = [run.bits for run in self.each]
        for at in [at for at, bits in enumerate(said) if bits >= _SURE] or [said.index(max(said))]:
            yield self.each[at].text, at

    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        """All of it, since no part is known to be in a text that has it."""
        yield at, self.text

    def runs(self, text: bytes, end: int, at: int) -> list[tuple[int, int]]:
        """Where the value is whose run `at` ends at `end` of `text`, nothing where too little of it is."""
        run = self.each[at]
        start = end - len(run.text)
        after, more = _followed(text[end : end + self.size].partition(_END)[0], self.each[at + 1 :])
        # Backwards it is the same.
        ahead = [Run(one.text[::-1], one.bits) for one in self.each[:at][::-1]]
        before, less = _followed(text[max(0, start - self.size) : start].rpartition(_END)[2][::-1], ahead)
        return [(start - before, end + after)] if less + run.bits + more >= _ENOUGH else []

    def said(self, _text: bytes, _runs: list[tuple[int, int]], _end: int, _at: int) -> Iterator[bytes]:
        """What is found says this of the value."""
        yield self.text


def _followed(text: bytes, runs: Sequence[Run]) -> tuple[int, int]:
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
        each = tuple(Run(run, _bits(run)) for run in _RUN.findall(text))
        said = [run.bits for run in each]
        if max(said, default=0) < _RARE or sum(said) < _ENOUGH:
            continue
        if looks_random(value) or _is_password(value, each):
            yield SeparatedRuns(text, each, len(text) + _FAR * len(each))


def _is_password(value: str, runs: Iterable[Run]) -> bool:
    words = sum(len(run.text) for run in runs if _SYLLABLE.fullmatch(run.text))
    return len(_OF_PASSWORDS.intersection(value)) >= _KINDS and words * 3 < sum(len(run.text) for run in runs)


def _bits(run: bytes) -> int:
    """No run says enough alone, and words say nothing."""
    rest = _WORD.sub(b"", run)
    return min(len(rest) * (_ALIKE if _OF_ONE_KIND.fullmatch(rest) else _MIXED), _ENOUGH - 1)
