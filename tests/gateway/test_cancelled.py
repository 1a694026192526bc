"""Wherever a request is when it ends, an allowed one has its outcome on record (law 5)."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.gateway.flight import Wait
from tests.fakes import World
from tests.gateway.scenes import ALL_CAPABILITIES, ALLOW_ALL, FORM, ask, envelope, legacy, quiet
from tests.rows import each

LEGACY = [
    ("tools/list", {}),
    ("prompts/list", {}),
    ("tools/call", {"name": "read", "arguments": {}}),
    ("logging/setLevel", {"level": "error"}),
    ("tasks/list", {}),
]
MODERN = [
    ("tools/list", {}),
    ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
    ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///a"]}}),
]


def open_ones(world: World) -> list[str]:
    """What was allowed and has no outcome."""
    found = [one for one in world.audit.records if isinstance(one, Decided) and one.effect == "allow"]
    assert found
    ended = {one.id for one in world.audit.records if isinstance(one, Outcome)}
    return [one.method for one in found if one.id not in ended]


def statuses(world: World) -> set[str]:
    return {one.status for one in world.audit.records if isinstance(one, Outcome)}


def receive(world: World, method: str, params: Any) -> None:
    """Begin a request whose decision is not durable yet."""
    world.gateway.receive({"jsonrpc": "2.0", "id": 9, "method": method, "params": params})


@each("how", ["cancelled", "abandoned"])
@each(("method", "params"), LEGACY)
def test_a_request_that_ends_before_its_decision_is_stored(method: str, params: Any, how: str) -> None:
    world = legacy(World(ALLOW_ALL))
    world.send("tools/list", {}, 0)
    quiet(world)
    receive(world, method, params)
    world.gateway.abandon(how)
    world.turn()
    assert open_ones(world) == []
    assert how in statuses(world)
    assert world.gateway.idle


@pytest.mark.parametrize(("method", "params"), MODERN)
def test_a_request_of_a_modern_client_does_too(method: str, params: Any) -> None:
    world = World(ALLOW_ALL)
    receive(world, method, {**params, "_meta": envelope()})
    world.gateway.abandon("abandoned")
    world.turn()
    assert open_ones(world) == []
    assert world.gateway.idle


def test_an_initialize_that_ends_while_its_servers_start() -> None:
    tools: dict[str, list[Any]] = {"a": [], "b": []}
    world = World(ALLOW_ALL, tools, eager=("a", "b"))
    for name in tools:
        world.upstreams[name].ready = Wait  # type: ignore[method-assign, assignment]
    receive(world, "initialize", {"protocolVersion": "2025-06-18"})
    world.turn()
    world.gateway.abandon("abandoned")
    world.turn()
    assert open_ones(world) == []
    assert statuses(world) == {"abandoned"}


def slow_seal(world: World) -> None:
    """Inspection takes until the request has ended."""

    async def seal(*_: Any, **__: Any) -> Any:
        await Wait[None]()

    world.inspector.seal = seal  # type: ignore[method-assign]


@pytest.mark.parametrize("method", ["tools/list", "tasks/list"])
def test_a_list_that_ends_while_it_is_inspected(method: str) -> None:
    world = legacy(World(ALLOW_ALL))
    slow_seal(world)
    receive(world, method, {})
    world.turn()
    world.gateway.abandon("abandoned")
    world.turn()
    # The list of each server is a fetch of its own, which goes on.
    own = [one for one in world.audit.records if isinstance(one, Decided) and not one.server]
    ended = {one.id for one in world.audit.records if isinstance(one, Outcome)}
    assert {one.id for one in own} <= ended


def test_a_question_that_ends_while_it_is_inspected() -> None:
    world = legacy(World(ALLOW_ALL), ALL_CAPABILITIES)
    world.send("tools/list", {}, 0)
    world.call("read", 7)
    slow_seal(world)
    ask(world, "elicitation/create", FORM)
    world.gateway.abandon("abandoned")
    world.turn()
    assert open_ones(world) == []
