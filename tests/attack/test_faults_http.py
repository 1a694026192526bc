"""Faults of an upstream over HTTP, and of clients over HTTP: nothing else suffers, memory stays flat (law 8)."""

import itertools
import json
import resource
import socket

import pytest

from tests.attack.holding import Holding
from tests.attack.memory import flat
from tests.attack.processes import needs_proc
from tests.servers.web import text
from tests.wire.session import eventually, puppet

pytestmark = needs_proc

BELOW_A_BEAT = 10.0
"""A stream that stands still goes on with its next beat, 15 s later: not before this deadline."""
FLOOD = (
    "for n in range(20000): notify('notifications/progress', progress=n, message='x' * 1000,"
    " progressToken=params['_meta']['progressToken'])"
)


def healthy(client, count=3):
    """The other upstream answers, and rightly."""
    for n in range(count):
        assert client.text("a__echo", text=f"right {n}") == f"right {n}"


def flooded(client):
    """A call whose progress is more than anybody keeps."""
    meta = {"progressToken": "mine"}
    return client.open("tools/call", name="a__act", arguments={"code": FLOOD}, _meta=meta)


def stands_still(guard):
    """Wait until the upstream of a flood is held back: no memory and no evidence moves any more."""
    seen = []

    def quiet():
        seen.append((guard.rss(), len(guard.records())))
        return len(seen) > 30 and len(set(seen[-30:])) == 1

    eventually(quiet, "the end of the flood")


def healthy_b(client):
    """So does the upstream that is not flooded."""
    assert client.text("b__echo", text="right") == "right"


def half_json(heard, reply):
    reply.head(200, "application/json", content_length=500)
    reply.raw(b'{"jsonrpc":"2.0","id":1,"resu')
    reply.reset()


def half_chunk(heard, reply):
    reply.head(200, "application/json", transfer_encoding="chunked")
    reply.raw(b'1f4\r\n{"jsonrpc":"2.0"')
    reply.reset()


def bad_chunk(heard, reply):
    reply.head(200, "application/json", transfer_encoding="chunked")
    reply.raw(b"zz\r\n{}\r\n0\r\n\r\n")


def half_event(heard, reply):
    reply.events()
    reply.raw(b'data: {"jsonrpc":"2.0","id":1,"resu')


def ended_stream(heard, reply):
    reply.events()
    reply.notify("notifications/message", level="info", data="x")


def wrong_id(heard, reply):
    reply.json({**heard.answer(text("forged")), "id": 4711})


def wrong_id_on_a_stream(heard, reply):
    reply.events({"id": 4711, "result": text("forged")}, {"id": "x", "result": text("forged")})


def redirected(heard, reply):
    reply.nothing(307, location="http://127.0.0.2:9/mcp")


FAULTS = {
    "reset before the answer": lambda heard, reply: reply.reset(),
    "closed before the answer": lambda heard, reply: None,
    "half a head": lambda heard, reply: reply.raw(b"HTTP/1.1 200 OK\r\ncontent-ty"),
    "no HTTP": lambda heard, reply: reply.raw(b"\x00\xff nonsense\r\n\r\n"),
    "half a body": half_json,
    "half a chunk": half_chunk,
    "a chunk that is none": bad_chunk,
    "half an event": half_event,
    "a stream without the answer": ended_stream,
    "a wrong id": wrong_id,
    "a wrong id on a stream": wrong_id_on_a_stream,
    "no JSON": lambda heard, reply: (reply.head(200, "application/json"), reply.raw(b"<html>")),
    "another content": lambda heard, reply: (reply.head(200, "text/html"), reply.raw(b"<html>")),
    "500": lambda heard, reply: reply.nothing(500),
    "a redirect": redirected,
    "202": lambda heard, reply: reply.nothing(202),
}


def test_a_broken_answer_over_http_is_one_clear_error_and_costs_nobody_else_anything(serve, upstream):
    broken = upstream(lambda heard, reply: FAULTS[heard.args["fault"]](heard, reply))
    guard = serve({"a": puppet(), "b": broken.entry(call_timeout_seconds=5)})
    client = guard.modern()
    healthy(client)
    with flat(guard, 8):
        for fault in FAULTS:
            failing = client.open_call("b__act", fault=fault)
            healthy(client, 2)
            answer = failing.answer()
            assert "'b'" in answer["error"]["message"], (fault, answer)
    assert b"forged" not in guard.received
    assert guard.unanswered() == set()
    statuses = guard.statuses()
    assert statuses.count("unavailable") == len(FAULTS)


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])
def test_an_upstream_over_http_that_comes_back_is_used_again_by_the_next_call(serve, upstream, modern):
    deaths = iter([True, True])

    def dying(heard, reply):
        if next(deaths, False):
            reply.reset()
        else:
            reply.json(heard.answer({"resultType": "complete", **text("back")}))

    broken = upstream(dying, modern=modern)
    client = serve({"a": puppet(), "b": broken.entry()}).modern()
    assert "error" in client.call("b__act")
    assert "error" in client.call("b__act")
    eventually(lambda: "result" in client.call("b__act"), "its return")


