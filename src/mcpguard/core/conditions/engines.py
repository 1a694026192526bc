"""The engines behind the seam of `cel.py`: `cel-expr-python` (the CEL project's C++ runtime, "cpp") wherever
it is installed, and `cel-python` ("python", `cel_python.py`).

Which of them decides is settled when a policy is loaded, never by a request. The first sees of a text only
what stands before U+0000, so a name with one in it is an error there. Where the two differ, one of them says
ERROR, and an ERROR only tightens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from mcpguard.core.conditions.cel import (
    ERROR,
    FALSE,
    KEPT,
    MOST_ITEMS,
    NOT_BOOLEAN,
    TOO_MANY,
    TRUE,
    Bound,
    Condition,
    ConditionError,
    Engine,
    EngineName,
    TooMuch,
    Verdict,
    check_length,
    has_zero,
    json_text,
    measured,
    offset_of,
)
from mcpguard.core.conditions.hoisted import MOST_CHARACTERS
from mcpguard.core.conditions.hoisting import CALLED, Hoisted, hoist
from mcpguard.core.conditions.names import POLICY, Vocabulary, advised
from mcpguard.core.expressions import expression
from mcpguard.core.model import Json

_MISTAKE = expression(r"ERROR: <input>:(\d+):(\d+): (.*)")
_HOLDING = frozenset((dict, list))
_NOISE = expression(r" \(in container ''\)| expecting \{.*")


def engine(name: EngineName | None = None) -> Engine:
    """The engine `name` for conditions of policies, or the fastest that is installed. Raises ImportError for
    one that is not."""
    return engine_for(POLICY, name)


@cache
def engine_for(vocabulary: Vocabulary, name: EngineName | None = None) -> Engine:
    """The engine for conditions that name other things. Raises ImportError as `engine`."""
    # Either engine costs a start 7 to 70 ms, so it is imported where a condition needs it.
    if name != "python":
        try:
            from cel_expr_python import cel

            with suppress(ImportError):  # The engine does without protobuf where that is not installed.
                _import_descriptors()
            return _CppEngine(cel, vocabulary)
        except ImportError:
            if name:
                raise
    from mcpguard.core.conditions.cel_python import PythonEngine

    return PythonEngine(vocabulary)


def _import_descriptors() -> None:
    """Import what the engine will ask of protobuf, without the implementation in pure Python that comes along
    and serves nobody where there is another: a megabyte, and half of what the engine costs a start."""
    pool, unused = "google.protobuf.descriptor_pool", "google.protobuf.internal.python_message"
    implementation = import_module("google.protobuf.internal.api_implementation")
    if implementation.Type() == "python" or pool in sys.modules or unused in sys.modules:
        return
    sys.modules[unused] = ModuleType(unused)
    try:
        import_module(pool)
    finally:
        del sys.modules[unused]


class Uncompiled:
    """The engine of a process that hands over what it reads: it finds what is wrong with the calls and names
    in a condition, and leaves the rest to the engine of the process that takes it."""

    name: EngineName = "cpp"

    def compile(self, text: str) -> Condition:
        """See Engine. Until it is compiled the condition is an ERROR."""
        check_length(text)
        hoisted = hoist(text)
        if hoisted.mistakes:
            raise ConditionError(list(hoisted.mistakes))
        return _UncompiledCondition(self, hoisted)

    def either(self, conditions: Sequence[Condition]) -> None:
        """See Engine."""


class _UncompiledCondition:
    def __init__(self, owner: Uncompiled, hoisted: Hoisted) -> None:
        self.engine: Engine = owner
        self.text = hoisted.text
        self.reads = hoisted.reads
        self.calls = hoisted.calls
        self.members = hoisted.members

    def verdict(self, bound: Bound) -> Verdict:
        return ERROR


class _CppCondition:
    __slots__ = ("_activation", "_eval", "calls", "costly", "engine", "members", "reads", "text")

    def __init__(self, owner: _CppEngine, expression: Any, hoisted: Hoisted) -> None:
        self.engine: Engine = owner
        self.text = hoisted.text
        self.reads = hoisted.reads
        self.calls = hoisted.calls
        self.members = hoisted.members
        self._activation = owner.activation
        self._eval = expression.eval
        self.costly = hoisted.costly

    def verdict(self, bound: Bound) -> Verdict:
        try:
            while True:
                if bound.cpp is None:
                    bound.cpp = self._activation({**_readable(bound), CALLED: bound.called})
                if self.costly and bound.longest > MOST_ITEMS:
                    raise TooMuch(TOO_MANY)
                value = self._eval(bound.cpp).value()
                if value is True or value is False:
                    return TRUE if value else FALSE
                # The answer depends on calls that are not computed yet, or it is an error.
                bound.compute(self.calls)
                if bound.cpp is not None:
                    return ERROR
        except TooMuch as problem:
            bound.beyond[self.text] = str(problem)
            return ERROR
        except Exception:
            return ERROR


def _readable(bound: Bound) -> Mapping[str, Json]:
    """What may be given to an engine that ends every text at U+0000: what the conditions read, without the
    names in which there is one, so that whatever depends on these is an error."""
    if bound.reading is not None:
        return bound.reading
    if bound.excess:
        raise TooMuch(bound.excess)
    view, members, large = bound.view, bound.members, bound.members is None
    found: dict[str, Json] = dict(view) if members is None else {}
    for name, some in (members or {}).items():  # As `part_of`, on the road of every call.
        if name not in view:
            continue
        value = found[name] = view[name]
        if some is None or type(value) is not dict:
            large = large or type(value) is not str
            continue
        part = found[name] = {}
        for key in some:
            if key in value:
                one = part[key] = value[key]
                large = large or type(one) in _HOLDING or (type(one) is str and len(one) > MOST_CHARACTERS)
    if large:
        _measure(bound, found)
    if json_text(found).find(b"\\u0000") >= 0 and has_zero(found):
        bound.unreadable = tuple([name for name, value in found.items() if has_zero(value)])
        found = {name: value for name, value in found.items() if name not in bound.unreadable}
    bound.reading = found
    return found


def _measure(bound: Bound, found: Mapping[str, Json]) -> None:
    try:
        bound.longest = max(bound.longest, measured(found, "cpp"))
    except TooMuch as problem:
        bound.excess = str(problem)
        raise


class _CppEngine:
    name: EngineName = "cpp"

    def __init__(self, cel: Any, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        text, anything = cel.Type.STRING, cel.Type.DYN
        types = {
            "string": text,
            "map": cel.Type.Map(text, anything),
            "list": cel.Type.List(anything),
            "timestamp": cel.Type.TIMESTAMP,
            "number": anything,
        }
        variables = {name: types[kind] for name, kind in vocabulary.names.items()}
        self._env = cel.NewEnv(variables={**variables, CALLED: types["map"]})
        self.activation = self._env.Activation
        self._boolean = (cel.Type.BOOL, anything)

    @lru_cache(KEPT)  # noqa: B019  (there is one engine a process, and it is kept)
    def compile(self, text: str) -> Condition:
        check_length(text)
        hoisted = hoist(text, self._vocabulary)
        if hoisted.mistakes:
            raise ConditionError(list(hoisted.mistakes))
        if hoisted.left:
            return self._slow().compile(text)
        try:
            expression = self._env.compile(hoisted.text)
        except RuntimeError as error:
            report = str(error)
            found = [
                (offset_of(text, int(line), int(column)), _NOISE.sub("", sentence))
                for line, column, sentence in _MISTAKE.findall(report)
            ]
            mistakes = found or [(0, "not a CEL expression that can be evaluated")]
            raise ConditionError(advised(text, mistakes, self._vocabulary.names)) from None
        if not any(expression.return_type() == one for one in self._boolean):
            raise ConditionError([(0, NOT_BOOLEAN)])
        return _CppCondition(self, expression, hoisted)

    def _slow(self) -> Engine:
        return engine("python") if self._vocabulary is POLICY else engine_for(self._vocabulary, "python")

    def either(self, conditions: Sequence[Condition]) -> Condition | None:
        # A condition may end in a comment.
        text = " || ".join([f"({one.text}\n)" for one in conditions])
        try:
            expression = self._env.compile(text)
        except RuntimeError:  # Together they are longer or deeper than the engine takes.
            return None
        reads = frozenset().union(*[one.reads for one in conditions])
        costly = any([isinstance(one, _CppCondition) and one.costly for one in conditions])
        return _CppCondition(self, expression, Hoisted(text, (), reads, {}, False, costly, ()))

    def any_true(self, texts: Sequence[str], names: Sequence[str]) -> Rows | None:
        # A condition may end in a comment.
        body = " && ".join([f"({text}\n)" for text in texts])
        for name in names:
            body = f"[row.{name}].exists({name}, {body})"
        try:
            expression = self._env.compile(f"{CALLED}.rows.exists(row, {body})")
        except RuntimeError:  # Together they are longer or deeper than the engine takes.
            return None

        def evaluated(rows: list[dict[str, Json]]) -> bool | None:
            try:
                value = expression.eval(self.activation({CALLED: {"rows": rows}})).value()
            except Exception:
                return None
            return value if type(value) is bool else None

        return evaluated


def any_true(texts: Sequence[str], names: Sequence[str], vocabulary: Vocabulary) -> Rows | None:
    """Says of many requests at once whether all of `texts`, conditions that read only `names` and call none
    of our functions, are true of one of them: a fifth of what it costs one by one. None where the engine is
    not installed, or does not take them together."""
    engine = engine_for(vocabulary)
    return engine.any_true(texts, names) if isinstance(engine, _CppEngine) else None


Rows = Callable[[list[dict[str, Json]]], bool | None]
"""From the values of all names for each request, without U+0000: None where it cannot tell."""
