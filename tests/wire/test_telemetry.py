"""Evidence is exported while mcpguard serves: no call waits for a sink, and a sink that is down loses nothing."""

import http.server
import json
import resource
import sys
import threading

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from mcpguard.protocol.trace import ids_of
from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet, write_config
from tests.wire.test_reloading import notices
from tests.wire.warm import command

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "canary-9f2b71c0de"


class Receiver:
    """An HTTP endpoint on loopback; while it is `down` it answers 503. `got` is what it took."""

    def __init__(self):
        self.down = False
        self.got = []
        self.headers = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver.down:
                    receiver.headers.append(dict(self.headers))
                    receiver.got.append((self.path, body))
                self.send_response(503 if receiver.down else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def read(self, signal, message):
        return [message.FromString(body) for path, body in self.got if path == f"/v1/{signal}"]

    def spans(self):
        read = self.read("traces", ExportTraceServiceRequest)
        return [one for each in read for one in each.resource_spans[0].scope_spans[0].spans]

    def events(self):
        return [json.loads(line) for _path, body in self.got for line in body.splitlines()]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def evidence(folder):
    """The records of all processes."""
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_bytes().splitlines()]


def sinks(*entries, audit=None, **more):
    own = {} if audit is None else {"audit": audit}
    return {"telemetry": {"sinks": list(entries), **more}, **own}


def test_a_call_is_a_span_under_the_callers_whose_id_went_upstream(session, receiver):
    headers = {"Authorization": "Bearer ${env:OTEL}"}
    more = sinks({"to": receiver.url, "format": "otlp", "headers": headers})
    guard = session({"p": puppet()}, env={"OTEL": SECRET}, **more)
    guard.call("echo", text="no trace")
    params = {"name": "echo", "arguments": {"text": "hello"}, "_meta": {"traceparent": PARENT}}
    guard.answer(guard.request("tools/call", params))
    identity = next(one["id"] for one in guard.records("decision") if one.get("trace") == PARENT)
    own = ids_of(identity, "")[1]
    eventually(lambda: any(one.span_id == own for one in receiver.spans()), "the span")
    found = receiver.spans()
    (span,) = [one for one in found if one.span_id == own]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert {"mcpguard decide", "mcpguard inspect"} <= {one.name for one in found if one.parent_span_id == own}
    assert receiver.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET.encode() not in guard.stderr

    def counted():
        read = receiver.read("metrics", ExportMetricsServiceRequest)
        return {one.name for each in read for one in each.resource_metrics[0].scope_metrics[0].metrics}

    wanted = {"mcp.server.operation.duration", "mcpguard.calls"}
    eventually(lambda: wanted <= counted(), "the metrics")
    assert guard.end() == 0


def test_what_a_sink_missed_it_gets_from_the_next_process(session, receiver, tmp_path):
    receiver.down = True
    more = sinks({"to": f"{receiver.url}/in", "format": "jsonl"}, audit={"path": str(tmp_path / "all")})
    first = session({"p": puppet()}, **more)
    first.call("echo", text="while it is down")
    first.wait_stderr("is failing (reported once)")

    def told():
        status = json.loads(command("status", "--json").stdout)
        (sink,) = [one for each in status["running"] if each["pid"] == first.pid for one in each["sinks"]]
        return sink["problem"] and sink

    sink = eventually(told, "the problem in status")
    assert (sink["format"], sink["problem"].endswith("answered HTTP 503")) == ("jsonl", True)
    assert sink["lag"] > 0
    assert first.end() == 0
    receiver.down = False
    second = session({"p": puppet()}, **more)
    second.call("echo", text="now")
    assert second.end() == 0
    seen = [(one["kind"], one.get("id")) for one in receiver.events()]
    recorded = [(one["kind"], one.get("id")) for one in evidence(tmp_path / "all")]
    assert sorted(map(str, seen)) == sorted(map(str, recorded))
    assert sum(kind == "outcome" for kind, _ in seen) >= 2


