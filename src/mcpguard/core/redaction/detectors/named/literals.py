"""What Python, JavaScript and Ruby print of lists and objects, and JSON that is a text of JSON, as JSON of
the same length.

Law of this file: each byte stays where it is or is replaced by one other, so that what is read in the JSON
stands in the text at the same place. A text in quotes keeps what it says; all around it is put in other words
where it has no meaning in JSON.
"""

import re
from collections.abc import Callable
from functools import cache

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.engine.matching import PAD

_SLICE = 128 * 1024
_BEFORE, _BEHIND = 4 * 1024, 16 * 1024
"""As much around a place is exchanged at least, in whole lines, and at most a slice each: source code is full
of names in quotes, and what was printed is mostly short, or one line."""
_NEAR, _HOPS = 256, 8
_CALLED = expression(rb"[\w\])](?=[(\[])")
_FOR_ONE = 12
"""Bytes that take as long to exchange as a unit of work."""
_TEXT = expression(
    rb"""((?<![\w"'\\])[bBuUrR]?'(?:[^'\\\n\x1f\xff]|\\[^\n\x1f\xff])*+'"""
    # What has such a text behind a bracket in it stands around what was printed.
    rb"""|"(?:[^"\\\n\x1f\xff\[{(]|\\[^\n\x1f\xff]|[\[{(](?!\s{0,4}['\[{(]))*+")"""
)
_EXCHANGED = bytes.maketrans(b"\"'", b"'\"")
_BRACKETS = bytes.maketrans(b'()"', b"[]\xff")
"""A quote that stands around what was printed parts it from the rest."""
_IN_PLACE, _NOTHING = b"\xfe", b"\x7f"
"""Stands for a text. It never occurs in UTF-8."""
_WORDS = (
    *((b"=>", b": "), (b"None", b"null"), (b"True", b"true"), (b"False", b"false")),
    *((b"undefined", b"null     "), (b"nil", b"0  ")),
)
_SYMBOL = expression(rb"(?<=[{\s,]):([A-Za-z_]\w{0,63}): ")
"""A name in Ruby, whose arrow is a colon by now."""
_NAME = expression(rb"(?<=[{,\s]) ([A-Za-z_$][\w$]{0,63}): ")
"""A name in JavaScript."""
_AROUND_ESCAPED = expression(rb'\\*"|\\+[nrt]')
_IN_A_TEXT = bytes.maketrans(b'\\"', b"__")
_AROUND = expression(rb"(?<![\w.])[A-Za-z_][\w.]{0,63}+(?=\[)|,(?=\s{0,64}[\]}])|%(?=\{)")
"""The name of a call, and the comma behind a single item."""
_ALL_BRACKETS, _OPENS = (b"(", b"[", b"{", b")", b"]", b"}"), b"([{"
_DOUBLE = ord('"')
_PREFIX = expression(rb'(?<![^\xfe])[bBuUrR]"')
_ESCAPE = expression(rb"\\(.)")
_OF_JSON = b'"\\/bfnrtu'


def is_called(text: bytes, at: int) -> bool:
    """Whether the bracket that is open before a place is that of a call or an index, as in source code."""
    least, depth = max(at - _NEAR, 0), 0
    for _ in range(_HOPS):
        at = max(text.rfind(one, least, at) for one in _ALL_BRACKETS)
        depth += 1 if text[at] in _OPENS else -1
        if at < 0 or depth > 0:
            break
    return at > 0 and depth > 0 and _CALLED.match(text, at - 1) is not None


def part_as_json(text: bytes, at: int, quote: bytes, spend: Callable[[int], None]) -> tuple[int, int, bytes]:
    """Of the text around a place: where it begins, up to where it serves, and what `as_json` makes of it."""
    least = max(at - _SLICE, 0)
    begin = text.rfind(b"\n", least, max(at - _BEFORE, 0)) + 1 or least
    end = text.find(b"\n", at + _BEHIND, at + _SLICE) + 1 or at + _SLICE
    made = as_json(text[begin:end], quote, spend)
    return (begin, len(text), made) if end >= len(text) else (begin, end - _BEFORE, made + PAD)


def as_json(text: bytes, quote: bytes, spend: Callable[[int], None]) -> bytes:
    """`text`, with all of it as JSON whose texts stand in such a quote: a single one, or a double one with
    backslashes before it, as in JSON that is a text of JSON itself."""
    made, at = bytearray(), 0
    text = text.replace(_IN_PLACE, _NOTHING)
    while at < len(text):  # While one is exchanged no other thread runs.
        end = text.rfind(b"\n", at, at + _SLICE) + 1 if at + _SLICE < len(text) else len(text)
        end = end or at + _SLICE
        spend((end - at) // _FOR_ONE)
        made += _unescaped(text[at:end], len(quote) - 1) if quote[1:] else _exchanged(text[at:end])
        at = end
    return bytes(made)


@cache
def _escaped_texts(size: int) -> re.Pattern[bytes]:
    """Texts between quotes with exactly so many backslashes before each; those in them have more."""
    quote = rb"(?<!\\)\\{%d}\"" % size
    inner = rb"[^\"\\\n\x1f\xff]++|\\{%d,}+\"|\\++(?!\")" % (size + 1)
    return re.compile(rb"(%b(?:%b)*+%b)" % (quote, inner, quote))


def _unescaped(text: bytes, size: int) -> bytes:
    """What is within quotes that have so many backslashes before each, as JSON."""
    parts = _escaped_texts(size).split(text)
    around = _AROUND_ESCAPED.sub(_blank, _IN_PLACE.join(parts[::2]))
    parts[::2] = around.split(_IN_PLACE)
    blank, inside = b" " * size, size + 1
    parts[1::2] = [
        b'%b"%b"%b' % (blank, one[inside:-inside].translate(_IN_A_TEXT), blank) for one in parts[1::2]
    ]
    return b"".join(parts)


def _blank(found: re.Match[bytes]) -> bytes:
    """What is in place of an escape between texts: of the end of a line nothing, and of a quote, which is one
    around all of it, what parts it from the rest."""
    size = len(found[0]) - 1
    return b" " * size + (b"\xff" if found[0].endswith(b'"') else b" ")


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
