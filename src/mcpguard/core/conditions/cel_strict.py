"""CEL's functions in the Python engine, where the library guesses or its errors grow without bound.

Law of this file: what CEL has no overload for is an error, as in the C++ engine, and an error is one error,
however many led to it. A value of no type of CEL is an error as soon as a function gives it, since the
library would compare it by chance.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from celpy import celtypes, evaluation

from mcpguard.core.conditions.cel_times import GETTERS, duration, timestamp, too_long

_NUMBERS = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)
_SCALARS = (celtypes.BoolType, str, bytes, celtypes.TimestampType, celtypes.DurationType)
KEYS = (str, celtypes.BoolType, celtypes.IntType, celtypes.UintType)
"""What a key of a map may be."""
_OF_CEL = frozenset(
    [
        *(type(None), celtypes.BoolType, *_NUMBERS, celtypes.StringType, celtypes.BytesType),
        *(celtypes.ListType, celtypes.MapType, celtypes.TimestampType, celtypes.DurationType),
    ]
)
_TYPES = _OF_CEL | {celtypes.TypeType}
_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: celtypes.StringType,
    bytes: celtypes.BytesType,
    float: celtypes.DoubleType,
    list: celtypes.ListType,
    datetime: celtypes.TimestampType,
    timedelta: celtypes.DurationType,
}
"""What the library computes as a plain value of Python."""
_SCALED = frozenset({"_*_", "_/_", "_%_"})
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
_QUIET = evaluation.re2.Options()
_QUIET.log_errors = False


def _equal(left: Any, right: Any) -> bool:
    """CEL equality across types: numbers by value, everything else only with its own kind."""
    for one in (left, right):
        if isinstance(one, evaluation.CELEvalError):
            raise one
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return _number(left, right) == _number(right, left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if any(isinstance(left, kind) and isinstance(right, kind) for kind in _SCALARS):
        return bool(left == right)
    if not _comparable(left) or not _comparable(right):
        raise TypeError
    return left is right


def _comparable(value: Any) -> bool:
    """Whether it is a value of CEL, or one of its types."""
    return value in _TYPES if isinstance(value, type) else type(value) in _OF_CEL


def _matches(text: Any, pattern: Any) -> Any:
    # By default the library prints a broken pattern to stderr, and a pattern may be an argument.
    if not isinstance(text, str) or not isinstance(pattern, str):
        raise TypeError
    try:
        compiled = evaluation.re2.compile(str(pattern), _QUIET)
    except evaluation.re2.error:
        return evaluation.CELEvalError("not a pattern")
    return celtypes.BoolType(compiled.search(str(text)) is not None)


def _number(value: Any, other: Any) -> int | float:
    if isinstance(value, float):
        return float(value)
    # Beyond 2^53 an equal double depends on how the int is rounded, so no rule may rely on it.
    if isinstance(other, float) and abs(value) > 1 << 53:
        raise TypeError
    return int(value)


def _in(item: Any, container: Any) -> bool:
    if isinstance(item, evaluation.CELEvalError):
        raise item
    if isinstance(container, dict) and isinstance(item, (*KEYS, celtypes.DoubleType)):
        return any([_equal(item, key) for key in container])
    if isinstance(container, list):
        return any([_equal(item, one) for one in container])
    raise TypeError


def _size(value: Any) -> Any:
    if isinstance(value, str | bytes | list | dict):
        return celtypes.IntType(len(value))
    return no_overload(value)


def _string(value: Any) -> Any:
    if isinstance(value, (str, celtypes.IntType, celtypes.UintType)):
        return celtypes.StringType(value)
    raise TypeError


def _at(container: Any, key: Any) -> Any:
    # The library takes a character of a string, and counts from the end of a list; for it true is 1.
    if isinstance(container, dict) and isinstance(key, str):
        return container[key]
    if isinstance(container, dict) and isinstance(key, KEYS):
        found = [value for one, value in container.items() if _equal(one, key)]
        return found[0] if found else no_overload(None)
    if isinstance(container, list) and type(key) is celtypes.IntType and key >= 0:
        return container[key]
    return no_overload(key if isinstance(key, evaluation.CELEvalError) else container)


def _of_strings(function: Callable[[str, str], bool]) -> Callable[[Any, Any], Any]:
    def checked(text: Any, part: Any) -> Any:
        if not isinstance(text, str) or not isinstance(part, str):
            return no_overload(part if isinstance(part, evaluation.CELEvalError) else text)
        return celtypes.BoolType(function(text, part))

    return checked


def _alike(name: str) -> Callable[[Any, Any], Any]:
    """The library's operator, which mixes numbers, and for which a bool is one. Only an order is of bools."""
    function, order = evaluation.base_functions[name], _ORDER.get(name)

    def checked(left: Any, right: Any) -> Any:
        kinds = {type(one) for one in (left, right) if isinstance(one, (celtypes.BoolType, *_NUMBERS))}
        numbers = name not in _SCALED or all(isinstance(one, _NUMBERS) for one in (left, right))
        if len(kinds) == 2 or (celtypes.BoolType in kinds and order is None) or not numbers:
            return no_overload(left)
        if order is not None and all(isinstance(one, celtypes.DoubleType) for one in (left, right)):
            # The library's order is one of NaN too.
            return celtypes.BoolType(order(float(left), float(right)))
        if name == "_%_" and (int(left), int(right)) == (-(1 << 63), -1):
            return no_overload(left)
        if name == "_/_" and isinstance(right, celtypes.DoubleType) and float(right) == 0:
            return no_overload(left)  # For the library it is always +infinity.
        value = of_cel(function(left, right))
        return no_overload(left) if too_long(value) else value

    return checked


