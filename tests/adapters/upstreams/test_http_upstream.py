"""An upstream over real HTTP: the session and the wires together, against the official SDK's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.adapters.upstreams.wires.sse import SseWire
from mcpguard.core.errors import UpstreamError
from mcpguard.gateway.flight import as_future
from tests.adapters.upstreams import sdk_stage
from tests.adapters.upstreams.fake_wire import World, modern_caller, permit, silent
from tests.adapters.upstreams.http_script import Heard, Reply, Session, scripted
from tests.adapters.upstreams.http_stage import address

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]


@asynccontextmanager
async def reaching(url: str, **more: Any) -> AsyncIterator[World]:
    """A world whose upstream is at `url`; Streamable HTTP is tried first, then HTTP+SSE."""
    world = World(silent, **more)
    terms = world.upstream._terms
    kinds: list[Any] = [StreamableHttpWire, SseWire]
    makers = [partial(kind, terms.name, address(url), terms.message_bytes, terms.turn) for kind in kinds]
    world.upstream = Instance(terms, makers)
    try:
        yield world
    finally:
        await world.upstream.close(True)


async def echoed(world: World, modern: bool) -> Any:
    """What the tool says to a call of a caller of this era."""
    caller = modern_caller() if modern else None
    raw = await as_future(world.upstream.request(permit(caller=caller, name="echo", arguments={"n": 1})))
    return raw.body["content"][0]["text"]


@pytest.mark.parametrize("json_response", [True, False])
@pytest.mark.parametrize("modern", [True, False])
async def test_a_server_of_both_eras_is_greeted_in_the_era_of_the_client(
    json_response: bool, modern: bool
) -> None:
    async with (
        sdk_stage.streamable(json_response=json_response) as (url, _oracle),
        reaching(url, modern=modern) as world,
    ):
        assert await echoed(world, modern) == str({"n": 1})
        assert world.upstream.modern is modern


@pytest.mark.parametrize("modern", [True, False])
async def test_an_old_server_is_found_behind_its_stream(modern: bool) -> None:
    async with sdk_stage.sse() as (url, _oracle), reaching(url, modern=modern) as world:
        assert await echoed(world, modern) == str({"n": 1})
        assert world.upstream.modern is False


@pytest.mark.parametrize("status", [400, 404])
async def test_a_session_that_ended_is_opened_again_and_the_call_is_not_made_once_more(status: int) -> None:
    async def post(heard: Heard, reply: Reply) -> None:
        greetings = [one for one in stage.requests if (one.message or {}).get("method") == "initialize"]
        if len(greetings) == 1:
            await reply.nothing(status)
        else:
            result = {"content": [{"type": "text", "text": str({"n": 1})}]}
            await reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "result": result})

    async with scripted(Session(post=post)) as stage, reaching(stage.url) as world:
        with pytest.raises(UpstreamError, match="call again"):
            await echoed(world, False)
        said = [heard.message["method"] for heard in stage.requests if heard.method == "POST"]
        assert said.count("tools/call") == 1
        assert await echoed(world, False) == str({"n": 1})
        said = [heard.message["method"] for heard in stage.requests if heard.method == "POST"]
        assert said.count("initialize") == said.count("tools/call") == 2


async def test_a_call_that_is_answered_with_400_is_made_once_and_the_words_of_the_server_are_its_answer() -> (
    None
):
    async def post(heard: Heard, reply: Reply) -> None:
        if heard.message["method"] == "tools/call":
            await reply.json({"error": "no such branch"}, 400)
        else:
            await reply.json({"jsonrpc": "2.0", "id": heard.message["id"], "result": {}})

    async with scripted(Session(post=post)) as stage, reaching(stage.url) as world:
        wait = world.upstream.request(permit(name="echo", arguments={"n": 1}))
        assert "no such branch" in (await as_future(wait)).message["error"]["message"]
        said = [heard.message["method"] for heard in stage.requests if heard.method == "POST"]
        assert (said.count("initialize"), said.count("tools/call"), said.count("ping")) == (1, 1, 1)


async def test_a_modern_call_that_is_cancelled_is_cancelled_there() -> None:
    async with sdk_stage.streamable() as (url, oracle), reaching(url, modern=True) as world:
        wait = world.upstream.request(permit(caller=modern_caller(), name="wait"))
        await oracle.begun.wait()
        wait.cancel("enough")
        await oracle.cancelled.wait()


async def test_a_host_that_is_not_there_is_one_clear_error() -> None:
    async with scripted(lambda _heard, reply: reply.nothing()) as stage:
        url = stage.url
    async with reaching(url) as world:
        with pytest.raises(UpstreamError, match=r"127\.0\.0\.1:\d+ does not accept connections"):
            await echoed(world, False)


async def test_many_calls_at_once_each_get_their_answer() -> None:
    async with sdk_stage.streamable() as (url, _oracle), reaching(url, modern=True) as world:
        waits = [
            world.upstream.request(permit(caller=modern_caller(), name="echo", arguments={"n": n}))
            for n in range(100)
        ]
        answers = await asyncio.gather(*[as_future(wait) for wait in waits])
        assert [answer.body["content"][0]["text"] for answer in answers] == [
            str({"n": n}) for n in range(100)
        ]