def test_where_it_must_not_go_on_everything_is_refused_until_the_sink_is_there_again(session, receiver):
    receiver.down = True
    sink = {"to": f"{receiver.url}/in", "format": "ocsf"}
    guard = session({"p": puppet()}, **sinks(sink, on_sink_failure="block"))
    guard.wait_stderr("is failing (reported once)")
    eventually(lambda: notices(guard, "telemetry-blocked"), "the notice")
    guard.wait_stderr("so every request is refused until it does (`telemetry.on_sink_failure: block`)")
    refused = guard.call("echo", text="x")["error"]["message"]
    said = f"mcpguard cannot export evidence to {receiver.url}, so this request was refused"
    assert refused == f"{said}; `mcpguard status` shows an operator why"
    assert not guard.records("decision")
    receiver.down = False
    guard.wait_stderr("works again")
    guard.wait_stderr("requests are served: 2 requests were refused meanwhile")
    (ended,) = eventually(lambda: notices(guard, "telemetry-resumed"), "the end of it")
    assert "refused meanwhile" in ended
    assert guard.text("echo", text="y") == "y"
    eventually(lambda: any(one["class_uid"] == 6003 for one in receiver.events()), "the call")


def test_a_sink_that_is_configured_while_it_serves_gets_what_follows_and_one_that_is_gone_nothing(
    session, tmp_path
):
    guard = session({"p": puppet()})
    assert guard.text("echo", text="before") == "before"
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"

    def to(*places):
        sinks = [{"to": str(place), "format": "jsonl"} for place in places]
        write_config(guard.folder, {"p": puppet()}, telemetry={"sinks": sinks})

    to(one)
    guard.wait_stderr("the changed configuration is now in force: telemetry")
    assert guard.text("echo", text="first") == "first"
    eventually(lambda: one.exists() and b'"first"' in one.read_bytes(), "what followed")
    assert b'"before"' not in one.read_bytes()
    to(one, two)
    eventually(lambda: guard.stderr.count(b"now in force: telemetry") == 2, "the second change")
    assert guard.text("echo", text="second") == "second"
    eventually(lambda: two.exists() and b'"second"' in two.read_bytes(), "what came to the second")
    to(two)
    eventually(lambda: guard.stderr.count(b"now in force: telemetry") == 3, "the third change")

    def is_over(calls=iter(range(100))):  # noqa: B008
        before, text = one.read_bytes(), f"call {next(calls)}"
        assert guard.text("echo", text=text) == text
        eventually(lambda: text.encode() in two.read_bytes(), "what came to the one that is left")
        return one.read_bytes() == before

    eventually(is_over, "the end of the first")
    assert b'"second"' in one.read_bytes()


def test_whether_a_sink_that_fails_stops_serving_can_change_while_it_serves(session, receiver):
    receiver.down = True
    sink = {"to": f"{receiver.url}/in", "format": "ocsf"}
    guard = session({"p": puppet()}, **sinks(sink))
    guard.wait_stderr("is failing (reported once)")
    assert guard.text("echo", text="before") == "before"
    write_config(guard.folder, {"p": puppet()}, telemetry={"sinks": [sink], "on_sink_failure": "block"})
    guard.wait_stderr("so every request is refused until it does")
    assert "cannot export evidence" in guard.call("echo", text="x")["error"]["message"]
    write_config(guard.folder, {"p": puppet()}, telemetry={"sinks": [sink]})
    guard.wait_stderr("sinks no longer stop serving; requests are served: 1 request was refused meanwhile")
    assert guard.text("echo", text="after") == "after"


def test_two_processes_export_each_record_once(session, receiver, tmp_path):
    more = sinks({"to": f"{receiver.url}/in", "format": "jsonl"}, audit={"path": str(tmp_path / "all")})
    one, two = (session({"p": puppet()}, **more) for _ in range(2))
    for guard in (one, two):
        guard.call("echo", text="x")
    for guard in (one, two):
        assert guard.end() == 0
    third = session({"p": puppet()}, **more)
    assert third.end() == 0
    hashes = [event["hash"] for event in receiver.events()]
    assert len(hashes) == len(set(hashes))
    assert len(hashes) == len(evidence(tmp_path / "all"))


# --- Prometheus -----------------------------------------------------------------------------------


@pytest.fixture
def serve(tmp_path):
    """`serve(**more)` starts `mcpguard run --http`; at the end it is ended."""
    guards = []

    def begin(**more):
        guards.append(HttpGuard(tmp_path, {"p": puppet()}, **more))
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


