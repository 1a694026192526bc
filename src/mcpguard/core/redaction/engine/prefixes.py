"""The JSON that a text begins with: one value, several with commas or line ends between them, or what stands
before the place at which it is cut off.

Law of this file: a text is decoded by the codec alone, a bounded number of times, and what it refuses is not
read.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mcpguard.core.expressions import expression

_FAILED = expression(r"\(byte ([0-9]+)\)$")
_BEHIND = "trailing characters"
_decode = msgspec.json.decode
_decode_lines = msgspec.json.Decoder().decode_lines
_CLOSING = bytes.maketrans(b"{[", b"}]")
_NO_BRACKETS = bytes({*range(256)} - {*b"{}[]"})
_DEEPEST = 100
_SHORTEST = 16
"""Bytes of JSON that may say something though it is cut off."""
_FAR = 64 * 1024
_PIECES = 8192
"""An even number: to join all at once takes 80 bytes for each."""
_FOR_ONE, _FOR_ONE_CUT, _FOR_ONE_COPIED = 64, 64, 4096
"""Bytes that take as long to decode, to cut and to copy as a unit of work."""


class Prefix(NamedTuple):
    """How much of a text was read, what that says if it is JSON or else None, the bytes that this was decoded
    from, and the units of work that it took. Of several values it is a list, with the bytes of all."""

    size: int
    value: Any
    data: bytes
    cost: int


def prefix(text: memoryview, lines: bool) -> Prefix:
    """What a text begins with that begins with a bracket; with `lines`, it may be lines of JSON."""
    value, size, ends = _decoded(text)
    cost = size // _FOR_ONE
    if ends:
        behind = bytes(text[size : size + 1])
        if behind == b",":
            made = _several(bytes(text))
            if made.value is not None:
                return made
        elif lines and behind in (b"{", b"["):
            value, _, _ = _decoded(text, _decode_lines)
            if value is not None:
                return Prefix(len(text), value, bytes(text), len(text) // _FOR_ONE)
        text = text[:size]
        value, _, _ = _decoded(text)
    if value is not None:
        return Prefix(size, value, bytes(text), 2 * cost)
    if size < _SHORTEST:
        return Prefix(size, None, b"", cost)
    value, data = _cut(bytes(text[:size]))
    return Prefix(size, value, data, cost + size // _FOR_ONE_CUT)


def _several(text: bytes) -> Prefix:
    """What a text says that begins with values and commas between them."""
    cost = len(text) // _FOR_ONE_COPIED
    value, size, _ = _decoded(b"[%b]" % text)
    if value is not None:
        return Prefix(len(text), value, text, cost + size // _FOR_ONE)
    size = min(size - 1, len(text))
    value, data = _cut(b"[%b" % text[:size])
    return Prefix(size, value, data[1:-1], cost + size // _FOR_ONE_CUT)


def _decoded(text: bytes | memoryview, decode: Callable[[Any], Any] = _decode) -> tuple[Any, int, bool]:
    """What a text says, or None; how much of it was read; and whether that says something."""
    try:
        return decode(text), len(text), False
    except RecursionError:
        return None, min(len(text), _FAR), False
    except UnicodeDecodeError:
        return None, 0, False
    except msgspec.DecodeError as error:
        why = str(error)
    if found := _FAILED.search(why):
        # What is behind it counts as read.
        return None, int(found[1]) - (_BEHIND in why), _BEHIND in why
    return None, len(text) if "truncated" in why else 0, False


def _cut(text: bytes) -> tuple[Any, bytes]:
    """What the beginning of JSON says before the last value in it ends, and the bytes for that."""
    pieces = text.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
    at = len(text)
    while pieces:
        last = pieces.pop()
        at -= len(last)
        comma, bracket = last.rfind(b","), max(last.rfind(b"}"), last.rfind(b"]"))
        if len(pieces) % 2 == 0 and max(comma, bracket) >= 0:
            end = comma if comma > bracket else bracket + 1
            break
        at -= 1
    else:
        return None, b""
    pieces.append(last[:end])
    some = (pieces[first : first + _PIECES : 2] for first in range(0, len(pieces), _PIECES))
    brackets = b"".join([b"".join(one).translate(None, _NO_BRACKETS) for one in some])
    del pieces  # They take nearly as much as what is decoded.
    for _ in range(_DEEPEST):
        size = len(brackets)
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(brackets) == size:
            break
    if len(brackets) > _DEEPEST:
        return None, b""
    data = text[: at + end] + brackets.translate(_CLOSING)[::-1]
    return _decoded(data)[0], data
