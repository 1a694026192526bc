"""Batches of revision 2025-03-26 (basic/index, batching), which no other revision has."""

import json

import pytest

from tests.wire.http_session import HttpGuard
from tests.wire.session import puppet

REVISION = "2025-03-26"
RULES = [
    {"id": "some", "effect": "allow", "tools": ["echo"]},
    {"id": "not-this", "effect": "deny", "tools": ["echo"], "when": 'args.text == "bad"'},
]


def request(request_id, method, **params):
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def echo(request_id, text):
    return request(request_id, "tools/call", name="echo", arguments={"text": text})


def line(*messages):
    return (
        b"["
        + b",".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages)
        + b"]"
    )


def said(answer):
    if "error" in answer:
        return answer["error"]["code"]
    content = answer["result"].get("content")
    return content[0]["text"] if content else answer["result"]


@pytest.fixture
def begin(start):
    """`begin(rules)` starts a session of revision 2025-03-26 over stdio."""

    def hello(rules=None):
        guard = start({"p": puppet()}, rules)
        assert guard.hello(REVISION)["protocolVersion"] == REVISION
        return guard

    return hello


@pytest.fixture
def front(tmp_path):
    """A guard over HTTP."""
    guard = HttpGuard(tmp_path, {"p": puppet()}, RULES)
    yield guard
    guard.dispose()


def test_each_message_of_a_batch_is_decided_and_recorded_by_itself(begin):
    guard = begin(RULES)
    notice = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    guard.send(line(echo("a", "one"), notice, echo("b", "bad"), request("c", "ping"), echo("d", "four")))
    answers = {one: guard.answer(one) for one in "abcd"}
    assert (said(answers["a"]), said(answers["c"]), said(answers["d"])) == ("one", {}, "four")
    assert answers["b"]["result"]["isError"] is True
    calls = [one["effect"] for one in guard.records("decision") if one["method"] == "tools/call"]
    assert calls == ["allow", "deny", "allow"]
    assert len({one["id"] for one in guard.records("decision")}) == len(guard.records("decision"))


def test_what_is_no_message_in_a_batch_is_refused_and_the_others_are_served(begin):
    guard = begin()
    twice = b'{"jsonrpc":"2.0","id":"x","id":"y","method":"ping"}'
    first = len(guard.messages)
    guard.send(line(b"1", twice, [request("n", "ping")], request("v", "nothing/such"), echo("z", "last")))
    assert said(guard.answer("z")) == "last"
    assert said(guard.answer("v")) == -32601
    refused = [one for one in guard.messages[first:] if "error" in one and one["id"] != "v"]
    assert [(one["id"], said(one)) for one in refused] == [(None, -32600), ("y", -32600), (None, -32600)]


def test_initialize_in_a_batch_is_refused(begin, start):
    hello = request("i", "initialize", protocolVersion=REVISION, capabilities={}, clientInfo={})
    guard = begin()
    guard.send(line(hello, request("p", "ping")))
    assert (said(guard.answer("i")), said(guard.answer("p"))) == (-32600, {})
    fresh = start({"p": puppet()})
    fresh.send(line(hello))
    fresh.pump(until=lambda: fresh.messages)
    assert [(one["id"], said(one)) for one in fresh.messages] == [(None, -32600)]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_of_no_or_too_many_messages_is_refused_whole(begin, count):
    guard = begin()
    before = len(guard.messages)
    guard.send(line(*(request(f"p{number}", "ping") for number in range(count))))
    assert guard.ask("ping")["result"] == {}
    assert [(one["id"], said(one)) for one in guard.messages[before:-1]] == [(None, -32600)]


def test_a_hundred_messages_are_answered(begin):
    guard = begin()
    guard.send(line(*(echo(f"c{number}", str(number)) for number in range(100))))
    assert [said(guard.answer(f"c{number}")) for number in range(100)] == [str(n) for n in range(100)]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_a_session_of_another_revision_takes_no_batch(start, version):
    guard = start({"p": puppet()})
    guard.hello(version)
    before = len(guard.messages)
    guard.send(line(request("p", "ping")))
    guard.pump(until=lambda: len(guard.messages) > before)
    assert [(one["id"], said(one)) for one in guard.messages[before:]] == [(None, -32600)]


def test_over_http_the_answers_of_a_batch_come_on_one_stream(front):
    client = front.legacy(version=REVISION)
    batch = line(echo("a", "one"), echo("b", "bad"), request("c", "ping"))
    answer = front.post(batch, **client.headers)
    assert (answer.status, answer.header("content-type")) == (200, "text/event-stream")
    found = {one["id"]: one for one in answer.messages()}
    assert (said(found["a"]), said(found["c"]), len(found)) == ("one", {}, 3)
    assert found["b"]["result"]["isError"] is True
    assert front.statuses() == ["ok"]


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_over_http_a_session_of_another_revision_takes_no_batch(front, version):
    client = front.legacy(version=version)
    answer = front.post(line(request("c", "ping")), **client.headers)
    assert (answer.status, answer.json()["error"]["code"]) == (400, -32600)


def test_a_batch_without_a_session_is_refused(front):
    answer = front.post(line(request("c", "ping")))
    assert (answer.status, answer.json()["error"]["code"]) == (400, -32600)


ANSWERS = (
    "one = {'jsonrpc': '2.0', 'method': 'notifications/message', 'params': {'level': 'info', 'data': 'along'}};"
    " two = {'jsonrpc': '2.0', 'id': request_id, 'result': text('in a batch')};"
    " raw(json.dumps([one, 5, [two], two]).encode() + b'\\n'); silent = True"
)
NOTHING = "raw(b'[]\\n'); answer = text('no batch')"


def test_a_batch_of_a_server_of_this_revision_is_taken_apart(begin):
    guard = begin()
    assert guard.text("act", code=ANSWERS) == "in a batch"
    assert [one["data"] for one in guard.notifications("notifications/message")] == ["along"]
    assert guard.stderr.count(b"not a JSON-RPC message") == 2
    assert guard.text("act", code=NOTHING) == "no batch"
    assert guard.stderr.count(b"not a JSON-RPC message") == 3


def test_a_batch_of_a_server_of_another_revision_is_dropped(start):
    guard = start({"p": puppet()})
    guard.hello("2025-06-18")
    code = ANSWERS.replace("silent = True", "answer = text('alone')")
    assert guard.text("act", code=code) == "alone"
    assert guard.notifications("notifications/message") == []
