"""What is searched of a text: its skeleton, its ASCII letters, in lower case, and its digits.

Two texts that differ only in case, spacing, punctuation, line breaks or invisible characters have the
same skeleton. 0xFF is kept: it never occurs in UTF-8, so it ends a text (PAD) or covers a part of one.

Which characters an encoder escapes differs from one to the next; what it leaves does not. So a text with
escapes is searched a second time, without them: what they stand for is nearly always no letter, and
`views` reads those that are.

For a value that is scattered over rows the capitals of a text are searched, and its letters without digits.
Both are searched together with the skeleton and are not confused with it: each has an alphabet of its own.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import compress

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.engine.matching import PAD

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\xff"
DROPPED = frozenset(range(256)) - {*_LETTERS}
"""The bytes that a skeleton does not have."""
_DROP = bytes(DROPPED)
_IS_LETTER = bytes(byte in _LETTERS for byte in range(256))
_BLOCK = 1024
_LARGE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\xff"
_SMALL = b"abcdefghijklmnopqrstuvwxyz"
_NO_LETTERS = bytes(byte for byte in range(256) if byte not in _SMALL + _LARGE)
_MARKS = bytes(byte for byte in range(33, 127) if not chr(byte).isalnum())[:26]
LETTERS = bytes.maketrans(_SMALL + _LARGE[:-1], 2 * _MARKS)
"""Letters, of any case, as marks."""
FROM_MARKS = bytes.maketrans(_MARKS, _SMALL)
"""The letters, in lower case, that marks stand for."""
_NO_CAPITALS = bytes(byte for byte in range(256) if byte not in _LARGE)
RUNS, SENTENCES = 0.9, 0.73
"""The share of letters and digits in encoded data, and in sentences; rows of short pieces have less."""

SLICE = 256 * 1024
"""Bytes of a text that are reduced at once."""
_PART = 32 * 1024
"""Bytes that are freed of escapes at once: that takes a hundred for each escape meanwhile."""
SKELETON = (bytes(range(256)).lower(), _DROP)
"""`text.translate(*SKELETON)` is the skeleton of `text`, at 0.5 to 2 GB/s: for what each inspection does."""


def skeleton_of(text: bytes) -> bytes:
    """The skeleton of `text`: its letters and digits, in lower case."""
    return _without(text, *SKELETON)


def _without(text: bytes, table: bytes | None, drop: bytes) -> bytes:
    # Of a long text a slice at a time, so that other threads run in between.
    if len(text) <= SLICE:
        return text.translate(table, drop)
    made = BytesIO()  # A list of the slices would be as much as all of it again.
    for at in range(0, len(text), SLICE):
        made.write(text[at : at + SLICE].translate(table, drop))
    return made.getvalue()


def spread_of(padded: bytes, skeleton: bytes) -> bytes:
    """The capitals of a text with this `skeleton`, a gap, and its letters as marks. Of a text that has
    too few marks and spaces for rows of short pieces nothing, and no letters of sentences."""
    share = share_of(padded, skeleton)
    letters = letters_in(skeleton) if share < SENTENCES else b""
    return capitals_in(padded) + letters if share < RUNS else b""


def share_of(padded: bytes, skeleton: bytes) -> float:
    """The share of letters and digits in a text with this `skeleton`."""
    return (len(skeleton) - len(PAD)) / (len(padded) - len(PAD) + 1)


def capitals_in(padded: bytes) -> bytes:
    """The capitals of a text."""
    return _without(padded, None, _NO_CAPITALS)


def letters_in(skeleton: bytes) -> bytes:
    """The letters of a skeleton, as marks."""
    return _without(skeleton, LETTERS, b"0123456789")


def locate(text: bytes, wanted: Sequence[int], drop: bytes = _DROP) -> dict[int, int]:
    """Where in `text` the bytes come from that are at the places `wanted` of its skeleton, or of what is left
    without the bytes of `drop`.

    `wanted` ascends. Linear in `text`: only the blocks that hold a wanted byte are looked at one by one.
    """
    kept = _IS_LETTER if drop is _DROP else bytes(byte not in drop for byte in range(256))
    found: dict[int, int] = {}
    before = 0
    done = 0
    for start in range(0, len(text), _BLOCK):
        if done == len(wanted):
            break
        block = text[start : start + _BLOCK]
        after = before + len(block.translate(None, drop))
        if wanted[done] < after:
            places = list(compress(range(start, start + len(block)), block.translate(kept)))
            while done < len(wanted) and wanted[done] < after:
                found[wanted[done]] = places[wanted[done] - before]
                done += 1
        before = after
    return found


# What all begin with stands alone, so that anything else is passed over a byte at a time.
_ESCAPE = expression(
    rb"[%\\&=](?:(?<=%)(?:25)*(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
    rb"|(?<=\\)(?:u(?:[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\})|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}"
    # Also of TeX (`\textless{}`), roff (`\[aq]`) and RTF.
    rb"|[0-3][0-9]{2}|(?:text|letter)[a-z]{3,16}(?:\{\}| )?|ensuremath|\[[a-z]{2}\]|\([a-z]{2}|'[0-9a-f]{2}"
    rb"|[abefnrtv0])"
    rb"|(?<=&)(?:amp;)*(?:#[0-9A-Fa-fxX]{1,8};?|[A-Za-z]{1,31};)"
    # Quoted-printable (RFC 2045, section 6.7), but for what a value behind "=" may begin with.
    rb"|(?<==)(?:3D|0[9AD]|2[0-4]|40|5[B-E]|60|7[B-E]))"
)
_LINE_END = expression(rb"\\[nr]")
_LONGEST_ESCAPE = 64
_ATTEMPTS = 16_000


class ReducedText:
    """A text that ends in PAD and its skeletons. `near`: something that encoders escape may be in it. Else
    only the ends of lines matter, in which base64 is wrapped. `attempts`: so many triggers may lead to
    nothing before it is taken for a text that holds something."""

    __slots__ = ("_bare", "_escape", "_spread", "_unescaped", "attempts", "near", "padded", "skeleton")

    def __init__(self, padded: bytes, near: bool, skeleton: bytes | None = None) -> None:
        """`skeleton` is its skeleton, where that is known."""
        self.padded = padded
        self.skeleton = skeleton_of(padded) if skeleton is None else skeleton
        self._spread: bytes | None = None
        self.near = near
        self.attempts = _ATTEMPTS + len(padded) // 8
        self._escape: re.Pattern[bytes] | None = None
        self._bare: bytes | None = None
        self._unescaped: bytes | None = None

    @property
    def spread(self) -> bytes:
        """What `spread_of` makes of it: in this a scattered value is searched for."""
        if self._spread is None:
            self._spread = spread_of(self.padded, self.skeleton)
        return self._spread

    @property
    def unescaped(self) -> bytes | None:
        """The skeleton of the text without its escapes; None where it has none. To be asked for when all has
        been searched for that may set `near`."""
        escape = _escape_in(self.padded, self.near)
        if escape is not None and escape is not self._escape:
            slices = _slices(self.padded)
            self._escape = escape
            self._bare = b"".join(escape.sub(b"", self.padded[start:end]) for start, end in slices)
            self._unescaped = skeleton_of(self._bare)
        return self._unescaped

    def sources(self, wanted: Sequence[int]) -> dict[int, int]:
        """Where the bytes come from that are at the places `wanted` of `spread`."""
        letters = len(capitals_in(self.padded))
        found = locate(self.padded, [one for one in wanted if one < letters], _NO_CAPITALS)
        behind = locate(self.padded, [one - letters for one in wanted if one >= letters], _NO_LETTERS)
        return found | {one + letters: place for one, place in behind.items()}

    def places(self, wanted: Sequence[int]) -> dict[int, int]:
        """Where the bytes come from that are at the places `wanted` of `unescaped`."""
        if self._escape is None or self._bare is None:
            return {}
        made, begins, size, at = [0], [0], 0, 0
        for start, end in _slices(self.padded):
            for found in self._escape.finditer(self.padded[start:end]):
                size += start + found.start() - at
                at = start + found.end()
                made.append(size)
                begins.append(at)
        inner = locate(self._bare, wanted)
        pieces = {one: bisect_right(made, place) - 1 for one, place in inner.items()}
        return {one: begins[pieces[one]] + place - made[pieces[one]] for one, place in inner.items()}


def _escape_in(text: bytes, near: bool) -> re.Pattern[bytes] | None:
    # A search for one byte costs a tenth of one for two.
    slash = b"\\" in text
    if near and (slash or b"%" in text or b"&" in text or (b"=" in text and b"=3D" in text)):
        return _ESCAPE
    return _LINE_END if slash and b"\\n" in text else None


def _slices(text: bytes) -> Iterator[tuple[int, int]]:
    """All of it, cut where no escape stands, so that other threads run between two."""
    start = 0
    while start < len(text):
        end = start + _PART
        if end < len(text):
            begin = max(text.rfind(one, end - _LONGEST_ESCAPE, end) for one in (b"%", b"\\", b"&", b"="))
            end = begin if begin > 0 else end
        yield start, end
        start = end
