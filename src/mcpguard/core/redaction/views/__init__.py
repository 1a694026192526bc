"""What a text says behind a disguise: its views, and for each place in a view where that comes from.

    escapes    what is seen of it, or read by who undoes its escapes
    lines      what is cut up in lines, and `cells` of tables, put together again
    runs       what its base64, base32 and hexadecimal say, and what is packed in that (`contents`)
    dumps      what a dump of bytes says

`table` lists the disguises, each with its examples. Law of this package: a disguise is in that table or it is
not promised. The work is linear: each text has at most one view of each kind, what is unpacked counts, and
what is decoded within what was decoded ends at `DEPTH`.
"""

from collections.abc import Iterator
from functools import cache

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.matching import PAD, Matcher
from mcpguard.core.redaction.views.cells import ROW_END, cells
from mcpguard.core.redaction.views.dumps import BARE, OFFSET, dumped
from mcpguard.core.redaction.views.escapes import disguised, marks, undisguised
from mcpguard.core.redaction.views.lines import (
    KEY_END,
    LEAF_END,
    LINE_BEGIN,
    LINE_END,
    across,
    end_of_run,
    is_random,
    joined,
)
from mcpguard.core.redaction.views.runs import FEW, LEAST, RUN, decoded
from mcpguard.core.redaction.views.signs import compile_shapes, stop
from mcpguard.core.redaction.views.view import Flat, View

__all__ = ["DEPTH", "PAD", "Flat", "View", "is_plain", "marks", "may_hide", "prepare", "views"]

DEPTH = 3
"""So many encodings within one another are undone."""


def views(
    text: bytes, every_run: bool = False, budget: Budget | None = None, marked: bool = True
) -> Iterator[View]:
    """`text`, which ends in PAD, and all views of it. With `every_run` shorter runs of base64 are decoded
    too; without `marked` none of `marks` is in it. Raises InspectionError where `budget`, by default one for
    `text` alone, is used up."""
    least = FEW if every_run else LEAST
    yield from _below(View(text), DEPTH, least, budget or Budget(len(text)), marked)


def prepare() -> None:
    """Compile what each text is looked at with, so that no message has to wait for it."""
    may_hide(PAD)


def may_hide(text: bytes, every_run: bool = False) -> bool:
    """Whether `text` has other views than itself."""
    if disguised(text):
        return True
    signs = _signs(text)
    if not (signs or every_run):
        return False
    least = FEW if every_run else LEAST
    return next(_cut_or_encoded(View(text), signs, DEPTH, least, Budget(len(text))), None) is not None


def is_plain(text: bytes) -> bool:
    """Whether `text`, in which none of `marks` is, has no other views than itself."""
    runs, dumps = _shapes()
    return not (runs.search(text, _shows) or dumps.search(text, stop) or disguised(text, marked=False))


def _shows(index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
    """A Visit of the first of `_shapes`: many lines and names end as what is encoded does."""
    if index not in _OFTEN:
        return True
    return is_random(text, end_of_run(text, end) if index < _BEGINS else end - (index > _BEGINS))


def _below(view: View, depth: int, least: int, budget: Budget, marked: bool = True) -> Iterator[View]:
    budget.view(len(view.text))
    yield view
    plain = view
    if disguised(view.text, marked):
        plain = undisguised(view)
        budget.view(len(plain.text))
        yield plain
        # A character of a dump may look like the beginning of an escape.
        inner = dumped(view, budget) if depth and _DUMPS in _signs(view.text) else None
        if inner:
            yield from _below(inner, depth - 1, least, budget)
    yield from _cut_or_encoded(plain, _signs(plain.text), depth, least, budget)


def _cut_or_encoded(plain: View, signs: set[int], depth: int, least: int, budget: Budget) -> Iterator[View]:
    sources = [plain]
    for sign, way in ((_LINES, joined), (_TABLE, cells)):
        found = way(plain) if sign in signs else None
        if found:
            budget.view(len(found.text))
            yield found
            sources.append(found)
    if not depth:
        return
    leaves = across(plain) if _LEAVES in signs else None
    for one in [*sources, leaves] if leaves else sources:
        for inner in (
            decoded(one, budget, least) if one is not plain or _RUNS in signs or least < LEAST else None,
            dumped(one, budget) if one is not plain or _DUMPS in signs else None,
        ):
            if inner:
                yield from _below(inner, depth - 1, least, budget)


_RUNS, _LINES, _LEAVES, _DUMPS, _TABLE = range(5)
_SHAPES = (
    ((RUN, _RUNS), (LINE_END, _LINES), (KEY_END, _LINES), (LINE_BEGIN, _LINES), (LEAF_END, _LEAVES)),
    ((OFFSET, _DUMPS), *((shape, _DUMPS) for shape in BARE), (ROW_END, _TABLE)),
)
"""What one search has, and what the other: with all in one it would be slower."""
_ENDS, _BEGINS, _LEAF_ENDS = 1, 3, 4
_OFTEN = _ENDS, _BEGINS, _LEAF_ENDS


@cache
def _shapes() -> tuple[Matcher, Matcher]:
    runs, dumps = ([shape for shape, _ in shapes] for shapes in _SHAPES)
    return compile_shapes(runs, every=_OFTEN), compile_shapes(dumps)


def _signs(text: bytes) -> set[int]:
    """What there may be in `text` that is cut up or encoded."""
    found: set[int] = set()
    runs, dumps = _shapes()

    def run(index: int, begin: int, end: int, flags: int, padded: bytes) -> None:
        sign = _SHAPES[0][index][1]
        if sign not in found and _shows(index, begin, end, flags, padded):
            found.add(sign)

    runs.search(text, run)
    dumps.search(text, lambda index, _from, _end, _flags, _text: found.add(_SHAPES[1][index][1]))
    return found