def test_an_upstream_over_http_that_is_not_there_costs_its_own_calls_only(serve, upstream):
    entry = upstream().entry()
    entry["url"] = "http://127.0.0.1:9/mcp"
    guard = serve({"a": puppet(), "b": entry})
    client = guard.modern()
    assert [name for name in client.tools() if name.startswith("b")] == []
    assert "'b'" in client.call("b__echo", text="x")["error"]["message"]
    healthy(client)


def test_an_upstream_over_http_that_dies_within_its_list_costs_nobody_else_a_tool(serve, upstream):
    def half_list(heard, reply):
        if heard.message and heard.message.get("method") == "tools/list":
            reply.head(200, "application/json", content_length=5000)
            reply.raw(b'{"jsonrpc":"2.0","id":1,"result":{"tools":[')
            reply.reset()
            return True
        return False

    guard = serve({"a": puppet(), "b": upstream(on_any=half_list).entry()})
    client = guard.modern()
    assert {name.partition("__")[0] for name in client.tools()} == {"a"}
    healthy(client)


def test_a_second_answer_on_a_stream_changes_nothing(serve, upstream):
    def twice(heard, reply):
        reply.events(heard.answer(text("one")), heard.answer(text("forged")))

    guard = serve({"a": puppet(), "b": upstream(twice).entry()})
    client = guard.modern()
    for _ in range(5):
        assert client.text("b__act") == "one"
    healthy(client)
    assert b"forged" not in guard.received


def test_an_answer_that_never_comes_ends_at_its_deadline_and_the_connection_with_it(serve, upstream):
    def never(heard, reply):
        reply.until_gone()

    silent = upstream(never)
    guard = serve({"a": puppet(), "b": silent.entry(call_timeout_seconds=0.5)})
    client = guard.modern()
    healthy(client)
    open_ones = [client.open_call("b__act") for _ in range(30)]
    healthy(client)
    for exchange in open_ones:
        assert "within 0.5 seconds" in exchange.answer()["error"]["message"]
    eventually(lambda: sum(one in silent.calls() for one in silent.over) == 30, "the end of each connection")
    healthy(client)


def test_an_endless_answer_is_cut_at_the_limit_and_memory_stays_flat(serve, upstream):
    def endless_json(heard, reply):
        reply.head(200, "application/json")
        while True:
            reply.raw(b"x" * 65536)

    def endless_event(heard, reply):
        reply.events()
        reply.raw(b"data: ")
        while True:
            reply.raw(b"x" * 65536)

    kinds = {"json": endless_json, "event": endless_event}
    broken = upstream(lambda heard, reply: kinds[heard.args["kind"]](heard, reply))
    guard = serve({"a": puppet(), "b": broken.entry()}, limits={"message_bytes": 1_000_000})
    client = guard.modern()
    healthy(client)
    with flat(guard, 16):
        for kind in ("json", "json", "event"):
            failing = client.open_call("b__act", kind=kind)
            healthy(client, 1)
            assert "more than 1000000 bytes" in failing.answer()["error"]["message"]


def test_a_flood_of_notifications_over_http_arrives_in_order_and_memory_stays_flat(serve, upstream):
    def flood(heard, reply):
        reply.events()
        for n in range(20_000):
            reply.notify("notifications/message", level="info", data=n)
        reply.event(heard.answer(text("done")))

    guard = serve({"a": puppet(), "b": upstream(flood).entry()})
    client, other = guard.legacy(), guard.modern()
    healthy(client)
    healthy(other)
    with flat(guard, 12):
        flooded = client.open_call("b__act")
        healthy(other)
        *told, answer = flooded.messages()
    assert answer["result"]["content"][0]["text"] == "done"
    assert [one["params"]["data"] for one in told] == list(range(20_000))


