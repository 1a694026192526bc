"""What a text is looked at for before anything is read in it: one search for the expressions of pairs, of
passwords in URLs and of what is met only where a disguise may be.

Law of this file: each of the latter has a sign, and a text without signs has no other views than itself. All
are one set, since to begin a search costs as much as to search a kilobyte.
"""

from functools import cache

from mcpguard.core.redaction.detectors import pairs
from mcpguard.core.redaction.matching import Matcher
from mcpguard.core.redaction.patterns import Pattern, compile_patterns, shape
from mcpguard.core.redaction.views import escapes
from mcpguard.core.redaction.views.cells import ROW_END
from mcpguard.core.redaction.views.dumps import BARE, OFFSET
from mcpguard.core.redaction.views.lines import (
    KEY_END,
    LEAF_END,
    LINE_BEGIN,
    LINE_END,
    end_of_run,
    is_random,
)
from mcpguard.core.redaction.views.runs import RUN, says

PAIR, URL, QUOTED, ESCAPED, RUNS, ENDS, KEYS, BEGINS, LEAVES, DUMPS, TABLE = range(11)
DISGUISED = frozenset((QUOTED, ESCAPED))
JOINED = frozenset((ENDS, KEYS, BEGINS))
"""The signs of what is cut up in lines."""

_ALL = (
    (PAIR, Pattern(pairs.WORDS, pairs.REST, any_case=True)),
    (URL, Pattern(("://",), r"""[^\x00-\x20"'<>\\/?#@:\x7f\xff]{0,64}:[^\x00-\x20"'<>\\/?#@\x7f\xff]""")),
    (QUOTED, shape(escapes.QUOTED)),
    (ESCAPED, shape(escapes.ESCAPED)),
    (RUNS, shape(RUN)),
    (ENDS, shape(LINE_END, once=False)),
    (KEYS, shape(KEY_END)),
    (BEGINS, shape(LINE_BEGIN, once=False)),
    (LEAVES, shape(LEAF_END, once=False)),
    *((DUMPS, shape(one)) for one in (OFFSET, *BARE)),
    (TABLE, shape(ROW_END)),
)
EXPRESSIONS = tuple(pattern for _, pattern in _ALL)
SIGNS = tuple(sign for sign, _ in _ALL)
"""What each of EXPRESSIONS is a sign of."""


@cache
def expressions() -> Matcher:
    """EXPRESSIONS, compiled, which takes some fifty milliseconds."""
    return compile_patterns(EXPRESSIONS)


def shows(sign: int, text: bytes, end: int) -> bool:
    """Whether what ends at `end` is a sign of a view: many lines, names and words end as what is cut up or
    encoded does."""
    if sign == RUNS:
        return says(text)
    if sign == ENDS:
        return is_random(text, end_of_run(text, end))
    if sign in (BEGINS, LEAVES):
        return is_random(text, end - (sign == LEAVES))
    return True


def signs_of(text: bytes) -> set[int]:
    """The signs of views in `text`."""
    found: set[int] = {ESCAPED} if escapes.is_marked(text) else set()

    def see(index: int, _from: int, end: int, _flags: int, _text: bytes) -> None:
        sign = SIGNS[index]
        if sign > URL and sign not in found and shows(sign, text, end):
            found.add(sign)

    expressions().search(text, see)
    return found
