"""A sink that is down loses nothing; each destination gets whole lines, and says when it takes none."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import structs

from mcpguard.adapters.audit.following import FollowedLine, Following
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.telemetry import exporting
from mcpguard.adapters.telemetry.destinations import Rendered, destination
from mcpguard.adapters.telemetry.exporting import Exporter, sink_of
from mcpguard.config.terms import SINK_SCHEMES, SinkFormat
from mcpguard.core.errors import CredentialError, TelemetryError
from mcpguard.core.secret import Secret
from tests.adapters.telemetry.telemetry_records import (
    CLOSED,
    DECIDED,
    NOW,
    OPENED,
    OUTCOME,
    STORY,
    chain,
    events_of,
)
from tests.rows import each


class Sink:
    """Takes lines unless it is `down`; never those that are `bad`."""

    def __init__(self) -> None:
        self.down = False
        self.bad = ""
        self.got: list[str] = []
        self.closed = False

    def deliver(self, lines: Sequence[Rendered]) -> int:
        if self.down:
            raise TelemetryError("it is down")
        if self.bad and any(self.bad in line for _one, line in lines):
            raise TelemetryError("it is bad", final=True)
        self.got += [line for _one, line in lines]
        return 0

    def close(self) -> None:
        self.closed = True


class Setting:
    """A sink and who exports to it; `again` is the next process."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "audit"
        self.cursor = tmp_path / "cursor"
        self.sink = Sink()
        self.said: list[str] = []
        self.levels: list[str] = []

    def exporter(self, form: str = "cef", **options: Any) -> Exporter[FollowedLine]:
        source = Following(self.folder, self.cursor, from_start=True)
        return Exporter("there", form, source, self.sink, "host", self._say, **options)

    def _say(self, line: str, level: str) -> None:
        self.said.append(line)
        self.levels.append(level)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def all_of(exporter: Exporter[FollowedLine]) -> None:
    while exporter.step():
        pass


def test_what_a_sink_did_not_take_is_sent_when_it_is_there_again(setting: Setting) -> None:
    chain(setting.folder, *STORY)
    exporter = setting.exporter()
    setting.sink.down = True
    for _ in range(3):
        all_of(exporter)
    assert (exporter.state.problem, exporter.state.lag > 0) == ("it is down", True)
    assert len(setting.said) == 1
    chain(setting.folder, DECIDED, OUTCOME)
    setting.sink.down = False
    all_of(exporter)
    assert len(setting.sink.got) == 10 + 3
    assert len(set(setting.sink.got)) == len(setting.sink.got)
    assert setting.said[1:] == ["export to there works again"]
    assert setting.levels == ["warning", "info"]
    assert (exporter.state.lag, exporter.state.since) == (0, 0.0)


def test_a_call_is_joined_by_the_next_process_too(setting: Setting) -> None:
    sink = AuditFile(setting.folder)
    for record in (OPENED, structs.replace(DECIDED, at=datetime.now(UTC))):
        sink.write(record)
    sink.commit()
    first = setting.exporter()
    all_of(first)
    assert len(setting.sink.got) == 1
    first.close()
    sink.write(OUTCOME)
    sink.close(CLOSED)
    second = setting.exporter()
    all_of(second)
    assert "call:ok" in setting.sink.got[1]
    assert len(setting.sink.got) == 3


@pytest.mark.parametrize("between", [False, True])
def test_a_planted_chain_ends_no_call_of_another_process(setting: Setting, between: bool) -> None:
    sink = AuditFile(setting.folder)
    for record in (OPENED, structs.replace(DECIDED, at=datetime.now(UTC))):
        sink.write(record)
    sink.commit()
    if between:
        first = setting.exporter()
        all_of(first)
        first.close()
    # As if that one had been killed, and a line of it already exported.
    planted = AuditFile(setting.folder)
    for record in (
        structs.replace(OPENED, continues=sink.path.name),
        structs.replace(OUTCOME, status="error"),
    ):
        planted.write(record)
    planted.commit()
    second = setting.exporter()
    all_of(second)
    (alone,) = [line for line in setting.sink.got if OUTCOME.id in line]
    assert "call:" not in alone
    sink.write(OUTCOME)
    sink.commit()
    all_of(second)
    second.close()
    assert [line for line in setting.sink.got if "call:ok" in line] == setting.sink.got[-1:]
    for file in (sink, planted):
        file.close(CLOSED)


