"""Which calls may match, by the bytes of their lines and the few values that the conditions read.

Law of this file: what is left out does not match. What it cannot decode, or not decide without the rest of
the records, it leaves to whoever reads these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from typing import Any

from msgspec import DecodeError, Raw, defstruct, field, json

from mcpguard.authoring.asking.needed import Clauses
from mcpguard.authoring.asking.patterns import compiled
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Condition, Verdict, json_text
from mcpguard.core.conditions.engines import Rows
from mcpguard.core.conditions.hoisted import HoistedCall, ValuePath
from mcpguard.core.conditions.hoisting import Members, joined
from mcpguard.core.model import Json

_DECISION = b'{"kind":"decision"'
_DECIDED: dict[str, Json] = {
    **dict.fromkeys(("id", "subject", "approval", "ticket", "trace", "token"), ""),
    "credentials": [],
}
_ENDED: dict[str, Json] = {"error": "", "sent": 0, "received": 0}
"""Names that conditions and records share, with the value where a record leaves them out."""
_MOST_KNOWN = 20_000
_AT_ONCE, _ALONE = 256, 4
"""The most lines that are decided together, and the least."""
_RARE = 4
"""What at most each fourth line has is looked for before lines are told apart."""

_decode = json.Decoder().decode
_arguments = json.Decoder(dict[str, Any] | None).decode


AnyTrue = Callable[[Iterable[str]], Rows | None]


class LineFilter:
    """The lines of decisions that have what is needed. `rare` is what few of the lines in `sample` have, an
    expression of RE2, or None."""

    def __init__(self, needs: Clauses, sample: Sequence[bytes]) -> None:
        import re2

        self.rare: Any = None
        least = len(sample) // _RARE
        for some in needs:
            try:
                pattern = compiled(some)
            except re2.error:  # It is too large.
                continue
            having = sum(pattern.search(line) is not None for line in sample)
            if having <= least:  # Of what is as rare, the later one says more.
                self.rare, least = pattern, having

    def lines(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each with its offset in `data`, which begins with a line, and without its LF."""
        at = 0
        if self.rare is None:
            for line in data.split(b"\n"):
                if line.startswith(_DECISION):
                    yield at, line
                at += len(line) + 1
            return
        search = self.rare.search
        while (found := search(data, at)) is not None:
            at = data.rfind(b"\n", 0, found.start()) + 1
            end = data.find(b"\n", found.end())
            line = data[at:end] if end >= 0 else data[at:]
            if line.startswith(_DECISION):
                yield at, line
            at += len(line) + 1


