"""What redaction finds in the windows of a file, and where; and what a person has judged already:
`exceptions.yaml`, as `--exceptions` names it (format version 1).

Law of this file: of a value nothing is kept but its place, its kind, and marks that say nothing about it. An
exception has a reason. It hides nothing: what it covers is reported apart, and one that covers nothing is
reported too.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from fnmatch import fnmatchcase, translate
from math import log2
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct, json
from pydantic import Field

from mcpguard.config.policies import read_document
from mcpguard.core.document.constraints import Constraint, filled
from mcpguard.core.document.reading import Document
from mcpguard.core.document.written import Items, Written, whole
from mcpguard.core.errors import DocumentError, InspectionError
from mcpguard.core.redaction.detectors import HELD, KINDS
from mcpguard.core.redaction.engine.matching import Span
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan.sources import AFTER, BEFORE, FILELESS, TextWindow

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


class UnsearchedPart(Struct, frozen=True):
    """A part that could not be searched: why, and the line that it begins in (0 in a binary file)."""

    line: int
    why: str


def leaks(
    windows: Iterable[TextWindow], redactor: Redactor, also: tuple[str, ...] = (), entropy: bool = False
) -> Iterator[Leak | UnsearchedPart]:
    """All that is in `windows`, each window in order. `also` are kinds of personal data; with `entropy` what
    looks random is reported too."""
    for window in windows:
        found = list(_found(window.text, 0, len(window.text), redactor, also))
        spans = sorted(one for one in found if isinstance(one, Span))
        if entropy:
            spans = sorted([*spans, *random_texts(window.text, spans)])
        missed = [one for one in found if not isinstance(one, Span)]
        for (line, _), (_, why) in zip(window.places(place for place, _ in missed), missed, strict=True):
            yield UnsearchedPart(line, why)
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


CREDENTIAL = "credential:"
"""What the kinds of values of the configuration begin with."""


def _is_fingerprint(text: str) -> str:
    return "" if re.fullmatch("[0-9a-f]{16}", text) else "a fingerprint has 16 hexadecimal digits"


def _is_kind(glob: str) -> str:
    if glob.startswith(CREDENTIAL) or any(fnmatchcase(kind, glob) for kind in (*KINDS, ENTROPY)):
        return ""
    if glob == HELD:
        return f"values of the configuration are `{CREDENTIAL}NAME`, or `{CREDENTIAL}*` for all of them"
    return "unknown kind: `mcpguard help reference/detectors` lists them"


class ScanException(Written):
    """What is not a secret, or is known and stays."""

    kind: Annotated[str, filled("must not be empty"), Constraint(_is_kind)] = Field(
        description="A kind, such as `jwt`, or a glob of kinds; those that begin with `credential:` only "
        "where it begins so too."
    )
    path: Annotated[str, filled("must not be empty")] = Field(
        description="A path, or a glob of paths, from the folder of this file on; `*` is any text, also "
        "with `/` in it."
    )
    fingerprint: Annotated[str, Constraint(_is_fingerprint)] = Field(
        "",
        description="Only in a line with this fingerprint, as `--format json` prints it; it says nothing "
        "about the secret.",
    )
    reason: Annotated[str, filled("must say why")] = Field(description="Why it is known and stays.")


class ScanExceptions(Written):
    """A file of exceptions from `mcpguard scan`."""

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    exceptions: Items[ScanException] = Field(description="The first that covers something gives its reason.")


class FileExceptions:
    """The exceptions of one file, and which of them were used."""

    def __init__(self, path: Path) -> None:
        """Raises DocumentError."""
        document = Document(read_document(path, DocumentError), str(path))
        self._folder = Path(os.path.abspath(path)).parent
        self._all = [
            (one, re.compile(translate(one.kind)), re.compile(translate(one.path)))
            for one in document.read(ScanExceptions).exceptions
        ]
        self._used: set[int] = set()
        self._in_scope: set[int] = set()

    def looked_at(self, file: str) -> None:
        """This file, an absolute path, is scanned."""
        path = _path(file, self._folder)
        self._in_scope |= {index for index, (_, _, paths) in enumerate(self._all) if paths.match(path)}

    def reason(self, file: str, leak: Leak) -> str:
        """Why a leak in `file`, an absolute path, is excepted; "" where it is not."""
        path = _path(file, self._folder)
        for index, (one, kind, paths) in enumerate(self._all):
            if (
                kind.match(leak.kind)
                and (one.kind.startswith(CREDENTIAL) or not leak.kind.startswith(CREDENTIAL))
                and paths.match(path)
                and one.fingerprint in ("", leak.fingerprint)
            ):
                self._used.add(index)
                return one.reason
        return ""

    def unused(self) -> list[str]:
        """Each exception that covered nothing in what was scanned, or whose file is gone, in words."""
        return [
            f"{one.kind} in {one.path}" + (f" ({one.fingerprint})" if one.fingerprint else "")
            for index, (one, *_) in enumerate(self._all)
            if index not in self._used and (index in self._in_scope or self._is_gone(one.path))
        ]

    def _is_gone(self, path: str) -> bool:
        return path == _named(path) and path not in FILELESS and not os.path.lexists(self._folder / path)


def as_exceptions(found: Iterable[tuple[str, Leak]], folder: Path, today: date) -> str:
    """A file of exceptions, to be put in `folder`, for leaks in files (absolute paths)."""
    entries = {(_named(_path(file, folder)), leak.kind, leak.fingerprint): None for file, leak in found}
    reason = json.encode(f"Found when this file was written, on {today}; review it.").decode()
    lines = ["version: 1", "exceptions:" if entries else "exceptions: []"]
    for path, kind, fingerprint in entries:
        lines += [f"  - kind: {json.encode(kind).decode()}", f"    path: {json.encode(path).decode()}"]
        lines += [f'    fingerprint: "{fingerprint}"', f"    reason: {reason}"]
    return "\n".join(lines) + "\n"


def _path(file: str, folder: Path) -> str:
    """As exceptions in `folder` call a file."""
    return os.path.relpath(file, folder) if file.startswith("/") else file


def _named(path: str) -> str:
    """The glob that matches this path and no other."""
    return re.sub(r"([*?[])", r"[\1]", path)
