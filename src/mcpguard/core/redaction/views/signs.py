"""What a text is looked at for before anything is read in it: one search for the expressions of pairs, of
passwords in URLs and of what is met only where a disguise may be.

Law of this file: each of the latter has a sign, and a text without signs has no other views than itself. All
are one set, since to begin a search costs as much as to search a kilobyte.
"""

from functools import cache

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS
from mcpguard.core.redaction.detectors.format import REACH
from mcpguard.core.redaction.detectors.named import accounts, documents, pairs
from mcpguard.core.redaction.detectors.named.around import groups, labels
from mcpguard.core.redaction.engine.matching import Matcher, Visit, compile_literals, stop
from mcpguard.core.redaction.engine.patterns import Pattern, compile_patterns, shape
from mcpguard.core.redaction.removal.neutral import literals as hidden
from mcpguard.core.redaction.views import arguments, cells, codes, dumps, escapes, letters, lines, rows, runs
from mcpguard.core.redaction.views.lines import LIKE_WORDS, end_of_run, is_name, is_random
from mcpguard.core.redaction.views.runs import is_coded, is_packed
from mcpguard.core.redaction.views.view import GAP, SEPARATOR, View

PAIR, LINES, TABLES, LABELS, GROUPS, URL, RARE, MARKS, RUNS, PACKED, QUOTED, ESCAPED = range(12)
ENDS, KEYS, BEGINS, LEAVES, DUMPS, TABLE, CODED, NUMBERS, ROWS, LETTERS, OPTIONS = range(12, 23)
DISGUISED = frozenset((QUOTED, ESCAPED))
JOINED = frozenset((ENDS, KEYS, BEGINS))
"""The signs of what is cut up in lines."""
_AT_ENDS = {ENDS: lines.line_ends, BEGINS: lines.line_begins, LEAVES: lines.leaf_ends}
"""What there may be many of, and what finds only that."""

_FORM = tuple(
    name + end
    for name in (b"content", b"contents", b"type", b"text", b"result", b"structuredContent")
    for end in (SEPARATOR, GAP)
)
"""Names that stand behind the last text of a value, since what a result is made of has them."""
_SERVED_BY = b"io.modelcontextprotocol/serverInfo\x1f"
"""A name that each modern result has: none of it is random, though it is long and has a capital."""

CHANCES = 256
"""In how many places something packed may seem to begin: by chance that is one in 4,000 letters of base64."""

_FLOOD = 500
"""How often a sign that is known may be seen before it is no longer searched for: the visits take longer than
the search."""

_LAST = 15
"""How much of a line is looked at, with its end."""


_ALONE = r"(?:^|[^A-Za-z0-9]|\\[nrt]|%[0-9A-Fa-f]{2})"
"""What stands before what counts only ALONE. Words end as some prefixes do."""


def _rare() -> tuple[str, str, str]:
    """How matches of the formats with `rare` begin, where its prefix is cut up itself, and where such a
    beginning may go on in the next leaf."""
    formats = [one for one in DETECTORS if one.rare]
    starts = sorted({start for one in formats for start in one.starts})
    cut = [
        start[:at] + "\\x1f+" + "\\x1f*".join(start[at:]) for start in starts for at in range(1, len(start))
    ]
    cut_behind = f"(?:{'|'.join(starts)})[A-Za-z0-9_=-]{{0,{REACH}}}\\x1f"
    return f"{_ALONE}(?:{'|'.join(one.rare for one in formats)})", "|".join(cut), f"{_ALONE}{cut_behind}"


_ALL = (
    (PAIR, Pattern(pairs.WORDS, pairs.REST, any_case=True)),
    (LINES, shape(accounts.LINE, once=False)),
    (TABLES, shape(documents.TABLE, once=False)),
    (LABELS, Pattern(labels.LABELS, labels.BEHIND_LABEL, any_case=True)),
    (GROUPS, Pattern(groups.NAMES, groups.GROUPED, any_case=True)),
    (URL, Pattern(("://",), r"""[^\x00-\x20"'<>\\/?#@:\x7f\xff]{0,64}:[^\x00-\x20"'<>\\/?#@\x7f\xff]""")),
    *((RARE, shape(one)) for one in _rare()[:-1]),
    (RARE, shape(_rare()[-1], once=False)),
    (MARKS, shape(escapes.MAY_BE_MARKED)),
    (RUNS, shape(runs.RUN)),
    (PACKED, shape(runs.PACKED_RUN, once=False)),
    (QUOTED, shape(escapes.QUOTED)),
    (ESCAPED, shape(escapes.ESCAPED)),
    (KEYS, shape(lines.KEY_END)),
    *((DUMPS, shape(one)) for one in (dumps.OFFSET, dumps.UNITS, *dumps.BARE_SIGNS)),
    (TABLE, shape(cells.ROW_END)),
    (ROWS, shape(rows.ROWS)),
    *((LETTERS, shape(one)) for one in letters.SIGNS),
    *((CODED, shape(one)) for one in codes.CODES),
    *((NUMBERS, shape(one)) for one in codes.NUMBERS),
    *((OPTIONS, shape(one)) for one in arguments.SIGNS),
    # Last, since there are tables without them.
    (ENDS, shape(lines.LINE_END, once=False)),
    (BEGINS, shape(lines.LINE_BEGIN, once=False)),
    (LEAVES, shape(lines.LEAF_END, once=False)),
)
EXPRESSIONS = tuple(pattern for _, pattern in _ALL)
SIGNS = tuple(sign for sign, _ in _ALL)
"""What each of EXPRESSIONS is a sign of."""
_ENDS = range(len(SIGNS) - len(_AT_ENDS), len(SIGNS))
"""The indices of those at ends."""


