"""What is seen, or read by whoever undoes escapes: without the colours of a terminal, tags and characters
that are not seen, in plain letters (`characters`); escapes of URLs, JSON, HTML and languages undone."""

import re
from binascii import Error, a2b_base64, a2b_hex
from collections.abc import Callable, Iterator

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.views.characters import plain_characters
from mcpguard.core.redaction.views.view import REPLACED, WHOLE, View, slices

_KEY_IN_FORM, _KEY = b"+PRIVATE+KEY", b" PRIVATE KEY"
_SOFT = 70
_FOR_ONE = 2
"""Escapes that cost as much as one place where something may begin."""

_CONTROLS = bytes({*range(32), 0x7F} - {*b"\t\n\r\x1b\x1f"})
_CSI = rb"[0-?]{0,64}[ -/]{0,8}[@-~](?:\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~])*+"
_INLINE = rb"span|wbr|br|b|i|em|mark|strong|a|u|s|font|code|ins|del|small|sub|sup|tt|kbd|var|samp|bdi|bdo"
# By the one byte with which each begins: all others are passed over a byte at a time, and one that begins
# nothing is known at once.
_DISGUISES: dict[bytes, bytes] = {
    # Many of one kind in a row, as by whom each character is escaped, are one piece.
    b"%": rb"(?:(?P<urlrun>[0-7][0-9A-Fa-f](?:%[0-7][0-9A-Fa-f]){3,}+)"
    rb"|(?P<url>[0-7][0-9A-Fa-f])|(?P<urls>[89A-Fa-f][0-9A-Fa-f](?:%[89A-Fa-f][0-9A-Fa-f]){1,3}))",
    rb"\\": rb"(?:(?P<hexrun>x[0-7][0-9A-Fa-f](?:\\x[0-7][0-9A-Fa-f]){3,}+)"
    rb"|(?P<utfrun>u00[0-7][0-9A-Fa-f](?:\\u00[0-7][0-9A-Fa-f]){3,}+)"
    rb"|\\{0,7}(?:u(?P<utf16>00[0-7][0-9A-Fa-f]|00[aA][dD]|20[0-9A-Fa-f]{2}|[fF][eE][fF]{2}"
    rb"|[fF]{2}[0-5][0-9A-Fa-f])|u(?P<pair>[dD](?:835|[bB]40)\\{1,8}u[dD][c-fC-F][0-9A-Fa-f]{2})"
    rb"|x(?P<hex>[0-9A-Fa-f]{2})|U(?P<utf32>000[01][0-9A-Fa-f]{4})|[ux]\{(?P<braced>[0-9A-Fa-f]{1,6})\}"
    rb"|(?P<octal>[01][0-7]{2})|0|(?P<mark>[ !-$'-/:;=-@\[\]^_`{|}~])|[eE](?=\[))|\$?\r?\n)",
    b"&": rb"(?:(?P<xmlrun>#x[0-7][0-9A-Fa-f];(?:&#x[0-7][0-9A-Fa-f];){3,}+)"
    rb"|#(?:[xX](?P<xml>[0-9A-Fa-f]{1,6})|(?P<decimal>[0-9]{1,7}));?|(?P<name>[A-Za-z]{2,16});)",
    b"<": rb"(?:/?(?:" + _INLINE + rb")(?:[ \n/][^<>\x1f]{0,512})?>|!--[^<>\x1f]{0,512}-->|!\[CDATA\[)",
    rb"\]": rb"\]>",
    # Colours and other sequences of a terminal (ECMA-48), and controls.
    rb"\^": rb"\[\[" + _CSI,
    rb"\x1b": rb"(?:\[" + _CSI + rb"|\][^\x07\x1b\x1f]{0,512}(?:\x07|\x1b\\)|(?:[ -/]{1,2}[0-~]|[@-Z\\^_])?)",
    rb"\xc2": rb"\x9b(?:" + _CSI + rb")?",
    **{b"\\x%02x" % one: b"[%s]*+" % re.escape(_CONTROLS) for one in _CONTROLS},
}
_DISGUISE = b"|".join(begin + rest for begin, rest in _DISGUISES.items())
_ESCAPE = expression(_DISGUISE)
_ESCAPES = expression(b"(" + re.sub(rb"\(\?P<\w+>", b"(?:", _DISGUISE) + b")")
"""The same as one group."""
_KNOWN: dict[bytes, bytes] = {}
"""What escapes of one character stand for."""
_MOST_KNOWN = 2_000
_NAMED = {
    name.encode(): plain.encode()
    for plain, names in {
        "&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "+": "plus", "/": "sol", "=": "equals",
        "_": "lowbar UnderBar", "@": "commat", ":": "colon", ".": "period", "#": "num", ";": "semi",
        "-": "hyphen dash", "!": "excl", "$": "dollar", "%": "percnt", "*": "ast midast", "(": "lpar",
        ")": "rpar", ",": "comma", "?": "quest", "[": "lsqb lbrack", "]": "rsqb rbrack", "^": "Hat",
        "{": "lcub lbrace", "}": "rcub rbrace", "|": "verbar vert", "\\": "bsol", "`": "grave",
        "\t": "Tab", "\n": "NewLine", " ": "nbsp", "": "ZeroWidthSpace shy zwj zwnj lrm rlm NoBreak",
    }.items()
    for name in names.split()
}  # fmt: skip
_ESCAPED_QUOTES = "&quot;", "&apos;", "&#34;", "&#39;", "&#x22;", "&#x27;"
_QUOTED = expression(rb"(=(?:[0-9A-F]{2}|\r?\n))")
# Encoded words, of which two in a row are one text (RFC 2047, sections 2 and 6.2).
_WORDS = expression(
    rb"(=(?:[0-9A-F]{2}|\r?\n"
    rb"|\?[\w*-]{1,40}\?(?:[Qq]\?|[Bb]\?[A-Za-z0-9+/]{1,76}={0,2}\?=(?:\s{1,4}(?==\?))?))"
    rb"|\?=(?:\s{1,4}(?==\?))?|_)"
)
_QUOTES = {b"=%02X" % byte: bytes([byte]) for byte in range(256)}
_SLICE = 32 * 1024
_RUN = 4
"""Escapes of one kind in a row that are one piece."""

