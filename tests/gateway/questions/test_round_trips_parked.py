"""A parked call: its `requestState` leads to it and to nothing else, and it ends in every case."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.gateway.questions import round_trips as parking
from mcpguard.gateway.scope import Request
from tests.fakes import GONE, World, give, text
from tests.gateway.questions.parking import BAD_STATE, ELICIT, parked, retry, told, waiting
from tests.gateway.scenes import (
    ACCEPTED,
    ALLOW_ALL,
    FORM,
    FORMS,
    ask,
    call,
    envelope,
    last,
    modern,
    offers,
    quiet,
)

ASKING = "  - {id: ask, effect: allow, action: [elicitation/create]}\n"

# --- requestState ---------------------------------------------------------------------------------


def test_a_state_that_was_made_up_or_changed_leads_nowhere() -> None:
    world, state = parked()
    for wrong in ("", "x", state[:-1], state + "x", state.swapcase()):
        retry(world, wrong)
        assert last(world) == {"code": -32602, "message": BAD_STATE}
    assert told(world) == []
    retry(world, state)
    assert told(world) == [{"result": ACCEPTED}]


def test_a_state_that_leads_nowhere_tells_a_hidden_tool_from_a_missing_one_no_more_than_none_does() -> None:
    world = World("  - {id: read, effect: allow, tools: [read]}\n")
    for name in ("push", "nope"):
        for more in ({}, {"requestState": "x"}, {"requestState": "x", "inputResponses": {}}):
            call(world, name, 1, **more)
    answers = [str(sent).replace("push", "nope") for sent in world.client.sent]
    assert len(answers) == 6
    assert set(answers) == {answers[0]}
    call(world, "read", 1, requestState="x")
    assert last(world)["message"] == BAD_STATE


def test_a_denied_retry_of_another_request_ends_no_parked_call() -> None:
    world, state = parked("  - {id: read, effect: allow, tools: [read]}\n" + ASKING)
    call(world, "push", 2, requestState=state)
    assert "Unknown tool" in last(world)["message"]
    retry(world, state, 3)
    assert told(world) == [{"result": ACCEPTED}]


def test_a_state_works_once() -> None:
    world, state = parked()
    retry(world, state)
    retry(world, state, 3)
    assert last(world)["message"] == BAD_STATE
    assert len(told(world)) == 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "read", "arguments": {"a": 2}}),
        ("tools/call", {"name": "write", "arguments": {"a": 1}}),
        ("prompts/get", {"name": "read", "arguments": {"a": 1}}),
    ],
)
def test_a_state_leads_to_the_same_request_only(method: str, params: Any) -> None:
    world, state = parked()
    offers(world, "one", prompts=[{"name": "read"}])
    modern(world, method, {**params, "requestState": state, "inputResponses": {}}, 2)
    assert last(world)["message"] == BAD_STATE
    assert told(world) == []


def test_a_state_of_another_client_leads_nowhere() -> None:
    _, state = parked()
    other, own = parked()
    retry(other, state)
    assert last(other)["message"] == BAD_STATE
    retry(other, own)
    assert told(other) == [{"result": ACCEPTED}]


def test_a_state_expires_and_the_call_with_it() -> None:
    world, state = parked()
    assert [seconds for seconds, _then in world.clock.alarms] == [600.0]
    assert (world.gateway.thinking, world.gateway.idle) == (True, True)
    world.clock.ring()
    world.turn()
    assert not world.gateway.thinking
    assert world.trace == ["cancel expired", f"answer {ELICIT}", "outcome expired"]
    assert told(world)[0]["error"]["message"] == "the call has ended"
    retry(world, state)
    assert last(world)["message"] == BAD_STATE
    assert len(world.client.sent) == 1


def test_above_the_limit_the_oldest_parked_call_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED", 1)
    world, state = parked()
    call(world, "write", 2)
    wait, _progress = world.upstreams["one"].held[-1]
    ask(world, ELICIT, FORM, wait, 2)
    assert "too many questions are open" in told(world)[-1]["error"]["message"]
    retry(world, state, 3)
    assert told(world)[-1] == {"result": ACCEPTED}
    upstream = world.upstreams["one"]
    upstream.modern = True
    for request_id in (4, 5):
        upstream.answers["push"] = {"resultType": "input_required", "requestState": str(request_id)}
        call(world, "push", request_id)
    assert len(world.clock.alarms) == 1


def test_above_the_bytes_of_all_parked_calls_the_oldest_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    world, state = parked()
    monkeypatch.setattr(parking, "MAX_PARKED_BYTES", 1000)
    modern(world, "tools/call", {"name": "write", "arguments": {"a": "x" * 500}}, 2, capabilities=FORMS)
    wait, _progress = world.upstreams["one"].held[-1]
    quiet(world)
    ask(world, ELICIT, FORM, wait, 2)
    ended = ["cancel expired", f"answer {ELICIT}", "outcome expired"]
    assert [one for one in world.trace if one in ended] == ended
    second = last(world)
    assert second["resultType"] == "input_required"
    retry(world, state, 3)
    assert last(world)["message"] == BAD_STATE
    more = {"requestState": second["requestState"], "inputResponses": {"question-1": ACCEPTED}}
    params = {"name": "write", "arguments": {"a": "x" * 500}, **more}
    modern(world, "tools/call", params, 4, capabilities=FORMS)
    assert told(world)[-1] == {"result": ACCEPTED}
    call(world, "push", 5)
    wait, _progress = world.upstreams["one"].held[-1]
    ask(world, ELICIT, {**FORM, "message": "y" * 2000}, wait, 3)
    assert last(world)["resultType"] == "input_required"


def test_of_a_call_that_a_modern_upstream_asks_for_only_the_questions_and_the_state_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED_BYTES", 1500)
    world = World(ALLOW_ALL)
    world.upstreams["one"].modern = True
    wanted = {"q": {"method": ELICIT, "params": FORM}}
    states: list[str] = []
    for request_id in range(5):
        world.upstreams["one"].answers["read"] = {
            "resultType": "input_required",
            "inputRequests": wanted,
            "requestState": str(request_id) * 300,
        }
        params = {"name": "read", "arguments": {"big": "x" * 100_000, "n": request_id}}
        modern(world, "tools/call", params, request_id, capabilities=FORMS)
        states.append(last(world)["requestState"])
    world.upstreams["one"].answers["read"] = text("done")
    for request_id, state in enumerate(states):
        params = {"name": "read", "arguments": {"big": "x" * 100_000, "n": request_id}, "requestState": state}
        modern(world, "tools/call", params, 10 + request_id, capabilities=FORMS)
    # Three states of 300 bytes with their questions fit; the arguments do not count.
    assert ["error" in one for one in world.client.sent[-5:]] == [True, True, False, False, False]
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Request) and "big" in str(one.params)]


# --- what happens meanwhile -----------------------------------------------------------------------


def test_a_retry_that_policy_denies_ends_the_parked_call() -> None:
    late = "args.a == 1 && now > timestamp('2026-08-01T09:00:00.050Z')"
    rule = f'  - {{id: late, effect: deny, action: [tools/call], when: "{late}"}}\n'
    world, state = parked(ALLOW_ALL + rule)
    for _ in range(60):
        world.clock.seconds()
    retry(world, state)
    ended = ["cancel denied", f"answer {ELICIT}"]
    assert world.trace == [*ended, "outcome denied", "decision deny", "reply 2"]
    assert last(world)["isError"] is True
    assert told(world)[0]["error"]["message"] == "the call has ended"


def test_an_upstream_that_dies_meanwhile_is_told_at_the_retry() -> None:
    world, state = parked()
    wait, _progress = world.upstreams["one"].held.pop()
    wait.fail(GONE)
    world.turn()
    assert world.client.sent == []
    retry(world, state)
    assert last(world)["message"] == "upstream 'one' has ended"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 2"]


def test_an_upstream_that_answers_meanwhile_is_heard_at_the_retry() -> None:
    world, state = parked()
    world.answer(text("never mind"))
    assert world.client.sent == []
    retry(world, state)
    assert last(world)["content"] == text("never mind")["content"]


def test_a_question_that_is_withdrawn_meanwhile_is_not_answered() -> None:
    world = waiting()
    question = ask(world, ELICIT, FORM)
    world.gateway.withdrawn(question)
    world.gateway.withdrawn(world.question("one", 9, ELICIT, FORM))
    retry(world, last(world)["requestState"])
    assert told(world) == []
    world.answer(text("done"))
    assert last(world)["content"]


def test_a_question_that_is_withdrawn_before_it_is_put_is_not_put() -> None:
    world = waiting()
    world.gateway.asked(world.question("one", 1, ELICIT, FORM))
    second = world.question("one", 2, ELICIT, FORM)
    world.gateway.asked(second)
    world.turn()
    world.gateway.withdrawn(second)
    retry(world, last(world)["requestState"])
    assert len(world.client.sent) == 1
    world.answer(text("done"))
    assert last(world)["content"]


def test_questions_of_two_calls_go_each_with_its_own() -> None:
    world = waiting()
    call(world, "write", 2)
    waits = [wait for wait, _progress in world.upstreams["one"].held]
    for request_id, wait in ((2, waits[1]), (1, waits[0])):
        ask(world, ELICIT, {**FORM, "message": str(request_id)}, wait, request_id)
        assert world.client.sent[-1]["id"] == request_id
        assert last(world)["inputRequests"]["question-1"]["params"]["message"] == str(request_id)


def test_a_question_that_says_no_request_is_about_the_oldest_that_still_waits() -> None:
    world = waiting()
    call(world, "write", 2)
    wait, _progress = world.upstreams["one"].held.pop(0)
    give(wait, text("first"))  # Its outcome is not durable yet, so it is still open.
    ask(world, ELICIT, FORM)
    assert [sent["id"] for sent in world.client.sent] == [1, 2]
    assert last(world)["resultType"] == "input_required"


def test_a_question_about_a_request_that_is_over_is_refused() -> None:
    world = waiting()
    wait, _progress = world.upstreams["one"].held[0]
    world.answer(text("done"))
    ask(world, ELICIT, FORM, wait)
    assert "error" in told(world)[0]


def test_progress_and_log_messages_of_a_parked_call_go_nowhere_until_the_retry() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    params = {"name": "read", "arguments": {"a": 1}}
    modern(world, "tools/call", params, 1, capabilities=FORMS, level="debug", progressToken="p1")
    _wait, progress = world.upstreams["one"].held[0]
    assert progress is not None
    ask(world, ELICIT, FORM)
    state = last(world)["requestState"]
    quiet(world)
    progress({"progressToken": 9, "progress": 1})
    world.gateway.notified("one", "notifications/message", {"level": "error", "data": "x"})
    world.turn()
    assert world.client.sent == []
    again = {**params, "requestState": state, "inputResponses": {"question-1": ACCEPTED}}
    modern(world, "tools/call", again, 2, capabilities=FORMS, progressToken="p2")
    progress({"progressToken": 9, "progress": 2})
    world.turn()
    assert last_params(world)["progressToken"] == "p2"
    assert world.client.related == [2]


def last_params(world: World) -> Any:
    return world.client.sent[-1]["params"]


def test_a_retry_without_a_progress_token_wants_no_progress() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    modern(world, "tools/call", {"name": "read"}, 1, capabilities=FORMS, progressToken="p1")
    _wait, progress = world.upstreams["one"].held[0]
    assert progress is not None
    ask(world, ELICIT, FORM)
    more = {"requestState": last(world)["requestState"], "inputResponses": {"question-1": ACCEPTED}}
    modern(world, "tools/call", {"name": "read", **more}, 2, capabilities=FORMS)
    quiet(world)
    progress({"progressToken": 9, "progress": 2})
    world.turn()
    assert world.client.sent == []


# --- ends -----------------------------------------------------------------------------------------


def test_a_resumed_call_can_be_cancelled_under_its_new_id_only() -> None:
    world, state = parked()
    retry(world, state)
    world.send("notifications/cancelled", {"requestId": 1})
    assert not world.gateway.idle
    world.send("notifications/cancelled", {"requestId": 2})
    assert world.trace[-2:] == ["cancel cancelled", "outcome cancelled"]
    assert world.gateway.idle


def test_a_retry_that_is_cancelled_before_its_record_is_durable_ends_the_parked_call() -> None:
    world, state = parked()
    params = {"name": "read", "arguments": {"a": 1}, "requestState": state}
    message = {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
    world.gateway.receive({**message, "params": {**params, "_meta": envelope(FORMS)}})
    world.gateway.cancel(2, "cancelled")
    world.turn()
    assert "cancel cancelled" in world.trace
    assert told(world)[0]["error"]["message"] == "the call has ended"
    assert world.client.sent == []


def test_a_retry_whose_record_cannot_be_written_ends_the_parked_call() -> None:
    world, state = parked()
    world.audit.fail = True
    retry(world, state)
    assert "audit log" in last(world)["message"]
    assert "cancel unavailable" in world.trace
    assert told(world)[0]["error"]["message"] == "the call has ended"


def test_a_call_that_cannot_be_parked_for_want_of_a_record_ends_at_its_upstream_too() -> None:
    world = waiting()
    world.audit.fail = True
    ask(world, ELICIT, FORM)
    assert "audit log" in last(world)["message"]
    assert sorted(world.trace) == sorted(["refuse 1", "cancel refused", f"answer {ELICIT}"])


def test_a_call_whose_question_was_withdrawn_before_its_record_failed_ends_at_its_upstream_too() -> None:
    world = waiting()
    question = world.question("one", 1, ELICIT, FORM)
    world.gateway.asked(question)
    world.gateway.withdrawn(question)
    world.audit.fail = True
    world.turn()
    assert "audit log" in last(world)["message"]
    assert "cancel refused" in world.trace
    assert world.upstreams["one"].held == []
    assert told(world) == []


def test_a_question_gets_its_answer_where_the_upstream_went_on_before_the_record_failed() -> None:
    world = waiting()
    world.gateway.asked(world.question("one", 1, ELICIT, FORM))
    wait, _progress = world.upstreams["one"].held.pop()
    give(wait, text("never mind"))
    world.audit.fail = True
    world.turn()
    assert "audit log" in last(world)["message"]
    assert told(world)[0]["error"]["message"] == "the call has ended"
    assert "cancel refused" not in world.trace  # Nothing is left to cancel.


def test_a_client_that_is_gone_ends_its_parked_calls() -> None:
    world, _ = parked()
    world.gateway.abandon("disconnected")
    world.turn()
    assert world.trace == ["cancel disconnected", f"answer {ELICIT}", "outcome disconnected"]
    assert world.clock.alarms == []


def test_an_answer_that_asks_and_cannot_be_inspected_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting()
    original = world.redactor.inspect

    def inspect(value: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(value, dict) and "requestState" in value:
            raise InspectionError("it is too deep")
        return original(value, *rest, **more)

    monkeypatch.setattr(world.redactor, "inspect", inspect)
    ask(world, ELICIT, FORM)
    assert last(world)["data"]["cause"] == "withheld"
    assert "cancel refused" in world.trace
    assert told(world)[0]["error"]["message"] == "the call has ended"