def test_a_process_that_was_killed_hands_its_backlog_to_the_next(setting: Setting) -> None:
    chain(setting.folder, DECIDED, OUTCOME, close=False)
    one, two = setting.exporter(), setting.exporter()
    setting.sink.down = True
    all_of(one)
    all_of(two)
    assert two.state.standby
    one.close()  # As the system does it for a process that ends.
    setting.sink.down = False
    all_of(two)
    assert not two.state.standby
    assert len(setting.sink.got) == 2


def test_a_process_that_waits_knows_that_the_one_that_exports_cannot_deliver(setting: Setting) -> None:
    chain(setting.folder, *STORY)
    one, two = setting.exporter(), setting.exporter()
    setting.sink.down = True
    all_of(one)
    all_of(two)
    assert (two.state.standby, two.state.problem, bool(two.state.since)) == (True, "it is down", True)
    assert setting.said == ["export to there is failing (reported once): it is down"]
    setting.sink.down = False
    all_of(one)
    all_of(two)
    assert (two.state.standby, two.state.problem, two.state.since) == (True, "", 0.0)
    setting.sink.down = True
    chain(setting.folder, DECIDED, OUTCOME)
    all_of(one)
    one.close()  # As the system does it for a process that ends.
    three, four = setting.exporter(), setting.exporter()
    three.step()
    setting.sink.down = False
    all_of(three)
    all_of(four)
    assert (four.state.standby, four.state.problem) == (True, "")


def test_a_sink_that_takes_nothing_for_long_fails_though_it_says_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(setting.folder, *STORY)
    exporter = setting.exporter()
    exporter.look()
    answers = threading.Event()
    given = threading.Event()

    def deliver(_lines: Sequence[Rendered]) -> int:
        given.set()
        assert answers.wait(20)
        return 0

    monkeypatch.setattr(setting.sink, "deliver", deliver)
    monkeypatch.setattr(exporting, "LATE_SECONDS", -1.0)
    thread = threading.Thread(target=exporter.step)
    thread.start()
    assert given.wait(20)
    for _ in range(2):
        exporter.look()
    assert exporter.state.problem == "it has accepted nothing for -1 seconds"
    answers.set()
    thread.join(20)
    exporter.look()
    assert exporter.state.since == 0.0
    assert [line.partition(" ")[0] for line in setting.said] == ["export", "export"]


def test_a_call_without_an_outcome_for_an_hour_is_exported_as_it_is(setting: Setting) -> None:
    chain(setting.folder, DECIDED, close=False)  # Of 2026-08-01.
    exporter = setting.exporter()
    all_of(exporter)
    assert "no-outcome" in setting.sink.got[1]


def test_what_a_sink_never_takes_is_left_out_alone(setting: Setting) -> None:
    chain(setting.folder, *STORY)
    setting.sink.bad = "externalId=n-3 "
    exporter = setting.exporter()
    all_of(exporter)
    assert len(setting.sink.got) == 10 - 1
    assert exporter.state.refused == 1
    assert "some records" in setting.said[0]


def test_records_are_as_they_were_as_jsonl(setting: Setting) -> None:
    path = chain(setting.folder, *STORY)
    exporter = setting.exporter("jsonl")
    all_of(exporter)
    assert "".join(line + "\n" for line in setting.sink.got).encode() == path.read_bytes()
    exporter.flush()


