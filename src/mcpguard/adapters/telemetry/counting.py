"""What is counted of events (calls, their duration, detections and notices), and that as a page in
Prometheus' text format, version 0.0.4.

Written by hand: `prometheus-client` takes 149 ms to import. The tests read this with its parser.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from types import MappingProxyType

from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.core.evidence.records import LOST, Decided, Noticed
from mcpguard.gateway.ports import Health, Need, SinkState

BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of durations in seconds, as the semantic conventions for MCP advise."""

Call = tuple[str, str, str, str, str, str, str]
"""Server, tool, method, effect, cause, status, and why it was only let through. The tool is "" where no
server has one of this name: whoever calls makes such names up."""


def call_of(record: Decided, status: str, observed: str) -> Call:
    """What a call counts as."""
    tool = "" if record.cause == "unknown" else record.tool
    return record.server, tool, record.method, record.effect, record.cause, status, observed


class Durations(Struct):
    """A histogram: how many were up to each of BOUNDS, the last one for those above all."""

    counts: list[int]
    total: float = 0.0

    @property
    def count(self) -> int:
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
        self.lost: dict[str, int] = {}
        """By server, how often one could not be started, ended by itself, or did not answer."""

    def add(self, happened: Iterable[EvidenceEvent]) -> None:
        for one in happened:
            record, outcome = one.record, one.outcome
            if isinstance(record, Decided):
                if record.effect == "ask":  # The decision that ends the wait, or the next call, counts.
                    continue
                ms, findings = (None, {}) if outcome is None else (outcome.ms, outcome.findings)
                self.called(call_of(record, one.status, one.let_through), ms, findings)
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
        self.notices[record.what] = self.notices.get(record.what, 0) + 1
        if record.what == LOST:
            self.lost[record.server] = self.lost.get(record.server, 0) + 1
        self.folded += 0 if record.folded is None else record.folded.count
        self._detected(record.findings)

    def _detected(self, findings: Mapping[str, int]) -> None:
        for found, count in findings.items():
            kind = found.partition(" ")[0]
            self.detections[kind] = self.detections.get(kind, 0) + count


class ClientCounts(Struct, frozen=True):
    """How many `sessions` there are; how much all clients have `in_use`, and how often one was refused more
    than its quota, both by what; how many requests had a bearer token that was not accepted; and how many
    connections were closed for others, by what they were."""

    sessions: int
    in_use: Mapping[str, int]
    over_quota: Mapping[str, int]
    refused_tokens: int = 0
    closed: Mapping[str, int] = {}


_CALL = ("server", "tool", "method", "effect", "cause", "status", "observed")
Sample = tuple[str, Mapping[str, str], float]
"""A suffix of the name, labels, value."""
Family = tuple[str, str, str, list[Sample]]
"""A name, its type, what it is, and its samples."""


def page(
    counts: Counts,
    sinks: Iterable[SinkState],
    needs: Iterable[Need],
    clients: ClientCounts,
    upstreams: Iterable[Health] = (),
    waiting: int = 0,
    held: Mapping[str, int] = MappingProxyType({}),
) -> bytes:
    """All metrics of a process, of whose calls that many are `waiting` for a person, and of whose servers
    (the names) that many definitions are `held` back."""
    sinks, needs = tuple(sinks), tuple(needs)
    families: tuple[Family, ...] = (
        ("build_info", "gauge", "The running version.", [("", {"version": __version__}, 1)]),
        ("calls_total", "counter", "Requests that were decided.", _labelled(_CALL, counts.calls)),
        (
            "call_duration_seconds",
            "histogram",
            "Seconds from the decision to the outcome.",
            _durations(counts),
        ),
        ("detections_total", "counter", "What was redacted, by kind.", _named("kind", counts.detections)),
        ("notices_total", "counter", "Notices in the evidence.", _named("what", counts.notices)),
        (
            "folded_total",
            "counter",
            "Refusals and requests for lists that were only counted.",
            [("", {}, counts.folded)] * bool(counts.folded),
        ),
        ("waiting_calls", "gauge", "Calls that wait for a person.", [("", {}, waiting)]),
        ("held_definitions", "gauge", "Tools and prompts that are held back.", _named("server", held)),
        *_of_clients(clients),
        *_of_upstreams(upstreams, counts.lost),
        ("ready", "gauge", "1 if this requirement is met.", _needs(needs, "ok")),
        ("warning", "gauge", "1 if this requirement has a warning.", _needs(needs, "warning")),
        ("sink_lag_bytes", "gauge", "Bytes of evidence not yet sent to this sink.", _sinks(sinks, "lag")),
        ("sink_refused_total", "counter", "Events that this sink did not accept.", _sinks(sinks, "refused")),
        (
            "sink_removed_total",
            "counter",
            "Records removed before they were sent.",
            _sinks(sinks, "removed"),
        ),
        ("sink_failing", "gauge", "1 if this sink is failing.", _sinks(sinks, "since")),
    )
    return "".join(
        _family(f"mcpguard_{name}", kind, about, samples) for name, kind, about, samples in families
    ).encode()


