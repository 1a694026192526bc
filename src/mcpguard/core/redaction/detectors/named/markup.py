"""Secrets in the texts of HTML and XML: behind their name, and in tables below it.

Law of this file: that of `apart`, whose readers these are.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.columns import CELLS, MARKS, Columns, columns_of
from mcpguard.core.redaction.detectors.named.naming import GIVEN
from mcpguard.core.redaction.detectors.named.values import BACK, Found, Values, given, name_at_end, said

Seen = tuple[list[Found], int]
"""What is to be removed, and where the reading ended."""

_AROUND = 4096
STRING = expression(
    rb"\s{0,32}<(string|[Vv]alue|dd|td|stringProp)(?: [^<>\x1f]{0,80})?>([^<\x1f]{4,1024})</\1>"
)
STRING_WITH_A_DIGIT = r"\s{0,32}<(string|value|dd|td)>(?=[^<\x1f0-9]{0,1023}+[0-9])[^<\x1f]{4,1024}+</\1>"
_HEADING = expression(rb"\s{0,64}<th[^<>\x1f]{0,256}>\s{0,64}([^<\x1f\xff]{0,128})</th>")
_NEXT_ROW = expression(
    rb"\s{0,64}</tr>\s{0,64}(?:</thead>\s{0,64})?(?:<tbody[^<>\x1f]{0,256}>\s{0,64})?<tr[^<>\x1f]{0,256}>"
)
_CELL = expression(
    rb"\s{0,64}<td[^<>\x1f]{0,256}>\s{0,64}(?:<\w{1,8}[^<>\x1f]{0,256}>)?([^<\x1f\xff]{0,1024})(?:</\w{1,8}>\s{0,64}){1,2}"
)


class Tags(Values):
    """What stands in tags of one text. Each method reads from the end of a literal on."""

    __slots__ = ()

    def property(self, at: int) -> Seen:
        """The text of a property list, a configuration or a list of terms, behind its name."""
        found = STRING.match(self._text, at)
        name = name_at_end(self._text[max(0, at - BACK) : self._text.rfind(b"<", 0, at)])
        return self._one(name.encode(), *found.span(2)) if found and name else ([], at)

    def headed(self, at: int) -> Seen:
        """A table of HTML, from the end of its first heading on."""
        end = self._text.find(b">", self._text.rfind(b"<tr", max(0, at - _AROUND), at)) + 1
        names: list[bytes] = []
        while len(names) < CELLS and (heading := _HEADING.match(self._text, end)):
            names.append(heading[1].strip())
            end = heading.end()
        columns, hits = columns_of(tuple(names)), list[Found]()
        while columns.any() and (begins := _NEXT_ROW.match(self._text, end)):
            end = begins.end()
            row: list[tuple[int, int, bytes]] = []
            while len(row) < CELLS and (found := _CELL.match(self._text, end)):
                row.append((*found.span(1), found[1]))
                end = found.end()
            if len(row) != columns.count:
                break
            hits += self._of_row(columns, row)
        return hits, max(at, end)

    def _one(self, name: bytes, start: int, end: int) -> Seen:
        strength = said(name.decode("utf-8", "replace"))
        hit = self._secret(start, end, given(strength) if strength else "") if strength else None
        return [hit] if hit else [], end

    def _of_row(self, columns: Columns, row: list[tuple[int, int, bytes]], sure: bool = True) -> list[Found]:
        hits = []
        for index, strength in columns.of(lambda at: row[at][2]):
            start, _, cell = row[index]
            value = cell.strip(MARKS)
            at = start + cell.find(value)
            says = "password" if strength == GIVEN and not sure else strength
            if value and (hit := self._secret(at, at + len(value), says, known_end=sure)):
                hits.append(hit)
        return hits
