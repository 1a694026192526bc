"""Edits of files, found in arguments, as lines that were there and lines that would be.

Law of this file: a diff has every character of the edit. What is the same on both sides may be folded, not
left out; where a comparison would take long, the two texts stand one after the other.
"""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, Literal

from msgspec import Struct

PAIRS = (
    ("oldText", "newText"),
    ("old_text", "new_text"),
    ("old_string", "new_string"),
    ("oldString", "newString"),
    ("old_str", "new_str"),
    ("old", "new"),
    ("before", "after"),
    ("search", "replace"),
    ("find", "replace"),
)
"""Names of arguments with the text that is to be replaced, and that which takes its place."""

MOST_LINES = 600
"""Lines on both sides that are compared."""
AROUND = 3
"""Lines that are the same and stay beside those that are not."""

_PATCH = re.compile(r"^(?:diff --git |--- |\+\+\+ |@@ |\*\*\* Begin Patch)", re.MULTILINE)

Sign = Literal["+", "-", " ", "@"]


class DiffLine(Struct, frozen=True):
    """One line: `sign` is + for what comes, - for what goes, a blank for what stays, @ for what says where.
    `same` counts the lines that are folded after it, and which `folded` has."""

    sign: Sign
    text: str
    folded: tuple[str, ...] = ()


def pair_in(value: dict[str, Any]) -> tuple[str, str] | None:
    """The names of two members that are an edit together."""
    for old, new in PAIRS:
        if isinstance(value.get(old), str) and isinstance(value.get(new), str):
            return old, new
    return None


def is_patch(name: str, text: str) -> bool:
    """Whether a text is a diff already."""
    if name.lower() not in ("patch", "diff") and not text.startswith(
        ("diff --git ", "--- ", "*** Begin Patch")
    ):
        return False
    return _PATCH.search(text) is not None


def patch_lines(text: str) -> list[DiffLine]:
    """The lines of a diff."""
    lines: list[DiffLine] = []
    for line in text.split("\n"):
        if line.startswith(("+++", "---", "diff ", "index ", "@@", "***")):
            lines.append(DiffLine("@", line))
        elif line[:1] == "+":
            lines.append(DiffLine("+", line[1:]))
        elif line[:1] == "-":
            lines.append(DiffLine("-", line[1:]))
        else:
            lines.append(DiffLine(" ", line[1:] if line[:1] == " " else line))
    return lines


def compared(old: str, new: str) -> list[DiffLine]:
    """The lines of an edit that replaces `old` by `new`."""
    before, after = _lines(old), _lines(new)
    ends = [text.endswith("\n") for text in (old, new) if text]
    last: list[DiffLine] = []
    if len(set(ends)) == 2:
        last = [DiffLine("@", f"only the {'old' if ends[0] else 'new'} text ends its last line")]
    if len(before) + len(after) > MOST_LINES:
        return [*(DiffLine("-", line) for line in before), *(DiffLine("+", line) for line in after), *last]
    return [*_compared(before, after), *last]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _compared(before: list[str], after: list[str]) -> Iterator[DiffLine]:
    blocks = SequenceMatcher(None, before, after).get_opcodes()
    for number, (tag, start, end, new_start, new_end) in enumerate(blocks):
        if tag == "equal":
            first, last = number == 0, number == len(blocks) - 1
            yield from _unchanged(before[start:end], 0 if first else AROUND, 0 if last else AROUND)
            continue
        yield from (DiffLine("-", line) for line in before[start:end])
        yield from (DiffLine("+", line) for line in after[new_start:new_end])


def _unchanged(lines: list[str], head: int, tail: int) -> Iterator[DiffLine]:
    if len(lines) <= head + tail + 2:
        yield from (DiffLine(" ", line) for line in lines)
        return
    yield from (DiffLine(" ", line) for line in lines[:head])
    folded = tuple(lines[head : len(lines) - tail])
    yield DiffLine("@", f"{len(folded)} lines stay as they are", folded)
    yield from (DiffLine(" ", line) for line in lines[len(lines) - tail :])