QUOTED = (
    r"=3D|=[2-7][0-9A-F]=[2-7][0-9A-F]|=[C-F][0-9A-F]=[89AB][0-9A-F]|[ -~]{70}=\r?\n"
    r"|=\?[A-Za-z0-9_*-]{1,40}\?[BbQq]\?"
)
"""Where there may be quoted-printable, or an encoded word."""
ESCAPED = (
    r"[A-Za-z0-9]\\[!#+,/:;=>@_~-][A-Za-z0-9]"
    r"|\\-\\-"
    r"|[A-Za-z0-9 ]\\[!#:=][A-Za-z0-9 ]"
    r"|[A-Za-z0-9]\\ [=:]"
    r"|[A-Za-z0-9_]\\[01][0-7][0-7]"
    r"|[A-Za-z0-9]\\\r?\n[A-Za-z0-9]"
    r"|[A-Za-z0-9+/=_-]</?(?:span|wbr|br|b|em|mark|i|strong|u|font|code)[ />]"
)
"""Where such a disguise may be, but for `marks`."""


MAY_BE_MARKED = r"%[0-9A-Fa-f]{2}|&[#A-Za-z]|\\[/0UuXxEe]|\^\[\[|<!\[|[\x00-\x08\x0b\x0c\x0e-\x1e\x7f-\xfe]"
"""In each of `marks`, and in each hidden character."""


