"""Threat: a client (or the model that steers it) sends what two readers could read in two ways, or too much."""

import json
import os
import signal
import sys
import time

import pytest

from tests.wire.session import Guard, eventually, puppet

NAN = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":%b}}}'
CALL = b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}'
INVALID_REQUEST, PARSE_ERROR, NOT_FOUND, INVALID_PARAMS = -32600, -32700, -32601, -32602


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """What the upstream of `standing` is sent, a message a line."""
    return tmp_path_factory.mktemp("standing") / "calls"


@pytest.fixture(scope="module")
def standing(calls):
    """A session that goes on from test to test: what is refused leaves nothing behind."""
    guard = Guard(calls.parent, {"p": puppet("--log", str(calls))})
    guard._last_id = 1000  # Its own requests have other ids than those of the tests.
    guard.hello()
    yield guard
    guard.dispose()


def refused(guard, line, code, request_id):
    """Send a line: it is refused with this code and id, and the session still serves."""
    before = len(guard.messages)
    guard.send(line)
    guard.pump(until=lambda: len(guard.messages) > before)
    answer = guard.messages[before]
    assert answer.get("id") == request_id
    assert answer["error"]["code"] == code, answer
    assert guard.text("echo", text="still here") == "still here"
    return answer["error"]


def highest(guard, seconds):
    """The most memory that mcpguard has during a time."""
    end = time.monotonic() + seconds
    most = 0
    while time.monotonic() < end:
        most = max(most, guard.rss())
        time.sleep(0.02)
    return most


DUPLICATES = {
    "top": b'{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/list"}',
    "id": b'{"jsonrpc":"2.0","id":8,"method":"ping","id":7}',
    "params": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{},"params":{"name":"echo"}}',
    "name": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","name":"act"}}',
    "argument": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
    b'"arguments":{"text":"a","text":"b"}}}',
    "escaped": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
    b'"arguments":{"a":1,"\\u0061":2}}}',
    "escaped name": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","na\\u006de":"act"}}',
    "escaped pair": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
    b'"arguments":{"\xf0\x9f\x98\x80":1,"\\ud83d\\ude00":2}}}',
    "in a list": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
    b'"arguments":{"l":[[{"a":1,"a":1}]]}}}',
    "equal values": b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":1,"a":1}}',
    "meta": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":{"a":1,"a":1}}}',
    "with spaces": b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a" : 1, "a" : 2}}',
}


@pytest.mark.parametrize("line", DUPLICATES.values(), ids=list(DUPLICATES))
def test_a_message_with_the_same_key_twice_is_refused(standing, line):
    refused(standing, line, INVALID_REQUEST, 7)


UNREADABLE = {
    "not json": b"hello",
    "half": b'{"jsonrpc":"2.0","id":7,',
    "two": b'{"jsonrpc":"2.0","id":7,"method":"ping"} {"jsonrpc":"2.0","id":8,"method":"ping"}',
    "bad utf-8": NAN % b'"\xff\xfe"',
    "overlong utf-8": NAN % b'"\xc0\xaf"',
    "cut utf-8": NAN % b'"\xe2\x82"',
    "utf-8 of a surrogate": NAN % b'"\xed\xa0\x80"',
    "bom": b"\xef\xbb\xbf" + CALL % b"7",
    "utf-16": (CALL % b"7").decode().encode("utf-16-le"),
    "NaN": NAN % b"NaN",
    "Infinity": NAN % b"-Infinity",
    "out of range": NAN % b"1e999",
    "digits": NAN % (b"1" * 100_000),
    "fraction": NAN % (b"0." + b"1" * 100_000 + b"e999999"),
    "lone surrogate": NAN % b'"\\ud800"',
    "lone low surrogate": NAN % b'"\\udc00x"',
    "control character": NAN % b'"a\x01b"',
    "zero byte": NAN % b'"a\x00b"',
    "trailing comma": NAN % b"[1,]",
    "comment": NAN % b"1/*x*/",
    "single quotes": NAN % b"'x'",
    "leading zero": NAN % b"01",
    "bad escape": NAN % b'"\\x41"',
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "unclosed": b"[" * 100_000,
}