def test_what_was_over_before_is_left_out(setting: Setting) -> None:
    late = structs.replace(DECIDED, at=NOW + timedelta(days=1), effect="deny", id="n-9")
    chain(setting.folder, DECIDED, OUTCOME, late)
    all_of(setting.exporter(since=NOW + timedelta(hours=1)))
    assert ["n-9" in line for line in setting.sink.got] == [True]


def test_it_runs_until_it_is_ended(setting: Setting) -> None:
    chain(setting.folder, DECIDED, OUTCOME)
    exporter = setting.exporter()
    thread = threading.Thread(target=exporter.run)
    told = threading.Event()
    real = setting.sink.deliver

    def deliver(lines: Sequence[Rendered]) -> int:
        real(lines)
        told.set()
        return 0

    setting.sink.deliver = deliver  # type: ignore[method-assign]
    thread.start()
    assert told.wait(10)
    exporter.end()
    thread.join(10)
    assert not thread.is_alive()
    assert setting.sink.closed


def test_a_cursor_that_cannot_be_kept_is_said(setting: Setting, tmp_path: Path) -> None:
    chain(setting.folder)
    (tmp_path / "file").write_text("")
    setting.cursor = tmp_path / "file" / "cursor"
    exporter = setting.exporter()
    all_of(exporter)
    assert "cannot be saved" in exporter.state.problem
    assert setting.sink.got == []


# --- destinations ---------------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path: Path) -> list[Rendered]:
    return [(one, f"line {index}") for index, one in enumerate(events_of(tmp_path / "evidence"))]


def test_a_file_gets_its_header_once(tmp_path: Path, lines: list[Rendered]) -> None:
    path = tmp_path / "out.csv"
    for _ in range(2):
        sink = sink_of(str(path), "csv", "h")
        sink.deliver(lines[:2])
        sink.deliver(lines[2:3])
        sink.close()
    text = path.read_text()
    assert text.count("at,kind") == 1
    assert text.splitlines()[1:] == ["line 0", "line 1", "line 2"] * 2
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TelemetryError, match="cannot be written: Is a directory"):
        sink_of(str(tmp_path), "cef", "h").deliver(lines)


def test_a_file_that_was_emptied_in_place_gets_its_header_again(
    tmp_path: Path, lines: list[Rendered]
) -> None:
    path = tmp_path / "out.csv"
    sink = sink_of(str(path), "csv", "h")
    sink.deliver(lines[:1])
    path.write_bytes(b"")
    sink.deliver(lines[1:2])
    sink.deliver(lines[2:3])
    sink.close()
    header, *rows = path.read_text().splitlines()
    assert header.startswith("at,kind")
    assert rows == ["line 1", "line 2"]


@pytest.mark.parametrize("form", get_args(SinkFormat))
def test_a_call_has_its_line_in_every_format_that_a_configuration_may_name(
    setting: Setting, form: str
) -> None:
    chain(setting.folder, *STORY)
    with web([200] * 3) as (url, got):
        source = Following(setting.folder, from_start=True)
        exporter = Exporter(url, form, source, sink_of(url, form, "h"), "h", lambda _line, _level: None)
        exporter.step()
        exporter.close()
    assert any(DECIDED.id.encode() in body for _headers, body in got)


@each("scheme", SINK_SCHEMES)
def test_each_scheme_that_a_configuration_may_name_has_its_destination(scheme: str) -> None:
    sink_of(f"{scheme}://127.0.0.1:9/x", "cef", "h").close()


@pytest.mark.parametrize("url", ["ftp://a", "http://", "syslog+tcp://a:99999", "https://[::1"])
def test_an_unknown_url_is_refused(url: str) -> None:
    with pytest.raises(TelemetryError, match="not a destination"):
        destination(url, "h", "text/plain")


@each("form", ["cef", "otlp"])
@each("scheme", ["http", "https", "syslog+tcp", "syslog+udp"])
def test_a_url_with_a_password_is_refused_and_not_repeated(scheme: str, form: str) -> None:
    with pytest.raises(TelemetryError) as refused:
        sink_of(f"{scheme}://me:canary@127.0.0.1:9/?token=canary", form, "h").close()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("form", ["cef", "otlp"])
