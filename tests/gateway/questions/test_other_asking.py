"""Answers that ask without `input_required`: a task that needs input, an error that wants a URL visited. Each is
judged like every question."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import SECRET, World
from tests.gateway.scenes import ALL_CAPABILITIES, ALLOW_ALL, FORM, FORMS, call, last, legacy, modern, quiet

ELICIT = "elicitation/create"
NO_FORMS = ALLOW_ALL + "  - {id: no, effect: deny, action: [elicitation/create], message: Never.}\n"


def waiting(answer: Any, rules: str = ALLOW_ALL) -> World:
    """A modern client has called `read`, and its upstream has answered."""
    world = World(rules)
    modern(world, "tools/list")
    call(world, "read", 1)
    quiet(world)
    world.answer(answer)
    return world


TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}, **FORMS}
URL = {"mode": "url", "message": "Log in", "url": "https://example.org", "elicitationId": "1"}


def asking_task(rules: str, capabilities: Any = None) -> World:
    world = World(rules)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities=TASKS)
    world.answer({"resultType": "task", "taskId": "t1", "status": "working"})
    requests = {"branch": {"method": ELICIT, "params": {**FORM, "message": f"Which? {SECRET}"}}}
    status = {"taskId": "t1", "status": "input_required", "inputRequests": requests}
    world.upstreams["one"].answers["tasks/get"] = status
    quiet(world)
    modern(world, "tasks/get", {"taskId": "t1"}, 2, capabilities=capabilities or TASKS)
    return world


def test_what_a_task_asks_is_judged_recorded_and_inspected() -> None:
    world = asking_task(ALLOW_ALL)
    assert last(world)["inputRequests"]["branch"]["method"] == ELICIT
    assert "Which?" in str(last(world))
    assert SECRET not in str(world.client.sent)
    asked = [record for record in world.audit.records if getattr(record, "method", "") == ELICIT]
    assert len(asked) == 1


def test_what_a_task_asks_against_policy_or_beyond_the_client_does_not_reach_it() -> None:
    for world in (asking_task(NO_FORMS), asking_task(ALLOW_ALL, {"extensions": TASKS["extensions"]})):
        assert "which is not possible" in last(world)["message"]
        assert "Which?" not in str(world.client.sent)


VISIT = {"error": {"code": -32042, "message": "log in", "data": {"elicitations": [URL]}}}


def test_an_error_that_asks_for_a_visit_is_a_question_for_a_modern_client() -> None:
    world = waiting(VISIT)
    asked = last(world)
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"] == {"visit-1": {"method": ELICIT, "params": URL}}
    assert world.trace == ["decision allow", "outcome asked", "outcome input-required", "reply 1"]
    visited = {"visit-1": {"action": "accept"}}
    call(world, "read", 2, requestState=asked["requestState"], inputResponses=visited)
    sent = world.upstreams["one"].requests[-1].invocation.params
    assert sent == {"name": "read", "arguments": {"a": 1}}
    world.answer({"content": []})
    assert last(world)["resultType"] == "complete"


def test_an_error_that_asks_for_a_visit_is_judged_like_a_question() -> None:
    denied = waiting(VISIT, NO_FORMS)
    assert "which is not possible" in last(denied)["message"]
    assert "example.org" not in str(denied.client.sent)


def test_a_legacy_client_gets_the_error_that_asks_for_a_visit_as_it_is() -> None:
    world = legacy(World(ALLOW_ALL), ALL_CAPABILITIES)
    world.send("tools/list", {}, 1)
    world.send("tools/call", {"name": "read", "arguments": {}}, 2)
    quiet(world)
    world.answer(VISIT)
    assert last(world) == VISIT["error"]
    assert world.trace == ["decision allow", "outcome asked", "outcome error", "refuse 2"]


@pytest.mark.parametrize("data", [None, [], {}, {"elicitations": []}])
def test_an_error_that_asks_for_no_visit_is_an_error(data: Any) -> None:
    world = waiting({"error": {"code": -32042, "message": "log in", "data": data}})
    assert last(world) == {"code": -32603, "message": "log in", "data": data}


@pytest.mark.parametrize("data", [{"elicitations": 5}, {"elicitations": {"a": 1}}, {"elicitations": [1]}])
def test_an_error_that_asks_in_another_form_is_refused(data: Any) -> None:
    world = waiting({"error": {"code": -32042, "message": "log in", "data": data}})
    assert last(world)["code"] == -31000
    assert world.trace[-2:] == ["outcome unavailable", "refuse 1"]
