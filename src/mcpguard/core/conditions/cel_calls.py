"""Values and functions as the Python engine takes them, and what the loops and calls of a condition may cost.

Law of this file: what is counted depends on the condition and on what it reads, never on time or on what was
evaluated before, so that a decision is the same wherever it is made; what would cost more has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from celpy import celtypes, evaluation

from mcpguard.core.conditions.cel import TooMuch
from mcpguard.core.conditions.cel_strict import STRICT, first_error
from mcpguard.core.functions import FUNCTIONS, Function, FunctionError, Holds, apply
from mcpguard.core.model import Json

MOST_STEPS = 500
"""How much one evaluation may do: a step is an iteration of a loop, some 50 microseconds. A call of one of
our functions counts by what it is given (`Function.slow`), an operation on a list or map by its length."""

_OF_A_STEP = 50
"""Members of a list or map that are compared."""

_OF_A_STEP_IN_TEXT = 4096
"""Characters that are searched."""

_OF_A_CALL = 256
"""Characters that take as long to read as a call without any."""

_SIZED = ("_==_", "_!=_", "_in_", "_+_", "contains", "matches")
TOO_LONG = "This is too large for this rule: send shorter items, or shorter lists in them"
TOO_MANY_SO_FAR = "There are too many items for this rule: send at most {:,} like these at a time"


class StepsLeft:
    """What is left of MOST_STEPS in this evaluation."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """For another evaluation."""
        self.left = MOST_STEPS
        self.called: set[tuple[Any, ...]] = set()
        """The calls that were counted: a function is asked once for the same texts."""

    def take(self, steps: int) -> None:
        """Raises TooMuch where there is less."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch(TOO_LONG)


def bound_values(found: Mapping[str, Json], kept: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """What the names in `found` stand for; `kept` has the members that were converted before. A number out of
    range, however deep in a name's value, makes all of it an error, as it does in the C++ engine."""
    values = {}
    for name, value in found.items():
        members = value if type(value) is dict else {"": value}
        for key, one in members.items():
            if (name, key) not in kept:
                kept[name, key] = _bound(one)
        made = {celtypes.StringType(key): kept[name, key] for key in members}
        bad = first_error([*made.values()])
        values[name] = bad or (celtypes.MapType(made) if members is value else made[""])
    return values


def _bound(value: Json | datetime) -> Any:
    try:
        return to_cel(value)
    except ValueError:
        return evaluation.CELEvalError("out of range")


def to_cel(value: Json | datetime) -> Any:
    """A JSON value or a time as the library's types. Raises ValueError for a number out of range."""
    if isinstance(value, str):
        return celtypes.StringType(value)
    if isinstance(value, dict):
        return celtypes.MapType({celtypes.StringType(key): to_cel(one) for key, one in value.items()})
    if isinstance(value, list):
        return celtypes.ListType([to_cel(one) for one in value])
    return _KINDS[type(value)](value)


def _whole(value: int) -> Any:
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError
    # The library's own way to make one costs 20 microseconds, which a list of arguments multiplies.
    return int.__new__(celtypes.IntType, value)


_KINDS: dict[type, Callable[[Any], Any]] = {
    type(None): lambda _: None,
    bool: celtypes.BoolType,
    int: _whole,
    float: celtypes.DoubleType,
    datetime: celtypes.TimestampType,
}


def from_cel(value: Any) -> Json:
    """The JSON value that a value of the library stands for. Raises FunctionError for a time or bytes."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {from_cel(key): from_cel(one) for key, one in value.items()}
    if isinstance(value, list):
        return [from_cel(one) for one in value]
    if value is None:
        return None
    for kind, plain in ((celtypes.BoolType, bool), (celtypes.IntType, int), (celtypes.DoubleType, float)):
        if isinstance(value, kind):
            return plain(value)
    raise FunctionError("no JSON value")


_NO_VALUE = object()


def activation_of(holds: Holds, steps: StepsLeft) -> Any:
    """What the conditions of one decision may call; our functions look for held values with `holds`."""
    given: dict[tuple[Any, ...], Any] = {}
    ours = {name: _native(function, holds, given, steps) for name, function in FUNCTIONS.items()}
    sized = {name: _sized(STRICT[name], steps) for name in _SIZED}
    return evaluation.Activation(functions={**STRICT, **sized, **ours})


def _sized(function: Callable[..., Any], steps: StepsLeft) -> Callable[..., Any]:
    """An operation that goes through all of the list, map or text that it is given."""

    def called(left: Any, right: Any) -> Any:
        for one in (left, right):
            if isinstance(one, list | dict | str):
                steps.take(len(one) // (_OF_A_STEP if not isinstance(one, str) else _OF_A_STEP_IN_TEXT))
        return function(left, right)

    return called


def _native(
    function: Function, holds: Holds, given: dict[tuple[Any, ...], Any], steps: StepsLeft
) -> Callable[..., Any]:
    """One of our functions as the library calls it. What it gives for texts is kept in `given`: the rules of
    a policy, and the loops in them, ask several times about the same command or statement."""

    def computed(arguments: tuple[Any, ...]) -> Any:
        try:
            return to_cel(apply(function, tuple(map(from_cel, arguments)), holds))
        except (FunctionError, ValueError):
            return _NO_VALUE

    def called(*arguments: Any) -> Any:
        texts = _texts(arguments)
        key = (function.name, texts)
        if key not in steps.called:
            steps.take((_OF_A_CALL + sum(map(_length, arguments))) // function.slow)
        if texts is not None:
            steps.called.add(key)
        value = given[key] if key in given else computed(arguments)
        if texts is not None:
            given[key] = value
        return evaluation.CELEvalError("no value") if value is _NO_VALUE else value

    return called


def _length(value: Any) -> int:
    """Of all texts in it, and of what holds them."""
    if isinstance(value, dict):
        return sum(map(len, value)) + sum(map(_length, value.values()))
    if isinstance(value, list):
        return len(value) + sum(map(_length, value))
    return len(value) if isinstance(value, str) else 1


def _texts(arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The arguments as a key, if they are texts and lists of texts: of other values some are equal that are
    not the same, such as 1 and true."""
    key: list[Any] = []
    for one in arguments:
        if isinstance(one, str):
            key.append(str(one))
        elif isinstance(one, list) and all(isinstance(inner, str) for inner in one):
            key.append(tuple(map(str, one)))
        else:
            return None
    return tuple(key)
