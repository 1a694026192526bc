"""Streamable HTTP to an upstream, against the official SDK's server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.core.model import Listed
from tests.adapters.upstreams import sdk_stage
from tests.adapters.upstreams.http_script import Heard, Reply, answer_to, note, scripted
from tests.adapters.upstreams.http_stage import (
    LEGACY,
    LIMIT,
    MODERN,
    RecordingEar,
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


def tool(name: str, schema: dict[str, Any]) -> Listed:
    return Listed("far", name, name, {"name": name, "inputSchema": schema}, {}, "")


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["result"]["content"][0]["text"]
    return text


@pytest.mark.parametrize("json_response", [True, False])
@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", LEGACY])
async def test_a_legacy_session_with_the_sdk_works(json_response: bool, version: str) -> None:
    async with (
        sdk_stage.streamable(json_response=json_response) as (url, oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        answer = await greet(wire, listener, version)
        assert answer["result"]["protocolVersion"] == version
        wire.send(request(2, "tools/call", name="echo", arguments={"a": 2**70}))
        assert text_of(await listener.answer(2)) == str({"a": 2**70})
        assert oracle.seen[0]["mcp-protocol-version"] == version
        assert oracle.seen[0]["mcp-session-id"]
        assert "mcp-name" not in oracle.seen[0]
        assert wire.unsent == 0


async def test_a_message_of_megabytes_is_sent() -> None:
    async with (
        scripted(lambda heard, reply: reply.json(answer_to(heard))) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.send(request(2, "tools/call", name="echo", arguments={"a": "x" * 3_000_000}))
        assert wire.unsent > 3_000_000
        await listener.answer(2)
        assert len(stage.requests[0].message["params"]["arguments"]["a"]) == 3_000_000
        assert wire.unsent == 0


async def test_many_calls_go_side_by_side() -> None:
    async with (
        sdk_stage.streamable() as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        for request_id in range(2, 52):
            wire.send(request(request_id, "tools/call", name="echo", arguments={"n": request_id}))
        for request_id in range(2, 52):
            assert text_of(await listener.answer(request_id)) == str({"n": request_id})


async def test_progress_comes_before_the_answer_and_tells_its_request() -> None:
    async with (
        sdk_stage.streamable() as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="steps", _meta={"progressToken": 2}))
        await listener.answer(2)
        told = [what for what in listener.heard if what[0] == "received" and what[2] == 2]
        assert [what[1].get("params", {}).get("progress") for what in told] == [0, 1, 2, None]


async def test_a_question_of_a_legacy_upstream_is_answered_by_a_post_of_its_own() -> None:
    async with (
        sdk_stage.streamable() as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="ask"))
        question = await listener.until(
            lambda heard: [w for w in heard if w[1].get("method") == "elicitation/create"]
        )
        assert question[0][2] == 2
        body = {"action": "accept", "content": {"colour": "blue"}}
        wire.send({"jsonrpc": "2.0", "id": question[0][1]["id"], "result": body})
        assert "blue" in text_of(await listener.answer(2))


async def test_what_belongs_to_no_request_comes_on_the_get_stream() -> None:
    async with (
        sdk_stage.streamable(event_store=sdk_stage.Memory()) as (url, _oracle),
        wired(StreamableHttpWire, address(url), pause_seconds=0.01) as (wire, listener),
    ):
        await greet(wire, listener)
        for request_id in range(2, 12):
            wire.send(request(request_id, "tools/call", name="shout"))
            await listener.answer(request_id)
        changed = await listener.until(
            lambda heard: [w for w in heard if w[1].get("method") == "notifications/tools/list_changed"]
        )
        assert changed[0][2] is None


async def test_a_legacy_cancellation_reaches_the_call_that_waits() -> None:
    async with (
        sdk_stage.streamable() as (url, oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="wait"))
        await oracle.begun.wait()
        assert wire.forget(2) is False
        wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
        await oracle.cancelled.wait()


async def test_an_answer_on_a_stream_that_the_sdk_closed_early_is_polled_for() -> None:
    store = sdk_stage.Memory()
    async with (
        sdk_stage.streamable(event_store=store, retry_interval=10) as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="poll"))
        assert text_of(await listener.answer(2)) == "done"


async def test_a_session_that_the_sdk_does_not_know_is_expired() -> None:
    async with (
        sdk_stage.streamable() as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire._session = "0" * 32
        wire.send(request(2, "tools/call", name="echo"))
        assert await listener.fate(2) == ("expired", 2, None, True)
        assert await greet(wire, listener)


async def test_the_modern_era_with_the_sdk_works_and_its_headers_agree() -> None:
    async with (
        sdk_stage.streamable() as (url, oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        wire.send(modern(1, "server/discover"))
        assert MODERN in (await listener.answer(1))["result"]["supportedVersions"]
        wire.greeted(MODERN, True)
        arguments = {"region": "Zürich", "place": {"floor": 3}}
        wire.send(
            modern(2, "tools/call", name="region", arguments=arguments), tool("region", sdk_stage.REGION)
        )
        assert text_of(await listener.answer(2)) == str(arguments)
        assert oracle.seen[0]["mcp-param-floor"] == "3"
        assert "mcp-session-id" not in oracle.seen[0]
        wire.send(modern(3, "tools/call", name="region", arguments=arguments))
        refused = await listener.answer(3)
        assert refused["error"]["code"] == -32020
        assert wire.last_status == 400


async def test_a_modern_progress_comes_on_the_stream_of_its_request() -> None:
    async with (
        sdk_stage.streamable() as (url, _oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        message = modern(2, "tools/call", name="steps")
        message["params"]["_meta"]["progressToken"] = 2
        wire.send(message)
        await listener.answer(2)
        assert [what[2] for what in listener.heard] == [2, 2, 2, 2]


async def test_letting_go_of_a_modern_request_cancels_it() -> None:
    async with (
        sdk_stage.streamable() as (url, oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(2, "tools/call", name="wait"))
        await oracle.begun.wait()
        assert wire.forget(2) is True
        await oracle.cancelled.wait()
        assert listener.heard == []


async def test_closing_ends_whatever_is_open_and_tells_the_end_once() -> None:
    async with (
        sdk_stage.streamable() as (url, oracle),
        wired(StreamableHttpWire, address(url)) as (wire, listener),
    ):
        await greet(wire, listener)
        wire.send(request(2, "tools/call", name="wait"))
        await oracle.begun.wait()
        await wire.close(True)
        await wire.close(False)
        wire.send(request(3, "tools/list"))
        assert [what for what in listener.heard if what[0] == "ended"] == [("ended",)]
        await oracle.cancelled.wait()


async def test_a_message_before_open_fails_and_closing_is_harmless() -> None:
    turn = Turn(asyncio.get_running_loop())
    listener = RecordingEar(turn)
    wire = StreamableHttpWire("far", address("http://127.0.0.1:1/mcp"), LIMIT, turn, listener)
    wire.send(hello(1))
    assert await listener.failure(1) == "is not connected"
    assert await wire.last_words() == ""
    await wire.close(True)
    assert listener.heard[-1] == ("ended",)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18"])
async def test_an_answer_in_a_batch_is_found_in_the_revision_that_has_them(
    streamed: bool, version: str
) -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        if heard.method == "GET":
            await reply.nothing(405)
            return
        batch = [note("first"), answer_to(heard), note("behind")]
        await (reply.events() if streamed else reply.json(batch))
        if streamed:
            await reply.event(batch)

    async with scripted(script) as stage, wired(StreamableHttpWire, address(stage.url)) as (wire, listener):
        wire.greeted(version, False)
        wire.send(request(2, "tools/list"))
        if version == "2025-03-26":
            assert (await listener.answer(2))["result"] == {}
            heard = [what[1].get("method", "answer") for what in listener.heard]
            assert heard == ["notifications/message", "answer", "notifications/message"]
        else:
            await listener.failure(2)
