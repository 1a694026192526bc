"""Times of CEL in the Python engine: texts read as the C++ engine reads them, to the microsecond.

Law of this file: what the library would guess at, or could only hold rounded, is an error (`ValueError`).
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
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
