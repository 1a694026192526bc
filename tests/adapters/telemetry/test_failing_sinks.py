"""A sink that is slow, refuses, flaps or goes away half-way loses nothing, and keeps nobody waiting for ever."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from msgspec import structs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mcpguard.adapters.audit import following
from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.telemetry.destinations import Rendered, destination
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.adapters.telemetry.exporting import IN_A_ROW, LINES, MOST_AFTER, Exporter, sink_of
from mcpguard.core.errors import TelemetryError
from mcpguard.core.evidence.records import Decided, Record
from tests.adapters.telemetry.telemetry_records import (
    CLOSED,
    DECIDED,
    OPENED,
    OUTCOME,
    STORY,
    chain,
    events_of,
)
from tests.adapters.telemetry.test_exporting import Setting, all_of, lines, setting, web

__all__ = ["lines", "setting"]


def refusals(count: int) -> list[Decided]:
    """Decisions that are events of their own."""
    return [structs.replace(DECIDED, id=f"d-{number}", effect="deny") for number in range(count)]


def delivered(setting: Setting, *takes: Callable[[Sequence[Rendered]], None]) -> list[int]:
    """Have the sink take what all of `takes` let pass; the sizes of what it was given."""
    sizes: list[int] = []
    real = setting.sink.deliver

    def deliver(rows: Sequence[Rendered]) -> int:
        sizes.append(len(rows))
        for take in takes:
            take(rows)
        return real(rows)

    setting.sink.deliver = deliver  # type: ignore[method-assign]
    return sizes


def test_a_sink_that_refuses_every_record_fails_and_gets_the_rest_later(setting: Setting) -> None:
    chain(setting.folder, *refusals(50), close=False)
    refuses = True

    def take(_rows: Sequence[Rendered]) -> None:
        if refuses:
            raise TelemetryError("HTTP 400", final=True)

    delivered(setting, take)
    exporter = setting.exporter()
    for _ in range(5):
        all_of(exporter)
    assert exporter.state.refused == IN_A_ROW
    assert exporter.state.problem == "it no longer accepts any record: HTTP 400"
    assert exporter.state.lag > 0
    refuses = False
    all_of(exporter)
    assert len(setting.sink.got) == len(set(setting.sink.got)) == 51 - IN_A_ROW
    assert (exporter.state.since, exporter.state.lag) == (0.0, 0)


def test_a_sink_that_takes_little_at_once_gets_it_in_parts(setting: Setting) -> None:
    chain(setting.folder, *refusals(40))

    def take(rows: Sequence[Rendered]) -> None:
        if len(rows) > 6:
            raise TelemetryError("did not answer within 10 seconds", slow=True)

    sizes = delivered(setting, take)
    exporter = setting.exporter()
    for _ in range(20):
        all_of(exporter)
    assert len(setting.sink.got) == len(set(setting.sink.got)) == 42
    assert exporter.state.refused == 0
    assert sizes[:4] == [42, 21, 10, 5]


def test_a_sink_that_asks_for_it_is_left_alone_so_long(setting: Setting) -> None:
    chain(setting.folder)
    after = 300.0

    def take(_rows: Sequence[Rendered]) -> None:
        raise TelemetryError("HTTP 429", after=after)

    delivered(setting, take)
    exporter = setting.exporter()
    exporter.step()
    assert exporter._pause == 300.0
    after = 1e9
    exporter.step()
    assert exporter._pause == MOST_AFTER


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("\u0664", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_an_endpoint_says_how_long_in_seconds(lines: list[Rendered], written: str, seconds: float) -> None:
    assert asked(lines, written) == seconds


def test_an_endpoint_says_how_long_as_a_date(lines: list[Rendered]) -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 < asked(lines, format_datetime(later, usegmt=True)) <= 100


def asked(lines: list[Rendered], retry_after: str) -> float:
    """For how long an endpoint asks to be left alone with this header."""
    given = retry_after.encode().decode("latin-1")
    with web([429], headers={"Retry-After": given}) as (url, _got):
        sink = sink_of(url, "cef", "h")
        with pytest.raises(TelemetryError, match="answered HTTP 429") as refused:
            sink.deliver(lines)
        sink.close()
    assert not refused.value.final
    return refused.value.after


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, ": check the credentials in its URL or `headers`"),
        (403, ": check the credentials in its URL or `headers`, and what they may do"),
        (404, ": check the path of its URL"),
        (413, ": let it accept larger requests"),
        (429, ": it accepts no more for now"),
        (500, ""),
    ],
)
def test_a_status_has_advice_and_no_word_of_the_answer(
    lines: list[Rendered], status: int, advice: str
) -> None:
    with web([status]) as (url, _got):
        sink = sink_of(url, "cef", "h")
        with pytest.raises(TelemetryError) as refused:
            sink.deliver(lines)
        sink.close()
    assert str(refused.value).endswith(f" answered HTTP {status}{advice}")


def test_an_endpoint_that_does_not_answer_in_time_may_take_less(
    lines: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.adapters.telemetry.destinations.SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = sink_of(f"http://127.0.0.1:{silent.getsockname()[1]}/", "cef", "h")
        with pytest.raises(TelemetryError, match="did not answer within") as late:
            sink.deliver(lines)
        sink.close()
    assert late.value.slow


def test_a_record_that_no_format_can_say_is_left_out_alone(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(setting.folder, *STORY)
    real = LINES["cef"]

    def fails(one: EvidenceEvent, host: str) -> str:
        if getattr(one.record, "id", "") == "n-3":
            raise ValueError
        return real.line(one, host)

    monkeypatch.setitem(LINES, "cef", real._replace(line=fails))
    exporter = setting.exporter()
    all_of(exporter)
    assert (len(setting.sink.got), exporter.state.refused) == (9, 1)
    assert "an internal error (ValueError)" in setting.said[0]


def test_a_record_of_another_age_does_not_end_the_export(tmp_path: Path) -> None:
    early = datetime(1, 1, 1, tzinfo=UTC)
    records = (structs.replace(DECIDED, id="old", at=early, effect="deny"), *refusals(3))
    chain(tmp_path / "audit", *records)
    with web([200] * 20) as (url, got):
        exporter = Exporter(
            url, "otlp", Following(tmp_path / "audit", from_start=True), sink_of(url, "otlp", "h"), "h"
        )
        all_of(exporter)
        exporter.close()
    assert exporter.state.refused == 1
    assert sum(body.count(b"d-2") for _headers, body in got) > 0


def test_a_record_without_a_time_zone_is_none(tmp_path: Path) -> None:
    naive: Record = structs.replace(DECIDED, at=datetime(2026, 1, 1))
    assert len(events_of(tmp_path, naive, DECIDED)) == 3


def test_a_defect_of_a_sink_is_said_and_it_is_tried_again(setting: Setting) -> None:
    chain(setting.folder, *refusals(30), close=False)
    broken = True

    def take(_rows: Sequence[Rendered]) -> None:
        if broken:
            raise ZeroDivisionError

    delivered(setting, take)
    exporter = setting.exporter()
    all_of(exporter)
    assert exporter.state.problem == "it no longer accepts any record: an internal error (ZeroDivisionError)"
    broken = False
    all_of(exporter)
    assert (len(setting.sink.got), exporter.state.since) == (31 - IN_A_ROW, 0.0)


def test_a_defect_elsewhere_is_said_and_does_not_end_the_thread(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(setting.folder)
    exporter = setting.exporter()
    monkeypatch.setattr(Following, "read", lambda _self, _most: [None][1])
    assert not exporter.step()
    assert exporter.state.problem == "an internal error (IndexError)"
    monkeypatch.undo()
    all_of(exporter)
    assert (len(setting.sink.got), exporter.state.since) == (2, 0.0)


def test_what_was_delivered_is_not_sent_again_while_the_position_cannot_be_saved(setting: Setting) -> None:
    setting.cursor = setting.folder.parent / "state" / "cursor"
    sink = AuditFile(setting.folder)
    for record in (OPENED, structs.replace(DECIDED, at=datetime.now(UTC))):
        sink.write(record)
    sink.commit()
    exporter = setting.exporter()
    assert exporter._begun()
    setting.cursor.parent.rename(setting.folder.parent / "aside")
    for _ in range(2):
        all_of(exporter)
    assert "cannot be saved" in exporter.state.problem
    sink.write(OUTCOME)
    sink.close(CLOSED)
    all_of(exporter)
    (setting.folder.parent / "aside").rename(setting.cursor.parent)
    all_of(exporter)
    assert exporter.state.since == 0.0
    assert ["call:ok" in line for line in setting.sink.got] == [False, True, False]
    exporter.close()
    again = setting.exporter()
    all_of(again)
    assert len(setting.sink.got) == 3


def test_what_is_read_at_once_is_bounded_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_BYTES", 1_000)
    chain(tmp_path / "audit", *refusals(20))
    source = Following(tmp_path / "audit", from_start=True)
    source.begin()
    count = 0
    while found := source.read(2_000):
        assert sum(len(line.data) for line in found[:-1]) < 1_000
        source.keep(found, {})
        count += len(found)
    assert count == 22


# --- files ----------------------------------------------------------------------------------------


def test_a_file_that_was_rotated_is_made_again(tmp_path: Path, lines: list[Rendered]) -> None:
    path = tmp_path / "out.csv"
    sink = sink_of(str(path), "csv", "h")
    sink.deliver(lines[:1])
    path.rename(tmp_path / "out.csv.1")
    sink.deliver(lines[1:2])
    path.unlink()
    sink.deliver(lines[2:3])
    sink.close()
    assert (tmp_path / "out.csv.1").read_text().splitlines()[1:] == ["line 0"]
    assert path.read_text().splitlines()[1:] == ["line 2"]
    assert path.read_text().startswith("at,kind")


def test_a_file_that_takes_half_holds_no_half_of_a_line(tmp_path: Path, lines: list[Rendered]) -> None:
    path = tmp_path / "out.cef"
    sink = sink_of(str(path), "cef", "h")
    sink.deliver(lines[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4, hard))
    try:
        with pytest.raises(TelemetryError, match="cannot be written: File too large"):
            sink.deliver(lines[1:3])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "line 0\n"
    sink.deliver(lines[1:3])
    sink.close()
    assert path.read_text() == "line 0\nline 1\nline 2\n"


def test_what_others_append_to_the_file_stays(
    tmp_path: Path, lines: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.cef"
    sink = sink_of(str(path), "cef", "h")
    sink.deliver(lines[:1])
    real = os.write

    def write(file: int, data: bytes | memoryview) -> int:
        real(file, data[:4])
        real(file, b"theirs\n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(TelemetryError, match="No space left"):
        sink.deliver(lines[1:2])
    monkeypatch.undo()
    sink.close()
    assert "theirs\n" in path.read_text()


# --- networks -------------------------------------------------------------------------------------


def test_what_fits_into_no_datagram_is_left_out_alone(lines: list[Rendered]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        sink = destination(f"syslog+udp://127.0.0.1:{server.getsockname()[1]}", "h", "text/plain")
        assert sink.deliver([(lines[0][0], "x" * 70_000), lines[1]]) == 1
        assert server.recv(65536).endswith(b"line 1")
        sink.close()


def test_a_server_that_closes_before_it_has_read_everything_has_not_taken_it(lines: list[Rendered]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def serve() -> None:
            made, _ = server.accept()
            made.recv(100)
            made.close()

        thread = threading.Thread(target=serve)
        thread.start()
        sink = destination(f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}", "h", "text/plain")
        with pytest.raises(TelemetryError, match=r"^sending to .* failed: "):
            sink.deliver([(lines[0][0], "x" * 60_000)] * 100)
        thread.join(10)


def test_of_a_receiver_that_fails_half_way_what_it_took_is_not_sent_again(tmp_path: Path) -> None:
    chain(tmp_path / "audit", *STORY)
    with web([200, 503, 503, 200, 200]) as (url, got):
        exporter = Exporter(
            url, "otlp", Following(tmp_path / "audit", from_start=True), sink_of(url, "otlp", "h"), "h"
        )
        for _ in range(3):
            all_of(exporter)
        exporter.close()
    assert [headers["Path"].rpartition("/")[2] for headers, _body in got] == [
        *("traces", "logs", "logs", "logs", "metrics")
    ]
    assert exporter.state.since == 0.0


def test_what_an_endpoint_took_is_not_sent_again_in_a_batch_that_grew(tmp_path: Path) -> None:
    chain(tmp_path / "audit", *refusals(3))
    with web([200, 503, 200, 200, 200]) as (url, got):
        exporter = Exporter(
            url, "otlp", Following(tmp_path / "audit", from_start=True), sink_of(url, "otlp", "h"), "h"
        )
        all_of(exporter)
        chain(tmp_path / "audit", *(structs.replace(one, id=f"more-{one.id}") for one in refusals(2)))
        all_of(exporter)
        exporter.close()
    bodies = [(headers["Path"].rpartition("/")[2], body) for headers, body in got]
    assert [signal for signal, _body in bodies] == ["traces", "logs", "traces", "logs", "metrics"]
    sent = [
        {span.span_id for scope in one.resource_spans[0].scope_spans for span in scope.spans}
        for one in (ExportTraceServiceRequest.FromString(body) for _, body in (bodies[0], bodies[2]))
    ]
    assert [len(ids) for ids in sent] == [3, 2]
    assert not sent[0] & sent[1]
    assert (bodies[3][1].count(b"mcpguard.invocation.id"), exporter.state.since) == (5, 0.0)


@pytest.mark.parametrize(
    ("answers", "refused"),
    [([200, 404, 404], 2), ([404, 404, 404, 404, 404, 200], 3), ([404, 200, 501], 2)],
)
def test_a_receiver_that_has_only_some_endpoints_gets_what_these_take(
    tmp_path: Path, answers: list[int], refused: int
) -> None:
    chain(tmp_path / "audit", *STORY)
    with web(answers) as (url, _got):
        exporter = Exporter(
            url, "otlp", Following(tmp_path / "audit", from_start=True), sink_of(url, "otlp", "h"), "h"
        )
        all_of(exporter)
        exporter.close()
    assert (exporter.state.refused, exporter.state.since) == (refused, 0.0)


def test_a_url_that_has_no_endpoint_at_all_fails(tmp_path: Path) -> None:
    chain(tmp_path / "audit", OUTCOME)
    with web([404] * 10) as (url, _got):
        exporter = Exporter(
            url, "otlp", Following(tmp_path / "audit", from_start=True), sink_of(url, "otlp", "h"), "h"
        )
        all_of(exporter)
        exporter.close()
    assert "answered HTTP 404" in exporter.state.problem
    assert exporter.state.refused == 0
