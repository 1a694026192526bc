"""What a text says behind a disguise: its views, and for each place in a view where that comes from.

    escapes    what is seen of it, or read by whoever undoes its escapes, in plain `characters`
    lines      what is cut up in lines, in `rows`, in `letters` and in `cells` of tables, put together again
    arguments  what a list of arguments comes to
    runs       what its base64, base32 and hexadecimal say, and what is packed in that (`contents`)
    dumps      what a dump of bytes says, and `codes` the codes of characters in rows, numbers and bits

`signs` say where to look at all, and `view` is what all of these make. Law of this package: a disguise is in
`table` or it is not promised. The work is linear: each text has at most one view of each kind, and of what is
decoded one for each 64 KB; what is unpacked counts, and what is decoded within what was decoded ends at
`DEPTH`.
"""

from collections.abc import Iterable, Iterator

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.views import signs as sign
from mcpguard.core.redaction.views.arguments import command_lines
from mcpguard.core.redaction.views.cells import cells
from mcpguard.core.redaction.views.codes import coded, numbered
from mcpguard.core.redaction.views.dumps import dumped
from mcpguard.core.redaction.views.escapes import QuotedPrintableView, undisguised
from mcpguard.core.redaction.views.letters import lettered
from mcpguard.core.redaction.views.lines import across, joined
from mcpguard.core.redaction.views.rows import rows
from mcpguard.core.redaction.views.runs import FEW, LEAST, decoded
from mcpguard.core.redaction.views.view import FlatView, View

__all__ = ["DEPTH", "PAD", "FlatView", "View", "may_hide", "views"]

DEPTH = 3
"""How many encodings within one another are undone."""

DECODED = 4
"""What is found in what was decoded takes as long as so many hits, and hardly an answer has a row of that."""

_ROUNDS = 4
"""How often escapes within escapes are undone."""

_SAID = ((sign.DUMPS, dumped), (sign.CODED, coded), (sign.NUMBERS, numbered))
"""What encodings say, by the sign that there may be one."""

_CUT_UP = (
    *((sign.JOINED, joined), ({sign.TABLE}, cells), ({sign.ROWS}, rows), ({sign.LETTERS}, lettered)),
    *(({sign.OPTIONS}, command_lines), ({sign.LEAVES}, across)),
)
"""What is cut up, put together again, by the signs of which one is there. Of `across` only what is encoded is
read."""


def views(
    text: bytes,
    every_run: bool = False,
    budget: Budget | None = None,
    signs: set[int] | None = None,
    known: bool = False,
) -> Iterator[View]:
    """`text`, which ends in PAD, and all views of it. With `every_run` shorter runs of base64 are decoded
    too; `signs` are those of `text`, where they are known. Where all leaves are `known` from another order,
    runs are not decoded that are within one. Raises InspectionError where `budget`, by default one for
    `text` alone, is used up."""
    least = FEW if every_run else LEAST
    yield from _below(View(text), DEPTH, least, budget or Budget(len(text)), signs, known)


def may_hide(text: bytes) -> bool:
    """Whether `text` has other views than itself."""
    budget, view = Budget(len(text)), View(text)
    signs = sign.signs_of(view, budget)
    if not signs.isdisjoint(sign.DISGUISED):
        return True
    found = _cut_or_encoded(view, signs, DEPTH, LEAST, budget) if signs else iter(())
    return next(found, None) is not None


def _below(
    view: View, depth: int, least: int, budget: Budget, signs: set[int] | None = None, known: bool = False
) -> Iterator[View]:
    budget.view(len(view.text))
    yield view
    signs = sign.signs_of(view, budget) if signs is None else signs
    plain = view
    if not signs.isdisjoint(sign.DISGUISED):
        # A character of a dump may look like the beginning of an escape.
        dump = sign.DUMPS in signs
        plain, signs = _undisguised(view, signs, budget)
        budget.view(len(plain.text))
        yield plain
        if depth and dump:
            yield from _within(dumped(view, budget), depth, least, budget)
    yield from _cut_or_encoded(plain, signs, depth, least, budget, known)


def _undisguised(view: View, signs: set[int], budget: Budget) -> tuple[View, set[int]]:
    """The view of `view` without its escapes and what is not seen, and the signs of that."""
    for _ in range(_ROUNDS):
        before = view.text
        if sign.ESCAPED in signs:
            view = undisguised(view, budget)
        if sign.QUOTED in signs:
            view = QuotedPrintableView(view, budget)
        if view.text == before:
            break  # What is left only looks like escapes.
        signs = sign.signs_of(view, budget)
        if signs.isdisjoint(sign.DISGUISED):
            break
    return view, signs


def _cut_or_encoded(
    plain: View, signs: set[int], depth: int, least: int, budget: Budget, known: bool = False
) -> Iterator[View]:
    if depth and not known and (sign.RUNS in signs or least < LEAST):
        yield from _within(decoded(plain, budget, least, sign.PACKED in signs), depth, least, budget)
    for one, said in _SAID if depth else ():
        if one in signs:
            yield from _within(said(plain, budget), depth, least, budget)
    for some, joins in _CUT_UP:
        if signs.isdisjoint(some) or (joins is across and not depth):
            continue
        found = joins(plain, budget)
        if found and joins is not across:
            budget.view(len(found.text))
            yield found
        if found and depth:
            yield from _within(decoded(found, budget, least, sign.PACKED in signs), depth, least, budget)
            yield from _within(dumped(found, budget), depth, least, budget)


def _within(said: Iterable[View], depth: int, least: int, budget: Budget) -> Iterator[View]:
    """What is decoded, and the views of that."""
    for view in said:
        view.weight = DECODED
        yield from _below(view, depth - 1, least, budget)
