"""Threat: an upstream outlives the session that started it, or mcpguard itself, over HTTP (law 9)."""

import json
import signal
import socket
import struct

import pytest

from mcpguard.gateway.gateway import STOPPED
from tests.attack.processes import family, needs_proc, orphanage
from tests.attack.test_orphans import alone, launcher
from tests.wire.session import eventually, puppet

pytestmark = needs_proc


@pytest.fixture(autouse=True)
def _orphanage():
    with orphanage():
        yield


def marked(mark):
    """A puppet that can be told from others by its command line."""
    return puppet("--mark", mark)


def puppets(mark="puppet.py"):
    """The living upstreams."""
    return {pid for pid, line in family().items() if mark in line and "run --config" not in line}


def gone(pids):
    """Wait until none of them lives."""
    eventually(lambda: not pids & family().keys(), f"the end of {pids}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_leaves_no_process_of_any_session(serve, number):
    before = family()
    guard = serve({"stuck": launcher(), "other": launcher()})
    clients = [guard.modern(), guard.legacy(), guard.legacy()]
    assert [len(client.tools()) for client in clients] == [8, 8, 8]
    clients[1].open_call("stuck__act", code="say('in'); time.sleep(60)")
    guard.wait_stderr("[stuck] in")
    guard.signal(number)
    alone(before)
    assert guard.wait() == (-number if number == signal.SIGKILL else 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_while_the_first_upstreams_start_leaves_no_process(serve, number):
    before = family()
    guard = serve({"stuck": launcher(), "other": launcher()})
    open_ones = [guard.modern().open("tools/list"), guard.legacy().open("tools/list")]
    eventually(puppets, "a first upstream")
    guard.signal(number)
    alone(before)
    for exchange in open_ones:
        exchange.close()


def test_an_orderly_end_answers_the_open_calls_and_leaves_an_outcome_for_each(serve):
    guard = serve({"only": puppet()})
    open_ones = [
        client.open_call("act", code="say('in'); silent = True")
        for client in (guard.modern(), guard.legacy())
    ]
    eventually(lambda: guard.stderr.count(b"[only] in") == 2, "both calls")
    guard.signal(signal.SIGTERM)
    assert [exchange.answer()["error"]["message"] for exchange in open_ones] == [STOPPED] * 2
    assert guard.wait() == 0
    assert guard.unanswered() == set()
    assert guard.statuses() == ["abandoned", "abandoned"]
    assert guard.records()[-1]["kind"] == "closed"


def test_delete_ends_the_upstreams_of_its_session_and_of_no_other(serve):
    guard = serve({"one": marked("one"), "two": marked("two")})
    first, second = guard.legacy(), guard.legacy()
    first.tools()
    old = puppets()
    second.tools()
    new = puppets() - old
    assert (len(old), len(new)) == (2, 2)
    waiting = first.open_call("one__act", code="say('in'); silent = True")
    guard.wait_stderr("[one] in")
    assert first.delete() in (200, 204)
    gone(old)
    assert "error" in waiting.answer()
    assert second.text("two__echo", text="x") == "x"
    assert puppets() == new
    assert guard.statuses() == ["abandoned", "ok"]
    assert first.open("tools/list").status == 404


FLOOD = (
    "for n in range(20000): notify('notifications/progress', progress=n, message='x' * 1000,"
    " progressToken=params['_meta']['progressToken']); n == 0 and say('in')"
)


def test_a_session_whose_client_does_not_read_can_be_deleted(serve):
    guard = serve({"only": puppet()})
    slow, other = guard.legacy(), guard.modern()
    slow.tools()
    old = puppets()
    unread = slow.open("tools/call", name="act", arguments={"code": FLOOD}, _meta={"progressToken": 1})
    guard.wait_stderr("[only] in")
    assert slow.delete() in (200, 204)
    gone(old)
    assert guard.statuses() == ["abandoned"]
    assert other.text("echo", text="x") == "x"
    unread.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_process_though_clients_do_not_read(serve, number):
    before = family()
    guard = serve({"stuck": launcher()})
    for client in (guard.legacy(), guard.modern()):
        meta = {"progressToken": 1}
        client.open("tools/call", name="act", arguments={"code": FLOOD}, _meta=meta)
    eventually(lambda: guard.stderr.count(b"[stuck] in") == 2, "both floods")
    guard.signal(number)
    eventually(lambda: not puppets(), "the end of the upstreams")
    assert guard.wait() == (-number if number == signal.SIGKILL else 0)
    alone(before)


def test_an_idle_session_ends_with_its_upstreams_and_one_with_an_open_stream_does_not(serve):
    guard = serve({"only": puppet()}, http={"session_idle_seconds": 1})
    kept, idle, modern = guard.legacy(), guard.legacy(), guard.modern()
    stream = kept.stand()
    assert stream.status == 200
    kept.tools()
    staying = puppets()
    idle.tools()
    modern.tools()
    assert len(puppets()) == 3
    gone(puppets() - staying)
    assert kept.text("echo", text="x") == "x"
    assert puppets() == staying
    assert idle.open("tools/list").status == 404
    assert modern.text("echo", text="again") == "again"


def test_the_end_of_an_sse_stream_ends_the_upstreams_of_its_session(serve):
    guard = serve({"only": puppet()})
    stream = guard.open("GET", "/sse", accept="text/event-stream")
    place = stream.response.readline() + stream.response.readline()
    path = place.split(b"data: ")[1].strip().decode()
    hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    for message in (
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert guard.open("POST", path, body, content_type="application/json").status == 202
    stream.wait(lambda message: message.get("id") == 2)
    assert len(puppets()) == 1
    old = puppets()
    stream.close()
    gone(old)
    assert guard.modern().text("echo", text="x") == "x"


def test_a_client_that_breaks_its_connection_in_initialize_leaves_no_session(serve):
    guard = serve({"only": puppet()}, http={"max_sessions": 1})
    for _ in range(20):
        exchange = guard.open(
            "POST", body=b'{"jsonrpc"', content_type="application/json", content_length="500"
        )
        exchange.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.close()
    assert guard.legacy().text("echo", text="x") == "x"
    assert len(puppets()) == 1


def test_many_sessions_that_come_and_go_leave_no_process_and_no_memory(serve):
    guard = serve({"only": puppet()}, http={"max_sessions": 4})
    first = guard.legacy()
    first.text("echo", text="x")
    assert first.delete() in (200, 204)
    gone(puppets())
    before = guard.rss()
    for n in range(12):
        client = guard.legacy()
        assert client.text("echo", text=str(n)) == str(n)
        assert client.delete() in (200, 204)
        gone(puppets())
    assert guard.rss() - before < 4 * 2**20
