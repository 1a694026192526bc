"""An event of an upstream that is over the limit, and whose end may never come."""

from __future__ import annotations

import pytest

from mcpguard.adapters.upstreams.wires.event_stream import EventStream
from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from tests.adapters.upstreams.http_script import Heard, Reply, answer_to, scripted
from tests.adapters.upstreams.http_stage import MODERN, address, modern, wired

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]

TOO_LONG = "answered with more than 2000 bytes (`limits.message_bytes`); it was dropped"


@pytest.mark.parametrize(
    "begin",
    [b"", b'{"jsonrpc":"2.0","id":7,"result":{"text":"', b'{"result":{"text":"'],
    ids=["no JSON", "the answer", "an answer with its id at the end"],
)
async def test_an_event_without_an_end_fails_its_request_once_it_is_over_the_limit(begin: bytes) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.raw(b"data: " + begin + b"x" * 5000)
        await reply.gone.wait()

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url), 2000) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        assert await listener.failure(7) == TOO_LONG


@pytest.mark.parametrize(
    "begin",
    [
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"',
        b'{"jsonrpc":"2.0","id":4711,"result":{"text":"',
    ],
    ids=["a notification", "a response to another request"],
)
async def test_a_long_event_that_is_no_answer_is_dropped_and_the_answer_still_comes(begin: bytes) -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.events()
        await reply.raw(b"data: " + begin + b"x" * 5000)
        await reply.raw(b'"}}\n\n')
        await reply.event(answer_to(heard))

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url), 2000) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        await listener.answer(7)
        assert [what[0] for what in listener.heard] == ["oversize", "received"]


def test_an_event_over_the_limit_shows_its_first_bytes_until_it_ends() -> None:
    parser = EventStream(20)
    parser.feed(b"data: " + b"x" * 15)
    assert parser.overlong is None
    parser.feed(b"y" * 500)
    begun = parser.overlong
    assert begun is not None
    assert begun.startswith(b"x" * 15 + b"y")
    parser.feed(b"y" * 5000)
    assert parser.overlong == begun
    parser.feed(b"\n\n")
    assert parser.overlong is None
