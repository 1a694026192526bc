"""What an upstream does with requests, answers and questions, over a scripted wire."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.adapters.upstreams.session import open_requests
from mcpguard.adapters.upstreams.session.questions import MOST_OPEN
from mcpguard.core.model import Listed
from mcpguard.gateway.flight import as_future
from mcpguard.protocol import eras
from mcpguard.protocol.jsonrpc import Oversize
from tests.adapters.upstreams.fake_wire import (
    MODERN,
    FakeWire,
    World,
    failure,
    legacy,
    modern,
    modern_caller,
    permit,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


def serving(capabilities: Any = None) -> World:
    return World(legacy(capabilities))


def serving_modern(capabilities: Any = None, **terms: Any) -> World:
    return World(modern(capabilities), modern=True, **terms)


# --- requests and answers ----------------------------------------------------------------------------


async def test_a_request_starts_the_upstream_and_gets_exactly_its_answer() -> None:
    world = serving()
    wait = world.upstream.request(permit(name="echo", arguments={"a": 1}))
    call = await world.sent("tools/call")
    assert call["params"] == {"name": "echo", "arguments": {"a": 1}}
    world.wire.result(call["id"], {"content": []})
    raw = await as_future(wait)
    assert (raw.body, raw.size) == ({"content": []}, 100)


async def test_requests_that_came_while_it_started_are_sent_in_their_order() -> None:
    world = serving()
    for n in range(3):
        world.upstream.request(permit(name=f"t{n}"))
    await world.sent("tools/call", 3)
    calls = [message for message in world.wire.sent if message.get("method") == "tools/call"]
    assert [call["params"]["name"] for call in calls] == ["t0", "t1", "t2"]


async def test_ready_is_over_at_once_when_it_runs() -> None:
    world = await serving().ready()
    assert world.upstream.ready().done
    assert len(world.wires) == 1


async def test_the_target_goes_with_the_request_to_the_wire() -> None:
    from msgspec.structs import replace

    world = await serving().ready()
    target = Listed("x", "t", "t", {}, {}, "")
    asked = permit(name="t")
    world.upstream.request(replace(asked, invocation=replace(asked.invocation, target=target)))
    await world.sent("tools/call")
    assert world.wire.targets[-1] is target


@pytest.mark.parametrize("wrong", [99, "2", None])
async def test_an_answer_with_a_wrong_id_changes_nothing(wrong: Any) -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.result(wrong, {"forged": True})
    assert not wait.done
    world.wire.result(call["id"], {})
    world.wire.result(call["id"], {"second": True})
    assert (await as_future(wait)).body == {}


@pytest.mark.parametrize(
    "answer", [{"result": None}, {"result": []}, {"error": "x"}, {"error": {"code": "x", "message": "m"}}]
)
async def test_an_answer_of_another_shape_is_one_clear_error(answer: Any) -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.say({"id": call["id"], **answer})
    assert "not a JSON-RPC response" in await failure(wait)


async def test_what_is_no_message_fails_its_request_and_is_reported_clean_and_short() -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.listener.broken(call["id"], "not a message", "s3cret " + "x" * 500)
    assert "not a JSON-RPC response" in await failure(wait)
    assert world.reports[0].startswith("x: not a message: *** xxx")
    assert len(world.reports[0]) < 300
    world.wire.listener.broken(None, "not a message", "")
    assert world.reports[1] == "x: not a message"


async def test_an_answer_over_the_limit_is_one_clear_error() -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.listener.oversize(Oversize(b'{"jsonrpc":"2.0","id":%d,"result":' % call["id"]))
    assert "10000 bytes" in await failure(wait)
    assert world.reports == ["x: a message over the limit was dropped"]


async def test_an_exchange_that_fails_is_the_error_of_its_request_only() -> None:
    world = await serving().ready()
    first, second = (world.upstream.request(permit(name="t")) for _ in range(2))
    call = await world.sent("tools/call", 2)
    world.wire.listener.failed(call["id"], "answered HTTP 500 to tools/call")
    assert await failure(second) == "upstream 'x' answered HTTP 500 to tools/call"
    assert not first.done


async def test_a_full_upstream_takes_no_more_requests_and_then_holds_its_client_no_longer() -> None:
    world = await serving().ready()
    world.wire.unsent = open_requests.FULL_BYTES + 1
    world.terms.turn.strained = True  # As a wire does that is not sent all of it.
    assert world.upstream.full
    world.wire.unsent = open_requests.MOST * open_requests.FULL_BYTES + 1
    assert "no more requests are sent" in await failure(world.upstream.request(permit(name="t")))
    world.upstream.hold(True)
    assert world.wire.held


async def test_flow_control_looks_once_many_requests_are_open_or_wait_for_the_start() -> None:
    world = serving()
    turn = world.terms.turn
    for _ in range(open_requests.FULL_OPEN - 1):
        world.upstream.request(permit(name="t"))
    assert (turn.strained, world.upstream.strained) == (False, False)
    world.upstream.request(permit(name="t"))
    assert (turn.strained, world.upstream.strained) == (True, True)
    turn.strained = False
    await world.sent("tools/call", open_requests.FULL_OPEN)
    assert (turn.strained, world.upstream.strained) == (True, True)


# --- progress and cancellation -------------------------------------------------------------------------


@pytest.mark.parametrize("world", [serving, serving_modern])
async def test_progress_reaches_its_request_by_our_id_and_the_own_meta_stays(world: Any) -> None:
    at = await world().ready()
    seen: list[Any] = []
    at.upstream.request(permit(name="t", _meta={"own": 1, "progressToken": "theirs"}), seen.append)
    at.upstream.request(permit(name="u"), lambda _: seen.append("other"))
    await at.sent("tools/call", 2)
    call = next(message for message in at.wire.sent if message.get("method") == "tools/call")
    meta = call["params"]["_meta"]
    assert (meta["own"], meta["progressToken"]) == (1, call["id"])
    at.wire.notify("notifications/progress", progressToken=call["id"], progress=1)
    for token in ("x", True, 77, None):
        at.wire.notify("notifications/progress", progressToken=token, progress=1)
    at.wire.result(call["id"], {})
    at.wire.notify("notifications/progress", progressToken=call["id"], progress=2)
    assert [params["progress"] for params in seen] == [1]
    assert at.heard == []


async def test_a_cancelled_request_is_told_to_the_upstream_and_its_answer_is_nobodys() -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    wait.cancel("enough")
    wait.cancel("enough")
    told = await world.sent("notifications/cancelled")
    assert told["params"] == {"requestId": call["id"], "reason": "enough"}
    assert world.wire.methods().count("notifications/cancelled") == 1
    world.wire.result(call["id"], {})
    assert wait.value is None


async def test_where_letting_go_is_the_cancellation_nothing_more_is_said() -> None:
    world = serving_modern()
    world.prepare_wire = lambda wire: setattr(wire, "lets_go", True)
    await world.ready()
    wait = world.upstream.request(permit(name="t", caller=modern_caller()))
    call = await world.sent("tools/call")
    wait.cancel("enough")
    assert world.wire.forgotten == [call["id"]]
    assert "notifications/cancelled" not in world.wire.methods()


async def test_a_request_that_is_cancelled_while_it_starts_is_never_sent() -> None:
    world = serving()
    wait = world.upstream.request(permit(name="t"))
    world.upstream.request(permit(name="u"))
    wait.cancel("enough")
    await world.sent("tools/call")
    assert world.wire.methods() == ["initialize", "notifications/initialized", "tools/call"]
    assert world.wire.sent[-1]["params"]["name"] == "u"


# --- the two eras --------------------------------------------------------------------------------------


async def test_a_request_to_a_modern_upstream_has_the_envelope_of_its_caller_and_ours_wins() -> None:
    world = await serving_modern().ready()
    lie = {eras.VERSION_KEY: "1999", eras.SUBSCRIPTION_KEY: 1, "own": 2, "io.modelcontextprotocol/x": 3}
    asked = permit(
        caller=modern_caller("warning"), name="t", _meta=lie, requestState="s", inputResponses={"a": 1}
    )
    world.upstream.request(asked)
    params = (await world.sent("tools/call"))["params"]
    meta = params["_meta"]
    assert meta.pop(eras.CLIENT_INFO_KEY)["name"] == "mcpguard"
    assert meta == {
        "own": 2,
        "io.modelcontextprotocol/x": 3,
        eras.VERSION_KEY: MODERN,
        eras.CAPABILITIES_KEY: {"elicitation": {}},
        eras.LOG_LEVEL_KEY: "warning",
    }
    assert (params["requestState"], params["inputResponses"]) == ("s", {"a": 1})
    assert asked.invocation.params is not None
    assert asked.invocation.params["_meta"] is lie


async def test_a_request_to_a_legacy_upstream_has_no_envelope() -> None:
    world = await serving().ready()
    envelope = eras.envelope(modern_caller("info"), MODERN, "c", "1")
    world.upstream.request(permit(caller=modern_caller(), name="t", _meta={**envelope, "own": 1}))
    assert (await world.sent("tools/call"))["params"] == {"name": "t", "_meta": {"own": 1}}
    world.upstream.request(permit(caller=modern_caller(), name="t", _meta=envelope))
    assert (await world.sent("tools/call", 2))["params"] == {"name": "t"}
    own = {"own": 1}
    world.upstream.request(permit(name="t", _meta=own))
    assert (await world.sent("tools/call", 3))["params"]["_meta"] is own


async def test_the_level_that_modern_requests_want_is_set_once_and_only_made_more_verbose() -> None:
    world = await serving({"logging": {}}).ready()
    for level in ("warning", "error", "warning", None, "info", "nonsense"):
        world.upstream.request(permit(caller=modern_caller(level), name="t"))
    await world.sent("tools/call", 6)
    said = [m["params"] for m in world.wire.sent if m.get("method") == "logging/setLevel"]
    assert said == [{"level": "warning"}, {"level": "info"}]
    await world.dead()
    await world.ready()
    world.upstream.request(permit(caller=modern_caller("error"), name="t"))
    await world.sent("tools/call")
    assert world.wire.last("logging/setLevel")["params"] == {"level": "info"}


async def test_no_level_is_set_where_no_logs_are_declared() -> None:
    world = await serving().ready()
    world.upstream.request(permit(caller=modern_caller("info"), name="t"))
    await world.sent("tools/call")
    assert "logging/setLevel" not in world.wire.methods()


async def test_a_level_that_is_prepared_goes_into_the_envelopes_of_legacy_callers() -> None:
    world = serving_modern()
    world.upstream.prepare(permit("logging/setLevel", level="debug"))
    assert world.wires == []
    await world.ready()
    world.upstream.request(permit(name="t"))
    meta = (await world.sent("tools/call"))["params"]["_meta"]
    assert meta[eras.LOG_LEVEL_KEY] == "debug"
    world.upstream.prepare(permit("logging/setLevel", level="error"))
    world.upstream.request(permit(name="t"))
    meta = (await world.sent("tools/call", 2))["params"]["_meta"]
    assert meta[eras.LOG_LEVEL_KEY] == "error"
    world.upstream.request(permit(caller=modern_caller(), name="t"))
    assert eras.LOG_LEVEL_KEY not in (await world.sent("tools/call", 3))["params"]["_meta"]
    assert "logging/setLevel" not in world.wire.methods()


async def test_what_is_prepared_is_sent_to_a_legacy_upstream_in_each_life_the_last_one_of_a_method() -> None:
    world = serving()
    world.upstream.prepare(permit("logging/setLevel", level="debug"))
    world.upstream.prepare(permit("logging/setLevel", level="error"))
    await world.ready()
    assert (await world.sent("logging/setLevel"))["params"] == {"level": "error"}
    await world.dead()
    await world.ready()
    assert (await world.sent("logging/setLevel"))["params"] == {"level": "error"}
    world.upstream.prepare(permit("logging/setLevel", level="info"))
    assert (await world.sent("logging/setLevel", 2))["params"] == {"level": "info"}


async def test_a_notification_is_told_to_a_legacy_upstream_that_runs_and_to_no_other() -> None:
    world = serving()
    world.upstream.tell("notifications/roots/list_changed", {})
    assert world.wires == []
    await world.ready()
    world.upstream.tell("notifications/roots/list_changed", {})
    assert await world.sent("notifications/roots/list_changed") == {
        "jsonrpc": "2.0",
        "method": "notifications/roots/list_changed",
    }
    other = await serving_modern().ready()
    other.upstream.tell("notifications/roots/list_changed", {})
    assert other.wire.methods() == ["server/discover"]


# --- what it says by itself ----------------------------------------------------------------------------


async def test_a_notification_is_heard_with_the_wait_of_the_request_on_whose_stream_it_came() -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    note = {"method": "notifications/message", "params": {"data": 1}}
    world.wire.say(note, call["id"])
    world.wire.say(note)
    world.wire.say({"method": "notifications/x"}, 999)
    assert [method for method, _ in world.heard] == ["notifications/message"] * 2 + ["notifications/x"]
    assert world.related == [wait, None, None]
    assert world.heard[2][1] == {}


async def test_a_connection_that_was_closed_on_purpose_is_told_with_the_wait_of_its_request() -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.listener.parted(call["id"])
    world.wire.listener.parted(999)
    assert world.parted_ones == [wait, None]


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list"])
async def test_a_question_of_a_legacy_upstream_is_answered_once(method: str) -> None:
    world = await serving().ready()
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.say({"id": "q", "method": method, "params": {"a": 1}}, call["id"])
    question = world.questions[0]
    assert (question.server, question.id, question.method, question.params) == (
        "x",
        "q",
        method,
        {"a": 1},
    )
    assert question.related is wait
    question.answer({"result": {"b": 2}})
    question.answer({"result": {"b": 3}})
    answers = [message for message in world.wire.sent if "method" not in message]
    assert answers == [{"jsonrpc": "2.0", "id": "q", "result": {"b": 2}}]


async def test_a_defect_behind_one_message_is_reported_by_its_type_and_costs_that_message_only() -> None:
    world = await World(legacy()).ready()

    def broken(*_: Any) -> None:
        raise TypeError("s3cret")

    hear, world.notified = world.notified, broken  # type: ignore[method-assign]
    world.wire.notify("notifications/message", data=1)
    world.notified = hear  # type: ignore[method-assign]
    world.wire.notify("notifications/message", data=2)
    assert world.heard == [("notifications/message", {"data": 2})]
    assert world.reports == ["x: internal error (TypeError); a message of it was dropped"]


async def test_a_question_can_be_answered_with_an_error() -> None:
    world = await serving().ready()
    world.wire.say({"id": 7, "method": "roots/list"})
    assert world.questions[0].related is None
    world.questions[0].answer({"error": {"code": -1, "message": "no"}})
    assert world.wire.sent[-1] == {"jsonrpc": "2.0", "id": 7, "error": {"code": -1, "message": "no"}}


async def test_a_question_that_the_upstream_cancels_is_withdrawn_and_cannot_be_answered() -> None:
    world = await serving().ready()
    world.wire.say({"id": 7, "method": "roots/list"})
    for nobody in (8, "7", [7], None, True):
        world.wire.notify("notifications/cancelled", requestId=nobody)
    assert world.withdrawn_ones == []
    world.wire.notify("notifications/cancelled", requestId=7)
    assert world.withdrawn_ones == world.questions
    world.questions[0].answer({"result": {}})
    assert "answer" not in world.wire.methods()
    assert world.heard == []


async def test_open_questions_are_withdrawn_when_the_wire_ends_and_an_answer_goes_nowhere() -> None:
    world = await serving().ready()
    world.wire.say({"id": 7, "method": "roots/list"})
    await world.dead()
    assert world.withdrawn_ones == world.questions
    world.questions[0].answer({"result": {}})
    await world.ready()
    world.questions[0].answer({"result": {}})
    assert "answer" not in world.wire.methods()


async def test_an_id_that_is_in_use_and_too_many_questions_are_refused() -> None:
    world = await serving().ready()
    for n in range(MOST_OPEN):
        world.wire.say({"id": n, "method": "roots/list"})
    world.wire.say({"id": 0, "method": "roots/list"})
    world.wire.say({"id": MOST_OPEN, "method": "roots/list"})
    assert len(world.questions) == MOST_OPEN
    assert [m["error"]["message"] for m in world.wire.sent if "error" in m] == [
        "this id is in use",
        "too many open requests",
    ]


@pytest.mark.parametrize("make", [serving, serving_modern])
async def test_an_unknown_request_is_refused(make: Any) -> None:
    world = await make().ready()
    world.wire.say({"id": "q", "method": "x/unknown"})
    assert world.wire.sent[-1]["error"] == {"code": -32601, "message": "not served by mcpguard"}


@pytest.mark.parametrize("method", ["ping", "sampling/createMessage", "roots/list"])
async def test_every_request_of_a_modern_upstream_is_refused(method: str) -> None:
    world = await serving_modern().ready()
    world.wire.say({"id": "q", "method": method})
    assert world.wire.sent[-1]["error"]["code"] == -32601
    assert world.questions == []


async def test_a_ping_of_a_legacy_upstream_is_answered_before_and_after_the_greeting() -> None:
    def eager(wire: FakeWire, message: Any) -> None:
        if message.get("method") == "initialize":
            wire.say({"id": "early", "method": "ping"})
            wire.say({"id": "bold", "method": "roots/list"})
        legacy()(wire, message)

    world = await World(eager).ready()
    world.wire.say({"id": "p", "method": "ping"})
    answers = {m["id"]: m for m in world.wire.sent if "method" not in m}
    assert answers["early"]["result"] == answers["p"]["result"] == {}
    assert answers["bold"]["error"]["code"] == -32601
    assert world.questions == []


async def test_who_asks_and_does_not_read_gets_no_answers() -> None:
    world = await serving().ready()
    world.wire.unsent = open_requests.MOST * open_requests.FULL_BYTES + 1
    before = len(world.wire.sent)
    world.wire.say({"id": "p", "method": "ping"})
    assert len(world.wire.sent) == before


# --- deadlines -----------------------------------------------------------------------------------------


async def test_a_call_that_is_not_answered_in_time_is_one_clear_error_and_is_cancelled() -> None:
    world = await World(legacy(), call_seconds=0.05).ready()
    wait = world.upstream.request(permit(name="t"))
    assert (
        await failure(wait)
        == "upstream 'x' did not answer tools/call within 0.05 seconds (`call_timeout_seconds`)"
    )
    told = await world.sent("notifications/cancelled")
    assert told["params"]["requestId"] == world.wire.last("tools/call")["id"]


async def test_a_list_has_the_time_of_a_start() -> None:
    def serve(wire: FakeWire, message: Any) -> None:
        if message.get("method") == "initialize":
            legacy()(wire, message)

    world = World(serve, start_seconds=0.3)
    wait = world.upstream.request(permit("tools/list"))
    assert (
        await failure(wait)
        == "upstream 'x' did not answer tools/list within 0.3 seconds (`start_timeout_seconds`)"
    )


@pytest.mark.parametrize("related", [True, False])
async def test_the_clock_stands_still_while_a_question_is_open(related: bool) -> None:
    world = await World(legacy(), call_seconds=0.1).ready()
    waiting = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.say({"id": 1, "method": "elicitation/create"}, call["id"] if related else None)
    late = World(legacy(), call_seconds=0.3)
    await late.ready()
    await failure(late.upstream.request(permit(name="t")))
    assert not waiting.done
    world.questions[0].answer({"result": {}})
    assert "within 0.1 seconds" in await failure(waiting)


async def test_a_question_of_one_request_does_not_stop_the_clock_of_another() -> None:
    world = await World(legacy(), call_seconds=0.1).ready()
    asking = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.say({"id": 1, "method": "elicitation/create"}, call["id"])
    assert "within 0.1 seconds" in await failure(world.upstream.request(permit(name="u")))
    assert not asking.done


async def test_a_request_that_comes_while_an_unrelated_question_is_open_waits_for_it_as_well() -> None:
    world = await World(legacy(), call_seconds=0.1).ready()
    world.wire.say({"id": 1, "method": "elicitation/create"})
    wait = world.upstream.request(permit(name="t"))
    world.wire.notify("notifications/cancelled", requestId=1)
    assert "within 0.1 seconds" in await failure(wait)


async def test_everything_that_waits_is_told_when_the_wire_ends() -> None:
    world = await serving().ready()
    world.wire.words = "; it last said: bye"
    waits = [world.upstream.request(permit(name="t")) for _ in range(3)]
    world.wire.listener.ended()
    for wait in waits:
        assert await failure(wait) == "upstream 'x' has ended; it last said: bye"
    assert world.wire.closed
