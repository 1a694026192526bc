"""Secrets in the items of a list below its heading, and in columns that have but one name.

Law of this file: that of `apart`, whose readers these are. An item is one word with a digit, and the list
ends at the first line that has anything else.
"""

from collections.abc import Callable

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import Seen, singular
from mcpguard.core.redaction.detectors.named.around.columns import barred, columns_of
from mcpguard.core.redaction.detectors.named.around.labels import Labels
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, name_at_end, said

_BREAK = r"(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)"
_NUMBER = r"(?:[0-9]{1,4}|[A-Za-z]|[ivx]{1,5})"
_POINT = (
    rf"(?:[-*+]|\xe2(?:\x80[\x93\x94\xa2\xa3]|\x97[\x8b\x8f\xa6])|\xc2\xb7|{_NUMBER}[.):]|\({_NUMBER}\)"
    r"|\[[ xX0-9]{1,4}\]|#[0-9]{1,4})[ \t]{1,4}(?:\[[ xX]\][ ])?"
)
_BULLET = rf"(?:{_POINT}|(?<=[ ]{{2}})|(?<=\t))"
_LEAD = rf"(?:\*{{2}}|__)?:?[ \t]{{0,8}}(?:{_BREAK}[ \t>]{{0,8}}){{1,3}}"
_WORD = r"""["'`*]{0,3}(?=[^\s\x00-\x1f\xff]{0,64}[0-9])([^\s"'`*\x00-\x1f\xff]{6,512}?)["'`*]{0,3}"""
_END = rf"""(?=[ \t]{{0,8}}(?:{_BREAK}|[\x1f\xff]|$)|"\s{{0,16}}[,}}\]])"""
ITEMS = rf"(?:{_LEAD}|(?<=[\nn])(?:[ \t>]{{0,8}}{_BREAK}){{0,2}}[ \t>]{{0,8}}){_BULLET}"
_FIRST = expression(rf"{ITEMS}{_WORD}{_END}".encode())
_ITEM = expression(
    rf"[ \t]{{0,8}}{_BREAK}(?:[ \t]{{0,8}}{_BREAK})?[ \t>]{{0,8}}{_BULLET}{_WORD}{_END}".encode()
)
_HEADING = expression(rb"(?:#{1,6}[ \t]|\*\*|__)[^\n\x1f\xff]{0,80}\Z")
_SOLE = expression(
    rb"[0-9]{1,7}[ ]{2,40}(?=[^\s\x00-\x1f\xff]{0,64}[0-9])([^\s\x00-\x1f\xff]{4,512})"
    rb"[ ]{0,40}(?:\r?\n|\Z|[\x1f\xff])"
)
_OF_SERIES = expression(rb"\S{1,64}[ ]{2,80}([^\x00-\x1f\xff]{1,512})\Z")
SERIES = r"[\w.-]{1,64}(?:, Length: [0-9]{1,9})?, dtype: [a-z]"
_ROWS = 64
"""Of a series, of which pandas shows 60."""


class Items(Labels):
    """What stands in lists and columns of one text. Each public method reads from the end of a literal on."""

    __slots__ = ()

    def under(self, at: int) -> Seen:
        """Several secrets in a list below their name, or one that a page shows below it."""
        return self._first_of(at, self.shown)

    def below(self, at: int) -> Seen:
        """The same behind a colon."""
        return self._first_of(at, super().below)

    def _first_of(self, at: int, other: Callable[[int], Seen]) -> Seen:
        hits, end = self.itemised(at)
        return (hits, end) if hits else other(at)

    def itemised(self, at: int) -> Seen:
        """The words of a list below a heading or a colon: `## Tokens` and `1. …`."""
        found = _FIRST.match(self._text, at)
        head = self._text[self._start_of_line(at - 2) : at].rstrip(b" \r\n*`_").removesuffix(b"\\n")
        if found is None or not (head.endswith(b":") or _HEADING.search(head)):
            return [], at
        strength = said(singular(name_at_end(head.rstrip(b":*_ ").rpartition(b"\\n")[2])))
        hits: list[Found] = []
        while strength and found:
            at = found.end()
            if hit := self._secret(*found.span(1), strength, known_end=False):
                hits.append(hit)
            found = _ITEM.match(self._text, at)
        return hits, at

    def sole(self, at: int) -> Seen:
        """The only column of a frame, below its name and behind the numbers of its rows."""
        stop = at - 1
        start = self._start_of_line(stop)
        head = self._text[start:stop].rstrip(b"\r")
        strength = said(head.strip().decode("utf-8", "replace"))
        hits: list[Found] = []
        while strength and (found := _SOLE.match(self._text, at)):
            right = found.end(1) - at == len(head)
            if not right and found.start(1) - at != len(head) - len(head.lstrip()):
                break
            if hit := self._secret(*found.span(1), strength, known_end=False):
                hits.append(hit)
            at = found.end()
        return hits, at

    def series(self, at: int) -> Seen:
        """A series of pandas, from the line below it that says what it is."""
        strength = said(self._text[at : self._text.find(b",", at)].decode("utf-8", "replace"))
        hits: list[Found] = []
        stop = at - len(b"\nName: ")
        for _ in range(_ROWS if strength else 0):
            start = self._start_of_line(stop)
            row = _OF_SERIES.match(self._text, start, stop)
            if row is None:
                break
            if DIGIT.search(row[1]) and (hit := self._secret(*row.span(1), strength, known_end=False)):
                hits.append(hit)
            stop = start - 1
        return hits, at

    def boxed(self, at: int) -> Seen:
        """A table whose names stand in its upper line: `┌─user─┬─password─┐`."""
        start, end = self._start_of_line(at), self._end_of_line(at)
        head = self._text[start:end]
        if not head.startswith(b"\xe2\x94\x8c\xe2\x94\x80"):
            return [], at
        names = head.replace(b"\xe2\x94\x80", b"").strip(b"\xe2\x94\x8c\x90\r").split(b"\xe2\x94\xac")
        return self._rows(columns_of(tuple(names)), end, barred, sure=False)
