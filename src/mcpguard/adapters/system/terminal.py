"""What the commands print: a little style, tables, and text of others made harmless.

Law of this file: colour only for a person, that is on a terminal without NO_COLOR and not TERM=dumb.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from mcpguard.core.expressions import expression
from mcpguard.core.legible import plain as plain

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}

_LOOK = expression(r"(?:\x1b\[\d+m)+\S(?:\x1b\[\d+m)*|\S(?:\x1b\[\d+m)+")
_PRIVATE = 0xE000
"""Unicode's first character for private use, which `plain` never leaves in a text."""


def style(text: str, name: str, stream: TextIO | None = None) -> str:
    """`text` in a look of `_CODES` if `stream` (standard output) shows it, else unchanged."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[name]}m{text}\x1b[0m"


def coloured(diff: str) -> str:
    """The lines of a diff, what comes in green and what goes in red."""
    looks = {"+": "green", "-": "red"}
    lines = [(plain(line), looks.get(line[:1])) for line in diff.splitlines()]
    return "\n".join(style(line, look) if look else line for line, look in lines)


def broken(text: str, stream: TextIO | None = None, indent: int = 0) -> str:
    """A sentence as lines, where `stream` (standard output) is a terminal. Each begins with a whole word, all
    but the first indented, by two more than the first or by `indent`; what is in backquotes stays whole,
    since it is to be copied."""
    columns = _columns(stream)
    if not columns:
        return text
    before = indent or len(text) - len(text.lstrip()) + 2
    return "\n".join(_lines(text, columns, " " * before))


def _columns(stream: TextIO | None = None) -> int:
    """How wide the terminal is; 0 where `stream` is not one."""
    if not (stream or sys.stdout).isatty():
        return 0
    # Imported where somebody looks: it is slower to import than the rest of `--help`.
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 40)


def _lines(text: str, columns: int, indent: str) -> list[str]:
    from textwrap import TextWrapper

    looks: list[str] = []

    def one_character(found: re.Match[str]) -> str:
        looks.append(found[0])
        return chr(_PRIVATE + len(looks) - 1)

    # A code takes no room on the screen, so it counts together with the character beside it.
    whole = _LOOK.sub(one_character, text)
    whole = re.sub("`[^`]*`", lambda found: found[0].replace(" ", "\0"), whole)
    lines = TextWrapper(columns, subsequent_indent=indent)
    lines.break_long_words = lines.break_on_hyphens = False
    shown = {_PRIVATE + index: look for index, look in enumerate(looks)} | {0: " "}
    return [line.translate(shown) for line in lines.wrap(whole)]


def from_here(place: str) -> str:
    """`place`, which begins with a path, without the current folder where that is a part of it."""
    return place.removeprefix(f"{os.getcwd()}/")


def counted(count: int, one: str, many: str = "") -> str:
    """A number of something: "1 rule", "2 rules"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


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
    """Rows of equal length as left-aligned columns, two spaces apart, every cell made `plain`. On a terminal
    that is too narrow for them, the last columns of each row are on lines of their own below it."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    columns, fit = _columns(), len(widths)
    while columns and fit > 1 and sum(widths[:fit]) + 2 * (fit - 1) > columns:
        fit -= 1
    lines: list[str] = []
    for row, wide in zip(cells, padded, strict=True):
        lines.append("  ".join(wide[:fit]).rstrip())
        if below := "  ".join(filter(None, row[fit:])):
            lines += _lines(f"    {below}", columns, " " * 4)
    return "\n".join(lines)
