"""What base64, base32 and hexadecimal say: every run of such letters that comes to a text, or to something
packed. A run that does not is passed over by a look at its letters: nothing is decoded to be thrown away."""

import re
from array import array
from binascii import a2b_base64, a2b_hex
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget, Loose
from mcpguard.core.redaction.engine.matching import Matcher, Visit
from mcpguard.core.redaction.engine.patterns import compile_patterns, shape, shapes
from mcpguard.core.redaction.views.contents import ZLIB, contents, is_raw, is_utf8, may_hold
from mcpguard.core.redaction.views.view import ENOUGH, Size, View, ViewBuilder

_COST_OF_A_RUN, _COST_OF_BASE32 = 1, 20
LEAST = 24
"""Letters of base64 that are worth to be decoded: 18 bytes."""
FEW = 16
RUN = "[A-Za-z0-9]{24}"
"""In each run that is decoded: the other letters of base64 are rare in what a text comes to."""
_OF_PACKED = "(?:H4sI|UEsDB|QlpoO|[/_]Td6WFoA|XQAA|eA[E-H]|eF[4-7]|eJ[w-z]|eN[o-r])"
_ANY = "[A-Za-z0-9+/_-]"
PACKED_RUN = f"{_OF_PACKED}{_ANY}{{21}}"
"""What is packed has all of the letters: one in twelve short packed texts has no RUN in its base64."""

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ALNUM = bytes(97 if byte in _LETTERS else 32 for byte in range(256))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_FIVE = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghijklmnopqrstuv")
_ALL = bytes(97 if byte in _LETTERS + b"+/_-" else 32 for byte in range(256))
_VALUES = _LETTERS + b"+/", _LETTERS + b"-_"
_ODD = {letter for letters in _VALUES for letter in letters[1::2]}
_HIGH = {letter for letters in _VALUES for letter in letters[32:]}
_DEFLATE, _LONG, _BIG = 32, 128, 4096
_NEAR = 256
"""Bytes in which most runs end."""
_VISITS, _VISITED, _COST_OF_A_PLACE = 1_000, 64, 16
"""Above so many visits, and one for each so many bytes, all runs are read: there is something in most."""
_IS_ASCII = bytes(97 if byte < 128 else 32 for byte in range(256))

