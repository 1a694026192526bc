"""What an operator sees of a running `mcpguard run --http`, and what it does when it is told to stop."""

import json
import shutil
import signal
import time

import pytest

from mcpguard.gateway.gateway import STOPPED, STOPPING
from tests.wire.http_session import HttpGuard
from tests.wire.session import eventually, puppet, replace


@pytest.fixture
def serve(tmp_path):
    """`serve(servers)` starts `mcpguard run --http`; at the end it is ended."""
    guards = []

    def begin(servers, **more):
        guards.append(HttpGuard(tmp_path, servers, **more))
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


def missing(guard):
    answer = guard.open("GET", "/readyz").json()
    assert answer["ready"] == all(one["ok"] for one in answer["needs"].values())
    return {name: one["problem"] for name, one in answer["needs"].items() if not one["ok"]}


def warning(guard, need):
    return guard.open("GET", "/readyz").json()["needs"][need]["warning"]


def test_ready_is_what_can_serve_whether_its_files_are_in_force_and_lost_evidence_is_not(serve):
    guard = serve({"p": puppet()})
    assert guard.modern().text("echo", text="x") == "x"
    answer = guard.open("GET", "/readyz")
    assert (answer.status, answer.json()["upstreams"][0]["name"]) == (200, "p")
    good = (guard.folder / "policy.yaml").read_text()
    replace(guard.folder / "policy.yaml", "version: 1\nrules: what")
    eventually(lambda: "refused" in warning(guard, "policies"), "the refused policy")
    assert (missing(guard), guard.open("GET", "/readyz").status) == ({}, 200)
    assert guard.modern().text("echo", text="still the old ones") == "still the old ones"
    replace(guard.folder / "policy.yaml", good + "\n")
    eventually(lambda: warning(guard, "policies") == "", "the policy that was fixed")
    shutil.rmtree(guard.audit_folder)
    guard.audit_folder.write_text("a file where the folder should be")
    assert "error" in guard.modern().call("echo", text="y")
    assert "evidence" in missing(guard)
    assert guard.open("GET", "/livez").body() == b"ok"
    guard.audit_folder.unlink()  # The folder is made again, and a new chain begins.
    eventually(lambda: missing(guard) == {}, "evidence")
    assert guard.modern().text("echo", text="z") == "z"


def test_after_a_stop_the_file_of_sessions_is_complete_without_its_log(serve):
    limited = [{"id": "all", "effect": "allow", "limit": {"calls": 1000, "per": "1h"}}]
    guard = serve({"p": puppet()}, rules=limited, session={"path": "sessions"})
    assert guard.modern().text("echo", text="x") == "x"
    folder = guard.folder / "sessions"
    assert (folder / "state.sqlite-wal").exists()
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(30) == 0
    assert not (folder / "state.sqlite-wal").exists()
    assert (folder / "state.sqlite").stat().st_size > 4096


# --- SIGTERM -------------------------------------------------------------------------------------

PATIENT = {"drain_seconds": 60}


def gated(gate):
    """The code of a call that is in flight until `gate` is there."""
    return f"say('in')\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nanswer = text('done')"


def in_flight(guard, count):
    eventually(lambda: guard.stderr.count(b"[p] in") == count, "calls in flight")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_over_http_a_signal_lets_calls_finish_and_begins_nothing(serve, tmp_path, number):
    guard = serve({"p": puppet()}, limits=PATIENT)
    clients = [guard.modern(), guard.legacy(), guard.legacy()]
    open_ones = [client.open_call("act", code=gated(tmp_path / "gate")) for client in clients]
    in_flight(guard, 3)
    guard.signal(number)
    eventually(lambda: "serving" in missing(guard), "the drain")
    assert guard.open("GET", "/livez").body() == b"ok"
    for client in clients:
        refused = client.open("tools/list")
        assert (refused.status, refused.header("connection")) == (503, "close")
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    assert guard.post(hello).status == 503
    assert clients[1].stand().status == 503
    assert clients[1].tell("notifications/roots/list_changed") == 202
    (tmp_path / "gate").touch()
    for exchange in open_ones:
        assert exchange.answer()["result"]["content"][0]["text"] == "done"
    assert guard.wait() == 0
    assert guard.statuses() == ["ok"] * 3
    assert guard.unanswered() == set()
    assert guard.records()[-1]["kind"] == "closed"


def test_over_stdio_a_signal_lets_calls_finish_and_begins_nothing(session, tmp_path):
    guard = session({"p": puppet()}, limits=PATIENT)
    call = guard.request("tools/call", {"name": "act", "arguments": {"code": gated(tmp_path / "gate")}})
    in_flight(guard, 1)
    guard.signal(signal.SIGTERM)
    eventually(lambda: any(one["what"] == "stopping" for one in guard.records("notice")), "the drain")
    assert guard.ask("tools/list")["error"]["message"] == STOPPING
    assert b"stopping (SIGTERM): no new calls start; calls in flight have " in guard.stderr
    (tmp_path / "gate").touch()
    assert guard.answer(call)["result"]["content"][0]["text"] == "done"
    assert guard.wait() == 0
    assert guard.outcome()["status"] == "ok"
    assert guard.records()[-1]["kind"] == "closed"


def test_what_does_not_finish_is_recorded_and_answered_over_stdio(session):
    guard = session(
        {"p": puppet()}, limits={"drain_seconds": 0.2}, audit={"path": "audit", "durability": "group"}
    )
    call = guard.request("tools/call", {"name": "act", "arguments": {"code": "say('in'); silent = True"}})
    listing = guard.request("tools/list", {})
    guard.answer(listing)
    cancelled = guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True"}})
    guard.notify("notifications/cancelled", requestId=cancelled)
    in_flight(guard, 1)
    guard.signal(signal.SIGTERM)
    assert guard.answer(call)["error"]["message"] == STOPPED
    assert guard.wait() == 0
    assert guard.outcome(0)["status"] == "abandoned"
    # What its client took back is not answered, as the protocol wants it.
    assert [one["id"] for one in map(json.loads, guard.received.splitlines()) if "id" in one].count(
        cancelled
    ) == 0


def test_a_second_signal_ends_at_once_with_a_record_and_an_answer(session):
    guard = session({"p": puppet()}, limits=PATIENT)
    call = guard.request("tools/call", {"name": "act", "arguments": {"code": "say('in'); silent = True"}})
    in_flight(guard, 1)
    guard.signal(signal.SIGTERM)
    eventually(lambda: any(one["what"] == "stopping" for one in guard.records("notice")), "the drain")
    began = time.monotonic()
    guard.signal(signal.SIGTERM)
    assert guard.answer(call)["error"]["message"] == STOPPED
    assert guard.wait() == 0
    assert time.monotonic() - began < PATIENT["drain_seconds"]
    assert guard.outcome()["status"] == "abandoned"


def test_an_idle_process_ends_at_once(session):
    guard = session({"p": puppet()}, limits=PATIENT)
    guard.tools()
    began = time.monotonic()
    guard.signal(signal.SIGTERM)
    assert guard.wait() == 0
    assert time.monotonic() - began < PATIENT["drain_seconds"]
