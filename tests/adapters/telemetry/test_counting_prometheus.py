"""Prometheus' own parser reads what is served."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from mcpguard.adapters.telemetry.counting import ClientCounts, Counts, page
from mcpguard.core.evidence.records import LOST, Noticed
from mcpguard.gateway.ports import Health, Need, SinkState
from tests.adapters.telemetry.telemetry_records import EVIL, NOW, OBSERVED, events_of

Samples = dict[str, dict[tuple[str, ...], float]]


def read(text: bytes) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_all_that_was_counted_is_read_by_the_parser(tmp_path: Path) -> None:
    counts = Counts()
    counts.add(events_of(tmp_path / "audit"))
    sinks = (SinkState("https://a", "otlp", lag=7), SinkState('b"\\\n', "csv", since=1.0, refused=3))
    lost = [Noticed(NOW, LOST, server) for server in ("git", "notes", "git")]
    for one in (*lost, Noticed(NOW, "upstream-ended", "git")):
        counts.noticed(one)
    upstreams = [Health("git", state, 0.0) for state in ("running", "failed", "running")]
    needs = (Need("evidence", True, 0.0, warning="full"), Need("store", False, 0.0, "broken"))
    found = read(
        page(
            counts,
            sinks,
            needs,
            ClientCounts(4, {"streams": 2}, {"streams": 1}, 5, {"idle": 6}),
            upstreams,
            3,
            {"git": 2, "notes": 1},
        )
    )
    assert found["mcpguard_waiting_calls"] == {(): 3}
    assert found["mcpguard_held_definitions"] == {("git",): 2, ("notes",): 1}
    assert found["mcpguard_upstreams"] == {("git", "running"): 2, ("git", "failed"): 1}
    calls = found["mcpguard_calls_total"]
    assert calls["github", "get", "tools/call", "allow", "", "ok", ""] == 2
    assert calls["github", EVIL.replace("\r", " "), "tools/call", "deny", "rule", "denied", ""] == 1
    assert sum(calls.values()) == 6  # One more waits for a person.
    assert "ask" not in {labels[3] for labels in calls}
    assert found["mcpguard_detections_total"] == {("github-token",): 2, ("email",): 1}
    notices = {("pin-changed",): 1, (LOST,): 3, ("upstream-ended",): 1}
    assert found["mcpguard_notices_total"] == notices
    assert found["mcpguard_upstream_lost_total"] == {("git",): 2, ("notes",): 1}
    assert found["mcpguard_sessions"] == {(): 4}
    assert found["mcpguard_in_use"] == {("streams",): 2}
    assert found["mcpguard_over_quota_total"] == {("streams",): 1}
    assert found["mcpguard_closed_connections_total"] == {("idle",): 6}
    assert found["mcpguard_ready"] == {("evidence",): 1, ("store",): 0}
    assert found["mcpguard_warning"] == {("evidence",): 1, ("store",): 0}
    assert found["mcpguard_sink_lag_bytes"] == {("https://a", "otlp"): 7, ('b"\\\n', "csv"): 0}
    assert found["mcpguard_sink_failing"] == {("https://a", "otlp"): 0, ('b"\\\n', "csv"): 1}
    assert found["mcpguard_sink_refused_total"]['b"\\\n', "csv"] == 3


def test_a_histogram_is_cumulative(tmp_path: Path) -> None:
    counts = Counts()
    counts.add(events_of(tmp_path / "audit"))
    found = read(page(counts, (), (), ClientCounts(0, {}, {})))
    key = ("github", "get", "tools/call", "allow", "", "ok", "")
    buckets = [
        value for labels, value in found["mcpguard_call_duration_seconds_bucket"].items() if labels[:7] == key
    ]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[1], buckets[-1]) == (1, 2, 2)
    assert found["mcpguard_call_duration_seconds_count"][key] == 2
    assert abs(found["mcpguard_call_duration_seconds_sum"][key] - 0.014) < 1e-9


def test_calls_that_policies_would_refuse_are_series_of_their_own(tmp_path: Path) -> None:
    counts = Counts()
    counts.add(events_of(tmp_path / "audit", *OBSERVED))
    found = read(page(counts, (), (), ClientCounts(0, {}, {})))["mcpguard_calls_total"]
    assert {labels[-1]: count for labels, count in found.items()} == {"rule": 1, "shadow": 1, "limit": 1}


def test_nothing_counted_is_a_page_too() -> None:
    assert set(read(page(Counts(), (), (), ClientCounts(0, {}, {})))) == {
        "mcpguard_build_info",
        "mcpguard_refused_tokens_total",
        "mcpguard_sessions",
        "mcpguard_waiting_calls",
    }


def test_names_that_a_caller_makes_up_are_no_series(tmp_path: Path) -> None:
    (one, *_rest) = [each for each in events_of(tmp_path / "audit") if each.status == "denied"]
    counts = Counts()
    for index in range(100):
        record = structs.replace(one.record, cause="unknown", tool=f"made-up-{index}")
        counts.add([structs.replace(one, record=record)])
    assert len(counts.calls) == 1