def _of_clients(clients: ClientCounts) -> tuple[Family, ...]:
    in_use = "Connections, streams, sessions and requests of clients that are open."
    over = "Requests of principals that had used up their quota of this."
    tokens = "Requests with a bearer token that was not accepted."
    closed = "Connections that were closed to make room for others, by what they were."
    sessions = "Open sessions, and principals of revision 2026-07-28."
    return (
        ("sessions", "gauge", sessions, [("", {}, clients.sessions)]),
        ("in_use", "gauge", in_use, _named("what", clients.in_use)),
        ("over_quota_total", "counter", over, _named("what", clients.over_quota)),
        ("refused_tokens_total", "counter", tokens, [("", {}, clients.refused_tokens)]),
        ("closed_connections_total", "counter", closed, _named("what", clients.closed)),
    )


def _of_upstreams(upstreams: Iterable[Health], lost: Mapping[str, int]) -> tuple[Family, ...]:
    states = "Processes and connections of this server in this state."
    ends = "Times that this server could not be started, ended by itself, or did not answer."
    return (
        ("upstreams", "gauge", states, _states(upstreams)),
        ("upstream_lost_total", "counter", ends, _named("server", lost)),
    )


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"{name}{suffix}{_labels(labels)} {value:.17g}\n" for suffix, labels, value in samples]
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n{''.join(lines)}" if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_text(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _text(value: str) -> str:
    value = value.encode("utf-8", "replace").decode()
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ")


def _labelled(names: tuple[str, ...], values: Mapping[Call, int]) -> list[Sample]:
    return [("", dict(zip(names, key, strict=True)), value) for key, value in values.items()]


def _named(name: str, values: Mapping[str, int]) -> list[Sample]:
    return [("", {name: key}, value) for key, value in values.items()]


def _durations(counts: Counts) -> list[Sample]:
    found: list[Sample] = []
    for key, one in counts.durations.items():
        labels = dict(zip(_CALL, key, strict=True))
        bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
        for bound, count in zip(bounds, accumulate(one.counts), strict=True):
            found.append(("_bucket", labels | {"le": bound}, count))
        found += [("_sum", labels, one.total), ("_count", labels, one.count)]
    return found


def _needs(needs: Iterable[Need], field: str) -> list[Sample]:
    return [("", {"need": one.name}, bool(getattr(one, field))) for one in needs]


def _states(upstreams: Iterable[Health]) -> list[Sample]:
    counted = Counter((one.name, one.state) for one in upstreams)
    return [("", {"server": name, "state": state}, count) for (name, state), count in counted.items()]


def _sinks(sinks: Iterable[SinkState], field: str) -> list[Sample]:
    def value(one: SinkState) -> float:
        return float(bool(one.since) if field == "since" else getattr(one, field))

    return [("", {"to": one.to, "format": one.format}, value(one)) for one in sinks]
