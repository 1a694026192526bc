"""CEL conditions: text -> a compiled condition -> exactly TRUE, FALSE or ERROR.

Law of this file: nothing but a verdict leaves an evaluation. The engines' own error texts quote
argument values, so they are dropped here. Two engines stand behind one seam: `cel-expr-python` (the
CEL project's C++ runtime, "cpp") wherever it is installed, and `cel-python` ("python",
`core/cel_python.py`). Where the two differ, one of them says ERROR, and an ERROR only tightens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, Protocol

from mcpguard.core.model import Json

EngineName = Literal["cpp", "python"]

NAMES: dict[str, str] = {
    "action": "string",
    "server": "string",
    "tool": "map",
    "args": "map",
    "prompt": "map",
    "resource": "map",
    "principal": "texts",
    "client": "texts",
    "now": "timestamp",
}
"""What a condition may name, and its type: a map holds JSON values, `texts` is a map of strings."""

TEXT_LIMIT = 4096
"""The longest condition, in characters."""

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


class Condition(Protocol):
    """A compiled condition of `engine`. `reads_args` tells whether its text names `args`."""

    engine: Engine
    reads_args: bool

    def verdict(self, bound: Any) -> Verdict:
        """The answer for what `Engine.bind` of the same engine gave. Never raises."""
        ...


class Engine(Protocol):
    """One way to compile and evaluate CEL."""

    name: EngineName

    def compile(self, text: str) -> Condition:
        """Raises ConditionError: broken syntax, an unknown name, a type that is not boolean."""
        ...

    def bind(self, view: Mapping[str, Json]) -> Any:
        """`view` has some of `NAMES`. The result serves all conditions of one decision. A name that
        is left out is an error wherever it matters to the answer. Never raises."""
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
    from mcpguard.core.cel_python import PythonEngine

    return PythonEngine()


class _CppCondition:
    __slots__ = ("_eval", "engine", "reads_args")

    def __init__(self, owner: Engine, expression: Any, reads_args: bool) -> None:
        self.engine = owner
        self._eval = expression.eval
        self.reads_args = reads_args

    def verdict(self, bound: Any) -> Verdict:
        try:
            value = self._eval(bound).value()
        except Exception:
            return ERROR
        if value is True:
            return TRUE
        return FALSE if value is False else ERROR


class _CppEngine:
    name: EngineName = "cpp"

    def __init__(self, cel: Any) -> None:
        text = cel.Type.STRING
        types = {
            "string": text,
            "map": cel.Type.Map(text, cel.Type.DYN),
            "texts": cel.Type.Map(text, text),
            "timestamp": cel.Type.TIMESTAMP,
        }
        variables = {name: types[kind] for name, kind in NAMES.items()}
        self._env = cel.NewEnv(variables=variables)
        del variables["args"]
        self._env_without_args = cel.NewEnv(variables=variables)
        self._boolean = (cel.Type.BOOL, cel.Type.DYN)

    def compile(self, text: str) -> Condition:
        check_length(text)
        try:
            expression = self._env.compile(text)
        except RuntimeError as error:
            raise ConditionError(_mistakes(text, str(error))) from None
        if not any(expression.return_type() == one for one in self._boolean):
            raise ConditionError([(0, NOT_BOOLEAN)])
        return _CppCondition(self, expression, "args" in text and self._fails_without_args(text))

    def _fails_without_args(self, text: str) -> bool:
        try:
            self._env_without_args.compile(text)
        except RuntimeError:
            return True
        return False

    def bind(self, view: Mapping[str, Json]) -> Any:
        return self._env.Activation(view)


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