def _converted(kind: Any, kinds: tuple[Any, ...], text: str) -> Callable[[Any], Any]:
    """A conversion, from `kinds` or from a string that `text` matches: the library takes null for 0, and
    what Python takes for a number."""
    pattern = re.compile(text, re.ASCII | re.DOTALL)

    def checked(value: Any) -> Any:
        fits = pattern.fullmatch(value) if isinstance(value, str) else isinstance(value, kinds)
        negative = kind is celtypes.UintType and isinstance(value, _NUMBERS) and value < 0
        # Of the doubles only those strictly between the bounds are whole numbers (cel-spec, int and uint).
        least = isinstance(value, celtypes.DoubleType) and kind is celtypes.IntType and value <= -(1 << 63)
        return kind(value) if fits and not negative and not least else no_overload(value)

    return checked


_CONVERSIONS: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "int": (celtypes.IntType, (*_NUMBERS, celtypes.TimestampType), r"-?[0-9]+"),
    "uint": (celtypes.UintType, _NUMBERS, r"[0-9]+"),
    "double": (celtypes.DoubleType, _NUMBERS, r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
    "bool": (celtypes.BoolType, (celtypes.BoolType,), "true|false"),
    "bytes": (celtypes.BytesType, (bytes,), ".*"),
}

NAMED = frozenset({"string", "timestamp", "duration", *_CONVERSIONS})
"""The functions that are in STRICT as "strict NAME", since their name must still name the type."""


def _strict(function: Callable[..., bool]) -> Callable[..., Any]:
    def checked(left: Any, right: Any) -> Any:
        try:
            return celtypes.BoolType(function(left, right))
        except evaluation.CELEvalError as error:
            return error

    return checked


def of_cel(value: Any) -> Any:
    """`value` as a value of CEL, exactly of one of its types, or an error."""
    if isinstance(value, evaluation.CELEvalError) or _comparable(value):
        return value
    kind = type(value)
    return _PLAIN[kind](value) if kind in _PLAIN else no_overload(value)


def typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its result as a value of CEL, or an error."""

    def called(*arguments: Any) -> Any:
        return of_cel(function(*arguments))

    return called


def no_overload(value: Any) -> Any:
    """The error that `value` is, or that there is no function for it."""
    error = evaluation.CELEvalError
    return value if isinstance(value, error) else error("no such overload")


def first_error(values: list[Any]) -> Any:
    """The first of `values` that is an error, or None."""
    return next((one for one in values if isinstance(one, evaluation.CELEvalError)), None)


def _connective(decisive: bool) -> Callable[[Any, Any], Any]:
    """`||` (True) or `&&`: what decides wins over an error. An error of the library holds the texts of those
    before it, so that forty of them in a row would be a terabyte; one of ours is only one of them."""

    def joined(left: Any, right: Any) -> Any:
        known = [one for one in (left, right) if type(one) is celtypes.BoolType]
        if any(bool(one) is decisive for one in known):
            return celtypes.BoolType(decisive)
        if len(known) == 2:
            return celtypes.BoolType(not decisive)
        return no_overload(right if known and known[0] is left else left)

    return joined


JOINED: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "all": (_connective(False), celtypes.BoolType(True)),
    "exists": (_connective(True), celtypes.BoolType(False)),
}
"""The macros that join what they find: with what, and beginning with what."""


def one_only(members: list[Any], says: list[Any]) -> Any:
    """`exists_one`: whether exactly one of what was said is true."""
    return celtypes.BoolType(sum(map(bool, says)) == 1)


def kept(members: list[Any], says: list[Any]) -> Any:
    """`filter`: the members for which the condition holds."""
    return celtypes.ListType([member for member, said in zip(members, says, strict=True) if said])


PICKING: dict[str, Callable[[list[Any], list[Any]], Any]] = {"exists_one": one_only, "filter": kept}
"""The macros that need an answer for each member."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: evaluation.base_functions[name] for name in ("!_", "-_", "type")},
    **{name: _alike(name) for name in (*_ORDER, "_+_", "_-_", "_*_", "_/_", "_%_")},
    **GETTERS,
    "_[_]": _at,
    "contains": _of_strings(lambda text, part: part in text),
    "startsWith": _of_strings(str.startswith),
    "endsWith": _of_strings(str.endswith),
    "_||_": _connective(True),
    "_&&_": _connective(False),
    "_==_": _strict(_equal),
    "_!=_": _strict(lambda left, right: not _equal(left, right)),
    "_in_": _strict(_in),
    "matches": _matches,
    "size": _size,
    "strict string": _string,
    "strict timestamp": timestamp,
    "strict duration": duration,
    **{f"strict {name}": _converted(*one) for name, one in _CONVERSIONS.items()},
}

STRICT: dict[str, Callable[..., Any]] = {name: typed(function) for name, function in _FUNCTIONS.items()}
"""In place of the library's functions, by their names in CEL."""
