"""What goes on in the next row of a table, in the same column."""

from collections.abc import Iterator

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.view import WHOLE, Pieces, View

_BARS = (b"|", b"\xe2\x94\x82")
ROW_END = r"(?:[|]|\x94\x82)\r?\n"
_WORDS = b"abcdefghijklmnopqrstuvwxyz_./:=+*#()`'\",-"
_LEAST = 8
_WIDEST = 4096
_FOR_ONE = 4
"""Cells that cost as much as one place where something may begin."""

Span = tuple[int, int]
Row = tuple[int, list[bytes]]
"""Where a row begins, and its cells."""


def cells(view: View, budget: Budget) -> View | None:
    """What the columns of tables in `view` say where a cell is full and the next one goes on. Raises
    InspectionError where `budget` is used up."""
    text = view.text
    pieces = Pieces(view)
    for bar in (bar for bar in _BARS if bar in text):
        for rows in _tables(text, bar):
            begins = [begin for begin, _ in rows]
            for column in range(min(len(row) for _, row in rows)):
                budget.piece(len(rows) // _FOR_ONE)
                for run in _runs(rows, begins, column):
                    for start, end in run:
                        pieces.add(text[start:end], start, end, WHOLE)
                    pieces.gap()
                begins = [
                    begin + len(row[column]) + len(bar) for begin, (_, row) in zip(begins, rows, strict=True)
                ]
    made = pieces.made()
    if made:
        made.joined = made.stretches = True
    return made


def _tables(text: bytes, bar: bytes) -> Iterator[list[Row]]:
    """Rows that follow one another."""
    rows: list[Row] = []
    at = text.find(b"\n", text.find(bar))
    begin = 0
    while at >= 0:
        begin = max(begin, text.rfind(b"\n", max(0, at - _WIDEST), at) + 1)
        row = text[begin:at]
        if row.lstrip(b" \t").startswith(bar) and row.rstrip(b" \t\r").endswith(bar):
            rows.append((begin, row.split(bar)))
            begin = at + 1
            at = text.find(b"\n", begin)
        else:
            if len(rows) > 1:
                yield rows
            rows = []
            begin = at + 1
            at = text.find(b"\n", text.find(bar, begin)) if text.find(bar, begin) >= 0 else -1
    if len(rows) > 1:
        yield rows


def _runs(rows: list[Row], begins: list[int], column: int) -> Iterator[list[Span]]:
    """Cells of a column of which each but the last is as wide as any, and goes on with the next word."""
    texts = [row[column].strip() for _, row in rows]
    texts = [text if text.strip(b"-=:+") else b"" for text in texts]
    width = max(map(len, texts))
    if width < _LEAST:
        return
    run: list[Span] = []
    for index, text in enumerate(texts):
        cell = rows[index][1][column]
        start = begins[index] + len(cell) - len(cell.lstrip())
        end = begins[index] + len(cell.rstrip())
        if run:
            run.append((start, start + len(text.split(b" ", 1)[0])))
        if b" " in text and len(run) > 1:
            yield run
            run = []
        if len(text) == width and text.rsplit(b" ", 1)[-1].translate(None, _WORDS):
            run = run or [(start, end)]
        elif run:
            yield run
            run = []
    if len(run) > 1:
        yield run
