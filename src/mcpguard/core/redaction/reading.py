"""Where a format or a pair may begin, and whether it does.

Law of this file: what begins is found in two passes over a text, and each place where something may begin
costs a bounded number of steps, however long the text is; the budget counts these places.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property, partial
from re import Match
from sys import maxsize
from threading import Lock, Thread

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, Detector, compiled
from mcpguard.core.redaction.detectors.checks import is_by_chance
from mcpguard.core.redaction.detectors.named import apart, pairs
from mcpguard.core.redaction.matching import PAD, Matcher, compile_literals
from mcpguard.core.redaction.views import Flat, View
from mcpguard.core.redaction.views.signs import RARE, SIGNS, URL, Signs, expressions, marks

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
_RUN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_FAR = 4200
_DIGESTS = tuple(
    f"{name}{mark}".encode() for name in ("sha1", "sha256", "sha384", "sha512") for mark in "=-:"
)
"""What stands before a digest, which is random and not secret."""
_NEAR = 48
_USER = 80
COST_OF_A_FORMAT = 3
COST_OF_A_READING = 6
COST_OF_A_URL = 8
_SHORT = 3
COST_OF_A_PAIR = 4
COST_OF_A_JUDGEMENT = 8
COST_OF_A_CELL = 2
"""A table of short rows is ordinary, and each row of it is one judgement."""


class TooMuchAtOnce(Exception):
    """It would take long, and the caller wants to know before."""


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


class _Beginning(ABC):
    """A literal that a format begins with or has in it, or that stands before a pair."""

    kind = ""
    begins = False
    rare = False
    any_case = False
    joins = False
    cost = 1

    def __init__(self, literal: bytes, peek: Callable[[], str]) -> None:
        self.literal = literal
        self.size = len(literal)
        self.inside = _INSIDE
        """So many bytes from its beginning on lie within what was read, where that need not be read again."""
        self._peek = peek

    @cached_property
    def may(self) -> Callable[[bytes, int], Match[bytes] | None]:
        """What has to be there in any case, at the place that `start` says."""
        return compiled(self._peek()).match

    def start(self, _flat: bytes, end: int) -> int:
        """Where to look, where the literal ends at `end` and does not begin a format; -1 for nowhere."""
        return end

    @abstractmethod
    def look(self, perusal: "Perusal", flat: bytes, start: int, most: int) -> bool:
        """Whether there is anything at `start` of a text, where `may` matches up to `most`."""


class _Format(_Beginning):
    def __init__(self, literal: str, start: str, detector: Detector) -> None:
        self.begins = literal == start
        looked_for = literal[:ENOUGH] if self.begins else literal
        super().__init__(looked_for.encode(), partial(_without_its_surroundings, detector))
        self._start = start.encode()
        self.rare = bool(detector.rare)
        # Identifiers and words of many rows begin as these. A row with one of the others has twice as many
        # bytes as that costs.
        often = self.rare or len(literal) <= _SHORT or (literal.isalpha() and literal.islower())
        self.cost = 1 if often else COST_OF_A_FORMAT
        self._reach = _FAR if literal.startswith(".") else _NEAR
        self._detector = detector
        self.kind = detector.kind
        self.any_case = detector.any_case
        self.joins = detector.joins

    def start(self, flat: bytes, end: int) -> int:
        at = end - self.size
        for before in self._detector.back:
            if at >= before and self.may(flat, at - before):
                return at - before
        if self._detector.back:
            return -1
        least = max(0, at - self._reach)
        return flat.find(self._start, least + len(flat[least:at].rstrip(_RUN)), at)

    def look(self, perusal: "Perusal", _flat: bytes, start: int, most: int) -> bool:
        return perusal.format(self, start, most)

    def read(self, flat: Flat, start: int, most: int, budget: Budget) -> tuple[Hit, int] | None:
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


class _Pair(_Beginning):
    def __init__(self, literal: bytes, peek: str, read: pairs.Read) -> None:
        super().__init__(literal, lambda: peek)
        self.reads = read
        self.kind = pairs.COOKIE if read is pairs.Pairs.cookie else ""

    def look(self, perusal: "Perusal", flat: bytes, start: int, _most: int) -> bool:
        return perusal.pair(self, flat, start)


class _Apart(_Beginning):
    def __init__(self, literal: str, any_case: bool, peek: str, read: apart.Read) -> None:
        super().__init__(literal.encode(), lambda: peek)
        self.inside = self.size
        self.reads = read
        self.any_case = any_case
        self.kind = read.__name__

    def look(self, perusal: "Perusal", _flat: bytes, start: int, _most: int) -> bool:
        return perusal.apart(self, start)


def _beginnings() -> list[_Format | _Pair | _Apart]:
    formats = [
        _Format(detector.trigger or start, start, detector)
        for detector in DETECTORS
        if detector is not _OF_URLS
        for start in detector.starts or ("",)
    ]
    beside = [
        _Apart(one, any_case, peek, read)
        for literals, any_case, peek, read in apart.LOOKS
        for one in literals
    ]
    return [*formats, *(_Pair(*one) for one in pairs.LITERALS), *beside]


_OF_URLS = next(detector for detector in DETECTORS if detector.kind == "url-password")
_BEGINNINGS: "list[_Format | _Pair | _Apart]" = []
"""Those of the formats with `rare` come last. Made when they are compiled: there are a thousand."""


def triggers() -> tuple[Matcher, Matcher]:
    """The literals of formats and pairs, and those of the formats with `rare`. Compiled
    once, with all else that each text is searched with, which takes a tenth of a second: who needs it
    meanwhile waits."""
    return _COMPILED[0] if _COMPILED else _compiled()


def prepare_soon() -> None:
    """Compile `triggers` in a thread, while a program reads what it is to do."""
    Thread(target=triggers, name="formats of secrets", daemon=True).start()


_COMPILED: list[tuple[Matcher, Matcher]] = []
_COMPILING = Lock()


def _compiled() -> tuple[Matcher, Matcher]:
    with _COMPILING:
        if not _COMPILED:
            expressions()
            marks()
            _BEGINNINGS[:] = sorted(_beginnings(), key=lambda one: one.rare)
            first = next(index for index, one in enumerate(_BEGINNINGS) if one.rare)
            _COMPILED.append((_literals(0, first, "formats"), _literals(first, len(_BEGINNINGS), "rare")))
        return _COMPILED[0]


def _literals(first: int, end: int, table: str) -> Matcher:
    of = _BEGINNINGS[first:end]
    any_case = {index for index, one in enumerate(of) if one.any_case}
    return compile_literals([one.literal for one in of], any_case, table, first)


class Perusal:
    """One reading of a view. More than `visits` places where something may begin are a flood, for which it
    raises TooMuchAtOnce; for more than `budget` allows it raises InspectionError."""

    __slots__ = (
        *(
            "_beside",
            "_budget",
            "_covered",
            "_flat",
            "_joined",
            "_once",
            "_pairs",
            "_rare",
            "_view",
            "_visits",
        ),
        "hits",
    )

    def __init__(
        self, view: View, budget: Budget | None = None, *, once: bool = False, visits: int = maxsize
    ) -> None:
        self._view = view
        self._joined = view.joined
        self._budget = budget or Budget(len(view.text))
        self._visits = visits
        self._once = once
        self._covered: dict[str, int] = {}
        # Nothing here leads back to it: one is made for nearly each answer, and goes without the collector.
        judge = _judged_joined if view.joined else judged
        self._pairs = pairs.Pairs(view.text, partial(judge, self._budget, COST_OF_A_JUDGEMENT))
        self._beside = apart.Apart(view.text, partial(judged, self._budget, COST_OF_A_CELL))
        self._flat: Flat | None = None
        self._rare = False
        self.hits: list[Hit] = []

    @property
    def flat(self) -> Flat:
        """The view without what stands between its leaves."""
        if self._flat is None:
            self._flat = Flat(self._view)
        return self._flat

    def all(self) -> list[Hit]:
        """What is to be removed from the text of the view; overlaps too."""
        self.any()
        return self.hits

    def any(self) -> bool:
        """Whether there is anything."""
        some, rare = _COMPILED[0] if _COMPILED else triggers()
        return (
            expressions().search(self._view.text, self.expression)
            or some.search(self.flat.text, self.literal)
            or (self._rare and rare.search(self.flat.text, self.literal))
        )

    def literal(self, index: int, _from: int, end: int, _flags: int, flat: bytes) -> bool:
        """A Visit of `triggers`."""
        one = _BEGINNINGS[index]
        if self._joined and not one.joins:
            return False
        budget = self._budget
        budget.triggers -= one.cost
        if budget.triggers < 0:
            budget.trigger(0)
        start = end - one.size
        covered = self._covered
        if covered and start + one.inside <= covered.get(one.kind, 0):
            return False  # What begins there is removed already.
        if not one.begins:
            start = one.start(flat, end)
        # A hostile text has nothing but places where this is the end of it.
        found = one.may(flat, start) if start >= 0 else None
        return found is not None and one.look(self, flat, start, found.end())

    def format(self, one: _Format, start: int, most: int) -> bool:
        """Whether there is one at `start` of `flat`, as far as `most`."""
        self._trigger(COST_OF_A_READING)
        read = one.read(self.flat, start, most, self._budget)
        if read is None:
            return False
        hit, self._covered[one.kind] = read
        return not self._is_harmless(hit) and self._found(hit)

    def _is_harmless(self, hit: Hit) -> bool:
        """Whether it is a digest, an example of documentation, or random."""
        start, end, kind = hit
        if self._view.text.endswith(_DIGESTS, 0, start):
            return True
        if is_by_chance(kind, self._view.text, start, end):
            return True
        return pairs.is_example(kind, self._view.text[start:end].replace(b"\x1f", b""))

    def pair(self, one: _Pair, flat: bytes, end: int) -> bool:
        """Whether there is one whose value begins at `end`."""
        self._trigger(COST_OF_A_PAIR)
        if one.kind:
            self._covered[one.kind] = end + pairs.length_of_cookies(flat, end)
        hit = one.reads(self._pairs, self.flat.at(end - 1, 1))
        return hit is not None and self._found(hit)

    def apart(self, one: _Apart, end: int) -> bool:
        """Whether there is anything that stands apart from what ends at `end`."""
        self._trigger(COST_OF_A_PAIR)
        at = self.flat.at(end - 1, 1)
        found, stop = one.reads(self._beside, at)
        self._covered[one.kind] = end + stop - at
        return any([self._found(hit) for hit in found])

    def expression(self, index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        """A Visit of `expressions`."""
        if index > URL:
            self._rare = self._rare or SIGNS[index] == RARE
            return False
        self._trigger(1)
        hit: Hit | None = None
        if index == URL:
            span = _OF_URLS.match(text, text.rfind(b"://", max(0, end - _USER), end - 1))
            if span:
                self._trigger(COST_OF_A_URL)
                hit = None if pairs.stands_in(text[slice(*span)]) else (*span, _OF_URLS.kind)
        elif pairs.has_digit(text, end - pairs.VALUE):
            self._trigger(COST_OF_A_PAIR)
            hit = self._pairs.pair(end - pairs.VALUE)
        return hit is not None and self._found(hit)

    def _trigger(self, cost: int) -> None:
        self._budget.trigger(cost)
        self._visits -= 1
        if self._visits < 0:
            raise TooMuchAtOnce

    def _found(self, hit: Hit) -> bool:
        self._budget.hit(self._view.weight)
        self.hits.append(hit)
        return self._once


def _judged_joined(budget: Budget, cost: int, strength: str, value: bytes, known_end: bool) -> bool:
    """A Judge of lines that are put together: a word with the next line behind it is no word."""
    return strength != pairs.GIVEN and judged(budget, cost, strength, value, known_end)


def judged(budget: Budget, cost: int, strength: str, value: bytes, known_end: bool) -> bool:
    """A Judge."""
    if not pairs.may_be(strength, value):
        return False
    budget.trigger(cost + len(value) ** 2 // 1024)
    return pairs.is_secret(strength, value, known_end)


class Glimpse(Signs):
    """Whether there is anything in a text, and the signs in it. More than `visits` places where something may
    begin are looked at more closely; more than `most` are a flood, for which it raises TooMuchAtOnce."""

    __slots__ = ("_most", "_perusal", "_visits")

    def __init__(self, text: bytes, visits: int, most: int) -> None:
        # As Signs does, on the road of every answer.
        self.found = set()
        self.rare = self.may_be_marked = self.may_be_coded = False
        self._text = text
        self._visits = visits
        self._most = most
        self._perusal: Perusal | None = None

    def any(self, flat: bytes) -> bool:
        """Whether there is anything in the text, which is `flat` without what stands between its leaves."""
        some, rare = _COMPILED[0] if _COMPILED else triggers()
        return (
            expressions().search(self._text, self.see)
            or some.search(flat, self._literal)
            or (self.rare and rare.search(flat, self._literal))
        ) and (self._visits >= 0 or (self._perusal or self._peruse()).any())

    def _literal(self, index: int, begin: int, end: int, flags: int, flat: bytes) -> bool:
        """A Visit of `triggers`. Many texts have a few letters that a format begins with."""
        self._visits -= 1
        if self._visits < 0:
            return True
        one = _BEGINNINGS[index]
        start = end - one.size if one.begins else one.start(flat, end)
        if start < 0 or one.may(flat, start) is None:
            return False
        return (self._perusal or self._peruse()).literal(index, begin, end, flags, flat)

    def read(self, index: int, end: int, text: bytes) -> bool:
        return (self._perusal or self._peruse()).expression(index, 0, end, 0, text)

    def _peruse(self) -> Perusal:
        self._perusal = Perusal(View(self._text), once=True, visits=self._most)
        return self._perusal


def _across(flat: Flat, detector: Detector, start: int, most: int, budget: Budget) -> tuple[Hit, int] | None:
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
