"""What a server has announced can be used at once, although its list is still being read (law 10)."""

from __future__ import annotations

from typing import Any

from mcpguard.core.evidence.records import Decided
from mcpguard.gateway.flight import Wait
from tests.fakes import GONE, World, give, text, tool
from tests.gateway.lists.test_slow_servers import hold, no_fetch_is_left, patience_ends
from tests.gateway.scenes import ALLOW_ALL, last, legacy, methods_of, modern, quiet, two
from tests.rows import each

assert no_fetch_is_left  # A fixture of these tests too.

TOOLS, PROMPTS, RESOURCES = (
    f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")
)


def announced(era: str = "legacy") -> tuple[World, list[Wait[Any]]]:
    """The only server has announced a tool, and its list is held."""
    world = World(ALLOW_ALL)
    if era == "legacy":
        legacy(world)
        world.send("tools/list", {}, 1)
    else:
        modern(world, "tools/list")
    held = hold(world, "one")
    world.gateway.notified("one", TOOLS, {})
    world.turn()
    return quiet(world), held


def use(world: World, era: str, method: str, name: str, request_id: int = 7) -> None:
    params = {"uri": name} if method.startswith("resources/") else {"name": name}
    if era == "legacy":
        world.send(method, params, request_id)
        world.turn()
    else:
        modern(world, method, params, request_id)


@each("era", ["legacy", "modern"])
def test_a_call_of_an_announced_tool_waits_until_its_list_is_read(era: str) -> None:
    world, held = announced(era)
    world.upstreams["one"].answers["new"] = text("new")
    use(world, era, "tools/call", "new")
    assert methods_of(world) == []
    assert world.client.sent == []
    give(held.pop(), {"tools": [tool("new")]})
    world.turn()
    assert methods_of(world) == ["tools/call"]
    assert last(world)["content"] == text("new")["content"]


def test_the_client_hears_of_the_change_before_the_answer() -> None:
    world, held = announced()
    use(world, "legacy", "tools/call", "new")
    give(held.pop(), {"tools": []})
    world.turn()
    assert [one.get("method") for one in world.client.sent] == [TOOLS, None]


def test_a_call_of_an_announced_tool_waits_no_longer_than_a_list() -> None:
    world, _held = announced()
    use(world, "legacy", "tools/call", "new")
    patience_ends(world)
    assert last(world)["message"].startswith("Unknown tool: new")


def test_a_list_that_cannot_be_read_again_ends_the_waiting() -> None:
    world, held = announced()
    use(world, "legacy", "tools/call", "new")
    give(held.pop(), GONE)
    world.turn()
    assert last(world)["message"].startswith("Unknown tool: new")


def test_a_known_name_waits_for_nothing() -> None:
    world, _held = announced()
    world.upstreams["one"].answers["read"] = text("old")
    use(world, "legacy", "tools/call", "read")
    assert last(world)["content"] == text("old")["content"]


def test_what_is_announced_while_a_list_is_read_waits_for_the_next_reading() -> None:
    world, held = announced()
    world.gateway.notified("one", TOOLS, {})
    use(world, "legacy", "tools/call", "newer")
    give(held.pop(), {"tools": [tool("new")]})
    world.turn()
    assert [one for one in world.client.sent if "id" in one] == []
    world.upstreams["one"].answers["newer"] = text("newer")
    give(held.pop(), {"tools": [tool("new"), tool("newer")]})
    world.turn()
    assert last(world)["content"] == text("newer")["content"]


def test_who_waits_for_an_announced_name_is_served_although_more_is_announced_before_the_reading() -> None:
    world, held = announced()
    give(held.pop(), {"tools": []})
    world.clock.slow = True
    world.gateway.notified("one", TOOLS, {})
    world.turn()
    use(quiet(world), "legacy", "tools/call", "new")
    world.gateway.notified("one", TOOLS, {})
    world.turn()
    _, read_it = world.clock.alarms.pop(0)
    read_it()
    world.turn()
    world.upstreams["one"].answers["new"] = text("new")
    give(held.pop(), {"tools": [tool("new")]})
    world.turn()
    assert last(world)["content"] == text("new")["content"]


def test_after_the_reading_an_unknown_name_is_refused_at_once() -> None:
    world, held = announced()
    give(held.pop(), {"tools": [tool("new")]})
    world.turn()
    use(world, "legacy", "tools/call", "other")
    assert last(world)["message"].startswith("Unknown tool: other")


def test_a_name_of_another_server_is_not_waited_for() -> None:
    world = two()
    legacy(world)
    world.send("tools/list", {}, 1)
    hold(world, "a")
    world.gateway.notified("a", TOOLS, {})
    world.turn()
    use(world, "legacy", "tools/call", "b__new")
    assert last(world)["message"].startswith("Unknown tool: b__new")
    quiet(world)
    use(world, "legacy", "tools/call", "a__new")
    use(world, "legacy", "tools/call", "new", 8)
    assert world.client.sent == []


@each("era", ["legacy", "modern"])
def test_prompts_and_templates_that_are_announced_are_waited_for(era: str) -> None:
    world = two()
    if era == "legacy":
        legacy(world)
    for method in ("prompts/list", "resources/list", "resources/templates/list"):
        use(world, era, method, "")
    for request_id, (change, listing, kind, entry, method, name) in enumerate(
        (
            (PROMPTS, "prompts/list", "prompts", {"name": "hi"}, "prompts/get", "a__hi"),
            (
                *(RESOURCES, "resources/templates/list", "resourceTemplates"),
                *({"uriTemplate": "note://{id}", "name": "notes"}, "resources/read", "note://1"),
            ),
        ),
        20,
    ):
        held = hold(world, "a", listing)
        world.gateway.notified("a", change, {})
        world.turn()
        quiet(world)
        use(world, era, method, name, request_id)
        assert [one for one in world.client.sent if "id" in one] == []
        give(held.pop(), {kind: [entry]})
        world.turn()
        assert methods_of(world, "a") == [method]
        world.upstreams["a"].requests.clear()


def test_who_cancels_waits_no_longer() -> None:
    world, _held = announced()
    use(world, "legacy", "tools/call", "new")
    world.send("notifications/cancelled", {"requestId": 7})
    world.turn()
    assert [one for one in world.client.sent if "id" in one] == []
    assert [one.cause for one in world.audit.records if isinstance(one, Decided)] == ["cancelled"]
