"""Batches of revision 2025-03-26 over HTTP: one stream for all answers of a POST."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.adapters.transports.http.client import MOST_REQUESTS
from tests.adapters.transports.front import (
    FakeReceiver,
    Front,
    Wire,
    answer_handshake,
    begin,
    call,
    notice,
    serving,
    settled,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

RESPONSE = {"jsonrpc": "2.0", "id": 1, "result": {}}


class Session:
    """A session of a revision with batches, whose requests the test answers by hand."""

    def __init__(self, front: Front, key: str) -> None:
        self.front = front
        self.world: FakeReceiver = front.door.worlds[-1]
        self.world.batches = True
        self.world.heard.clear()
        self.about: dict[str, Any] = {"mcp_session_id": key}

    async def send(self, *messages: Any) -> Wire:
        """A batch that has reached the gateway."""
        wire = await self.front.open("POST", "/mcp", list(messages), **self.about)
        await self.front.door.until(lambda: len(self.world.heard) + len(self.world.refused) == len(messages))
        return wire

    def answer(self, place: int) -> None:
        self.world.reply(self.world.heard[place], {"place": place})


async def session(front: Front) -> Session:
    front.door.script = answer_handshake
    return Session(front, await front.session())


async def test_answers_come_as_they_are_there_and_the_last_ends_the_stream() -> None:
    async with serving() as front:
        held = await session(front)
        wire = await held.send(call("a", "x"), notice("n"), call("b", "y"))
        assert [one["method"] for one in held.world.heard] == ["a", "n", "b"]
        held.answer(2)
        assert (await wire.head()).headers["content-type"] == "text/event-stream"
        assert (await wire.message())["id"] == "y"
        held.world.notify("progress", held.world.heard[0]["id"])
        assert (await wire.message())["method"] == "progress"
        held.answer(0)
        assert (await wire.message())["id"] == "x"
        await wire.ended()


async def test_a_batch_with_one_request_is_answered_in_json() -> None:
    async with serving() as front:
        held = await session(front)
        wire = await held.send(notice("n"), call("a", "x"))
        held.answer(1)
        answer = await wire.answer()
        assert (answer.status, answer.json["id"]) == (200, "x")


@pytest.mark.parametrize("batch", [[notice("n"), notice("m")], [RESPONSE, RESPONSE]])
async def test_a_batch_without_requests_is_accepted_with_no_body(batch: list[Any]) -> None:
    async with serving() as front:
        held = await session(front)
        answer = await front.post(batch, **held.about)
        assert (answer.status, answer.body) == (202, b"")
        assert held.world.heard == batch


async def test_what_is_refused_in_a_batch_is_answered_on_its_stream() -> None:
    async with serving() as front:
        held = await session(front)
        wire = await held.send(call("a", 1), call("b", 1), 5)
        await wire.head()
        refused = [await wire.message() for _ in range(2)]
        assert [(one["id"], one["error"]["code"]) for one in refused] == [(1, -32600), (None, -32600)]
        held.answer(0)
        assert (await wire.message())["result"] == {"place": 0}
        await wire.ended()


async def test_a_batch_that_is_refused_whole_has_the_status_of_what_is_no_message() -> None:
    async with serving() as front:
        held = await session(front)
        answer = await front.post([], **held.about)
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


async def test_a_request_may_be_cancelled_in_its_own_batch_before_it_or_after() -> None:
    async with serving() as front:
        held = await session(front)
        early, late = (notice("notifications/cancelled", requestId=one) for one in ("e", "l"))
        wire = await front.open(
            "POST", "/mcp", [early, call("a", "e"), call("b", "l"), late, call("c", "k")], **held.about
        )
        heard = held.world.heard
        await settled(lambda: [one["method"] for one in heard if "id" in one] == ["b", "c"])
        held.answer(-1)
        assert (await wire.answer()).json["id"] == "k"


async def test_a_batch_that_is_more_than_may_be_open_is_refused_and_nothing_of_it_comes_in() -> None:
    async with serving() as front:
        held = await session(front)
        for first in range(0, 200, 100):
            held.world.heard.clear()
            await held.send(*(call("a", first + number) for number in range(100)))
        held.world.heard.clear()
        many = [call("b", 1000 + number) for number in range(MOST_REQUESTS - 200 + 1)]
        assert (await front.post(many, **held.about)).status == 503
        assert held.world.heard == []
        await held.send(*many[1:])


async def test_a_batch_that_waits_too_long_to_come_in_is_answered_for_each_request() -> None:
    async with serving(body_seconds=0.05) as front:
        held = await session(front)
        held.world.client.hold(True)
        wire = await front.open("POST", "/mcp", [call("a", 1), notice("n"), call("b", 2)], **held.about)
        await wire.head()
        found = [await wire.message() for _ in range(2)]
        assert [(one["id"], one["error"]["code"]) for one in found] == [(1, -31000), (2, -31000)]
        await wire.ended()
        assert held.world.heard == [notice("n")]


async def test_a_batch_whose_session_ends_while_it_waits_is_answered_and_not_served() -> None:
    async with serving() as front:
        held = await session(front)
        held.world.client.hold(True)
        wire = await front.open("POST", "/mcp", [call("a", 1), call("b", 2)], **held.about)
        await settled(lambda: held.world.client.asked)
        deleted = await front.ask("DELETE", "/mcp", content_type=None, accept=None, **held.about)
        assert deleted.status == 204
        await wire.head()
        assert [(await wire.message())["error"]["code"] for _ in range(2)] == [-31000, -31000]
        assert held.world.heard == []


@pytest.mark.parametrize("answered", [True, False])
async def test_a_client_comes_back_to_the_stream_of_a_batch(answered: bool) -> None:
    async with serving() as front:
        held = await session(front)
        wire = await held.send(call("a", "x"), call("b", "y"), call("c", "z"))
        held.answer(0)
        await wire.head()
        event = await wire.fields()
        wire.close()
        key = held.about["mcp_session_id"]
        await settled(lambda: front.endpoint.worlds._sessions[key].uses == 0)
        if answered:
            held.answer(1)
        await front.post(notice("notifications/cancelled", requestId="z"), **held.about)
        again = await front.open(
            "GET", "/mcp", accept="text/event-stream", last_event_id=event["id"], **held.about
        )
        await again.head()
        if not answered:
            held.answer(1)
        assert (await again.message())["id"] == "y"
        await again.ended()


async def test_over_http_sse_each_message_of_a_batch_is_answered_on_the_stream() -> None:
    async with serving() as front:
        stream, path = await begin(front)
        [world] = front.door.worlds
        assert (await front.ask("POST", path, [call("a", 1)])).status == 202
        assert (await stream.message())["error"]["code"] == -32600
        world.batches = True
        assert (await front.ask("POST", path, [call("a", 1), 5, notice("n"), call("b", 2)])).status == 202
        found = [await stream.message() for _ in range(3)]
        assert [one["id"] for one in found] == [1, None, 2]
        assert [one["method"] for one in world.heard] == ["a", "n", "b"]
