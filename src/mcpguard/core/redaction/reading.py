"""Where a format or a pair may begin, and whether it does.

Law of this file: what begins is found in two passes over a text, and each place where something may begin
costs a bounded number of steps, however long the text is; the budget counts these places.
"""

from collections.abc import Callable
from sys import maxsize

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.beginnings import (
    BEGINNINGS,
    COMPILED,
    OF_URLS,
    DistantLiteral,
    Hit,
    OfFormat,
    OfPair,
    TriggerLiteral,
    triggers,
)
from mcpguard.core.redaction.budget import Budget, only
from mcpguard.core.redaction.detectors.checks import is_by_chance
from mcpguard.core.redaction.detectors.named import accounts, apart, pairs, values
from mcpguard.core.redaction.detectors.named.naming import GIVEN
from mcpguard.core.redaction.views import FlatView, View
from mcpguard.core.redaction.views.signs import (
    CHANCES,
    GROUPS,
    LABELS,
    LINES,
    TABLES,
    URL,
    SignsOfText,
    expressions,
)

_ROW = 32
"""How many misses of one beginning, as close together as words, are a flood."""
_CLOSE = 32
_AHEAD_OF_A_ROW = 8
_DIGEST = expression(
    rb"sha(?:1|256|384|512)[=:-](?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"
    rb"|[A-Za-z0-9+/_-]{27}=?|[A-Za-z0-9+/_-]{43}=?|[A-Za-z0-9+/_-]{64}|[A-Za-z0-9+/_-]{86}={0,2})(?![A-Za-z0-9+/_=-])"
)
"""A digest in hexadecimal or base64, which is random and not secret."""
_LONGEST_DIGEST = 140
_OF_DIGESTS = b"sha"
_USER = 80
COST_OF_A_READING = 6
COST_OF_THE_SAME = 4
"""What was read before, and held nothing."""
_FOR_ONE = 32
"""Bytes that are as long to read as it takes to look at one place where something may begin."""
COST_OF_A_URL = 8
COST_OF_A_LOOK = 6
COST_OF_A_PAIR = 16
COST_OF_A_JUDGEMENT = 40
_KNOWN, _HARMLESS = 1_000, 4_000
_LONG = 256
_TABLES = "tables"
_COST_OF_A_LINE, _COST_OF_A_TABLE, _COST_OF_A_LABEL, _COST_OF_A_GROUP = 4, 3, 20, 48
_COST_OF_NO_LABEL = 2
"""Each line of a log may have its time where others have a user."""
COST_OF_A_CELL = 2
"""A table of short rows is ordinary, and each row of it is one judgement."""


class TooMuchAtOnce(Exception):
    """It would take long, and the caller wants to know before."""


