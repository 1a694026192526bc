"""What is seen, or read by who undoes escapes: no invisible characters and colours of a terminal; escapes of
URLs, JSON and HTML undone."""

import re
from functools import cache

from mcpguard.core.redaction.matching import PAD, Matcher, compile_literals
from mcpguard.core.redaction.views.view import REPLACED, WHOLE, View

ORDINARY = bytes({*range(0x20, 0x7F), *b"\t\n\r\x1f\xff"} - {*b"%&\\"})
"""Bytes that are in no disguise of this kind."""
_ROUNDS = 4

# What comes to a letter of ASCII, or to nothing: the rest of such escapes says nothing that is looked for.
_UNSEEN = (
    rb"(?<=\xc2)(?:[\x80-\x9f]|\xad)|(?<=\xcd)\x8f|(?<=\xd8)\x9c"
    rb"|(?<=\xe1)(?:\xa0[\x8b-\x8f]|\x85[\x9f\xa0])"
    rb"|(?<=\xe2)(?:\x80[\x8b-\x8f\xaa-\xae]|\x81[\xa0-\xaf])|(?<=\xe3)\x85\xa4"
    rb"|(?<=\xef)(?:\xbb\xbf|\xb8[\x80-\x8f]|\xbe\xa0)"
    rb"|(?<=\xf3)\xa0[\x84-\x87][\x80-\xbf]"
)
# The first byte stands alone, so that what cannot begin one is passed over a byte at a time.
_DISGUISE = re.compile(
    rb"[%\\&\x00-\x08\x0b\x0c\x0e-\x1e\x7f\xc2\xcd\xd8\xe1-\xe3\xef\xf3](?:"
    rb"(?<=%)(?:(?P<url>[0-7][0-9A-Fa-f])|(?P<urls>[89A-Fa-f][0-9A-Fa-f](?:%[89A-Fa-f][0-9A-Fa-f]){1,3}))"
    rb"|(?<=\\)\\{0,7}(?:u(?P<utf16>00[0-7][0-9A-Fa-f]|00[aA][dD]|20[0-9A-Fa-f]{2}|[fF][eE][fF]{2})"
    rb"|x(?P<hex>[0-7][0-9A-Fa-f])|/)"
    rb"|(?<=&)(?:#(?:[xX](?P<xml>[0-9A-Fa-f]{1,6})|(?P<decimal>[0-9]{1,7}))|(?P<name>amp|lt|gt|quot|apos));"
    # Colours and other sequences of a terminal (ECMA-48), controls, and marks that are not seen.
    rb"|(?:(?<=\x1b)\[|(?<=\xc2)\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    rb"|(?<=\x1b)\][^\x07\x1b\x1f]{0,512}(?:\x07|\x1b\\)"
    rb"|(?<=\x1b)(?:[ -/]{1,2}[0-~]|[@-Z\\^_])?|(?<=[\x00-\x08\x0b\x0c\x0e-\x1e\x7f])|"
    + _UNSEEN
    +
    # Letters of tags (U+E0020 to U+E007E) and full width (U+FF01 to U+FF5E).
    rb"|(?<=\xf3)\xa0(?P<tag>[\x80\x81][\x80-\xbf])|(?<=\xef)(?P<wide>\xbc[\x81-\xbf]|\xbd[\x80-\x9e]))"
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def undisguised(view: View) -> View | None:
    """The view of `view` without such disguises; None where it has none."""
    found: View | None = None
    for _ in range(_ROUNDS):
        if not disguised(view.text):
            break
        view = found = Undisguised(view)
    return found


def disguised(text: bytes) -> bool:
    """Whether anything in `text` is disguised in the first way so that a letter of a token comes out."""
    return bool(text.translate(None, ORDINARY)) and marks().search(text, stop)


def stop(_index: int, _from: int, _end: int, _flags: int, _text: bytes) -> bool:
    """A Visit: one hit is enough."""
    return True


@cache
def marks() -> Matcher:
    """The compiled `mark_literals`."""
    return compile_literals(mark_literals())


def mark_literals() -> list[bytes]:
    """What is met only where such a disguise is."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-.:=@~$|!"
    unseen = (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, *range(0x180B, 0x1810), *range(0x200B, 0x2010), 0x3164)
    unseen += (*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0)
    found = {bytes([code]) for code in {*range(32), 0x7F} - {*b"\t\n\r\x1f"}}
    found |= {chr(code).encode() for code in (*range(0x80, 0xA0), *unseen)} | {b"\xf3\xa0"}
    found |= {chr(code + 0xFEE0).encode() for code in letters}
    texts = {f"%{code:02x}" for code in (*letters, *range(9), 0x1B, 0x25)}
    texts |= {"%e2%80", "%e2%81", "%ef%bb", "%c2%ad"}
    texts |= {f"\\u00{high}" for high in range(2, 8)} | {f"\\x{high}" for high in range(2, 8)}
    texts |= {"\\u00ad", "\\u001b", "\\u200", "\\u202", "\\u206", "\\ufeff", "\\x1b", "\\/"}
    texts |= {"&#0", "&#x0", "&amp;#", "&amp;amp"}
    texts |= {shape.format(code) for code in letters for shape in ("&#{};", "&#x{:x};")}
    # A space alone says little, but between digits, or in the first line of a key.
    texts |= {"BEGIN%20", "SSWS%20", *[f"{digit}%20" for digit in range(10)]}
    both = {one for text in texts for one in (text, text.upper(), text.replace("&#x", "&#X"))}
    mixed = {one[:-1] + one[-1:].upper() for one in both if one.startswith(("%", "&#x"))}
    return sorted(found | {one.encode() for one in both | mixed})


class Undisguised(View):
    """A view as it would be seen, or read by who undoes its escapes."""

    __slots__ = ("_source",)

    def __init__(self, outer: View) -> None:
        self._source = outer.text[: -len(PAD)]
        super().__init__(_DISGUISE.sub(_plain, self._source) + PAD, outer)

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            self._make()
        return super().at(place, more)

    def _make(self) -> None:
        at = size = 0
        for match in _DISGUISE.finditer(self._source):
            start, end = match.span()
            if start > at:
                self.add(size, at, start, WHOLE)
                size += start - at
            plain = _plain(match)
            if plain:
                self.add(size, start, end, REPLACED)
                size += len(plain)
            at = end
        self.add(size, at, len(self._source) + len(PAD), WHOLE)


def _plain(match: re.Match[bytes]) -> bytes:
    """What a match of `_DISGUISE` stands for, "" for nothing."""
    kind = match.lastgroup
    if kind is None:
        return b"/" if match[0][-1:] == b"/" else b""
    said = match[kind]
    if kind == "name":
        return _NAMED[said]
    if kind in ("tag", "wide"):
        low = said[1] & 0x3F | (said[0] & 1) << 6
        return bytes([low + 0x20]) if kind == "wide" else bytes([low]) if 0x20 <= low < 0x7F else b""
    if kind == "urls":
        return bytes.fromhex(said.decode().replace("%", ""))
    number = int(said, 10 if kind == "decimal" else 16)
    if kind in ("url", "hex"):
        return bytes([number])
    return chr(number).encode("utf-8", "surrogatepass") if number <= 0x10FFFF else b""
