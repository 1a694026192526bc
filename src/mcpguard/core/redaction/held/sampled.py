"""Forms and cores of many values, looked for at every fourth place of a text.

Law of this file: what is looked for has eleven characters, so eight of these begin at such a place of a text
and are one number. Whether a number is known takes as long for a thousand values as for one, and to learn a
number takes a hundredth of what it takes to compile a literal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held.blocks import Block, Held
from mcpguard.core.redaction.held.fragments import UnguessablePiece

FEWEST = 11
"""Characters at the end of a form, and in a row of a core, that are needed."""
_SIZE, _APART = 8, 4
_ZEROS = 2
_SLICE = 32 * 1024
"""Bytes of a text that are looked at before other threads may run."""

_Form = TypeVar("_Form")


def may_be_sampled(form: bytes) -> bool:
    """Whether the end of a form says enough: bytes that are written with many zeros are met in any dump."""
    return len(form) >= FEWEST and form.count(b"0", -FEWEST) <= _ZEROS


class Sampled(Generic[_Form]):
    """What is found by any eight characters of it. Any number of threads may search with it at once."""

    __slots__ = ("_blocks", "_cores", "_ends", "_forms", "_known", "_more")

    def __init__(self, forms: Mapping[bytes, _Form], cores: Sequence[tuple[Held, UnguessablePiece]]) -> None:
        """By how they end, forms of which `may_be_sampled` is so, and the cores of values."""
        self._ends = [end[-FEWEST:] for end in forms]
        self._forms = list(forms.values())
        self._cores = cores
        self._known: dict[int, int] = {}
        """By number, the index of what has it: of a form, or behind these of a core."""
        self._more: dict[int, list[int]] = {}
        """The same of what several have."""
        self._blocks: dict[int, Block] = {}
        known, more = self._known.setdefault, self._more
        for index, text in enumerate([*self._ends, *(core.text for _, core in cores)]):
            for number in _all_numbers(text):
                first = known(number, index)
                if first != index and (others := more.setdefault(number, [first]))[-1] != index:
                    others.append(index)

    def may_be_in(self, text: bytes) -> bool:
        """Whether anything of it may be in `text`."""
        numbers = self._known.keys()
        for start in range(0, len(text) - len(PAD), _SLICE):
            if not (
                numbers.isdisjoint(_numbers(text, start))
                and numbers.isdisjoint(_numbers(text, start + _APART))
            ):
                return True
        return False

    def search(self, text: bytes, visit: Callable[[_Form | Block, int], object]) -> bool:
        """Call `visit` with each form that may end at a place of `text`, and with each block of a core that
        ends there; whether an answer was true, which ends the search."""
        known = self._known
        for start in range(0, len(text) - len(PAD), _SLICE):
            places = [
                (first + _SIZE * at, number)
                for first in (start, start + _APART)
                for at, number in enumerate(_numbers(text, first))
                if number in known
            ]
            for place, number in sorted(places):
                for what, end in self._at(text[place : place + _SIZE], place, number):
                    if visit(what, end):
                        return True
        return False

    def _at(self, some: bytes, place: int, number: int) -> Iterator[tuple[_Form | Block, int]]:
        for index in self._more.get(number, (self._known[number],)):
            if index < len(self._forms):
                for at in _all_in(some, self._ends[index]):
                    yield self._forms[index], place + FEWEST - at
        block = self._blocks.get(number) or self._blocks.setdefault(number, self._block(some, number))
        if block.places:
            yield block, place + _SIZE

    def _block(self, some: bytes, number: int) -> Block:
        """Made when it is first met: there is one for each place of each core."""
        block = Block(_SIZE)
        for index in self._more.get(number, (self._known[number],)):
            if index >= len(self._forms):
                value, core = self._cores[index - len(self._forms)]
                for at in _all_in(some, core.text):
                    block.add((value, core, at))
        return block


def _numbers(text: bytes, first: int) -> "memoryview[int]":
    """What is at each eighth place from `first` on, each as one number, of what is looked at at once."""
    size = min(_SLICE, len(text) - first) // _SIZE * _SIZE
    return memoryview(text)[first : first + size].cast("Q")


def _all_numbers(text: bytes) -> Iterator[int]:
    """What is at each place of a short text."""
    view, size = memoryview(text), len(text)
    return chain.from_iterable(
        [
            view[first : size - (size - first) % _SIZE].cast("Q")
            for first in range(min(_SIZE, size - _SIZE + 1))
        ]
    )


def _all_in(some: bytes, text: bytes) -> Iterator[int]:
    """Each place at which `some` is in `text`."""
    at = text.find(some)
    while at >= 0:
        yield at
        at = text.find(some, at + 1)
