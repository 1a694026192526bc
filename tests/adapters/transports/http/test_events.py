"""HTTP+SSE: one stream out, POSTs in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.transports.http.client import MOST_REQUESTS
from mcpguard.core.redaction.redactor import authored
from tests.adapters.transports.front import Front, answer_handshake, begin, call, notice, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


async def test_messages_come_by_post_and_answers_go_on_the_stream() -> None:
    async with serving() as front:
        stream, path = await begin(front)
        answer = await front.ask("POST", path, call("initialize", "a"), accept=None)
        assert (answer.status, answer.body) == (202, b"")
        said = await stream.message()
        assert said == {"jsonrpc": "2.0", "id": "a", "result": {"method": "initialize"}}
        assert (await front.ask("POST", path, notice("notifications/initialized"))).status == 202
        [world] = front.door.worlds
        world.notify("notifications/tools/list_changed")
        world.client.ask(3, "roots/list", authored({}))
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
        assert await stream.message() == call("roots/list", 3)
        await front.ask("POST", path, {"jsonrpc": "2.0", "id": 3, "result": {}})
        assert world.heard[-1] == {"jsonrpc": "2.0", "id": 3, "result": {}}


async def test_a_message_that_cannot_be_read_is_refused_on_the_stream_with_evidence() -> None:
    async with serving() as front:
        stream, path = await begin(front)
        assert (await front.ask("POST", path, b"{")).status == 202
        assert (await stream.message())["error"]["code"] == -32700
        assert len(front.door.worlds[0].refused) == 1


async def test_an_id_in_use_is_refused_and_a_cancelled_request_is_not_answered() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        stream, path = await begin(front)
        await front.ask("POST", path, call("tools/call", 5))
        await front.ask("POST", path, call("tools/call", 5))
        assert (await stream.message())["error"]["code"] == -32600
        [world] = front.door.worlds
        number = world.heard[0]["id"]
        world.notify("notifications/progress", related=number)
        assert (await stream.message())["method"] == "notifications/progress"
        await front.ask("POST", path, notice("notifications/cancelled", requestId=5))
        assert world.heard[1]["params"]["requestId"] == number
        world.reply(world.heard[0])
        world.notify("notifications/message")
        assert (await stream.message())["method"] == "notifications/message"


async def test_the_session_ends_with_its_stream() -> None:
    async with serving() as front:
        stream, path = await begin(front)
        stream.close()
        await front.door.until(lambda: front.door.worlds[0].left)
        assert (await front.ask("POST", path, call("ping"))).status == 404


async def test_a_request_that_was_held_when_its_session_ended_finds_none() -> None:
    async with serving() as front:
        stream, path = await begin(front)
        [world] = front.door.worlds
        world.client.hold(True)
        wire = await front.open("POST", path, call("ping"))
        assert (await front.ask("POST", path, notice("notifications/x"))).status == 202
        stream.close()
        await front.door.until(lambda: world.left)
        assert (await wire.answer()).status == 404
        assert [message["method"] for message in world.heard] == ["notifications/x"]


async def test_the_stream_ends_with_its_world() -> None:
    async with serving() as front:
        stream, _path = await begin(front)
        await front.endpoint.close(True)
        await stream.ended()


async def test_the_sessions_of_the_two_transports_do_not_mix() -> None:
    async with serving() as front:
        _stream, path = await begin(front)
        key = path.partition("=")[2]
        assert (await front.post(call("ping"), mcp_session_id=key)).status == 404
        other = await front.session()
        answer = await front.ask("POST", f"/messages?session_id={other}", call("ping"))
        assert answer.status == 404


async def test_what_is_no_message_for_a_session_is_refused_at_the_door() -> None:
    async with serving(message_bytes=2000) as front:
        _stream, path = await begin(front)
        refusals: list[tuple[int, dict[str, Any]]] = [
            (404, {"path": "/messages"}),
            (404, {"path": "/messages?session_id=x"}),
            (415, {"path": path, "content_type": "text/plain"}),
            (415, {"path": path, "content_encoding": "br"}),
            (413, {"path": path, "body": b" " * 2001}),
            (403, {"path": path, "host": "evil.example"}),
            (403, {"path": path, "origin": "https://evil.example"}),
        ]
        for status, about in refusals:
            headers = {key: value for key, value in about.items() if key not in ("path", "body")}
            answer = await front.ask("POST", about["path"], about.get("body", call("ping")), **headers)
            assert answer.status == status
        assert (await front.ask("GET", "/sse", accept="application/json")).status == 406


async def unread(front: Front) -> None:
    """Say so much that the client, which reads nothing, is full."""
    [world] = front.door.worlds
    while not world.client.full:
        world.notify("notifications/message", data="x" * 2_000_000)
        await asyncio.sleep(0)


@pytest.mark.parametrize("body", [b"{", b'{"id":7}', b'{"jsonrpc":"2.0","id":"open","method":"ping"}'])
async def test_what_is_refused_does_not_wait_for_a_client_that_does_not_read(body: bytes) -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        _stream, path = await begin(front)
        assert (await front.ask("POST", path, call("ping", "open"))).status == 202
        await unread(front)
        [world] = front.door.worlds
        waiting = world.client.load.waiting
        for _ in range(10):
            answer = await front.ask("POST", path, body)
            assert (answer.status, answer.json["error"]["code"]) == (503, -31000)
        assert world.refused == []
        assert world.client.load.waiting <= waiting


async def test_requests_that_wait_count_and_more_than_may_be_open_are_refused_at_once() -> None:
    async with serving(most_connections=2 * MOST_REQUESTS) as front:
        _stream, path = await begin(front)
        [world] = front.door.worlds
        world.client.hold(True)
        wires = []
        for number in range(MOST_REQUESTS):
            wires.append(await front.open("POST", path, call("ping", number)))
        while world.client.room > 0:
            await asyncio.sleep(0)
        assert (await front.ask("POST", path, call("ping", "more"))).status == 503
        world.client.hold(False)
        for wire in wires:
            assert (await wire.answer()).status == 202
        assert len(world.heard) == MOST_REQUESTS


async def test_a_request_that_waits_too_long_is_not_served() -> None:
    async with serving(body_seconds=0.05) as front:
        _stream, path = await begin(front)
        [world] = front.door.worlds
        world.client.hold(True)
        answer = await front.ask("POST", path, call("ping", 5))
        assert (answer.status, answer.json["id"], answer.json["error"]["code"]) == (503, 5, -31000)
        world.client.hold(False)
        assert (await front.ask("POST", path, call("ping", 5))).status == 202
        assert len(world.heard) == 1
