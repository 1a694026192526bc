"""Just enough of protobuf's wire format to write messages of OTLP, without a library to import.

Source: https://protobuf.dev/programming-guides/encoding. A message is its fields, one after the other; the
tests read all that is written with the published definitions.
"""

from collections.abc import Iterable
from struct import pack

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """Of a number that is not negative."""
    if value < 0x80:
        return _SMALL[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_SMALL = tuple(bytes((value,)) for value in range(0x80))


def number(field: int, value: int) -> bytes:
    """An integer or an enumeration."""
    return varint(field << 3 | _VARINT) + varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def fixed(field: int, value: int) -> bytes:
    """A fixed64 or sfixed64."""
    return varint(field << 3 | _FIXED64) + pack("<Q", value)


def double(field: int, value: float) -> bytes:
    """A double."""
    return varint(field << 3 | _FIXED64) + pack("<d", value)


TAGS = tuple(varint(field << 3 | _BYTES) for field in range(32))
"""What is before the size of bytes, or of a message, by field."""


def sized(field: int, value: bytes) -> bytes:
    """Bytes, or a message; `field` is less than 32."""
    size = len(value)
    return TAGS[field] + (_SMALL[size] if size < 0x80 else varint(size)) + value


def text(field: int, value: str) -> bytes:
    """A string; a lone surrogate becomes `?`."""
    return sized(field, value.encode("utf-8", "replace"))


def packed_fixed(field: int, values: Iterable[int]) -> bytes:
    """Repeated fixed64."""
    return sized(field, b"".join(pack("<Q", value) for value in values))


def packed_doubles(field: int, values: Iterable[float]) -> bytes:
    """Repeated double."""
    return sized(field, b"".join(pack("<d", value) for value in values))


def read_number(message: bytes, *path: int) -> int:
    """The integer at a path of fields; 0 where it is missing or unreadable."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            if path == (tag >> 3,):
                return value
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
            if path[0] == tag >> 3 and len(path) > 1:
                return read_number(message[at : at + size], *path[1:])
            at += size
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            return 0
    return 0


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            break
    return value, at
