"""What a text says behind a disguise: its views, and for each place in a view where that comes from.

    escapes   no invisible characters and colours of a terminal; escapes of URLs, JSON and HTML undone
    runs      what its base64 and hexadecimal say, where that may hold something that is looked for

Law of this package: a disguise is in its tables or it is not promised. The work is linear: each text has at
most one view of each kind, none of them is longer than the text, and views of views end at `DEPTH`.
"""

from collections.abc import Iterator

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.matching import PAD
from mcpguard.core.redaction.views.escapes import disguised, mark_literals, stop, undisguised
from mcpguard.core.redaction.views.runs import ALPHABET, LONG, beginning_signs, beginnings, decoded, in_run
from mcpguard.core.redaction.views.view import SEPARATOR, Flat, View, bare

__all__ = [
    "ALPHABET",
    "DEPTH",
    "LONG",
    "PAD",
    "Flat",
    "View",
    "in_lines",
    "in_run",
    "may_hide",
    "signs",
    "views",
]

DEPTH = 3
"""So many disguises over one another are seen through."""

_LINES = bytes(10 if byte in b"\n\r\\" else ALPHABET[byte] for byte in range(256))


def views(text: bytes, every_run: bool = False, budget: Budget | None = None) -> Iterator[View]:
    """`text`, which ends in PAD, and all views of it. With `every_run` all base64 is decoded that gives text,
    for what has no literal that it begins with. Raises InspectionError where `budget`, by default one for
    `text` alone, is used up."""
    yield from _below(View(text), DEPTH, every_run, budget or Budget(len(text)))


def may_hide(text: bytes) -> bool:
    """Whether `text` may have views of what is looked for: where one of `signs` is, or `in_lines` says so."""
    if disguised(text):
        return True
    flat = text.replace(SEPARATOR, b"")
    return beginnings().search(flat, in_run) or in_lines(flat)


def in_lines(flat: bytes) -> bool:
    """Whether the beginning of a format is in `flat` as base64 or hexadecimal that is cut up in lines."""
    ends = flat.translate(_LINES)
    if ends.find(LONG + b"\n") < 0 and ends.find(b"\n" + LONG) < 0:
        return False
    return beginnings().search(bare(flat), stop)


def signs() -> tuple[list[bytes], list[bytes]]:
    """The marks, and how `beginnings` begin. In each text that has a view is one of the first, or one of the
    others with `in_run`, unless a line ends within it."""
    return mark_literals(), beginning_signs()


def _below(view: View, depth: int, every_run: bool, budget: Budget) -> Iterator[View]:
    budget.view(len(view.text))
    yield view
    for inner in (undisguised(view), *decoded(view, every_run, budget)) if depth else ():
        if inner is not None:
            yield from _below(inner, depth - 1, every_run, budget)
