"""A call waits for a list that may have changed, so that what has changed is held back before it is used."""

from __future__ import annotations

from typing import Any

from mcpguard.core.policy.pins import Hold
from mcpguard.gateway.flight import Wait
from tests.fakes import GONE, World, give, tool
from tests.gateway.lists.test_announced import TOOLS
from tests.gateway.lists.test_pins import called, changes, pinning, sent, turned
from tests.gateway.lists.test_slow_servers import hold, patience_ends
from tests.gateway.scenes import last, quiet
from tests.rows import each


def relisting(cause: str, held: Hold = "changed") -> tuple[World, list[Wait[Any]]]:
    """The server says that its tools have changed, or was restarted, and its list is held."""
    world = pinning(hold=held)
    lists = hold(world, "one")
    if cause == "announced":
        world.gateway.notified("one", TOOLS, {})
    else:
        world.gateway.renewed("one")
    world.turn()
    return quiet(world), lists


def call(world: World, name: str = "read") -> None:
    world.send("tools/call", {"name": name, "arguments": {}}, 7)
    world.turn()


@each("cause", ["announced", "restarted"])
def test_a_tool_that_turned_is_held_back_for_the_call_that_came_before_its_list(cause: str) -> None:
    world, lists = relisting(cause)
    call(world)
    assert world.client.sent == []
    give(lists.pop(), {"tools": [turned(), tool("push")]})
    world.turn()
    assert "this tool is held back" in str(last(world))
    assert "tools/call" not in sent(world)


@each("cause", ["announced", "restarted"])
def test_a_tool_that_did_not_change_is_called_after_the_list(cause: str) -> None:
    world, lists = relisting(cause)
    call(world)
    give(lists.pop(), {"tools": [tool("read"), turned("push")]})
    world.turn()
    assert last(world)["content"][0]["text"] == "done"


@each("cause", ["announced", "restarted"])
def test_a_tool_that_is_gone_is_unknown(cause: str) -> None:
    world, lists = relisting(cause)
    call(world)
    give(lists.pop(), {"tools": [tool("push")]})
    world.turn()
    assert last(world)["message"].startswith("Unknown tool: read")


@each("cause", ["announced", "restarted"])
def test_a_server_that_cannot_list_again_is_used_as_it_was_accepted(cause: str) -> None:
    world, lists = relisting(cause)
    call(world)
    give(lists.pop(), GONE)
    world.turn()
    assert last(world)["content"][0]["text"] == "done"


@each("cause", ["announced", "restarted"])
def test_a_call_waits_no_longer_than_a_list(cause: str) -> None:
    world, _lists = relisting(cause)
    call(world)
    patience_ends(world)
    assert last(world)["content"][0]["text"] == "done"


@each("cause", ["announced", "restarted"])
def test_where_changes_are_only_reported_no_call_waits(cause: str) -> None:
    world, _lists = relisting(cause, "report")
    call(world)
    assert last(world)["content"][0]["text"] == "done"


def test_a_change_that_is_announced_while_a_restarted_server_is_listed_is_waited_for_as_well() -> None:
    world, lists = relisting("restarted")
    call(world)
    world.gateway.notified("one", TOOLS, {})
    world.turn()
    give(lists.pop(0), {"tools": [tool("read"), tool("push")]})
    world.turn()
    assert last(world)["content"][0]["text"] == "done"
    world.client.sent.clear()
    call(world)
    assert world.client.sent == []
    give(lists.pop(0), {"tools": [turned(), tool("push")]})
    world.turn()
    assert "this tool is held back" in str(last(world))


def test_a_restart_while_an_announced_change_is_read_ends_with_nothing_to_wait_for() -> None:
    world, lists = relisting("announced")
    world.gateway.renewed("one")
    world.turn()
    while lists:
        give(lists.pop(0), {"tools": [tool("read"), tool("push")]})
        world.turn()
    assert world.gateway._listing.announced == {}


def test_a_client_that_cancels_while_its_call_waits_leaves_a_record() -> None:
    world, lists = relisting("announced")
    call(world)
    world.audit.records.clear()
    world.send("notifications/cancelled", {"requestId": 7})
    world.turn()
    assert "cancelled" in str(world.audit.records[-1])
    give(lists.pop(), {"tools": [turned(), tool("push")]})
    world.turn()
    assert "tools/call" not in sent(world)


def test_after_the_list_a_call_waits_for_nothing() -> None:
    world = pinning()
    changes(world, [tool("read"), tool("push"), tool("new")])
    assert called(world) == "done"
    assert world.gateway._listing.announced == {}
