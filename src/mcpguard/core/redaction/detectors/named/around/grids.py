"""Secrets in the tables of markup: MediaWiki, AsciiDoc, Jira, DokuWiki, Textile, Org, LaTeX, nested lists.

Law of this file: that of `apart`, whose readers these are. All of them are one grid: a line has the cells of
a row, or one cell each stands in a line. A word in it may be any word, so that a value has to look random.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import Seen
from mcpguard.core.redaction.detectors.named.around.columns import CELLS, ROWS, columns_of
from mcpguard.core.redaction.detectors.named.around.items import Items
from mcpguard.core.redaction.detectors.named.around.statements import RULE
from mcpguard.core.redaction.detectors.named.naming import GIVEN
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, Judge, said

Span = tuple[int, int]
Cell = tuple[int, int, bytes]
"""Where the text of a cell begins and ends, and this."""

_LONGEST_LINE, _LONGEST_TAIL = 2048, 16
_BETWEEN = {
    b"|": expression(rb"\|\|?"),
    b"!": expression(rb"\|\|?|!!"),
    b"^": expression(rb"[|^]"),
    b"&": expression(rb"(?<!\\)&"),
    b"-": expression(rb"(?!)"),
}
"""By what a line begins with or has in it, what stands between its cells."""
_LISTED = expression(rb"[ ]{0,32}(?:\* )?- ")
_LEAD = expression(rb"[ \t\"'`*~]*+(?:(?:\\[a-z]{2,12}\{|\{{1,2}|<[a-z]{1,8}>|_\.|=|[!|])[ \t\"'`*]*+){0,2}")
_TAIL = expression(rb"(?:</[a-z]{1,8}>|\}{1,2})$")
_SPACE = b" \t\r\"'`*~"
_OPENS, _CLOSES = frozenset(map(bytes, zip(b"\\{<_=!|"))), (b">", b"}")
_MARKS = b"|", b"!", b"^"
_ATTRIBUTES = expression(rb"\s*(?:[a-z]{2,16}=(?:\"[^\"]{0,80}\"|[\w%]{1,32})\s*){1,4}")
"""Of a cell in MediaWiki, behind which it begins."""
_NO_ROW = expression(rb"\s*(?:\\[a-z]{3,16}.*|\|(?:-[\s|-]|[+}]|==).*|\|-|\{\|.*|%.*)?\s*")
_BLANKS = 2
"""Lines in a row that have no cells."""


class Grids(Items):
    """The tables in the markup of one text. Each public method reads from the end of a literal on."""

    __slots__ = ("_spend",)

    def __init__(self, text: bytes, judge: Judge, spend: Callable[[int], None]) -> None:
        super().__init__(text, judge)
        self._spend = spend

    def gridded(self, at: int) -> Seen:
        """What stands in the column below a cell or in the next one of its row."""
        while self._text[at - 1 : at] in (b"\n", b"\r"):
            at -= 1
        start, end = self._start_of_line(at), self._end_of_line(at)
        row = self._cells(start, end)
        if not row or (self._text.startswith(b"-", start) and not self._begins_row(start)):
            return [], at
        stop = end
        if len(row) == 1:
            row, stop = self._stacked(start, end, row)
        head = [self._trimmed(*one) for one in row]
        columns = columns_of(tuple(cell[2] for cell in head))
        hits: list[Found] = []
        if not columns.any():
            return hits, max(at, stop)
        for (_, _, name), cell in pairwise(head) if stop == end else ():
            hits += self._one_of(cell, said(name.decode("utf-8", "replace").replace(" ", "_")))
        if len(head) > 1 and not self._is_below(start, len(head)):
            for cells, reached in self._below(stop, len(head)):
                stop = reached
                for index, strength in columns.of(partial(self._said_in, cells)) if cells else ():
                    hits += self._one_of(self._trimmed(*cells[index]), strength)
        return hits, max(at, stop)

    def _said_in(self, cells: list[Span], index: int) -> bytes:
        return self._trimmed(*cells[index])[2]

    def _one_of(self, cell: Cell, strength: str) -> list[Found]:
        """The cell, if it is a secret under a name that says so much."""
        strength = "password" if strength == GIVEN else strength
        may = strength and DIGIT.search(cell[2])
        hit = self._secret(*cell[:2], strength, known_end=False) if may else None
        return [hit] if hit else []

    def _is_below(self, start: int, count: int) -> bool:
        """Whether the line above is a row of as many cells, so that this one names nothing."""
        above = self._cells(self._start_of_line(start - 1), max(0, start - 1)) if start else []
        return len(above) == count

    def _stacked(self, start: int, end: int, first: list[Span]) -> tuple[list[Span], int]:
        """The row that has one cell in each line, of which one is known, and where it ends."""
        row = [*first]
        while start > 0 and len(row) < CELLS and not self._begins_row(start):
            above = self._start_of_line(start - 1)
            cells = self._cells(above, start - 1)
            if len(cells) != 1:
                break
            row, start = [*cells, *row], above
        while len(row) < CELLS and end < len(self._text):
            stop = self._end_of_line(end + 1)
            cells = [] if self._begins_row(end + 1) else self._cells(end + 1, stop)
            if len(cells) != 1:
                break
            row, end = [*row, *cells], stop
        return row, end

    def _begins_row(self, at: int) -> bool:
        found = _LISTED.match(self._text, at)
        return found is not None and b"*" in found[0]

    def _below(self, end: int, count: int) -> Iterator[tuple[list[Span], int]]:
        """The rows of so many cells below a line, [] for each other line, and where each ends."""
        row: list[Span] = []
        blanks = 0
        for _ in range(ROWS):
            start, end = end + 1, self._end_of_line(end + 1)
            line = self._text[start:end]
            cells = self._cells(start, end)
            blanks = 0 if line.strip() else blanks + 1
            if start > len(self._text) or blanks > _BLANKS or not (cells or self._is_no_row(line)):
                return
            row = [*row, *cells] if len(cells) == 1 and not self._begins_row(start) else cells
            if len(row) > count:
                return
            yield (row if len(row) == count else []), end
            row = [] if len(row) == count else row

    def _is_no_row(self, line: bytes) -> bool:
        return RULE.fullmatch(line.rstrip()) is not None or _NO_ROW.fullmatch(line) is not None

    def _cells(self, start: int, end: int) -> list[Span]:
        """Where the cells of the line with these bounds are; none of any other line."""
        line = self._text[start:end] if end - start <= _LONGEST_LINE else b""
        bare = line.lstrip()
        mark, at = bare[:1], len(line) - len(bare)
        if b"\\\\" in line and b"&" in line:
            mark, at, line = b"&", 0, line[: line.rfind(b"\\\\")]
        elif found := _LISTED.match(line):
            mark, at = b"-", found.end()
        elif mark not in _MARKS or self._is_no_row(line):
            return []
        else:  # What stands before the first cell is not between two.
            at += 1 + bare.startswith(mark * 2)
        made: list[Span] = []
        for found in islice(_BETWEEN[mark].finditer(line, at), CELLS):
            made.append((start + at, start + found.start()))
            at = found.end()
        if line[at:].strip() or not made:
            made.append((start + at, start + len(line)))
        self._spend(len(made))
        of_wiki = b'="' in line
        return [one for one in made if not (of_wiki and _ATTRIBUTES.fullmatch(self._text, *one))]

    def _trimmed(self, start: int, end: int) -> Cell:
        """What a cell says without the marks around it."""
        if self._text[start:end].lstrip(_SPACE)[:1] in _OPENS:
            found = _LEAD.match(self._text, start, end)
            start = found.end() if found else start
        text = self._text[start:end]
        start += len(text) - len(text.lstrip(_SPACE))
        text = text.strip(_SPACE)
        ends = _TAIL.search(text, max(0, len(text) - _LONGEST_TAIL)) if text[-1:] in _CLOSES else None
        text = (text[: ends.start()] if ends else text).rstrip(_SPACE)
        return start, start + len(text), text


Read = Callable[[Grids, int], Seen]
_NAMES = "password", "passphrase", "passwd", "passcode", "token", "secret", "key", "pwd", "pass"
_ENDS_IN_LINE = *(" |", "|", " ^", " !!", "*|", "* |", "'''"), " & ", " \\\\"
LOOKS: tuple[tuple[tuple[str, ...], bool, str, Read], ...] = (
    (tuple(f"{name}{end}" for name in _NAMES for end in _ENDS_IN_LINE), True, "", Grids.gridded),
    (tuple(f"{name}}}" for name in _NAMES), True, r"[ ]{0,8}(?:&|\\\\)", Grids.gridded),
    (
        tuple(f"{name}{end}\n" for name in _NAMES for end in ("", "\r", "*", "'''")),
        True,
        r"(?:\r?\n)?[ ]{0,8}(?:[|!]|(?:\* )?- )",
        Grids.gridded,
    ),
)
"""As those of `apart`."""