def test_a_client_that_does_not_read_its_answer_holds_nobody_else_up_and_gets_all_later(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    slow, others = guard.legacy(), [guard.legacy(), guard.modern()]
    for client in (slow, *others):
        healthy(client, 1)
    with flat(guard, 8):
        unread = flooded(slow)
        for client in others:
            healthy(client, 20)
        unread.deadline(BELOW_A_BEAT)
        # Its upstream is held back, so that it is still at it.
        assert guard.statuses().count("ok") == 43
        *told, answer = unread.messages()
    assert [one["params"]["progress"] for one in told] == list(range(20_000))
    assert answer["result"]["content"][0]["text"] == "done"


def test_a_standing_stream_that_is_not_read_holds_its_own_session_back_and_no_other(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    slow, other = guard.legacy(), guard.modern()
    healthy(slow)
    stream = slow.stand()
    assert stream.status == 200
    stream.deadline(BELOW_A_BEAT)
    code = "[notify('notifications/message', level='info', data=[n, 'x' * 1000]) for n in range(20000)]"
    with flat(guard, 8):
        flooded = slow.open_call("a__act", code=code)
        healthy(other, 20)
        told = [stream.message()["params"]["data"][0] for _ in range(20_000)]
    assert told == list(range(20_000))
    assert flooded.answer()["result"]["content"][0]["text"] == "done"


def test_a_client_that_goes_away_without_reading_lets_go_of_what_was_kept_for_it(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    code = "answer = text('x' * 8_000_000)"
    client = guard.modern()
    for _ in range(2):
        client.open_call("a__act", code=code).answer()
    with flat(guard, 80):
        for _ in range(12):
            done = len(guard.statuses())
            unread = client.open_call("a__act", code=code)
            eventually(lambda: len(guard.statuses()) > done, "its outcome")  # noqa: B023
            unread.close()
        healthy(client)


def test_a_legacy_client_that_goes_away_without_reading_does_not_block_its_session(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client = guard.legacy()
    healthy_b(client)
    unread = flooded(client)
    stands_still(guard)
    unread.close()
    eventually(lambda: guard.statuses() == ["ok", "ok"], "the end of the call that nobody reads")
    healthy_b(client)


def test_a_modern_client_that_does_not_read_blocks_no_other_modern_client_of_its_principal(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    slow, other = guard.modern(), guard.modern()
    healthy_b(other)
    with flat(guard, 16):
        unread = flooded(slow)
        stands_still(guard)
        healthy_b(other)
        eventually(lambda: "disconnected" in guard.statuses(), "the end of the call that nobody reads")
        healthy_b(other)
    unread.close()


def test_a_modern_client_that_reads_late_gets_a_large_answer_whole(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client, other = guard.modern(), guard.modern()
    big = client.open_call("a__act", code="answer = text('x' * 15_000_000)")
    assert big.status == 200
    healthy_b(other)
    assert big.answer()["result"]["content"][0]["text"] == "x" * 15_000_000


def test_unfinished_bodies_of_many_connections_stay_within_a_bound(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client = guard.modern()
    healthy(client)
    body = b'{"x":"' + b"x" * 15_000_000
    with flat(guard, 128):
        for _ in range(20):
            guard.open(
                "POST", body=body, content_type="application/json", accept="*/*", content_length="16000000"
            )
        healthy(client)


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_two_hundred_http_requests_that_are_open_together_over_twenty_upstreams_are_all_right(
    serve, upstream, tmp_path, era
):
    holding = Holding(tmp_path)
    stdio = {f"s{n}": holding.program() for n in range(16)}
    http = {f"h{n}": holding.web(upstream) for n in range(4)}
    guard = serve({**stdio, **http})
    client = guard.modern() if era == "modern" else guard.legacy()
    names = itertools.cycle([*stdio, *http])
    assert len(client.tools()) == 16 * 4 + 4 * 2
    with flat(guard, 16):
        open_ones = [
            client.open_call(f"{next(names)}__act", **holding.arguments(f"text {n}")) for n in range(200)
        ]
        holding.wait(200)
        assert guard.statuses() == []
        holding.release(lambda name, code: client.text(name, code=code), stdio)
        answers = [exchange.answer() for exchange in open_ones]
    assert [one["result"]["content"][0]["text"] for one in answers] == [f"text {n}" for n in range(200)]
    assert guard.statuses() == ["ok"] * 216
    assert json.dumps(answers).count('"isError": true') == 0


def test_too_many_open_files_are_told_once_and_those_that_are_connected_go_on(serve):
    guard = serve({"a": puppet(), "b": puppet()})
    client = guard.legacy()
    healthy(client)
    stream = client.stand()
    assert stream.status == 200
    resource.prlimit(guard.pid, resource.RLIMIT_NOFILE, (48, 48))
    surplus = [socket.create_connection(("127.0.0.1", guard.port)) for _ in range(60)]
    eventually(lambda: b"too many open files" in guard.stderr, "what the operator is told")
    for each in surplus:
        each.close()
    healthy(client)
    assert guard.stderr.count(b"too many open files") == 1
    assert b"internal error" not in guard.stderr


def test_large_answers_that_nobody_reads_take_a_bounded_amount_of_memory_from_all_sessions_together(serve):
    large = "answer = text('x' * 7_000_000)"
    guard = serve({"a": puppet(), "b": puppet()}, limits={"message_bytes": 8_000_000})
    slow, other = [guard.legacy() for _ in range(12)], guard.legacy()
    for client in (*slow, other):
        healthy(client, 1)
    with flat(guard, 200):
        unread = [client.open_call("b__act", code=large) for client in slow for _ in range(2)]
        for _ in range(30):
            healthy(other, 1)
        # More than there is room for: who has read nothing for some seconds gives its room to the next.
        eventually(lambda: guard.statuses().count("ok") > 12 + 31 + 20, "the answers of most sessions")
    for exchange in unread:
        exchange.close()
    healthy(other)
