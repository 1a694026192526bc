"""What is cut up in short rows, each behind a number or a word in capitals, such as what `nl` makes of the
lines of `base32 -w4`, or `od` of a byte a row."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.views.view import GAP, View, slices

_BEFORE = r"[ \t]{0,8}(?:[0-9A-Fa-f]{1,8}|[A-Z]{2,12})(?: ?(?:\t|[:|)] ?)|[ .-] {0,3})"
_SHORT = r"[^\n\x1f\xff]{1,16}"
ROWS = rf"(?:^|[\n\x1f]){_BEFORE}{_SHORT}\n{_BEFORE}{_SHORT}\n{_BEFORE}{_SHORT}[\n\x1f]"
"""Three of them."""

_SAYS = rb"([^\n\r\x1f\xff]{1,16}+)"
_END = rb"\r?(?:\n|(?=[\x1f\xff]))"
_EACH = b"(?:%b%b%b)" % (_BEFORE.encode(), _SAYS.replace(b"(", b"(?:", 1), _END)
_ROW = expression(_BEFORE.encode() + _SAYS + _END)
_FIRST = expression(_EACH + b"{3}")
_STRETCH = expression(rb"(?<=[\n\x1f])" + _EACH + b"{3}")
_MORE = expression(_EACH + b"{1,4096}+")
"""A bounded number, since while it is matched no other thread runs."""
_THREE = 256
"""Bytes in which three rows are."""
_SOME = 64 * 1024
_FOR_ONE = 4
"""Rows that cost as much as one piece of another view."""


def rows(view: View, budget: Budget) -> View | None:
    """What the short rows of `view` say that follow one another, in one piece. Raises InspectionError where
    `budget` is used up."""
    spans = [*_stretches(view.text)]
    return _Rows(view, spans, budget) if spans else None


def _stretches(text: bytes) -> Iterator[tuple[int, int]]:
    """Where three rows or more follow one another."""
    done = 0
    for begin, stop in slices(text):
        at = max(begin, done)
        while found := (at == 0 and _FIRST.match(text)) or _STRETCH.search(text, at, stop + _THREE):
            end = found.end()
            while more := _MORE.match(text, end):
                end = more.end()
            yield found.start(), end
            at = done = end


def _cells(text: bytes, at: int, end: int) -> Iterator[list[bytes]]:
    """What the rows of a stretch say: some at once, since each takes forty bytes."""
    while at < end:
        stop = end + 1 if end - at <= _SOME else text.rfind(b"\n", at, at + _SOME) + 1
        yield _ROW.findall(text, at, stop)
        at = stop


class _Rows(View):
    """Places are found when they are first asked for: nearly all rows hold nothing."""

    __slots__ = ("_begins", "_source", "_spans", "_starts")

    def __init__(self, outer: View, spans: list[tuple[int, int]], budget: Budget) -> None:
        said = []
        for start, end in spans:
            stretch = bytearray()
            for cells in _cells(outer.text, start, end):
                budget.piece(1 + len(cells) // _FOR_ONE)
                stretch += b"".join(cells)
            said.append(stretch)
        super().__init__(GAP.join(said) + PAD, outer)
        self._source = outer.text
        self.joined = self.stretches = True
        self._spans = spans
        self._starts, self._begins = array("L"), array("L")

    def at(self, place: int, more: int = 0) -> int:
        if not self._starts:
            self._place()
        row = bisect_right(self._starts, place) - 1
        return self._begins[row] + place - self._starts[row] + more

    def _place(self) -> None:
        """Where each row begins here, and what it says in the outer view."""
        done = 0
        for start, end in self._spans:
            for row in _ROW.finditer(self._source, start, end + 1):
                self._starts.append(done)
                self._begins.append(row.start(1))
                done += len(row[1])
            done += len(GAP)
