"""CEL's functions and times in the Python engine, where the library guesses or its errors grow without bound.

Law of this file: what CEL has no overload for is an error, as in the C++ engine, and an error is one error,
however many led to it. A value of no type of CEL is an error as soon as a function gives it, since the
library would compare it by chance, and so is a time that the library would guess at or could only hold
rounded.
"""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from celpy import celtypes, evaluation

_MICROSECONDS: dict[str, int | Fraction] = {
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1000,
    "us": 1,
    "ns": Fraction(1, 1000),
}
_PART = re.compile(r"([0-9]{1,15})(\.[0-9]{1,9})?(h|ms|m|us|s|ns)", re.ASCII)
_COMPUTED = timedelta(microseconds=(1 << 63) // 1000)
_LONGEST = 315_576_000_000 * 1_000_000
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])",
    re.ASCII,
)
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_]+)+|[+-](0[0-9]|1[0-4]):[0-5][0-9]", re.ASCII)


def timestamp(value: Any) -> Any:
    """`timestamp()` of a text (RFC 3339, section 5.6) or a time."""
    if isinstance(value, celtypes.TimestampType):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError
    # In UTC, so that one beyond the years 1 to 9999 is found here.
    return celtypes.TimestampType(celtypes.TimestampType(value).astimezone(UTC))


def duration(value: Any) -> Any:
    """`duration()` of a text such as "1h30m" or "-1.5s", or of a duration."""
    if isinstance(value, celtypes.DurationType):
        return value
    if not isinstance(value, str):
        raise ValueError
    text = value.removeprefix("-")
    parts = [*_PART.finditer(text)]
    exact = sum(
        Fraction(whole + (rest or "")) * _MICROSECONDS[unit] for whole, rest, unit in map(_groups, parts)
    )
    if not parts or "".join(part.group() for part in parts) != text or exact.denominator != 1:
        raise ValueError
    if exact > _LONGEST:
        raise ValueError
    return celtypes.DurationType(timedelta(microseconds=int(exact) * (-1 if text != value else 1)))


def too_long(value: Any) -> bool:
    """Whether it is a computed duration that 64 bits of nanoseconds do not hold."""
    return isinstance(value, celtypes.DurationType) and abs(value) >= _COMPUTED


def _groups(part: re.Match[str]) -> tuple[str, str | None, str]:
    return part[1], part[2], part[3]


def _getter(name: str) -> Any:
    of_library = evaluation.base_functions[name]
    of_durations = {"getHours": 3_600_000_000, "getMinutes": 60_000_000, "getSeconds": 1_000_000}

    def got(value: Any, *zone: Any) -> Any:
        if isinstance(value, celtypes.TimestampType):
            if zone and not (isinstance(zone[0], str) and _ZONE.fullmatch(zone[0])):
                raise ValueError
            return of_library(value, *zone)
        if zone or name not in of_durations or not isinstance(value, celtypes.DurationType):
            raise TypeError
        microseconds = value // timedelta(microseconds=1)
        whole = abs(microseconds) // of_durations[name]
        return celtypes.IntType(whole if microseconds >= 0 else -whole)

    return got


GETTERS = {
    name: _getter(name)
    for name in (
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    )
}
"""What is read from a time, by the names in CEL; hours, minutes and seconds from a duration too."""


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
