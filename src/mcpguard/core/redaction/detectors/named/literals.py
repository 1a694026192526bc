"""Lists and objects that programs print, and JSON: in a text itself, or in a text of these that they escape.

Law of this file: what was printed is read as the JSON that it would be, and of each byte of that it is known
which one of the text it comes from: a text in quotes keeps what it says, and all around it is put in other
words where it has no meaning in JSON. Each level of escapes is undone around one place at a time, in a part
of bounded size, and at most `DEPTH` of them; what was made around a place serves for the next one.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.documents import (
    BLANKS,
    Documents,
    names_another,
    opening_before,
)
from mcpguard.core.redaction.detectors.named.objects import Judge
from mcpguard.core.redaction.detectors.named.values import Found
from mcpguard.core.redaction.engine.matching import PAD

_SLICE = 128 * 1024
_BEFORE, _BEHIND = 4 * 1024, 16 * 1024
"""As much around a place is exchanged at least, in whole lines, and at most a slice each: source code is full
of names in quotes, and what was printed is mostly short, or one line."""
_NEAR, _HOPS = 256, 8
_CALLED = expression(rb"[\w\])](?=[(\[])")
_FIRST_OF_A_CALL = expression(rb"\w\(\"")
_TEXT = expression(
    rb"""((?<![\w"'\\])[bBuUrR]?'(?:[^'\\\n\x1f\xff]|\\[^\n\x1f\xff])*+'"""
    # What has such a text behind a bracket in it stands around what was printed.
    rb"""|(?<!\\)"(?:[^"\\\n\x1f\xff\[{(]|\\[^\n\x1f\xff]|[\[{(](?!\s{0,4}['\[{(]))*+")"""
)
_EXCHANGED = bytes.maketrans(b"\"'", b"'\"")
_BRACKETS = bytes.maketrans(b'()"', b"[]\xff")
"""A quote that stands around what was printed parts it from the rest."""
_IN_PLACE, _BACKSLASH, _QUOTE, _CUT, _NOTHING = b"\xfe", b"\xfe", b"\xfc", b"\xfd", b"\x7f"
"""Stand for a text, an escaped backslash and quote, and what is left out. They never occur in UTF-8."""
_ADDED = b"\xfb"
"""Stands for a quote that is not in the text."""
_NEVER = bytes.maketrans(_IN_PLACE + _QUOTE + _CUT + _ADDED, _NOTHING * 4)
_WORDS = (
    *((b"=>", b": "), (b"None", b"null"), (b"True", b"true"), (b"False", b"false")),
    *((b"undefined", b"null     "), (b"nil", b"0  ")),
)
_SYMBOL = expression(rb"(?<=[{\s,]):([A-Za-z_]\w{0,63}): ")
"""A name in Ruby, whose arrow is a colon by now."""
_NAME = expression(rb"(?<=[{,\s]) ([A-Za-z_$][\w$]{0,63}): ")
"""A name in JavaScript."""
_CLOSE_NAME = expression(rb"(?<=[{,])([A-Za-z_$][\w$]{0,63}):( ?)")
"""The same where no space stands before it, or behind its colon."""
_MOST_NAMES = 2000
"""How many of these are given quotes in a slice: minified code has nothing else."""
_AROUND = expression(rb"(?<![\w.])[A-Za-z_][\w.]{0,63}+(?=\[)|,(?=\s{0,64}[\]}])|%(?=\{)")
"""The name of a call, and the comma behind a single item."""
_ALL_BRACKETS, _OPENS = (b"(", b"[", b"{", b")", b"]", b"}"), b"([{"
_DOUBLE = ord('"')
_PREFIX = expression(rb'(?<![^\xfe])[bBuUrR]"')
_ESCAPE = expression(rb"\\(.)")
_OF_JSON = b'"\\/bfnrtu'
_UNDONE = {
    quote: (
        ((b"\\\\", _CUT + _BACKSLASH), (b"\\" + quote, _CUT + _QUOTE), (b"\\n", _CUT + b"\n")),
        bytes.maketrans(_BACKSLASH + quote + _QUOTE, b"\\\xff" + quote),
    )
    for quote in (b'"', b"'", b"`")
}

DEPTH = 4
"""How many levels of escapes are undone."""
_GUESSED = 2
"""How many of them where no quote that is escaped says so."""
_COST_OF_A_PLACE, _COST_OF_A_LEVEL = 8, 18
_FOR_ONE, _FOR_ONE_UNDONE = 12, 48
"""Bytes that take as long to exchange and to undo as a unit of work."""
_LONGEST_NAME = 160
_MOST_ESCAPES, _FAR, _END = 16, 4096, 2
_OUTSIDE = tuple(bytes([one]) for one in b"[({,:='\"`\\\xff")
_OTHER = {b'"': (b"'", b"`"), b"'": (b'"', b"`")}
_LAST_QUOTE = expression(rb"""(?s).*(["'])""")
_APOSTROPHE = expression(rb"(?:\w[bBuUrR]|.?[^\WbBuUrR])'")
"""From two bytes before it on; what opens a text may have one letter before it."""
_BEHIND_AN_ARROW = expression(
    rb"""=>[ ]?(?:[\[(][ ]?(?:(?:"[^"\n]{0,64}"|[0-9]{1,9}|:\w{1,40}|nil),[ ]?){0,8})?$"""
)
"""Before a text in a list or an object of Ruby or Elixir: `"name" => `, `columns => ["id", `."""
_IN_ANOTHER = expression(
    rb"""[\[{,(](?:(?<=[{,])\s{0,8}[A-Za-z_$][\w$]{0,40}:[ ][\["]|(?<![\w\])]\()\s{0,4}\(\s{0,4}\")"""
)
"""In what a text in double quotes has before it in JavaScript and in tuples of Python."""

Spend = Callable[[int], None]


def is_called(text: bytes, at: int) -> bool:
    """Whether the bracket that is open before a place is that of a call or an index, as in source code."""
    least, depth = max(at - _NEAR, 0), 0
    for _ in range(_HOPS):
        at = max(text.rfind(one, least, at) for one in _ALL_BRACKETS)
        depth += 1 if text[at] in _OPENS else -1
        if at < 0 or depth > 0:
            break
    return at > 0 and depth > 0 and _CALLED.match(text, at - 1) is not None


class ReadingOfPart:
    """A part of a text, from `begin` on, in other words; up to `stop` it serves for what is asked. `text` is
    what it comes to."""

    __slots__ = ("_places", "_step", "begin", "stop", "text")

    def __init__(self, begin: int, stop: int, text: bytes, places: "array[int]", step: int = 1) -> None:
        """`places` is where in `text` each byte would stand that is not in it, or with a `step` of -1 where
        one stands that is not in the whole."""
        self.begin, self.stop, self.text = begin, stop, text
        self._places, self._step = places, step

    def inside(self, place: int) -> int:
        """Where in `text` a place of the whole is."""
        place -= self.begin
        before = range(len(self._places))
        bisect = bisect_left if self._step > 0 else bisect_right
        return place - self._step * bisect(
            before, place, key=lambda nth: self._places[nth] + self._step * nth
        )

    def outside(self, place: int) -> int:
        """Where in the whole a place of `text` is."""
        bisect = bisect_right if self._step > 0 else bisect_left
        return self.begin + place + self._step * bisect(self._places, place)


def bounds(text: bytes, at: int) -> tuple[int, int, int]:
    """Of the part around a place: where it begins, ends, and up to where it serves."""
    least = max(at - _SLICE, 0)
    begin = text.rfind(b"\n", least, max(at - _BEFORE, 0)) + 1 or least
    end = text.find(b"\n", at + _BEHIND, at + _SLICE) + 1 or at + _SLICE
    return (begin, len(text), len(text)) if end >= len(text) else (begin, end, end - _BEFORE)


def part_as_json(text: bytes, at: int) -> ReadingOfPart:
    """What `as_json` makes of the text around a place."""
    begin, end, stop = bounds(text, at)
    pieces = as_json(text[begin:end]).split(_ADDED)
    added = array("I", accumulate((len(piece) + 1 for piece in pieces[1:-1]), initial=len(pieces[0])))
    return ReadingOfPart(begin, stop, b'"'.join(pieces) + PAD, added if pieces[1:] else array("I"), -1)


def part_undone(text: bytes, at: int, quote: bytes) -> ReadingOfPart:
    """The same without the escapes of texts in such a quote; what is in two of them is parted."""
    begin, end, stop = bounds(text, at)
    part, (escapes, meant) = text[begin:end].translate(_NEVER), _UNDONE[quote]
    for escape, said in escapes:
        part = part.replace(escape, said)
    pieces = part.replace(b"\\", _CUT).split(_CUT)
    left_out = array("I", accumulate(map(len, pieces[:-1])))
    return ReadingOfPart(begin, stop, b"".join(pieces).translate(meant) + PAD, left_out)


def as_json(text: bytes) -> bytes:
    """`text`, with all of it as JSON whose texts stand in single quotes, each byte in its place but for what
    is _ADDED."""
    made, at = bytearray(), 0
    text = text.translate(_NEVER)
    while at < len(text):  # While one is exchanged no other thread runs.
        end = text.rfind(b"\n", at, at + _SLICE) + 1 if at + _SLICE < len(text) else len(text)
        end = end or at + _SLICE
        made += _exchanged(text[at:end])
        at = end
    return bytes(made)


def _exchanged(text: bytes) -> bytes:
    parts = _TEXT.split(text)
    around = _IN_PLACE.join(parts[::2]).translate(_BRACKETS)
    for word, meant in _WORDS:
        around = around.replace(word, meant)
    around = _SYMBOL.sub(rb'"\1":', around)
    around = _NAME.sub(rb'"\1":', around)
    around = _CLOSE_NAME.sub(_ADDED + rb"\1" + _ADDED + rb":\2", around, _MOST_NAMES)
    parts[::2] = _AROUND.sub(lambda found: b" " * len(found[0]), around).split(_IN_PLACE)
    texts = _IN_PLACE.join(parts[1::2])
    if b'"' in texts:  # Some are in other quotes, and most are not.
        texts = _IN_PLACE.join(
            [one if one[0] == _DOUBLE else one.translate(_EXCHANGED) for one in parts[1::2]]
        )
    else:
        texts = texts.translate(_EXCHANGED)
    texts = _PREFIX.sub(b' "', texts)
    parts[1::2] = (_ESCAPE.sub(_escaped, texts) if b"\\" in texts else texts).split(_IN_PLACE)[
        : len(parts) // 2
    ]
    return b"".join(parts)


def _escaped(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] in _OF_JSON else b"/" + found[1]


class PrintedText:
    """A text, and around the places in it that are asked for what it comes to."""

    __slots__ = ("_escape", "_exchanged", "_judge", "_spend", "_text", "_undone", "documents")

    def __init__(self, text: bytes, judge: Judge, spend: Spend) -> None:
        self._text = text
        self._judge = judge
        self._spend = spend
        self.documents = Documents(text, judge, spend)
        self._escape = 0, -1
        """A place, and the first backslash behind it."""
        self._exchanged: tuple[ReadingOfPart, Documents] | None = None
        self._undone: dict[bytes, tuple[ReadingOfPart, PrintedText]] = {}

    def secrets(self, at: int, depth: int = DEPTH) -> tuple[list[Found], int]:
        """What is to be removed from what a place is in, shortly before which a text in quotes ends that may
        name something; and how far that was read. So many levels may still be undone."""
        closing = _LAST_QUOTE.match(self._text, max(0, at - BLANKS), at)
        if closing is None:
            return [], at
        end, quote = closing.start(1), closing[1]
        before = self._text[max(0, end - _MOST_ESCAPES) : end]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if escapes % 2:
            return self._within(at, quote, depth)
        if not escapes and quote != b'"' and not names_another(self._text, end, at):
            return [], at
        found, reach, is_known = ([], at, False) if escapes else self._plain(at, end, quote)
        for other in () if is_known or not self._has_escape(at, reach) else _OTHER[quote]:
            if escapes or self._may_be_escaped(at, reach, other):
                more, far = self._within(at, other, depth if escapes else min(depth, _GUESSED))
                found, reach = found + more, max(reach, far)
        return found, reach

    def _plain(self, at: int, end: int, quote: bytes) -> tuple[list[Found], int, bool]:
        """What is not escaped, and whether it is known that nothing is. Double quotes stand in what others
        print than JSON too: Ruby and Elixir use them throughout, Python and JavaScript around what has an
        apostrophe."""
        if quote == b'"':
            opening = opening_before(self._text, end)
            if opening > 1 and _FIRST_OF_A_CALL.match(self._text, opening - 2):
                return [], at, False  # As nothing stands in JSON.
            found, reach = self.documents.secrets(at)
            if found or not self._is_of_others(end):
                nothing = self.documents.names_nothing
                return found, reach, nothing or self._is_alone(self._text, self.documents.begun, reach)
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
        if begun < 0:
            return False
        before = text[max(0, begun - BLANKS) : begun].rstrip()
        return not before.endswith(_OUTSIDE) and b"\\" not in text[reach - _END : reach + _END]

    def _is_of_others(self, end: int) -> bool:
        """Whether the text in double quotes that ends at a place may be one of Ruby, Elixir, Python or
        JavaScript: behind an arrow, with an apostrophe in it, in a tuple, or behind a name without quotes."""
        text, least = self._text, max(0, end - _LONGEST_NAME)
        opening = opening_before(text, end)
        arrow, mark = text.rfind(b"=>", least, end), text.rfind(b"'", least, end)
        return (
            (opening > arrow >= 0 and _BEHIND_AN_ARROW.match(text, arrow, opening) is not None)
            or 0 <= mark >= opening
            or _IN_ANOTHER.search(text, max(0, opening - _LONGEST_NAME), opening + 1) is not None
        )

    def _has_escape(self, at: int, reach: int) -> bool:
        """Whether there is a backslash near a place, or near where what it is in ends."""
        least, (begin, first) = max(0, at - _FAR - _MOST_ESCAPES), self._escape
        if not begin <= least <= first:
            first = self._text.find(b"\\", least)
            self._escape = least, first if first >= 0 else len(self._text)
        near = self._escape[1] < at + _FAR
        return near or self._text.find(b"\\", max(0, reach - _END), reach + _END) >= 0

    def _may_be_escaped(self, at: int, reach: int, quote: bytes) -> bool:
        """Whether what a place is in, which was read up to `reach`, may be in a text in such quotes with
        escapes in it, though the quotes around the place are not escaped."""
        text, least = self._text, max(0, at - _FAR)
        opening = text.rfind(quote, least, at)
        if opening < 0 or _APOSTROPHE.match(text, max(0, opening - 2)):
            return False
        closing = text.find(quote, at, at + _FAR)
        # A quote that is escaped is one too.
        begin, end = max(least, opening - 1), closing if closing >= 0 else at + _FAR
        return text.find(b"\\", begin, end) >= 0 or text.find(b"\\", reach - _END, reach + _END) >= 0

    def _part(self, at: int) -> tuple[ReadingOfPart, Documents]:
        """What is around a place, in other quotes, and the JSON that it comes to."""
        self._spend(_COST_OF_A_PLACE)
        if self._exchanged is None or not self._exchanged[0].begin <= at < self._exchanged[0].stop:
            part = part_as_json(self._text, at)
            added = len(part.text) + part.begin - part.outside(len(part.text))
            self._spend(len(part.text) // _FOR_ONE + added)
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
