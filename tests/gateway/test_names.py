"""Tools and prompts that keep their own names, as a client that has several servers sees and calls them."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.errors import SessionError
from mcpguard.gateway.flight import Wait
from tests.fakes import GONE, World, give, text, tool
from tests.gateway.lists.test_slow_servers import LIST_CHANGED, hold, patience_ends
from tests.gateway.scenes import (
    ALLOW_ALL,
    call,
    last,
    legacy,
    methods_of,
    modern,
    offers,
    put_in_force,
    quiet,
)

HIDE_B = ALLOW_ALL + "  - {id: hide, effect: deny, server: b, tools: [read]}\n"
ASK_B = (
    '  - {id: some, effect: allow, server: a, action: ["*"]}\n'
    "  - {id: person, effect: ask, server: b, tools: [read]}\n"
)


def world_of(rules: str = ALLOW_ALL, **tools: list[Any]) -> World:
    listed = tools or {"a": [tool("read"), tool("log")], "b": [tool("read"), tool("push")]}
    world = World(rules, listed, prefix="when-needed")
    for upstream in world.upstreams.values():
        for name in ("read", "log", "push", "a__read"):
            upstream.answers[name] = text(f"{name} of {upstream.name}")
    return legacy(world)


def names(world: World, method: str = "tools/list") -> list[str]:
    world.send(method, {}, 90)
    return [one["name"] for one in last(world)[method.split("/")[0]]]


def said(world: World, name: str) -> str:
    """What comes of a call: the text of the result, or the error's message."""
    quiet(world)
    world.call(name, 91)
    got = last(world)
    return str(got["message"] if "message" in got else got["content"][0]["text"])


def test_tools_keep_the_names_that_only_one_server_has() -> None:
    world = world_of()
    assert names(world) == ["a__read", "log", "b__read", "push"]
    assert said(world, "push") == said(world, "b__push") == "push of b"
    assert said(world, "b__read") == "read of b"


def test_the_upstream_and_the_record_have_the_server_and_the_tools_own_name() -> None:
    world = world_of()
    names(world)
    said(world, "push")
    record = next(one for one in world.audit.records if getattr(one, "method", "") == "tools/call")
    assert (record.server, record.tool) == ("b", "push")
    assert world.upstreams["b"].requests[-1].invocation.params["name"] == "push"


def test_a_name_of_several_is_unknown_and_the_answer_says_which_ones_are_not() -> None:
    world = world_of()
    names(world)
    assert said(world, "read") == "Unknown tool: read. Did you mean a__read or b__read?"
    assert said(world, "PUSH") == "Unknown tool: PUSH. Did you mean push?"
    assert said(world, "other") == "Unknown tool: other"
    assert not [one for one in world.trace if one.startswith("request")]


def test_a_tool_that_asks_a_person_says_so_under_its_own_name() -> None:
    world = world_of(ASK_B, a=[tool("log")], b=[tool("read")])
    world.send("tools/list", {}, 1)
    assert [(one["name"], "approve" in one["description"]) for one in last(world)["tools"]] == [
        ("log", False),
        ("read", True),
    ]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_prompts_and_their_completion_are_found_by_their_own_names(era: str) -> None:
    world = World(ALLOW_ALL, {"a": [], "b": []}, prefix="when-needed")
    offers(world, "a", prompts=[{"name": "hello"}, {"name": "both"}])
    offers(world, "b", prompts=[{"name": "both"}])
    world.upstreams["a"].answers["hello"] = {"messages": []}
    world.upstreams["a"].answers["completion/complete"] = {"completion": {"values": ["x"]}}
    if era == "legacy":
        legacy(world)

    def send(method: str, params: Any) -> Any:
        modern(world, method, params, 5) if era == "modern" else world.send(method, params, 5)
        return last(world)

    assert [one["name"] for one in send("prompts/list", {})["prompts"]] == ["hello", "a__both", "b__both"]
    assert send("prompts/get", {"name": "hello"})["messages"] == []
    argument = {"argument": {"name": "n", "value": "v"}}
    done = send("completion/complete", {"ref": {"type": "ref/prompt", "name": "hello"}, **argument})
    assert done["completion"] == {"values": ["x"]}
    assert methods_of(world, "a") == ["prompts/get", "completion/complete"]
    refused = send("completion/complete", {"ref": {"type": "ref/prompt", "name": "both"}, **argument})
    assert refused["message"] == "Unknown prompt: both. Did you mean a__both or b__both?"


# --- what is hidden ------------------------------------------------------------------------------


