"""What is known of passages of the chains: what lets a question about arguments read few of them.

Law of this file: a passage with a text in one of its calls is never left out; one without it may be read in
vain. Four bytes at any place in a text, without regard to case, set one bit of its passage (a Bloom filter
with one hash), so a text of fewer is taken to be everywhere. Bits are those of native integers: an index
stays on its machine.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from msgspec import DecodeError, Raw, json

from mcpguard.adapters.audit import zones
from mcpguard.adapters.audit.zones import Zone, joined, zone_of

FILE_BITS = 40
"""A place is the number of a file, then the offset of the line in this many bits."""
OFFSET = (1 << FILE_BITS) - 1
LONGEST = 1 << 20
"""Bytes of a chain after which a passage ends."""
_BITS = 1 << 16
_BYTES = _BITS // 8
_FULL = _BITS // 3
"""With this many bits a passage ends, since more would tell fewer texts apart."""
_GATHER = 32 << 10
_SET = ord("1")

_decode = json.Decoder(list[Any]).decode


class Passage:
    """A part of a chain from `place` to `end`, with the texts of the calls that were decided in it. Times
    are `first` and `latest`, in microseconds since 1970."""

    __slots__ = (
        *("_columns", "_flags", "_gathered", "_stored", "_texts"),
        *("end", "first", "full", "latest", "place"),
    )

    def __init__(
        self,
        place: int,
        end: int = 0,
        first: int = 1 << 62,
        latest: int = -1,
        bits: bytes = b"",
        stored: bytes | None = None,
    ) -> None:
        self.place, self.end = place, end
        self.first, self.latest = first, latest
        self._flags = bytearray(format(int.from_bytes(unpacked(bits)), f"0{_BITS}b").encode())
        self.full = self._flags.count(_SET) > _FULL
        self._texts: set[bytes] = set()
        self._gathered = 0
        self._stored = stored
        self._columns: dict[str, list[bytes]] = {"args": [], "subject": [], "message": [], "error": []}

    def decided(self, at: int, end: int, arguments: bytes | Raw) -> None:
        """A call with these was decided at that time, in a line that ends at that place."""
        self.first, self.latest, self.end = min(self.first, at), max(self.latest, at), end
        self._columns["args"].append(bytes(arguments) or b"{}")

    def said(self, **texts: bytes | Raw) -> None:
        """A call in it has these texts under the names that conditions have for them."""
        for name, text in texts.items():
            if text:
                self._columns[name].append(bytes(text))

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
        for bits in _bits(_folded(b"\n".join(self._texts))):
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

    def zones(self) -> bytes:
        """What is stored of the values that its calls have."""
        if any(self._columns.values()):
            try:
                found = {name: zone_of(_values(name, some)) for name, some in self._columns.items()}
            except (DecodeError, UnicodeDecodeError, RecursionError):
                found = {}
            if self._stored is not None:
                before = zones.unpacked(self._stored)
                found = {name: joined(before[name], zone) for name, zone in found.items() if name in before}
            self._stored = zones.packed(found)
            self._columns = {name: [] for name in self._columns}
        return self._stored or b""


class IndexedPassage:
    """What the index knows of a passage; `first` and `latest` as of `Passage`."""

    def __init__(self, bits: bytes, stored: bytes, first: int = 0, latest: int = 0) -> None:
        self._packed, self._stored = bits, stored
        self.first, self.latest = first, latest

    @cached_property
    def _bits(self) -> bytes:
        try:
            return unpacked(self._packed)
        except zlib.error:  # It is damaged, and may have any.
            return b"\xff" * _BYTES

    def has(self, text: bytes) -> bool:
        """Whether a call may have this text, as it stands in JSON."""
        bits = self._bits
        return all(bits[at] & bit for at, bit in bits_of(text))

    @cached_property
    def zones(self) -> dict[str, Zone]:
        """The values of `args` and of texts; without a name of which nothing is known."""
        try:
            return zones.unpacked(self._stored)
        except (DecodeError, UnicodeDecodeError):  # It is damaged, and nothing is known.
            return {}


def unpacked(bits: bytes) -> bytes:
    """All bits of a passage, as some may be stored compressed."""
    return bits if len(bits) == _BYTES else zlib.decompress(bits) if bits else bytes(_BYTES)


@lru_cache(256)
def bits_of(text: bytes) -> list[tuple[int, int]]:
    """The bits of a passage with this text: which byte, and its bit there."""
    text = _folded(text)
    even, odd = _bits(text)
    whole = len(text) - 3
    found = {*even[: max(0, whole + 1) // 2], *odd[: max(0, whole) // 2]}
    return [(bit >> 3, 128 >> (bit & 7)) for bit in found]


def _folded(text: bytes) -> bytes:
    """Alike for texts that differ only in the case of ASCII letters, also as RE2 takes them: the signs of
    Kelvin and of the long s are letters of another case."""
    return text.lower().replace("\u212a".encode(), b"k").replace("\u017f".encode(), b"s")


def _values(name: str, some: list[bytes]) -> list[Any]:
    """What conditions see; a record leaves out what is empty."""
    found = _decode(b"[%b]" % b",".join(some))
    return [one or {} for one in found] if name == "args" else [*found, ""]


def _bits(text: bytes) -> Iterator[memoryview]:
    """The bit for what begins at each even place of a text, then at each odd one; the last three are of what
    follows it too."""
    number = int.from_bytes(text, "little")
    mixed = memoryview((number ^ number >> 11).to_bytes(len(text), "little"))
    for start in (0, 1):
        yield mixed[start : start + max(0, len(text) - start) // 2 * 2].cast("H")


def matching_passages(
    database: sqlite3.Connection, may_match: Callable[[IndexedPassage], bool], since: int, until: int
) -> Iterator[tuple[int, int, int]]:
    """(place, end, latest) of the passages with calls that may match, and of these times."""
    query = "SELECT place, end, bits, zones, first, latest FROM passages WHERE latest >= ? AND first < ?"
    for place, end, bits, stored, first, latest in database.execute(query, (since, until)):
        if may_match(IndexedPassage(bits, stored, first, latest)):
            yield place, end, latest


class ClockSetback(NamedTuple):
    """The clock was set back to `at` after all calls of a chain that are before the place `until`."""

    until: int
    at: int


_SETBACKS = """
WITH RECURSIVE setback(number, until, at) AS (
  SELECT place >> ?, place, at FROM setbacks UNION
  SELECT before.number, 1 << 62, setback.at FROM setback
    JOIN chains ON chains.number = setback.number JOIN chains AS before ON before.name = chains.before)
SELECT number, until, at FROM setback
"""


def setbacks(database: sqlite3.Connection) -> dict[int, list[ClockSetback]]:
    """By the number of a chain, also of one that another one continues."""
    found: dict[int, list[ClockSetback]] = {}
    for number, until, at in database.execute(_SETBACKS, (FILE_BITS,)):
        found.setdefault(number, []).append(ClockSetback(until, at))
    return found


def clock_of(database: sqlite3.Connection, number: int) -> int:
    """When the latest call of a chain was decided since the clock was last set back; where the chain has no
    call, of the one that it continues. 0 where that is unknown."""
    first, last = number << FILE_BITS, number << FILE_BITS | OFFSET
    query = "SELECT place, at FROM setbacks WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1"
    since, clock = next(database.execute(query, (first, last)), (first, 0))
    query = "SELECT max(latest) FROM passages WHERE place BETWEEN ? AND ?"
    ((latest,),) = database.execute(query, (since, last))
    if latest or clock:
        return max(latest or 0, clock)
    query = (
        "SELECT before.number FROM chains JOIN chains AS before ON before.name = chains.before "
        "WHERE chains.number = ? AND before.number < chains.number"
    )
    return next((clock_of(database, before) for (before,) in database.execute(query, (number,))), 0)
