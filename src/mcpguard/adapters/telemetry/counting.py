"""What is counted of happenings: calls, their duration, detections and notices."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from msgspec import Struct

from mcpguard.adapters.telemetry.happenings import Happening
from mcpguard.core.evidence.records import Decided, Noticed

BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of durations in seconds, as the semantic conventions for MCP advise."""

Call = tuple[str, str, str, str, str, str]
"""Server, tool, method, effect, cause, status. The tool is "" where no server has one of this name: whoever
calls makes such names up."""


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
            record = one.record
            if isinstance(record, Decided):
                self._call(one, record)
            elif isinstance(record, Noticed):
                self.notices[record.what] = self.notices.get(record.what, 0) + 1
                self.folded += 0 if record.folded is None else record.folded.count
                self._detected(record.findings)

    def _call(self, one: Happening, record: Decided) -> None:
        tool = "" if record.cause == "unknown" else record.tool
        key = (record.server, tool, record.method, record.effect, record.cause, one.status)
        self.calls[key] = self.calls.get(key, 0) + 1
        if one.outcome is not None:
            seconds = one.outcome.ms / 1000
            durations = self.durations.get(key)
            if durations is None:
                durations = self.durations[key] = Durations([0] * (len(BOUNDS) + 1))
            durations.counts[bisect_left(BOUNDS, seconds)] += 1
            durations.total += seconds
            self._detected(one.outcome.findings)

    def _detected(self, findings: dict[str, int]) -> None:
        for found, count in findings.items():
            kind = found.partition(" ")[0]
            self.detections[kind] = self.detections.get(kind, 0) + count