def samples(guard):
    answer = guard.open("GET", "/metrics")
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.body().decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_prometheus_reads_what_the_process_counted(serve):
    guard = serve(telemetry={"metrics": True})
    for text in "ab":
        guard.modern().call("echo", text=text)
    guard.modern().call("none-of-this-name")
    found = samples(guard)
    call = ("p", "echo", "tools/call", "allow", "", "ok", "")
    assert found["mcpguard_calls_total", *call] == 2
    assert found["mcpguard_call_duration_seconds_bucket", *call, "+Inf"] == 2
    assert found["mcpguard_ready", "evidence"] == 1
    assert "none-of-this-name" not in str(found)
    guard.modern().call("echo", text="c")
    assert samples(guard)["mcpguard_calls_total", *call] == 3
    assert guard.open("GET", "/metrics", host="evil.example").status in (403, 421)


def test_a_sink_that_stops_serving_makes_mcpguard_not_ready(serve, receiver):
    receiver.down = True
    sink = {"to": f"{receiver.url}/in", "format": "ocsf"}
    guard = serve(telemetry={"sinks": [sink], "on_sink_failure": "block", "metrics": True})
    answer = eventually(lambda: (found := guard.open("GET", "/readyz")).status == 503 and found, "not ready")
    need = answer.json()["needs"]["telemetry"]
    assert need["ok"] is False
    assert need["problem"].startswith(f"{receiver.url}/in ")
    assert samples(guard)["mcpguard_ready", "telemetry"] == 0
    receiver.down = False
    eventually(lambda: guard.open("GET", "/readyz").status == 200, "ready again")


def test_there_are_metrics_only_as_long_as_the_configuration_says_so(serve):
    guard = serve()
    assert guard.open("GET", "/metrics").status == 404
    assert guard.modern().call("echo", text="a")
    write_config(guard.folder, {"p": puppet()}, telemetry={"metrics": True})
    eventually(lambda: guard.open("GET", "/metrics").status == 200, "metrics")
    call = ("p", "echo", "tools/call", "allow", "", "ok", "")
    assert samples(guard)["mcpguard_calls_total", *call] == 1
    write_config(guard.folder, {"p": puppet()})
    eventually(lambda: guard.open("GET", "/metrics").status == 404, "no metrics")


# --- alerts ---------------------------------------------------------------------------------------


def test_many_refusals_raise_one_alert_with_the_calls_that_caused_it(session, receiver, tmp_path):
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"
    said = tmp_path / "said"
    command_line = [sys.executable, "-c", code, str(said)]
    more = {"alerts": {"webhook": f"{receiver.url}/hook", "command": command_line, "denials_per_minute": 3}}
    guard = session({"p": puppet()}, [{"id": "no", "effect": "deny", "tools": ["*"]}], **more)
    for text in ("canary-1", "canary-2", "canary-3", "canary-4"):
        guard.call("echo", text=text)
    (alert,) = eventually(receiver.events, "the alert")
    refused = [one["id"] for one in guard.records("decision") if one["effect"] == "deny"]
    assert (alert["alert"], alert["count"]) == ("denials", 3)
    assert [one["id"] for one in alert["records"]] == refused[:3]
    assert "canary" not in json.dumps(alert)
    eventually(said.exists, "the program")
    assert guard.end() == 0
    assert [json.loads(line) for line in said.read_text().splitlines()] == [alert]
    assert len(receiver.events()) == 1


