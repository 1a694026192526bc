"""Streamable HTTP to an upstream that gets it wrong."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.protocol import jsonrpc
from tests.adapters.upstreams.http_script import Heard, Reply, answer_to, note, scripted
from tests.adapters.upstreams.http_stage import (
    LIMIT,
    MODERN,
    RecordingEar,
    address,
    hello,
    modern,
    wired,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]


async def failure_of(script: Any, limit: int = LIMIT, **more: Any) -> tuple[str, RecordingEar, Any]:
    """How a modern request fails against this script."""
    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url), limit, **more) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        return await listener.failure(7), listener, wire


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "answered HTTP 400 to tools/list"),
        (404, "answered HTTP 404 to tools/list"),
        (405, "answered HTTP 405 to tools/list"),
        (500, "answered HTTP 500 to tools/list"),
        (202, "answered tools/list with neither JSON nor an event stream (HTTP 202)"),
        (401, "was refused: 127.0.0.1 requires a credential, or a different one, in `headers` (HTTP 401)"),
        (403, "was refused: 127.0.0.1 requires a credential, or a different one, in `headers` (HTTP 403)"),
        (302, "answered with a redirect (HTTP 302), which is not followed"),
    ],
)
async def test_a_status_without_an_answer_is_a_clear_failure(status: int, sentence: str) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.nothing(status)

    told, _listener, wire = await failure_of(script)
    assert told == sentence
    assert wire.last_status == (0 if status == 302 else status)


@pytest.mark.parametrize(
    ("after", "more"),
    [
        ("7", "; it asks to try again in 7 seconds"),
        ("0", "; it asks to try again in 0 seconds"),
        ("1000000", ""),
        ("-1", ""),
        ("\u0667", ""),
        ("Wed, 21 Oct 2026 07:28:00 GMT", ""),
    ],
)
async def test_a_server_that_names_a_time_is_quoted_with_it(after: str, more: str) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(429, Retry_After=after, Content_Length="0")

    assert (await failure_of(script))[0] == f"answered HTTP 429 to tools/list{more}"


@pytest.mark.parametrize("error_id", [7, None, "server-error"])
async def test_a_json_rpc_error_with_an_http_error_is_the_answer(error_id: Any) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.json({"jsonrpc": "2.0", "id": error_id, "error": {"code": -32601, "message": "no"}}, 404)

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.send(modern(7, "server/discover"))
        assert (await listener.answer(7))["error"] == {"code": -32601, "message": "no"}
        assert wire.last_status == 404


@pytest.mark.parametrize("body", [b"[]", b"{", b"7", b'{"jsonrpc":"2.0","error":7}', b"\xff"])
async def test_an_http_error_with_another_body_is_told_by_its_status(body: bytes) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(400, "application/json", Content_Length=str(len(body)))
        await reply.raw(body)

    assert (await failure_of(script))[0] == "answered HTTP 400 to tools/list"


async def test_an_answer_of_the_wrong_kind_is_none() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, "text/html", Content_Length="2")
        await reply.raw(b"hi")

    assert "neither JSON nor an event stream" in (await failure_of(script))[0]


async def test_an_encoded_answer_is_refused() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, "application/json", Content_Length="2", Content_Encoding="gzip")
        await reply.raw(b"hi")

    assert (await failure_of(script))[0] == "answered with an encoding that was not requested"


async def test_a_body_that_is_cut_off_is_a_failure() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, "application/json", Content_Length="500")
        await reply.raw(b'{"jsonrpc":')

    assert (await failure_of(script))[0] == "closed the connection before its answer was complete"


async def test_a_stream_that_breaks_before_the_answer_is_a_failure() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, "text/event-stream", Content_Length="500")
        await reply.raw(b": hello\n\n")

    assert (await failure_of(script))[0] == "closed the connection before its answer was complete"


async def test_a_connection_that_is_closed_before_the_answer_is_a_failure() -> None:
    async def script(_heard: Heard, _reply: Reply) -> None:
        return

    assert (await failure_of(script))[0] == "closed the connection before it answered"


async def test_what_is_not_http_is_a_failure() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.raw(b"SSH-2.0-x\r\n\r\n")

    assert (await failure_of(script))[0] == "answered with something that is not HTTP"


async def test_nobody_there_is_a_failure() -> None:
    async with scripted(lambda _heard, reply: reply.nothing()) as stage:
        url = stage.url
    async with wired(StreamableHttpWire, address(url)) as (wire, listener):
        wire.send(hello(1))
        said = f"cannot be reached: 127.0.0.1:{urlsplit(url).port} does not accept connections"
        assert await listener.failure(1) == said


async def test_a_json_body_over_the_limit_is_dropped() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.json(answer_to(heard, text="x" * 5000))

    told, listener, _wire = await failure_of(script, 2000)
    assert told == "answered with more than 2000 bytes (`limits.message_bytes`); it was dropped"
    assert [what[0] for what in listener.heard] == ["failed", "ended"]


async def test_a_huge_event_is_dropped_and_is_the_failure_of_its_request() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.event(answer_to(heard, text="x" * 5000))
        await reply.gone.wait()

    told, _listener, _wire = await failure_of(script, 2000)
    assert told == "answered with more than 2000 bytes (`limits.message_bytes`); it was dropped"


async def test_a_huge_event_of_nobody_is_told_and_the_answer_still_comes() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.event(note("x" * 5000))
        await reply.event(answer_to(heard))

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url), 2000) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        await listener.answer(7)
        assert [what[0] for what in listener.heard] == ["oversize", "received"]


async def test_a_stream_that_is_cut_in_mid_event_is_a_failure_in_the_modern_era() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.event(note("a"), "id-1")
        await reply.raw(b'data: {"jsonrpc":"2.0","id":7,"resu')

    told, listener, _wire = await failure_of(script)
    assert told == "ended its stream before it answered tools/list"
    assert [what[0] for what in listener.heard] == ["received", "failed", "ended"]


async def test_an_answer_with_a_wrong_id_is_no_answer() -> None:
    async def in_json(heard: Heard, reply: Reply) -> None:
        await reply.json({**answer_to(heard), "id": 8})

    async def in_events(heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.event({**answer_to(heard), "id": 8})

    told, listener, _wire = await failure_of(in_json)
    assert told == "answered tools/list with something that is not a response to it"
    assert listener.heard[0][:2] == ("broken", None)
    told, listener, _wire = await failure_of(in_events)
    assert told == "ended its stream before it answered tools/list"
    assert listener.heard[0][:2] == ("broken", None)


async def test_a_request_as_an_answer_is_no_answer() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "method": "ping"})

    assert "is not a response to it" in (await failure_of(script))[0]


@pytest.mark.parametrize("body", ["[]", "nonsense", '{"jsonrpc":"1.0"}', "[" * 100_000])
async def test_what_is_no_json_rpc_is_told_and_fails_its_request(body: str) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(200, "application/json", Content_Length=str(len(body)))
        await reply.raw(body.encode())

    _told, listener, _wire = await failure_of(script, 1 << 20)
    shown = body if len(body) < 65536 else f"{len(body)} bytes"
    assert listener.heard[0] == ("broken", None, "not a JSON-RPC message over HTTP", shown)


async def test_an_answer_of_too_many_values_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "MOST_VALUES", 10_000)
    monkeypatch.setattr(jsonrpc, "_LARGE", 1_000)

    async def script(heard: Heard, reply: Reply) -> None:
        await reply.json({**answer_to(heard), "result": {"a": [1] * 20_000}})

    told, listener, _wire = await failure_of(script, 1 << 20)
    assert told.startswith("answered with more than 10,000 values, which is too many to inspect")
    assert listener.heard[0] == ("broken", None, "a message of more than 10,000 values was dropped", "")


async def test_only_the_first_answer_counts_and_the_wire_goes_on() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.event(answer_to(heard, n=1))
        await reply.event(answer_to(heard, n=2))

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        for request_id in (7, 8):
            wire.send(modern(request_id, "tools/list"))
            assert (await listener.answer(request_id))["result"] == {"n": 1}
        assert not [what for what in listener.heard if what[0] == "failed"]


async def test_a_request_that_is_never_answered_ends_with_the_wire() -> None:
    begun = asyncio.Event()

    async def script(_heard: Heard, reply: Reply) -> None:
        begun.set()
        await reply.gone.wait()

    async with scripted(script) as stage:
        async with wired(StreamableHttpWire, address(stage.url)) as (wire, listener):
            wire.greeted(MODERN, True)
            wire.send(modern(7, "tools/list"))
            await begun.wait()
            await wire.close(False)
            assert listener.heard == [("ended",)]
        await stage.until(lambda: stage.open == 0)


async def test_a_request_can_be_let_go_before_it_left() -> None:
    async with (
        scripted(lambda _heard, reply: reply.nothing()) as stage,
        wired(StreamableHttpWire, address(stage.url)) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        assert wire.unsent > 0
        assert wire.forget(7) is True
        assert wire.unsent == 0
        wire.send(modern(8, "tools/list"))
        await listener.failure(8)
        assert [heard.message["id"] for heard in stage.requests] == [8]
