"""What bytes that were decoded hold: what of them can be read, and what is packed in them (gzip, zlib, raw
deflate, bzip2, xz and the members of a zip archive). What a tar archive holds stands in it as it is."""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from mcpguard.core.errors import InspectionError
from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget

READABLE = 12
"""Bytes in a row that can be read: fewer are in any bytes by chance."""
MOST = 16 * 1024 * 1024
"""Bytes that one packed part may come to."""

_SEEN = bytes(97 if byte in b"\t\n\r\x00\x1b" or 32 <= byte < 127 else 32 for byte in range(256))
_LONG = b"a" * READABLE
_GZIP = b"\x1f\x8b\x08"
_ZIP = b"PK\x03\x04"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_HEADER = 30
_RAW = -zlib.MAX_WBITS
_STEP = 64 * 1024
_FED = 4 * 1024
_KEPT = 256 * 1024
_LAYERS = 3
_COST_OF_PACKED = 30
_SLOW = 2
"""A byte of bzip2 or xz takes so many times as long as one of deflate."""
_MEMORY = 80 * 1024 * 1024
_BZIP2, _XZ = b"1AY&SY", b"\xfd7zXZ\x00"
_LZMA = b"\x5d\x00\x00"
_BEFORE_BLOCK = len(b"BZh9")
_PACKED = expression(
    b"|".join(map(re.escape, (_GZIP, _ZIP, _BZIP2, _XZ))) + rb"|\A(?:x[\x01\x5e\x9c\xda]|\]\0\0)"
)
"""What says that something is packed."""


class Content(NamedTuple):
    """`plain` is what stands from `start` to `end` in the decoded bytes, or what is packed there."""

    start: int
    end: int
    plain: bytes
    packed: bool


def contents(data: bytes, budget: Budget, layers: int = _LAYERS) -> Iterator[Content]:
    """All that `data` holds. Raises InspectionError for what is packed to far less than it is."""
    if _is_text(data):
        yield Content(0, len(data), data, packed=False)
        return
    seen = data.translate(_SEEN)
    at = seen.find(_LONG)
    while at >= 0:
        end = seen.find(b" ", at) % (len(data) + 1)
        yield Content(at, end, data[at:end], packed=False)
        at = seen.find(_LONG, end)
    for held in _packed(data, budget) if layers and _may_be_packed(data) else ():
        for inner in contents(held, budget, layers - 1):
            yield Content(0, len(data), inner.plain, packed=True)


def may_hold(data: bytes) -> bool:
    """Whether it may have `contents`."""
    return _LONG in data.translate(_SEEN) or _may_be_packed(data) or _is_text(data)


def _may_be_packed(data: bytes) -> bool:
    return _PACKED.search(data) is not None or is_raw(data)


def _is_text(data: bytes) -> bool:
    return _ZIP not in data and is_utf8(data)


def is_utf8(data: bytes) -> bool:
    """Whether it is UTF-8 from its first byte to its last."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _packed(data: bytes, budget: Budget) -> Iterator[bytes]:
    view = memoryview(data)
    if data.startswith(ZLIB):
        yield _inflated(view[2:], budget)
    elif is_raw(data):
        yield _inflated(view, budget)
    at = data.find(_GZIP)
    while at >= 0:
        budget.piece()
        yield _inflated(view[_body(data, at) :], budget)
        at = data.find(_GZIP, at + len(_GZIP))
    at = data.find(_ZIP)
    while at >= 0:
        budget.piece()
        # A member has its own header (APPNOTE, section 4.3.7); one that is stored can be read as it is.
        header = data[at : at + _HEADER]
        begin = at + _HEADER
        begin += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if header[8:10] == b"\x08\x00":
            yield _inflated(view[begin:], budget)
        at = data.find(_ZIP, at + len(_ZIP))
    if data.startswith(_LZMA):
        yield _unpacked(view, _xz, budget)
    for magic, before, unpacker in ((_BZIP2, _BEFORE_BLOCK, _bzip2), (_XZ, 0, _xz)):
        at = data.find(magic)
        while at >= before:
            yield _unpacked(view[at - before :], unpacker, budget)
            at = data.find(magic, at + len(magic))


def is_raw(data: bytes, begun: bool = False) -> bool:
    """Whether deflate may begin `data` without a header: it has none that says so. `begun`: or may do so with
    more of it."""
    if len(data) < READABLE or data[0] & 6 in (0, 6):
        return False
    try:
        said = zlib.decompressobj(_RAW).decompress(data, 64)
    except zlib.error:
        return False
    return (begun or len(said) >= READABLE) and said.isascii()


def _body(data: bytes, at: int) -> int:
    """Where the packed bytes begin of the gzip member at `at` (RFC 1952, section 2.3)."""
    flags = data[at + 3] if at + 3 < len(data) else 0
    at += 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = max(at, data.find(b"\0", at) + 1)
    return at + (flags & 2)


def _inflated(data: memoryview, budget: Budget) -> bytes:
    """What is packed in `data`, as far as it is; a sum that is wrong does not matter."""
    budget.piece(_COST_OF_PACKED)
    said: list[bytes] = []
    size = 0
    for some in _inflating(data):
        size += len(some)
        budget.unpack(len(some))
        if size > MOST:
            raise InspectionError(f"packed data comes to more than {MOST:,} bytes")
        if size <= _KEPT:
            said.append(some)
    # What is packed to far less than it is has been withheld before it takes as much memory.
    return b"".join(said if size <= _KEPT else _inflating(data))


def _inflating(data: memoryview) -> Iterator[bytes]:
    unpack = zlib.decompressobj(_RAW)
    at = 0
    rest: memoryview | bytes = b""
    try:
        while (rest or at < len(data)) and not unpack.eof:
            if not rest:
                # Few at once: what stands behind the end is copied.
                rest = data[at : at + _FED]
                at += _FED
            yield unpack.decompress(rest, _STEP)
            rest = unpack.unconsumed_tail
        yield unpack.flush()
    except zlib.error:
        pass


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes: ...


def _bzip2() -> _Unpacker:
    from bz2 import BZ2Decompressor

    return BZ2Decompressor()


def _xz() -> _Unpacker:
    from lzma import LZMADecompressor

    return LZMADecompressor(memlimit=_MEMORY)


def _unpacked(data: memoryview, unpacker: Callable[[], _Unpacker], budget: Budget) -> bytes:
    """The same of what begins with its own header."""
    from lzma import LZMAError

    budget.piece(_COST_OF_PACKED * _SLOW)
    unpack = unpacker()
    said: list[bytes] = []
    size = at = 0
    try:
        while not unpack.eof and (at < len(data) or not unpack.needs_input):
            some = data[at : at + _STEP] if unpack.needs_input else b""
            at += len(some)
            said.append(unpack.decompress(some, _STEP))
            size += len(said[-1])
            budget.unpack(len(said[-1]))
            budget.read(len(said[-1]))
            if size > MOST:
                raise InspectionError(f"packed data comes to more than {MOST:,} bytes")
    except (OSError, LZMAError):
        pass
    return b"".join(said)
