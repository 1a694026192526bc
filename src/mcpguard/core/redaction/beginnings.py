"""Where a format or a pair may begin: a literal, and what has to follow it in any case.

Law of this file: all literals are compiled once, into two sets, and an entry of either is known by its index.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from re import Match
from threading import RLock, Thread
from typing import Protocol

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, Detector, compiled
from mcpguard.core.redaction.detectors.named import apart, pairs
from mcpguard.core.redaction.detectors.named.values import ENDS
from mcpguard.core.redaction.engine.matching import PAD, Matcher, compile_literals
from mcpguard.core.redaction.views import FlatView
from mcpguard.core.redaction.views.runs import codes, of_texts
from mcpguard.core.redaction.views.signs import expressions, marks

Hit = tuple[int, int, str]
"""Start, end and kind."""

_LIKE_WORDS = bytes({*range(256)} - {*b"0123456789+/="})
_SOME = 2
"""40 random letters and digits have fewer digits in one of 200 cases; words one after another have none."""
_BEHIND = 8
_AHEAD = 64
_LEAVES = 64
_INSIDE = 24
_COST_OF_A_CUT = 10
_NEEDED = 768
"""Bytes that are enough to tell whether a format with a short beginning begins."""
_RUN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_FAR = 4200
_NEAR = 48
_SHORT = 3
_COST_OF_A_FORMAT = 2
_COST_OF_A_SEARCH = 5
_COST_OF_A_PAIR = 2
_PASSED_OVER = expression(r"\[\^(?![^\]]*\\s)[^\]]*\]\{[0-9]+,([0-9]{2,4})\}")
"""How much of what may have blanks in it may stand ahead of a value."""
_FOR_ONE = 24
"""Bytes of it that take as long as a unit of WORK."""
_COST_OF_A_READING_AROUND = 16
"""Each row of a dump of a database may begin so."""
_AROUND: dict[apart.Read, int] = {
    apart.ApartFromName.document: 8,
    apart.ApartFromName.printed: 6,
    apart.ApartFromName.separated: 4,
    apart.ApartFromName.secret: 64,
    apart.ApartFromName.series: 200,
    apart.ApartFromName.under: 40,
    apart.ApartFromName.below: 40,
    apart.ApartFromName.marked: 40,
    apart.ApartFromName.boxed: 64,
    apart.ApartFromName.inserted: 10,
    apart.ApartFromName.created: 6,
    apart.ApartFromName.filled: 6,
}
"""The same where it costs more, or less."""
_AHEAD_OF_IT = expression(r"^\(\?<![^()]*\)")
_COSTS: dict[apart.Read, int] = {
    apart.ApartFromName.ruled: 3,
    apart.ApartFromName.gridded: 1,
    apart.ApartFromName.foreign: 12,
    apart.ApartFromName.foreign_key: 12,
}


class ContinuedReader(Protocol):
    """What reads on where something may begin: whether there is anything."""

    def format(self, one: "OfFormat", start: int, most: int) -> bool:
        """At `start`, where it matches up to `most`."""

    def pair(self, one: "OfPair", flat: bytes, end: int) -> bool:
        """Where a value begins at `end`."""

    def apart(self, one: "DistantLiteral", end: int) -> bool:
        """Where what stands apart has its name or its head before `end`."""


def _without_its_surroundings(detector: Detector) -> str:
    """The pattern without what it wants to stand before and behind."""
    core = detector.pattern
    if core.startswith("(?:(?<"):
        depth = at = 1
        while depth:
            depth += (core[at] == "(") - (core[at] == ")")
            at += 1
        core = core[at:]
    return core[: core.rfind("(?!")] if detector.stops else core


ENOUGH = 8
"""Characters of a beginning that are searched for at once. A thousand longer ones take four times as long to
compile, and few texts have eight without the rest."""


class TriggerLiteral(ABC):
    """A literal that a format begins with or has in it, or that stands before a pair. There are a thousand,
    and few are ever met: only those have `may`, and with it a `__dict__`."""

    __slots__ = ("__dict__", "inside", "literal", "size")

    kind = ""
    ahead = 0
    """This many bytes before it ends is where to look; -1 where `start` has to be asked."""
    start: Callable[[bytes, int], int]
    """Where to look in a text, where the literal ends at a place; -1 for nowhere."""
    rare = False
    passes = False
    any_case = False
    joins = False
    cost = 1

    def __init__(self, literal: bytes) -> None:
        self.literal = literal
        self.size = len(literal)
        self.inside = _INSIDE
        """This many bytes from its beginning lie within what was read, where that need not be read again."""

    @abstractmethod
    def _peek(self) -> str:
        """The pattern of what has to be there in any case."""

    @cached_property
    def may(self) -> Callable[[bytes, int], Match[bytes] | None]:
        """Whether that is there, at the place that `start` says."""
        return compiled(self._peek()).match

    @cached_property
    def search(self) -> Callable[[bytes, int, int], Match[bytes] | None]:
        """The first place at which it is there."""
        return compiled(self._peek()).search

    @abstractmethod
    def look(self, reader: ContinuedReader, flat: bytes, start: int, most: int) -> bool:
        """Whether there is anything at `start` of a text, where `may` matches up to `most`."""


class OfFormat(TriggerLiteral):
    """What a format begins with, or has in it."""

    __slots__ = (
        "_detector",
        "_reach",
        "_start",
        "ahead",
        "any_case",
        "cost",
        "joins",
        "kind",
        "passes",
        "rare",
    )

    def __init__(self, literal: str, start: str, detector: Detector) -> None:
        begins = literal == start
        looked_for = literal[:ENOUGH] if begins else literal
        super().__init__(looked_for.encode())
        self.ahead = self.size if begins else -1
        self._start = start.encode()
        self.rare = bool(detector.rare)
        # Identifiers and words of many rows begin as these. A row with one of the others has twice as many
        # bytes as that costs.
        often = self.rare or len(literal) <= _SHORT or (literal.isalpha() and literal.islower())
        self.cost = 1 if often else _COST_OF_A_FORMAT if begins or detector.back else _COST_OF_A_SEARCH
        self._reach = _FAR if literal.startswith(".") else _NEAR
        self._detector = detector
        self.kind = detector.kind
        self.any_case = detector.any_case
        self.joins = detector.joins
        placed = begins or bool(detector.back)
        # Whether a flood of it may be passed over: only short beginnings make one that costs much.
        self.passes = placed and self.cost == 1 and not self.any_case

    def _peek(self) -> str:
        return _without_its_surroundings(self._detector)

    def next(self, flat: bytes, end: int, stop: int) -> int:
        """The next place behind `end`, but not behind `stop`, where a literal ends that something may begin
        with."""
        at = end - self.size - max(self._detector.back, default=0)
        found = self.search(flat, max(0, at) + 1, stop + _NEEDED)
        return min(found.start(), stop) if found else stop

    def start(self, flat: bytes, end: int) -> int:
        at = end - self.size
        for before in self._detector.back:
            if at >= before and self.may(flat, at - before):
                return at - before
        if self._detector.back:
            return -1
        least = max(0, at - self._reach)
        return flat.find(self._start, least + len(flat[least:at].rstrip(_RUN)), at)

    def look(self, reader: ContinuedReader, _flat: bytes, start: int, most: int) -> bool:
        return reader.format(self, start, most)

    def read(self, flat: FlatView, start: int, most: int, budget: Budget) -> tuple[Hit, int] | None:
        """What is to be removed from the text that `flat` is made of, and where in `flat` this ends, which is
        at `most` at the latest."""
        bounds = flat.bounds
        leaf = bisect_right(bounds, start)
        place = start + leaf
        span = self._detector.match(flat.source, place)
        if span:
            return (*span, self.kind), start + span[1] - place
        if leaf < len(bounds) and bounds[leaf] < most and self.joins:
            return _across(flat, self._detector, start, most, budget)
        return None


class OfPair(TriggerLiteral):
    """What stands before the value of a pair."""

    __slots__ = ("_pattern", "cost", "kind", "length", "near", "reads")

    def __init__(self, literal: bytes, pattern: str, read: pairs.Read) -> None:
        super().__init__(literal)
        self._pattern = pattern
        # What is passed over, where nothing is found.
        self.cost = _COST_OF_A_PAIR + sum(map(int, _PASSED_OVER.findall(pattern))) // _FOR_ONE
        self.reads = read
        self.near = read in pairs.NEAR_ALONE
        # In what it covers no other one begins.
        self.length: Callable[[bytes, int], int] = pairs.LENGTHS.get(read, lambda _text, _at: 0)
        self.kind = read.__name__ if read in pairs.LENGTHS else ""

    def _peek(self) -> str:
        # It is looked for where nothing shows where a text begins or ends.
        return _AHEAD_OF_IT.sub("", self._pattern).replace(ENDS, "")

    def look(self, reader: ContinuedReader, flat: bytes, start: int, _most: int) -> bool:
        return reader.pair(self, flat, start)


class DistantLiteral(TriggerLiteral):
    """What shows that a name and its value stand apart."""

    __slots__ = ("_pattern", "any_case", "around", "cost", "kind", "reads")

    def __init__(self, literal: str, any_case: bool, pattern: str, read: apart.Read) -> None:
        super().__init__(literal.encode())
        self._pattern = pattern
        self.inside = self.size
        self.reads = read
        self.any_case = any_case
        self.kind = read.__name__
        self.cost = _COSTS.get(read, 2)
        self.around = _AROUND.get(read, _COST_OF_A_READING_AROUND)

    def _peek(self) -> str:
        return self._pattern

    def look(self, reader: ContinuedReader, _flat: bytes, start: int, _most: int) -> bool:
        return reader.apart(self, start)


def _beginnings() -> list[OfFormat | OfPair | DistantLiteral]:
    formats = [
        OfFormat(detector.trigger or start, start, detector)
        for detector in DETECTORS
        if detector is not OF_URLS
        for start in detector.starts or ("",)
    ]
    beside = [
        DistantLiteral(one, any_case, peek, read)
        for words, any_case, peek, read in apart.LOOKS
        for one in words
    ]
    return [*formats, *(OfPair(*one) for one in pairs.LITERALS), *beside]


OF_URLS = next(detector for detector in DETECTORS if detector.kind == "url-password")
BEGINNINGS: "list[OfFormat | OfPair | DistantLiteral]" = []
"""Those of the formats with `rare` come last. Made when they are compiled: there are a thousand."""


def triggers() -> tuple[Matcher, Matcher]:
    """The literals of formats and pairs, and those of the formats with `rare`. Compiled
    once, with all else that each text is searched with, which takes a tenth of a second: who needs it
    meanwhile waits."""
    return COMPILED[0] if COMPILED else _compiled()


def prepare_soon() -> None:
    """Compile `triggers` in a thread, while a program reads what it is to do."""
    Thread(target=triggers, name="formats of secrets", daemon=True).start()


COMPILED: list[tuple[Matcher, Matcher]] = []
_COMPILING = RLock()
"""The collector may end a coroutine while this is held, and what that sends is inspected in this thread."""


def _compiled() -> tuple[Matcher, Matcher]:
    with _COMPILING:
        if not COMPILED:
            expressions()
            marks()
            of_texts()
            codes()
            BEGINNINGS[:] = sorted(_beginnings(), key=lambda one: one.rare)
            first = next(index for index, one in enumerate(BEGINNINGS) if one.rare)
            COMPILED.append((_literals(0, first, "formats"), _literals(first, len(BEGINNINGS), "rare")))
        return COMPILED[0]


def _literals(first: int, end: int, table: str) -> Matcher:
    of = BEGINNINGS[first:end]
    any_case = {index for index, one in enumerate(of) if one.any_case}
    return compile_literals([one.literal for one in of], any_case, table, first)


def _across(
    flat: FlatView, detector: Detector, start: int, most: int, budget: Budget
) -> tuple[Hit, int] | None:
    """The span of one that is cut up over leaves and ends at `most` at the latest. What must not go on behind
    it is looked for as if each of the next leaves were the last one."""
    bounds, text = flat.bounds, flat.text
    leaf = bisect_right(bounds, start)
    begin = max(bounds[leaf - 1] if leaf else 0, start - _BEHIND)
    piece = text[begin : min(len(text) - len(PAD), most + _AHEAD)]
    last = bisect_right(bounds, most)
    ends = [end - begin for end in bounds[leaf + 1 : last][:_LEAVES]] if detector.stops else []
    for end in (len(piece), *ends):
        budget.trigger(_COST_OF_A_CUT)
        found = detector.regex.match(piece, start - begin, end)
        if found and found.end() + begin > bounds[leaf]:
            begins, ends_at = found.span(found.re.groups)
            if len(piece[begins:ends_at].translate(None, _LIKE_WORDS)) < _SOME:
                continue  # The names of tools in their order, such as secret_length, leak and slow.
            hit = (flat.at(begins + begin), flat.at(ends_at + begin - 1, 1), detector.kind)
            return hit, ends_at + begin
    return None
