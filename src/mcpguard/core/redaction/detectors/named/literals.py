"""What programs print of lists and objects, as JSON, and a text without one level of the escapes in it.

Law of this file: for each byte that is made, it is known which one of the text it comes from. A text in
quotes keeps what it says; all around it is put in other words where it has no meaning in JSON.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.engine.matching import PAD

_SLICE = 128 * 1024
_BEFORE, _BEHIND = 4 * 1024, 16 * 1024
"""As much around a place is exchanged at least, in whole lines, and at most a slice each: source code is full
of names in quotes, and what was printed is mostly short, or one line."""
_NEAR, _HOPS = 256, 8
_CALLED = expression(rb"[\w\])](?=[(\[])")
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
_NEVER = bytes.maketrans(_IN_PLACE + _QUOTE + _CUT, _NOTHING * 3)
_WORDS = (
    *((b"=>", b": "), (b"None", b"null"), (b"True", b"true"), (b"False", b"false")),
    *((b"undefined", b"null     "), (b"nil", b"0  ")),
)
_SYMBOL = expression(rb"(?<=[{\s,]):([A-Za-z_]\w{0,63}): ")
"""A name in Ruby, whose arrow is a colon by now."""
_NAME = expression(rb"(?<=[{,\s]) ([A-Za-z_$][\w$]{0,63}): ")
"""A name in JavaScript."""
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

    __slots__ = ("_left_out", "begin", "stop", "text")

    def __init__(self, begin: int, stop: int, text: bytes, left_out: "array[int]") -> None:
        """`left_out` is where in `text` each byte would stand that is not in it."""
        self.begin, self.stop, self.text = begin, stop, text
        self._left_out = left_out

    def inside(self, place: int) -> int:
        """Where in `text` a place of the whole is."""
        place -= self.begin
        before = range(len(self._left_out))
        return place - bisect_left(before, place, key=lambda nth: self._left_out[nth] + nth)

    def outside(self, place: int) -> int:
        """Where in the whole a place of `text` is."""
        return self.begin + place + bisect_right(self._left_out, place)


def bounds(text: bytes, at: int) -> tuple[int, int, int]:
    """Of the part around a place: where it begins, ends, and up to where it serves."""
    least = max(at - _SLICE, 0)
    begin = text.rfind(b"\n", least, max(at - _BEFORE, 0)) + 1 or least
    end = text.find(b"\n", at + _BEHIND, at + _SLICE) + 1 or at + _SLICE
    return (begin, len(text), len(text)) if end >= len(text) else (begin, end, end - _BEFORE)


def part_as_json(text: bytes, at: int) -> ReadingOfPart:
    """What `as_json` makes of the text around a place."""
    begin, end, stop = bounds(text, at)
    return ReadingOfPart(begin, stop, as_json(text[begin:end]) + PAD, array("I"))


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
    """`text`, with all of it as JSON whose texts stand in single quotes, each byte in its place."""
    made, at = bytearray(), 0
    text = text.replace(_IN_PLACE, _NOTHING)
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
