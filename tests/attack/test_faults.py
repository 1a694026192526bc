"""Faults of one upstream or of the client over stdio: nothing else suffers, and memory stays flat (law 8)."""

import json

import pytest

from tests.attack.holding import Holding
from tests.attack.memory import flat
from tests.attack.processes import needs_proc
from tests.wire.session import eventually, puppet

pytestmark = needs_proc

KILL = "import signal; os.kill(os.getpid(), signal.SIGKILL)"


def healthy(guard, count=3):
    """The other upstream answers, and rightly."""
    for n in range(count):
        assert guard.text("a__echo", text=f"right {n}") == f"right {n}"


DEATHS = {
    "mid-call": KILL,
    "mid-frame": """raw(b'{"jsonrpc":"2.0","id":%d,"resu' % request_id); """ + KILL,
    "mid-frame of another answer": "raw(b'x' * 3_000_000); " + KILL,
    "mid-frame without end": "raw(b'{' * 70_000); os.close(1); say('mute'); time.sleep(60)",
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=list(DEATHS))
def test_an_upstream_that_dies_costs_its_own_calls_and_no_other(session, death):
    guard = session({"a": puppet(), "b": puppet()})
    guard.text("b__echo", text="start")
    held = guard.request("tools/call", {"name": "a__act", "arguments": {
        "code": "state['held'] = request_id; silent = True"}})  # fmt: skip
    healthy(guard)
    with flat(guard, 12):
        waiting = [guard.request("tools/call", {"name": "b__act", "arguments": {"code": "silent = True"}})
                   for _ in range(50)]  # fmt: skip
        dying = guard.request("tools/call", {"name": "b__act", "arguments": {"code": death}})
        for request_id in [*waiting, dying]:
            assert "'b'" in guard.answer(request_id)["error"]["message"]
        healthy(guard)
        guard.text("a__act", code="send({'id': state['held'], 'result': text('held')})")
        assert guard.answer(held)["result"]["content"][0]["text"] == "held"
        eventually(lambda: "result" in guard.call("b__echo", text="back"), "its return")
    assert guard.end() == 0
    statuses = [one["status"] for one in guard.records("outcome")]
    assert statuses.count("unavailable") >= 51


def test_an_upstream_that_dies_within_its_list_costs_nobody_else_a_tool(session):
    half = f"""state['on_list'] = '''raw(b'{{"jsonrpc":"2.0","id":1,"result":{{"tools":['); {KILL}'''"""
    guard = session({"a": puppet(), "b": puppet("--start", half)})
    with flat(guard, 12):
        assert {name.partition("__")[0] for name in guard.tools()} == {"a"}
        healthy(guard)
        assert "error" in guard.call("b__echo", text="x")


def test_an_upstream_that_dies_again_and_again_leaves_memory_flat(session):
    guard = session(
        {"a": puppet(), "b": puppet("--start", "import sys; sys.exit(1)", start_timeout_seconds=5)}
    )
    guard.tools()
    with flat(guard, 6):
        for _ in range(200):
            assert "error" in guard.call("b__echo", text="x")
        healthy(guard)


LIES = {
    "a wrong id": "send({'id': request_id + 1000, 'result': text('forged')})",
    "twice": "send({'id': request_id, 'result': text('one')}); send({'id': request_id, 'result': text('forged')})",
    "never": "pass",
    "garbage": "raw(b'\\x00\\xff{]' * 1000 + b'\\n')",
}


def test_wrong_double_missing_and_garbled_answers_cost_their_own_calls_only(session):
    guard = session({"a": puppet(), "b": puppet(call_timeout_seconds=0.5)})
    guard.text("b__echo", text="start")
    with flat(guard, 12):
        for lie, code in LIES.items():
            asked = [
                guard.request(
                    "tools/call", {"name": "b__act", "arguments": {"code": f"{code}; silent = True"}}
                )
                for _ in range(20)
            ]
            healthy(guard)
            for request_id in asked:
                answer = guard.answer(request_id)
                if lie == "twice":
                    assert answer["result"]["content"][0]["text"] == "one"
                else:
                    assert "within 0.5 seconds" in answer["error"]["message"], lie
        healthy(guard)
        assert b"forged" not in guard.received
    seen = [message["id"] for message in guard.messages if "method" not in message]
    assert len(seen) == len(set(seen))


def test_two_hundred_calls_that_are_open_together_over_twenty_upstreams_are_all_right(session, tmp_path):
    holding = Holding(tmp_path)
    names = [f"s{n}" for n in range(20)]
    guard = session({name: holding.program() for name in names})
    assert len(guard.tools()) == 80
    with flat(guard, 6):
        asked = {}
        for n in range(200):
            params = {"name": f"{names[n % 20]}__act", "arguments": holding.arguments(f"text {n}")}
            asked[guard.request("tools/call", params)] = f"text {n}"
        holding.wait(200)
        decided = {one["id"] for one in guard.records("decision") if one["method"] == "tools/call"}
        assert len(decided) == 200
        assert decided.isdisjoint(one["id"] for one in guard.records("outcome"))
        holding.release(lambda name, code: guard.text(name, code=code), reversed(names))
        for request_id, text in asked.items():
            assert guard.answer(request_id)["result"]["content"][0]["text"] == text
    assert {one["status"] for one in guard.records("outcome")} == {"ok"}
    assert sum(one["method"] == "tools/call" for one in guard.records("decision")) == 220


def test_a_client_that_does_not_read_a_flood_gets_all_in_order_later_and_memory_stays_flat(session):
    guard = session({"a": puppet(), "b": puppet()})
    guard.text("b__echo", text="start")
    with flat(guard, 12):
        code = "[notify('notifications/message', level='info', data={'n': n, 'x': 'x' * 200}) for n in range(20000)]"
        guard.stalled = True
        flood = guard.request("tools/call", {"name": "b__act", "arguments": {"code": code + "; say('sent')"}})
        calls = [
            guard.request("tools/call", {"name": "a__echo", "arguments": {"text": str(n)}}) for n in range(20)
        ]
        guard.stalled = False
        for n, request_id in enumerate(calls):
            assert guard.answer(request_id)["result"]["content"][0]["text"] == str(n)
        assert "result" in guard.answer(flood)
        seen = [one["data"]["n"] for one in guard.notifications("notifications/message")]
        assert seen == list(range(20000))


def test_giant_answers_one_after_the_other_leave_memory_flat(session):
    guard = session({"a": puppet(), "b": puppet()}, limits={"message_bytes": 1_000_000})
    first = guard.call("b__act", code="answer = text('x' * 5_000_000)")
    assert "1000000 bytes" in first["error"]["message"]
    with flat(guard, 8):
        for _ in range(10):
            assert "error" in guard.call("b__act", code="answer = text('x' * 5_000_000)")
            healthy(guard, 1)
    assert json.loads(guard.text("b__act", code="answer = text('1')")) == 1