@pytest.mark.parametrize("line", UNREADABLE.values(), ids=list(UNREADABLE))
def test_a_line_that_is_no_json_in_utf8_is_refused(standing, line):
    guard = standing
    before, noticed = len(guard.messages), len(guard.records("notice"))
    guard.send(line)
    guard.pump(until=lambda: len(guard.messages) > before)
    answer = guard.messages[before]
    assert answer["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST)
    assert guard.text("echo", text="still here") == "still here"
    assert len(guard.messages) == before + 2
    noted = [record["what"] for record in guard.records("notice")[noticed:]]
    assert [what for what in noted if what != "upstream-started"] == ["message-refused"]


@pytest.mark.parametrize("value", [b'"\\ud83d"', b"NaN", b"1e999", b'"\xff"'])
def test_a_request_that_is_wrong_only_within_is_refused_with_its_id(standing, value):
    guard = standing
    before = len(guard.messages)
    guard.send(NAN % value)
    guard.pump(until=lambda: len(guard.messages) > before)
    answer = guard.messages[before]
    assert (answer["id"], answer["error"]["code"]) == (7, PARSE_ERROR)


@pytest.mark.parametrize("depth", [70, 1000])
def test_arguments_that_are_nested_too_deeply_are_refused(standing, depth):
    line = NAN % (b"[" * depth + b"]" * depth)
    guard = standing
    before = len(guard.messages)
    guard.send(line)
    guard.pump(until=lambda: len(guard.messages) > before)
    assert "error" in guard.messages[before]
    assert "nested" in guard.messages[before]["error"]["message"]
    assert guard.text("echo", text="still here") == "still here"


WRONG = {
    "batch": (b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]', INVALID_REQUEST, None),
    "empty batch": (b"[]", INVALID_REQUEST, None),
    "text": (b'"ping"', INVALID_REQUEST, None),
    "null": (b"null", INVALID_REQUEST, None),
    "version": (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', INVALID_REQUEST, 7),
    "no version": (b'{"id":7,"method":"ping"}', INVALID_REQUEST, 7),
    "id true": (CALL % b"true", INVALID_REQUEST, None),
    "id 1.0": (CALL % b"1.0", INVALID_REQUEST, None),
    "id null": (CALL % b"null", INVALID_REQUEST, None),
    "id list": (CALL % b"[1]", INVALID_REQUEST, None),
    "id object": (CALL % b'{"a":1}', INVALID_REQUEST, None),
    "unknown method": (b'{"jsonrpc":"2.0","id":7,"method":"tools/execute"}', NOT_FOUND, 7),
    "method case": (b'{"jsonrpc":"2.0","id":7,"method":"Tools/Call"}', NOT_FOUND, 7),
    "method escaped": (b'{"jsonrpc":"2.0","id":7,"method":"tools\\/call\\u0000"}', NOT_FOUND, 7),
    "notification as request": (
        b'{"jsonrpc":"2.0","id":7,"method":"notifications/cancelled","params":{"requestId":1}}', NOT_FOUND, 7),
    "method number": (b'{"jsonrpc":"2.0","id":7,"method":7}', INVALID_REQUEST, 7),
    "params list": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}', INVALID_PARAMS, 7),
    "params null": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":null}', INVALID_PARAMS, 7),
    "params text": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}', INVALID_PARAMS, 7),
    "second initialize": (b'{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}', INVALID_REQUEST, 7),
    "no name": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}', INVALID_PARAMS, 7),
    "name list": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":["echo"]}}',
                  INVALID_PARAMS, 7),
    "arguments list": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":[]}}',
                       INVALID_PARAMS, 7),
    "arguments null": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":null}}',
        INVALID_PARAMS, 7),
    "member beside": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","Arguments":{}}}',
        INVALID_PARAMS, 7),
    "task": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","task":[]}}',
             INVALID_PARAMS, 7),
    "meta text": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":"x"}}',
                  INVALID_PARAMS, 7),
    "token list": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
                   b'"_meta":{"progressToken":[1]}}}', INVALID_PARAMS, 7),
    "cursor": (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"2"}}', INVALID_PARAMS, 7),
    "level": (b'{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":3}}', INVALID_PARAMS, 7),
}  # fmt: skip