# Four letters whose three bytes are ASCII: the first bit of each is not set. No text begins with zeros,
# which look like one wherever the four begin.
_SECOND = bytes(letter for index, letter in enumerate(_LETTERS) if not index & 8)
_THIRD = bytes(letter for index, letter in enumerate(_LETTERS) if not index & 2)
_ASCII64 = rb"(?!A[A-P])(?:[A-Za-f][%b][%b][A-Za-z0-9+/_-]){%d,}+(?:[A-Za-f][%b][%b]?)?"
_TEXTS = {
    least: expression(_ASCII64 % (_SECOND, _THIRD, least // 4, _SECOND, _THIRD)) for least in (LEAST, FEW)
}
_HEX = expression(rb"[0-9A-Fa-f]{32,}+")
_LOW = bytes(97 if 48 <= byte < 56 else 32 for byte in range(256))
_HEX_TEXT = b"a" * 16
"""First digits of bytes of ASCII, which are _LOW."""
_HEX_MAGIC = (b"1f8b08", b"504b0304", b"425a683", b"fd377a585a00")
_HEX_HEADS = (b"5d0000", b"7801", b"785e", b"789c", b"78da")
_BASE32 = expression(rb"(?<![A-Za-z0-9])[A-Z2-7]{32,}+(?![a-z0189])")
_IS_HEX = bytes(97 if byte in b"0123456789ABCDEFabcdef" else 32 for byte in range(256))
_IS_BASE32 = bytes(97 if byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" else 32 for byte in range(256))
_PACKED_RUN = expression(f"(?<!{_ANY}){PACKED_RUN}".encode())
_LONGEST_HEAD = 32
_HEX_DEFLATED = 66
"""Digits of hexadecimal that may be something deflated: one byte more than a SHA-256 has."""
_OTHER = b"a" * 32
_MAGIC = (b"H4sI", b"UEsDB", b"QlpoO", b"/Td6WFoA", b"_Td6WFoA", b"XQAA")


def _one_of(letters: Iterable[int]) -> str:
    return f"[{re.escape(bytes(sorted(letters)).decode())}]"


_SIX_BITS = {*_LETTERS + b"+/_-"}
_UNLIKE = f"{_one_of(_ODD)}{_one_of(_SIX_BITS - _HIGH)}|{_one_of(_SIX_BITS - _ODD)}{_one_of(_HIGH)}"
_GROUPS, _SURE = 4, 14
_OF_TEXT = f"(?:[A-Za-f]{_one_of(_SECOND)}{_one_of(_THIRD)}{_ANY}){{{_GROUPS}}}[B-Za-f]"
"""In each run that is base64 of a text: so much of it as is fast to search for. No text is all zeros."""
_DEFLATED, _DIGITS, _OF_BASE32, _FREE = range(4)
_CODES = (
    shape(f"(?:^|[^A-Za-z0-9+/_-])(?:{_UNLIKE}|e{_ANY}){_ANY}{{{LEAST - 2}}}", once=False),
    shape("[0-9A-Fa-f]{32}"),
    shape("(?:^|[^A-Za-z0-9])[A-Z2-7]{32}", once=False),
    shape("|".join(one.decode() for one in _MAGIC), once=False),
)
"""What is in each other run that says something, or begins it, and what may be hexadecimal."""
_OF_HEX = 0
_HEX_CODES = (
    "(?:^|[^0-9A-Fa-f])[0-9A-Fa-f][2-5A-Da-d][0-9A-Fa-f]{64}",
    "(?:[0-7][0-9A-Fa-f]){8}",
    "(?:^|[^0-9A-Fa-f])(?:5[dD]0000|78(?:01|5[eE]|9[cC]|[dD][aA]))[0-9A-Fa-f]{24}",
    "1[fF]8[bB]08|504[bB]0304|425[aA]683[1-9]314159|[fF][dD]377[aA]585[aA]00",
)
"""The same of each run of hexadecimal."""


def decoded(view: View, budget: Budget, least: int = LEAST, packed: bool = False) -> Iterator[View]:
    """What the runs of `view` say: several views where that is much, since no run has to do with another and
    who finds too much in the first reads no further. `packed` says that it may have a PACKED_RUN."""
    text = view.text
    pieces = ViewBuilder(view)
    may_be = _MayBe(
        [one for one in _MAGIC if one in text],
        _OTHER in text.translate(_IS_HEX),
        _OTHER in text.translate(_IS_BASE32),
    )
    places = _coded(text, budget) if least == LEAST else None
    for begin, chars in _runs(text, least, packed) if places is None else _at(text, places):
        budget.piece(_COST_OF_A_RUN)
        if chars in budget.idle:
            continue
        before = pieces.size
        _read(pieces, begin, chars, least, may_be, budget)
        if pieces.size == before:
            budget.idle.add(chars)
        elif pieces.size > ENOUGH:
            del chars
            yield from pieces.parts()
    yield from pieces.parts()


class _MayBe(NamedTuple):
    """What a text may have: how something packed begins in base64, hexadecimal, base32."""

    magic: list[bytes]
    hex: bool
    base32: bool


def _read(pieces: ViewBuilder, begin: int, chars: bytes, least: int, may_be: _MayBe, budget: Budget) -> None:
    """Add what a run says, which begins at `begin`."""
    if not _is_of_one_case(chars):
        _base64(pieces, begin, chars, least, budget)
        _packed64(pieces, begin, chars, may_be.magic, budget)
    if may_be.hex:
        for found in _HEX.finditer(chars):
            _hex(pieces, begin + found.start(), found[0], budget)
    if may_be.base32:
        for found in _BASE32.finditer(chars):
            plain = _base32(found[0])
            _add(pieces, begin + found.start(), begin + found.end(), (5, 8), plain, budget)


@cache
def of_texts() -> Matcher:
    """_OF_TEXT, compiled: together with `codes` each would slow down the other."""
    return shapes("texts", _OF_TEXT, once=False)


@cache
def codes() -> Matcher:
    """_CODES, compiled, which takes some ten milliseconds."""
    return compile_patterns(_CODES, "codes")


@cache
def _digits() -> Matcher:
    return shapes("digits", *_HEX_CODES, once=False)


def has_code(text: bytes, loose: Loose) -> bool:
    """Whether `text` has a run that `decoded` reads: names of code may be as long, and hashes too."""
    others = _Runs(text, loose)
    return (
        of_texts().search(text, _Runs(text, loose).may_be_text)
        or codes().search(text, others.may_be_other)
        or (others.has_digits and _digits().search(text, _Runs(text, loose).may_be_digits))
    )


def is_coded(text: bytes, budget: Budget) -> bool:
    """The same, where what such runs say is read next."""
    return (places := _coded(text, budget)) is None or bool(places)


def _coded(text: bytes, budget: Budget) -> "array[int] | None":
    """Places in all runs that may say something; None where it is faster to read each run."""
    known = hash(text)
    if known not in budget.coded:
        budget.coded[known] = _places(text, budget)
    return budget.coded[known]


def _places(text: bytes, budget: Budget) -> "array[int] | None":
    places = array("I")
    left = _VISITS + len(text) // _VISITED

    def noted(judge: Visit, free: int) -> Visit:
        def visit(index: int, begin: int, end: int, flags: int, padded: bytes) -> bool:
            nonlocal left
            left -= index >= free
            if judge(index, begin, end, flags, padded):
                places.append(end)
                left -= _COST_OF_A_PLACE
            return left < 0 and bool(places)

        return visit

    texts, others, digits = (_Runs(text, budget.loose, budget) for _ in range(3))
    many = (
        of_texts().search(text, noted(texts.may_be_text, 0))
        or codes().search(text, noted(others.may_be_other, _FREE))
        or (others.has_digits and _digits().search(text, noted(digits.may_be_digits, 0)))
    )
    return None if many else places


def _at(text: bytes, places: "array[int]") -> Iterator[tuple[int, bytes]]:
    """The runs that these places are in: where each begins, and the run."""
    done = 0
    for place in sorted(places):
        if place > done:
            begin, done = _begin(text, done, place - 1), _end(text, place)
            yield begin, text[begin:done]


class _Runs:
    """The runs that one search meets in a text, each judged once. Its methods are Visits."""

    __slots__ = ("_budget", "_done", "_loose", "_text", "has_digits")

    def __init__(self, text: bytes, loose: Loose, budget: Budget | None = None) -> None:
        self._text = text
        self._budget = budget
        self._done = 0
        self._loose = loose
        self.has_digits = False
        """Whether there may be hexadecimal."""

    def may_be_text(self, _index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        if end <= self._done or not _TEXTS[LEAST].match(text, end - 4 * _GROUPS - 1):
            return False
        chars = self._next(end)
        return not _is_of_one_case(chars) or _has_other_code(chars)

    def may_be_other(self, index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        if index == _DIGITS:
            self.has_digits = True
            return False
        if index == _OF_BASE32:
            found = _BASE32.match(text, end - _LONGEST_HEAD)
            if found is None or found[0] in self._loose:
                return False
            if self._budget:
                self._budget.piece(_COST_OF_BASE32)
            holds = may_hold(_base32(found[0]))
            if not holds:
                self._loose.add(found[0])
            return holds
        if index != _DEFLATED:
            return end > self._done and _has_other_code(self._next(end))
        begin = end - LEAST
        # What is packed does not begin with so many letters of one case; words and base32 do.
        if text[begin : begin + _SURE].islower() or text[begin:end].isupper():
            return False
        return _begins_packed(text, begin, self._loose)

    def may_be_digits(self, index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
        if index != _OF_HEX:
            return end > self._done and _has_other_code(self._next(end))
        found = _HEX.match(text, end - _HEX_DEFLATED)
        return found is not None and _is_hex_deflated(found[0])

    def _next(self, end: int) -> bytes:
        """The run in which `end` is."""
        begin, self._done = _begin(self._text, 0, end), _end(self._text, end)
        return self._text[begin : self._done]


def _begins_packed(text: bytes, begin: int, loose: Loose) -> bool:
    """Whether the run that begins at `begin` says something packed; `loose` as in Budget."""
    head = text[begin : begin + LEAST]
    if head in loose:
        return False
    data = a2b_base64(head.translate(_STANDARD))
    if data.startswith(ZLIB) or is_raw(data, begun=True):
        return _is_deflated(text[begin : begin + _BIG])
    loose.add(head)
    return False


def is_packed(text: bytes, end: int) -> bool:
    """Whether the PACKED_RUN that ends there begins a run: within one its letters are met by chance."""
    return _PACKED_RUN.search(text, max(0, end - _LONGEST_HEAD), end) is not None


def _has_other_code(chars: bytes) -> bool:
    """Whether a run may have something in hexadecimal or base32, or base64 of something packed."""
    return (
        any(one in chars for one in _MAGIC)
        or any(map(_hex_reads, _HEX.findall(chars)))
        or any(may_hold(_base32(found)) for found in _BASE32.findall(chars))
    )


def _is_deflated(chars: bytes) -> bool:
    """Whether the run that `chars` begin with says something packed from its beginning on."""
    size = chars.translate(_ALL).find(b" ") % (len(chars) + 1)
    if size < LEAST:
        return False
    head = _decode64(chars[:size])
    return head.startswith(ZLIB) or is_raw(head)


def _is_of_one_case(chars: bytes) -> bool:
    return chars.islower() or chars.isupper() or chars.isdigit()


def _runs(text: bytes, least: int, packed: bool) -> Iterator[tuple[int, bytes]]:
    """Where each run of letters of base64 begins, and the run."""
    long = b"a" * least
    at = done = 0
    while True:
        # A part at a time: all that is here stays while what a run says is read, which may have runs too.
        part = text[at : at + ENOUGH]
        marked, wide = part.translate(_ALNUM), b""
        if packed:
            marked = _with_packed(part, marked)
        place = marked.find(long)
        while place >= 0:
            # No expression: while it runs no other thread does, and a run may be as long as the message.
            wide = wide or part.translate(_ALL)
            first, last = wide.rfind(b" ", 0, place), wide.find(b" ", place)
            begin = max(done, at + first + 1) if first >= 0 or done >= at else _begin(text, done, at)
            done = at + last if last >= 0 else _end(text, at + len(part))
            yield begin, text[begin:done]
            place = marked.find(long, done - at)
        if at + len(part) == len(text):
            return
        at = max(done, at + len(part) - least + 1)


def _with_packed(part: bytes, marked: bytes) -> bytes:
    made = bytearray(marked)
    for found in _PACKED_RUN.finditer(part):
        made[found.start() : found.end()] = b"a" * len(found[0])
    return bytes(made)


def _begin(text: bytes, least: int, place: int) -> int:
    """Where the run begins that goes on at `place`."""
    size = _NEAR
    while place > least:
        at = max(least, place - size)
        found = text[at:place].translate(_ALL).rfind(b" ")
        if found >= 0:
            return at + found + 1
        place, size = at, ENOUGH
    return place


def _end(text: bytes, place: int) -> int:
    """Where the run ends that goes on at `place`, at the latest where PAD begins."""
    size = _NEAR
    while (found := text[place : place + size].translate(_ALL).find(b" ")) < 0:
        place, size = place + size, ENOUGH
    return place + found


def _base64(pieces: ViewBuilder, begin: int, chars: bytes, least: int, budget: Budget) -> None:
    if len(chars) < _BIG and is_utf8(plain := _decode64(chars)):
        _text64(pieces, plain, begin, begin + len(chars), budget)
        return
    for found in _TEXTS[least].finditer(chars) if len(chars) < _LONG or _may_be_text(chars) else ():
        # A byte that is not ASCII may share its four letters with the first or last of the text.
        start, end = max(found.start() % 4, found.start() - 4), min(found.end() + 4, len(chars))
        _text64(pieces, _decode64(chars[start:end]), begin + start, begin + end, budget)


def _text64(pieces: ViewBuilder, plain: bytes, begin: int, end: int, budget: Budget) -> None:
    """A text that letters of base64 say. What stands at its end takes the letters of the line end behind it
    along, which would say nothing alone."""
    budget.read(len(plain))
    whole = (len(plain.rstrip(b"\r\n")) - 1) // 3 if plain.endswith(b"\n") else len(plain)
    pieces.add(plain[: 3 * whole], begin, min(end, begin + 4 * whole), (3, 4))
    pieces.add(plain[3 * whole :], begin + 4 * whole, end - ((end - begin) % 4 == 1))
    pieces.gap()


def _packed64(pieces: ViewBuilder, begin: int, chars: bytes, magic: list[bytes], budget: Budget) -> None:
    for one in magic:
        if (at := chars.find(one)) >= 0:
            _add(pieces, begin + at, begin + len(chars), (3, 4), _decode64(chars[at:]), budget)
    if _may_be_deflated(chars) and _is_deflated(chars[:_BIG]):
        _add(pieces, begin, begin + len(chars), (3, 4), _decode64(chars), budget)


def _may_be_deflated(chars: bytes) -> bool:
    # The second and the third bit of raw deflate differ, and are in the first two letters.
    return chars.startswith(b"e") or (len(chars) >= _DEFLATE and (chars[0] in _ODD) != (chars[1] in _HIGH))


def _may_be_text(chars: bytes) -> bool:
    """Whether `chars` decode to text, at least in part: a quick test that rejects most runs. A run
    that is joined to a path, or to another text, does not say it from its first letter on."""
    wanted = b"a" * (LEAST * 3 // 4)
    for shift in range(4):
        some = (
            (chars[shift:],)
            if shift == 0 or len(chars) < _BIG
            else (chars[shift:_LONG], chars[shift - _BIG :])
        )
        if any(wanted in _decode64(part).translate(_IS_ASCII) for part in some):
            return True
    return False


def _decode64(chars: bytes) -> bytes:
    whole = chars[:-1] if len(chars) % 4 == 1 else chars
    return a2b_base64(whole.translate(_STANDARD) + b"=" * (-len(whole) % 4))


def _hex(pieces: ViewBuilder, begin: int, chars: bytes, budget: Budget) -> None:
    # Zeros look like a text from their second digit on too, so that says nothing about where bytes begin.
    for shift in (0, 1) if _hex_reads(chars) else ():
        plain = a2b_hex(chars[shift : len(chars) - (len(chars) - shift) % 2])
        _add(pieces, begin + shift, begin + len(chars), (1, 2), plain, budget)


def _hex_reads(chars: bytes) -> bool:
    """Whether hexadecimal may come to a text, or to something packed. Tables have rows of zeros."""
    if not chars.strip(b"0"):
        return False
    if _HEX_TEXT in chars[::2].translate(_LOW) or _HEX_TEXT in chars[1::2].translate(_LOW):
        return True
    low = chars.lower()
    return low.startswith(_HEX_HEADS) or any([one in low for one in _HEX_MAGIC]) or _is_hex_deflated(chars)


def _is_hex_deflated(chars: bytes) -> bool:
    # What is deflated has most of the digits; a row of two says anything.
    may = len(chars) >= _HEX_DEFLATED and chars[1] in b"2345ABCDabcd" and len({*chars[:_HEX_DEFLATED]}) > 8
    return may and is_raw(a2b_hex(chars[: min(len(chars), _BIG) & ~1]))


def _base32(chars: bytes) -> bytes:
    bits = len(chars) * 5
    return (int(chars.translate(_FIVE), 32) >> bits % 8).to_bytes(bits // 8)


def _add(pieces: ViewBuilder, begin: int, end: int, size: Size, plain: bytes, budget: Budget) -> None:
    """The contents of `plain`, which is what `begin` to `end` says."""
    wide, narrow = size
    for found in contents(plain, budget):
        budget.read(len(found.plain))
        if found.packed:
            pieces.add(found.plain, begin, end)
        else:
            group = found.start // wide
            pieces.add(plain[group * wide : found.end], begin + group * narrow, end, size)
        pieces.gap()
