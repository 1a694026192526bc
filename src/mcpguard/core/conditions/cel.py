"""CEL conditions: text -> a compiled condition -> exactly TRUE, FALSE or ERROR.

Law of this file: nothing but a verdict leaves an evaluation. The engines' own error texts quote
argument values, so they are dropped. Two engines stand behind this seam (`engines.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Protocol

from msgspec import Struct, json

from mcpguard.core.conditions.hoisted import MOST_CHARACTERS, HoistedCall, compute, number_of
from mcpguard.core.conditions.hoisting import Members
from mcpguard.core.functions import FunctionError, Holds, nothing_held
from mcpguard.core.model import Json

EngineName = Literal["cpp", "python"]

TEXT_LIMIT = 16_384
"""The longest condition, in characters."""

json_text = json.Encoder().encode

MOST_ITEMS = 1000
"""How long a list, or a map, may be for a condition with a costly loop (`loops.py`): some 20 ms. Of others
the C++ engine takes 10,000 iterations."""

KEPT = 1024
"""How many conditions an engine keeps compiled: of policies that are loaded again most are as they were."""

MOST_VALUES: Mapping[EngineName, int] = {"cpp": 100_000, "python": 10_000}
"""How many values each engine is given at most, since it makes its own form of each: some 30 ms."""

TOO_MANY = f"There are too many items for this rule: a list may have at most {MOST_ITEMS:,} at a time"
_TOO_LARGE = "This is too large for this rule: send at most {:,} values and {:,} characters at a time"
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 in JSON text: its escape, and not a backslash before the letters of it."""


class Verdict(Enum):
    """The verdict of a condition on one request."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


TRUE, FALSE, ERROR = Verdict.TRUE, Verdict.FALSE, Verdict.ERROR


class ConditionError(Exception):
    """A text that is not a condition. `mistakes` are (offset in characters, sentence), at least one.

    Leaves `core/` only as the problems of a PolicyError.
    """

    def __init__(self, mistakes: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(sentence for _, sentence in mistakes))
        self.mistakes = mistakes


class TooMuch(Exception):
    """More work than a decision may take. The message is a sentence for the refusal: how much would pass."""


class Bound(Struct, eq=False):
    """What the conditions of one decision may read: `view` has some of `NAMES`. A name that is left out is
    an error wherever it matters to the answer. `members` are what the conditions read of it themselves;
    without it that is everything.

    Each engine keeps its own form of it here, and calls are computed once for all conditions.
    """

    view: Mapping[str, Json]
    members: Members | None = None
    holds: Holds = nothing_held
    """Whether a held value is in a text."""
    reading: Mapping[str, Json] | None = None
    """What the C++ engine is given of it; None where that is not known yet, or it is more than it takes."""
    excess: str = ""
    """Why it takes no more."""
    beyond: dict[str, str] = {}
    """By the text of a condition, why it was too much work."""
    cpp: Any = None
    python: Any = None
    called: dict[str, Json] = {}
    """By number (`hoisted.number_of`), those that could be computed."""
    longest: int = 0
    """The items of the longest list or map in what is read and what was computed."""
    unreadable: tuple[str, ...] = ()
    """The names that an engine was not given, since it would not read all of them."""
    tried: set[str] = set()
    """The numbers of all that were to be computed."""
    known: Mapping[Condition, Verdict] = {}
    """The verdicts of conditions that need not be evaluated."""

    def compute(self, calls: tuple[HoistedCall, ...]) -> None:
        """Add the values of these calls, where they can be computed for this request."""
        for call in calls:
            number = number_of(call.key)
            if number in self.tried:
                continue
            self.tried.add(number)
            try:
                value = compute(call, self.view, self.holds)
            except FunctionError:
                continue
            if type(value) is not bool:
                text = json_text(value)
                # What a function decodes may have U+0000 where the request does not.
                if _has_zero(text):
                    continue
                if len(text) > 2 * MOST_ITEMS:
                    self.longest = max(self.longest, measured(value, "cpp"))
            self.called[number] = value
            self.cpp = None


def part_of(view: Mapping[str, Json], members: Members | None) -> dict[str, Json]:
    """What of `view` is read, or all of it."""
    if members is None:
        return dict(view)
    found = {}
    for name, some in members.items():
        if name not in view:
            continue
        value = found[name] = view[name]
        if some is not None and type(value) is dict:
            found[name] = {key: value[key] for key in some if key in value}
    return found


def measured(value: Any, engine: EngineName) -> int:
    """How many items the longest list or map in `value` has, which is given to `engine`. Raises TooMuch for
    more than that takes."""
    most = MOST_VALUES[engine]
    size, characters, longest, level = 1, 0, 0, [value]
    while level:
        below: list[Any] = []
        for one in level:
            if type(one) is str:
                characters += len(one)
            elif type(one) is dict or type(one) is list:
                size += len(one)
                longest = max(longest, len(one))
                if size <= most:
                    below += one.values() if type(one) is dict else one
        if size > most or characters > MOST_CHARACTERS:
            raise TooMuch(_TOO_LARGE.format(most, MOST_CHARACTERS))
        level = below
    return longest


def has_zero(value: Any) -> bool:
    """Whether U+0000 is anywhere in it, keys included."""
    return _has_zero(json_text(value))


def _has_zero(text: bytes) -> bool:
    return text.find(b"\\u0000") >= 0 and _ZERO.search(text) is not None


NOTHING = Bound({})
"""For decisions by rules without conditions."""


class Condition(Protocol):
    """A compiled condition of `engine`. `text` is what it evaluates: `reads` are the names in
    it, `calls` what was taken out of it, and `members` what is left for the engine to read."""

    engine: Engine
    text: str
    reads: frozenset[str]
    calls: tuple[HoistedCall, ...]
    members: Members

    def verdict(self, bound: Bound) -> Verdict:
        """The answer for one request. Never raises."""


class Engine(Protocol):
    """One way to compile and evaluate CEL."""

    name: EngineName

    def compile(self, text: str) -> Condition:
        """Raises ConditionError: broken syntax, an unknown name, a type that is not boolean."""

    def either(self, conditions: Sequence[Condition]) -> Condition | None:
        """One that is FALSE only where each of these is, all of this engine; what else it says means nothing.
        None where they cannot be joined."""


NOT_BOOLEAN = "a condition must be a boolean, and this is not"


def check_length(text: str) -> None:
    """Raises ConditionError for a text above TEXT_LIMIT or without anything in it."""
    if len(text) > TEXT_LIMIT:
        raise ConditionError([(TEXT_LIMIT, f"a condition has at most {TEXT_LIMIT} characters")])
    if not text.strip():
        raise ConditionError([(0, "a condition must not be empty")])


def offset_of(text: str, line: int, column: int) -> int:
    """The offset in `text` of a line and column that count from 1; lines end with a line feed."""
    lines = text.split("\n")[: line - 1]
    return min(sum(len(one) + 1 for one in lines) + column - 1, len(text))
