"""What is prepared of each value that is held, and where a block that is searched for stands in all of them.

Law of this file: tokens of one issuer have much in common, and a place of a text is looked at once for all
values that are alike around a block, however many these are. What is found comes to the same.
"""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import ClassVar, Protocol

from msgspec import Struct

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.held.disguise import HeldForm
from mcpguard.core.redaction.held.payloads import DIGITS, HexMatch
from mcpguard.core.secret import Unprinted

Run = tuple[int, int]
NOWHERE: Run = (0, 0)


class FoundForm(Protocol):
    """In what form something is found."""

    def widen(self, text: bytes, start: int, end: int) -> tuple[int, int]:
        """The span of all of it, of which that from `start` to `end` was found."""


class Piece(Unprinted, frozen=True):
    """A text of which any part that counts is found in what a text is reduced to: from its blocks on, which
    are compiled."""

    text: bytes
    leads_on: ClassVar[bool] = False
    """Whether what counts is more than what is the same around a block."""

    @abstractmethod
    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """What is searched for, and where it is in the text."""

    @abstractmethod
    def contexts(self, at: int) -> Iterator[tuple[int, bytes]]:
        """What decides whether a block that begins at `at` leads to anything: with how far it begins before
        the block. Of several, one is in any run around it."""

    @abstractmethod
    def runs(self, seen: bytes, end: int, at: int) -> list[Run]:
        """What is found around a block that ends at `end` of `seen` and begins at `at` of the text: stretches
        that come to something together, nothing where that is too little."""

    def cost(self, found: int) -> int:
        """Triggers of a budget where it leads to so many runs."""
        return 1

    def said(self, seen: bytes, runs: list[Run], end: int) -> Iterator[bytes]:
        """The parts of the value that count as found, given the runs around a block that ends at `end`."""
        yield self.text

    def form(self, run: Run, end: int, at: int) -> FoundForm:
        """In what form a run is found."""
        # A set of the digits takes ten times as long.
        is_dumped = not self.text.translate(None, DIGITS)
        return HexMatch(self.text) if is_dumped else HeldForm(self.text, True, b"", 0, 0)


class Held(Struct, frozen=True):
    """One held value under one name. `mark` identifies the value only to whoever has the key. `anchors`:
    where one of them is, some of the value may be escaped. `guess` says how it can be guessed."""

    kind: str
    mark: bytes
    needles: tuple[HeldForm, ...]
    cores: tuple[Piece, ...]
    anchors: tuple[bytes, ...]
    guess: str

    def __repr__(self) -> str:
        return f"<Held {self.kind}>"


Place = tuple[Held, Piece, int]
"""A piece of a value, and where in it the block begins."""
Alike = tuple[bytes, list[Place]]
"""Places that are alike, and the text that all of them have around the block; b"" where that is not known."""

_FEW, _MANY = 4, 16
"""Up to how many places of a block are looked at one by one, and beyond how many last."""
_COST_OF_A_LOOK = 14
"""Around a block that stands in several places, none of which is there."""
COST_OF_A_LATE_ONE = 4


class Block:
    """The places of one block. All pieces with a block are of one class, since blocks of each are of a length
    or of letters of their own."""

    __slots__ = ("_alike", "_are_many", "_by_text", "_shapes", "leads_on", "mark", "places", "size")

    def __init__(self, size: int) -> None:
        """`size` is how many bytes the block has."""
        self.size = size
        self.places: list[Place] = []
        self.mark: bytes | None = None
        """That of the value, where there is only one place."""
        self.leads_on = False
        """As of its pieces."""
        self._alike: list[Alike] | None = None
        self._are_many: bool | None = None
        self._by_text: dict[tuple[int, bytes], Alike] = {}
        self._shapes: list[tuple[int, int]] = []

    def add(self, place: Place) -> None:
        """One more place; to be called before anything is asked."""
        self.mark = None if self.places else place[0].mark
        self.leads_on = place[1].leads_on
        self.places.append(place)

    def alike(self, text: bytes, end: int) -> list[Alike]:
        """The places that are to be looked at where the block ends at `end` of `text`: each that may lead to
        anything there is in one of these."""
        if self._alike is None:
            self._alike = self._grouped()
        if not self._shapes:
            return self._alike
        start = end - self.size
        keys = [(ahead, text[start - ahead : start - ahead + size]) for ahead, size in self._shapes]
        return [found for key in keys if (found := self._by_text.get(key))]

    def are_many(self) -> bool:
        """Whether many places have to be looked at wherever the block is."""
        if self._are_many is None:
            self._are_many = len(self.places) > _MANY and self.leads_on and len(self.alike(b"", 0)) > _MANY
        return self._are_many

    def _grouped(self) -> list[Alike]:
        if len(self.places) <= _FEW:
            return [(b"", [place]) for place in self.places]
        groups: dict[tuple[int, bytes], Alike] = {}
        for place in self.places:
            for ahead, text in place[1].contexts(place[2]):
                groups.setdefault((ahead, text), (text, []))[1].append(place)
        if self.leads_on:
            return [(b"", places) for _, places in groups.values()]
        self._by_text = groups
        self._shapes = sorted({(ahead, len(text)) for ahead, text in groups})
        return []


