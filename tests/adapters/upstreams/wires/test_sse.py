"""The deprecated HTTP+SSE to an upstream: against the official SDK's server, and against one that misbehaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.wires.sse import SseWire
from mcpguard.core.errors import CredentialError, UpstreamError
from tests.adapters.upstreams import sdk_stage
from tests.adapters.upstreams.http_script import Heard, Reply, scripted
from tests.adapters.upstreams.http_stage import (
    LIMIT,
    READY,
    RecordingEar,
    address,
    hello,
    request,
    wired,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]

CANARY = "canary-0123456789"
OLD = "2024-11-05"


async def test_a_session_with_the_sdk_works() -> None:
    async with (
        sdk_stage.sse() as (url, oracle),
        wired(SseWire, address(url, {"X-Key": "${env:KEY}"}, KEY=CANARY)) as (wire, listener),
    ):
        wire.send(hello(1, OLD))
        assert (await listener.answer(1))["result"]["protocolVersion"] == OLD
        wire.greeted(OLD, False)
        wire.send(READY)
        for request_id in range(2, 12):
            wire.send(request(request_id, "tools/call", name="echo", arguments={"n": request_id}))
        for request_id in range(2, 12):
            answer = await listener.answer(request_id)
            assert answer["result"]["content"][0]["text"] == str({"n": request_id})
        assert oracle.seen[0]["x-key"] == CANARY
        assert wire.unsent == 0
        assert wire.last_status == 200


async def test_a_question_and_a_cancellation_go_both_ways() -> None:
    async with (
        sdk_stage.sse() as (url, oracle),
        wired(SseWire, address(url)) as (wire, listener),
    ):
        wire.send(hello(1, OLD))
        await listener.answer(1)
        wire.send(READY)
        wire.send(request(2, "tools/call", name="ask"))
        asked = await listener.until(
            lambda heard: [w for w in heard if w[1].get("method") == "elicitation/create"]
        )
        assert asked[0][2] is None
        wire.send({"jsonrpc": "2.0", "id": asked[0][1]["id"], "result": {"action": "decline"}})
        await listener.answer(2)
        wire.send(request(3, "tools/call", name="wait"))
        await oracle.begun.wait()
        assert wire.forget(3) is False
        wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}})
        await oracle.cancelled.wait()


class Old:
    """An old server: its stream says `lines`, then stays open; a POST is answered with `status`."""

    def __init__(self, lines: bytes, status: int = 202, body: Any = None) -> None:
        self.end = asyncio.Event()
        self._lines = lines
        self._status = status
        self._body = body

    async def __call__(self, heard: Heard, reply: Reply) -> None:
        if heard.method == "POST":
            await (
                reply.nothing(self._status) if self._body is None else reply.json(self._body, self._status)
            )
            return
        await reply.events()
        await reply.raw(self._lines)
        ends = [asyncio.create_task(each.wait()) for each in (self.end, reply.gone)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()


NAMED = b"event: endpoint\ndata: /post?session=1\n\n"


async def opening_of(script: Any, error: type[Exception] = UpstreamError, **headers: str) -> str:
    """How opening a wire fails; nothing of it is left."""
    async with scripted(script) as stage:
        turn = Turn(asyncio.get_running_loop())
        listener = RecordingEar(turn)
        wire = SseWire("far", address(stage.url, headers), LIMIT, turn, listener)
        with pytest.raises(error) as raised:
            await wire.open()
        assert listener.heard == []
        await stage.until(lambda: stage.open == 0)
        return str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.2:1/post",
        "https://127.0.0.1/post",
        "//evil.example/post",
        "http://127.0.0.1:99999/post",
        "http://user@127.0.0.1/post",
        "http://127.0.0.1:1/post",
        "file:///etc/passwd",
        "http://[::1/post",
        "/post HTTP/1.1",
        "/pöst",
    ],
)
async def test_an_endpoint_of_another_origin_gets_nothing(endpoint: str) -> None:
    told = await opening_of(Old(f"event: endpoint\ndata: {endpoint}\n\n".encode()))
    assert told == "named an endpoint at another origin, to which nothing is sent"


async def test_an_endpoint_may_be_a_whole_url_of_the_same_origin() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await Old(f"event: endpoint\ndata: http://{heard.headers['host']}/x\n\n".encode())(heard, reply)

    async with (
        scripted(script) as stage,
        wired(SseWire, address(stage.url)) as (wire, _listener),
    ):
        wire.send(READY)
        await stage.until(lambda: [heard for heard in stage.requests if heard.path == "/x"])


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "opened no event stream (HTTP 404)"),
        (200, "opened no event stream (HTTP 200)"),
        (401, "was refused: 127.0.0.1 requires a credential, or a different one, in `headers` (HTTP 401)"),
        (307, "answered with a redirect (HTTP 307), which is not followed"),
    ],
)
async def test_what_is_no_event_stream_is_refused(status: int, sentence: str) -> None:
    assert await opening_of(lambda _heard, reply: reply.nothing(status)) == sentence


async def test_a_stream_that_ends_before_its_endpoint_is_refused() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.events()

    assert await opening_of(script) == "ended its stream before it named its endpoint"


async def test_a_missing_credential_opens_nothing() -> None:
    told = await opening_of(Old(NAMED), CredentialError, Authorization="Bearer ${env:MISSING}")
    assert "env:MISSING" in told


async def test_the_end_of_the_stream_is_the_end_of_the_wire_and_told_once() -> None:
    old = Old(NAMED + b'data: {"jsonrpc":"2.0","method":"a"}\n\n')
    async with scripted(old) as stage:
        async with wired(SseWire, address(stage.url)) as (wire, listener):
            await listener.until(lambda heard: heard)
            assert await wire.last_words() == ""
            old.end.set()
            await listener.until(lambda heard: heard[-1] == ("ended",))
            assert await wire.last_words() == "; it closed its stream"
        assert [what[0] for what in listener.heard] == ["received", "ended"]


async def test_a_refused_post_is_the_failure_of_its_request_only() -> None:
    async with (
        scripted(Old(NAMED, 500)) as stage,
        wired(SseWire, address(stage.url)) as (wire, listener),
    ):
        wire.send(READY)
        wire.send(request(2, "tools/list"))
        assert await listener.failure(2) == "answered HTTP 500 to tools/list"
        assert [heard.path for heard in stage.requests[1:]] == ["/post?session=1"] * 2


async def test_a_json_rpc_error_with_a_refused_post_is_the_answer() -> None:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "no"}}
    async with (
        scripted(Old(NAMED, 400, body)) as stage,
        wired(SseWire, address(stage.url)) as (wire, listener),
    ):
        wire.send(request(2, "tools/list"))
        assert (await listener.answer(2))["error"]["code"] == -32602


async def test_a_broken_and_a_huge_event_are_told_and_the_next_is_heard() -> None:
    huge = b"data: " + b"x" * (LIMIT + 1) + b"\n\n"
    old = Old(
        NAMED
        + b"data: nonsense\n\nevent: other\ndata: x\n\n"
        + huge
        + b'data: {"jsonrpc":"2.0","method":"a"}\n\n'
    )
    async with (
        scripted(old) as stage,
        wired(SseWire, address(stage.url)) as (_wire, listener),
    ):
        await listener.until(lambda heard: len(heard) == 3)
        assert [what[0] for what in listener.heard] == ["broken", "oversize", "received"]


async def test_an_answer_that_cannot_be_decoded_is_told_with_its_id() -> None:
    old = Old(NAMED + b'data: {"jsonrpc":"2.0","id":2,"result":{"a":"\\ud83d"}}\n\n')
    async with (
        scripted(old) as stage,
        wired(SseWire, address(stage.url)) as (_wire, listener),
    ):
        assert (await listener.fate(2))[:2] == ("broken", 2)


async def test_a_message_before_open_fails() -> None:
    turn = Turn(asyncio.get_running_loop())
    listener = RecordingEar(turn)
    wire = SseWire("far", address("http://127.0.0.1:1/"), LIMIT, turn, listener)
    wire.send(hello(1))
    assert await listener.failure(1) == "is not connected"
    await wire.close(True)


async def test_while_held_nothing_is_brought() -> None:
    old = Old(NAMED)

    async def script(heard: Heard, reply: Reply) -> None:
        if heard.method == "POST":
            await reply.nothing()
            return
        await reply.events()
        await reply.raw(NAMED)
        await old.end.wait()
        await reply.event({"jsonrpc": "2.0", "method": "a"})
        await reply.gone.wait()

    async with (
        scripted(script) as stage,
        wired(SseWire, address(stage.url)) as (wire, listener),
    ):
        wire.hold(True)
        old.end.set()
        wire.send(READY)
        await stage.until(lambda: len(stage.requests) == 2)
        assert listener.heard == []
        wire.hold(False)
        await listener.until(lambda heard: heard)


BATCH = b'data: [{"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","method":"n"},5]\n\n'


@pytest.mark.parametrize(("version", "kinds"), [
    ("2025-03-26", ["received", "received", "broken"]), ("2024-11-05", ["broken"]),
])  # fmt: skip
async def test_a_batch_is_taken_apart_in_its_own_revision(version: str, kinds: list[str]) -> None:
    posted = asyncio.Event()

    async def script(heard: Heard, reply: Reply) -> None:
        if heard.method == "POST":
            await reply.nothing()
            posted.set()
            return
        await reply.events()
        await reply.raw(NAMED)
        await posted.wait()
        await reply.raw(BATCH)
        await reply.gone.wait()

    async with scripted(script) as stage, wired(SseWire, address(stage.url)) as (wire, listener):
        wire.greeted(version, False)
        wire.send(request(2, "tools/list"))
        await listener.until(lambda heard: len(heard) >= len(kinds))
        assert [what[0] for what in listener.heard] == kinds
