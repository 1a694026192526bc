"""CEL conditions: text -> a compiled condition -> exactly TRUE, FALSE or ERROR.

Law of this file: nothing but a verdict leaves an evaluation. The engines' own error texts quote
argument values, so they are dropped here. Two engines stand behind one seam: `cel-expr-python` (the
CEL project's C++ runtime, "cpp") wherever it is installed, and `cel-python` ("python", `cel_python.py`),
which also answers for a request with U+0000 in it: the first sees only what stands before it. Where the
two differ, one of them says ERROR, and an ERROR only tightens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, Protocol

from msgspec import json

from mcpguard.core.conditions.facts import Call, compute
from mcpguard.core.conditions.hoisting import FACTS, Hoisted, hoist, number_of
from mcpguard.core.functions import FunctionError
from mcpguard.core.model import Json

EngineName = Literal["cpp", "python"]

NAMES: dict[str, str] = {
    "action": "string",
    "server": "string",
    "tool": "map",
    "args": "map",
    "prompt": "map",
    "resource": "map",
    "principal": "map",
    "client": "map",
    "session": "map",
    "now": "timestamp",
    "result": "map",
    "findings": "list",
}
"""What a condition may name, and its type: maps and lists hold JSON values."""

LATER = frozenset({"args", "session"})
"""The names that are unknown while a list is made."""

TEXT_LIMIT = 4096
"""The longest condition, in characters."""

_text = json.Encoder().encode
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 in JSON text: its escape, and not a backslash before the letters of it."""

_MISTAKE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_NOISE = re.compile(r" \(in container ''\)| expecting \{.*")


class Verdict(Enum):
    """What a condition says of one request."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


TRUE, FALSE, ERROR = Verdict.TRUE, Verdict.FALSE, Verdict.ERROR


class ConditionError(Exception):
    """A text that is no condition. `mistakes` are (offset in characters, sentence), at least one.

    Leaves `core/` only as the problems of a PolicyError.
    """

    def __init__(self, mistakes: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(sentence for _, sentence in mistakes))
        self.mistakes = mistakes


class Bound:
    """What the conditions of one decision may read: `view` has some of `NAMES`. A name that is left out is
    an error wherever it matters to the answer.

    Each engine keeps its own form of it here, and facts are computed once for all conditions.
    """

    __slots__ = ("_tried", "cpp", "facts", "python", "view", "zero")

    def __init__(self, view: Mapping[str, Json]) -> None:
        self.view = view
        self.cpp: Any = None
        self.python: Any = None
        self.facts: dict[str, Json] = {}
        """By number (`hoisting.number_of`), those that could be computed."""
        self.zero: bool | None = None
        """Whether U+0000 is in it or in a fact; None while nobody asked."""
        self._tried: set[str] = set()

    def compute(self, calls: tuple[Call, ...]) -> None:
        """Add these facts, those that can be computed for this request."""
        for call in calls:
            number = number_of(call.key)
            if number in self._tried:
                continue
            self._tried.add(number)
            try:
                value = self.facts[number] = compute(call, self.view)
                self.cpp = None
            except FunctionError:
                continue
            # What a function decodes may have it where the request does not.
            if type(value) is not bool and _has_zero(value):
                self.zero = True

    def has_zero(self) -> bool:
        """Whether U+0000 is anywhere in it, keys included."""
        if self.zero is None:
            self.zero = _has_zero(self.view)
        return self.zero


def _has_zero(value: Any) -> bool:
    text = _text(value)
    return b"\\u0000" in text and _ZERO.search(text) is not None


NOTHING = Bound({})
"""For decisions by rules without conditions."""


class Condition(Protocol):
    """A compiled condition of `engine`. `reads` are the names in it, `facts` the calls taken out of it."""

    engine: Engine
    reads: frozenset[str]
    facts: tuple[Call, ...]

    def verdict(self, bound: Bound) -> Verdict:
        """The answer for one request. Never raises."""
        ...


class Engine(Protocol):
    """One way to compile and evaluate CEL."""

    name: EngineName

    def compile(self, text: str) -> Condition:
        """Raises ConditionError: broken syntax, an unknown name, a type that is not boolean."""
        ...


@cache
def engine(name: EngineName | None = None) -> Engine:
    """The engine `name`, or the fastest that is installed. Raises ImportError for one that is not."""
    # Either engine costs a start 17 to 70 ms, so it is imported where a condition needs it.
    if name != "python":
        try:
            from cel_expr_python import cel

            return _CppEngine(cel)
        except ImportError:
            if name:
                raise
    from mcpguard.core.conditions.cel_python import PythonEngine

    return PythonEngine()


class _CppCondition:
    __slots__ = ("_activation", "_eval", "_exact", "_written", "engine", "facts", "reads")

    def __init__(self, owner: _CppEngine, text: str, expression: Any, hoisted: Hoisted) -> None:
        self.engine: Engine = owner
        self.reads = hoisted.reads
        self.facts = hoisted.facts
        self._activation = owner.activation
        self._eval = expression.eval
        self._written = text
        self._exact: Condition | None = None

    def verdict(self, bound: Bound) -> Verdict:
        try:
            # This engine takes every text for ended at U+0000.
            if bound.zero or (bound.zero is None and bound.has_zero()):
                return self._by_the_other(bound)
            said = self._evaluated(bound)
            if said is not ERROR or not self.facts:
                return said
            # The answer hangs on facts that nobody asked for yet, or it is an error.
            bound.compute(self.facts)
            if bound.has_zero():
                return self._by_the_other(bound)
            return self._evaluated(bound) if bound.cpp is None else ERROR
        except Exception:
            return ERROR

    def _by_the_other(self, bound: Bound) -> Verdict:
        if self._exact is None:
            self._exact = engine("python").compile(self._written)
        return self._exact.verdict(bound)

    def _evaluated(self, bound: Bound) -> Verdict:
        if bound.cpp is None:
            bound.cpp = self._activation({**bound.view, FACTS: bound.facts})
        value = self._eval(bound.cpp).value()
        if value is True:
            return TRUE
        return FALSE if value is False else ERROR


class _CppEngine:
    name: EngineName = "cpp"

    def __init__(self, cel: Any) -> None:
        text, anything = cel.Type.STRING, cel.Type.DYN
        types = {
            "string": text,
            "map": cel.Type.Map(text, anything),
            "list": cel.Type.List(anything),
            "timestamp": cel.Type.TIMESTAMP,
        }
        variables = {name: types[kind] for name, kind in NAMES.items()}
        self._env = cel.NewEnv(variables={**variables, FACTS: types["map"]})
        self.activation = self._env.Activation
        self._boolean = (cel.Type.BOOL, anything)

    def compile(self, text: str) -> Condition:
        check_length(text)
        hoisted = hoist(text, NAMES)
        if hoisted.mistakes:
            raise ConditionError(list(hoisted.mistakes))
        if hoisted.left:
            return engine("python").compile(text)
        try:
            expression = self._env.compile(hoisted.text)
        except RuntimeError as error:
            raise ConditionError(_mistakes(text, str(error))) from None
        if not any(expression.return_type() == one for one in self._boolean):
            raise ConditionError([(0, NOT_BOOLEAN)])
        return _CppCondition(self, text, expression, hoisted)


NOT_BOOLEAN = "a condition must be true or false: this is something else"


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


def _mistakes(text: str, report: str) -> list[tuple[int, str]]:
    found = [
        (offset_of(text, int(line), int(column)), _NOISE.sub("", sentence))
        for line, column, sentence in _MISTAKE.findall(report)
    ]
    return found or [(0, "not a CEL expression that can be evaluated")]
