"""Which passages of the chains may have a text: what lets a question about arguments read few of them.

Law of this file: a passage with a text in one of its calls is never left out; one without it may be read in
vain. Four bytes at any place in a text set one bit of its passage (a Bloom filter with one hash), so a text
of fewer is taken to be everywhere. Bits are those of native integers: an index stays on its machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from msgspec import Raw

LONGEST = 1 << 20
"""Bytes of a chain after which a passage ends."""
_BITS = 1 << 16
_BYTES = _BITS // 8
_FULL = _BITS // 3
"""With this many bits a passage ends, since more would tell fewer texts apart."""
_GATHER = 32 << 10
_SET = ord("1")

Texts = tuple[frozenset[bytes], ...]
"""A call has at least one text of each of these sets, as it stands in JSON; () is true of every call."""


class Passage:
    """A stretch of a chain from `place` to `end`, with the texts of the calls that were decided in it. Times
    are `first` and `latest`, in microseconds since 1970."""

    __slots__ = ("_flags", "_gathered", "_texts", "end", "first", "full", "latest", "place")

    def __init__(
        self, place: int, end: int = 0, first: int = 1 << 62, latest: int = -1, bits: bytes = b""
    ) -> None:
        self.place, self.end = place, end
        self.first, self.latest = first, latest
        self._flags = bytearray(format(int.from_bytes(unpacked(bits)), f"0{_BITS}b").encode())
        self.full = self._flags.count(_SET) > _FULL
        self._texts: set[bytes] = set()
        self._gathered = 0

    def decided(self, at: int, end: int) -> None:
        """A call was decided at that time, in a line that ends at that place."""
        self.first, self.latest, self.end = min(self.first, at), max(self.latest, at), end

    def add(self, *texts: bytes | Raw) -> None:
        """A call in it has these texts, none of which has a line feed; what repeats is taken once. Between
        two strings no four bytes are of both."""
        known = self._texts
        for text in texts:
            for part in bytes(text).replace(b'","', b'","\n","').split(b"\n") if text else ():
                if part not in known:
                    known.add(part)
                    self._gathered += len(part)
        if self._gathered > _GATHER:
            self._settle()

    def _settle(self) -> None:
        flags, one = self._flags, _SET
        for bits in _bits(b"\n".join(self._texts)):
            for bit in bits:
                flags[bit] = one
        self._texts.clear()
        self._gathered = 0
        self.full = flags.count(_SET) > _FULL

    def bits(self) -> bytes:
        """What is stored of it."""
        self._settle()
        bits = int(self._flags, 2).to_bytes(_BYTES)
        packed = zlib.compress(bits, 1)
        return packed if len(packed) < _BYTES // 2 else bits


def unpacked(bits: bytes) -> bytes:
    """All bits of a passage, as some may be stored compressed."""
    return bits if len(bits) == _BYTES else zlib.decompress(bits) if bits else bytes(_BYTES)


def bits_of(text: bytes) -> list[tuple[int, int]]:
    """The bits of a passage with this text: which byte, and its bit there."""
    even, odd = _bits(text)
    whole = len(text) - 3
    found = {*even[: max(0, whole + 1) // 2], *odd[: max(0, whole) // 2]}
    return [(bit >> 3, 128 >> (bit & 7)) for bit in found]


def _bits(text: bytes) -> Iterator[memoryview]:
    """The bit for what begins at each even place of a text, then at each odd one; the last three are of what
    follows it too."""
    number = int.from_bytes(text, "little")
    mixed = memoryview((number ^ number >> 11).to_bytes(len(text), "little"))
    for start in (0, 1):
        yield mixed[start : start + max(0, len(text) - start) // 2 * 2].cast("H")
