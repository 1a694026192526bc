"""What there is to read: a source for each file, blob or input, and its text in windows that overlap, so that
a file of any size takes the memory of a few windows.

Law of this file: what is found in a window belongs to it only if it begins in the window's own part; so each
thing is found once, with enough of what stands around it.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from mcpguard.core.errors import McpGuardError
from mcpguard.core.redaction.engine.matching import PAD

OWN = 1 << 20
"""Bytes of the part of a window that is its own."""

BEFORE = 4096
"""Bytes of the window before it that are read again, for what must precede something: a name, a line."""

AFTER = 1 << 16
"""Bytes of the window after it: more than the longest thing that is looked for, in base64 too."""

_PROBED = 8192
_PRINTABLE = bytes(byte if 0x20 <= byte < 0x7F or byte in b"\t\n\r" else PAD[0] for byte in range(256))
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOSTLY = 0.4
_CONTINUED = bytes(range(0x80, 0xC0))
_SEPARATOR, _SPACE = b"\x1f", b" "


class Readable(Protocol):
    """What `open(path, "rb")` gives, of which only this is used."""

    def read(self, size: int, /) -> bytes: ...


class TextWindow(Struct, frozen=True):
    """`text` is UTF-8, and begins at `line` and `column` (in characters), both from 0. What begins from
    `begin` up to `end` is its own. In a binary file a character has `width` bytes, else 0, and the first is
    the one at `line`, from 0; `beside` is what stands between the characters."""

    text: bytes
    begin: int
    end: int
    line: int = 0
    column: int = 0
    width: int = 0
    beside: bytes = b""

    def owns(self, start: int, end: int) -> bool:
        """Whether what stands there in `text` begins in its own part, and is text."""
        return self.begin <= start < self.end and not self.beside[start:end].strip(b"\0")

    @property
    def size(self) -> int:
        """How many bytes are its own; those of a binary file are in several windows, and counted once."""
        return 0 if self.beside else self.end - self.begin

    def places(self, ascending: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Line and column, from 1, of places in `text`; in a binary file 0 and the byte, from 0."""
        at, line, column = 0, self.line, self.column
        for place in ascending:
            if self.width:
                yield 0, self.line + place * self.width
                continue
            passed = self.text[at:place]
            lines = passed.count(b"\n")
            line += lines
            column = _characters(passed[passed.rfind(b"\n") + 1 :]) + (0 if lines else column)
            at = place
            yield line + 1, column + 1


def windows(file: Readable) -> Iterator[TextWindow]:
    """All of what `file` holds. Raises OSError as its `read` does."""
    first = _read(file, OWN)
    encoding = _encoding(first)
    if encoding is None:
        yield from _binary(file, first)
    else:
        yield from _text(file, first, encoding)


def _read(file: Readable, size: int) -> bytes:
    """This many bytes, fewer only at the end: a pipe gives what it has."""
    pieces: list[bytes] = []
    while size:
        piece = file.read(size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _encoding(first: bytes) -> str | None:
    """The encoding of a text that begins so; None for a binary file."""
    for bom, name in _BOMS:
        if first.startswith(bom):
            return name
    probed = first[:_PROBED]
    if b"\0" in probed:
        if probed[1::2].count(0) > _MOSTLY * len(probed[1::2]) and probed[::2].count(0) == 0:
            return "utf-16-le"
        if probed[::2].count(0) > _MOSTLY * len(probed[::2]) and probed[1::2].count(0) == 0:
            return "utf-16-be"
        return None
    read = first.decode("utf-8", "replace")
    wrong, other = read.count("\ufffd"), len(read) - len(read.encode("ascii", "ignore"))
    # One wrong byte is a mishap; where half of what is not ASCII is wrong, it is another encoding.
    return "utf-8" if 2 * wrong <= other else "cp1252"


def _text(file: Readable, first: bytes, encoding: str) -> Iterator[TextWindow]:
    decode = codecs.getincrementaldecoder(encoding)("replace").decode
    kept, begin, line, column = b"", 0, 0, 0
    piece = first
    while True:
        after = _read(file, OWN) if len(piece) == OWN else b""
        last = not after
        made = decode(piece, last).encode("utf-8", "surrogatepass").replace(_SEPARATOR, _SPACE)
        text = kept + made
        end = len(text) if last else max(begin, len(text) - AFTER)
        yield TextWindow(text, begin, end, line, column)
        if last:
            return
        cut = max(0, end - BEFORE)
        lines = text.count(b"\n", 0, cut)
        start = text.rfind(b"\n", 0, cut) + 1
        column = _characters(text[start:cut]) + (0 if lines else column)
        line += lines
        kept, begin, piece = text[cut:], end - cut, after


def _characters(text: bytes) -> int:
    return len(text.translate(None, _CONTINUED))


def _binary(file: Readable, first: bytes) -> Iterator[TextWindow]:
    """The runs of printable ASCII, across whose ends nothing is found. Each window comes again as UTF-16 of
    either byte order, of which every other byte is the text."""
    kept, begin, shift = b"", 0, 0
    piece = first
    while True:
        after = _read(file, OWN) if len(piece) == OWN else b""
        data = kept + piece
        end = len(data) if not after else max(begin, len(data) - AFTER)
        text = data.translate(_PRINTABLE)
        yield TextWindow(text, begin, end, shift, 0, 1)
        for odd in (0, 1):
            own = (begin + 1 - odd) // 2, (end + 1 - odd) // 2
            yield TextWindow(text[odd::2], *own, shift + odd, 0, 2, data[1 - odd :: 2])
        if not after:
            return
        cut = max(0, end - BEFORE)
        kept, begin, piece = data[cut:], end - cut, after
        shift += cut


STDIN = "<stdin>"
"""What the input is called."""
COMMIT = "<commit>"
"""What the message of a commit is called, with its author and its committer below."""
TAG = "<tag>"
"""What the message of a tag is called, with who made it below; the path has its name too."""
FILELESS = frozenset({STDIN, COMMIT, TAG})
"""All that is read and is not a file."""


class ScanError(McpGuardError):
    """What was to be scanned cannot be. The sentence says why."""


class ScanSource(Struct, frozen=True):
    """`path` is what reports call it; `file` is the absolute path of the file that it is or was, or one
    of FILELESS. In a history, `commit` (its hash) is the first that has it so, or what a tag is on. `open`
    raises OSError."""

    path: str
    file: str
    open: Callable[[], AbstractContextManager[Readable]]
    commit: str = ""


class Skipped(Struct, frozen=True):
    """Something that could not be read, and why, in one sentence."""

    path: str
    why: str
