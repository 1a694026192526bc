"""What the names of columns say about the cells below them, in a text or a JSON value, and how a line of a
text is cut into cells."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import accumulate, islice, pairwise

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.values import given, said

CELLS = 64
"""How many columns of a table are read."""
ROWS = 2000
"""How many rows of it are read at once."""
MARKS = b" \t\r\"'`*"
"""What stands around the text of a cell."""
_CELL_OF_HEAD = expression(rb"[A-Za-z_][\w .()-]{0,48}")
_OF_HEADS = bytes(one for one in range(128) if chr(one).isalnum()) + b"_ .()-\t|;," + MARKS
_VALUES = frozenset(["value", "val", "setting", "content", "config_value", "option_value", "meta_value"])
_KEYS = frozenset([
    "name", "key", "variable", "parameter", "option", "config_key", "option_name", "meta_key", "setting_name",
])  # fmt: skip

_LONGEST_CELL = 1024
_QUOTED_CELL = rb'[ ]?"(?:[^"\n]|""){0,1024}"|'
_CELLS_OF = {
    char: expression(_QUOTED_CELL + rb"[^\n\x1f\xff" + re.escape(char) + rb"]{0,1024}")
    for char in (b",", b"\t", b";", b"|")
}
BARS = expression(rb"\||\xe2\x94[\x82\x83\x86]|\xe2\x95\x91")
_WIDE_CELL = expression(rb"(?<![^ ])(?<![^ ] )[^ \t\r]")


class Columns:
    """The signals that column names give about the cells below them."""

    __slots__ = ("_key", "_said", "_value", "count")

    def __init__(self, names: list[str]) -> None:
        low = [name.strip(" \t\r\"'`*[]").lower() for name in names]
        self.count = len(names)
        self._said = {
            at: given(strength) for at, name in enumerate(low) if (strength := said(name.replace(" ", "_")))
        }
        self._value = next((at for at, name in enumerate(low) if name in _VALUES), -1)
        self._key = next((at for at, name in enumerate(low) if name in _KEYS), -1)

    def any(self) -> bool:
        """Whether they say anything."""
        return bool(self._said) or (self._value >= 0 and self._key >= 0)

    def of(self, cell: Callable[[int], bytes]) -> Iterable[tuple[int, str]]:
        """Which cells of a row to judge, and the strength of their names. `cell` gives the text of one."""
        yield from self._said.items()
        if self._value >= 0 and self._key >= 0:
            name = cell(self._key).strip(MARKS).decode("utf-8", "replace")
            if strength := said(name):
                yield self._value, given(strength)


@lru_cache(256)
def columns_of(heads: tuple[bytes, ...]) -> Columns:
    """Those that a text calls so: a hostile one names the same again and again."""
    return Columns([head.decode("utf-8", "replace") for head in heads])


Cells = Callable[[bytes, int], list[tuple[int, int, bytes]]]
"""The cells of a line that begins at a place: where each begins and ends, and what is in it."""


def delimited(line: bytes, begin: int, char: bytes) -> list[tuple[int, int, bytes]]:
    """The cells between `char`, some of which may be quoted."""
    if b'"' not in line and len(line) <= _LONGEST_CELL:
        cells = line.split(char, CELLS)[:CELLS]
        ends = accumulate([len(cell) + 1 for cell in cells], initial=begin)
        return [(at, at + len(cell), cell) for at, cell in zip(ends, cells, strict=False)]
    made: list[tuple[int, int, bytes]] = []
    at = 0
    while len(made) < CELLS:
        found = _CELLS_OF[char].match(line, at)
        end = found.end() if found else at
        made.append((begin + at, begin + end, line[at:end]))
        if line[end : end + 1] != char:
            break
        at = end + 1
    return made


def count(line: bytes, char: bytes) -> int:
    """How many cells `delimited` gives."""
    if b'"' in line or len(line) > _LONGEST_CELL:
        return len(delimited(line, 0, char))
    return min(line.count(char) + 1, CELLS)


_SEPARATING = b"\t", b"|", b";", b","


@lru_cache(64)
def rows_below(char: bytes, cells: int) -> re.Pattern[bytes]:
    """Rows of so many cells, none of which is long or quoted, between what `separator_in` says."""
    others = re.escape(b"".join(_SEPARATING[: _SEPARATING.index(char) + 1]))
    cell = rb"[^\n\x1f\xff\"%b]{0,%d}+" % (others, ROWS // cells)
    row = rb"[\n\x1f](?:%b%b){%d}%b(?=[\n\x1f\xff])" % (cell, re.escape(char), cells - 1, cell)
    return re.compile(rb"(?:%b){0,%d}+" % (row, ROWS))


def separator_in(head: bytes) -> bytes:
    """What stands between the names of columns; b"" where that is not one character."""
    for one in _SEPARATING:  # A generator takes as long as the four searches.
        if one in head:
            return one
    return b""


def may_be_heads(line: bytes) -> bool:
    """Whether a line has no character that none of `are_heads` has and that does not stand between them."""
    return not line[:CELLS].translate(None, _OF_HEADS)


def are_heads(names: list[bytes]) -> bool:
    """Whether cells may be the names of columns."""
    cells = (name.strip(MARKS) for name in names if not name.startswith(b" "))
    return sum(map(bool, map(_CELL_OF_HEAD.fullmatch, cells))) == len(names) > 1


def barred(line: bytes, begin: int) -> list[tuple[int, int, bytes]]:
    """The cells between bars."""
    bars = [found.span() for found in islice(BARS.finditer(line), CELLS)]
    bounds = [(0, 0), *bars, (len(line), len(line))]
    made = [
        (begin + before[1], begin + behind[0], line[before[1] : behind[0]])
        for before, behind in pairwise(bounds)
    ]
    inner = made[1:] if not made[0][2].strip() and len(made) > 2 else made
    return (
        inner[:-1]
        if not inner[-1][2].strip() and line.rstrip().endswith((b"|", b"\x82", b"\x83", b"\x86", b"\x91"))
        else inner
    )


def fixed(starts: list[int]) -> Cells:
    """Cells each of which begins at one of `starts` of its line; none of a line that has a word there."""
    bounds = [*pairwise([*starts, 4096])]

    def cells(line: bytes, begin: int) -> list[tuple[int, int, bytes]]:
        if any(line[start - 1 : start].strip() for start in starts if start):
            return []
        return [(begin + start, begin + end, line[start:end]) for start, end in bounds]

    return cells


def aligned(head: bytes, starts: list[int]) -> Cells:
    """Cells each of which begins where a word of `head` does, or ends there, as pandas prints them."""
    left = fixed(starts)
    ends = [at + len(head[at:stop].rstrip()) for at, stop in pairwise([*starts, len(head)])]

    def cells(line: bytes, begin: int) -> list[tuple[int, int, bytes]]:
        made = left(line, begin)
        if made or any(line[end : end + 1].strip() or not line[end - 1 : end].strip() for end in ends):
            return made
        places = [(max(at, line.rfind(b"  ", at, end) + 2), end) for at, end in pairwise([0, *ends])]
        return [(begin + at, begin + end, line[at:end]) for at, end in places]

    return cells


def starts_of(line: bytes) -> list[int]:
    """Where words begin that have at least two spaces before them, or nothing."""
    return [found.start() for found in islice(_WIDE_CELL.finditer(line), CELLS)]
