"""What becomes of a server that let a call time out, or whose process has left something behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import force_setattr

from mcpguard.adapters.upstreams.session import doubt
from mcpguard.gateway.flight import as_future
from tests.adapters.upstreams.fake_wire import (
    SECONDS,
    FakeWire,
    Message,
    Server,
    World,
    failure,
    legacy,
    modern,
    permit,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS, func_only=True)]

SILENT = (
    "upstream 'x' let a call time out and then did not answer `{}` within 0.05 seconds "
    "(`start_timeout_seconds`), so mcpguard has ended it"
)
LEFT = "upstream 'x' has ended, and what it started keeps its output open without answering"
LATE = "within 0.05 seconds (`call_timeout_seconds`)"


def mute(serve: Server, *methods: str) -> Server:
    """`serve`, once greeted deaf to these methods."""
    return lambda wire, message: (
        None if wire.revision and message.get("method") in methods else serve(wire, message)
    )


def then(serve: Server, method: str, do: Callable[[FakeWire, Message], None]) -> Server:
    """`serve`, but what comes of `method` once it is greeted is `do`."""
    return lambda wire, message: (do if wire.revision and message.get("method") == method else serve)(
        wire, message
    )


async def doubted(serve: Server, **more: bool) -> World:
    """A world in which a call has timed out, and whose next question has a short deadline."""
    world = await World(serve, call_seconds=0.05, **more).ready()
    force_setattr(world.terms, "start_seconds", 0.05)
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    return world


@pytest.mark.parametrize(
    ("serve", "method"), [(legacy(), "ping"), (modern(), "server/discover")], ids=["legacy", "modern"]
)
async def test_one_that_does_not_answer_after_a_timeout_is_ended_and_the_next_request_starts_it(
    serve: Server, method: str
) -> None:
    world = await doubted(mute(serve, method), modern=method != "ping")
    noted: list[tuple[str, str]] = []
    force_setattr(world.terms, "noted", lambda what, detail: noted.append((what, detail)))
    await world.sent("notifications/cancelled" if method == "ping" else method)
    force_setattr(world.terms, "call_seconds", 5.0)
    other = world.upstream.request(permit(name="u"))
    assert await failure(other) == SILENT.format(method)
    await world.until(lambda: world.upstream.health.state == "waiting")
    assert world.upstream.health.problem == SILENT.format(method)
    await world.settled()
    assert world.wires[0].closed
    force_setattr(world.terms, "start_seconds", 5.0)
    await as_future(world.upstream.ready())
    assert len(world.wires) == 2
    assert world.upstream.health.restarts == 1
    await world.upstream.close(True)
    assert [what for what, _ in noted] == ["upstream-lost", "upstream-started", "upstream-ended"]
    assert noted[0][1] == SILENT.format(method)


@pytest.mark.parametrize("serve", [legacy(), modern()], ids=["legacy", "modern"])
async def test_one_that_answers_is_slow_and_stays(serve: Server) -> None:
    world = await doubted(serve, modern=serve.__qualname__.startswith("modern"))
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    await world.settled()
    assert world.upstream.running
    assert len(world.wires) == 1


@pytest.mark.parametrize(
    "says",
    [
        lambda wire, _: wire.notify("notifications/message", level="info", data="busy"),
        lambda wire, _: wire.say({"id": "q", "method": "ping"}),
        lambda wire, message: wire.result(message["id"] - 1, {}),
        lambda wire, message: wire.error(message["id"], -32601),
        lambda wire, message: wire.say({"id": message["id"], "result": "none"}),
        lambda wire, message: wire.listener.broken(message["id"], "junk", ""),
    ],
    ids=["notification", "question", "late-answer", "refusal", "no-result", "junk"],
)
async def test_one_that_says_anything_meanwhile_stays(says: Callable[[FakeWire, Message], None]) -> None:
    world = await doubted(then(legacy(), "ping", says))
    await world.sent("ping")
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    await world.sent("ping", 2)
    assert world.upstream.running


async def test_an_answer_to_another_call_shows_that_it_lives() -> None:
    world = await doubted(mute(legacy(), "ping"))
    await world.sent("ping")
    wait = world.upstream.request(permit(name="u"))
    world.wire.result((await world.sent("tools/call", 2))["id"], {})
    await as_future(wait)
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    await world.sent("ping", 2)
    assert world.upstream.running


async def test_calls_that_time_out_together_are_one_doubt() -> None:
    world = await World(mute(legacy(), "ping"), call_seconds=0.05).ready()
    for wait in [world.upstream.request(permit(name="t")) for _ in range(3)]:
        assert LATE in await failure(wait)
    assert world.wire.methods().count("ping") == 1


async def test_while_it_is_not_read_it_is_asked_again() -> None:
    world = await World(mute(legacy(), "ping"), call_seconds=0.05).ready()
    force_setattr(world.terms, "start_seconds", 0.05)
    world.upstream.hold(True)
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    await world.sent("ping", 3)
    assert world.upstream.running
    world.upstream.hold(False)
    await world.until(lambda: world.upstream.health.state == "waiting")


async def test_where_each_answer_has_its_own_connection_nothing_is_asked() -> None:
    world = World(legacy(), call_seconds=0.05)
    world.prepare_wire = lambda wire: setattr(wire, "one_stream", False)
    await world.ready()
    assert LATE in await failure(world.upstream.request(permit(name="t")))
    assert "ping" not in world.wire.methods()


# --- a process that left something behind --------------------------------------------------------------


async def test_what_a_process_left_behind_is_ended_if_it_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doubt, "LEFT_SECONDS", 0.05)
    world = await World(mute(legacy(), "ping")).ready()
    wait = world.upstream.request(permit(name="t"))
    world.wire.words = " (exit status 3)"
    world.wire.listener.left(True)
    assert await failure(wait) == f"{LEFT} (exit status 3)"


async def test_what_a_process_left_behind_stays_if_it_answers() -> None:
    world = await World(legacy()).ready()
    world.wire.listener.left(True)
    await world.sent("ping")
    await world.settled()
    assert world.upstream.running


async def test_a_launcher_that_ends_well_before_the_greeting_is_waited_for() -> None:
    def serve(wire: FakeWire, message: Message) -> None:
        wire.listener.left(False)
        legacy()(wire, message)

    world = await World(serve).ready()
    assert world.wire.methods()[0] == "initialize"


async def test_a_launcher_that_fails_before_the_greeting_has_ended() -> None:
    world = World(lambda wire, message: wire.listener.left(True))
    said = await failure(world.upstream.ready())
    assert said == "upstream 'x' is not available: it ended before it answered initialize"
    assert world.wire.methods() == ["initialize"]


async def test_what_is_over_is_not_doubted() -> None:
    world = await World(legacy()).ready()
    await world.dead()
    world.wire.listener.left(True)
    assert "ping" not in world.wire.methods()
