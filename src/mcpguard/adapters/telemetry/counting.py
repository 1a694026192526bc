"""What is counted of happenings: calls, their duration, detections and notices."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mcpguard.adapters.telemetry.happenings import Happening
from mcpguard.core.evidence.records import Decided, Noticed

BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of durations in seconds, as the semantic conventions for MCP advise."""

Call = tuple[str, str, str, str, str, str]
"""Server, tool, method, effect, cause, status. The tool is "" where no server has one of this name: whoever
calls makes such names up."""


def call_of(record: Decided, status: str) -> Call:
    """What a call counts as."""
    tool = "" if record.cause == "unknown" else record.tool
    return record.server, tool, record.method, record.effect, record.cause, status


class Durations(Struct):
    """A histogram: how many were up to each of BOUNDS, the last one for those above all."""

    counts: list[int]
    total: float = 0.0

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.counts)


class Counts:
    """What was counted so far."""

    def __init__(self) -> None:
        self.calls: dict[Call, int] = {}
        self.durations: dict[Call, Durations] = {}
        self.detections: dict[str, int] = {}
        """By kind."""
        self.folded = 0
        """Refusals that are not on record one by one."""
        self.notices: dict[str, int] = {}

    def add(self, happened: Iterable[Happening]) -> None:
        """Count these too."""
        for one in happened:
            record, outcome = one.record, one.outcome
            if isinstance(record, Decided):
                ms, findings = (None, {}) if outcome is None else (outcome.ms, outcome.findings)
                self.called(call_of(record, one.status), ms, findings)
            elif isinstance(record, Noticed):
                self.noticed(record)

    def called(self, call: Call, ms: float | None, findings: Mapping[str, int]) -> None:
        """Count a call; `ms` is None where it has no outcome."""
        self.calls[call] = self.calls.get(call, 0) + 1
        if ms is not None:
            durations = self.durations.get(call)
            if durations is None:
                durations = self.durations[call] = Durations([0] * (len(BOUNDS) + 1))
            durations.counts[bisect_left(BOUNDS, ms / 1000)] += 1
            durations.total += ms / 1000
        self._detected(findings)

    def noticed(self, record: Noticed) -> None:
        """Count a notice."""
        self.notices[record.what] = self.notices.get(record.what, 0) + 1
        self.folded += 0 if record.folded is None else record.folded.count
        self._detected(record.findings)

    def _detected(self, findings: Mapping[str, int]) -> None:
        for found, count in findings.items():
            kind = found.partition(" ")[0]
            self.detections[kind] = self.detections.get(kind, 0) + count
