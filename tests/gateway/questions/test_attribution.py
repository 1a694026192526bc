"""Several requests of one principal over HTTP are open at a legacy server over stdio, which asks something.

Such a server does not say which request it asks about, and the requests may be those of several agents.
"""

from __future__ import annotations

from typing import Any

from mcpguard.gateway.ports import Question
from tests.fakes import World, give, text
from tests.gateway.questions.parking import ELICIT, told
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    ALLOW_ALL,
    FORM,
    ask,
    call,
    envelope,
    last,
    modern,
    quiet,
)

OVER_HTTP = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"}


def post(world: World, name: str, request_id: int, capabilities: Any = ALL_CAPABILITIES, **more: Any) -> None:
    """A `tools/call` of a modern client over HTTP."""
    params = {"name": name, "arguments": {"a": 1}, **more, "_meta": envelope(capabilities, "info")}
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    world.gateway.receive(message, {**OVER_HTTP, "mcp-name": name})
    world.turn()


def open_calls(*capabilities: Any) -> World:
    """As many calls as `capabilities`, of `read` as request 1, of `write` as 2, of `push` as 3."""
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    for request_id, (name, one) in enumerate(zip(("read", "write", "push"), capabilities, strict=False), 1):
        post(world, name, request_id, one)
    return quiet(world)


def end(world: World, nth: int) -> None:
    """The server answers the call that is the `nth` of those that it has not answered."""
    wait, _progress = world.upstreams["one"].held.pop(nth)
    give(wait, text("done"))
    world.turn()


def shown(world: World) -> list[tuple[Any, str]]:
    """Which request was answered with a question, and which question."""
    results = [(sent["id"], sent["result"]) for sent in world.client.sent if "result" in sent]
    return [
        (request_id, one["params"]["message"])
        for request_id, result in results
        for one in result.get("inputRequests", {}).values()
    ]


def refusals_of(world: World) -> list[str]:
    return [body["error"]["message"] for body in told(world)]


def asked(world: World, message: str, n: int = 1) -> Question:
    return ask(world, ELICIT, {**FORM, "message": message}, n=n)


def test_a_question_waits_until_it_can_be_about_one_request_only() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for the second")
    assert shown(world) == []
    end(world, 0)
    assert shown(world) == [(2, "for the second")]
    state, answers = last(world)["requestState"], {"question-1": ACCEPTED}
    post(world, "write", 4, requestState=state, inputResponses=answers)
    assert told(world) == [{"result": ACCEPTED}]
    end(world, 0)
    assert world.client.sent[-1]["id"] == 4


def test_what_a_client_declares_does_not_say_that_a_question_is_for_it() -> None:
    world = open_calls({}, ALL_CAPABILITIES)
    asked(world, "for the first")
    assert shown(world) == []
    end(world, 1)
    assert shown(world) == []
    assert refusals_of(world) == ["mcpguard: the client did not declare elicitation"]


def test_a_question_that_no_client_can_answer_does_not_wait() -> None:
    world = open_calls({}, {"sampling": {}})
    asked(world, "for nobody")
    assert refusals_of(world) == ["mcpguard: no client with an open call declared that it can answer this"]
    ask(world, ELICIT, [], n=2)
    assert len(told(world)) == 2


def test_a_question_does_not_wait_for_requests_that_came_after_it() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for the first")
    post(world, "push", 3)
    end(world, 1)
    assert shown(world) == [(1, "for the first")]


def test_a_cancelled_call_does_not_hold_the_question_of_another() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for the second")
    world.gateway.cancel(1, "disconnected")
    world.turn()
    assert shown(world) == [(2, "for the second")]


def test_a_question_that_waited_for_too_long_is_refused_on_record_with_what_to_do() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for one of them")
    world.clock.ring()
    world.turn()
    assert shown(world) == []
    [said] = refusals_of(world)
    assert "make the call again when the others have finished" in said
    assert "give each its own token" in said
    [record] = [one for one in world.audit.records if getattr(one, "what", "") == "message-refused"]
    assert record.detail.startswith(f"{ELICIT}: this server has several open calls")
    assert world.reports[-1].startswith(f"one: refused {ELICIT}: this server has several open calls")
    end(world, 0)
    end(world, 0)
    assert [sent["id"] for sent in world.client.sent] == [1, 2]


def test_where_each_call_may_wait_for_its_own_question_the_last_one_is_refused_at_once() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for one of them")
    asked(world, "for the other", 2)
    assert [question.id for question, _body in world.upstreams["one"].answered] == [2]
    end(world, 1)  # It fails, since nobody was asked.
    assert shown(world) == [(1, "for one of them")]


def test_of_three_calls_that_all_ask_one_is_answered_and_none_hangs() -> None:
    world = open_calls(*[ALL_CAPABILITIES] * 3)
    for n, message in enumerate(("one", "two", "three"), 1):
        asked(world, message, n)
    assert [question.id for question, _body in world.upstreams["one"].answered] == [3]
    end(world, 2)
    assert [question.id for question, _body in world.upstreams["one"].answered] == [3, 1]
    end(world, 0)
    assert shown(world) == [(2, "two")]


def test_a_question_of_another_process_of_the_server_is_not_in_the_way() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for one of them")
    world.gateway.asked(world.question("one", 2, ELICIT, FORM, credential="writing"))
    assert len(told(world)) == 1
    assert "no open request" in refusals_of(world)[0]
    end(world, 0)
    assert shown(world) == [(2, "for one of them")]


def test_a_question_that_is_withdrawn_while_it_waits_reaches_nobody() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    question = asked(world, "for one of them")
    world.gateway.withdrawn(question)
    world.gateway.withdrawn(question)
    end(world, 0)
    world.clock.ring()
    world.turn()
    assert shown(world) == []
    assert world.reports == []


def test_a_question_that_waits_while_its_client_is_gone_is_refused() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    asked(world, "for one of them")
    world.gateway.abandon("abandoned")
    world.turn()
    assert len(told(world)) == 1


def test_a_call_that_waits_for_a_person_does_not_hold_the_question_of_another() -> None:
    """Its client may never come back to it."""
    world = open_calls(ALL_CAPABILITIES)
    asked(world, "for the first")
    post(world, "write", 2)
    asked(world, "for the second", 2)
    assert shown(world) == [(1, "for the first"), (2, "for the second")]


def test_over_stdio_the_oldest_request_that_can_carry_it_does() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities={})
    call(world, "write", 2)
    call(world, "push", 3)
    quiet(world)
    asked(world, "of this client")
    assert shown(world) == [(2, "of this client")]


def test_a_log_message_that_may_be_about_the_call_of_another_agent_goes_to_nobody() -> None:
    world = open_calls(ALL_CAPABILITIES, ALL_CAPABILITIES)
    said = {"level": "error", "data": "about one of them"}
    world.gateway.notified("one", "notifications/message", said)
    world.turn()
    assert world.client.sent == []
    end(world, 0)
    quiet(world)
    world.gateway.notified("one", "notifications/message", said)
    world.turn()
    assert world.client.related == [2]
