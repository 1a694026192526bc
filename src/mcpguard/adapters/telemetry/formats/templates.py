"""Lines of calls that are alike are rendered once, and filled in from then on.

Law of this file: a line is what its format makes of the call, byte for byte. Only what no format escapes or
cuts is filled in; a call with anything else is rendered as a whole.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from secrets import randbelow, token_hex
from string import ascii_letters, digits

from msgspec.structs import replace

from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, LinePlace
from mcpguard.core.evidence.records import Decided, Outcome

MOST = 1_024
"""Kinds of calls that are known; with one more all are learnt again."""
LONGEST = 40
"""Characters of an id that no format cuts."""
_SAME = attrgetter(
    "effect", "cause", "rules", "server", "tool", "subject", "method", "principal", "human", "actor", "agent",
    "client", "session", "credentials", "approval", "ticket", "labels", "message", "policy_digest",
    "observed", "shadow", "credential", "token",
)  # fmt: skip
_SAME_AFTER = attrgetter("status", "rules", "labels", "error", "message", "observed", "shadow")
_PLAIN = (ascii_letters + digits + " -").encode()
_NOTHING = Outcome(datetime.min, "", "", 0.0)
"""In the place of an outcome that is not there."""

_Values = tuple[str, ...]
_Template = tuple[str, Callable[[_Values], _Values]]


class Templates:
    """Those of one format."""

    def __init__(
        self, render: Callable[[EvidenceEvent, str], str], time: Callable[[EvidenceEvent], object]
    ) -> None:
        """`render` makes a line; it is also given what is the same for all, such as the name of the machine.
        `time` gives what the time of a call is in it."""
        self._render = render
        self._time = time
        self._known: dict[object, _Template] = {}

    def line(self, one: EvidenceEvent, context: str = "") -> str:
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

    def _learn(self, one: EvidenceEvent, record: Decided, given: _Values, context: str) -> _Template:
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
