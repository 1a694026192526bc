"""JSON values as `cel-python` has them, and back.

Law of this file: a value that CEL cannot hold is an error in its place, never another value.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from celpy import celtypes, evaluation

from mcpguard.core.functions import FunctionError
from mcpguard.core.model import Json


def bound_value(value: Json | datetime) -> Any:
    """What one name of conditions stands for. A number out of range, however deep in it, makes all of it an
    error, as it does in the C++ engine."""
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
