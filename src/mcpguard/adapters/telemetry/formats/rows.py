"""A happening as one row of texts, for formats that are tables; CSV (RFC 4180), one row a happening, that a
spreadsheet can open without doing what a cell says; and lines of calls that are alike, which are rendered
once and filled in from then on.

Law of this file: a line is what its format makes of the call, byte for byte. Only what no format escapes or
cuts is filled in; a call with anything else is rendered as a whole.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from operator import attrgetter, itemgetter
from secrets import randbelow, token_hex
from string import ascii_letters, digits

from msgspec import UNSET
from msgspec.structs import replace

from mcpguard.adapters.telemetry.happenings import Happening, LinePlace
from mcpguard.core.evidence.records import Decided, Outcome

COLUMNS = (
    "at", "kind", "id", "effect", "status", "cause", "rules", "server", "tool", "subject", "method",
    "principal", "human", "actor", "agent", "client", "session", "request", "trace", "credentials",
    "approval", "labels", "findings", "unredacted", "ms", "sent", "received", "message", "error", "what",
    "detail", "args", "result", "policy_digest", "version", "host", "chain", "hash",
)  # fmt: skip
"""As fields of records; `kind` is `call` for a decision, `status` that of `Happening`."""

_COUNTS = ("findings", "unredacted")


def kind_of(one: Happening) -> str:
    """`call`, or the kind of its record."""
    if isinstance(one.record, Decided):
        return "call"
    return str(one.record.__struct_config__.tag)


def row(one: Happening) -> dict[str, str]:
    """A text for each of COLUMNS, "" for what is not there."""
    found = {name: _text(one, name) for name in COLUMNS}
    found["at"] = stamp(one)
    found["kind"] = kind_of(one)
    found["status"] = one.status or _text(one, "reason")
    found["host"] = one.host or found["host"]
    found["chain"] = one.place.file
    found["hash"] = one.place.hash
    return found


def stamp(one: Happening) -> str:
    """When it was over: RFC 3339 in UTC with milliseconds."""
    return one.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(one: Happening, name: str) -> str:
    """The field of the outcome, else of the record."""
    for part in (one.outcome, one.record):
        value = getattr(part, name, UNSET)
        if value is not UNSET and value not in (None, "", (), {}, 0):
            return _said(name, value)
    return ""


def _said(name: str, value: object) -> str:
    if name in _COUNTS and isinstance(value, dict):
        return "; ".join(f"{what} x{count}" if count > 1 else str(what) for what, count in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return str(value)


def why(one: Happening) -> str:
    """Why it did not do what it was for, in a sentence, "" where nothing says so."""
    record, outcome = one.record, one.outcome
    said = "" if outcome is None else outcome.error or outcome.message
    if isinstance(record, Decided) and not said:
        said = record.message
    if isinstance(record, Outcome):
        said = record.error or record.message
    return said


MOST = 1_024
"""Kinds of calls that are known; with one more all are learnt anew."""
LONGEST = 40
"""Characters of an id that no format cuts."""
_SAME = attrgetter(
    "effect", "cause", "rules", "server", "tool", "subject", "method", "principal", "human", "actor", "agent",
    "client", "session", "credentials", "approval", "labels", "message", "policy_digest",
)  # fmt: skip
_SAME_AFTER = attrgetter("status", "rules", "labels", "error", "message")
_PLAIN = (ascii_letters + digits + " -").encode()
_NOTHING = Outcome(datetime.min, "", "", 0.0)
"""In the place of an outcome that is not there."""

_Values = tuple[str, ...]
_Template = tuple[str, Callable[[_Values], _Values]]


class Templates:
    """Those of one format."""

    def __init__(self, render: Callable[[Happening, str], str], time: Callable[[Happening], object]) -> None:
        """`render` makes a line; it is also given what is the same for all, such as the name of the machine.
        `time` gives what the time of a call is in it."""
        self._render = render
        self._time = time
        self._known: dict[object, _Template] = {}

    def line(self, one: Happening, context: str = "") -> str:
        """The line of a happening."""
        record, outcome, place = one.record, one.outcome, one.place
        if not isinstance(record, Decided):
            return self._render(one, context)
        after = _NOTHING if outcome is None else outcome
        call, request, trace = record.id, record.request, record.trace
        own = f" {call} {request} {trace} {record.args} {after.result} {place.hash}"
        # A cell that begins so is a formula for a spreadsheet.
        plain = own.isascii() and " -" not in own and not own.encode().translate(None, _PLAIN)
        if after.findings or after.unredacted or len(call) > LONGEST or not plain:
            return self._render(one, context)
        # What is empty, or 0, has no place in a line.
        given = (
            call, request, trace, str(after.ms or ""), str(after.sent or ""), str(after.received or ""),
            record.args, after.result, place.hash,
        )  # fmt: skip
        same = context, one.host, place.file, one.unfinished, outcome is None, _SAME(record)
        key = same, _SAME_AFTER(after), tuple(map(bool, given))
        found = self._known.get(key)
        if found is None:
            found = self._learn(one, record, given, context)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = found
        text, chosen = found
        return text % chosen((str(self._time(one)), *given))

    def _learn(self, one: Happening, record: Decided, given: _Values, context: str) -> _Template:
        """The line of a call with marks where this one has its own values, and which value goes where."""
        marks = [f"x{token_hex(8)}x" if value else "" for value in given]
        for index in (3, 4, 5):
            marks[index] = str(randbelow(10**15) + 10**15) if given[index] else ""
        at = datetime(9000 + randbelow(900), 1, 1, 0, 0, randbelow(60), randbelow(1000) * 1000, UTC)
        marked = replace(
            record, at=at, id=marks[0], request=marks[1], trace=marks[2], args=marks[6],
        )  # fmt: skip
        outcome = one.outcome
        if outcome is not None:
            ms, sent, received = (int(mark or 0) for mark in marks[3:6])
            marks[3] = str(float(ms)) if ms else ""
            outcome = replace(
                outcome, at=at, id=marks[0], ms=float(ms), sent=sent, received=received, result=marks[7]
            )
        probe = replace(one, record=marked, outcome=outcome, place=LinePlace(one.place.file, marks[8]))
        line = self._render(probe, context)
        every = [str(self._time(probe)), *marks]
        number = {mark: index for index, mark in enumerate(every) if mark}
        holes = re.compile("|".join(map(re.escape, number)))
        order = [number[mark] for mark in holes.findall(line)]
        return holes.sub("%s", line.replace("%", "%%")), itemgetter(*order)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a formula of a cell, also in full width (OWASP, CSV injection)."""


def csv_header() -> str:
    """The first line of CSV, which names the columns."""
    return ",".join(COLUMNS) + "\r\n"


def csv_line(one: Happening) -> str:
    """A row of CSV, the CRLF included; a cell may have line breaks."""
    return _templates.line(one)


def _line(one: Happening, _context: str) -> str:
    text = StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([_safe(cell) for cell in row(one).values()])
    return text.getvalue()


_templates = Templates(_line, stamp)


def _safe(cell: str) -> str:
    # Some programs trim a cell before they look at it; NUL ends it for others.
    cell = cell.replace("\0", " ")
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(_FORMULA) else cell