@pytest.mark.parametrize(("line", "code", "request_id"), WRONG.values(), ids=list(WRONG))
def test_a_message_of_the_wrong_shape_is_refused_and_nothing_reaches_the_upstream(
    standing, calls, line, code, request_id
):
    standing.text("echo", text="start")
    before = len(calls.read_text().splitlines()) - 1
    refused(standing, line, code, request_id)
    called = [json.loads(seen) for seen in calls.read_text().splitlines()[before:]]
    assert [call["params"]["arguments"] for call in called] == [{"text": "start"}, {"text": "still here"}]


NOT_SERVED = [
    "server/discover", "subscriptions/listen", "tasks/update", "resources/write", "tools/Call", "skills/list",
    "sampling/createMessage", "elicitation/create", "roots/list", "notifications/initialized",
]  # fmt: skip


def test_a_method_that_is_not_served_is_refused_and_never_relayed(session, tmp_path):
    log = tmp_path / "calls"
    guard = session({"p": puppet("--log", str(log))})
    guard.tools()
    for method in NOT_SERVED:
        assert guard.ask(method, {"uri": "x"})["error"]["code"] == NOT_FOUND
        guard.notify(method, uri="x")
    assert guard.text("echo", text="x") == "x"
    seen = [json.loads(line)["method"] for line in log.read_text().splitlines()]
    assert seen == ["initialize", "notifications/initialized", "tools/list", "tools/call"]


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "logging/setLevel"])
def test_a_request_before_initialize_is_refused_and_starts_nothing(start, tmp_path, method):
    started = tmp_path / "started"
    guard = start({"p": puppet("--start", f"open({str(started)!r}, 'w').close()")})
    answer = guard.ask(method, {"name": "echo", "level": "info"})
    assert answer["error"]["code"] == INVALID_REQUEST
    assert guard.ask("ping")["result"] == {}
    assert not started.exists()
    guard.hello()
    assert guard.text("echo", text="x") == "x"


HUGE = 2**200
IDS = [0, -1, HUGE, "", "a", "1", "\x00", "é" * 1000, 'quote"d', "</script>", "\u2028"]


@pytest.mark.parametrize("request_id", IDS, ids=range(len(IDS)))
def test_every_allowed_id_comes_back_as_it_was(standing, request_id):
    guard = standing
    params = {"name": "echo", "arguments": {"text": "x"}}
    guard.send({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params})
    assert guard.answer(request_id)["result"]["content"][0]["text"] == "x"


