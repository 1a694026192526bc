"""What the commands print: a little style, tables, and text of others made harmless.

Law of this file: colour only for a person, that is on a terminal without NO_COLOR and not TERM=dumb.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

_UNSEEN = re.compile(
    "[\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\ufe00-\\ufe0f\\uffa0\\U000e0100-\\U000e01ef]"
)
"""Default_Ignorable_Code_Point (Unicode 15, DerivedCoreProperties) that `isprintable` takes, and the blank of
Braille."""

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}


def style(text: str, name: str, stream: TextIO | None = None) -> str:
    """`text` in a look of `_CODES` if `stream` (standard output) shows it, else unchanged."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[name]}m{text}\x1b[0m"


def at_terminal() -> bool:
    """Whether a person is likely to be there: what is typed and what is printed are on a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def plain(text: str) -> str:
    """`text` in which everything that could steer a terminal or hide (controls, bidi marks, what is printable
    and yet not seen) is escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if not c.isprintable() or _UNSEEN.match(c) else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as left-aligned columns, two spaces apart, every cell made `plain`."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("  ".join(row).rstrip() for row in padded)
