"""What issuers put into their tokens so that a made-up one can be told from a real one.

Law of this file: a check that fails is no reason by itself to let a token pass, since issuers change theirs
and a token may be damaged. It only says more where something else speaks against the token.
"""

from binascii import Error, a2b_base64
from collections.abc import Callable
from zlib import crc32

from mcpguard.core.expressions import expression

_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CLASSIC = expression(rb"(?:gh[opsur]|npm)_([A-Za-z0-9]{30})([A-Za-z0-9]{6})")


def has_crc(token: bytes) -> bool:
    """Whether the last 6 of 36 characters are the CRC-32 of the rest in base 62, as GitHub has it."""
    found = _CLASSIC.fullmatch(token)
    if found is None:
        return False
    number = crc32(found[1])
    digits = []
    for _ in found[2]:
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return bytes(reversed(digits)) == found[2]


def has_header(token: bytes) -> bool:
    """Whether the first part of a JWT is a JSON object that names an algorithm (RFC 7515, section 4.1.1)."""
    head = _decoded(token.partition(b".")[0])
    return head.startswith(b"{") and b'"alg"' in head and head.endswith(b"}")


def has_place(token: bytes) -> bool:
    """Whether a token of PyPI says as a macaroon for which index it is."""
    return b"pypi.org" in _decoded(token.removeprefix(b"pypi-")[:40])


def _decoded(text: bytes) -> bytes:
    try:
        return a2b_base64(text.translate(_PLAIN) + b"=" * (-len(text) % 4))
    except Error:
        return b""


_PLAIN = bytes.maketrans(b"-_", b"+/")

CHECKS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "github-token": ("CRC-32", has_crc),
    "npm-token": ("CRC-32", has_crc),
    "jwt": ("header", has_header),
    "pypi-token": ("macaroon", has_place),
}
"""By kind: what is checked, in a word, and whether a match passes."""

_RUN = 64
_OF_BASE64 = expression(rb"[A-Za-z0-9+/_-]{%d}" % _RUN)


def is_by_chance(kind: str, text: bytes, start: int, end: int) -> bool:
    """Whether a match lies within one long run of base64, such as an image, with nothing that bounds it, and
    has no check that it passes: in random characters every format turns up."""
    if start < _RUN or not (_OF_BASE64.match(text, start - _RUN) and _OF_BASE64.match(text, end)):
        return False
    check = CHECKS.get(kind)
    return check is None or not check[1](text[start:end])
