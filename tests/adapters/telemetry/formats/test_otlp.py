"""OTLP is read with the published protobufs: spans under the caller's, logs, and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, LinePlace
from mcpguard.adapters.telemetry.exporting import Exporter, sink_of
from mcpguard.adapters.telemetry.formats import otlp, protobuf
from mcpguard.core.errors import TelemetryError
from mcpguard.core.evidence.records import Decided, Steps
from mcpguard.protocol.trace import ids_of
from tests.adapters.telemetry.telemetry_records import (
    ANSWERED,
    ASKED,
    NOW,
    OBSERVED,
    PARENT,
    STORY,
    chain,
    events_of,
)
from tests.adapters.telemetry.test_exporting import web
from tests.rows import each

START = int(NOW.timestamp() * 1e9)


@pytest.fixture
def story(tmp_path: Path) -> list[EvidenceEvent]:
    return events_of(tmp_path / "audit")


def signals(story: list[EvidenceEvent]) -> list[otlp.Signals]:
    return [otlp.signals(one) for one in story]


def values(attributes: Iterable[Any]) -> dict[str, Any]:
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        value = getattr(one.value, kind)
        found[one.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


def spans(story: list[EvidenceEvent]) -> list[Any]:
    read = ExportTraceServiceRequest.FromString(otlp.traces(signals(story), "host-1"))
    assert values(read.resource_spans[0].resource.attributes)["host.name"] == "host-1"
    assert read.resource_spans[0].scope_spans[0].scope.name == "mcpguard"
    return list(read.resource_spans[0].scope_spans[0].spans)


def test_a_call_is_a_span_under_the_callers_with_the_id_that_went_upstream(
    story: list[EvidenceEvent],
) -> None:
    found = spans(story)
    own = next(one for one in found if one.parent_span_id == bytes.fromhex(PARENT[36:52]))
    assert own.trace_id == bytes.fromhex(PARENT[3:35])
    assert own.span_id == ids_of("n-2", "")[1]
    assert (own.name, own.kind) == ("tools/call get", 2)
    assert abs(own.start_time_unix_nano - (START - 200_000)) < 2_000
    assert abs(own.end_time_unix_nano - (START + 12_500_000)) < 2_000
    said = values(own.attributes)
    assert {name: said[name] for name in list(said) if "evidence" not in name} == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "get",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "dev",
        "jsonrpc.request.id": "7",
        "user.id": "os-user:1000",
        "mcpguard.invocation.id": "n-2",
        "mcpguard.status": "ok",
        "mcpguard.server": "github",
        "mcpguard.effect": "allow",
        "mcpguard.client": "agent/1.0",
        "mcpguard.session": "quiet-otter",
        "mcpguard.rules": ["github/read"],
        "mcpguard.credentials": ["keyring:github/read"],
        "mcpguard.findings": ["github-token /content/0/text", "email /x"],
        "mcpguard.sent.bytes": 120,
        "mcpguard.received.bytes": 4096,
    }


def test_its_steps_are_children_one_after_the_other(story: list[EvidenceEvent]) -> None:
    found = spans(story)
    own = next(one for one in found if one.span_id == ids_of("n-2", "")[1])
    steps = [one for one in found if one.parent_span_id == own.span_id]
    assert [one.name for one in steps] == [
        *("mcpguard decide", "mcpguard record", "mcpguard inject", "tools/call get", "mcpguard inspect")
    ]
    assert [one.kind for one in steps] == [1, 1, 1, 3, 1]
    assert {one.trace_id for one in steps} == {own.trace_id}
    assert steps[0].start_time_unix_nano == own.start_time_unix_nano
    for one, after in pairwise(steps):
        assert one.end_time_unix_nano == after.start_time_unix_nano
    assert len({one.span_id for one in found}) == len(found)
    assert all(len(one.span_id) == 8 and len(one.trace_id) == 16 for one in found)


def test_every_set_of_steps_has_the_spans_of_those_that_took_place(story: list[EvidenceEvent]) -> None:
    names = [f"mcpguard {step}" if step != "call" else f"tools/call {ASKED.tool}" for step in otlp.STEPS]
    calls = []
    for chosen in range(1 << len(names)):
        lasted = [float(index + 1) if chosen >> index & 1 else 0.0 for index in range(len(names))]
        call = structs.replace(ASKED, id=f"n-{chosen}", trace="")
        outcome = structs.replace(ANSWERED, id=call.id, steps=Steps(*lasted))
        calls.append((lasted, EvidenceEvent(call, story[0].place, outcome)))
    found = spans([one for _lasted, one in calls])
    assert len({one.span_id for one in found}) == len(found)
    for lasted, one in calls:
        trace, own = ids_of(one.record.id, "")  # type: ignore[union-attr]
        root, *steps = (span for span in found if span.trace_id == trace)
        assert (root.span_id, root.parent_span_id) == (own, b"")
        assert {step.parent_span_id for step in steps} <= {own}
        times = [(step.name, step.end_time_unix_nano - step.start_time_unix_nano) for step in steps]
        assert times == [(name, ms * 1e6) for name, ms in zip(names, lasted, strict=True) if ms]


def test_what_failed_says_how(story: list[EvidenceEvent]) -> None:
    failed = {
        values(one.attributes)["mcpguard.invocation.id"]: (
            values(one.attributes)["error.type"],
            one.status.message,
        )
        for one in spans(story)
        if one.status.code == 2
    }
    assert failed.pop("n-3")[0] == "denied"
    assert failed == {
        "n-4": ("tool_error", "The server said no."),
        "n-5": ("withheld", "It could not be inspected."),
        "n-7": ("no-outcome", ""),
    }
    read = next(one for one in spans(story) if one.span_id == ids_of("n-5", "")[1])
    assert (read.name, values(read.attributes)["mcp.resource.uri"]) == ("resources/read", "file:///a")


def test_what_is_out_of_the_ordinary_is_logged(story: list[EvidenceEvent]) -> None:
    read = ExportLogsServiceRequest.FromString(otlp.logs(signals(story), "h"))
    found = read.resource_logs[0].scope_logs[0].log_records
    said = [(one.event_name, one.severity_text, one.body.string_value.partition(":")[0]) for one in found]
    assert ("mcpguard.notice", "ERROR", "pin-changed") in said
    assert ("mcpguard.opened", "INFO", "opened") in said
    named = {values(one.attributes).get("mcpguard.invocation.id") for one in found}
    assert named == {None, "n-2", "n-3", "n-4", "n-5", "n-6", "n-7"}
    detected = next(one for one in found if one.span_id == ids_of("n-2", "")[1])
    assert detected.trace_id.hex() == PARENT[3:35]
    assert detected.severity_number == 13


def test_a_call_that_policies_would_refuse_is_marked_logged_and_counted(tmp_path: Path) -> None:
    story = events_of(tmp_path / "audit", *OBSERVED)
    would = [
        {name: one[f"mcpguard.{name}"] for name in ("observed", "shadow") if f"mcpguard.{name}" in one}
        for one in (values(one.attributes) for one in spans(story) if one.kind == 2)
    ]
    assert would == [
        {"observed": "rule docs/protected, docs/b"},
        {"shadow": "deny (rule) docs/trial"},
        {"observed": "limit docs/bytes", "shadow": "allow docs/loose"},
    ]
    read = ExportLogsServiceRequest.FromString(otlp.logs(signals(story), "h"))
    logged = [one for one in read.resource_logs[0].scope_logs[0].log_records if one.trace_id]
    assert [(one.severity_text, one.body.string_value) for one in logged] == [
        ("WARN", "github/get: ok, would be refused")
    ] * 3
    counted = ExportMetricsServiceRequest.FromString(otlp.metrics(signals(story), "h"))
    (calls,) = (
        one.sum
        for one in counted.resource_metrics[0].scope_metrics[0].metrics
        if one.name == "mcpguard.calls"
    )
    causes = {values(one.attributes)["mcpguard.observed.cause"]: one.as_int for one in calls.data_points}
    assert causes == {"rule": 1, "shadow": 1, "limit": 1}


def test_metrics_are_what_a_batch_adds(story: list[EvidenceEvent]) -> None:
    unknown = structs.replace(ASKED, id="n-8", effect="deny", cause="unknown", tool="made-up")
    place = story[0].place
    read = ExportMetricsServiceRequest.FromString(
        otlp.metrics(signals([*story, EvidenceEvent(unknown, place)]), "h")
    )
    found = {one.name: one for one in read.resource_metrics[0].scope_metrics[0].metrics}
    assert set(found) == {
        *("mcp.server.operation.duration", "mcpguard.calls", "mcpguard.detections", "mcpguard.notices")
    }
    calls = found["mcpguard.calls"].sum
    assert (calls.aggregation_temporality, calls.is_monotonic) == (1, True)
    counted = {tuple(sorted(values(one.attributes).items())): one.as_int for one in calls.data_points}
    assert sum(counted.values()) == 7
    assert "made-up" not in str(counted)
    kinds = {
        values(one.attributes)["mcpguard.kind"]: one.as_int
        for one in found["mcpguard.detections"].sum.data_points
    }
    assert kinds == {"github-token": 2, "email": 1}
    histogram = found["mcp.server.operation.duration"].histogram
    assert histogram.aggregation_temporality == 1
    for one in histogram.data_points:
        assert len(one.bucket_counts) == len(one.explicit_bounds) + 1
        assert sum(one.bucket_counts) == one.count
        assert one.start_time_unix_nano <= one.time_unix_nano
    assert sum(one.sum for one in histogram.data_points) == pytest.approx(0.0125 + 3 * 0.0015)


def test_nothing_is_no_request() -> None:
    assert (otlp.traces([], "h"), otlp.logs([], "h"), otlp.metrics([], "h")) == (b"", b"", b"")


def test_arguments_and_values_stay_in_the_evidence(story: list[EvidenceEvent]) -> None:
    for made in (otlp.traces, otlp.logs, otlp.metrics):
        assert b"canary-argument" not in made(signals(story), "h")


def test_a_prompt_has_its_name_and_a_lone_surrogate_does_not_stop_it(story: list[EvidenceEvent]) -> None:
    record = structs.replace(ASKED, method="prompts/get", tool="", subject="sum\ud800", effect="deny")
    (one,) = spans([EvidenceEvent(record, story[0].place)])
    assert one.name == "prompts/get sum?"
    assert values(one.attributes)["gen_ai.prompt.name"] == "sum?"
    assert isinstance(record, Decided)


ODD = {"id": "n-\u00e9", "request": "100%b %%", "client": "50% %s", "tool": "%d", "session": "%b"}


@each("change", [*({name: value} for name, value in ODD.items()), {"approval": "x" * 300}])
def test_texts_of_any_kind_and_length_arrive_whole(change: dict[str, str]) -> None:
    named = {**dict(otlp._SAME), **dict(otlp._OWN), "tool": "gen_ai.tool.name"}
    calls = [structs.replace(ASKED, id="n-1"), structs.replace(ASKED, **{"id": "n-2", **change})]
    _first, second = roots(calls)
    said = values(second.attributes)
    assert {name: said[named[name]] for name in change} == change
    assert said["mcpguard.invocation.id"] == change.get("id", "n-2")
    assert second.name == f"tools/call {change.get('tool', ASKED.tool)}"


def roots(calls: list[Decided]) -> list[Any]:
    """The spans of calls, without those of their steps."""
    place = LinePlace("a.jsonl", "f" * 64)
    found = spans([EvidenceEvent(one, place, structs.replace(ANSWERED, id=one.id)) for one in calls])
    assert [one.name for one in found if one.kind == 1]
    return [one for one in found if one.kind == 2]


@each("value", [0, 1, 127, 128, 300, 2**32, 2**63])
def test_varints_are_read_as_they_were_written(value: int) -> None:
    fixed_32 = protobuf.varint(4 << 3 | 5) + b"\1\0\0\0"
    inner = protobuf.fixed(3, 1) + fixed_32 + protobuf.double(5, 1.0) + protobuf.number(1, value)
    message = protobuf.text(2, "x") + protobuf.sized(1, inner)
    assert protobuf.read_number(message, 1, 1) == value
    assert protobuf.read_number(b"\xff" * 30, 1, 1) == 0
    assert protobuf.read_number(message[:5], 1, 1) == 0


def test_a_receiver_gets_all_three_and_says_what_it_does_not_take(tmp_path: Path) -> None:
    chain(tmp_path / "audit", *STORY)
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 2
    said: list[str] = []
    with web([200] * 3, partial.SerializeToString()) as (url, got):
        sink = sink_of(f"{url}/?tenant=a%2Fb", "otlp", "h")
        source = Following(tmp_path / "audit", from_start=True)
        exporter = Exporter(url, "otlp", source, sink, "h", lambda line, _level: said.append(line))
        while exporter.step():
            pass
        exporter.close()
    assert [headers["Content-Type"] for headers, _body in got] == ["application/x-protobuf"] * 3
    assert [headers["Path"] for headers, _body in got] == [
        f"/in/v1/{signal}?tenant=a%2Fb" for signal in ("traces", "logs", "metrics")
    ]
    assert len(ExportTraceServiceRequest.FromString(got[0][1]).resource_spans) == 1
    assert exporter.state.refused == 6  # Each of the three answers says two.
    assert "some records were not accepted" in said[0]
    with pytest.raises(TelemetryError, match="OTLP goes to an http"):
        sink_of("file", "otlp", "h")
