"""When a condition on the time of calls is true, found once for all calls.

Law of this file: between two edges nothing that the condition reads changes, so what it is at the first
moment it is until the next edge. Where that is not certain, and where it is an error, nothing is said.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from mcpguard.adapters.audit.indexing import microseconds
from mcpguard.authoring.conditions import CallPath, constant_text, path_of
from mcpguard.core.conditions.cel import ERROR, TRUE, Bound, Condition
from mcpguard.core.conditions.cel_text import string_value
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.tree import inner

if TYPE_CHECKING:
    from mcpguard.core.conditions.cel_python import PythonEngine

Span = tuple[int, int]
"""From a moment on and before another one, in microseconds since 1970."""

_AT = CallPath("at")
_COMPARED = re.compile(r"\s*at\s*(<=|>=|<|>)\s*timestamp\(\s*(\"[^\"\\]*\"|'[^'\\]*')\s*\)\s*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY, _HOUR, _QUARTER = 86_400 * _SECOND, 3600 * _SECOND, 900 * _SECOND
_FOREVER = 1 << 62
_PARTS = {
    **dict.fromkeys(
        ("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfYear"), (_DAY, _FOREVER)
    ),
    "getDayOfWeek": (_DAY, 7 * _DAY),
    "getHours": (_HOUR, _DAY),
    "getMinutes": (60 * _SECOND, _HOUR),
    "getSeconds": (_SECOND, 60 * _SECOND),
    "getMilliseconds": (1000, _SECOND),
}
"""For how long each part of a time stays as it is in UTC, and after how long it comes again."""
_ZONE = re.compile(r"[A-Za-z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+)*|[+-]?[0-9]{2}:(?:00|15|30|45)")
ZONED_SINCE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * _SECOND
"""Since then the clocks of all zones differ from UTC by quarters of an hour, and are changed at such."""
_MOST = 50_000
"""Of moments at which a condition is evaluated, at some 5 microseconds each."""
_MOST_SPANS = 4_000


def bounds_of(text: str) -> Span | None:
    """The times for which a condition is true that compares `at` with a constant, without the parser."""
    found = _COMPARED.fullmatch(text)
    at = _instant(string_value(found[2])) if found else None
    if found is None or at is None:
        return None
    edge = at + (found[1] in ("<=", ">"))
    return (0, edge) if found[1] in ("<", "<=") else (edge, _FOREVER)


def true_spans(text: str, condition: Condition, covered: Iterable[Span]) -> list[Span] | None:
    """When `condition`, which is `text` and reads nothing but `at`, is true in the times that are `covered`,
    which are apart and in order; None where that is not known. Between these, it may be anything."""
    edges = _edges(text)
    if edges is None:
        return None
    spans: list[Span] = []
    moments, going = 0, False
    for first, after in covered:
        if edges.zoned and first < ZONED_SINCE:
            return None
        starts = edges.between(first, after, _MOST - moments)
        moments += len(starts)
        if moments > _MOST:
            return None
        for start, end in pairwise([*starts, after]):
            verdict = condition.verdict(_at(start))
            if verdict is ERROR:
                return None
            if verdict is TRUE:
                spans.append((spans.pop()[0] if going else start, end))
            going = verdict is TRUE
    return spans if len(spans) <= _MOST_SPANS else None


def as_term(text: str, condition: Condition) -> str:
    """The same as a condition on the column `at`, if the condition comes again and again; "" otherwise."""
    edges = _edges(text)
    if edges is None or edges.zoned or edges.moments or not edges.period // _MOST < edges.unit:
        return ""
    starts = range(0, edges.period, edges.unit)
    verdicts = [condition.verdict(_at(start)) for start in starts]
    if ERROR in verdicts:
        return ""
    marks = "".join("01" if one is TRUE else "00" for one in verdicts)
    place = f"(at % {edges.period} + {edges.period}) % {edges.period} / {edges.unit}"
    return f"substr(x'{marks}', {place} + 1, 1) = x'01'"


def both(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The times that are in both, each in the order of time."""
    found: list[Span] = []
    one = other = 0
    while one < len(some) and other < len(others):
        start, end = max(some[one][0], others[other][0]), min(some[one][1], others[other][1])
        found += [(start, end)] if start < end else []
        one, other = one + (some[one][1] == end), other + (others[other][1] == end)
    return found


def overlap(spans: Sequence[Span], first: int, latest: int) -> bool:
    """Whether a moment from `first` to `latest` is in one of these times, which are in order."""
    place = bisect_right(spans, first, key=lambda one: one[1])
    return place < len(spans) and spans[place][0] <= latest


def _at(moment: int) -> Bound:
    return Bound({"at": _EPOCH + timedelta(microseconds=moment)})


def _edges(text: str) -> _Edges | None:
    from celpy import CELParseError

    found = _Edges()
    try:
        return found if found.read(cast("PythonEngine", engine("python")).parsed(text)) else None
    except (CELParseError, RecursionError):
        return None


class _Edges:
    """Moments at which something changes that a condition reads of the time of a call."""

    def __init__(self) -> None:
        self.zoned = False
        self.unit, self.period = _FOREVER, 1
        self.moments: set[int] = set()

    def read(self, tree: Any) -> bool:
        """Whether all that it reads is a part of the time, or whether that is before or after a constant."""
        node = inner(tree)
        if node.data == "relation" and node.children[0].data != "relation_in":
            sides = node.children[0].children[0], node.children[1]
            for one, other in (sides, sides[::-1]):
                if path_of(one, {}) == _AT:
                    return self._compared(other)
        if node.data == "member_dot_arg" and path_of(node.children[0], {}) == _AT:
            return self._part(*node.children[1:])
        if node.data == "ident" and path_of(node, {}) == _AT:
            return False
        return all(self.read(one) for one in node.children if hasattr(one, "children"))

    def between(self, first: int, after: int, most: int) -> list[int]:
        """The first moment, and the edges before the last one; few more than `most` of them."""
        begin = first - first % self.unit + self.unit
        regular = range(begin, min(after, begin + most * self.unit), self.unit)
        return sorted({first, *(one for one in self.moments if first < one < after), *regular})

    def _compared(self, other: Any) -> bool:
        node = inner(other)
        is_call = node.data == "ident_arg" and node.children[0].value == "timestamp"
        text = constant_text(node.children[1]) if is_call and len(node.children) == 2 else None
        at = None if text is None else _instant(text)
        if at is not None:
            self.moments |= {at, at + 1}
        return at is not None

    def _part(self, name: Any, *zones: Any) -> bool:
        zone = constant_text(zones[0]) if zones else None
        if str(name) not in _PARTS or (zones and (zone is None or not _ZONE.fullmatch(zone))):
            return False
        unit, period = _PARTS[str(name)]
        self.unit = min(self.unit, unit, _QUARTER if zones else unit)
        self.period = max(self.period, period)
        self.zoned = self.zoned or bool(zones)
        return True


def _instant(text: str) -> int | None:
    """A time in microseconds since 1970; None for what is not one, or is finer than a microsecond."""
    if re.search(r"\.\d{7}", text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return microseconds(at) if at.tzinfo else None
