"""What is cut up in single characters: one a line, or one a text of a list, as `split("")` makes them."""

from array import array
from itertools import chain

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.view import View, ViewBuilder, near, windows

_ONE = r"[^\s\x00-\x1f\xff\"'\\]"
SIGNS = (
    "|".join(5 * f"{_ONE}{end}" for end in (r"\n", r"\r\n")),
    rf"(?:\"{_ONE}\",[ ]?){{6}}|(?:'{_ONE}',[ ]?){{6}}|(?:b'{_ONE}',?[ ]?){{6}}",
)
"""Some of either: of lines with both ends in one expression, each line of code would cost twice as much."""

_RUN = expression(
    rf"(?:(?:^|(?<=[\n\x1f]))(?:[ \t]{{0,40}}[\"']?{_ONE}[\"']?,?\r?(?:\n|(?=[\x1f\xff]))){{12,4096}}+"
    rf"|(?:[\"']{_ONE}[\"'](?:,[ ]?)?){{12,4096}}+"
    rf"|(?:b[\"']{_ONE}[\"'](?:,?\s{{1,2}})?){{12,4096}}+)".encode()
)
_EACH = expression(rf"[ \t]*(?:b?[\"'])?({_ONE})[\"']?,?\s?\n?".encode())
_FOR_ONE = 4
"""Characters that cost as much as one piece of another view."""


def lettered(view: View, budget: Budget) -> View | None:
    """What the single characters of `view` that follow one another say. Raises InspectionError where `budget`
    is used up."""
    pieces = ViewBuilder(view)
    for at, end in near(windows(view.text, "letters", SIGNS)):
        for run in _RUN.finditer(view.text, at, end + 1):
            each = _EACH.finditer(view.text, *run.span())
            places = array("I", chain.from_iterable(one.span(1) for one in each))
            count = len(places) // 2
            budget.piece(1 + count // _FOR_ONE)
            pieces.add_each(bytes(view.text[place] for place in places[::2]), range(count), places)
            pieces.gap()
    return pieces.made()
