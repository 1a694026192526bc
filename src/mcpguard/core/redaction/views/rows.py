"""What is cut up in short rows, each behind a number or a word in capitals, such as what `nl` makes of the
lines of `base32 -w4`, or `od` of a byte a row."""

import re
from array import array
from functools import cache

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.matching import Matcher
from mcpguard.core.redaction.patterns import compile_patterns, shape
from mcpguard.core.redaction.views.view import WHOLE, Pieces, View

_BEFORE = r"[ \t]{0,8}(?:[0-9A-Fa-f]{1,8}|[A-Z]{2,12})(?: ?(?:\t|[:|)] ?)|[ .-] {0,3})"
_SHORT = r"[^\n\x1f\xff]{1,16}"
ROWS = rf"(?:^|[\n\x1f]){_BEFORE}{_SHORT}\n{_BEFORE}{_SHORT}\n{_BEFORE}{_SHORT}[\n\x1f]"
"""Three of them."""

_THREE = 3
_WIDEST = 64
_ROW = re.compile(rf"{_BEFORE}([^\n\r\x1f\xff]{{1,16}}+)\r?(?:\n|(?=[\x1f\xff]))".encode("latin-1"))


@cache
def _rows() -> Matcher:
    return compile_patterns([shape(ROWS, once=False)])


def rows(view: View, budget: Budget) -> View | None:
    """What the short rows of `view` say that follow one another, in one piece. Raises InspectionError where
    `budget` is used up."""
    text = view.text
    places = array("L")
    _rows().search(text, lambda _index, _from, end, _flags, _text: places.append(end))
    pieces = Pieces(view)
    done = 0
    for place in sorted(places):
        if place <= done:
            continue
        done = place - 1
        for _ in range(_THREE):
            least = max(0, done - _WIDEST)
            done = max(text.rfind(mark, least, done) for mark in (b"\n", b"\x1f"))
        done += 1
        while row := _ROW.match(text, done):
            budget.piece()
            pieces.add(row[1], *row.span(1), WHOLE)
            done = row.end()
        pieces.gap()
    made = pieces.made()
    if made:
        made.joined = made.stretches = True
    return made
