"""Prometheus' text format, version 0.0.4, of what was counted.

Written by hand: `prometheus-client` takes 149 ms to import. The tests read this with its parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from mcpguard import __version__
from mcpguard.adapters.telemetry.counting import BOUNDS, Call, Counts
from mcpguard.gateway.ports import Need, SinkState

_CALL = ("server", "tool", "method", "effect", "cause", "status")
Sample = tuple[str, Mapping[str, str], float]
"""A suffix of the name, labels, value."""


def page(counts: Counts, sinks: Iterable[SinkState], needs: Iterable[Need], sessions: int) -> bytes:
    """All metrics of a process."""
    sinks, needs = tuple(sinks), tuple(needs)
    families: tuple[tuple[str, str, str, list[Sample]], ...] = (
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
        ("sessions", "gauge", "Open client connections.", [("", {}, sessions)]),
        ("ready", "gauge", "1 if this requirement is met.", _needs(needs, "ok")),
        ("warning", "gauge", "1 if this requirement has a warning.", _needs(needs, "warning")),
        ("sink_lag_bytes", "gauge", "Bytes of evidence not yet sent to this sink.", _sinks(sinks, "lag")),
        ("sink_refused_total", "counter", "Events that this sink did not accept.", _sinks(sinks, "refused")),
        ("sink_failing", "gauge", "1 if this sink is failing.", _sinks(sinks, "since")),
    )
    return "".join(
        _family(f"mcpguard_{name}", kind, about, samples) for name, kind, about, samples in families
    ).encode()


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


def _sinks(sinks: Iterable[SinkState], field: str) -> list[Sample]:
    def value(one: SinkState) -> float:
        return float(bool(one.since) if field == "since" else getattr(one, field))

    return [("", {"to": one.to, "format": one.format}, value(one)) for one in sinks]