def test_the_query_of_a_url_is_in_no_message(setting: Setting, form: str) -> None:
    chain(setting.folder)
    said: list[str] = []
    with web([503]) as (url, _got):
        to = f"{url}?token=canary"
        source = Following(setting.folder, from_start=True)
        exporter = Exporter(to, form, source, sink_of(to, form, "h"), "h", lambda line, _: said.append(line))
        exporter.step()
        exporter.close()
    assert "answered HTTP 503" in said[0]
    assert "canary" not in f"{said}{exporter.state}"


@contextmanager
def web(
    answers: list[int], body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[tuple[Any, bytes]]]]:
    """A server on loopback that answers with these statuses; what it got, `Path` among the headers."""
    got: list[tuple[Any, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.headers["Path"] = self.path
            got.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0))
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/in", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_endpoint_gets_lines_and_its_headers(lines: list[Rendered]) -> None:
    with web([200, 503, 400]) as (url, got):
        sink = sink_of(url, "ocsf", "h", lambda: {"Authorization": Secret("Bearer t")})
        sink.deliver(lines[:2])
        with pytest.raises(TelemetryError, match="answered HTTP 503") as late:
            sink.deliver(lines[:1])
        with pytest.raises(TelemetryError, match="answered HTTP 400") as never:
            sink.deliver(lines[:1])
        sink.close()
    assert (late.value.final, never.value.final) == (False, True)
    assert got[0][1] == b"line 0\nline 1\n"
    assert (got[0][0]["Content-Type"], got[0][0]["Authorization"]) == ("application/x-ndjson", "Bearer t")
    with pytest.raises(TelemetryError, match="http"):
        sink.deliver(lines)
    sink.close()


def test_a_header_that_is_not_available_is_said(lines: list[Rendered]) -> None:
    def headers() -> dict[str, Secret]:
        raise CredentialError("keyring:x is locked")

    sink = sink_of("http://127.0.0.1:9/", "cef", "h", headers)
    with pytest.raises(TelemetryError, match="keyring:x is locked"):
        sink.deliver(lines)
    sink.close()


def test_syslog_over_tcp_gets_counted_octets(lines: list[Rendered]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        got: list[bytes] = []

        def serve() -> None:
            made, _ = server.accept()
            with made:
                while data := made.recv(65536):
                    got.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        to = f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}"
        sink = destination(to, "h", "text/plain")
        sink.deliver(lines[:2])
        thread.join()
        sink.close()
    data = b"".join(got)
    for index in range(2):
        count, _, data = data.partition(b" ")
        message, data = data[: int(count)], data[int(count) :]
        assert message.endswith(b"line %d" % index)
    assert data == b""
    with pytest.raises(TelemetryError, match=r"^sending to .* failed: "):
        sink.deliver(lines)


def datagrams(server: socket.socket, to: str, lines: list[Rendered], end: Callable[[], None]) -> None:
    server.settimeout(10)
    sink = destination(to, "h", "text/plain")
    sink.deliver(lines[:2])
    assert [server.recv(65536).split(b" - ")[-1] for _ in range(2)] == [b"line 0", b"line 1"]
    server.close()
    end()
    with pytest.raises(TelemetryError, match=r"^sending to .* failed: "):
        sink.deliver(lines)  # That nobody listens is heard of with the second one.
    sink.close()


def test_syslog_over_udp_gets_a_datagram_each(lines: list[Rendered]) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    datagrams(server, f"syslog+udp://127.0.0.1:{server.getsockname()[1]}", lines, lambda: None)


def test_syslog_over_a_socket_of_the_system_gets_a_datagram_each(
    lines: list[Rendered], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(path))
    datagrams(server, f"syslog+unix://{path}", lines, path.unlink)
    with pytest.raises(TelemetryError, match=r"^sending to .* failed: "):
        destination(f"syslog+unix://{path}", "h", "text/plain").deliver(lines)
