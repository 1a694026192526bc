"""Lists and objects that programs print, and JSON: in a text itself, or in a text of these that they escape.

Law of this file: each level of escapes is undone around one place at a time, in a part of bounded size, and
at most `DEPTH` of them. What was read around a place is not made again for the next one.
"""

from collections.abc import Callable

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.documents import (
    BLANKS,
    Documents,
    names_another,
    opening_before,
)
from mcpguard.core.redaction.detectors.named.literals import (
    ReadingOfPart,
    is_called,
    part_as_json,
    part_undone,
)
from mcpguard.core.redaction.detectors.named.objects import Judge
from mcpguard.core.redaction.detectors.named.values import Found

DEPTH = 4
"""How many levels of escapes are undone."""
_GUESSED = 2
"""How many of them where no quote that is escaped says so."""
_COST_OF_A_PLACE, _COST_OF_A_LEVEL = 8, 18
_FOR_ONE, _FOR_ONE_UNDONE = 12, 48
"""Bytes that take as long to exchange and to undo as a unit of work."""
_LONGEST_NAME = 160
_ESCAPES, _FAR, _CUT = 16, 4096, 2
_DOUBLE = ord('"')
_AROUND = tuple(bytes([one]) for one in b"[({,:='\"`\\\xff")
_OTHER = {b'"': (b"'", b"`"), b"'": (b'"', b"`")}
_APOSTROPHE = expression(rb"(?:\w[bBuUrR]|.?[^\WbBuUrR])'")
"""From two bytes before it on; what opens a text may have one letter before it."""
_BEHIND_ARROW = expression(
    rb"""=>[ ]?(?:[\[(][ ]?(?:(?:"[^"\n]{0,64}"|[0-9]{1,9}|:\w{1,40}|nil),[ ]?){0,8})?$"""
)
"""Before a text in a list or an object of Ruby or Elixir: `"name" => `, `columns => ["id", `."""

Spend = Callable[[int], None]


class PrintedText:
    """A text, and around the places in it that are asked for what it comes to."""

    __slots__ = ("_exchanged", "_judge", "_spend", "_text", "_undone", "documents")

    def __init__(self, text: bytes, judge: Judge, spend: Spend) -> None:
        self._text = text
        self._judge = judge
        self._spend = spend
        self.documents = Documents(text, judge, spend)
        self._exchanged: tuple[ReadingOfPart, Documents] | None = None
        self._undone: dict[bytes, tuple[ReadingOfPart, PrintedText]] = {}

    def secrets(self, at: int, depth: int = DEPTH) -> tuple[list[Found], int]:
        """What is to be removed from what a place is in, shortly before which a text in quotes ends that may
        name something; and how far that was read. So many levels may still be undone."""
        end = max(self._text.rfind(quote, max(0, at - BLANKS), at) for quote in _OTHER)
        quote = self._text[end : end + 1]
        if quote not in _OTHER:
            return [], at
        before = self._text[max(0, end - _ESCAPES) : end]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if escapes % 2:
            return self._within(at, quote, depth)
        if not escapes and quote != b'"' and not names_another(self._text, end, at):
            return [], at
        found, reach, is_known = ([], at, False) if escapes else self._plain(at, end, quote)
        for other in () if is_known else _OTHER[quote]:
            if escapes or self._may_be_escaped(at, reach, other):
                more, far = self._within(at, other, depth if escapes else min(depth, _GUESSED))
                found, reach = found + more, max(reach, far)
        return found, reach

    def _plain(self, at: int, end: int, quote: bytes) -> tuple[list[Found], int, bool]:
        """What is not escaped, and whether it is known that nothing is. Double quotes stand in what others
        print than JSON too: Ruby and Elixir use them throughout, Python and JavaScript around what has an
        apostrophe."""
        if quote == b'"':
            found, reach = self.documents.secrets(at)
            if found or not (self._is_behind_arrow(end) or self._has_apostrophe(end)):
                is_alone = self._is_alone(self._text, self.documents.begun, reach)
                return found, reach, is_alone or self.documents.names_nothing
        if is_called(self._text, at):
            return [], at, False
        part, documents = self._part(at)
        inside = part.inside(at)
        found, reach = documents.secrets(inside)
        is_known = self._is_alone(part.text, documents.begun, reach)
        return *_outside(part, found, reach), is_known and part.text[part.inside(end)] == _DOUBLE

    def _is_alone(self, text: bytes, begun: int, reach: int) -> bool:
        """Whether JSON that was read between two places of a text stands in nothing else, and was read to
        its end."""
        before = text[max(0, begun - BLANKS) : max(0, begun)].rstrip()
        return begun >= 0 and not before.endswith(_AROUND) and b"\\" not in text[reach - _CUT : reach + _CUT]

    def _has_apostrophe(self, end: int) -> bool:
        """Whether the text in double quotes that ends at a place has a single one in it."""
        mark = self._text.rfind(b"'", max(0, end - _LONGEST_NAME), end)
        return 0 <= mark >= opening_before(self._text, end)

    def _is_behind_arrow(self, end: int) -> bool:
        arrow = self._text.rfind(b"=>", max(0, end - _LONGEST_NAME), end)
        opening = opening_before(self._text, end) if arrow >= 0 else -1
        return opening > arrow and _BEHIND_ARROW.match(self._text, arrow, opening) is not None

    def _may_be_escaped(self, at: int, reach: int, quote: bytes) -> bool:
        """Whether what a place is in, which was read up to `reach`, may be in a text in such quotes with
        escapes in it, though the quotes around the place are not escaped."""
        text, least = self._text, max(0, at - _FAR)
        opening, closing = text.rfind(quote, least, at), text.find(quote, at, at + _FAR)
        if opening < 0 or _APOSTROPHE.match(text, max(0, opening - 2)):
            return False
        # A quote that is escaped is one too.
        begin, end = max(least, opening - 1), closing if closing >= 0 else at + _FAR
        return text.find(b"\\", begin, end) >= 0 or text.find(b"\\", reach - _CUT, reach + _CUT) >= 0

    def _part(self, at: int) -> tuple[ReadingOfPart, Documents]:
        """What is around a place, in other quotes, and the JSON that it comes to."""
        self._spend(_COST_OF_A_PLACE)
        if self._exchanged is None or not self._exchanged[0].begin <= at < self._exchanged[0].stop:
            part = part_as_json(self._text, at)
            self._spend(len(part.text) // _FOR_ONE)
            self._exchanged = part, Documents(part.text, self._judge, self._spend)
        return self._exchanged

    def _within(self, at: int, quote: bytes, depth: int) -> tuple[list[Found], int]:
        """The same in a text in such quotes."""
        if not depth:
            return [], at
        self._spend(_COST_OF_A_LEVEL)
        known = self._undone.get(quote)
        if known is None or not known[0].begin <= at < known[0].stop:
            part = part_undone(self._text, at, quote)
            self._spend(len(part.text) // _FOR_ONE_UNDONE)
            known = self._undone[quote] = part, PrintedText(part.text, self._judge, self._spend)
        part, inner = known
        return _outside(part, *inner.secrets(part.inside(at), depth - 1))


def _outside(part: ReadingOfPart, found: list[Found], reach: int) -> tuple[list[Found], int]:
    """What was found in a part, and how far that was read, in the whole."""
    places = [(part.outside(first), part.outside(last - 1) + 1, kind) for first, last, kind in found]
    return places, part.outside(reach)