def test_a_hidden_tool_takes_no_name_and_is_answered_as_a_missing_one() -> None:
    world = world_of(HIDE_B, a=[tool("log")], b=[tool("read"), tool("push")])
    assert names(world) == ["log", "push"]
    assert said(world, "read") == "Unknown tool: read"
    assert said(world, "b__read") == "Unknown tool: b__read"
    denied = [one for one in world.audit.records if getattr(one, "method", "") == "tools/call"]
    assert denied[0].tool == "read"
    world = world_of(HIDE_B)
    assert names(world) == ["read", "log", "push"]
    assert said(world, "read") == "read of a"


def test_a_tool_that_policy_shows_from_now_on_changes_the_names_of_the_next_list() -> None:
    world = world_of(HIDE_B)
    names(world)
    quiet(world)
    put_in_force(world, ALLOW_ALL)
    assert LIST_CHANGED in [one.get("method") for one in world.client.sent]
    assert said(world, "read") == "read of a"
    assert names(world) == ["a__read", "log", "b__read", "push"]
    assert said(world, "read").startswith("Unknown tool")


# --- over time -----------------------------------------------------------------------------------


def test_a_server_that_lists_a_name_later_gets_no_call_that_was_meant_for_another() -> None:
    world = world_of(a=[tool("read")], b=[])
    assert names(world) == ["read"]
    world.upstreams["b"].tools = [tool("read"), tool("a__read")]
    quiet(world)
    world.gateway.notified("b", LIST_CHANGED, {})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [LIST_CHANGED]
    assert said(world, "read") == "read of a"
    assert names(world) == ["a__read", "b__read", "b__a__read"]
    assert said(world, "read").startswith("Unknown tool")
    assert said(world, "a__read") == "read of a"


def test_a_call_in_flight_goes_on_while_its_name_changes() -> None:
    world = world_of(a=[tool("slow")], b=[])
    names(world)
    world.call("slow", 7)
    world.upstreams["b"].tools = [tool("slow")]
    assert names(world) == ["a__slow", "b__slow"]
    wait, _progress = world.upstreams["a"].held.pop()
    give(wait, text("done"))
    world.turn()
    assert last(world)["content"] == text("done")["content"]


