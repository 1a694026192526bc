"""A legacy upstream asks while a modern client waits: the call is parked until the client comes again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.fakes import SECRET, World, text
from tests.gateway.questions.parking import ELICIT, parked, retry, told, waiting
from tests.gateway.scenes import (
    ACCEPTED,
    ALLOW_ALL,
    FORM,
    FORMS,
    ask,
    deep,
    last,
    methods_of,
    modern,
    offers,
)


def test_a_question_becomes_a_result_that_asks_and_the_retry_brings_the_answer() -> None:
    world = waiting()
    ask(world, ELICIT, FORM)
    result = last(world)
    assert result["resultType"] == "input_required"
    assert result["inputRequests"] == {"question-1": {"method": ELICIT, "params": FORM}}
    retry(world, result["requestState"])
    assert told(world) == [{"result": ACCEPTED}]
    assert methods_of(world) == ["tools/call"]
    world.answer(text("done"))
    assert [sent["id"] for sent in world.client.sent] == [1, 2]
    assert last(world)["content"] == text("done")["content"]
    assert world.gateway.idle


def test_each_step_leaves_its_record() -> None:
    world = waiting()
    ask(world, ELICIT, FORM)
    retry(world, last(world)["requestState"])
    world.answer(text("done"))
    assert world.trace == [
        *("decision allow", "outcome asked", "outcome paused", "reply 1"),
        *("decision allow", "outcome resumed", f"answer {ELICIT}", "outcome ok", "reply 2"),
    ]
    first, second, asked, again, resumed, ok = world.audit.records
    assert (first.method, second.id) == (ELICIT, first.id)
    assert again.id == resumed.id != ok.id == asked.id


@pytest.mark.parametrize(
    ("method", "params"), [("resources/read", {"uri": "x:1"}), ("prompts/get", {"name": "p"})]
)
def test_every_method_that_may_ask_can_be_parked(method: str, params: Any) -> None:
    world = World(ALLOW_ALL)
    offers(world, "one", prompts=[{"name": "p"}])
    modern(world, method, params, 1, capabilities=FORMS)
    ask(world, ELICIT, FORM)
    more = {"requestState": last(world)["requestState"], "inputResponses": {"question-1": ACCEPTED}}
    modern(world, method, {**params, **more}, 2, capabilities=FORMS)
    world.answer({"done": 1})
    assert last(world)["done"] == 1


def test_a_method_that_may_not_ask_carries_no_question() -> None:
    world = World(ALLOW_ALL)
    ref = {"ref": {"type": "ref/resource", "uri": "x:1"}, "argument": {}}
    modern(world, "completion/complete", ref, 1, capabilities=FORMS)
    ask(world, ELICIT, FORM)
    assert "no open request that can" in told(world)[0]["error"]["message"]
    modern(world, "subscriptions/listen", {"notifications": {}}, 2, capabilities=FORMS)
    ask(world, ELICIT, FORM)
    assert len(told(world)) == 2


def test_several_questions_go_to_the_client_together_or_one_after_the_other() -> None:
    world = waiting()
    for n in (1, 2, 3):
        world.gateway.asked(world.question("one", n, ELICIT, {**FORM, "message": str(n)}))
    world.turn()
    first = last(world)
    assert list(first["inputRequests"]) == ["question-1"]
    retry(world, first["requestState"])
    second = last(world)
    messages = [one["params"]["message"] for one in second["inputRequests"].values()]
    assert messages == ["2", "3"]
    answers = {"question-1": {"action": "decline"}, "question-2": ACCEPTED, "question-9": ACCEPTED}
    retry(world, second["requestState"], 3, answers)
    assert told(world) == [{"result": ACCEPTED}, {"result": {"action": "decline"}}, {"result": ACCEPTED}]
    world.answer(text("done"))
    assert last(world)["content"]


def test_questions_that_come_within_a_moment_are_put_in_one_answer() -> None:
    world = waiting()
    world.clock.slow = True
    for n in (1, 2, 3):
        world.gateway.asked(world.question("one", n, ELICIT, {**FORM, "message": str(n)}))
    assert world.client.sent == []
    world.clock.ring()
    world.turn()
    messages = [one["params"]["message"] for one in last(world)["inputRequests"].values()]
    assert messages == ["1", "2", "3"]


@pytest.mark.parametrize("responses", [{}, {"other": ACCEPTED}, {"question-1": "yes"}, {"question-1": None}])
def test_what_was_not_answered_is_asked_again(responses: Any) -> None:
    world, state = parked()
    retry(world, state, 2, responses)
    again = last(world)
    assert again["resultType"] == "input_required"
    assert again["requestState"] != state
    assert told(world) == []
    retry(world, again["requestState"], 3)
    assert told(world) == [{"result": ACCEPTED}]


def test_a_question_that_policy_denies_is_answered_with_a_refusal_and_the_call_goes_on() -> None:
    world = waiting(ALLOW_ALL + "  - {id: no, effect: deny, action: [elicitation/create]}\n")
    ask(world, ELICIT, FORM)
    assert world.client.sent == []
    assert told(world)[0]["error"]["data"]["rules"] == ["p/no"]
    world.answer(text("without"))
    assert last(world)["content"] == text("without")["content"]
    assert world.trace[-2:] == ["outcome ok", "reply 1"]


@pytest.mark.parametrize(
    ("capabilities", "params"), [({}, FORM), (FORMS, {**FORM, "mode": "url"}), ({"roots": {}}, FORM)]
)
def test_a_question_that_this_client_cannot_answer_is_refused_for_it(capabilities: Any, params: Any) -> None:
    world = waiting(capabilities=capabilities)
    ask(world, ELICIT, params)
    assert world.client.sent == []
    assert told(world)[0]["error"]["code"] == -32601


def test_of_two_questions_the_denied_one_is_refused_and_the_other_is_put() -> None:
    world = waiting(ALLOW_ALL + "  - {id: no, effect: deny, action: [roots/list]}\n")
    world.gateway.asked(world.question("one", 1, "roots/list", {}))
    world.gateway.asked(world.question("one", 2, ELICIT, FORM))
    world.turn()
    assert "error" in told(world)[0]
    assert [one["method"] for one in last(world)["inputRequests"].values()] == [ELICIT]


def test_a_state_has_a_form_that_no_secret_has() -> None:
    _, state = parked()
    assert re.fullmatch("[0-9a-f]{64}", state)


def test_a_secret_in_a_parked_question_is_gone() -> None:
    world = waiting()
    ask(world, ELICIT, {"message": SECRET, "requestedSchema": {"properties": {SECRET: 1}}})
    assert last(world)["resultType"] == "input_required"
    assert SECRET not in str(world.client.sent + world.audit.records)


def test_a_question_that_cannot_be_inspected_is_refused_and_the_call_goes_on() -> None:
    world = waiting()
    ask(world, ELICIT, {"message": deep()})
    assert "error" in told(world)[0]
    world.answer(text("done"))
    assert last(world)["content"]


def test_an_upstream_may_ask_again_after_an_answer() -> None:
    world, state = parked()
    retry(world, state, 2)
    ask(world, ELICIT, FORM)
    again = last(world)
    assert again["resultType"] == "input_required"
    retry(world, again["requestState"], 3)
    assert told(world) == [{"result": ACCEPTED}, {"result": ACCEPTED}]
    world.answer(text("done"))
    assert last(world)["content"]
