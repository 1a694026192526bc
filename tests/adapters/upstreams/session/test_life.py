"""The life of an upstream: back-off, sessions that expire, health, and the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.upstreams.session.life import FIRST_SECONDS, MOST_SECONDS, Backoff, jitter
from mcpguard.core.errors import InspectionError, UpstreamError
from mcpguard.gateway.flight import as_future
from mcpguard.protocol import eras
from tests.adapters.upstreams.fake_wire import (
    FakeWire,
    World,
    failure,
    legacy,
    modern,
    modern_caller,
    permit,
    silent,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


# --- back-off ------------------------------------------------------------------------------------------


def test_the_pause_doubles_from_half_a_second_to_a_minute() -> None:
    backoff = Backoff(lambda: 1.0)
    pauses = [backoff.failed(0.0, healthy=False) for _ in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.remaining(10.0) == 50.0
    assert backoff.remaining(60.0) == 0.0


def test_a_healthy_life_starts_the_series_again() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.failed(0.0, healthy=False)
    assert backoff.failed(0.0, healthy=True) == FIRST_SECONDS
    assert backoff.failed(0.0, healthy=False) == 2 * FIRST_SECONDS


def test_many_failures_overflow_nothing() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.failed(0.0, healthy=False) for _ in range(2000)][-1] == MOST_SECONDS


def test_the_jitter_stays_in_its_range() -> None:
    assert all(0.8 <= jitter() <= 1.2 for _ in range(1000))


async def test_in_the_pause_a_request_fails_at_once_with_the_last_problem_and_the_time_of_the_next_try() -> (
    None
):
    world = World(legacy())
    world.upstream.past.backoff = Backoff(lambda: 100.0)
    world.prepare_wire = lambda wire: setattr(wire, "opening", UpstreamError("no database"))
    assert await failure(world.upstream.ready()) == "upstream 'x' is not available: no database"
    await world.settled()
    for wait in (world.upstream.request(permit(name="t")), world.upstream.ready()):
        assert wait.done
        said = await failure(wait)
        assert said.startswith("upstream 'x' is not available: no database; next try in ")
        assert said.endswith(" s")
    assert len(world.wires) == 1


async def test_nothing_restarts_by_itself_and_the_next_request_does() -> None:
    world = await World(legacy()).ready()
    await world.dead()
    assert len(world.wires) == 1
    wait = world.upstream.request(permit(name="t"))
    call = await world.sent("tools/call")
    world.wire.result(call["id"], {})
    await as_future(wait)
    assert len(world.wires) == 2
    assert world.upstream.health.restarts == 1


async def test_a_new_life_is_told_after_the_request_that_began_it_was_sent() -> None:
    world = await World(legacy()).ready()
    assert world.renewals == []
    await world.dead()
    sent: list[str] = []
    renewed = world.renewed

    def noted(server: str) -> None:
        sent.extend(world.wire.methods())
        renewed(server)

    world.renewed = noted  # type: ignore[method-assign]
    world.upstream.request(permit(name="t"))
    await world.until(lambda: world.renewals)
    assert (world.renewals, sent[-1]) == (["x"], "tools/call")
    world.wire.listener.expired(world.wire.last("tools/call")["id"])
    await world.until(lambda: len(world.renewals) == 2)


@pytest.mark.parametrize(("answered", "pause"), [(True, 0.5), (False, 1.0)])
async def test_one_answered_request_makes_a_life_healthy(answered: bool, pause: float) -> None:
    world = await World(legacy()).ready()
    pauses: list[float] = []
    backoff = world.upstream.past.backoff
    failed = backoff.failed
    backoff._spread = lambda: 1.0
    backoff.failed = lambda now, healthy: pauses.append(failed(now, healthy)) or 0.0  # type: ignore[method-assign]
    backoff.remaining = lambda now: 0.0  # type: ignore[method-assign]
    await world.dead()
    wait = world.upstream.request(permit("ping" if answered else "tools/call"))
    if answered:
        await as_future(wait)
    else:
        await world.sent("tools/call")
    await world.dead()
    assert pauses == [0.5, pause]


async def test_a_request_while_it_dies_fails_at_once() -> None:
    world = await World(legacy()).ready()
    closing = asyncio.Event()

    async def slow(gently: bool) -> None:
        await closing.wait()

    world.wire.close = slow  # type: ignore[method-assign]
    world.wire.listener.ended()
    await world.until(lambda: world.upstream.health.state == "waiting")
    assert await failure(world.upstream.request(permit(name="t"))) == "upstream 'x' has ended"
    closing.set()
    await world.settled()
    await world.ready()


# --- sessions ------------------------------------------------------------------------------------------


LOST = (
    "upstream 'x' has lost its session, so a new one is started; this request was not sent again, since it may have "
    "been carried out: call again if it was not"
)


async def test_a_call_in_an_expired_session_is_never_sent_again_and_the_next_one_is_in_a_new_session() -> (
    None
):
    world = await World(legacy()).ready()
    wait = world.upstream.request(permit(name="t"))
    other = world.upstream.request(permit(name="u"))
    world.wire.say({"id": "q", "method": "roots/list"})
    ids = [m["id"] for m in world.wire.sent if m.get("method") == "tools/call"]
    world.wire.listener.expired(ids[0])
    assert await failure(wait) == LOST
    following = world.upstream.request(permit(name="v"))
    assert world.withdrawn_ones == world.questions
    await world.sent("tools/call", 3)
    assert world.wire.methods() == [
        "initialize",
        "notifications/initialized",
        "tools/call",
        "tools/call",
        "initialize",
        "notifications/initialized",
        "tools/call",
    ]
    # The other one was sent in the old session; its news comes late and greets nobody anew.
    world.wire.listener.expired(ids[1])
    assert await failure(other) == LOST
    assert world.wire.sent[-1]["params"]["name"] == "v"
    world.wire.result(world.wire.sent[-1]["id"], {})
    await as_future(following)
    assert world.wire.methods().count("initialize") == 2
    assert (len(world.wires), world.upstream.health.restarts) == (1, 0)


async def test_a_list_in_an_expired_session_is_requested_again_once() -> None:
    world = await World(legacy()).ready()
    wait = world.upstream.request(permit("tools/list"))
    world.wire.listener.expired(world.wire.last("tools/list")["id"])
    again = await world.sent("tools/list", 2)
    world.wire.listener.expired(again["id"])
    assert await failure(wait) == "upstream 'x' does not keep its sessions"
    world.wire.listener.expired(99)
    assert world.wire.methods().count("initialize") == 2


SAID = {"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "no such branch"}}


async def test_a_call_that_may_say_that_the_session_is_gone_is_answered_when_a_ping_shows_that_it_is_not() -> (
    None
):
    world = await World(legacy()).ready()
    wait, silent = world.upstream.request(permit(name="t")), world.upstream.request(permit(name="u"))
    ids = [m["id"] for m in world.wire.sent if m.get("method") == "tools/call"]
    world.wire.listener.expired(ids[0], SAID, 10, sure=False)
    world.wire.result((await world.sent("ping"))["id"], {})
    assert (await as_future(wait)).message == SAID
    world.wire.listener.expired(ids[1], sure=False)
    world.wire.error((await world.sent("ping", 2))["id"], -32601)
    assert await failure(silent) == "upstream 'x' answered HTTP 400 to tools/call"
    assert (world.wire.methods().count("tools/call"), world.wire.methods().count("initialize")) == (2, 1)


async def test_a_call_that_may_say_that_the_session_is_gone_begins_a_new_one_when_a_ping_says_so_too() -> (
    None
):
    world = await World(legacy()).ready()
    wait = world.upstream.request(permit(name="t"))
    late = world.upstream.request(permit(name="u"))
    ids = [m["id"] for m in world.wire.sent if m.get("method") == "tools/call"]
    world.wire.listener.expired(ids[0], SAID, 10, sure=False)
    world.wire.listener.expired((await world.sent("ping"))["id"], SAID, 10, sure=False)
    assert await failure(wait) == LOST
    await world.sent("initialize", 2)
    await as_future(world.upstream.ready())
    world.wire.listener.expired(ids[1], SAID, 10, sure=False)
    assert await failure(late) == LOST
    assert (world.wire.methods().count("tools/call"), world.wire.methods().count("ping")) == (2, 1)


async def test_a_session_that_cannot_be_opened_again_is_the_end_of_the_life() -> None:
    def once(wire: FakeWire, message: Any) -> None:
        if wire.methods().count("initialize") == 1:
            legacy()(wire, message)
        else:
            wire.error(message["id"], -32600)

    world = await World(once).ready()
    wait = world.upstream.request(permit("tools/list"))
    world.wire.listener.expired(world.wire.last("tools/list")["id"])
    assert "refused initialize" in await failure(wait)
    await world.settled()
    assert world.wire.closed
    assert world.upstream.health.state == "waiting"


async def test_another_server_behind_a_new_session_is_refused() -> None:
    def other(wire: FakeWire, message: Any) -> None:
        legacy(name=f"n{wire.methods().count('initialize')}")(wire, message)

    world = await World(other).ready()
    wait = world.upstream.request(permit("tools/list"))
    world.wire.listener.expired(world.wire.last("tools/list")["id"])
    assert "is not the same server as before" in await failure(wait)
    assert world.wire.methods().count("tools/list") == 1


async def test_an_answer_that_bears_another_name_is_no_answer_and_the_end_of_the_upstream() -> None:
    world = await World(modern(), modern=True).ready()
    waits = [world.upstream.request(permit(name="t", caller=modern_caller())) for _ in range(2)]
    name = {"name": "s3cret other", "version": "1"}
    for message in world.wire.sent[-2:]:
        world.wire.result(message["id"], {"content": [], "_meta": {eras.SERVER_INFO_KEY: name}})
    assert not waits[0].done
    for wait in waits:
        assert await failure(wait) == (
            "upstream 'x' is not the same server as before: it called itself 'fake' and now '*** other'; if that is intended, restart mcpguard"
        )
    await world.settled()
    assert (world.upstream.health.state, world.wire.closed) == ("failed", True)


@pytest.mark.parametrize("info", [{"name": "fake"}, {"name": 7}, {}, "other", None])
async def test_an_answer_that_bears_the_same_name_or_none_is_one(info: Any) -> None:
    world = await World(modern(), modern=True).ready()
    wait = world.upstream.request(permit(name="t", caller=modern_caller()))
    result = {"content": [], "_meta": {eras.SERVER_INFO_KEY: info}}
    world.wire.result(world.wire.last("tools/call")["id"], result)
    assert (await as_future(wait)).body == result


async def test_a_legacy_answer_may_say_what_it_likes() -> None:
    world = await World(legacy()).ready()
    wait = world.upstream.request(permit(name="t"))
    world.wire.result(
        world.wire.last("tools/call")["id"], {"_meta": {eras.SERVER_INFO_KEY: {"name": "other"}}}
    )
    await as_future(wait)


# --- health and the end --------------------------------------------------------------------------------


async def test_health_tells_each_state() -> None:
    world = World(legacy())
    assert world.upstream.health.state == "idle"
    await world.ready()
    world.upstream.request(permit(name="t"))
    health = world.upstream.health
    assert (health.name, health.era, health.version, health.open) == ("x", "legacy", "2025-06-18", 1)
    assert (health.problem, health.restarts) == ("", 0)
    world.wire.words = "; it last said: s3cret"
    await world.dead()
    health = world.upstream.health
    assert (health.state, health.open) == ("waiting", 0)
    assert health.problem == "upstream 'x' has ended; it last said: ***"
    await world.ready()
    assert world.upstream.health.restarts == 1
    await world.upstream.close(gently=True)
    assert world.states == ["starting", "running", "waiting", "starting", "running", "closed"]


async def test_health_says_that_requests_are_lost_until_one_is_answered() -> None:
    world = await World(legacy()).ready()
    running = world.upstream.health
    sinces = set()
    for sentence in ("cannot be reached: s3cret", "answered HTTP 503 to tools/call"):
        wait = world.upstream.request(permit(name="t"))
        world.wire.listener.failed(world.wire.last("tools/call")["id"], sentence, lost=True)
        await failure(wait)
        health = world.upstream.health
        assert (health.state, health.problem) == (
            "failing",
            f"upstream 'x' {sentence}".replace("s3cret", "***"),
        )
        sinces.add(health.since)
    assert len(sinces) == 1
    await as_future(world.upstream.request(permit("ping")))
    assert world.upstream.health == running
    assert world.states == ["starting", "running", "failing", "running"]


async def test_what_is_wrong_with_one_answer_is_no_trouble_of_the_upstream() -> None:
    world = await World(legacy({"logging": {}})).ready()
    wait = world.upstream.request(permit(name="t"))
    world.wire.listener.failed(world.wire.last("tools/call")["id"], "answered with more than 5 bytes")
    await failure(wait)
    assert world.upstream.health.state == "running"


async def test_a_stream_of_events_that_is_lost_is_no_trouble_since_it_is_opened_again() -> None:
    world = await World(modern({"tools": {"listChanged": True}}), modern=True).ready()
    world.wire.listener.failed(
        (await world.sent("subscriptions/listen"))["id"], "ended its stream", lost=True
    )
    assert world.upstream.health.state == "running"
    await world.sent("subscriptions/listen", 2)


async def test_an_upstream_that_was_never_started_is_closed_at_once_and_starts_no_more() -> None:
    world = World(legacy())
    await world.upstream.close(gently=True)
    assert world.upstream.health.state == "closed"
    assert await failure(world.upstream.ready()) == "mcpguard is ending"
    assert world.wires == []


@pytest.mark.parametrize("gently", [True, False])
async def test_closing_ends_the_wire_the_given_way_and_answers_who_waits(gently: bool) -> None:
    world = await World(legacy()).ready()
    ways: list[bool] = []
    close = world.wire.close

    async def noted(way: bool) -> None:
        ways.append(way)
        await close(way)

    world.wire.close = noted  # type: ignore[method-assign]
    wait = world.upstream.request(permit(name="t"))
    await world.upstream.close(gently)
    assert ways == [gently]
    assert "upstream 'x' has ended" in await failure(wait)
    assert "mcpguard is ending" in await failure(world.upstream.request(permit(name="t")))


async def test_closing_while_it_starts_answers_who_waits() -> None:
    world = World(silent)
    wait = world.upstream.request(permit(name="t"))
    await world.sent("initialize")
    await world.upstream.close(gently=False)
    assert await failure(wait) == "mcpguard is ending"
    assert world.wire.closed


async def test_closing_while_a_session_is_opened_again_answers_who_waits() -> None:
    def once(wire: FakeWire, message: Any) -> None:
        if wire.methods().count("initialize") == 1:
            legacy()(wire, message)

    world = await World(once).ready()
    wait = world.upstream.request(permit("tools/list"))
    world.wire.listener.expired(world.wire.last("tools/list")["id"])
    await world.sent("initialize", 2)
    await world.upstream.close(gently=True)
    assert await failure(wait) == "mcpguard is ending"


async def test_a_wire_that_is_over_before_the_greeting_is_the_end_of_the_start() -> None:
    world = World(legacy())
    world.prepare_wire = lambda wire: setattr(wire, "ends_at_once", True)
    assert "it ended before it answered initialize" in await failure(world.upstream.ready())


async def test_closing_before_the_start_has_begun_answers_who_waits() -> None:
    world = World(legacy())
    waits = [world.upstream.request(permit(name="t")), world.upstream.ready()]
    await world.upstream.close(gently=True)
    for wait in waits:
        assert await failure(wait) == "mcpguard is ending"
    assert world.wires == []
    assert world.upstream.health.state == "closed"


async def test_a_problem_that_cannot_be_inspected_is_withheld() -> None:
    def fail(_text: str) -> str:
        raise InspectionError("no")

    world = await World(legacy(), clean=fail).ready()
    await world.dead()
    assert world.upstream.health.problem == "withheld, since it could not be inspected"
