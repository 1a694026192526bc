"""What a rule wants removed (`redact`) is removed from all that leaves because of a call, not from its result
only."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import RawAnswer
from tests.fakes import World, give, text, tool
from tests.gateway.scenes import ACCEPTED, FORM, ask, call, last, legacy, quiet

MAIL = "alice@corp.example"
ELICIT = "elicitation/create"
VISITS = {"elicitation": {"form": {}, "url": {}}}
URL = {"mode": "url", "message": MAIL, "url": "https://example.org/", "elicitationId": "e1"}
RULES = (
    "  - {id: mail, effect: allow, tools: [read], redact: [email]}\n"
    "  - {id: ask, effect: allow, action: [elicitation/create]}\n"
    "  - {id: other, effect: allow, tools: [write]}\n"
    "  - {id: tasks, effect: allow, action: [tasks/get]}\n"
)
ASKED = {"resultType": "input_required", "inputRequests": {"q": {"method": ELICIT, "params": FORM}}}


def reading(capabilities: Any = None, *names: str) -> tuple[World, list[tuple[Wait[RawAnswer], Any]]]:
    """A legacy client calls `read` (and these); what the upstream holds of each."""
    world = legacy(World(RULES), capabilities)
    for number, name in enumerate(("read", *names), 1):
        params = {"name": name, "arguments": {}, "_meta": {"progressToken": f"p{number}"}}
        world.send("tools/call", params, number)
    quiet(world)
    return world, world.upstreams["one"].held


def clean(world: World) -> None:
    assert world.client.sent
    assert MAIL not in str(world.client.sent)
    assert "[REDACTED:email#" in str(world.client.sent)


def test_the_progress_of_a_call_is_inspected_as_its_result_is() -> None:
    world, held = reading()
    held[0][1]({"progressToken": 9, "progress": 1, "message": f"found {MAIL}"})
    world.turn()
    clean(world)


@pytest.mark.parametrize("told", [True, False], ids=["of this call", "of some call"])
def test_a_log_message_during_a_call_is_inspected_as_its_result_is(told: bool) -> None:
    world, held = reading(None, "write")
    wait = held[0][0] if told else None
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": MAIL}, wait)
    world.turn()
    clean(world)


def test_a_log_message_of_another_call_is_inspected_as_that_one_wants() -> None:
    world, held = reading(None, "write")
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": MAIL}, held[1][0])
    world.turn()
    assert last_params(world)["data"] == MAIL


def last_params(world: World) -> Any:
    return world.client.sent[-1]["params"]


def test_a_question_to_a_legacy_client_is_inspected_as_the_result_of_its_call_is() -> None:
    world, _ = reading({"elicitation": {}})
    ask(world, ELICIT, {**FORM, "message": MAIL})
    clean(world)


def test_a_question_to_a_modern_client_is_inspected_as_the_result_of_its_call_is() -> None:
    world = World(RULES)
    call(world, "read")
    quiet(world)
    ask(world, ELICIT, {**FORM, "message": MAIL})
    clean(world)
    more = {"requestState": last(world)["requestState"], "inputResponses": {"question-1": ACCEPTED}}
    call(world, "read", 2, **more)
    quiet(world)
    world.answer(text(MAIL))
    clean(world)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_what_a_modern_upstream_asks_is_inspected_as_the_result_of_its_call_is(era: str) -> None:
    world = World(RULES)
    world.upstreams["one"].modern = True
    asked = {"q": {"method": ELICIT, "params": {**FORM, "message": MAIL}}}
    world.upstreams["one"].answers["read"] = {**ASKED, "inputRequests": asked}
    if era == "modern":
        call(world, "read")
    else:
        legacy(world, {"elicitation": {}})
        world.call("read")
    clean(world)


@pytest.mark.parametrize("rule", ["call", "question"])
def test_a_visit_that_a_legacy_client_is_told_of_is_inspected_as_call_and_question_want(rule: str) -> None:
    rules = RULES
    if rule == "question":
        rules = RULES.replace(", redact: [email]", "").replace(
            "[elicitation/create]}", "[elicitation/create], redact: [email]}"
        )
    world = legacy(World(rules), VISITS)
    world.call("read")
    quiet(world)
    world.answer({"error": {"code": -32042, "message": "log in", "data": {"elicitations": [URL], "more": 1}}})
    clean(world)
    assert last(world)["code"] == -32042
    assert last(world)["data"]["more"] == 1
    assert last(world)["data"]["elicitations"][0]["url"] == "https://example.org/"


def test_the_status_and_the_list_of_a_task_are_inspected_as_its_call_wants() -> None:
    world = legacy(World(RULES, {"one": [tool("read")]}))
    task = {"taskId": "t1", "status": "working", "statusMessage": MAIL}
    world.upstreams["one"].answers["read"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "read", "arguments": {}, "task": {"ttl": 60}}, 1)
    world.upstreams["one"].answers["tasks/get"] = task
    world.upstreams["one"].answers["tasks/list"] = {"tasks": [task]}
    for number, method in enumerate(("notifications/tasks/status", "tasks/list", "tasks/get"), 2):
        quiet(world)
        if method == "notifications/tasks/status":
            world.gateway.notified("one", method, task)
            world.turn()
        else:
            world.send(method, {"taskId": "t1"} if method == "tasks/get" else {}, number)
        clean(world)


def test_a_retry_that_another_rule_allows_is_inspected_as_both_want() -> None:
    late = "now > timestamp('2026-08-01T09:00:00.050Z')"
    rules = RULES.replace("redact: [email]", f'when: "!({late})"').replace(
        "tools: [write]", f'tools: [read], when: "{late}", redact: [email]'
    )
    world = World(rules)
    call(world, "read")
    quiet(world)
    ask(world, ELICIT, FORM)
    more = {"requestState": last(world)["requestState"], "inputResponses": {"question-1": ACCEPTED}}
    for _ in range(60):
        world.clock.seconds()
    call(world, "read", 2, **more)
    quiet(world)
    wait, _progress = world.upstreams["one"].held.pop(0)
    give(wait, text(MAIL))
    world.turn()
    clean(world)