def test_a_command_that_hangs_does_not_hold_up_the_webhook(session, receiver):
    command_line = [sys.executable, "-c", "import time; time.sleep(300)"]
    more = {"alerts": {"webhook": f"{receiver.url}/hook", "command": command_line, "denials_per_minute": 1}}
    guard = session({"p": puppet()}, [{"id": "no", "effect": "deny", "tools": ["*"]}], **more)
    guard.call("echo", text="x")
    (alert,) = eventually(receiver.events, "the alert")
    assert alert["alert"] == "denials"
    status = json.loads(command("status", "--json").stdout)
    (sinks,) = [one["sinks"] for one in status["running"] if one["pid"] == guard.pid]
    assert {one["to"] for one in sinks} == {"the command", f"the webhook at {receiver.url[7:]}"}


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is of Linux")
def test_an_alert_says_that_no_evidence_can_be_written_while_it_cannot(session, receiver):
    guard = session({"p": puppet()}, alerts={"webhook": f"{receiver.url}/hook"})
    guard.call("echo", text="x")
    none = resource.RLIM_INFINITY
    # No file can have the first record of a chain.
    resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, (200, none))
    assert "cannot write its audit log" in str(guard.call("echo", text="x"))
    (alert,) = eventually(receiver.events, "the alert")
    assert (alert["alert"], alert["records"]) == ("evidence-lost", [])
    resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, (none, none))
    _, over = eventually(lambda: len(found := receiver.events()) > 1 and found, "the other alert")
    assert over["alert"] == "evidence-gap"
    assert guard.end() == 0


def test_an_alert_says_that_no_evidence_can_be_written_where_its_folder_is_gone(session, receiver):
    guard = session({"p": puppet()}, alerts={"webhook": f"{receiver.url}/hook"})
    guard.call("echo", text="x")
    folder = guard.folder / "audit"
    folder.rename(guard.folder / "away")
    folder.write_bytes(b"")
    eventually(lambda: "cannot write its audit log" in str(guard.call("echo", text="x")), "the refusal")
    (alert,) = eventually(receiver.events, "the alert")
    assert (alert["alert"], alert["records"]) == ("evidence-lost", [])


def test_a_webhook_that_fails_is_named_by_its_host_since_its_path_may_be_secret(session, receiver):
    receiver.down = True
    more = {"alerts": {"webhook": f"{receiver.url}/services/{SECRET}?key={SECRET}", "denials_per_minute": 1}}
    guard = session({"p": puppet()}, [{"id": "no", "effect": "deny", "tools": ["*"]}], **more)
    guard.call("echo", text="x")
    host = receiver.url.removeprefix("http://")
    said = f"the webhook at {host}: it answered HTTP 503"
    guard.wait_stderr(f"sending alerts is failing (reported once): {said}")
    status = eventually(
        lambda: (out := command("status", "--json").stdout) and said.encode() in out and out, "it"
    )
    assert SECRET.encode() not in status + guard.stderr
    assert guard.end() == 0


def test_the_url_of_a_webhook_can_be_a_reference_and_reaches_neither_servers_nor_clients(session, receiver):
    url = f"{receiver.url}/services/{SECRET}"
    guard = session({"p": puppet()}, env={"HOOK": url}, alerts={"webhook": "${env:HOOK}"})
    assert guard.text("act", code="import os; answer = text(str('HOOK' in os.environ))") == "False"
    assert SECRET not in guard.text("act", code=f"answer = text({url[:-4]!r} + {url[-4:]!r})")
    (alert,) = eventually(receiver.events, "the alert")
    assert (alert["alert"], alert["about"]) == ("held-secret", "p")
    assert guard.end() == 0


def test_a_webhook_whose_reference_holds_no_url_is_reported_without_it(session):
    more = {"alerts": {"webhook": "${env:HOOK}", "denials_per_minute": 1}}
    rules = [{"id": "no", "effect": "deny", "tools": ["*"]}]
    guard = session({"p": puppet()}, rules, env={"HOOK": f"ftp://h/{SECRET}"}, **more)
    guard.call("echo", text="x")
    guard.wait_stderr("the webhook: its URL must be an https:// URL with a host")
    assert SECRET.encode() not in guard.stderr
    assert guard.end() == 0


def test_a_held_secret_in_a_result_raises_an_alert_that_does_not_show_it(session, receiver):
    server = puppet(env={"TOKEN": "${env:CANARY}"})
    more = {"alerts": {"webhook": f"{receiver.url}/hook"}}
    guard = session({"p": server}, env={"CANARY": SECRET}, **more)
    guard.text("act", code="answer = text('seen ' + token)")
    (alert,) = eventually(receiver.events, "the alert")
    assert (alert["alert"], alert["about"]) == ("held-secret", "p")
    assert SECRET not in json.dumps(alert)