class CallFilter:
    """Decides conditions, once for each combination of the values that they read; `shared` are names whose
    values it is given. `decides` says whether the line of a decision has any values that they read, `shares`
    whether they read `shared` ones. `any_true` is as that of the engine, for all of `conditions`."""

    def __init__(
        self, conditions: Sequence[Condition], shared: frozenset[str], any_true: AnyTrue = lambda _: None
    ) -> None:
        self._conditions = conditions
        self._members = joined(one.members for one in conditions)
        parts = joined(part for one in conditions for part in (_read_whole(one), *map(_read_by, one.calls)))
        read = joined((self._members, parts))
        args = read.get("args", frozenset())
        self._keys = None if args is None else sorted(args)
        self._names = [name for name in _DECIDED if name in read]
        self._ends = [name for name in (*_ENDED, "ms") if name in read]
        arguments = [] if self._keys == [] else ["arguments"]
        self._decided = _reader([*arguments, *self._names], self._keys)
        self._ended = _reader(self._ends, None)
        self.decides = bool(arguments or self._names)
        self.shares = not shared.isdisjoint(read)
        self._early = read.keys() <= {"args", *_DECIDED}
        self._late = read.keys() <= {"args", "ms", *_DECIDED, *_ENDED, *shared}
        own = {call.name for one in conditions for call in one.calls if not call.cheap}
        self._any_true = any_true(read.keys()) if self._early and self.decides and not own else None
        self._known: dict[object, Verdict] = {}
        self._by_calls: dict[tuple[int, bytes], Verdict] = {}

    def left(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Those of these (place, line of a decision) that may be of calls that match, whatever the rest of
        these calls is."""
        unread = iter(lines)
        while some := list(islice(unread, _AT_ONCE)):
            values = [self._values(line) for _, line in some]
            if self._any_true is not None:
                self._judge_together(self._any_true, values)
            for place, raw in zip(some, values, strict=True):
                found = self._judged(raw, (), True, 0, {})
                if not (found is FALSE or (found is ERROR and self._early)):
                    yield place

    def _values(self, decision: bytes) -> tuple[bytes, ...] | None:
        """What it reads of a line; None where that cannot be decoded."""
        try:
            return self._decided(decision)
        except (DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
            return None

    def _judge_together(self, any_true: Rows, values: list[tuple[bytes, ...] | None]) -> None:
        """Decide the values that are new, as far as the condition is true of none of some of them."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        keys = len(self._keys or ())
        new = {
            raw: None
            for raw in values
            if raw is not None
            and (0, raw, (), True) not in self._known
            and all(raw[:keys])
            and b"\\u0000" not in b"".join(raw)
        }
        with suppress(DecodeError, UnicodeDecodeError, RecursionError):
            self._halve(any_true, list(zip(new, self._views(list(new)), strict=True)) if new else [])

    def _halve(self, any_true: Rows, rows: list[tuple[tuple[bytes, ...], dict[str, Json]]]) -> None:
        if len(rows) < _ALONE:
            return
        if any_true([view for _, view in rows]) is False:
            self._known |= dict.fromkeys([(0, raw, (), True) for raw, _ in rows], FALSE)
            return
        half = len(rows) // 2
        self._halve(any_true, rows[:half])
        self._halve(any_true, rows[half:])

    def verdict(self, lines: Sequence[bytes], number: int, shared: Mapping[str, Json]) -> Verdict | None:
        """That on the call with these lines and the `shared` values of that number; None where the records
        have to be read as a whole."""
        try:
            end = self._ended(lines[1]) if lines[1:] else ()
        except (DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
            return None
        found = self._judged(self._values(lines[0]), end, False, number, shared)
        return found if self._late or found is not ERROR else None

    def _judged(
        self,
        raw: tuple[bytes, ...] | None,
        end: tuple[bytes, ...],
        alone: bool,
        number: int,
        shared: Mapping[str, Json],
    ) -> Verdict | None:
        """The verdict on one combination of values. `alone`: without those of its `end`, the outcome."""
        if raw is None:
            return None
        key = (number if self.shares else 0, raw, end, alone)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            try:
                view = {**shared, **self._view(raw)} | ({} if alone else self._end_view(end))
            except (DecodeError, UnicodeDecodeError, RecursionError):
                return None
            found = self._known[key] = self._joint(Bound(view, self._members))
        return found

    def _view(self, raw: tuple[bytes, ...]) -> dict[str, Json]:
        some = len(raw) - len(self._names)
        view = {
            name: _decode(value) if value else _DECIDED[name]
            for name, value in zip(self._names, raw[some:], strict=True)
        }
        if self._keys is None:
            view["args"] = (_arguments(raw[0]) if raw[0] else None) or {}
        elif self._keys:
            pairs = zip(self._keys, raw, strict=False)
            view["args"] = {key: _decode(value) for key, value in pairs if value}
        return view

    def _views(self, raws: list[tuple[bytes, ...]]) -> list[dict[str, Json]]:
        """As `_view` for each, of lines that have all keys."""
        columns = list(zip(*raws, strict=True))
        some = len(columns) - len(self._names)
        values = {
            name: _array([one or json.encode(_DECIDED[name]) for one in column])
            for name, column in zip(self._names, columns[some:], strict=True)
        }
        if self._keys is None:
            values["args"] = [one or {} for one in _array([one or b"null" for one in columns[0]])]
        elif self._keys:
            rows = zip(*map(_array, columns[:some]), strict=True)
            values["args"] = [dict(zip(self._keys, row, strict=True)) for row in rows]
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def _end_view(self, end: tuple[bytes, ...]) -> dict[str, Json]:
        """Of a call without an outcome, `ms` is not there."""
        pairs = zip(self._ends, end, strict=False)
        return _ENDED | {name: _decode(value) for name, value in pairs if value}

    def _joint(self, bound: Bound) -> Verdict:
        found = {self._verdict(number, one, bound) for number, one in enumerate(self._conditions)}
        return FALSE if FALSE in found else ERROR if ERROR in found else TRUE

    def _verdict(self, number: int, condition: Condition, bound: Bound) -> Verdict:
        if condition.members or not condition.calls:
            return condition.verdict(bound)
        # It depends on what its calls evaluate to, and on nothing else.
        bound.compute(condition.calls)
        key = number, json_text(bound.called)
        if key not in self._by_calls:
            self._by_calls[key] = condition.verdict(bound)
        return self._by_calls[key]


def _array(some: Iterable[bytes]) -> list[Any]:
    """The values of these texts of JSON."""
    found: list[Any] = _decode(b"[%b]" % b",".join(some))
    return found


def _reader(names: Sequence[str], keys: Sequence[str] | None) -> Callable[[bytes], tuple[bytes, ...]]:
    """Gives the JSON of these members of a line, of `arguments` that of `keys`; b"" for what is not there."""
    inner = _struct({key: Raw for key in keys or ()})
    some = inner if keys and "arguments" in names else Raw
    decode = json.Decoder(_struct({name: some if name == "arguments" else Raw for name in names})).decode
    places = [f"f{place}" for place in range(len(names))]
    if some is inner:
        places[:1] = [f"f0.f{place}" for place in range(len(keys or ()))]
    if not places:
        return lambda _: ()
    get = attrgetter(*places)
    if len(places) == 1:
        return lambda line: (bytes(get(decode(line))),)
    return lambda line: tuple([bytes(one) for one in get(decode(line))])


def _struct(members: Mapping[str, Any]) -> Any:
    named = enumerate(members.items())
    return defstruct(
        "Seen", [(f"f{at}", kind, field(name=name, default_factory=kind)) for at, (name, kind) in named]
    )


def _read_whole(condition: Condition) -> Members:
    """The names of which it is not known what the condition reads."""
    known = condition.members.keys() | {name for call in condition.calls for name in _read_by(call)}
    return dict.fromkeys(condition.reads - known)


def _read_by(call: HoistedCall) -> Members:
    found: list[Members] = []
    for one in call.arguments:
        if isinstance(one, HoistedCall):
            found.append(_read_by(one))
        elif isinstance(one, ValuePath):
            first = one.steps[0] if one.steps else None
            found.append({one.root: frozenset([first]) if isinstance(first, str) else None})
    return joined(found)
