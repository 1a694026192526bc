"""A modern upstream asks with `input_required`: for a modern client its state stays here, a legacy client is
asked, and a task or an error that asks is judged like every question."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.gateway.questions import round_trips
from tests.fakes import GONE, SECRET, World, text
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    ALLOW_ALL,
    FORM,
    call,
    deep,
    last,
    legacy,
    methods_of,
    modern,
    quiet,
)
from tests.rows import each

ELICIT = "elicitation/create"
NO_FORMS = ALLOW_ALL + "  - {id: no, effect: deny, action: [elicitation/create], message: Never.}\n"
BAD_STATE = (
    "`requestState` is unknown, has expired or belongs to another request: make the call again without "
    "`requestState` and `inputResponses`"
)


def asks(state: Any = "their-state", **requests: Any) -> dict[str, Any]:
    wanted = requests or {"branch": {"method": ELICIT, "params": FORM}}
    result: dict[str, Any] = {"resultType": "input_required", "inputRequests": wanted}
    return result if state is None else {**result, "requestState": state}


def waiting(answer: Any, rules: str = ALLOW_ALL, *, legacy_client: bool = False) -> World:
    """A client has called `read`, and its modern upstream has answered."""
    world = World(rules)
    world.upstreams["one"].modern = True
    if legacy_client:
        legacy(world, ALL_CAPABILITIES).send("tools/list", {}, 0)
        world.call("read", 1, a=1)
    else:
        modern(world, "tools/list")
        call(world, "read", 1)
    quiet(world)
    world.answer(answer)
    return world


def sent(world: World) -> Any:
    """The params that the upstream was sent last."""
    return world.upstreams["one"].requests[-1].invocation.params


# --- a modern client ------------------------------------------------------------------------------


def test_nothing_but_the_questions_goes_on_since_no_rule_on_results_has_seen_the_rest() -> None:
    rules = ALLOW_ALL + "  - {id: no, effect: deny, on: result}\n"
    more = {**text("private"), "structuredContent": {"x": "private"}, "_meta": {"x": "private"}}
    world = waiting({**asks(), **more}, rules)
    assert last(world)["inputRequests"]
    assert "private" not in str(world.client.sent)


def test_the_questions_go_on_and_the_state_of_the_upstream_does_not() -> None:
    world = waiting(asks())
    result = last(world)
    assert result["inputRequests"] == {"branch": {"method": ELICIT, "params": FORM}}
    assert result["resultType"] == "input_required"
    assert "their-state" not in str(world.client.sent)
    assert world.trace == ["decision allow", "outcome asked", "outcome input-required", "reply 1"]
    call(world, "read", 2, requestState=result["requestState"], inputResponses={"branch": ACCEPTED})
    assert sent(world) == {
        "name": "read",
        "arguments": {"a": 1},
        "inputResponses": {"branch": ACCEPTED},
        "requestState": "their-state",
    }
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]
    assert world.trace[-4:] == ["decision allow", "request read", "outcome ok", "reply 2"]


def test_a_state_alone_or_questions_alone_go_on_too() -> None:
    world = waiting({"resultType": "input_required", "requestState": "s"})
    assert "inputRequests" not in last(world)
    call(world, "read", 2, requestState=last(world)["requestState"])
    assert sent(world)["requestState"] == "s"
    assert "inputResponses" not in sent(world)
    other = waiting(asks(None))
    call(other, "read", 2, requestState=last(other)["requestState"], inputResponses={})
    assert "requestState" not in sent(other)
    assert sent(other)["inputResponses"] == {}


def test_a_state_leads_to_the_same_request_of_the_same_client_until_it_expires() -> None:
    world = waiting(asks())
    state = last(world)["requestState"]
    foreign = waiting(asks())
    for wrong in (last(foreign)["requestState"], "their-state", state + "x"):
        call(world, "read", 2, requestState=wrong)
        assert last(world)["message"] == BAD_STATE
    modern(world, "tools/call", {"name": "read", "arguments": {"a": 2}, "requestState": state}, 3)
    assert last(world)["message"] == BAD_STATE
    world.clock.ring()
    call(world, "read", 4, requestState=state)
    assert last(world)["message"] == BAD_STATE
    assert methods_of(world) == ["tools/call"]
    assert world.clock.alarms == []


def test_answers_to_what_nobody_was_asked_reach_no_upstream() -> None:
    world = waiting(asks())
    given = {"branch": ACCEPTED, "roots": {"roots": [{"uri": "file:///"}]}}
    call(world, "read", 2, requestState=last(world)["requestState"], inputResponses=given)
    sent = world.upstreams["one"].requests[-1].invocation.params or {}
    assert sent["inputResponses"] == {"branch": ACCEPTED}


def test_responses_without_a_state_are_a_new_request() -> None:
    world = waiting(asks())
    call(world, "read", 2, inputResponses={"branch": ACCEPTED})
    assert sent(world) == {"name": "read", "arguments": {"a": 1}}


def test_a_retry_that_policy_denies_goes_nowhere() -> None:
    late = "args.a == 1 && now > timestamp('2026-08-01T09:00:00.050Z')"
    world = waiting(
        asks(), ALLOW_ALL + f'  - {{id: late, effect: deny, action: [tools/call], when: "{late}"}}\n'
    )
    for _ in range(60):
        world.clock.seconds()
    call(world, "read", 2, requestState=last(world)["requestState"])
    assert last(world)["isError"] is True
    assert methods_of(world) == ["tools/call"]


def test_a_question_that_policy_denies_ends_the_call_with_a_reason() -> None:
    world = waiting(asks(), NO_FORMS)
    assert f"requires {ELICIT} for this call, which is not possible" in last(world)["message"]
    assert "Never." in last(world)["message"]
    assert world.trace == ["decision deny", "outcome unavailable", "refuse 1"]
    assert world.clock.alarms == []


def test_a_secret_in_a_question_is_gone() -> None:
    question = {"message": SECRET, "requestedSchema": {"properties": {SECRET: 1}}}
    world = waiting(asks(branch={"method": ELICIT, "params": question}, **{SECRET: {"method": "roots/list"}}))
    assert last(world)["resultType"] == "input_required"
    assert SECRET not in str(world.client.sent + world.audit.records)


BROKEN = [
    ["k"],
    {"k": 1},
    {"k": {}},
    {"k": {"method": "tools/call", "params": {}}},
    {"k": {"method": [ELICIT], "params": {}}},
]


@each("requests", BROKEN)
@each("legacy_client", [True, False])
def test_questions_in_a_form_that_is_not_mcp_end_the_call(requests: Any, legacy_client: bool) -> None:
    answer = {"resultType": "input_required", "inputRequests": requests}
    world = waiting(answer, legacy_client=legacy_client)
    assert last(world)["message"] == "the upstream's request for input is not valid MCP"
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]


@pytest.mark.parametrize("params", [[], {"message": deep()}])
@pytest.mark.parametrize("legacy_client", [True, False])
def test_a_question_that_cannot_be_judged_ends_the_call(params: Any, legacy_client: bool) -> None:
    answer = asks(branch={"method": ELICIT, "params": params})
    world = waiting(answer, legacy_client=legacy_client)
    assert "which is not possible" in last(world)["message"]
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]


def volunteering(responses: Any, answer: Any, rules: str = ALLOW_ALL) -> World:
    """A modern client sends answers with its first request, and the upstream asks."""
    world = World(rules)
    modern(world, "tools/list")
    call(world, "read", 1, inputResponses=responses)
    quiet(world)
    world.answer(answer)
    return world


def test_answers_that_come_with_the_first_request_reach_an_upstream_that_asks_for_them() -> None:
    world = volunteering({"branch": ACCEPTED, "more": ACCEPTED}, asks())
    assert world.client.sent == []
    assert sent(world)["inputResponses"] == {"branch": ACCEPTED}
    assert sent(world)["requestState"] == "their-state"
    assert world.trace == ["decision allow", "outcome asked", "request read"]
    world.answer(text("done"))
    assert last(world)["content"] == text("done")["content"]


@pytest.mark.parametrize("responses", [{}, {"other": ACCEPTED}])
def test_answers_that_lack_what_is_asked_do_not_keep_the_client_from_being_asked(responses: Any) -> None:
    assert last(volunteering(responses, asks()))["resultType"] == "input_required"


def test_answers_to_what_policy_denies_reach_no_upstream() -> None:
    world = volunteering({"branch": ACCEPTED}, asks(), NO_FORMS)
    assert "which is not possible" in last(world)["message"]
    assert "inputResponses" not in sent(world)


# --- a legacy client ------------------------------------------------------------------------------


def client_says(world: World, question_id: str, **body: Any) -> None:
    world.gateway.receive({"jsonrpc": "2.0", "id": question_id, **body})
    world.turn()


def test_a_legacy_client_is_asked_each_question_and_the_call_is_made_again() -> None:
    two = asks(branch={"method": ELICIT, "params": FORM}, roots={"method": "roots/list"})
    world = waiting(two, legacy_client=True)
    assert world.client.sent == [{"id": "mcpguard-1", "method": ELICIT, "params": FORM}]
    assert world.client.related == [1]
    client_says(world, "mcpguard-1", result=ACCEPTED)
    assert world.client.sent[-1] == {"id": "mcpguard-2", "method": "roots/list", "params": {}}
    client_says(world, "mcpguard-2", result={"roots": []})
    assert sent(world) == {
        "name": "read",
        "arguments": {"a": 1},
        "inputResponses": {"branch": ACCEPTED, "roots": {"roots": []}},
        "requestState": "their-state",
    }
    world.answer({"resultType": "complete", **text("done")})
    assert last(world) == text("done")
    assert world.trace[-2:] == ["outcome ok", "reply 1"]


def test_a_second_round_replaces_the_answers_and_the_state_of_the_first() -> None:
    world = waiting(asks("first"), legacy_client=True)
    client_says(world, "mcpguard-1", result=ACCEPTED)
    world.answer({"resultType": "input_required", "requestState": "second"})
    assert sent(world) == {"name": "read", "arguments": {"a": 1}, "requestState": "second"}
    world.answer(asks(None))
    client_says(world, "mcpguard-2", result=ACCEPTED)
    assert sent(world) == {"name": "read", "arguments": {"a": 1}, "inputResponses": {"branch": ACCEPTED}}


def test_an_upstream_that_asks_for_ever_is_cut_off() -> None:
    world = waiting({"resultType": "input_required", "requestState": "s"}, legacy_client=True)
    for _ in range(round_trips.MAX_ROUNDS - 1):
        world.answer({"resultType": "input_required", "requestState": "s"})
    assert f"asked for input {round_trips.MAX_ROUNDS} times" in last(world)["message"]
    assert len(methods_of(world)) == round_trips.MAX_ROUNDS


@pytest.mark.parametrize("legacy_client", [False, True])
@each("more", [{}, {"inputRequests": {}}, {"inputRequests": []}, {"inputRequests": None, "requestState": 7}])
def test_an_upstream_that_asks_for_nothing_is_called_once(more: Any, legacy_client: bool) -> None:
    world = waiting({"resultType": "input_required", **more}, legacy_client=legacy_client)
    assert last(world)["message"].endswith("with neither `inputRequests` nor `requestState`")
    assert methods_of(world) == ["tools/call"]


def test_nobody_is_asked_where_another_question_of_the_round_is_denied() -> None:
    denied = ALLOW_ALL + "  - {id: no, effect: deny, action: [roots/list], message: Never.}\n"
    two = asks(branch={"method": ELICIT, "params": FORM}, roots={"method": "roots/list"})
    world = waiting(two, denied, legacy_client=True)
    assert [one for one in world.client.sent if "method" in one] == []
    assert "Never." in last(world)["message"]


def test_a_client_that_refuses_ends_the_call_with_a_reason() -> None:
    world = waiting(asks(), legacy_client=True)
    client_says(world, "mcpguard-1", error={"code": -1, "message": "no"})
    assert last(world)["message"] == f"the client refused {ELICIT}, which the upstream requires for this call"


def test_a_legacy_client_is_not_asked_what_policy_denies() -> None:
    world = waiting(asks(), NO_FORMS, legacy_client=True)
    assert [one for one in world.client.sent if "method" in one] == []
    assert "Never." in last(world)["message"]


def test_a_legacy_client_that_never_answers_has_the_question_withdrawn_and_the_call_refused() -> None:
    world = waiting(asks(), legacy_client=True)
    world.clock.ring()
    world.turn()
    withdrawn, refused = world.client.sent[-2:]
    assert withdrawn["params"] == {"requestId": "mcpguard-1"}
    assert "did not answer" in refused["error"]["message"]


def test_a_call_that_is_cancelled_while_its_client_is_asked_has_the_question_withdrawn() -> None:
    world = waiting(asks(), legacy_client=True)
    world.send("notifications/cancelled", {"requestId": 1})
    assert world.client.sent[-1]["method"] == "notifications/cancelled"
    assert world.trace[-1] == "outcome cancelled"
    assert world.clock.alarms == []
    assert world.gateway.idle


def test_an_upstream_that_dies_between_two_rounds_is_one_clear_error() -> None:
    world = waiting(asks(), legacy_client=True)
    client_says(world, "mcpguard-1", result=ACCEPTED)
    world.answer(GONE)
    assert last(world)["message"] == "upstream 'one' has ended"


def test_a_legacy_client_never_sees_the_state_of_a_method_that_may_not_ask() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].answers["completion/complete"] = {"resultType": "input_required"}
    ref = {"ref": {"type": "ref/resource", "uri": "x:1"}, "argument": {}}
    legacy(world).send("completion/complete", ref, 1)
    assert "asks for input" in last(world)["message"]
