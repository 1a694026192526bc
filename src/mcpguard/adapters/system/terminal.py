"""What the commands print: a little style, tables, and text of others made harmless.

Law of this file: colour only for a person, that is on a terminal without NO_COLOR and not TERM=dumb.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from mcpguard.core.legible import plain as plain

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


def broken(text: str) -> str:
    """A sentence as lines, where standard output is a terminal. Each begins with a whole word, all but the
    first indented; what is in backquotes stays whole, since it is to be copied."""
    if not sys.stdout.isatty():
        return text
    from shutil import get_terminal_size
    from textwrap import TextWrapper

    whole = re.sub("`[^`]*`", lambda found: found[0].replace(" ", "\0"), text)
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = TextWrapper(max(get_terminal_size().columns, 40), subsequent_indent=indent)
    lines.break_long_words = lines.break_on_hyphens = False
    return lines.fill(whole).replace("\0", " ")


def counted(count: int, one: str, many: str = "") -> str:
    """A number of something: "1 rule", "2 rules"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def when(seconds: float) -> str:
    """A time in seconds since 1970, as a person here says it; "?" where there is no such time."""
    from datetime import datetime

    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")[:19]
    except (OverflowError, ValueError, OSError):
        return "?"


def at_terminal() -> bool:
    """Whether a person is likely to be there: what is typed and what is printed are on a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def has_terminal() -> bool:
    """Whether this process belongs to a terminal that is there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as left-aligned columns, two spaces apart, every cell made `plain`."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("  ".join(row).rstrip() for row in padded)
