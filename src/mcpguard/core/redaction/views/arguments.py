"""Lists of the arguments of a command, put together as the command line that they are."""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.views.view import SEPARATOR, WHOLE, View, ViewBuilder, near, windows

SIGNS = (r"""[\[,\s]["']-{1,2}[A-Za-z]""", r"\x1f-{1,2}[A-Za-z][A-Za-z-]*\x1f")
"""An option that may be in a list, or that is a text of its own. Which texts are before it in a list is not
asked: each comma between two would be a place to go on from."""

_TEXT = rb"""(?:"[^"\\\x00-\x1f\xff]{0,256}"|'[^'\\\x00-\x1f\xff]{0,256}')"""
_LIST = expression(
    rb"(?:" + _TEXT + rb"""\s{0,64},\s{0,64}["'](?:args|argv|arguments)["']\s{0,4}:\s{0,4})?"""
    rb"\[(?:\s{0,64}" + _TEXT + rb"\s{0,64},?){2,64}+"
)
_ITEM = expression(rb"(?:\A|(?<=[\[,\s]))" + _TEXT + rb"(?!\s{0,4}:)")
_LEAVES = expression(rb"[^\s\x00-\x1f\xff]{1,256}(?:\x1f[^\s\x00-\x1f\xff]{1,256}){1,64}+")


def command_lines(view: View, budget: Budget) -> View | None:
    """The command lines of `view`. Raises InspectionError where `budget` is used up."""
    text = view.text
    pieces = ViewBuilder(view)
    budget.read(len(text))
    for at, end in near(windows(text, "arguments", SIGNS)):
        for found in _LIST.finditer(text, at, end):
            if b'"-' in found[0] or b"'-" in found[0]:
                for item in _ITEM.finditer(text, *found.span()):
                    pieces.add(item[0][1:-1], item.start() + 1, item.end() - 1, WHOLE)
                    pieces.add(b" ", item.end() - 1, item.end())
                pieces.gap()
        for found in _LEAVES.finditer(text, at, end) if SEPARATOR + b"-" in text[at:end] else ():
            if SEPARATOR + b"-" in found[0]:
                pieces.add(found[0].replace(SEPARATOR, b" "), *found.span(), WHOLE)
                pieces.gap()
    return pieces.made()
