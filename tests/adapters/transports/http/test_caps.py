"""How much one client, and all of them together, may have open."""

from __future__ import annotations

import asyncio

import pytest

from mcpguard.adapters.transports.http.client import MOST_REQUESTS
from mcpguard.adapters.transports.http.connection import SURPLUS
from tests.adapters.transports.front import (
    ENVELOPE,
    MODERN,
    Front,
    Wire,
    answer_handshake,
    begin,
    call,
    serving,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


def fill(front: Front, world: int = 0) -> list[int]:
    """Open requests of this world until it has as many as it may have."""
    client = front.door.worlds[world].client
    numbers: list[int] = []
    while client.room > 0:
        numbers.append(client.expect(f"open {len(numbers)}", None))
    return numbers


async def test_a_session_has_a_bounded_number_of_open_requests() -> None:
    async with serving() as front:
        key = await front.session()
        [world] = front.door.worlds
        numbers = fill(front)
        assert len(numbers) == MOST_REQUESTS
        heard = len(world.heard)
        refused = await front.post(call("tools/call", "more"), mcp_session_id=key)
        assert (refused.status, refused.json["id"], refused.json["error"]["code"]) == (
            503,
            "more",
            -31000,
        )
        assert refused.json["error"]["message"].startswith("this client has 256 requests open")
        assert "retry-after" in refused.headers
        assert len(world.heard) == heard
        assert (await front.post(b"{", mcp_session_id=key)).status == 503
        assert world.refused == []
        assert (await front.post({"jsonrpc": "2.0", "method": "x"}, mcp_session_id=key)).status == 202
        world.reply({"id": numbers[0]})
        assert (await front.post(call("tools/call", "more"), mcp_session_id=key)).status == 200


async def test_so_has_the_modern_world_of_a_principal() -> None:
    async with serving() as front:
        await front.modern("ping")
        fill(front)
        refused = await front.modern("ping", 5)
        assert (refused.status, refused.json["id"], refused.json["error"]["code"]) == (503, 5, -31000)
        await front.session()  # Another world is not concerned.


async def test_so_has_a_session_of_http_sse() -> None:
    async with serving() as front:
        _stream, path = await begin(front)
        fill(front)
        refused = await front.ask("POST", path, call("ping", 5))
        assert (refused.status, refused.json["id"], refused.json["error"]["code"]) == (503, 5, -31000)
        assert front.door.worlds[0].heard == []
        # What is refused at once takes no place, and is still refused with evidence.
        assert (await front.ask("POST", path, b"{")).status == 202
        assert len(front.door.worlds[0].refused) == 1


async def test_a_call_that_nobody_hears_counts_until_it_is_answered() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        [world] = front.door.worlds
        fill(front)
        world.reply({"id": 2})
        about = {"mcp_session_id": key, "mcp_protocol_version": "2025-11-25"}
        wire = await front.open("POST", "/mcp", call("tools/call", 5), **about)
        await front.door.until(lambda: len(world.heard) == 2)
        wire.close()
        assert (await front.post(call("ping", 6), **about)).status == 503
        world.reply(world.heard[1])
        assert world.client.room > 0


async def healthy(front: Front) -> Wire:
    wire = await front.connect()
    wire.send("GET", "/healthz", front.headers())
    assert (await wire.answer()).status == 200
    return wire


async def busy(front: Front) -> Wire:
    """A connection whose client waits for an answer."""
    asked = call("tools/call", 1, _meta=ENVELOPE)
    heard = sum(len(world.heard) for world in front.door.worlds)
    wire = await front.open("POST", "/mcp", asked, mcp_protocol_version=MODERN)
    await front.door.until(lambda: sum(len(world.heard) for world in front.door.worlds) > heard)
    return wire


def answer_the_first(front: Front) -> None:
    front.door.worlds[0].reply({"id": 1})


async def test_a_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    async with serving(most_connections=2) as front:
        front.door.script = lambda _receiver, _message: None
        first, second = await busy(front), await busy(front)
        surplus = await front.connect()
        surplus.send("POST", "/mcp", [*front.headers(), ("content-length", "2")], b"{}")
        answer = await surplus.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert answer.body == b"mcpguard serves 2 connections at once, and all are in use"
        limits = front.endpoint.quotas
        assert limits.warning() == f"clients are refused: {answer.body.decode()}"
        assert limits.refused["connections"] == 1
        assert await surplus.reader.read() == b""
        answer_the_first(front)
        assert (await first.answer()).status == 200
        second.close()
        while len(front.server._connections.open) > 1:
            await asyncio.sleep(0)
        await healthy(front)


async def test_of_idle_connections_that_are_too_many_the_longest_idle_gives_way() -> None:
    async with serving(most_connections=3) as front:
        front.door.script = lambda _receiver, _message: None
        waits, first, second = await busy(front), await healthy(front), await healthy(front)
        first.send("GET", "/healthz", front.headers())
        assert (await first.answer()).status == 200
        await healthy(front)
        assert await second.reader.read() == b""
        first.send("GET", "/healthz", front.headers())
        assert (await first.answer()).status == 200
        answer_the_first(front)
        assert (await waits.answer()).status == 200


async def test_further_connections_are_cut() -> None:
    async with serving(most_connections=1) as front:
        front.door.script = lambda _receiver, _message: None
        served = await busy(front)
        silent = [await front.connect() for _ in range(SURPLUS)]
        while len(front.server._connections.open) <= SURPLUS:
            await asyncio.sleep(0)
        cut = await front.connect()
        assert await cut.reader.read() == b""
        silent[0].send("GET", "/healthz", front.headers())
        assert (await silent[0].answer()).status == 503
        answer_the_first(front)
        assert (await served.answer()).status == 200


async def test_a_surplus_connection_that_asks_nothing_is_closed() -> None:
    async with serving(most_connections=0, head_seconds=0.01) as front:
        wire = await front.connect()
        assert await wire.reader.read() == b""
