"""What base64 and hexadecimal say, where that may hold something that is looked for."""

import re
from base64 import b64encode
from binascii import a2b_base64, a2b_hex
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS
from mcpguard.core.redaction.matching import PAD, Matcher, compile_literals
from mcpguard.core.redaction.views.view import Bare, View

ALPHABET = bytes(97 if (chr(byte).isalnum() and byte < 128) or byte in b"+/_-" else 32 for byte in range(256))
LONG = b"a" * 16
"""`text.translate(ALPHABET)` has this in it where something in `text` may be base64 or hexadecimal, a
piece of it at least: without separators the names of members would be such a piece in every answer."""
_SIGN = 6


class _Way(NamedTuple):
    """One way to write bytes in these letters: `group` of them for `size` bytes."""

    group: int
    size: int
    letters: bytes
    run: re.Pattern[bytes]


_WAYS = {
    "base64": _Way(
        4,
        3,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-",
        re.compile(rb"[A-Za-z0-9+/_-]*"),
    ),
    "hex": _Way(2, 1, b"0123456789abcdefABCDEF", re.compile(rb"[0-9A-Fa-f]*")),
}
_STANDARD = bytes.maketrans(b"-_", b"+/")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_BEFORE = 16


class _Stretch:
    """What is written in one way from `begin` on, where a group begins. `plain` is what it says."""

    def __init__(self, text: bytes, begin: int, way: str) -> None:
        found = _WAYS[way].run.match(text, begin)
        self.way = way
        self.begin = begin
        self.end = begin if found is None else found.end()
        chars = text[begin : self.end]
        self.plain = _hex(chars) if way == "hex" else _base64(chars)

    def has(self, place: int) -> bool:
        """Whether a group begins at this place."""
        return (place - self.begin) % _WAYS[self.way].group == 0


def _hex(chars: bytes) -> bytes:
    return a2b_hex(chars[: len(chars) & ~1])


def _base64(chars: bytes) -> bytes:
    whole = chars[:-1] if len(chars) % 4 == 1 else chars
    return a2b_base64(whole.translate(_STANDARD) + b"=" * (-len(whole) % 4))


@cache
def beginnings() -> Matcher:
    """The compiled literals of `_table`."""
    return compile_literals([literal for literal, *_ in _table()])


@cache
def _table() -> list[tuple[bytes, str, int]]:
    """The literals that begin a format, as each way writes them, at each alignment, and base64 twice over;
    for each its way, and how many characters of its first group stand before it."""
    table: dict[bytes, tuple[str, int]] = {}
    for start in {start.encode() for one in DETECTORS if not one.any_case for start in one.starts}:
        table |= {text.encode(): ("hex", 0) for text in (start.hex(), start.hex().upper())}
        for once, first in _cores(start):
            table[once] = ("base64", first)
            table |= {twice: ("base64", outer) for twice, outer in _cores(once)}
    return [(literal, *how) for literal, how in table.items()]


def beginning_signs() -> list[bytes]:
    """How `beginnings` begin."""
    return sorted({literal[:_SIGN] for literal, *_ in _table()})


def in_run(_index: int, _from: int, end: int, _flags: int, flat: bytes) -> bool:
    """A Visit of `beginnings`: whether it stands where there may be base64, and not in a word."""
    return flat[max(0, end - len(LONG)) : end + len(LONG)].translate(ALPHABET).find(LONG) >= 0


def _cores(data: bytes) -> Iterator[tuple[bytes, int]]:
    """What base64 makes of `data` behind 0, 1 or 2 other bytes, without the characters that these share, and
    how many these are; in both alphabets (RFC 4648, sections 4 and 5)."""
    for ahead in range(3):
        first, last = -(-8 * ahead // 6), 8 * (ahead + len(data)) // 6
        core = b64encode(bytes(ahead) + data)[first:last]
        yield core, first
        yield core.translate(_URL_SAFE), first


def decoded(seen: View, every_run: bool, budget: Budget) -> Iterator[View | None]:
    """The views of what `seen` has in base64 and hexadecimal."""
    if seen.text.translate(ALPHABET).find(LONG) < 0:
        return
    bare = Bare(seen)
    yield _of_runs(bare, list(_runs(bare.text, budget)))
    if every_run:
        text = seen.flat.text
        found = [
            _Stretch(text, one.start(), "base64") for one in _RUN.finditer(text, 0, len(text) - len(PAD))
        ]
        yield _of_runs(seen.flat, [run for run in found if _is_text(run.plain)])


def _of_runs(outer: View, runs: list[_Stretch]) -> View | None:
    view, parts, size = View(b"", outer), [], 0
    for run in runs:
        way = _WAYS[run.way]
        view.add(size, run.begin, run.end, (way.size, way.group))
        parts.append(run.plain)
        size += len(run.plain) + 1
    view.text = b"\xff".join(parts) + PAD
    return view if parts else None


def _is_text(plain: bytes) -> bool:
    try:
        plain.decode()
    except UnicodeDecodeError:
        return False
    return True


def _runs(text: bytes, budget: Budget) -> Iterator[_Stretch]:
    """Those in which a format may begin, each at the alignment at which it does."""
    table = _table()
    hits: list[tuple[int, int]] = []

    def visit(index: int, _from: int, end: int, _flags: int, _text: bytes) -> None:
        budget.trigger()
        hits.append((end - len(table[index][0]), index))

    beginnings().search(text, visit)
    open_runs: list[_Stretch] = []
    for at, index in sorted(hits):
        _, way, first = table[index]
        group = at - first
        open_runs = [run for run in open_runs if at < run.end]
        if any(run.way == way and run.has(group) for run in open_runs):
            continue
        begin = _begin(text, group, at, way)
        if begin >= 0:
            open_runs.append(_Stretch(text, begin, way))
            yield open_runs[-1]


def _begin(text: bytes, group: int, at: int, way: str) -> int:
    """Where to begin so that the group at `group` and a little before it is decoded; -1 where the literal at
    `at` cannot be written in this way."""
    size, letters = _WAYS[way].group, _WAYS[way].letters
    if group < 0 or text[group : at + 1].translate(None, letters):
        return -1
    for before in range(_BEFORE, 0, -size):
        if before <= group and not text[group - before : group].translate(None, letters):
            return group - before
    return group