@cache
def expressions() -> Matcher:
    """EXPRESSIONS, compiled, which takes some fifty milliseconds."""
    return compile_patterns(EXPRESSIONS, "signs")


@cache
def _others() -> Matcher:
    """Those that are not at ends, under the same indices."""
    return compile_patterns(EXPRESSIONS[: _ENDS.start], "others")


@cache
def marks() -> Matcher:
    """The marks of disguises and all hidden characters but SEPARATOR: what a text with MARKS may have."""
    both = sorted({*escapes.marks(), *hidden()} - {SEPARATOR})
    return compile_literals(both, {index for index, one in enumerate(both) if one.isascii()}, "marks")


class SignsOfText:
    """The signs of one text, of which `see` is a Visit of `expressions`; to be asked when that has ended."""

    __slots__ = (
        *("_flood", "_known", "_text"),
        *("chances", "found", "may_be_coded", "may_be_marked", "packed", "rare"),
    )

    def __init__(self, text: bytes) -> None:
        self._known = self._flood = 0
        self.found: set[int] = set()
        self.rare = False
        """Whether one of the formats with `rare` may be there."""
        self.may_be_marked = False
        self.may_be_coded = False
        """Whether a run may be there that `has_code` looks for: a sign of RUNS."""
        self.packed = False
        """Whether a PACKED_RUN is there."""
        self.chances = CHANCES
        self._text = text

    def search(self, visit: Visit) -> bool:
        """Call `visit`, which calls `see`, for each of `expressions` in the text; whether it ended that."""
        return expressions().search(self._text, visit) and self.ended(visit)

    def ended(self, visit: Visit) -> bool:
        """Whether `visit` ended the search for more than that a sign which is known was seen very often: if
        not, the rest is searched without it."""
        cut = self._flood
        if not cut:
            return True
        # An engine that does not go by places has seen all others.
        cut = cut if expressions().in_order else len(self._text)
        for index in _ENDS:
            if SIGNS[index] not in self.found:
                self._search_end(index)

        def others(index: int, begin: int, end: int, flags: int, text: bytes) -> object:
            return end > cut and visit(index, begin, end, flags, text)

        return _others().search(self._text, others)

    def _search_end(self, index: int) -> None:
        sign = SIGNS[index]

        def first(which: int, begin: int, end: int, flags: int, text: bytes) -> bool:
            return not which and (self.see(index, begin, end, flags, text) or sign in self.found)

        _AT_ENDS[sign]().search(self._text, first)

    def see(self, index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        """Note the sign. Many lines, names and words end as what is cut up or encoded does."""
        if index <= URL:
            return self.read(index, end, text)
        sign = SIGNS[index]
        if sign in self.found:
            return sign in _AT_ENDS and self._is_flood(end)
        if sign in _AT_ENDS:  # Most of what is seen.
            # As `is_random` asks, for what most lines and leaves are.
            if sign == LEAVES and (text.startswith(_FORM, end) or text.endswith(_SERVED_BY, 0, end)):
                return False
            # As `translate` would, which first makes a table: of so few bytes that takes longest.
            if text[end - _LAST if end > _LAST else 0 : end].lstrip(LIKE_WORDS):
                last = end if sign == BEGINS else end_of_run(text, end)
                if is_random(text, last) and not (sign == ENDS and is_name(text, last)):
                    self.found.add(sign)
        elif sign == MARKS:
            self.may_be_marked = True
        elif sign == RARE:
            self.rare = self.rare or not (text.endswith(b"\x1f", 0, end) and text.startswith(_FORM, end))
        elif sign <= PACKED:
            self.may_be_coded |= sign == RUNS or self._is_packed(end, text)
        else:
            self.found.add(sign)
        return False

    def _is_flood(self, end: int) -> bool:
        self._known += 1
        self._flood = end if self._known > _FLOOD else 0
        return self._flood > 0

    def _is_packed(self, end: int, text: bytes) -> bool:
        """Whether what is packed may begin a run; where much looks so, that is not asked of each."""
        self.chances -= 1
        self.packed = self.packed or self.chances < 0 or is_packed(text, end)
        return self.packed

    def read(self, _index: int, _end: int, _text: bytes) -> bool:
        """Whether there is a pair or a URL with a password, where one may end at `_end`: not asked here."""
        return False

    def coded(self) -> None:
        """There is a run that may say something."""
        self.found.add(RUNS)
        if self.packed:
            self.found.add(PACKED)

    def marked(self) -> bool:
        """Whether one of `marks` is in the text: a sign that there are escapes, and a reason to look for what
        is hidden."""
        if not (self.may_be_marked and marks().search(self._text, stop)):
            return False
        self.found.add(ESCAPED)
        return True

    def of_views(self, budget: Budget) -> set[int]:
        """The signs of views in the text."""
        self.marked()
        if self.may_be_coded and is_coded(self._text, budget):
            self.coded()
        return self.found


def signs_of(view: View, budget: Budget) -> set[int]:
    """The signs of views in the text of `view`."""
    if view.signs is None:
        signs = SignsOfText(view.text)
        signs.search(signs.see)
        view.signs = signs.of_views
    return view.signs(budget)
