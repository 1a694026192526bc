"""A modern client's call to a legacy upstream, parked while the client is asked."""

from __future__ import annotations

from typing import Any

from tests.fakes import World
from tests.gateway.scenes import ACCEPTED, ALL_CAPABILITIES, ALLOW_ALL, FORM, ask, call, last, modern, quiet

ELICIT = "elicitation/create"
BAD_STATE = (
    "`requestState` is unknown, has expired or belongs to another request: make the call again without "
    "`requestState` and `inputResponses`"
)


def waiting(rules: str = ALLOW_ALL, capabilities: Any = None) -> World:
    """A modern client waits for the tool `read`, as request 1."""
    world = World(rules)
    modern(world, "tools/list")
    call(world, "read", 1, capabilities=ALL_CAPABILITIES if capabilities is None else capabilities)
    return quiet(world)


def parked(rules: str = ALLOW_ALL) -> tuple[World, str]:
    """Its upstream has asked: the call is parked. The state that the client was given."""
    world = waiting(rules)
    ask(world, ELICIT, FORM)
    state = last(world)["requestState"]
    quiet(world)
    return world, state


def retry(world: World, state: Any, request_id: int | str = 2, responses: Any = None, **more: Any) -> None:
    given = {"question-1": ACCEPTED} if responses is None else responses
    call(world, "read", request_id, requestState=state, inputResponses=given, **more)


def told(world: World) -> list[Any]:
    """What the upstream was answered."""
    return [body for _question, body in world.upstreams["one"].answered]