def test_an_id_in_use_is_refused_and_the_first_call_keeps_its_answer(session):
    guard = session({"p": puppet()})
    guard.tools()
    slow = {"name": "act", "arguments": {"code": "state['slow'] = request_id; silent = True"}}
    guard.send({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": slow})
    guard.send({"jsonrpc": "2.0", "id": 77, "method": "ping"})
    assert guard.answer(77)["error"]["code"] == INVALID_REQUEST
    guard.call("act", code="send({'id': state['slow'], 'result': text('the first')})")
    assert guard.answer(77)["result"]["content"][0]["text"] == "the first"
    guard.send({"jsonrpc": "2.0", "id": 77, "method": "ping"})
    assert guard.answer(77)["result"] == {}


def test_the_same_id_as_a_text_and_as_a_number_are_two(session):
    guard = session({"p": puppet()})
    guard.tools()
    slow = {"name": "act", "arguments": {"code": "state['slow'] = request_id; silent = True"}}
    guard.send({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": slow})
    guard.send({"jsonrpc": "2.0", "id": "77", "method": "ping"})
    assert guard.answer("77")["result"] == {}


def test_a_cancellation_of_nothing_or_of_the_wrong_type_is_ignored(session):
    guard = session({"p": puppet()})
    for wrong in (1, "1", True, 1.0, None, [1], {"a": 1}, HUGE):
        guard.notify("notifications/cancelled", requestId=wrong)
    guard.notify("notifications/cancelled")
    assert guard.text("echo", text="x") == "x"


def test_a_cancellation_with_true_does_not_cancel_the_call_with_the_id_1(session):
    guard = session({"p": puppet()})
    guard.tools()
    params = {"name": "act", "arguments": {"code": "state['first'] = request_id; silent = True"}}
    guard.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    guard.notify("notifications/cancelled", requestId=True)
    guard.notify("notifications/cancelled", requestId="1")
    guard.call("act", code="send({'id': state['first'], 'result': text('alive')})")
    assert guard.answer(1)["result"]["content"][0]["text"] == "alive"


def test_a_line_of_100_mb_is_refused_in_bounded_memory(session):
    guard = session({"p": puppet()})
    guard.tools()
    before = guard.rss()
    head = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"'
    guard.pump(head)
    for _ in range(100):
        guard.pump(b"x" * (1 << 20))
    grown = guard.rss() - before
    guard.pump(b'"}}}\n')
    error = guard.wait_message(lambda message: "error" in message)
    assert error["error"]["code"] == INVALID_REQUEST
    assert grown < 40 * 2**20
    assert guard.text("echo", text="still here") == "still here"


def test_a_value_at_the_limit_passes_and_one_above_it_does_not(session):
    guard = session({"p": puppet()}, limits={"message_bytes": 10_000})
    line = b'{"jsonrpc":"2.0","id":"%d","method":"tools/call","params":{"name":"echo","arguments":{"text":"%b"}}}'
    room = 10_000 - len(line % (1, b""))
    guard.send(line % (1, b"x" * room))
    assert guard.answer("1")["result"]
    guard.send(line % (2, b"x" * (room + 1)))
    assert guard.wait_message(lambda message: "error" in message)["error"]["code"] == INVALID_REQUEST
    assert guard.text("echo", text="still here") == "still here"


def test_ten_thousand_pipelined_calls_with_a_reader_that_stalls_stay_small_and_in_order(session):
    count, size = 10_000, 2_000
    guard = session({"p": puppet()})
    guard.tools()
    before = guard.rss()
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
                    "params": {"name": "echo", "arguments": {"text": f"{n} " + "x" * size}}}).encode() + b"\n"
        for n in range(count)
    ]  # fmt: skip
    data = b"".join(lines)
    guard.stalled = True
    sent = guard.try_write(data, 2)
    assert sent < len(data), "the pause of reading was never felt"
    assert guard.rss() - before < 30 * 2**20
    guard.stalled = False
    guard.pump(data[sent:], seconds=60)
    guard.answer(1000 + count - 1, seconds=60)
    answered = [message["id"] for message in guard.messages if message.get("id", 0) >= 1000]
    assert answered == list(range(1000, 1000 + count))
    assert guard.rss() - before < 40 * 2**20
    outcomes = [record for record in guard.records("outcome") if record["status"] == "ok"]
    assert len(outcomes) >= count


def test_a_reader_that_stalls_on_large_results_does_not_grow_memory(session):
    count, size = 400, 100_000
    guard = session({"p": puppet()})
    guard.tools()
    code = f"answer = text('x' * {size})"
    data = b"".join(
        json.dumps({"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
                    "params": {"name": "act", "arguments": {"code": code}}}).encode() + b"\n"
        for n in range(count)
    )  # fmt: skip
    guard.text("act", code=code)
    before = guard.rss()
    guard.stalled = True
    sent = guard.try_write(data, 1.5)
    assert highest(guard, 1.5) - before < 15 * 2**20
    guard.stalled = False
    guard.pump(data[sent:], seconds=30)
    guard.answer(1000 + count - 1, seconds=30)
    guard.pump(until=lambda: len([m for m in guard.messages if m.get("id", 0) >= 1000]) == count)
    answered = [message["id"] for message in guard.messages if message.get("id", 0) >= 1000]
    assert sorted(answered) == list(range(1000, 1000 + count))


def test_a_client_that_sends_rubbish_and_never_reads_does_not_grow_memory(session):
    guard = session({"p": puppet()})
    guard.tools()
    before = guard.rss()
    guard.stalled = True
    sent = guard.try_write(b"rubbish\n" * 1_000_000, 2)
    assert sent < 8_000_000
    assert guard.rss() - before < 20 * 2**20
    guard.signal(signal.SIGTERM)
    guard.process.wait(5)


def test_a_client_that_never_reads_does_not_keep_mcpguard_from_ending(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.stalled = True
    guard.try_write(b'{"jsonrpc":"2.0","id":5,"method":"tools/list"}\n' * 20_000, 1)
    guard.signal(signal.SIGTERM)
    assert guard.process.wait(5) == 0


def test_a_client_that_closes_its_end_of_the_output_ends_mcpguard(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.process.stdout.close()
    guard.stalled = True
    guard.send({"jsonrpc": "2.0", "id": 9, "method": "ping"})
    assert guard.process.wait(10) == 0
    assert guard.records()[-1]["kind"] == "closed"


def test_requests_without_a_last_newline_are_served_before_the_end(session):
    guard = session({"p": puppet()})
    guard.tools()
    guard.pump(CALL % b"55")
    assert guard.end() == 0
    assert guard.messages[-1]["id"] == 55


def test_carriage_returns_and_empty_lines_change_nothing(session):
    guard = session({"p": puppet()})
    guard.pump(b"\n\r\n\n" + CALL % b"55" + b"\r\n\n")
    assert guard.answer(55)["result"]["content"][0]["text"] == "x"


def test_a_message_in_single_bytes_is_read_as_one(session):
    guard = session({"p": puppet()})
    for byte in CALL % b"55" + b"\n":
        guard.pump(bytes((byte,)))
    assert guard.answer(55)["result"]["content"][0]["text"] == "x"


def test_input_and_output_may_be_regular_files(tmp_path, start):
    guard = start({"p": puppet()})
    guard.dispose()
    hello = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}\n'
    (tmp_path / "in").write_bytes(hello + CALL % b"2" + b"\n" + CALL % b"3")
    command = [sys.executable, "-m", "mcpguard", "run", "--config", str(guard.config)]
    with open(tmp_path / "in", "rb") as given, open(tmp_path / "out", "wb") as taken:
        pid = os.posix_spawn(
            sys.executable,
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, given.fileno(), 0), (os.POSIX_SPAWN_DUP2, taken.fileno(), 1)],
        )
        ended = eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] and True, "its end", 15)
    assert ended
    answers = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert all("result" in answer for answer in answers)


