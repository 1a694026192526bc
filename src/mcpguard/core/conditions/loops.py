"""The loops of a condition, in its words, and what they cost.

Law of this file: a loop is cheap where an iteration costs little, however much the condition reads.
"""

from collections.abc import Container, Sequence

from mcpguard.core.conditions.cel_text import CelToken

MACROS = frozenset(["all", "exists", "exists_one", "filter", "map"])

_COPYING = frozenset(["filter", "map"])
_OPEN, _CLOSED = frozenset("([{"), frozenset(")]}")


def is_loop(tokens: Sequence[CelToken], at: int) -> bool:
    """Whether the macro of a loop stands at `at`."""
    return tokens[at].text in MACROS and tokens[at + 1].text == "(" and tokens[at - 1].text == "."


def is_costly(tokens: Sequence[CelToken], at: int, names: Container[str]) -> bool:
    """Whether the loop at `at` can take the square of the time that reading the request takes, for which
    `names` stand: with each item it copies what it has so far, looks at more than the item, or compiles a
    pattern."""
    if not is_loop(tokens, at) or _is_over_literal(tokens, at):
        return False
    if tokens[at].text in _COPYING:
        return True
    body = range(at + 2, closing(tokens, at + 1))
    return any(
        (tokens[one].text in names and tokens[one - 1].text != ".")
        or tokens[one].text == "matches"
        or (tokens[one].text == "in" and tokens[one + 1].text != "[")
        for one in body
    )


def _is_over_literal(tokens: Sequence[CelToken], at: int) -> bool:
    """Whether the list is one of the condition: an index stands behind something."""
    if tokens[at - 2].text != "]":
        return False
    depth, start = 0, at - 2
    while start >= 0:
        depth += (tokens[start].text in _CLOSED) - (tokens[start].text in _OPEN)
        if depth == 0:
            break
        start -= 1
    before = tokens[start - 1]
    return before.kind not in ("name", "string") and before.text not in _CLOSED


def closing(tokens: Sequence[CelToken], at: int) -> int:
    """The index of what closes the bracket at `at`, or of the end."""
    depth = 0
    while tokens[at].kind != "end":
        depth += (tokens[at].text in _OPEN) - (tokens[at].text in _CLOSED)
        if depth == 0:
            break
        at += 1
    return at