class ViewReading:
    """One reading of a view. More than `visits` places where something may begin are a flood, for which it
    raises TooMuchAtOnce; for more than `budget` allows it raises InspectionError."""

    __slots__ = (
        *(
            "_beside",
            "_budget",
            "_covered",
            "_examples",
            "_flat",
            "_flat_text",
            "_harmless",
            "_joined",
            "_missed",
            "_once",
            "_pairs",
            "_passed",
            "_signs",
            "_view",
            "_visits",
        ),
        "hits",
    )

    def __init__(
        self,
        view: View,
        budget: Budget | None = None,
        *,
        once: bool = False,
        visits: int = maxsize,
        flat: bytes | None = None,
    ) -> None:
        """`flat` is the text without what stands between its leaves, where that is known."""
        self._view = view
        self._flat_text = flat
        self._joined = view.joined
        self._budget = budget or Budget(len(view.text))
        self._visits = visits
        self._once = once
        self._covered: dict[str, int] = {}
        # Where lines are joined, a word is not a secret that is one elsewhere.
        self._harmless = set[bytes]() if view.joined else self._budget.harmless
        self._examples: dict[tuple[str, bytes], bool] = {}
        self._passed: dict[int, int] = {}
        self._missed: dict[int, tuple[int, int]] = {}
        # Nothing here leads back to it: one is made for nearly each answer, and goes without the collector.
        self._pairs = pairs.Pairs(view.text, _Judge(self._budget, COST_OF_A_JUDGEMENT, joined=view.joined))
        self._beside = apart.ApartFromName(
            view.text, _Judge(self._budget, COST_OF_A_CELL), self._budget.trigger
        )
        self._flat: FlatView | None = None
        self._signs = SignsOfText(view.text)
        self.hits: list[Hit] = []

    @property
    def flat(self) -> FlatView:
        """The view without what stands between its leaves."""
        if self._flat is None:
            self._flat = FlatView(self._view, self._flat_text)
        return self._flat

    def all(self) -> list[Hit]:
        """What is to be removed from the text of the view; overlaps too."""
        self.any()
        return self.hits

    def any(self) -> bool:
        """Whether there is anything."""
        if self._signs.search(self.expression):
            return True
        self._view.signs = self._signs.of_views
        return self.begins(self._signs.rare)

    def begins(self, rare: bool) -> bool:
        """Whether there is anything but what `expression` sees; `rare`: of the formats with `rare` too."""
        some, others = COMPILED[0] if COMPILED else triggers()
        return some.search(self.flat.text, self.literal) or (
            rare and others.search(self.flat.text, self.literal)
        )

    def literal(self, index: int, _from: int, end: int, _flags: int, flat: bytes) -> bool:
        """A Visit of `triggers`."""
        if self._passed and end <= self._passed.get(index, 0):
            return False
        one = BEGINNINGS[index]
        if self._joined and not one.joins:
            return False
        budget = self._budget
        budget.work -= one.cost
        if budget.work < 0:
            budget.trigger(0)
        covered = self._covered
        if covered and end - one.size + one.inside <= covered.get(one.kind, 0):
            return False  # What begins there is removed already.
        start = end - one.ahead if one.ahead >= 0 else one.start(flat, end)
        # A hostile text has nothing but places where this is the end of it.
        found = one.may(flat, start) if start >= 0 else None
        if found:
            return one.look(self, flat, start, found.end())
        if one.passes:
            self._miss(index, one, end, flat)
        return False

    def _miss(self, index: int, one: TriggerLiteral, end: int, flat: bytes) -> None:
        """Nothing begins there. In a flood of such, those up to the next place at which something may begin
        are passed over."""
        count, first = self._missed.get(index, (0, end))
        if count < _ROW:
            self._missed[index] = count + 1, first
            return
        self._missed[index] = 1, end
        if end - first < _ROW * _CLOSE and isinstance(one, OfFormat):
            self._passed[index] = one.next(flat, end, end + _AHEAD_OF_A_ROW * (end - first))

    def format(self, one: OfFormat, start: int, most: int) -> bool:
        """Whether there is one at `start` of `flat`, as far as `most`."""
        self._trigger(COST_OF_A_READING + (most - start) // _FOR_ONE)
        read = one.read(self.flat, start, most, self._budget)
        if read is None:
            return False
        hit, self._covered[one.kind] = read
        return not self._is_harmless(hit) and self._found(hit)

    def _is_harmless(self, hit: Hit) -> bool:
        """Whether it is a digest, an example of documentation, or random."""
        start, end, kind = hit
        text, least = self._view.text, max(0, start - _LONGEST_DIGEST)
        # A search for three bytes costs a tenth of one for the expression.
        if text.find(_OF_DIGESTS, least, start) >= 0 and any(
            found.start() < start < found.end()
            for found in _DIGEST.finditer(text, least, start + _LONGEST_DIGEST)
        ):
            return True
        if is_by_chance(kind, text, start, end):
            return True
        match = text[start:end].replace(b"\x1f", b"")
        known = self._examples.get((kind, match))
        if known is None:
            known = values.is_example(kind, match)
            if len(self._examples) < _KNOWN and len(match) <= _LONG:
                self._examples[kind, match] = known
        return known

    def pair(self, one: OfPair, flat: bytes, end: int) -> bool:
        """Whether there is one whose value begins at `end`."""
        text, at = self._view.text, self.flat.at(end - 1, 1)
        around = (
            one.literal + text[at - values.BACK if at > values.BACK else 0 : at + values.NEAR]
            if one.near
            else b""
        )
        if around in self._harmless:
            self._trigger(COST_OF_THE_SAME)
            return False
        self._trigger(COST_OF_A_PAIR)
        if one.kind:
            self._covered[one.kind] = end + one.length(flat, end)
        hit = one.reads(self._pairs, at)
        if hit is None and around and len(self._harmless) < _HARMLESS and values.ends_near(text, at):
            self._harmless.add(around)
        return hit is not None and self._found(hit)

    def apart(self, one: DistantLiteral, end: int) -> bool:
        """Whether there is anything that stands apart from what ends at `end`."""
        self._trigger(one.around)
        at = self.flat.at(end - 1, 1)
        found, stop = one.reads(self._beside, at)
        if stop > at:
            self._trigger((stop - at) // _FOR_ONE)
        self._covered[one.kind] = end + stop - at
        return bool(found) and any([self._found(hit) for hit in found])

    def expression(self, index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        """A Visit of `expressions`."""
        if index > URL:  # As most.
            return self._signs.see(index, _from, end, _flags, text)
        if index < LINES:
            at = end - pairs.VALUE
            # As `surroundings` and `_trigger`, without a call for each: floods have nothing else in them.
            if text[at - values.BACK if at > values.BACK else 0 : at + values.NEAR] not in self._harmless:
                return self._pair(text, at)
            self._budget.work -= COST_OF_THE_SAME
            self._visits -= 1
            if self._budget.work < 0 or self._visits < 0:
                self._trigger(0)
            return False
        if index < URL:
            return _READS[index](self, text, end)
        self._trigger(1)
        span = OF_URLS.match(text, text.rfind(b"://", max(0, end - _USER), end - 1))
        if span is None:
            return False
        self._trigger(COST_OF_A_URL)
        return not values.stands_in(text[slice(*span)]) and self._found((*span, OF_URLS.kind))

    def _pair(self, text: bytes, at: int) -> bool:
        """Whether there is one whose value begins at a place; not asked where what is around is harmless."""
        around = values.surroundings(text, at)
        ahead = pairs.ahead_of(text, at)
        self._trigger(1 + COST_OF_A_PAIR if ahead else COST_OF_A_LOOK)
        hit = self._pairs.pair(at, *ahead) if ahead else None
        if hit is None and len(self._harmless) < _HARMLESS and not (ahead and not values.ends_near(text, at)):
            self._harmless.add(around)
        return hit is not None and not (self._joined and self._is_with_another(hit)) and self._found(hit)

    def _is_with_another(self, hit: Hit) -> bool:
        """Whether it is what stands for a secret, and the next line."""
        return values.is_template(self._view.before_a_break(*hit[:2]))

    def _line(self, text: bytes, end: int) -> bool:
        """Whether a line that ends at `end`, or one of those behind it, is a user and a password."""
        if end <= self._covered.get(accounts.LINE, 0):
            return False
        self._trigger(_COST_OF_A_LINE)
        found, self._covered[accounts.LINE] = accounts.passwords(text, end, self._pairs.judge)
        return any([self._found(hit) for hit in found])

    def _label(self, _text: bytes, end: int) -> bool:
        """Whether a value that has one of its first bytes before `end` stands behind a label or below."""
        if self._joined:
            return False
        label = self._beside.label(end - 1)
        self._trigger(_COST_OF_A_LABEL + (end - label) // 3 if label >= 0 else _COST_OF_NO_LABEL)
        return label >= 0 and any([self._found(hit) for hit in self._beside.labelled(label)])

    def _group(self, _text: bytes, end: int) -> bool:
        """Whether there is anything in the groups before `end` or behind it, shortly before which a label
        stands."""
        self._trigger(_COST_OF_A_GROUP)
        return not self._joined and any([self._found(hit) for hit in self._beside.grouped(end - 1)[0]])

    def _table(self, _text: bytes, end: int) -> bool:
        """Whether anything is in the JSON in which a list begins in a list before `end`."""
        self._trigger(_COST_OF_A_TABLE)
        if self._joined or end <= self._covered.get(_TABLES, 0):
            return False
        found, self._covered[_TABLES] = self._beside.documents.table(end)
        return any([self._found(hit) for hit in found])

    def _trigger(self, cost: int) -> None:
        budget = self._budget
        budget.work -= cost
        if budget.work < 0:
            budget.trigger(0)
        self._visits -= 1
        if self._visits < 0:
            raise TooMuchAtOnce

    def _found(self, hit: Hit) -> bool:
        # A token behind its name is found twice, and removed once.
        if not self.hits or hit[0] >= self.hits[-1][1]:
            self._budget.hit(self._view.weight)
        self.hits.append(hit)
        return self._once


_READS: dict[int, Callable[[ViewReading, bytes, int], bool]] = {
    LINES: ViewReading._line,
    TABLES: ViewReading._table,
    LABELS: ViewReading._label,
    GROUPS: ViewReading._group,
}
"""How each of these expressions is read on."""


class _Judge:
    """A Judge that spends a budget: equal values under names that say as much are judged once. `joined`: of
    lines that are put together, where a word with the next line behind it is not a word."""

    __slots__ = ("_budget", "_cost", "_joined", "_known")

    def __init__(self, budget: Budget, cost: int, *, joined: bool = False) -> None:
        self._budget = budget
        self._cost = cost
        self._joined = joined
        self._known: dict[tuple[str, bytes, bool], bool] = {}

    def __call__(self, strength: str, value: bytes, known_end: bool) -> bool:
        if (self._joined and strength == GIVEN) or not values.may_be(strength, value):
            return False
        known = self._known.get((strength, value, known_end))
        if known is not None:
            self._budget.trigger(COST_OF_A_CELL)
            return known
        known = judged(self._budget, self._cost, strength, value, known_end)
        if len(self._known) < _KNOWN and len(value) <= _LONG:
            self._known[strength, value, known_end] = known
        return known


def judged(budget: Budget, cost: int, strength: str, value: bytes, known_end: bool) -> bool:
    """A Judge."""
    if not values.may_be(strength, value):
        return False
    budget.trigger(cost + len(value) ** 2 // 1024)
    return values.is_secret(strength, value, known_end)


class QuickLook(SignsOfText):
    """Whether there is anything in a text, and the signs in it. More than `visits` places where something may
    begin are looked at more closely; more than `most` are a flood, for which it raises TooMuchAtOnce."""

    __slots__ = ("_budgets", "_flat", "_most", "_perusal", "_visits")

    def __init__(self, text: bytes, visits: int, most: int, budgets: list[Budget]) -> None:
        # As Signs does, on the road of every answer.
        self.found = set()
        self._known = self._flood = 0
        self.rare = self.may_be_marked = self.may_be_coded = self.packed = False
        self.chances = CHANCES
        self._text = text
        self._budgets = budgets
        self._visits = visits
        self._most = most
        self._perusal: ViewReading | None = None
        self._flat = b""

    def any(self, flat: bytes) -> bool:
        """Whether there is anything in the text, which is `flat` without what stands between its leaves."""
        self._flat = flat
        some, rare = COMPILED[0] if COMPILED else triggers()
        found = (
            (expressions().search(self._text, self.see) and self.ended(self.see))
            or some.search(flat, self._literal)
            or (self.rare and rare.search(flat, self._literal))
        ) and (self._visits >= 0 or (self._perusal or self._peruse()).begins(self.rare))
        self._flat, self._perusal = b"", None  # It takes as much as the text.
        return found

    def _literal(self, index: int, begin: int, end: int, flags: int, flat: bytes) -> bool:
        """A Visit of `triggers`. Many texts have a few letters that a format begins with."""
        self._visits -= 1
        if self._visits < 0:
            return True
        one = BEGINNINGS[index]
        start = end - one.ahead if one.ahead >= 0 else one.start(flat, end)
        if start < 0 or one.may(flat, start) is None:
            return False
        return (self._perusal or self._peruse()).literal(index, begin, end, flags, flat)

    def read(self, index: int, end: int, text: bytes) -> bool:
        return (self._perusal or self._peruse()).expression(index, 0, end, 0, text)

    def _peruse(self) -> ViewReading:
        budget = only(self._budgets, len(self._text))
        self._perusal = ViewReading(View(self._text), budget, once=True, visits=self._most, flat=self._flat)
        return self._perusal