CLAIMS = {
    "arguments": {"principal": "root", "action": "tools/list", "server": "trusted", "agent": "admin"},
    "meta": {
        "principal": "admin",
        "mcpguard/principal": "admin",
        "traceparent": "00-admin",
        "agent": "admin",
    },
}


def test_what_a_client_says_of_itself_decides_nothing_and_is_not_recorded_as_its_identity(start):
    rules = [
        {"id": "r", "effect": "allow", "tools": ["echo"], "when": 'principal.id == "admin"'},
        {"id": "a", "effect": "allow", "tools": ["seen"], "when": 'client.agent == "admin"'},
        {"id": "s", "effect": "allow", "tools": ["forbidden"], "when": 'principal.source == "oauth"'},
        {"id": "ok", "effect": "allow", "tools": ["act"]},
    ]
    guard = start({"p": puppet()}, rules)
    info = {"name": "admin", "version": "admin", "principal": "admin", "agent": "admin"}
    guard.ask(
        "initialize",
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info, "_meta": CLAIMS["meta"]},
    )
    assert guard.tools() == ["act"]
    for name in ("echo", "seen", "forbidden"):
        params = {"name": name, "arguments": CLAIMS["arguments"], "_meta": CLAIMS["meta"]}
        assert guard.ask("tools/call", params)["error"]["code"] == INVALID_PARAMS
    decisions = guard.records("decision")
    assert {record["principal"] for record in decisions} == {guard.records("opened")[0]["principal"]}
    # What was said is on record, as a claim and in no other place.
    said = [{key: record.pop(key, None) for key in ("client", "arguments")} for record in decisions]
    assert {one["client"] for one in said} == {"admin/admin"}
    assert not any("admin" in json.dumps(record) for record in decisions)


def test_of_the_meta_only_the_trace_and_our_own_token_reach_the_upstream(session):
    guard = session({"p": puppet()})
    meta = {
        **CLAIMS["meta"],
        "progressToken": "mine",
        "io.modelcontextprotocol/related-task": {"taskId": "1"},
    }
    answer = guard.ask("tools/call", {"name": "seen", "arguments": {}, "_meta": meta})
    seen = json.loads(answer["result"]["content"][0]["text"])
    assert seen["_meta"].keys() == {"traceparent", "progressToken"}
    assert seen["_meta"]["progressToken"] != "mine"
