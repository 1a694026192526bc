"""Sentences of the specification that no other test here says; `tests/requirements` names them."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.gateway.flight import Wait
from tests.fakes import World, give, text, tool
from tests.gateway.questions.parking import ELICIT, waiting
from tests.gateway.scenes import (
    ACCEPTED,
    ALL_CAPABILITIES,
    ALLOW_ALL,
    FORM,
    ask,
    call,
    last,
    legacy,
    modern,
    offers,
    quiet,
)
from tests.rows import each

RELATED = "io.modelcontextprotocol/related-task"
EARLIER = (-32002, -32042)
REQUESTS = [
    ("tools/call", {"name": "read"}),
    ("prompts/get", {"name": "greet"}),
    ("resources/read", {"uri": "file:///a"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "a", "value": ""}},
    ),
]


@each(("method", "params"), REQUESTS)
@each("code", EARLIER)
@each("data", [{}, {"elicitations": [{"mode": "url", "message": "x", "url": "https://x.example"}]}])
def test_no_code_of_an_earlier_revision_reaches_a_modern_client(
    method: str, params: Any, code: int, data: Any
) -> None:
    world = World(ALLOW_ALL)
    offers(world, "one", prompts=[{"name": "greet"}], resources=[{"uri": "file:///a", "name": "a"}])
    modern(world, method, params, 1, capabilities=ALL_CAPABILITIES)
    world.answer({"error": {"code": code, "message": "no", "data": data}})
    (said,) = world.client.sent
    assert said.get("error", {}).get("code") not in EARLIER


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_retry_has_no_state_where_the_upstream_gave_none(era: str) -> None:
    world = World(ALLOW_ALL)
    upstream = world.upstreams["one"]
    upstream.modern = True
    asks = {"resultType": "input_required", "inputRequests": {"branch": {"method": ELICIT, "params": FORM}}}
    if era == "modern":
        call(world, "read", 1)
        world.answer(asks)
        state = last(world)["requestState"]
        call(world, "read", 2, requestState=state, inputResponses={"branch": ACCEPTED})
    else:
        legacy(world, ALL_CAPABILITIES).send("tools/list", {}, 1)
        world.send("tools/call", {"name": "read", "arguments": {"a": 1}}, 2)
        world.answer(asks)
        world.gateway.receive({"jsonrpc": "2.0", "id": world.client.sent[-1]["id"], "result": ACCEPTED})
        world.turn()
    sent = upstream.requests[-1].invocation.params
    assert sent == {"name": "read", "arguments": {"a": 1}, "inputResponses": {"branch": ACCEPTED}}


def test_a_question_that_the_upstream_withdraws_is_never_withdrawn_from_a_modern_client() -> None:
    world = waiting()
    question = ask(world, ELICIT, FORM)
    assert last(world)["resultType"] == "input_required"
    quiet(world)
    world.gateway.withdrawn(question)
    world.turn()
    assert world.client.sent == []


def test_an_empty_cursor_is_a_cursor() -> None:
    world = World(ALLOW_ALL, {"one": []})
    pages: dict[Any, Any] = {None: {"tools": [tool("a")], "nextCursor": ""}, "": {"tools": [tool("b")]}}
    seen: list[Any] = []

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        seen.append(permit.invocation.params.get("cursor"))
        wait: Wait[Any] = Wait()
        give(wait, pages[seen[-1]])
        return wait

    world.upstreams["one"].request = request  # type: ignore[method-assign]
    modern(world, "tools/list")
    assert seen == [None, ""]
    assert [one["name"] for one in last(world)["tools"]] == ["a", "b"]


def with_task() -> World:
    """A legacy client has started the task `t1` at `one`."""
    world = legacy(World(ALLOW_ALL, {"one": [tool("x")]}))
    world.upstreams["one"].answers["x"] = {"task": {"taskId": "t1", "status": "working"}}
    world.send("tools/call", {"name": "x", "arguments": {}, "task": {"ttl": 60}}, 1)
    return quiet(world)


def test_the_related_task_of_an_answer_passes_through() -> None:
    world = with_task()
    answer = {**text("done"), "_meta": {RELATED: {"taskId": "t1"}}}
    world.upstreams["one"].answers["tasks/result"] = answer
    world.send("tasks/result", {"taskId": "t1"}, 2)
    assert last(world) == answer


def test_of_a_task_only_its_id_in_the_params_counts() -> None:
    world = with_task()
    world.upstreams["one"].answers["tasks/get"] = {"taskId": "t1", "status": "working"}
    world.send("tasks/get", {"taskId": "t1", "_meta": {RELATED: {"taskId": "t2"}}}, 2)
    assert last(world)["taskId"] == "t1"
    assert world.upstreams["one"].requests[-1].invocation.params == {"taskId": "t1"}
    world.send("tasks/get", {"taskId": "t2", "_meta": {RELATED: {"taskId": "t1"}}}, 3)
    assert last(world)["code"] == -32602


def test_what_a_request_needs_and_its_client_did_not_declare_is_named() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tasks/get", {"taskId": "t1"})
    error = last(world)
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
