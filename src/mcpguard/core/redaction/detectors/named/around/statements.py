"""Secrets in rows, below or behind the names of their columns, and in what SQL says of tables.

Law of this file: that of `apart`, whose readers these are.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import Seen
from mcpguard.core.redaction.detectors.named.around.columns import (
    CELLS,
    ROWS,
    Cells,
    Columns,
    columns_of,
    delimited,
)
from mcpguard.core.redaction.detectors.named.around.printed import PrintedForms
from mcpguard.core.redaction.detectors.named.values import Found, Judge

_REST = expression(rb"[^\n\x1f\xff]{0,4096}")
RULE = expression(rb"[-+|:= \t]+|(?:\xe2[\x94-\x96][\x80-\xbf]|[-+|:= \t])+")
_TUPLE = expression(rb"\s{0,64},?\s{0,64}\(")
_LITERAL = expression(
    rb"\s{0,16}(?:[NnEe]?'((?:[^'\\\x00]|''|\\.){0,2048}+)'|\"((?:[^\"\\\x00]|\\.){0,2048}+)\""
    rb"|([^,()'\"\x00-\x08]{0,256}(?:\([^()]{0,256}\))?))\s{0,16}(,\)|[,)])"
)
_BOUND = expression(rb"[^\n\x1f]{0,256}\]\s{0,16}\[parameters: \[?\(")
"""Behind a statement, the values for its marks, as SQLAlchemy shows them."""
COLUMNS = expression(
    rb"[^\s(]{1,128}\s{0,4}\(([^()\x00-\x08]{3,2048})\)\s{0,8}(?:(?i:values?)|(?i:from )[a-z]+;?\r?\n)"
)
CREATED = expression(
    rb"""(?:[iI][fF] [nN][oO][tT] [eE][xX][iI][sS][tT][sS] )?["`\[]?([\w.]{1,64})["`\]]?\s{0,4}\("""
)
BARE_INSERT = expression(rb"""["`\[]?([\w.]{1,64})["`\]]? (?:VALUES|values)""")
_COLUMN = expression(
    rb"""\s{0,32}["`\[]?(?!(?:PRIMARY|UNIQUE|KEY|CONSTRAINT|FOREIGN|CHECK|INDEX|FULLTEXT) )(\w{1,64})"""
)
_BODY = expression(rb"[^();]{0,4096}+(?:\([^()]{0,256}\)[^();]{0,256}+){0,256}+")
_DEEPER = expression(rb"\([^()]{0,256}\)")


class Statements(PrintedForms):
    """What rows and statements of one text say. Each public method reads from the end of a literal on."""

    __slots__ = ("_created",)

    def __init__(self, text: bytes, judge: Judge) -> None:
        super().__init__(text, judge)
        self._created: dict[bytes, int] = {}

    def inserted(self, at: int) -> Seen:
        """`INSERT INTO t (name, password) VALUES (…)`, and the rows of `COPY t (…) FROM stdin`."""
        found = COLUMNS.match(self._text, at)
        if found is None:
            return [], at
        columns = columns_of(tuple(found[1].split(b",")[:CELLS]))
        if not columns.any():
            return [], at
        if found[0].endswith(b"\n"):
            return self._rows(columns, found.end() - 1, lambda line, begin: delimited(line, begin, b"\t"))
        hits, end = self._tuples(columns, found.end())
        if bound := _BOUND.match(self._text, end):
            more, end = self._tuples(columns, bound.end() - 1)
            hits += more
        return hits, end

    def created(self, at: int) -> Seen:
        """Note where a table's columns are named, for its rows further down in the dump."""
        if found := CREATED.match(self._text, at):
            self._created[found[1].lower()] = found.end()
        return [], at

    def filled(self, at: int) -> Seen:
        """`INSERT INTO t VALUES (…)`, where the text has made `t` before."""
        found = BARE_INSERT.match(self._text, at)
        place = self._created.get(found[1].lower()) if found else None
        body = _BODY.match(self._text, place) if place else None
        if not (found and body):
            return [], at
        columns = [_COLUMN.match(one) for one in _DEEPER.sub(b"", body[0]).split(b",")]
        made = columns_of(tuple(one[1] for one in columns if one)[:CELLS])
        return self._tuples(made, found.end()) if made.any() else ([], at)

    def _rows(self, columns: Columns, end: int, cells: Cells, sure: bool = True) -> Seen:
        hits: list[Found] = []
        if not columns.any():
            return hits, end
        for _ in range(ROWS):
            start, stop = end + 1, self._end_of_line(end + 1)
            line = self._text[start:stop]
            if start >= stop or not line.strip():
                break
            if not RULE.fullmatch(line.rstrip(b"\r")):
                row = cells(line, start)
                if len(row) != columns.count:
                    break
                hits += self._of_row(columns, row, sure)
            end = stop
        return hits, end

    def _tuples(self, columns: Columns, at: int) -> Seen:
        hits: list[Found] = []
        for _ in range(ROWS):
            begins = _TUPLE.match(self._text, at)
            if begins is None:
                break
            row: list[tuple[int, int, bytes]] = []
            at = begins.end()
            while found := _LITERAL.match(self._text, at):
                which = 1 if found.start(1) >= 0 else 2 if found.start(2) >= 0 else 3
                row.append((*found.span(which), found[which]))
                at = found.end()
                if found[4] != b"," or len(row) > CELLS:
                    break
            if len(row) != columns.count:
                break
            hits += self._of_row(columns, row)
        return hits, at

    def _end_of_line(self, at: int) -> int:
        rest = _REST.match(self._text, at)
        return rest.end() if rest else at
