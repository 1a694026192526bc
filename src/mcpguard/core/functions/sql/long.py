"""The functions of a statement that could build a value of any length, and fill a server's memory.

Law of this file: a call is bounded only where a plain number of at most LONGEST, or a format that is written
out, says so. What repeats a text multiplies, so all repetitions together are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, takewhile
from math import prod

from mcpguard.core.functions.sql import words
from mcpguard.core.functions.sql.text import SqlToken

LONGEST = 1000
"""The most that a number may say."""

_REPEATS = ("repeat", "replicate")
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\d{4}|\*)|\{[^}]*(?:\d{4}|\{)|\\", re.ASCII)
"""A width of four digits, or that stands in another argument; or an escape, which could be either."""


def unbounded(tokens: Sequence[SqlToken], dialect: str) -> set[str]:
    """Their names, without what joins and aggregates make of rows, and `||` and `replace` of texts."""
    found, times = set[str](), dict[str, list[int]]()
    for name, args in _calls(tokens):
        if name in words.LONG_BY_ARGUMENT:
            number = _number(args, words.LONG_BY_ARGUMENT[name])
            times.setdefault(name, []).append(number)
            wide = number > LONGEST
        elif name in words.LONG_BY_TYPE:
            wide = dialect == "postgres" and _number(args, 0) > LONGEST
        elif name in words.LONG_BY_FORMAT:
            wide = dialect not in ("mysql", "tsql", "bigquery") and not _narrow(args[0])
        else:
            wide = name in words.LONG_ANYHOW
        found |= {name} if wide else set()
    repeated = {name: numbers for name, numbers in times.items() if name in _REPEATS}
    total = prod(max(1, number) for numbers in repeated.values() for number in numbers)
    return found | (set(repeated) if total > LONGEST else set())


def _calls(tokens: Sequence[SqlToken]) -> list[tuple[str, list[list[SqlToken]]]]:
    """Each name before a bracket, and what stands between the commas in it."""
    return [
        (token.text.lower(), _arguments(tokens[place + 2 :]))
        for place, token in enumerate(tokens[:-1])
        if token.kind in ("word", "name") and _mark(tokens[place + 1]) == "("
    ]


def _arguments(tokens: Sequence[SqlToken]) -> list[list[SqlToken]]:
    found = [list[SqlToken]()]
    depths = accumulate((_mark(one) in ("(", "[")) - (_mark(one) in (")", "]")) for one in tokens)
    for token, depth in takewhile(lambda pair: pair[1] >= 0, zip(tokens, depths, strict=True)):
        if depth == 0 and _mark(token) == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def _mark(token: SqlToken) -> str:
    return token.text if token.kind == "mark" else ""


def _number(args: list[list[SqlToken]], place: int) -> int:
    """The number that is an argument, or more than LONGEST."""
    texts = [token.text for token in args[place] if token.kind == "number"] if place < len(args) else []
    plain = len(texts) == 1 == len(args[place]) and _NUMBER.fullmatch(texts[0])
    return int(texts[0]) if plain else LONGEST + 1


def _narrow(format_: list[SqlToken]) -> bool:
    return len(format_) == 1 and format_[0].kind == "string" and not _WIDE.search(format_[0].text)