def runs_of(alike: list[Place], text: bytes, end: int) -> Iterator[tuple[Place, list[Run]]]:
    """The places to be looked at, up to the first that leads to anything, each with the runs that are found
    there."""
    for place in alike:
        _, piece, at = place
        runs = piece.runs(text, end, at)
        yield place, runs
        if runs or piece.leads_on:  # All of these lead to the same.
            return


Hit = tuple[int, int, Held, FoundForm]
"""Start, end, a value that has what is there, and in what form."""


class Covered:
    """What was found of each value, by its mark: as one run, and as a chain. `last` is what was found last of
    each, from where to where."""

    __slots__ = ("_found", "chain", "last")

    def __init__(self) -> None:
        self.last: dict[bytes, Run] = {}
        self.chain: dict[bytes, Run] = {}
        """The same of chains. What is between the pieces of one is not covered."""
        self._found: dict[tuple[bytes, bool], set[Run]] = {}

    def has(self, mark: bytes, leads_on: bool, end: int) -> bool:
        """Whether a block of this value that ends at `end` is in what was found of it last."""
        first, last = self.last.get(mark, NOWHERE)
        if first < end <= last:
            return True
        first, last = self.chain.get(mark, NOWHERE) if leads_on else NOWHERE
        return first < end <= last

    def add(self, mark: bytes, runs: list[Run]) -> bool:
        """Note that these runs of a value are covered; whether they were not. Who looks for one block after
        another meets each of them again and again."""
        is_chain, where = len(runs) > 1, (runs[0][0], runs[-1][1])
        (self.chain if is_chain else self.last)[mark] = where
        found = self._found.setdefault((mark, is_chain), set())
        size = len(found)
        found.add(where)
        return len(found) > size


def fragments(
    block: Block, text: bytes, end: int, covered: Covered, budget: Budget, again: bool
) -> list[Hit]:
    """What is found around a `block` that ends at `end` of `text`, but for what is `covered`. The more values
    there are, the more blocks are met by chance, once: one that is there `again` counts for what it takes."""
    if len(block.places) > 1:
        return _longest(block, text, end, covered, budget, again)
    value, core, at = block.places[0]
    if covered.has(value.mark, block.leads_on, end):
        return []  # One run has many blocks.
    runs = core.runs(text, end, at)
    budget.trigger(core.cost(len(runs)) if again else 1)
    if not runs or not covered.add(value.mark, runs):
        return []
    budget.hit(len(runs))
    return [(*run, value, core.form(run, end, at)) for run in runs]


def _longest(block: Block, text: bytes, end: int, covered: Covered, budget: Budget, again: bool) -> list[Hit]:
    """The same of a block that stands in several places: of those in one value the longest."""
    longest: dict[bytes, list[Hit]] = {}
    done: set[int] = set()
    groups = block.alike(text, end)
    if not groups:
        budget.trigger(_COST_OF_A_LOOK)
    for _, places in groups:
        # Where a run of one core goes on, all that are alike have as much of it.
        some = places if block.leads_on else places[:1]
        known = (covered.has(value.mark, block.leads_on, end) for value, _, _ in some)
        first = next((at for at, is_known in enumerate(known) if not is_known), -1)
        if first < 0 or id(places[first]) in done:
            continue
        done.add(id(places[first]))
        for (value, core, at), runs in runs_of(places[first:], text, end):
            budget.trigger(core.cost(len(runs)) if again else 1)
            if runs:
                made = [(*run, value, core.form(run, end, at)) for run in runs]
                longest[value.mark] = _longer(longest.get(value.mark, made), made)
    each: dict[tuple[Run, ...], list[Hit]] = {}
    for mark, found in longest.items():
        runs = [(start, last) for start, last, _, _ in found]
        if covered.add(mark, runs):
            each.setdefault(tuple(runs), found)
    budget.hit(sum(map(len, each)))
    return [hit for found in each.values() for hit in found]


def last_ones(late: list[tuple[Block, int]], hits: list[Hit], text: bytes, budget: Budget) -> Iterator[Hit]:
    """The same of blocks that stand in many values, each of which ends somewhere: not where a hit is there
    already, since most of these are in what the values have in common."""
    known = sorted((start, end) for start, end, _, _ in hits)
    ends = [*accumulate((end for _, end in known), max)]
    seen: set[Block] = set()
    for block, end in late:
        before = bisect_right(known, (end - block.size, len(text)))
        if not before or ends[before - 1] < end:
            yield from fragments(block, text, end, Covered(), budget, block in seen)
            seen.add(block)


def _longer(one: list[Hit], two: list[Hit]) -> list[Hit]:
    """Of two finds around one block the longer chain, or all that two runs come to."""
    if len(one) == len(two) == 1:
        longest = max(one[0], two[0], key=lambda hit: hit[1] - hit[0])
        return [(min(one[0][0], two[0][0]), max(one[0][1], two[0][1]), *longest[2:])]
    return max(one, two, key=lambda hits: sum(end - start for start, end, _, _ in hits))
