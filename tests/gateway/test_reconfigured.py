"""Other servers than before, while a client is connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mcpguard.core.errors import UpstreamError
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import FakeUpstream, World, give, text, tool
from tests.gateway.questions.parking import BAD_STATE
from tests.gateway.scenes import (
    ACCEPTED,
    ALLOW_ALL,
    FORM,
    FORMS,
    call,
    last,
    legacy,
    modern,
    offers,
    quiet,
    two,
)

LISTS = [f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")]
FILE = {"uri": "file:///a", "name": "a"}
HELD: list[Wait[Any]] = []


@pytest.fixture(autouse=True)
def no_fetch_is_left() -> Iterator[None]:
    """What a test leaves held fails, as it does when a server ends."""
    yield
    while HELD:
        give(HELD.pop(), UpstreamError("it has ended"))


def patience_ends(world: World) -> None:
    """So much time passes that nobody is waited for any longer."""
    world.clock.wind(11)
    while world.clock.alarms:
        world.clock.ring()
        world.turn()


def reconfigure(world: World, kept: str = "", **tools: list[Any] | None) -> World:
    """Servers with these tools; those that are not in `kept` are others than before."""
    for name, listed in tools.items():
        if name not in kept:
            world.upstreams[name] = FakeUpstream(name, world.trace, listed or [])
    world.scope.servers = tuple(tools)
    world.gateway.reconfigured(frozenset(kept))
    world.turn()
    return world


def names(world: World) -> list[str]:
    world.send("tools/list", {}, "list")
    return [one["name"] for one in last(world)["tools"]]


def hold(world: World, server: str, what: str = "tools/list") -> Wait[Any]:
    """The next such request of this server is answered when the test says so."""
    upstream, wait = world.upstreams[server], Wait[Any]()
    original = upstream.request

    def request(permit: Any, progress: Any = None) -> Wait[Any]:
        if permit.invocation.method != what:
            return original(permit, progress)
        upstream.request = original  # type: ignore[method-assign]
        return wait

    upstream.request = request  # type: ignore[method-assign]
    HELD.append(wait)
    return wait


def listed(**tools: list[Any]) -> World:
    """A legacy client has listed the tools of these servers."""
    world = legacy(World(ALLOW_ALL, tools))
    names(world)
    return quiet(world)


def test_a_server_that_is_added_is_announced_and_listed() -> None:
    world = reconfigure(listed(a=[tool("x")], b=[]), "ab", a=[], b=[], c=[tool("y")])
    assert [one["method"] for one in world.client.sent] == LISTS
    assert names(world) == ["a__x", "c__y"]


def test_a_modern_client_hears_of_it_through_its_subscription() -> None:
    world = two()
    modern(world, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, 9)
    quiet(world)
    reconfigure(world, "ab", a=[], b=[], c=[])
    assert [one["method"] for one in world.client.sent] == LISTS[:1]
    assert world.client.related == [9]


def test_nobody_hears_of_it_before_the_client_has_said_hello() -> None:
    world = reconfigure(two(), "ab", a=[], b=[], c=[])
    assert world.client.sent == []


def test_a_server_that_is_removed_is_as_if_it_had_never_been_there() -> None:
    world = reconfigure(listed(a=[tool("x")], b=[], c=[tool("y")]), "ab", a=[], b=[])
    world.call("c__y")
    assert last(world) == {"code": -32602, "message": "Unknown tool: c__y"}
    assert names(world) == ["a__x"]


def test_a_server_that_stays_is_not_asked_again_for_a_call() -> None:
    world = listed(a=[tool("x")], b=[tool("y")])
    reconfigure(world, "a", a=[], b=[tool("z")])
    world.upstreams["a"].answers["x"] = text("here")
    world.trace.clear()
    world.call("a__x")
    assert world.trace.count("request tools/list") == 0
    assert last(world) == text("here")


def test_one_that_is_changed_is_listed_before_its_tools_are_called() -> None:
    world = listed(a=[tool("x")], b=[tool("y")])
    reconfigure(world, "a", a=[], b=[tool("z")])
    world.call("b__y")
    assert last(world)["message"] == "Unknown tool: b__y"
    world.upstreams["b"].answers["z"] = text("new")
    world.call("b__z")
    assert last(world) == text("new")


def test_a_list_of_a_server_that_is_changed_meanwhile_is_not_taken() -> None:
    world = listed(a=[tool("x")], b=[tool("y")])
    old = hold(world, "b")
    world.send("tools/list", {}, 1)
    reconfigure(world, "a", a=[], b=[tool("z")])
    assert names(world) == ["a__x", "b__z"]
    give(old, {"tools": [tool("y")]})
    world.turn()
    assert [one["name"] for one in world.client.sent[-1]["result"]["tools"]] == ["a__x", "b__z"]
    assert world.reports == ["b: upstream 'b' was changed in the configuration, or removed"]
    assert names(world) == ["a__x", "b__z"]


def test_a_server_that_hangs_and_is_mended_is_told_of_though_it_is_slow_again() -> None:
    world = listed(a=[tool("x")], b=[])
    old = hold(world, "b")
    world.send("tools/list", {}, 1)
    patience_ends(world)
    reconfigure(world, "a", a=[], b=[])
    new = hold(world, "b")
    world.send("tools/list", {}, 2)
    patience_ends(world)
    assert [one["name"] for one in last(world)["tools"]] == ["a__x"]
    quiet(world)
    give(old, UpstreamError("it has ended"))
    world.turn()
    assert world.client.sent == []
    give(new, {"tools": [tool("y")]})
    world.turn()
    assert [one["method"] for one in world.client.sent] == LISTS[:1]


def test_a_server_that_is_removed_is_not_listed_again_whatever_it_says() -> None:
    world = listed(a=[tool("x")], b=[tool("y")], c=[])
    world.clock.slow = True
    world.gateway.notified("b", LISTS[0], {})
    reconfigure(world, "ac", a=[], c=[])
    world.trace.clear()
    world.clock.ring()
    world.turn()
    assert "request tools/list" not in world.trace
    assert world.reports == ["b: upstream 'b' is not in the configuration any more"]


def said_to(world: World, name: str) -> Any:
    """What a call of that tool is answered with."""
    world.call(name, 9)
    return last(world)


def test_one_more_server_lists_tools_with_their_servers_and_takes_no_name_from_a_client() -> None:
    world = listed(a=[tool("x")])
    reconfigure(world, "a", a=[], b=[tool("y")])
    world.upstreams["a"].answers["x"] = text("here")
    world.upstreams["b"].answers["y"] = text("there")
    assert said_to(world, "x") == said_to(world, "a__x") == text("here")
    assert names(world) == ["a__x", "b__y"]
    assert said_to(world, "x") == text("here")
    assert said_to(world, "y") == text("there")
    reconfigure(world, "a", a=[])
    assert names(world) == ["a__x"]
    assert said_to(world, "x") == said_to(world, "a__x") == text("here")


def test_the_only_server_is_found_by_long_names_too() -> None:
    world = listed(a=[tool("x"), tool("a__y"), tool("y")])
    world.upstreams["a"].answers |= {"x": text("x"), "a__y": text("a__y"), "y": text("y")}
    assert said_to(world, "a__x") == text("x")
    assert said_to(world, "a__y") == text("a__y")
    assert said_to(world, "b__x")["code"] == -32602
    assert said_to(world, "a__z")["code"] == -32602


def test_the_short_name_of_a_server_that_is_removed_is_nobodys_when_another_one_has_such_a_tool() -> None:
    world = listed(a=[tool("x")], b=[])
    world.upstreams["a"].answers["x"] = text("here")
    assert said_to(world, "x") == text("here")
    reconfigure(world, "", b=[tool("x")])
    assert names(world) == ["b__x"]
    assert said_to(world, "x")["message"] == "Unknown tool: x. Did you mean b__x?"


def test_a_short_name_that_two_servers_have_is_answered_with_those_that_the_client_may_see() -> None:
    rules = "  - {id: r, effect: allow, when: 'tool.annotations.readOnlyHint == true'}\n"
    shown, hidden = tool("x", readOnlyHint=True), tool("x", readOnlyHint=False)
    world = legacy(World(rules, {"a": [shown], "b": [shown], "c": [hidden]}))
    assert said_to(world, "x")["message"] == "Unknown tool: x. Did you mean a__x or b__x?"
    world = legacy(World(rules, {"a": [hidden], "b": [hidden]}))
    assert said_to(world, "x")["message"].startswith("Unknown tool: x")
    assert "Did you mean" not in said_to(world, "x")["message"]


def test_what_a_tool_claims_of_itself_now_widens_nothing_where_its_server_is_the_same() -> None:
    rules = "  - {id: r, effect: allow, when: 'tool.firstAnnotations.readOnlyHint == true'}\n"
    world = legacy(World(rules, {"a": [tool("x", readOnlyHint=False)], "b": []}))
    assert names(world) == []
    reconfigure(world, "ab", a=[], b=[], c=[])
    world.upstreams["a"].tools = [tool("x", readOnlyHint=True)]
    assert names(world) == []
    reconfigure(world, "bc", a=[tool("x", readOnlyHint=True)], b=[], c=[])
    assert names(world) == ["a__x"]


def test_the_level_of_log_messages_is_that_of_the_client_in_new_servers_too() -> None:
    world = listed(a=[], b=[])
    world.send("logging/setLevel", {"level": "debug"}, 1)
    reconfigure(world, "ab", a=[], b=[], c=[])
    assert [permit.invocation.params for permit in world.upstreams["c"].prepared] == [{"level": "debug"}]
    assert len(world.upstreams["a"].prepared) == 1


def test_methods_of_an_extension_are_those_of_the_configuration() -> None:
    world = listed(one=[])
    world.send("notes/list", {}, 1)
    assert last(world)["code"] == -32601
    world.scope.extensions = {"notes/list": "one"}
    reconfigure(world, "one", one=[])
    world.upstreams["one"].answers["notes/list"] = {"notes": []}
    world.send("notes/list", {}, 2)
    assert last(world) == {"notes": []}
    world.send("skills/list", {}, 3)
    assert last(world)["code"] == -32601


def subscribed(era: str) -> World:
    """A client is subscribed to a resource of `a` and to one of `b`."""
    world = two()
    for server in ("a", "b"):
        offers(world, server, resources=[{"uri": f"file:///{server}", "name": server}])
        world.upstreams[server].answers["resources/subscribe"] = {}
    uris = ["file:///a", "file:///b"]
    if era == "modern":
        modern(world, "subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}}, 9)
    else:
        legacy(world)
        for number, uri in enumerate(uris):
            world.send("resources/subscribe", {"uri": uri}, number + 1)
    return quiet(world)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_subscription_to_a_server_that_is_another_one_is_over_and_reported(era: str) -> None:
    world = subscribed(era)
    reconfigure(world, "a", a=[], b=[])
    quiet(world)
    for server in ("a", "b"):
        world.gateway.notified(server, "notifications/resources/updated", {"uri": f"file:///{server}"})
        world.turn()
    assert [one["params"]["uri"] for one in world.client.sent] == ["file:///a"]
    said = "b: nobody is subscribed to 'file:///b' any more: the configuration has changed"
    assert world.reports == [said]
    if era == "modern":
        world.send("notifications/cancelled", {"requestId": 9})
    else:
        world.send("resources/unsubscribe", {"uri": "file:///b"}, 3)
        assert last(world) == {}
    assert "request resources/unsubscribe" not in [one for one in world.trace if one.startswith("b")]


def test_a_uri_of_a_server_that_is_removed_goes_to_the_next_one_that_lists_it() -> None:
    world = legacy(World(ALLOW_ALL, {"a": [], "b": [], "c": []}))
    for server in ("a", "b"):
        offers(world, server, resources=[FILE])
    world.send("resources/list", {}, 1)
    world.upstreams["b"].answers["resources/read"] = {"contents": [{"uri": "file:///a", "text": "b"}]}
    reconfigure(world, "bc", b=[], c=[])
    world.send("resources/read", {"uri": "file:///a"}, 2)
    assert last(world)["contents"][0]["text"] == "b"


def test_a_name_that_a_server_had_never_passes_to_another_one() -> None:
    world = World(ALLOW_ALL, {"a": [tool("x")], "b": []}, prefix="when-needed")
    legacy(world)
    assert names(world) == ["x"]
    reconfigure(world, "b", b=[], c=[tool("x")])
    assert names(world) == ["c__x"]
    world.call("x", 2)
    assert last(world)["code"] == -32602


def test_the_name_of_a_tool_never_becomes_that_of_a_server_which_is_added() -> None:
    world = World(ALLOW_ALL, {"a": [tool("db__ask"), tool("db__x")]}, prefix="when-needed")
    legacy(world)
    assert names(world) == ["db__ask", "db__x"]
    for _ in range(2):
        reconfigure(world, "a", a=[], db=[tool("ask"), tool("y")])
    for number, name in enumerate(("db__ask", "db__x"), 2):
        world.call(name, number)
        assert last(world)["message"].startswith(f"Unknown tool: {name}")
    assert names(world) == ["a__db__ask", "a__db__x", "y"]
    assert "'db__ask', which was a tool of another server until a restart" in world.reports[-3]
    for number, name in enumerate(("y", "db__y"), 4):
        world.upstreams["db"].answers["y"] = text("of db")
        world.call(name, number)
        assert last(world)["content"] == text("of db")["content"]


def test_a_call_that_was_decided_for_a_server_does_not_reach_another_one_of_its_name() -> None:
    world = listed(a=[tool("x")], b=[tool("y")])
    params = {"name": "b__y", "arguments": {}}
    world.gateway.receive({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
    reconfigure(world, "a", a=[], b=[tool("y")])
    assert "upstream 'b' was changed in the configuration meanwhile" in str(last(world))
    assert world.upstreams["b"].requests == []
    assert [record.status for record in world.audit.records if hasattr(record, "status")] == ["unavailable"]


def test_an_approved_call_does_not_reach_another_server_than_the_person_was_asked_about() -> None:
    rules = "  - {id: r, effect: ask, action: ['*']}\n"
    world = World(rules, {"a": [], "b": []}, approvals=ApprovalTerms(60.0, 600.0))
    offers(world, "b", resources=[FILE])
    legacy(world).send("resources/list", {}, 1)
    world.clock.slow = True
    world.send("resources/read", {"uri": "file:///a"}, 2)
    reconfigure(world, "a", a=[], b=[])
    (ticket,) = world.store.tickets
    assert world.store.answer(ticket, TicketAnswer("approved", "os-user:ada", "terminal"))
    world.clock.ring()
    world.turn()
    assert "upstream 'b' was changed in the configuration meanwhile" in str(last(world))
    assert world.upstreams["b"].requests == []


def test_what_a_server_wanted_to_know_is_not_said_to_another_one_of_its_name() -> None:
    world = two()
    for server in ("a", "b"):
        world.upstreams[server].modern = True
        world.upstreams[server].tools = [tool("x")]
    modern(world, "tools/list")
    asking = {"resultType": "input_required", "requestState": "mine"}
    world.upstreams["a"].answers["x"] = world.upstreams["b"].answers["x"] = asking
    states = {}
    for number, server in enumerate(("a", "b"), 2):
        call(world, f"{server}__x", number)
        states[server] = last(world)["requestState"]
    reconfigure(world, "a", a=[], b=[tool("x")])
    for number, server in enumerate(("a", "b"), 4):
        world.upstreams[server].requests.clear()
        call(world, f"{server}__x", number, requestState=states[server])
    sent = [permit.invocation.params for permit in world.upstreams["a"].requests]
    assert [params["requestState"] for params in sent if params] == ["mine"]
    assert last(world)["message"] == BAD_STATE
    assert [one.invocation.method for one in world.upstreams["b"].requests] == ["tools/list"]


def test_a_task_is_forgotten_with_its_server() -> None:
    world = listed(a=[tool("x")], b=[tool("x")])
    for number, server in enumerate(("a", "b"), 2):
        world.upstreams[server].answers["x"] = {"task": {"taskId": server, "status": "working"}}
        world.send("tools/call", {"name": f"{server}__x", "arguments": {}, "task": {}}, number)
    reconfigure(world, "a", a=[], b=[tool("x")])
    for number, server in enumerate(("a", "b"), 4):
        world.upstreams[server].answers["tasks/get"] = {"taskId": server, "status": "working"}
        world.send("tasks/get", {"taskId": server}, number)
    assert last(world) == {"code": -32602, "message": "Unknown task: b"}
    assert world.trace.count("request tasks/get") == 1


def in_flight(world: World, method: str, params: dict[str, Any], answer: Any) -> World:
    """The client asks `b`, which is another server when the first one answers."""
    wait = hold(world, "b", method)
    world.send(method, params, "late")
    reconfigure(world, "a", a=[], b=[tool("x")])
    give(wait, answer)
    world.turn()
    return world


MEANWHILE = "upstream 'b' was changed in the configuration meanwhile"


def test_what_a_server_wants_to_know_after_another_one_took_its_name_is_asked_of_nobody() -> None:
    world = two()
    world.upstreams["b"].modern = True
    world.upstreams["b"].tools = [tool("x")]
    modern(world, "tools/list")
    wait = hold(world, "b", "tools/call")
    call(world, "b__x", 2)
    reconfigure(world, "a", a=[], b=[tool("x")])
    give(wait, {"resultType": "input_required", "requestState": "mine"})
    world.turn()
    assert MEANWHILE in str(last(world))


def test_a_task_that_a_server_began_after_another_one_took_its_name_is_not_known() -> None:
    world = listed(a=[], b=[tool("x")])
    task = {"task": {"taskId": "t", "status": "working"}}
    in_flight(world, "tools/call", {"name": "b__x", "arguments": {}, "task": {}}, task)
    assert MEANWHILE in str(last(world))
    world.send("tasks/get", {"taskId": "t"}, 3)
    assert last(world) == {"code": -32602, "message": "Unknown task: t"}


def test_a_legacy_client_is_not_told_that_it_is_subscribed_where_it_is_not() -> None:
    world = legacy(two())
    offers(world, "b", resources=[FILE])
    in_flight(world, "resources/subscribe", {"uri": "file:///a"}, {})
    assert MEANWHILE in str(last(world))
    quiet(world)
    world.gateway.notified("b", "notifications/resources/updated", {"uri": "file:///a"})
    world.turn()
    assert world.client.sent == []


@pytest.mark.parametrize("changed", ["a", "b"])
def test_a_subscription_that_begins_while_a_server_changes_is_acknowledged_for_the_others(
    changed: str,
) -> None:
    world = two()
    for server in ("a", "b"):
        offers(world, server, resources=[{"uri": f"file:///{server}", "name": server}])
        world.upstreams[server].answers["resources/subscribe"] = {}
    wait = hold(world, "b", "resources/subscribe")
    wanted = {"resourceSubscriptions": ["file:///a", "file:///b"]}
    modern(world, "subscriptions/listen", {"notifications": wanted}, 9)
    quiet(world)
    world.gateway.notified("a", "notifications/resources/updated", {"uri": "file:///a"})
    world.turn()
    assert world.client.sent == []
    other = "b" if changed == "a" else "a"
    reconfigure(world, other, a=[], b=[])
    give(wait, {})
    world.turn()
    (said,) = world.client.sent
    assert said["params"]["notifications"] == {"resourceSubscriptions": [f"file:///{other}"]}
    world.upstreams[other].answers["resources/unsubscribe"] = {}
    world.send("notifications/cancelled", {"requestId": 9})
    assert [record.status for record in world.audit.records if hasattr(record, "status")][-2:] == [
        "cancelled",
        "ok",
    ]
    assert "internal error" not in str(world.reports)


def test_an_answer_goes_to_the_server_that_asked_and_not_to_another_one_of_its_name() -> None:
    world = legacy(two(), FORMS)
    asked = world.question("b", 1, "elicitation/create", FORM)
    first = world.upstreams["b"]
    world.gateway.asked(asked)
    world.turn()
    reconfigure(world, "a", a=[], b=[])
    (told,) = [one for one in world.client.sent if one["method"] == "elicitation/create"]
    world.gateway.receive({"jsonrpc": "2.0", "id": told["id"], "result": ACCEPTED})
    world.turn()
    assert first.answered == [(asked, {"result": ACCEPTED})]
    assert world.upstreams["b"].answered == []