def marks() -> list[bytes]:
    """What is met, in any case of ASCII, only where such a disguise is."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-.:=@~$|!{"
    unseen = (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, *range(0x180B, 0x1810), *range(0x200B, 0x2010), 0x3164)
    unseen += (*range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B))
    unseen += (
        *range(0xFFF9, 0xFFFC),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        0xFEFF,
        0xFFA0,
    )
    found = {bytes([code]) for code in {*range(32), 0x7F} - {*b"\t\n\r\x1f"}}
    found |= {chr(code).encode() for code in (*range(0x80, 0xA0), *unseen)} | {b"\xf3\xa0"}
    found |= {chr(code + 0xFEE0).encode() for code in letters}
    found |= {b"\xf0\x9d%c" % code for code in range(0x90, 0xA0)} | {b"\xf0\x9f\x84", b"\xf0\x9f\x85"}
    found |= {b"\xf0\x9f\xaf", b"\xe2\x92", b"\xe2\x93", b"^[["}
    texts = {f"%{code:02x}" for code in (*letters, *range(9), 0x1B, 0x25, *b"!#$&'()*,;?[]")}
    texts |= {"%e2%80", "%e2%81", "%ef%bb", "%c2%ad"}
    texts |= {f"\\u00{high}" for high in range(8)} | {f"\\x{high:x}" for high in range(16)}
    texts |= {"\\u00ad", "\\u200", "\\u202", "\\u206", "\\ufeff", "\\x{", "\\/", "\\0", "\\e["}
    texts |= {f"\\uff{low}" for low in range(6)} | {"\\ud835", "\\udb40"}
    texts |= {"\\u{", "\\U000000", "<![CDATA[", "&#0", "&#x0", "&amp;#", "&amp;amp"}
    texts |= {shape.format(code) for code in letters for shape in ("&#{};", "&#x{:x};")}
    texts |= {f"&{name.decode()};" for name, plain in _NAMED.items() if plain in b"+/=_@:.-~" and plain}
    texts |= {"&zerowidthspace;", "&shy;", "&zwnj;", "&zwj;"}
    # Quotes are in many a page; those of a pair, and the end of an element, are in code and in JSON alone.
    texts |= {
        f"{mark}{quote}" for mark in (":", ": ", "=", "= ", "&gt;", "&gt; ") for quote in _ESCAPED_QUOTES
    }
    texts |= {f"{quote}:" for quote in _ESCAPED_QUOTES} | {"&lt;/"}
    # A space alone says little, but between digits, or in the first line of a key.
    texts |= {"BEGIN%20", "SSWS%20", *[f"{digit}%20" for digit in range(10)]}
    return sorted(found | {text.lower().encode() for text in texts})


def undisguised(view: View, budget: Budget) -> View:
    """A view as it would be seen, or read by whoever undoes its escapes."""
    seen = plain_characters(view, budget)
    made = Undisguised(seen, budget)
    return seen if made.text == seen.text else made


class Undisguised(View):
    """A view without its escapes."""

    __slots__ = ("_source",)

    def __init__(self, outer: View, budget: Budget) -> None:
        self._source = outer.text
        text = bytearray()
        for at, end in slices(self._source, _SLICE):
            # No call of a function for each: a hostile text has nothing else in it.
            parts = self._parts(self._source[at:end])
            budget.piece(len(parts) // 2 // _FOR_ONE)
            parts[1::2] = self._meant(parts)
            text += b"".join(parts)
        super().__init__(self._whole(text), outer)

    def _parts(self, text: bytes) -> list[bytes]:
        """A text, an escape, a text, and so on."""
        return _ESCAPES.split(text)

    def _meant(self, parts: list[bytes]) -> list[bytes]:
        """What the escapes of some `_parts` stand for, "" for nothing."""
        escapes = parts[1::2]
        meant = {escape: _plain(escape) for escape in set(escapes)}
        return [*map(meant.__getitem__, escapes)]

    def _whole(self, text: bytearray) -> bytes:
        # In a form a space is a plus, which stands for itself in a value.
        text += PAD
        if b"+=+" in text or _KEY_IN_FORM in text:
            text = text.replace(b"+=+", b" = ").replace(_KEY_IN_FORM, _KEY)
        return bytes(text)

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            self._make()
        return super().at(place, more)

    def _make(self) -> None:
        size = at = 0
        for begin, end in slices(self._source, _SLICE):
            parts = self._parts(self._source[begin:end])
            for text, escape, plain in zip(parts[::2], parts[1::2], self._meant(parts), strict=False):
                if text:
                    self.add(size, at, at + len(text), WHOLE)
                    size, at = size + len(text), at + len(text)
                if plain:
                    each, rest = divmod(len(escape), len(plain))
                    many = len(plain) >= _RUN and not rest and plain.isascii() and escape[:2] != b"=?"
                    run = plain == escape or many
                    self.add(size, at, at + len(escape), (1, each) if run else REPLACED)
                    size += len(plain)
                at += len(escape)
            self.add(size, at, end, WHOLE)
            size, at = size + end - at, end
        self.add(size, len(self._source) - len(PAD), len(self._source), WHOLE)


def _plain(escape: bytes) -> bytes:
    """What a match of `_DISGUISE` stands for, "" for nothing."""
    known = _KNOWN.get(escape)
    if known is not None:
        return known
    # One of them is such before this mark alone.
    match = _ESCAPE.fullmatch(escape) or _ESCAPE.match(escape + b"[")
    said = _read(match) if match else escape
    # One character each, and few.
    if len(_KNOWN) < _MOST_KNOWN and len(said) < 2:
        _KNOWN[escape] = said
    return said


def _read(match: re.Match[bytes]) -> bytes:
    kind = match.lastgroup
    if kind is None:
        return b"\x1b" if match[0] in (b"\\e", b"\\E") else b""
    said = match[kind]
    if kind in _LETTERS:
        return _LETTERS[kind](said)
    if kind == "name":
        return _NAMED.get(said, match[0])
    number = int(said, _BASES.get(kind, 16))
    if kind in _BYTES:
        return bytes([number])
    return chr(number).encode("utf-8", "surrogatepass") if number <= 0x10FFFF else b""


_BYTES = frozenset(("url", "hex", "octal"))
_BASES = {"octal": 8, "decimal": 10}
_LETTERS: dict[str, Callable[[bytes], bytes]] = {
    **dict.fromkeys(
        ("urlrun", "hexrun", "utfrun", "xmlrun"),
        lambda said: a2b_hex(said.replace(b"u00", b"").translate(None, b"%\\x&#;")),
    ),
    "mark": bytes,
    "urls": lambda said: bytes.fromhex(said.decode().replace("%", "")),
    "pair": lambda said: bytes.fromhex((said[:4] + said[-4:]).decode()).decode("utf-16-be").encode(),
}


class QuotedPrintableView(Undisguised):
    """A view without the escapes of quoted-printable (RFC 2045, section 6.7), and of encoded words (RFC
    2047)."""

    __slots__ = ()

    def __init__(self, outer: View, budget: Budget) -> None:
        super().__init__(outer, budget)
        self.stretches = True

    def _parts(self, text: bytes) -> list[bytes]:
        return (_WORDS if b"=?" in text else _QUOTED).split(text)

    def _meant(self, parts: list[bytes]) -> list[bytes]:
        said = [*map(_QUOTES.get, parts[1::2])]
        if None in said:
            said = [*_said(parts[1::2])]
        if None in said:
            size = 0
            for at, text in enumerate(parts[:-1:2]):
                line = text.rpartition(b"\n")[2]
                size = len(line) + (0 if len(line) < len(text) else size)
                if said[at] is not None or size >= _SOFT:
                    size = _SOFT
                else:
                    said[at], size = parts[2 * at + 1], 0  # Such a line is not broken: it is too short.
        return [one or b"" for one in said]

    def _whole(self, text: bytearray) -> bytes:
        return bytes(text + PAD)


def _said(escapes: list[bytes]) -> Iterator[bytes | None]:
    """What each stands for, None for the end of a line."""
    inside = False
    for escape in escapes:
        if escape.startswith(b"=?"):
            inside = escape[-2:-1] in b"Qq"
            yield b"" if inside else _word(escape)
        elif escape.startswith(b"?="):
            yield b"" if inside else escape
            inside = False
        elif escape == b"_":
            yield b" " if inside else escape
        else:
            yield _QUOTES.get(escape)


def _word(escape: bytes) -> bytes:
    try:
        return a2b_base64(escape.split(b"?")[3])
    except Error:
        return escape
