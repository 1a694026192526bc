"""Texts that look random, without a name or a form that says what they are. Reported on request, and only as
notes: an identifier, a digest or a test vector looks no different.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from mcpguard.core.redaction.matching import Span

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
