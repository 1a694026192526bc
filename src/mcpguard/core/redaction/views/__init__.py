"""What a text says behind a disguise: its views, and for each place in a view where that comes from.

    escapes    what is seen of it, or read by who undoes its escapes
    lines      what is cut up in lines, and `cells` of tables, put together again
    runs       what its base64, base32 and hexadecimal say, and what is packed in that (`contents`)
    dumps      what a dump of bytes says, and `codes` the codes of characters in rows

`table` lists the disguises, each with its examples. Law of this package: a disguise is in that table or it is
not promised. The work is linear: each text has at most one view of each kind, what is unpacked counts, and
what is decoded within what was decoded ends at `DEPTH`.
"""

from collections.abc import Iterator

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.matching import PAD
from mcpguard.core.redaction.views.cells import cells
from mcpguard.core.redaction.views.codes import coded
from mcpguard.core.redaction.views.dumps import dumped
from mcpguard.core.redaction.views.escapes import Undisguised, unquoted
from mcpguard.core.redaction.views.lines import across, joined
from mcpguard.core.redaction.views.runs import FEW, LEAST, decoded
from mcpguard.core.redaction.views.signs import (
    CODED,
    DISGUISED,
    DUMPS,
    ESCAPED,
    JOINED,
    LEAVES,
    QUOTED,
    RUNS,
    TABLE,
    signs_of,
)
from mcpguard.core.redaction.views.view import Flat, View

__all__ = ["DEPTH", "PAD", "Flat", "View", "may_hide", "views"]

DEPTH = 3
"""So many encodings within one another are undone."""

_ROUNDS = 4
"""So often escapes within escapes are undone."""


def views(
    text: bytes, every_run: bool = False, budget: Budget | None = None, signs: set[int] | None = None
) -> Iterator[View]:
    """`text`, which ends in PAD, and all views of it. With `every_run` shorter runs of base64 are decoded
    too; `signs` are those of `text`, where they are known. Raises InspectionError where `budget`, by default
    one for `text` alone, is used up."""
    least = FEW if every_run else LEAST
    yield from _below(View(text), DEPTH, least, budget or Budget(len(text)), signs)


def may_hide(text: bytes) -> bool:
    """Whether `text` has other views than itself."""
    signs = signs_of(text)
    if not signs.isdisjoint(DISGUISED):
        return True
    found = _cut_or_encoded(View(text), signs, DEPTH, LEAST, Budget(len(text))) if signs else iter(())
    return next(found, None) is not None


def _below(
    view: View, depth: int, least: int, budget: Budget, signs: set[int] | None = None
) -> Iterator[View]:
    budget.view(len(view.text))
    yield view
    signs = signs_of(view.text) if signs is None else signs
    plain = view
    if not signs.isdisjoint(DISGUISED):
        # A character of a dump may look like the beginning of an escape.
        dump = DUMPS in signs
        plain, signs = _undisguised(view, signs, budget)
        budget.view(len(plain.text))
        yield plain
        inner = dumped(view, budget) if depth and dump else None
        if inner:
            yield from _below(inner, depth - 1, least, budget)
    yield from _cut_or_encoded(plain, signs, depth, least, budget)


def _undisguised(view: View, signs: set[int], budget: Budget) -> tuple[View, set[int]]:
    """The view of `view` without its escapes and what is not seen, and the signs of that."""
    for _ in range(_ROUNDS):
        if ESCAPED in signs:
            view = Undisguised(view, budget)
        if QUOTED in signs:
            view = unquoted(view, budget)
        signs = signs_of(view.text)
        if signs.isdisjoint(DISGUISED):
            break
    return view, signs


def _cut_or_encoded(plain: View, signs: set[int], depth: int, least: int, budget: Budget) -> Iterator[View]:
    sources = [plain]
    for cut, way in ((not signs.isdisjoint(JOINED), joined), (TABLE in signs, cells)):
        found = way(plain, budget) if cut else None
        if found:
            budget.view(len(found.text))
            yield found
            sources.append(found)
    if not depth:
        return
    leaves = across(plain, budget) if LEAVES in signs else None
    for one in [*sources, leaves] if leaves else sources:
        for inner in (
            decoded(one, budget, least) if one is not plain or RUNS in signs or least < LEAST else None,
            dumped(one, budget) if one is not plain or DUMPS in signs else None,
            coded(one, budget) if one is plain and CODED in signs else None,
        ):
            if inner:
                yield from _below(inner, depth - 1, least, budget)
