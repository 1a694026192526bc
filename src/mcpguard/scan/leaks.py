"""What redaction finds in the windows of a file, and where.

Law of this file: of a value nothing is kept but its place, its kind, and marks that say nothing about it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from math import log2

from msgspec import Struct

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.matching import Span
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan.sources import AFTER, BEFORE, Window

SMALL = 1 << 14
"""Bytes of a window's own part that are not cut further, where there is too much in it for one search."""

_LINE = 512
_PATIENCE = 16
"""Nobody else waits for a scan, so it may take longer than an answer."""
_BESIDE = 32


class Leak(Struct, frozen=True):
    """One secret. `line` and `column` count from 1; in a binary file `line` is 0 and `column` the byte.

    `fingerprint` is of its kind and of its line without what was found in that: it stays when the line
    moves, and says nothing about the value. `mark` is equal for equal values, within one process.
    """

    kind: str
    line: int
    column: int
    end_line: int
    end_column: int
    fingerprint: str
    mark: bytes


class Missed(Struct, frozen=True):
    """A part that could not be searched: why, and the line that it begins in (0 in a binary file)."""

    line: int
    why: str


def leaks(
    windows: Iterable[Window], redactor: Redactor, also: tuple[str, ...] = (), entropy: bool = False
) -> Iterator[Leak | Missed]:
    """All that is in `windows`, each window in order. `also` are kinds of personal data; with `entropy` what
    looks random is reported too."""
    for window in windows:
        found = list(_found(window.text, 0, len(window.text), redactor, also))
        spans = sorted(one for one in found if isinstance(one, Span))
        if entropy:
            spans = sorted([*spans, *random_texts(window.text, spans)])
        missed = [one for one in found if not isinstance(one, Span)]
        for (line, _), (_, why) in zip(window.places(place for place, _ in missed), missed, strict=True):
            yield Missed(line, why)
        places = window.places(place for span in spans for place in (span.start, span.end))
        for index, (span, first, last) in enumerate(zip(spans, places, places, strict=True)):
            if window.owns(span.start, span.end):
                mark = _fingerprint(window.text, spans, index)
                yield Leak(span.kind, *first, *last, mark, span.mark)


def _found(
    text: bytes, begin: int, end: int, redactor: Redactor, also: tuple[str, ...]
) -> Iterator[Span | tuple[int, str]]:
    """What begins from `begin` up to `end`, and the places from which nothing could be found, and why not."""
    own = end - begin
    shift = max(0, begin - BEFORE)
    try:
        spans = redactor.places(text[shift : end + min(AFTER, own)], also, _PATIENCE)
    except InspectionError as problem:
        if own <= SMALL:
            yield begin, str(problem)
            return
        middle = (begin + end) // 2
        yield from _found(text, begin, middle, redactor, also)
        yield from _found(text, middle, end, redactor, also)
        return
    for span in spans:
        if begin <= span.start + shift < end:
            yield span._replace(start=span.start + shift, end=span.end + shift)


def _fingerprint(text: bytes, spans: list[Span], index: int) -> str:
    """Of the kind of a span, and of its lines without all that was found in them."""
    start, end = spans[index].start, spans[index].end
    first = max(text.rfind(b"\n", max(0, start - _LINE), start) + 1, start - _LINE, 0)
    last = text.find(b"\n", end, end + _LINE)
    last = min(len(text), end + _LINE) if last < 0 else last
    kept = [spans[index].kind.encode()]
    at = first
    for span in spans[max(0, index - _BESIDE) : index + _BESIDE]:
        if span.end > at and span.start < last:
            kept.append(text[at : max(at, span.start)].strip())
            at = span.end
    return hashlib.sha256(b"\0".join([*kept, text[at:last].strip()])).hexdigest()[:16]


ENTROPY = "high-entropy"
"""The kind of such a text."""

_QUOTED = re.compile(rb"""(?<=["'`=:\s])[A-Za-z0-9+/_-]{20,200}={0,2}(?=["'`;,\s]|$)""")
_HEX = re.compile(rb"[0-9a-fA-F-]*")
_HEX_BITS = 3.0
_BITS = 4.3
"""Bits for each character, as they are counted: random base64 of 20 to 40 characters has 4.1 to 4.8."""


def random_texts(text: bytes, known: list[Span]) -> Iterator[Span]:
    """Those in `text` that overlap none of `known`, which are in order."""
    taken = iter([*known, Span(len(text) + 1, len(text) + 1, "", b"")])
    last = next(taken)
    for found in _QUOTED.finditer(text):
        start, end = found.span()
        while last.end <= start:
            last = next(taken)
        if end <= last.start and _random(found[0]):
            yield Span(start, end, ENTROPY, b"")


def _random(value: bytes) -> bool:
    value = value.rstrip(b"=")
    if _HEX.fullmatch(value):
        return value.count(b"-") == 0 and bits(value) >= _HEX_BITS
    digits = sum(48 <= byte <= 57 for byte in value)
    return digits >= 2 and bits(value) >= _BITS


def bits(value: bytes) -> float:
    """Shannon's entropy of the characters of a text, in bits for each."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())
