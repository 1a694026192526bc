"""The forms in which a value may come back, as the bytes to search for in what `reduced` makes of a text.

Law of this file: a form is listed here or it is not promised. Base64 and base32 are listed at every
alignment: what is searched for is the core that does not depend on what stands before and after.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import pairwise
from unicodedata import normalize

from mcpguard.core.redaction.held.parts import parts, words
from mcpguard.core.redaction.held.payloads import whole_numbers
from mcpguard.core.redaction.held.reduced import DROPPED, skeleton_of
from mcpguard.core.secret import Unprinted

_LOOSE = 8
"""Fewer skeleton characters than these are met in ordinary text, so such a form is matched exactly."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")
_ANCHOR = 4
_PIECE, _ENCODED = 96, 256
_LONG = 16
"""Characters of a member of which no form is matched exactly."""
_DIGITS = b"0123456789"
_NUMBER, _OF_NUMBER, _KINDS = 15, 12, 6
"""Digits of a number that is found in pieces, digits of a piece, and how many different ones that has."""
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_BASE32 = (
    bytes.maketrans(bytes(range(32)), b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    bytes.maketrans(bytes(range(32)), b"0123456789ABCDEFGHIJKLMNOPQRSTUV"),
)
"""Both alphabets (RFC 4648, sections 6 and 7)."""
_COUNTED = "".join(map(str, (*range(10), *range(10), *range(9, -1, -1), *range(9, -1, -1))))
_BITS = bytes.maketrans(b"01", b"\0\1")
_URL_SAFE = str.maketrans("+/", "-_")
_JSON = str.maketrans(
    {chr(code): f"\\u{code:04x}" for code in range(32)}
    | {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)
_FORMATS = ("%02x", "x%02x", "0x%02x", "%d", "%03d", "%o", "%03o")
_BYTES = [[shape % byte for byte in range(256)] for shape in _FORMATS]
_SAFE = ("", "/", "-_.~", "/-_.~", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#")
_QUOTED = {
    safe: [
        chr(byte) if byte < 128 and (chr(byte).isalnum() or chr(byte) in safe) else f"%{byte:02X}"
        for byte in range(256)
    ]
    for safe in _SAFE
}
"""Each byte as a URL has it, where these characters stand for themselves."""


class HeldForm(Unprinted, frozen=True):
    """One form. `loose`: to be searched for in skeletons; else in the text itself.

    A match is widened over up to `before` and `after` bytes of `edge`.
    """

    pattern: bytes
    loose: bool
    edge: bytes
    before: int
    after: int

    def widen(self, text: bytes, start: int, end: int) -> tuple[int, int]:
        """The span of the whole form, never cutting a UTF-8 character."""
        first = max(0, start - self.before)
        while start > first and text[start - 1] in self.edge:
            start -= 1
        last = min(len(text), end + self.after)
        while end < last and text[end] in self.edge:
            end += 1
        while start and text[start] & 0xC0 == 0x80:
            start -= 1
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        return start, end


def needles(value: str, members: Sequence[str] | None = None) -> Iterator[HeldForm]:
    """Every form of `value`, of its pieces where it is long, and of each of its `members` that is secret by
    itself."""
    members = parts(value) if members is None else members
    for text in (value, *members):
        yield from _whole(text, members if text is value else ())
        for word in words(text):
            yield from _brief(word)
        # Rounded by whoever takes it for a floating-point number, or cut.
        for digits in _pieces_of_number(text):
            yield _needle(digits, _DIGITS, len(text), len(text))
    for digits in whole_numbers((value, *members)):
        yield _needle(digits, b"", 0, 0)


def _whole(value: str, members: Sequence[str]) -> Iterator[HeldForm]:
    for part in _secret_pieces(value, members, _PIECE):
        for text in _texts(part):
            yield _literal(text)
        for text in _numbers(part):
            yield _needle(text, rb"\%&#;", 3, 1)
    # These are most forms, and a piece of one is decoded (`views`).
    for part in _secret_pieces(value, members, _ENCODED):
        for text in _bases(part):
            yield _needle(text, _BASE64, 4, 6)


def _brief(word: str) -> Iterator[HeldForm]:
    data = word.encode()
    yield _literal(word)
    yield _literal(word[::-1])
    yield _needle(data.hex(), rb"\%&#;", 3, 1)
    for text in aligned(data):
        yield _needle(text, _BASE64, 4, 6)


def _secret_pieces(value: str, members: Sequence[str], least: int) -> Iterator[str]:
    """The pieces of a long value in which a member is: what is between them is in other files too. Each has
    `least` characters or more, but less than twice as many: a part of the value may come back alone. A piece
    with a member that is long has no forms of its own: those of the member are in them."""
    places = [(at, at + len(text)) for text in members if (at := value.find(text)) >= 0]
    spans = [(at, last) for at, last in places if last - at < _LONG]
    for start, end in pairwise([*range(0, max(1, len(value) - least + 1), least), len(value)]):
        if end - start == len(value) or not places or any(at < end and last > start for at, last in spans):
            yield value[start:end]


def _pieces_of_number(text: str) -> Iterator[str]:
    if text.isascii() and text.isdigit() and len(text) >= _NUMBER:
        for at in range(min(len(text), _PIECE) - _OF_NUMBER + 1):
            piece = text[at : at + _OF_NUMBER]
            if len(set(piece)) >= _KINDS and piece not in _COUNTED:
                yield piece


def _needle(text: str, edge: bytes, before: int, after: int) -> HeldForm:
    data = _utf8(text)
    skeleton = skeleton_of(data)
    if len(skeleton) >= _LOOSE:
        return HeldForm(skeleton, True, edge, before, after)
    return HeldForm(data, False, edge, before, after)


def _literal(text: str) -> HeldForm:
    """A form with nothing around it but the punctuation that it starts and ends with."""
    data = _utf8(text)
    dropped = bytes(DROPPED.intersection(data))
    if len(skeleton_of(data)) < _LOOSE:
        return _needle(text, b"", 0, 0)
    return _needle(
        text, dropped, len(data) - len(data.lstrip(dropped)), len(data) - len(data.rstrip(dropped))
    )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _texts(value: str) -> Iterator[str]:
    """Readable forms: as it is, reversed, and escaped for JSON, URLs, HTML and others, wholly or partly."""
    yield value
    yield value[::-1]
    if not value.isascii():
        yield normalize("NFD", value)
    if len(skeleton_of(_utf8(value))) < _LOOSE:  # It is searched for as it stands.
        yield from _escaped(value)


def _escaped(value: str) -> Iterator[str]:
    escaped = value.translate(_JSON)
    yield escaped
    yield "".join(char if char.isascii() else _utf16(char, "\\u") for char in escaped)
    yield escaped.translate(_JSON)
    for quote in filter(value.__contains__, ("'", '"')):
        yield value.replace(quote, 2 * quote)
        yield value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    for safe in _SAFE:
        quoted = _percent(value, safe)
        yield quoted
        yield quoted.replace("%20", "+")
        yield quoted.replace("%", "%25")
    for quote, apostrophe in (("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&#34;", "&#39;"), ('"', "'")):
        html = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield html.replace('"', quote).replace("'", apostrophe)


def _percent(value: str, safe: str) -> str:
    return "".join(map(_QUOTED[safe].__getitem__, _utf8(value)))


def _utf16(value: str, before: str) -> str:
    units = value.encode("utf-16-be", "surrogatepass").hex(" ", 2)
    return before + units.replace(" ", before)


def _numbers(value: str) -> Iterator[str]:
    """Byte by byte: hexadecimal, decimal and octal whole numbers in a row, and the escapes made of them."""
    data = _utf8(value)
    for shape, written in zip(_FORMATS, _BYTES, strict=True):
        yield "".join(map(written.__getitem__, data))
        if not value.isascii():
            yield "".join(shape % ord(char) for char in value)
    yield _utf16(value, "u")
    yield value.encode("utf-16-le", "surrogatepass").hex()


def _bases(value: str) -> Iterator[str]:
    """Base64 of UTF-8, of UTF-16 and of base64, also URL-safe or percent-encoded; base32 and base32hex."""
    once = list(aligned(_utf8(value)))
    once += [text.translate(_URL_SAFE) for text in once]
    twice = [core for text in dict.fromkeys(once) for core in aligned(text.encode())]
    wide = list(aligned(value.encode("utf-16-le", "surrogatepass")))
    for text in once + twice + wide:
        yield text
        # What is URL-safe differs in signs alone, which matter where it is searched for as it stands.
        if len(text) < 2 * _LOOSE:
            yield text.translate(_URL_SAFE)
        if "+" in text or "/" in text:
            yield text.replace("+", "%2B").replace("/", "%2F")
    yield from _base32(_utf8(value))


def aligned(data: bytes) -> Iterator[str]:
    """Base64 of `data` behind 0 to 2 other bytes, without the letters that say something of these too."""
    for ahead in range(3):
        first, last = (0, 2, 3)[ahead], 8 * (ahead + len(data)) // 6
        yield b64encode(bytes(ahead) + data).decode()[first:last]


def _base32(data: bytes) -> Iterator[str]:
    """The same of base32 behind 0 to 4 other bytes. That of the standard library takes four times as long."""
    bits = f"{int.from_bytes(data):0{8 * len(data)}b}".encode().translate(_BITS)
    for first in range(5):
        letters = (len(bits) - first) // 5
        # A byte for each letter: the first bits of all letters, then the second ones and so on.
        rows = [int.from_bytes(bits[first + at : first + 5 * letters : 5]) << 4 - at for at in range(5)]
        for letters_of in _BASE32:
            yield sum(rows).to_bytes(letters).translate(letters_of).decode()


def anchor(value: str) -> bytes | None:
    """What is in a text where `value` is with some of it escaped: its longest run of letters and digits, b""
    where that is in any text. None where no encoder escapes anything in it that counts."""
    if _PLAIN.issuperset(value) or len(skeleton_of(_utf8(value))) < _LOOSE:
        return None
    longest = max((skeleton_of(run) for run in re.findall(rb"[A-Za-z0-9]+", _utf8(value))), key=len)
    return longest[:_LOOSE] if len(longest) >= _ANCHOR else b""
