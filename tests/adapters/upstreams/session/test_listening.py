"""Subscriptions in one form for both eras: the stream of a modern upstream, the requests of a legacy one."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.adapters.upstreams.session import life
from mcpguard.gateway.flight import Wait, as_future
from mcpguard.protocol import eras
from tests.adapters.upstreams.fake_wire import META, MODERN, FakeWire, World, failure, legacy, modern, permit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

ALL = {"tools": {"listChanged": True}, "prompts": {"listChanged": False}, "resources": {"subscribe": True}}
LISTEN = "subscriptions/listen"


def subscribe(world: World, uri: str) -> Wait[Any]:
    return world.upstream.request(permit("resources/subscribe", uri=uri))


def unsubscribe(world: World, uri: str) -> Wait[Any]:
    return world.upstream.request(permit("resources/unsubscribe", uri=uri))


def deaf(wire: FakeWire, message: Any) -> None:
    """A modern server that acknowledges nothing by itself."""
    if message.get("method") != LISTEN:
        modern(ALL)(wire, message)


async def test_a_stream_for_every_declared_change_of_lists_is_opened_after_the_greeting() -> None:
    capabilities = {name: {"listChanged": True} for name in ("tools", "prompts", "resources")}
    world = await World(modern(capabilities), modern=True).ready()
    listen = await world.sent(LISTEN)
    assert listen["params"]["notifications"] == {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
    }
    assert listen["params"]["_meta"][eras.VERSION_KEY] == MODERN
    assert world.upstream.health.open == 0


@pytest.mark.parametrize("capabilities", [{}, {"tools": {}}, {"tools": None}, {"tools": {"listChanged": 1}}])
async def test_no_stream_is_opened_where_nothing_can_come(capabilities: Any) -> None:
    world = await World(modern(capabilities), modern=True).ready()
    assert world.wire.methods() == ["server/discover"]


async def test_notifications_of_the_stream_are_heard_without_its_id_and_those_of_others_are_not() -> None:
    world = await World(modern(ALL), modern=True).ready()
    stream = (await world.sent(LISTEN))["id"]
    await world.settled()
    changed = "notifications/tools/list_changed"
    world.wire.notify(changed, _meta={META: stream})
    world.wire.notify(changed, _meta={META: stream, "own": 1})
    for nobody in (99, str(stream), True, [1]):
        world.wire.notify(changed, _meta={META: nobody})
    world.wire.notify("notifications/message", data=1)
    assert world.heard == [
        (changed, {}),
        (changed, {"_meta": {"own": 1}}),
        ("notifications/message", {"data": 1}),
    ]


async def test_subscribing_opens_a_new_stream_and_lets_the_old_one_go_after_the_acknowledgement() -> None:
    world = await World(deaf, modern=True).ready()
    first = await world.sent(LISTEN)
    world.wire.acknowledge(first)
    wait = subscribe(world, "file:///a")
    second = await world.sent(LISTEN, 2)
    assert second["params"]["notifications"] == {
        "toolsListChanged": True,
        "resourceSubscriptions": ["file:///a"],
    }
    assert not wait.done
    assert "notifications/cancelled" not in world.wire.methods()
    world.wire.notify("notifications/tools/list_changed", _meta={META: first["id"]})
    world.wire.acknowledge(second)
    assert (await as_future(wait)).body == {}
    assert world.wire.last("notifications/cancelled")["params"]["requestId"] == first["id"]
    world.wire.notify("notifications/tools/list_changed", _meta={META: first["id"]})
    world.wire.notify("notifications/resources/updated", _meta={META: second["id"]}, uri="file:///a")
    assert [method for method, _ in world.heard] == [
        "notifications/tools/list_changed",
        "notifications/resources/updated",
    ]


async def test_changes_that_come_while_a_stream_opens_share_the_next_one() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    waits = [subscribe(world, uri) for uri in ("a", "b", "c")]
    world.wire.acknowledge(await world.sent(LISTEN, 2))
    third = await world.sent(LISTEN, 3)
    assert third["params"]["notifications"]["resourceSubscriptions"] == ["a", "b", "c"]
    assert [wait.done for wait in waits] == [True, False, False]
    world.wire.acknowledge(third)
    for wait in waits:
        await as_future(wait)
    assert world.wire.methods().count(LISTEN) == 3


async def test_a_subscription_that_is_there_already_or_gone_already_needs_no_stream() -> None:
    world = await World(modern(ALL), modern=True).ready()
    await as_future(subscribe(world, "a"))
    await as_future(subscribe(world, "a"))
    await as_future(unsubscribe(world, "b"))
    assert world.wire.methods().count(LISTEN) == 2
    await as_future(unsubscribe(world, "a"))
    assert world.wire.last(LISTEN)["params"]["notifications"] == {"toolsListChanged": True}


async def test_with_the_last_subscription_the_stream_ends_where_nothing_else_is_heard() -> None:
    world = await World(modern({"resources": {"subscribe": True}}), modern=True).ready()
    await as_future(subscribe(world, "a"))
    stream = world.wire.last(LISTEN)["id"]
    await as_future(unsubscribe(world, "a"))
    assert world.wire.methods().count(LISTEN) == 1
    assert world.wire.last("notifications/cancelled")["params"]["requestId"] == stream


async def test_a_subscription_that_the_upstream_does_not_agree_to_is_an_error() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    wait = subscribe(world, "a")
    world.wire.acknowledge(await world.sent(LISTEN, 2), toolsListChanged=True)
    assert "did not agree to this subscription" in await failure(wait)
    again = subscribe(world, "b")
    third = await world.sent(LISTEN, 3)
    assert third["params"]["notifications"]["resourceSubscriptions"] == ["b"]
    world.wire.acknowledge(third)
    await as_future(again)


@pytest.mark.parametrize("taken", [7, True, "file:///a", {"file:///a": 1}, None])
async def test_an_acknowledgement_that_lists_no_subscriptions_agrees_to_none(taken: Any) -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    wait = subscribe(world, "file:///a")
    world.wire.acknowledge(await world.sent(LISTEN, 2), resourceSubscriptions=taken)
    assert "did not agree to this subscription" in await failure(wait)
    assert world.reports == []


@pytest.mark.parametrize(("change", "kept"), [("subscribe", ["a"]), ("unsubscribe", None)])
async def test_a_change_that_is_not_agreed_to_in_the_time_of_a_call_is_an_error(
    change: str, kept: Any
) -> None:
    world = await World(modern(ALL), deaf, modern=True, call_seconds=0.05).ready()
    await as_future(subscribe(world, "a"))
    await world.dead()
    await world.ready()
    do = subscribe if change == "subscribe" else unsubscribe
    for wait in [do(world, uri) for uri in ("a", "b", "a")]:
        assert f"did not answer resources/{change} within 0.05 seconds" in await failure(wait)
    world.wire.acknowledge(await world.sent(LISTEN))
    later = await world.sent(LISTEN, 2)
    assert later["params"]["notifications"].get("resourceSubscriptions") == kept


async def test_a_subscription_that_is_cancelled_before_the_upstream_agrees_is_taken_back() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    waits = [subscribe(world, uri) for uri in ("asked", "waits", "wanted", "wanted")]
    second = await world.sent(LISTEN, 2)
    for wait in waits[:3]:
        wait.cancel("cancelled")
    world.wire.acknowledge(second)
    third = await world.sent(LISTEN, 3)
    assert third["params"]["notifications"]["resourceSubscriptions"] == ["wanted"]
    world.wire.acknowledge(third)
    await as_future(waits[3])
    waits[3].cancel("cancelled")
    await world.dead()
    await world.ready()
    assert (await world.sent(LISTEN))["params"]["notifications"]["resourceSubscriptions"] == ["wanted"]


async def test_a_subscription_that_everybody_gives_up_is_taken_back() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    waits = [subscribe(world, "a"), subscribe(world, "a")]
    second = await world.sent(LISTEN, 2)
    for wait in waits:
        wait.cancel("cancelled")
    world.wire.acknowledge(second)
    third = await world.sent(LISTEN, 3)
    assert third["params"]["notifications"] == {"toolsListChanged": True}


async def test_a_stream_that_is_refused_is_an_error_and_the_old_one_stays() -> None:
    world = await World(deaf, modern=True).ready()
    first = await world.sent(LISTEN)
    world.wire.acknowledge(first)
    wait = subscribe(world, "a")
    world.wire.error((await world.sent(LISTEN, 2))["id"], -32602)
    assert "did not open the subscription" in await failure(wait)
    world.wire.notify("notifications/tools/list_changed", _meta={META: first["id"]})
    assert len(world.heard) == 1
    assert "notifications/cancelled" not in world.wire.methods()


async def test_a_stream_that_is_never_acknowledged_is_given_up() -> None:
    world = await World(deaf, modern=True, start_seconds=0.05).ready()
    await world.sent(LISTEN)
    wait = subscribe(world, "a")
    assert "upstream 'x' did not open the subscription" in await failure(wait)
    assert "notifications/cancelled" in world.wire.methods()


@pytest.mark.parametrize("how", ["gracefully", "failed", "error", "cancelled"])
async def test_a_stream_that_ends_is_opened_again(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(life, "FIRST_SECONDS", 0.001)
    world = await World(modern(ALL), modern=True).ready()
    await as_future(subscribe(world, "a"))
    stream = world.wire.last(LISTEN)["id"]
    if how == "gracefully":
        world.wire.result(stream, {"resultType": "complete", "_meta": {META: stream}})
    elif how == "cancelled":
        world.wire.notify("notifications/cancelled", requestId=stream)
    elif how == "failed":
        world.wire.listener.failed(stream, "closed the stream")
    else:
        world.wire.error(stream, -32603)
    again = await world.sent(LISTEN, 3)
    assert again["params"]["notifications"]["resourceSubscriptions"] == ["a"]
    assert again["id"] != stream


async def test_a_stream_that_the_upstream_does_not_know_is_not_asked_for_again() -> None:
    def lacking(wire: FakeWire, message: Any) -> None:
        if message.get("method") == LISTEN:
            wire.error(message["id"], -32601)
        else:
            modern(ALL)(wire, message)

    world = await World(lacking, modern=True).ready()
    await world.settled()
    assert world.wire.methods().count(LISTEN) == 1
    assert "did not open" in await failure(subscribe(world, "a"))


async def test_the_next_life_opens_the_stream_with_what_was_subscribed() -> None:
    world = await World(modern(ALL), modern=True).ready()
    await as_future(subscribe(world, "a"))
    await world.dead()
    await world.ready()
    listen = await world.sent(LISTEN)
    assert listen["params"]["notifications"]["resourceSubscriptions"] == ["a"]


async def test_who_waits_for_a_subscription_is_told_when_the_wire_ends() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    waits = [subscribe(world, "a"), subscribe(world, "b")]
    await world.dead()
    for wait in waits:
        assert "has ended" in await failure(wait)


async def test_a_legacy_upstream_is_asked_itself_and_told_again_in_its_next_life() -> None:
    world = await World(legacy({"resources": {"subscribe": True}})).ready()
    for uri in ("a", "b"):
        await as_future(subscribe(world, uri))
    await as_future(unsubscribe(world, "a"))
    assert [m["params"] for m in world.wire.sent[2:]] == [{"uri": "a"}, {"uri": "b"}, {"uri": "a"}]
    await world.dead()
    await world.ready()
    again = await world.sent("resources/subscribe")
    assert again["params"] == {"uri": "b"}
    assert world.wire.methods().count("resources/subscribe") == 1


@pytest.mark.parametrize("how", ["error", "failed"])
async def test_what_a_legacy_upstream_refused_is_not_asked_again(how: str) -> None:
    def refusing(wire: FakeWire, message: Any) -> None:
        if message.get("method") != "resources/subscribe":
            legacy()(wire, message)
        elif how == "error":
            wire.error(message["id"], -32602)
        else:
            wire.listener.failed(message["id"], "failed")

    world = await World(refusing).ready()
    wait = subscribe(world, "a")
    wait.then(lambda _: world.stir())
    await world.until(lambda: wait.done)
    await world.dead()
    await world.ready()
    assert "resources/subscribe" not in world.wire.methods()


async def test_a_subscription_without_a_uri_goes_to_the_upstream_as_it_is() -> None:
    world = await World(modern(ALL), modern=True).ready()
    world.upstream.request(permit("resources/subscribe", uri=5))
    assert (await world.sent("resources/subscribe"))["params"]["uri"] == 5


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_the_stream_is_cancelled_before_the_wire_is_closed(acknowledged: bool) -> None:
    world = await World(deaf, modern=True).ready()
    listen = await world.sent(LISTEN)
    if acknowledged:
        world.wire.acknowledge(listen)
    await world.upstream.close(gently=True)
    assert world.wire.last("notifications/cancelled")["params"]["requestId"] == listen["id"]


async def test_an_acknowledgement_twice_or_of_nothing_changes_nothing() -> None:
    world = await World(deaf, modern=True).ready()
    listen = await world.sent(LISTEN)
    for _ in range(2):
        world.wire.acknowledge(listen)
    world.wire.acknowledge({**listen, "id": 99})
    assert world.wire.methods() == ["server/discover", LISTEN]
    assert world.heard == []


async def test_a_subscription_that_waited_behind_a_refused_one_gets_its_own_stream() -> None:
    world = await World(deaf, modern=True).ready()
    world.wire.acknowledge(await world.sent(LISTEN))
    first, second = subscribe(world, "a"), subscribe(world, "b")
    world.wire.error((await world.sent(LISTEN, 2))["id"], -32602)
    assert "did not open" in await failure(first)
    third = await world.sent(LISTEN, 3)
    assert third["params"]["notifications"]["resourceSubscriptions"] == ["b"]
    world.wire.acknowledge(third)
    await as_future(second)


async def test_the_old_stream_may_end_while_the_new_one_opens() -> None:
    world = await World(deaf, modern=True).ready()
    first = await world.sent(LISTEN)
    world.wire.acknowledge(first)
    wait = subscribe(world, "a")
    second = await world.sent(LISTEN, 2)
    world.wire.result(first["id"], {"resultType": "complete"})
    world.wire.acknowledge(second)
    await as_future(wait)
    await world.settled()
    assert world.wire.methods() == ["server/discover", LISTEN, LISTEN]
