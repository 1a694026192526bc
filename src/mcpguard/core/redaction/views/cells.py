"""What goes on in the next row of a table, in the same column."""

import re
from collections.abc import Iterator
from itertools import pairwise

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.lines import is_random
from mcpguard.core.redaction.views.view import WHOLE, View, ViewBuilder

_BARS = (b"|", b"\xe2\x94\x82")
ROW_END = r"(?:[|]|\x94\x82)\r?\n"
_WORDS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_./:=+*#()[]`'\",-"
_LEAST, _SHORTEST = 8, 6
_ROWS = {
    bar: expression(rb"(?:[ \t]*+%b(?:[^\n]*%b)?[ \t\r]*+\n){1,512}+" % (re.escape(bar), re.escape(bar)))
    for bar in _BARS
}
"""A bounded number of rows, since while they are matched no other thread runs."""
_MANY, _AGAIN = 2048, 64
_FOR_ONE = 4
"""Cells that cost as much as one place where something may begin."""

Span = tuple[int, int]
Row = tuple[int, list[bytes]]
"""Where a row begins, and its cells."""


def cells(view: View, budget: Budget) -> View | None:
    """What the columns of tables in `view` say where a cell is full and the next one goes on. Raises
    InspectionError where `budget` is used up."""
    text = view.text
    pieces = ViewBuilder(view)
    for bar in (bar for bar in _BARS if bar in text):
        for rows in _tables(text, bar):
            for column in range(min(len(row) for _, row in rows)):
                budget.piece(len(rows) // _FOR_ONE)
                for run in _runs(rows, column, len(bar)):
                    for start, end in run:
                        pieces.add(text[start:end], start, end, WHOLE)
                    pieces.gap()
    return pieces.made(stretches=True)


def _tables(text: bytes, bar: bytes) -> Iterator[list[Row]]:
    """Rows that follow one another."""
    rows: list[Row] = []
    done = 0
    while (at := text.find(bar, done)) >= 0:
        begin = max(done, text.rfind(b"\n", done, at) + 1)
        found = _ROWS[bar].match(text, begin)
        if found is None or begin > done:
            if len(rows) > 1:
                yield rows
            rows = []
        done = found.end() if found else text.find(b"\n", at) % (len(text) + 1) + 1
        for row in found[0].split(b"\n")[:-1] if found else ():
            rows.append((begin, row.split(bar)))
            begin += len(row) + 1
            if len(rows) == _MANY:  # Each cell takes some sixty bytes.
                yield rows
                rows = rows[-_AGAIN:]
    if len(rows) > 1:
        yield rows


def _runs(rows: list[Row], column: int, bar: int) -> Iterator[list[Span]]:
    """Cells of a column of which each but the last is as wide as any, and goes on with the next word: one of
    the two words that meet is like none."""
    texts = [row[column].strip() for _, row in rows]
    width = max(map(len, texts))
    if width >= _LEAST:
        texts = [text if text.strip(b"-=:+") else b"" for text in texts]
        width = max(map(len, texts))
    if width < _LEAST:
        return
    run: list[Span] = []
    for index, (text, below) in enumerate(pairwise([*texts, b""])):
        full = len(text) == width and _meet(text.rsplit(b" ", 1)[-1], below.split(b" ", 1)[0])
        if not (full or run):
            continue
        start, end = _span(rows[index], column, bar)
        if run:
            run.append((start, start + len(text.split(b" ", 1)[0])))
        if run and (b" " in text or not full):
            yield run
            run = []
        if full:
            run = run or [(start, end)]
    if len(run) > 1:
        yield run


def _meet(word: bytes, below: bytes) -> bool:
    """Whether a word may go on in the one below: together they are long enough for a secret."""
    return len(word) + len(below) >= _SHORTEST and (_may_go_on(word) or _may_go_on(below))


def _may_go_on(word: bytes) -> bool:
    return bool(word.translate(None, _WORDS)) or is_random(word, len(word))


def _span(row: Row, column: int, bar: int) -> Span:
    """Where the text of a cell stands."""
    begin, cells = row
    begin += sum(map(len, cells[:column])) + column * bar
    cell = cells[column]
    return begin + len(cell) - len(cell.lstrip()), begin + len(cell.rstrip())