def test_a_parked_call_never_goes_on_at_another_server() -> None:
    world = World(ALLOW_ALL, {"a": [tool("ask")], "b": []}, prefix="when-needed")
    modern(world, "tools/list", {}, 1)
    question = {"method": "elicitation/create", "params": {"message": "Which?", "requestedSchema": {}}}
    asking = {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": "s"}
    world.upstreams["a"].modern = True
    world.upstreams["a"].answers["ask"] = asking
    world.upstreams["b"].answers["ask"] = text("of b")
    call(world, "ask", 2)
    state = last(world)["requestState"]
    world.upstreams["a"].tools, world.upstreams["b"].tools = [], [tool("ask")]
    modern(world, "tools/list", {}, 3)
    assert [one["name"] for one in last(world)["tools"]] == ["b__ask"]
    call(world, "ask", 4, requestState=state, inputResponses={"q": {"action": "decline"}})
    assert last(world)["message"] == "Unknown tool: ask. Did you mean b__ask?"
    assert methods_of(world, "b") == []


# --- servers that are not listed yet -------------------------------------------------------------


def test_a_name_that_nobody_was_shown_is_decided_once_all_are_listed() -> None:
    world = world_of()
    assert said(world, "push") == "push of b"
    assert said(world, "read") == "Unknown tool: read. Did you mean a__read or b__read?"
    asked = [one.invocation.method for up in world.upstreams.values() for one in up.requests]
    assert asked.count("tools/list") == 2


def had(world: World, server: str, *names: str) -> None:
    """In earlier sessions `server` listed tools of these names."""
    world.scope.store = world.store
    world.store.pins |= {(server, "", "tool", name): {} for name in names}


def test_a_server_that_is_down_keeps_no_name_from_another_that_it_never_had() -> None:
    world = world_of()
    world.upstreams["a"].down = "upstream 'a' did not start"
    assert said(world, "push") == "push of b"
    assert (
        said(world, "nothing")
        == "none of the servers that answered has this tool, and upstream 'a' did not start"
    )


def test_no_other_server_is_named_where_all_are_down() -> None:
    world = world_of()
    for name in ("a", "b"):
        world.upstreams[name].down = f"upstream '{name}' did not start"
    assert said(world, "nothing") == "upstream 'a' did not start; upstream 'b' did not start"


def test_a_name_that_a_server_had_before_is_nobodys_while_it_is_down() -> None:
    world = world_of()
    had(world, "a", "read", "log")
    world.upstreams["a"].down = "upstream 'a' did not start"
    advice = "this may be a tool of a server that is missing: list them again, or use b__read (upstream 'a' did not start)"
    assert said(world, "read") == advice
    assert (
        said(world, "log")
        == "none of the servers that answered has this tool, and upstream 'a' did not start"
    )
    assert said(world, "a__read") == "upstream 'a' did not start"
    assert said(world, "b__read") == "read of b"
    assert names(world) == ["read", "push"]  # Now the client was told whose these are.
    assert said(world, "read") == "read of b"


def test_a_name_is_nobodys_while_it_cannot_be_known_whether_the_server_that_is_down_had_it() -> None:
    world = world_of()
    world.scope.store = world.store
    failed: Wait[bool] = Wait()
    failed.fail(SessionError("no disk"))
    world.store.has_listed = lambda *_: failed  # type: ignore[method-assign]
    world.upstreams["a"].down = "upstream 'a' did not start"
    assert said(world, "push").startswith("this may be a tool of a server that is missing")
    assert said(world, "b__push") == "push of b"


def test_a_server_that_hangs_holds_up_the_first_call_of_another_as_long_as_a_list() -> None:
    world = world_of()
    held = hold(world, "a")
    world.call("push", 1)
    assert world.client.sent == []
    patience_ends(world)
    assert last(world)["content"][0]["text"] == "push of b"
    quiet(world)
    give(held.pop(), {"tools": [tool("push")]})
    world.turn()
    assert said(world, "push") == "push of b"  # A late namesake takes nothing.


@pytest.mark.parametrize("lists", [["log", "read"], ["read"]])
def test_a_name_that_a_server_had_before_waits_for_it_while_it_hangs(lists: list[str]) -> None:
    world = world_of()
    had(world, "a", "read")
    held = hold(world, "a")
    world.call("read", 1)
    patience_ends(world)
    assert world.client.sent == []
    give(held.pop(), {"tools": [tool(name) for name in lists]})
    world.turn()
    names = "a__read or b__read" if "read" in lists else "b__read"
    assert last(world)["message"] == f"Unknown tool: read. Did you mean {names}?"


def test_a_tool_that_only_a_server_can_have_that_hangs_waits_for_it() -> None:
    world = world_of()
    held = hold(world, "a")
    world.call("log", 1)
    patience_ends(world)
    assert world.client.sent == []
    give(held.pop(), {"tools": [tool("log")]})
    world.turn()
    assert last(world)["content"][0]["text"] == "log of a"


def test_a_client_does_not_hear_of_a_server_that_a_call_did_not_wait_for_until_it_is_there() -> None:
    world = world_of()
    world.upstreams["a"].down = "upstream 'a' did not start"
    assert names(world) == ["read", "push"]
    world.upstreams["a"].down = ""
    held = hold(world, "a")
    world.upstreams["b"].tools = [tool("push"), tool("more")]
    world.gateway.notified("b", LIST_CHANGED, {})
    world.turn()
    quiet(world)
    world.upstreams["b"].answers["more"] = text("more of b")
    world.call("more", 3)
    patience_ends(world)
    assert [one.get("method", "answer") for one in world.client.sent] == ["answer"]
    give(held.pop(), GONE)


def test_a_slow_server_holds_up_no_call_that_was_shown_and_then_takes_no_name() -> None:
    world = world_of()
    held = hold(world, "a")
    world.send("tools/list", {}, 1)
    patience_ends(world)
    assert [one["name"] for one in last(world)["tools"]] == ["read", "push"]
    assert said(world, "read") == "read of b"
    quiet(world)
    give(held.pop(), {"tools": [tool("read")]})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [LIST_CHANGED]
    assert said(world, "read") == "read of b"
    world.send("tools/list", {}, 2)
    give(held.pop(), {"tools": [tool("read")]})
    world.turn()
    assert [one["name"] for one in last(world)["tools"]] == ["a__read", "b__read", "push"]


def test_a_client_hears_of_tools_that_a_call_has_found() -> None:
    world = world_of()
    world.upstreams["b"].down = "upstream 'b' did not start"
    assert names(world) == ["read", "log"]
    world.upstreams["b"].down = ""
    quiet(world)
    world.call("b__push", 3)
    assert [one.get("method", "answer") for one in world.client.sent] == [LIST_CHANGED, "answer"]


def test_who_follows_a_slow_server_is_told_once() -> None:
    world = world_of()
    held: list[Wait[Any]] = hold(world, "b")
    world.send("tools/list", {}, 1)
    patience_ends(world)
    quiet(world)
    world.call("b__push", 3)
    give(held.pop(), {"tools": [tool("push")]})
    world.turn()
    assert sorted(one.get("method", "answer") for one in world.client.sent) == ["answer", LIST_CHANGED]
