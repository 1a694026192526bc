"""CEL's functions in the Python engine, where the library guesses or its errors grow without bound.

Law of this file: what CEL has no overload for is an error, as in the C++ engine, and an error is one error,
however many led to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celpy import celtypes, evaluation

_NUMBERS = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)
_SCALARS = (celtypes.BoolType, str, bytes, celtypes.TimestampType, celtypes.DurationType)
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
    return left is right


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
    # Beyond 2^53 an equal double depends on how the int is rounded, so nobody shall rely on it.
    if isinstance(other, float) and abs(value) > 1 << 53:
        raise TypeError
    return int(value)


def _in(item: Any, container: Any) -> bool:
    if isinstance(container, dict):
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


def _strict(function: Callable[..., bool]) -> Callable[..., Any]:
    def checked(left: Any, right: Any) -> Any:
        try:
            return celtypes.BoolType(function(left, right))
        except evaluation.CELEvalError as error:
            return error

    return checked


def no_overload(value: Any) -> Any:
    """The error that `value` is, or that there is no function for it."""
    error = evaluation.CELEvalError
    return value if isinstance(value, error) else error("no such overload")


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

STRICT: dict[str, Callable[..., Any]] = {
    "_||_": _connective(True),
    "_&&_": _connective(False),
    "_==_": _strict(_equal),
    "_!=_": _strict(lambda left, right: not _equal(left, right)),
    "_in_": _strict(_in),
    "matches": _matches,
    "size": _size,
    "strict string": _string,
}
"""In place of the library's functions, by their names in CEL."""
