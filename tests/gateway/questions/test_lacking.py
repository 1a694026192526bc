"""A legacy upstream asks what the client of the request did not declare, and then goes on or fails.

Source: 2026-07-28 basic/index, `_meta`: what needs an undeclared capability is answered with -32021.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import SECRET, World, text
from tests.gateway.questions.parking import ELICIT, retry, told, waiting
from tests.gateway.scenes import ALLOW_ALL, FORM, FORMS, ask, last
from tests.rows import each

SAMPLING = "sampling/createMessage"
URL = {**FORM, "mode": "url", "url": "https://example.org"}
FAILED: dict[str, Any] = {**text("I could not ask"), "isError": True}
BROKEN = {"code": -32603, "message": "the question was refused"}


def refused(capabilities: Any, method: str, params: Any) -> World:
    """The upstream was told that its question cannot be put to the client of request 1."""
    world = waiting(capabilities=capabilities)
    ask(world, method, params)
    assert told(world)[0]["error"]["code"] == -32601
    return world


@each(
    ("capabilities", "method", "params", "needed"),
    [
        ({}, ELICIT, FORM, {"elicitation": {"form": {}}}),
        ({"elicitation": {"url": {}}}, ELICIT, FORM, {"elicitation": {"form": {}}}),
        (FORMS, ELICIT, URL, {"elicitation": {"url": {}}}),
        (FORMS, SAMPLING, {}, {"sampling": {}}),
        ({"sampling": {}}, SAMPLING, {"tools": []}, {"sampling": {"tools": {}}}),
        (FORMS, "roots/list", {}, {"roots": {}}),
    ],
)
def test_a_call_that_fails_for_want_of_a_capability_names_it(
    capabilities: Any, method: str, params: Any, needed: Any
) -> None:
    world = refused(capabilities, method, params)
    world.answer(FAILED)
    error = last(world)
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": needed, "answer": FAILED}
    ((name, part),) = needed.items()
    asked = f"{name}.{next(iter(part))}" if part else name
    assert error["message"] == (
        f"the server asked for {asked}, which the client did not declare, and then failed"
    )
    assert world.trace[-2:] == ["outcome error", "refuse 1"]


def test_an_error_for_want_of_a_capability_names_it_too() -> None:
    world = refused({}, SAMPLING, {})
    world.answer({"error": BROKEN})
    assert last(world)["code"] == -32021
    assert last(world)["data"] == {"requiredCapabilities": {"sampling": {}}, "answer": BROKEN}


def test_a_call_that_goes_on_without_the_answer_did_not_need_the_capability() -> None:
    world = refused({}, ELICIT, FORM)
    world.answer(text("without"))
    assert last(world)["content"] == text("without")["content"]


def test_a_call_that_fails_after_an_answer_fails_as_the_upstream_says() -> None:
    world = waiting()
    ask(world, ELICIT, FORM)
    retry(world, last(world)["requestState"])
    world.answer(FAILED)
    assert last(world)["content"] == FAILED["content"]


def test_all_that_lacked_is_named_also_after_a_round() -> None:
    world = waiting(capabilities={"elicitation": {"form": {}}})
    for n, (method, params) in enumerate([(SAMPLING, {}), (ELICIT, URL), (ELICIT, FORM)], 1):
        world.gateway.asked(world.question("one", n, method, params))
    world.turn()
    retry(world, last(world)["requestState"], capabilities=FORMS)
    world.answer(FAILED)
    assert last(world)["data"]["requiredCapabilities"] == {"sampling": {}, "elicitation": {"url": {}}}


@pytest.mark.parametrize(
    ("method", "params"),
    [("mystery", {}), (ELICIT, []), (ELICIT, {"mode": "dance"}), (ELICIT, {"mode": [1]})],
)
def test_what_no_client_could_answer_lacks_no_capability(method: str, params: Any) -> None:
    world = waiting(capabilities={})
    ask(world, method, params)
    world.answer(FAILED)
    assert last(world)["content"] == FAILED["content"]


def test_a_question_that_policy_denies_lacks_no_capability() -> None:
    world = waiting(ALLOW_ALL + "  - {id: no, effect: deny, action: [elicitation/create]}\n")
    ask(world, ELICIT, FORM)
    world.answer(FAILED)
    assert last(world)["content"] == FAILED["content"]


def test_what_the_upstream_said_is_inspected_as_every_answer() -> None:
    world = refused({}, ELICIT, FORM)
    world.answer({**text(f"failed with {SECRET}"), "isError": True})
    assert last(world)["code"] == -32021
    assert SECRET not in str(world.client.sent + world.audit.records)
