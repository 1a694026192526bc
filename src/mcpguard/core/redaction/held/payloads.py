"""What a value in an encoding stands for: the private numbers of a key, the bytes of base64 or hexadecimal.
Programs print these too.

Law of this file: what is in a key and not secret, such as the modulus, the curve or a point, is not looked
for.
"""

from base64 import b64encode
from binascii import Error, a2b_base64, a2b_hex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcpguard.core.expressions import expression

_BODY = expression(r"-----BEGIN (?:[A-Z0-9]{1,9} )?PRIVATE KEY-----([A-Za-z0-9+/=\s]{32,16384})-----END")
_BASE64 = expression(r"[A-Za-z0-9+/]{21,1024}={1,2}|(?=[A-Za-z0-9]{0,64}[+/])(?:[A-Za-z0-9+/]{4}){6,256}")
_HEXADECIMAL = expression(r"(?:[0-9a-f]{2}){16,64}|(?:[0-9A-F]{2}){16,64}")
_REST = expression(rb"(?: {0,2}[0-9a-f]{2}){0,15}(?:  [ |>]{0,50}| [|>])[^\n\x1f\xff]{1,40}(?=[\n\x1f\xff])")
DIGITS = b"0123456789abcdef"
"""Of which a dump has rows."""
HEXADECIMAL = frozenset(DIGITS)
_LEAST = 16
_LARGEST = 1024
"""Bytes of a number: Python prints none of more than 4,300 digits."""
_DEPTH = 5
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
_RSA = 9
"""How many numbers an RSA key has (RFC 8017, appendix A.1.2); the first three are public."""


class HexMatch(NamedTuple):
    """A match of hexadecimal digits."""

    pattern: bytes

    def widen(self, text: bytes, start: int, end: int) -> tuple[int, int]:
        """The span, and in a dump the rest of the row, which shows the same bytes a second time."""
        found = _REST.match(text, end)
        return start, found.end() if found else end


def payloads(values: Iterable[str]) -> Iterator[str]:
    """Other texts of these values and members of a value."""
    for value in values:
        for number in _of_keys(value):
            yield number.hex()
            yield from _encoded(number)
        if _HEXADECIMAL.fullmatch(value):
            yield b64encode(a2b_hex(value)).decode().rstrip("=")
        elif _BASE64.fullmatch(value):
            yield _bytes(value).hex()


def whole_numbers(values: Iterable[str]) -> Iterator[str]:
    """What programs print as one number, in decimal digits: the private numbers of a key, the bytes of a
    value, and what it says in base64 or hexadecimal."""
    for value in values:
        numbers = [*_of_keys(value), value.encode("utf-8", "surrogatepass")]
        if _HEXADECIMAL.fullmatch(value):
            numbers.append(a2b_hex(value))
        elif _BASE64.fullmatch(value):
            numbers.append(_bytes(value))
        yield from (str(int.from_bytes(number)) for number in numbers if len(number) <= _LARGEST)


def _of_keys(value: str) -> Iterator[bytes]:
    for body in _BODY.findall(value.replace("\\n", "\n")):
        yield from _numbers(_bytes("".join(body.split())), _DEPTH)


def _encoded(number: bytes) -> Iterator[str]:
    """The letters of base64 that this number alone makes, at each place that it may have in a key. The
    other lines of a short key are alike in all keys, so only these are looked for in pieces."""
    for before in range(3):
        text = b64encode(bytes(before) + number).decode().rstrip("=")
        yield text[(0, 2, 3)[before] : (before + len(number)) * 8 // 6]


def _bytes(text: str) -> bytes:
    try:
        return a2b_base64(text)
    except Error:
        return b""


def _numbers(der: bytes, depth: int) -> Iterator[bytes]:
    """The secret numbers of a key in DER (X.690): of RSA, and what is in an octet string."""
    found = _children(der) if depth else []
    if len(found) >= _RSA and all(tag == _INTEGER for tag, _ in found[:_RSA]):
        yield from (data for _, data in found[3:_RSA] if len(data) >= _LEAST)
        return
    for tag, data in found:
        if tag in (_SEQUENCE, _OCTETS):
            inner = [*_numbers(data, depth - 1)]
            yield from inner or ([data] if tag == _OCTETS and len(data) >= _LEAST else [])


def _children(der: bytes) -> list[tuple[int, bytes]]:
    """The tag and the contents of each element; nothing if `der` is not DER."""
    found = []
    at = 0
    while at + 2 <= len(der):
        size, begin = der[at + 1], at + 2
        if size & 0x80:
            begin += size & 0x7F
            size = int.from_bytes(der[at + 2 : begin])
        if begin + size > len(der):
            return []
        found.append((der[at], der[begin : begin + size]))
        at = begin + size
    return found if at == len(der) else []
