"""Legacy sessions over Streamable HTTP: their life, their streams, order and back-pressure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.core.model import Listed
from tests.adapters.upstreams.http_script import Heard, Reply, Session, answer_to, note, scripted
from tests.adapters.upstreams.http_stage import (
    LEGACY,
    MODERN,
    address,
    greet,
    hello,
    modern,
    request,
    wired,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]


async def test_a_session_goes_from_its_first_request_to_its_delete() -> None:
    async with scripted(Session()) as stage:
        async with wired(StreamableHttpWire, address(stage.url)) as (wire, listener):
            await greet(wire, listener)
            await stage.until(lambda: len(stage.requests) == 3)
        first, *others, last = stage.requests
        assert "mcp-session-id" not in first.headers
        assert "mcp-protocol-version" not in first.headers
        assert last.method == "DELETE"
        for heard in (*others, last):
            assert heard.headers["mcp-session-id"] == "s-1"
            assert heard.headers["mcp-protocol-version"] == LEGACY


async def test_a_404_within_a_session_is_its_end_and_the_next_greeting_starts_over() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.json({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "gone"}}, 404)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        assert await listener.fate(2) == ("expired", 2, None, True)
        wire.send(hello(3))
        await listener.answer(3)
        greetings = [h for h in stage.requests if h.message and h.message.get("method") == "initialize"]
        assert ["mcp-session-id" in heard.headers for heard in greetings] == [False, False]


TOOL = Listed("far", "t", "t", {"name": "t"}, {}, "")
NO_SESSION = {"code": -32000, "message": "Bad Request: No valid session ID provided"}


@pytest.mark.parametrize("answer_id", [None, "server-error", 3])
async def test_a_400_within_a_session_that_is_no_answer_may_be_its_end(answer_id: Any) -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.json({"jsonrpc": "2.0", "id": answer_id, "error": NO_SESSION}, 400)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        said = {"jsonrpc": "2.0", "id": 2, "error": NO_SESSION}
        assert await listener.fate(2) == ("expired", 2, said, False)


async def test_a_400_without_a_body_may_be_the_end_of_the_session_too() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.nothing(400)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        assert await listener.fate(2) == ("expired", 2, None, False)


async def test_the_text_of_a_400_to_a_call_is_its_answer_if_the_session_goes_on() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.json({"error": "no such branch"}, 400)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call"), TOOL)
        error = {"code": -32600, "message": 'HTTP 400: {"error":"no such branch"}'}
        said = {"jsonrpc": "2.0", "id": 2, "error": error}
        assert await listener.fate(2) == ("expired", 2, said, False)


async def test_the_text_of_a_400_without_a_session_is_the_answer_to_a_call() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.json("no such branch", 400)

    async with (
        scripted(post) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.send(request(2, "tools/call"), TOOL)
        assert (await listener.answer(2))["error"]["message"] == 'HTTP 400: "no such branch"'


async def test_a_400_that_answers_the_request_is_the_answer() -> None:
    async def post(heard: Heard, reply: Reply) -> None:
        error = {"code": -32602, "message": "no"}
        await reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "error": error}, 400)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        assert (await listener.answer(2))["error"]["code"] == -32602


async def test_what_was_sent_in_a_session_that_is_left_already_has_expired_as_well() -> None:
    asked = asyncio.Event()

    async def post(_heard: Heard, reply: Reply) -> None:
        await asked.wait()
        await reply.nothing(400)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        await stage.until(lambda: [h for h in stage.requests if h.message and h.message.get("id") == 2])
        wire.send(hello(3))
        await listener.answer(3)
        asked.set()
        assert await listener.fate(2) == ("expired", 2, None, False)


async def test_a_get_stream_is_opened_again_where_it_ended() -> None:
    async def get(count: int, heard: Heard, reply: Reply) -> None:
        if count == 2:
            await reply.nothing(503)
            return
        await reply.events()
        await reply.raw(b"retry: 1\n")
        await reply.event(note(f"{count} {heard.headers.get('last-event-id')}"), f"e-{count}")
        if count == 3:
            await reply.gone.wait()

    async with (
        scripted(Session(get)) as stage,
        wired(StreamableHttpWire, address(stage.url), pause_seconds=0.01) as (wire, listener),
    ):
        await greet(wire, listener)
        said = await listener.until(
            lambda heard: (
                [w[1]["params"]["data"] for w in heard if "params" in w[1]] if len(heard) > 2 else None
            )
        )
        assert said == ["1 None", "3 e-1"]


async def test_a_stream_that_broke_before_the_answer_is_resumed() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.raw(b"id: p-1\nretry: 1\ndata:\n\n")

    async def get(_count: int, heard: Heard, reply: Reply) -> None:
        at = heard.headers.get("last-event-id")
        if at is None:
            await reply.nothing(405)
            return
        await reply.events()
        await reply.raw(b"retry: 1\n")
        if at == "p-1":
            await reply.event(note("on the way"), "p-2")
        else:
            await reply.event({"jsonrpc": "2.0", "id": 2, "result": {"from": at}}, "p-3")

    async with (
        scripted(Session(get, post)) as stage,
        wired(StreamableHttpWire, address(stage.url), pause_seconds=0.01) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        assert (await listener.answer(2))["result"] == {"from": "p-2"}
        assert listener.heard[1] == ("parted", 2)
        assert [what[2] for what in listener.heard[2:]] == [2, 2]


@pytest.mark.parametrize("said", [b"id: p-1\ndata:\n\n", b"retry: 1\ndata:\n\n"])
async def test_a_stream_that_named_no_time_or_no_event_was_not_closed_on_purpose(said: bytes) -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.raw(said)

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url), pause_seconds=0.001) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        await listener.failure(2)
        assert "parted" not in [what[0] for what in listener.heard]


@pytest.mark.parametrize("status", [405, 503])
async def test_a_stream_that_cannot_be_resumed_is_a_failure(status: int) -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.raw(b"id: p-1\nretry: 1\ndata:\n\n")

    async def get(_count: int, heard: Heard, reply: Reply) -> None:
        await reply.nothing(status if "last-event-id" in heard.headers else 405)

    async with (
        scripted(Session(get, post)) as stage,
        wired(StreamableHttpWire, address(stage.url), pause_seconds=0.001) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        assert await listener.failure(2) == "ended its stream before it answered tools/list"
        tries = [heard for heard in stage.requests if "last-event-id" in heard.headers]
        assert len(tries) == (1 if status == 405 else 5)


async def test_a_get_that_opens_no_event_stream_is_left_alone() -> None:
    async def get(_count: int, _heard: Heard, reply: Reply) -> None:
        await reply.json({})

    async with (
        scripted(Session(get)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        await asyncio.wait([wire._listening])
        assert len([heard for heard in stage.requests if heard.method == "GET"]) == 1


async def test_a_farewell_that_fails_keeps_nobody() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        if heard.method == "POST":
            await Session()(heard, reply)

    async with scripted(script) as stage:
        async with wired(StreamableHttpWire, address(stage.url)) as (wire, listener):
            wire.send(hello(1))
            await listener.answer(1)
        assert stage.requests[-1].method == "DELETE"


async def test_a_cancellation_leaves_after_its_request_and_before_what_follows() -> None:
    release = asyncio.Event()

    async def post(heard: Heard, reply: Reply) -> None:
        if heard.message["id"] == 2:
            await release.wait()
        await reply.json(answer_to(heard))

    async with (
        scripted(Session(post=post)) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="slow"))
        wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
        wire.send(request(3, "tools/list"))
        await listener.answer(3)
        said = [h.message.get("method") for h in stage.requests if h.method == "POST"]
        assert said[2:] == ["tools/call", "notifications/cancelled", "tools/list"]
        release.set()
        await listener.answer(2)


async def test_streams_that_break_off_are_opened_again() -> None:
    async def post(_heard: Heard, reply: Reply) -> None:
        await reply.events(Content_Length="999")
        await reply.event(note("a"), "p-1")

    async def get(_count: int, heard: Heard, reply: Reply) -> None:
        at = heard.headers.get("last-event-id", "")
        if at.startswith("p"):
            await reply.events(Content_Length="999")
            await reply.event(note("b") if at == "p-1" else {"jsonrpc": "2.0", "id": 2, "result": {}}, "p-2")
        elif at == "g-1":
            await reply.nothing(405)
        else:
            await reply.events(Content_Length="999")
            await reply.event(note("c"), "g-1")

    async with (
        scripted(Session(get, post)) as stage,
        wired(StreamableHttpWire, address(stage.url), pause_seconds=0.001) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/list"))
        await listener.answer(2)
        await asyncio.wait([wire._listening])
        said = [what[1]["params"]["data"] for what in listener.heard if "params" in what[1]]
        assert sorted(said) == ["a", "b", "c"]


async def test_while_held_nothing_is_brought_and_the_server_is_stopped_by_tcp() -> None:
    sent = 0

    async def script(heard: Heard, reply: Reply) -> None:
        nonlocal sent
        await reply.events()
        for _ in range(400):
            await reply.event(note("x" * 50_000))
            sent += 1
        await reply.event(answer_to(heard))

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.hold(True)
        wire.send(modern(7, "tools/list"))
        await stage.until(lambda: stage.requests)
        for _ in range(200):  # Turns of the loop in which a reader that is not held would go on.
            await asyncio.sleep(0)
        assert listener.heard == []
        assert sent < 400
        wire.hold(False)
        await listener.answer(7)
        assert len(listener.heard) == 401
