"""Servers that are slow to list, or never do: what a client gets meanwhile, and how it hears of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcpguard.core.errors import UpstreamError
from mcpguard.core.evidence.records import Noticed
from mcpguard.gateway.flight import Wait
from mcpguard.protocol.catalogue import KINDS
from tests.fakes import GONE, World, give, text, tool
from tests.gateway.scenes import ALLOW_ALL, last, legacy, modern, offers, quiet, two

FILE = {"uri": "file:///a", "name": "a"}
FILES = {"uriTemplate": "file:///{+path}", "name": "files"}
TAKEN = "left out of the list: 'file:///a', which"
LIST_CHANGED = "notifications/tools/list_changed"


HELD: list[tuple[World, list[Wait[Any]]]] = []


@pytest.fixture(autouse=True)
def no_fetch_is_left() -> Iterator[None]:
    """What a test leaves held fails, as it does when a process ends."""
    yield
    while HELD:
        world, waits = HELD.pop()
        while waits:
            give(waits.pop(), GONE)
            world.turn()


def hold(world: World, server: str, method: str = "tools/list") -> list[Wait[Any]]:
    """The lists of this server are answered when the test says so."""
    upstream, waits = world.upstreams[server], list[Wait[Any]]()
    HELD.append((world, waits))
    original = upstream.request

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        if permit.invocation.method != method:
            return original(permit, progress)
        waits.append(Wait())
        return waits[-1]

    upstream.request = request  # type: ignore[method-assign]
    return waits


def patience_ends(world: World) -> None:
    """So much time passes that nobody is waited for any longer."""
    world.clock.wind(11)
    while world.clock.alarms:
        world.clock.ring()
        world.turn()


def names(world: World) -> list[str]:
    return [one["name"] for one in last(world)["tools"]]


def slow(era: str = "legacy", rules: str = ALLOW_ALL) -> tuple[World, list[Wait[Any]], Callable[[int], None]]:
    """Servers `a` and `b` with a tool each, of which `b` is held; what releases it; and what lists."""
    world = World(rules, {"a": [tool("read")], "b": [tool("read")]})
    if era == "legacy":
        legacy(world)

    def ask(request_id: int) -> None:
        if era == "legacy":
            world.send("tools/list", {}, request_id)
        else:
            modern(world, "tools/list", {}, request_id)

    return world, hold(world, "b"), ask


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_slow_server_is_left_out_of_the_first_list_after_a_while(era: str) -> None:
    world, _held, ask = slow(era)
    ask(1)
    assert world.client.sent == []
    patience_ends(world)
    assert names(world) == ["a__read"]
    assert world.reports == ["b: left out of tools/list: not listed within 10 seconds; it follows"]


def test_a_list_waits_no_longer_once_all_have_failed() -> None:
    world, second, ask = slow()
    first = hold(world, "a")
    ask(1)
    for held in (first, second):
        assert world.client.sent == []
        give(held.pop(), GONE)
        world.turn()
    assert "error" in world.client.sent[-1]


def test_who_was_left_out_is_in_evidence_before_the_answer_leaves() -> None:
    world, _held, ask = slow()
    ask(1)
    patience_ends(world)
    (noted,) = [one for one in world.audit.records if isinstance(one, Noticed)]
    assert (noted.what, noted.detail) == ("list-incomplete", "tools/list n-1: b")
    assert world.trace[-3:] == ["notice list-incomplete", "outcome ok", "reply 1"]


def test_the_rest_follows_as_soon_as_it_is_there() -> None:
    world, held, ask = slow()
    ask(1)
    patience_ends(world)
    quiet(world)
    give(held[0], {"tools": [tool("read")]})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [LIST_CHANGED]
    held.clear()
    ask(2)
    give(held[0], {"tools": [tool("read")]})
    world.turn()
    assert names(world) == ["a__read", "b__read"]


def test_a_modern_client_hears_of_the_rest_through_its_subscription() -> None:
    world, held, ask = slow("modern")
    modern(world, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, 9)
    ask(1)
    patience_ends(world)
    quiet(world)
    give(held[0], {"tools": [tool("read")]})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [LIST_CHANGED]
    assert world.client.related == [9]


def test_a_list_with_something_missing_is_never_kept() -> None:
    world, held, ask = slow("modern")
    for server in ("a", "b"):
        world.upstreams[server].answers["tools/list"] = {"tools": [], "ttlMs": 9000}
    ask(1)
    give(held.pop(), {"tools": [], "ttlMs": 9000})
    world.turn()
    assert last(world)["ttlMs"] == 9000
    ask(2)
    patience_ends(world)
    assert last(world)["ttlMs"] == 0
    give(held.pop(), GONE)
    world.turn()
    ask(3)
    give(held.pop(), GONE)
    world.turn()
    assert last(world)["ttlMs"] == 0


def test_a_server_that_was_listed_before_keeps_its_entries_while_it_is_slow() -> None:
    world, held, ask = slow()
    ask(1)
    give(held.pop(), {"tools": [tool("read")]})
    world.turn()
    ask(2)
    patience_ends(world)
    assert names(world) == ["a__read", "b__read"]
    said = "b: not listed again within 10 seconds: tools/list shows what it listed before"
    assert world.reports == [said]
    assert not [one for one in world.audit.records if isinstance(one, Noticed)]
    quiet(world)
    give(held.pop(), {"tools": [tool("read")]})
    world.turn()
    assert world.client.sent == []  # It is the same list.


def test_one_that_hangs_is_waited_for_once_and_not_for_each_list() -> None:
    world, _held, ask = slow()
    hold(world, "b", "prompts/list")
    ask(1)
    patience_ends(world)
    for request_id, method in ((2, "tools/list"), (3, "prompts/list")):
        world.send(method, {}, request_id)
        assert world.client.sent[-1]["id"] == request_id
    said = "b: left out of {}: not listed within 10 seconds; it follows"
    assert world.reports == [said.format("tools/list"), said.format("prompts/list")]


def test_where_all_are_slow_the_list_is_empty_and_follows() -> None:
    world = legacy(World(ALLOW_ALL))
    held = hold(world, "one")
    world.send("tools/list", {}, 1)
    patience_ends(world)
    assert names(world) == []
    quiet(world)
    give(held[0], {"tools": [tool("read")]})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [LIST_CHANGED]


def test_where_one_is_slow_and_the_others_have_failed_the_list_is_no_error() -> None:
    world, _held, ask = slow()
    world.upstreams["a"].answers["tools/list"] = GONE
    ask(1)
    patience_ends(world)
    assert names(world) == []


def test_one_that_fails_after_it_was_left_out_is_reported_and_changes_nothing() -> None:
    world, held, ask = slow()
    ask(1)
    patience_ends(world)
    quiet(world)
    give(held[0], UpstreamError("upstream 'b' is not available: no database"))
    world.turn()
    assert world.reports[-1] == "b: upstream 'b' is not available: no database"
    assert world.client.sent == []


def comes(_world: World, held: list[Wait[Any]]) -> None:
    give(held[0], {"tools": [tool("read")]})


def rings(world: World, _held: list[Wait[Any]]) -> None:
    world.clock.ring()


@pytest.mark.parametrize("order", [(rings, comes), (comes, rings)])
def test_one_that_is_listed_while_the_answer_is_on_its_way_is_told_of_after_it(order: Any) -> None:
    world, held, ask = slow()
    ask(1)
    world.clock.wind(11)
    for step in order:
        step(world, held)
    world.turn()
    assert [one.get("id", one.get("method")) for one in world.client.sent] == [1, LIST_CHANGED]
    assert [one["name"] for one in world.client.sent[0]["result"]["tools"]] == ["a__read"]


def test_a_list_that_is_cancelled_while_it_waits_for_a_slow_server_leaves_no_alarm() -> None:
    world, _held, ask = slow()
    ask(5)
    world.send("notifications/cancelled", {"requestId": 5})
    assert "outcome cancelled" in world.trace
    assert world.clock.alarms == []


def test_calls_to_the_others_do_not_wait_and_a_call_to_the_slow_one_does() -> None:
    world, held, ask = slow()
    world.upstreams["a"].answers["read"] = world.upstreams["b"].answers["read"] = text("here")
    ask(1)
    patience_ends(world)
    world.call("a__read", 2)
    assert world.client.sent[-1]["id"] == 2
    world.call("b__read", 3)
    assert world.client.sent[-1]["id"] == 2
    give(held[0], {"tools": [tool("read")]})
    world.turn()
    assert {one.get("id") for one in world.client.sent[-2:]} == {3, None}


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_name_that_nobody_has_waits_only_once_for_the_first_start_of_a_server_that_hangs(era: str) -> None:
    world, held, ask = slow(era)
    call = modern if era == "modern" else World.send
    ask(1)
    patience_ends(world)
    call(world, "tools/call", {"name": "nothing", "arguments": {}}, 2)
    assert [one.get("id") for one in world.client.sent] == [1]
    give(held.pop(), UpstreamError(SAID))
    world.turn()
    assert world.client.sent[-1]["id"] == 2
    call(world, "tools/call", {"name": "nothing", "arguments": {}}, 3)
    assert world.client.sent[-1]["id"] == 2
    patience_ends(world)
    assert world.client.sent[-1]["id"] == 3
    assert world.client.sent[-1]["error"]["message"] == (
        f"none of the servers that answered has this tool, and {SAID}; it is being tried again"
    )
    call(world, "tools/call", {"name": "nothing", "arguments": {}}, 4)
    assert world.client.sent[-1]["id"] == 4


def test_a_name_of_the_server_that_hangs_waits_for_it_each_time() -> None:
    world, held, ask = slow()
    world.upstreams["b"].answers["read"] = text("here")
    ask(1)
    give(held.pop(), UpstreamError(SAID))
    world.turn()
    world.call("b__read", 2)
    patience_ends(world)
    assert world.client.sent[-1]["id"] == 1
    give(held.pop(), {"tools": [tool("read")]})
    world.turn()
    assert last(world)["content"] == text("here")["content"]


def test_a_resource_of_another_server_waits_for_a_slow_one_once() -> None:
    world = legacy(two())
    for kind in ("resource", "template"):
        hold(world, "a", KINDS[kind].method)
    offers(world, "b", resourceTemplates=[FILES])
    world.upstreams["b"].answers["resources/read"] = {"contents": [{"uri": "file:///x", "text": "b"}]}
    world.send("resources/read", {"uri": "file:///x"}, 1)
    assert world.client.sent == []
    patience_ends(world)
    assert last(world)["contents"][0]["text"] == "b"
    world.send("resources/read", {"uri": "file:///y"}, 2)
    assert world.client.sent[-1]["id"] == 2


def test_a_resource_that_only_the_slow_server_can_have_waits_for_it() -> None:
    world = legacy(two())
    held = [hold(world, "a", KINDS[kind].method) for kind in ("resource", "template")]
    world.upstreams["a"].answers["resources/read"] = {"contents": [{"uri": "file:///a", "text": "a"}]}
    world.send("resources/read", {"uri": "file:///a"}, 1)
    patience_ends(world)
    assert world.client.sent == []
    give(held[0][0], {"resources": [FILE]})
    give(held[1][0], {"resourceTemplates": []})
    world.turn()
    assert last(world)["contents"][0]["text"] == "a"


def listing_together() -> tuple[World, list[Wait[Any]]]:
    """Both servers list the same URI; `b` was quick enough for the first list, `a` is held."""
    world = legacy(two())
    held = hold(world, "a", "resources/list")
    for server in ("a", "b"):
        offers(world, server, resources=[FILE])
        answer = {"contents": [{"uri": "file:///a", "text": server}]}
        world.upstreams[server].answers["resources/read"] = answer
    world.send("resources/list", {}, 1)
    patience_ends(world)
    return quiet(world), held


def read(world: World, request_id: int) -> str:
    world.send("resources/read", {"uri": "file:///a"}, request_id)
    return str(last(world)["contents"][0]["text"])


def test_whose_a_uri_is_never_depends_on_how_slow_a_server_is() -> None:
    world, held = listing_together()
    assert read(world, 2) == "b"
    give(held[0], {"resources": [FILE]})
    world.turn()
    assert read(world, 3) == "a"
    assert world.reports[1:] == [f"b: {TAKEN} 'a' listed first"]


def test_one_that_comes_late_says_nothing_of_what_others_took_from_each_other() -> None:
    world = legacy(World(ALLOW_ALL, {"a": [], "b": [], "c": []}))
    held = hold(world, "a", "resources/list")
    offers(world, "b", resources=[FILE])
    offers(world, "c", resources=[FILE])
    world.send("resources/list", {}, 1)
    patience_ends(world)
    give(held[0], {"resources": []})
    world.turn()
    assert [said for said in world.reports if TAKEN in said] == [f"c: {TAKEN} 'b' listed first"]


def test_one_that_failed_comes_after_those_that_were_listed() -> None:
    world, held = listing_together()
    give(held[0], GONE)
    world.turn()
    world.send("resources/list", {}, 2)
    give(held[1], {"resources": [FILE]})
    world.turn()
    assert read(world, 3) == "b"
    assert world.reports[-1] == f"a: {TAKEN} 'b' listed first"


SAID = "upstream 'b' is not available: no database"


def said(problem: str = SAID, level: str = "error") -> dict[str, Any]:
    return {
        "method": "notifications/message",
        "params": {"level": level, "logger": "mcpguard", "data": problem},
    }


def failing(level: str | None) -> World:
    """`b` cannot start; a legacy client has set this level of log messages."""
    world = legacy(World(ALLOW_ALL, {"a": [tool("read")], "b": []}))
    if level is not None:
        world.send("logging/setLevel", {"level": level}, 0)
    world.upstreams["b"].answers["tools/list"] = UpstreamError(SAID)
    return quiet(world)


@pytest.mark.parametrize(("level", "heard"), [("debug", 1), ("error", 1), ("critical", 0), (None, 0)])
def test_a_client_that_wants_log_messages_hears_why_a_server_is_missing(
    level: str | None, heard: int
) -> None:
    world = failing(level)
    world.send("tools/list", {}, 1)
    assert world.client.sent[:-1] == [said()] * heard
    assert names(world) == ["a__read"]


@pytest.mark.parametrize(("level", "heard"), [("info", 1), ("emergency", 0), (None, 0)])
def test_a_modern_client_hears_of_it_with_its_request(level: str | None, heard: int) -> None:
    world = World(ALLOW_ALL, {"a": [], "b": []})
    world.upstreams["b"].answers["tools/list"] = UpstreamError(SAID)
    modern(world, "tools/list", {}, 7, level=level)
    assert world.client.sent[:-1] == [said()] * heard
    assert world.client.related[:-1] == [7] * heard


def test_each_reason_is_said_once_and_again_after_the_server_was_there() -> None:
    world = failing("info")

    def answers(*waits: UpstreamError | dict[str, Any]) -> int:
        for answer in waits:
            world.upstreams["b"].answers["tools/list"] = answer
            world.send("tools/list", {}, 1)
        sent = [one for one in world.client.sent if "method" in one]
        quiet(world)
        return len(sent)

    first, again = UpstreamError(SAID), UpstreamError(f"{SAID}; next try in 0.4 s")
    assert answers(first, again) == 1
    assert answers(UpstreamError("upstream 'b' has ended"), first) == 2
    assert answers({"tools": []}, first) == 1


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_legacy_client_hears_why_one_failed_that_was_left_out(era: str) -> None:
    world, held, ask = slow(era)
    if era == "legacy":
        world.send("logging/setLevel", {"level": "info"}, 0)
    ask(1)
    patience_ends(world)
    quiet(world)
    give(held[0], UpstreamError(SAID))
    world.turn()
    assert world.client.sent == ([said()] if era == "legacy" else [])
