"""Worlds: whose they are, how many there may be, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from mcpguard.adapters.transports.http.sessions import SPARED_SECONDS
from mcpguard.adapters.transports.http.stream import BEAT_SECONDS
from mcpguard.config.file import HttpEntry, TokenEntry
from mcpguard.core.model import Principal
from tests.adapters.transports.front import (
    ENVELOPE,
    MODERN,
    TOKEN,
    FakeVerifier,
    acknowledge,
    answer_handshake,
    call,
    notice,
    serving,
    stands,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


@pytest.mark.parametrize("way", ["GET /mcp", "GET /sse", "subscriptions/listen"])
async def test_a_stream_that_stays_open_ends_with_its_token(way: str) -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        front.door.script = acknowledge
        good, brief = await stands(front, way, "ada"), await stands(front, way, "ada.brief")
        front.clock.pass_by(BEAT_SECONDS)
        assert await good.event() == ("", ":")
        with pytest.raises((ConnectionError, ValueError)):
            await brief.chunk()
        if way == "subscriptions/listen":
            [world] = front.door.worlds
            await front.door.until(lambda: world.cancelled == [(2, "disconnected")])


async def test_a_call_is_answered_though_its_token_has_expired_meanwhile() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open(
            "POST",
            "/mcp",
            call("tools/call", 5, _meta=ENVELOPE),
            mcp_protocol_version=MODERN,
            authorization="Bearer ada.brief",
        )
        await front.door.until(lambda: front.door.worlds)
        [world] = front.door.worlds
        world.notify("notifications/progress", related=1, progress=1)
        await wire.head()
        assert (await wire.message())["method"] == "notifications/progress"
        front.clock.pass_by(BEAT_SECONDS)
        assert await wire.event() == ("", ":")
        world.reply({"id": 1}, {"done": True})
        assert (await wire.message())["result"] == {"done": True}


async def test_a_session_is_nobody_elses() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        key = await front.session(authorization="Bearer ada")
        for method in ("GET", "DELETE"):
            answer = await front.ask(method, "/mcp", mcp_session_id=key, authorization="Bearer eve")
            assert answer.status == 404
        theirs = await front.post(call("x"), mcp_session_id=key, authorization="Bearer eve")
        unknown = await front.post(call("x"), mcp_session_id="made-up", authorization="Bearer eve")
        assert (theirs.status, theirs.body) == (unknown.status, unknown.body)
        assert (await front.post(call("x"), mcp_session_id=key)).status == 401
        mine = await front.post(call("x"), mcp_session_id=key, authorization="bearer ada")
        assert mine.status == 200
        [world] = front.door.worlds
        assert world.principal == Principal("ada", "https://issuer.example")


async def test_the_gateway_learns_for_evidence_which_token_each_message_came_with() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        first, second = {"authorization": "Bearer ada"}, {"authorization": "Bearer ada.2"}
        key = await front.session(**first)
        await front.post(call("x"), mcp_session_id=key, **second)
        await front.post(notice("notifications/x"), mcp_session_id=key, **first)
        for one in (first, second):
            await front.post(call("ping", _meta=ENVELOPE), mcp_protocol_version=MODERN, **one)
        legacy, modern = front.door.worlds
        assert [one for one in legacy.tokens if one != legacy.tokens[0]] == ["t-ada.2"]
        assert legacy.tokens[-1] == legacy.tokens[0] == "t-ada"
        assert modern.tokens == ["t-ada", "t-ada.2"]


async def test_each_principal_has_a_modern_world_of_its_own() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        for name in ("ada", "eve", "ada"):
            await front.post(
                call("ping", _meta=ENVELOPE), mcp_protocol_version=MODERN, authorization=f"Bearer {name}"
            )
        assert [world.principal.id for world in front.door.worlds] == ["ada", "eve"]


async def test_without_a_token_everybody_is_anonymous() -> None:
    async with serving() as front:
        await front.modern("ping")
        assert front.door.worlds[0].principal == Principal("anonymous", "http")


@pytest.mark.parametrize(
    ("authorization", "status", "said"),
    [
        (None, 401, ""),
        ("Basic YTpi", 401, 'error="invalid_token"'),
        ("Bearer bad", 401, 'error="invalid_token"'),
        ("Bearer poor", 403, 'error="insufficient_scope"'),
    ],
)
async def test_a_request_without_a_good_token_is_told_where_to_get_one(
    authorization: str | None, status: int, said: str
) -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        for method, path in (("POST", "/mcp"), ("GET", "/mcp"), ("GET", "/sse"), ("POST", "/messages")):
            answer = await front.ask(method, path, authorization=authorization)
            challenge = answer.headers["www-authenticate"]
            metadata = "https://guard.example/.well-known/oauth-protected-resource/mcp"
            assert answer.status == status
            assert challenge.startswith(f'Bearer resource_metadata="{metadata}"')
            assert said in challenge
            assert challenge.count('scope="mcp:use"') == 1
            assert ("error=" in challenge) is (authorization is not None)
        assert front.door.worlds == []


async def test_the_metadata_of_the_resource_needs_no_token() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        for tail in ("", "/mcp"):
            answer = await front.ask("GET", "/.well-known/oauth-protected-resource" + tail)
            assert answer.json == {
                "resource": "https://guard.example/mcp",
                "authorization_servers": ["https://issuer.example"],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp:use"],
            }
        wrong = await front.ask("DELETE", "/.well-known/oauth-protected-resource")
        assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")


async def test_the_metadata_has_the_public_url_whatever_tokens_call_us() -> None:
    token = TokenEntry(
        issuer="https://issuer.example", audience=("api://guard",), resource="https://public.example/a/mcp"
    )
    async with serving(HttpEntry(token=token), FakeVerifier()) as front:
        answer = await front.ask("GET", "/.well-known/oauth-protected-resource/a/mcp")
        assert answer.json["resource"] == "https://public.example/a/mcp"
        refused = await front.ask("POST", "/mcp")
        place = "https://public.example/.well-known/oauth-protected-resource/a/mcp"
        assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{place}"'


async def test_delete_ends_a_session_at_once_and_its_open_requests_are_answered() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        wire = await front.open("POST", "/mcp", call("tools/call", 9), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        assert (await front.ask("DELETE", "/mcp", mcp_session_id=key)).status == 204
        assert (await wire.answer()).json["error"]["message"] == "the session was closed"
        await standing.ended()
        assert world.left is True
        assert (await front.post(call("x"), mcp_session_id=key)).status == 404


async def test_too_many_sessions_are_refused_until_one_has_wholly_ended() -> None:
    async with serving(HttpEntry(max_sessions=2)) as front:
        key = await front.session()
        await front.session()
        refused = await front.post(call("initialize"))
        assert refused.status == 503
        assert "max_sessions" in refused.json["error"]["message"]
        front.door.may_leave.clear()
        await front.ask("DELETE", "/mcp", mcp_session_id=key)
        assert (await front.post(call("initialize"))).status == 503
        assert (await front.ask("GET", "/sse")).status == 503
        front.door.may_leave.set()
        await front.door.until(lambda: front.door.worlds[0].left is not None)
        await asyncio.sleep(0)
        await front.session()


async def test_sessions_keep_no_modern_client_out_and_modern_worlds_have_a_bound_of_their_own() -> None:
    async with serving(HttpEntry(max_sessions=2, token=TOKEN), FakeVerifier()) as front:
        for name in ("ada", "eve"):
            await front.session(authorization=f"Bearer {name}")
        for name, status in (("ada", 200), ("joe", 200), ("eve", 503), ("ada", 200)):
            answer = await front.post(
                call("ping", _meta=ENVELOPE), mcp_protocol_version=MODERN, authorization=f"Bearer {name}"
            )
            assert answer.status == status, name


async def test_one_principal_has_half_of_the_sessions_at_most() -> None:
    async with serving(HttpEntry(max_sessions=4, token=TOKEN), FakeVerifier()) as front:
        for name, status in (("ada", 200), ("ada", 200), ("ada", 429), ("eve", 200), ("eve", 200)):
            answer = await front.post(call("initialize"), authorization=f"Bearer {name}")
            assert answer.status == status, name
        front.clock.pass_by(1000)
        for name, status in (("joe", 503), ("ada", 200)):
            answer = await front.post(call("initialize"), authorization=f"Bearer {name}")
            assert answer.status == status, name
        assert [world.left for world in front.door.worlds] == [True, None, None, None, None]


async def test_a_new_session_takes_the_place_of_the_one_that_was_quiet_longest() -> None:
    async with serving(HttpEntry(max_sessions=4)) as front:
        front.door.script = answer_handshake
        streams, calls, quiet, late = [await front.session() for _ in range(4)]
        standing = await front.open("GET", "/mcp", mcp_session_id=streams)
        await standing.head()
        about = {"mcp_session_id": calls, "mcp_protocol_version": "2025-11-25"}
        away = await front.open("POST", "/mcp", call("tools/call", 2), **about)
        await away.head()
        away.close()
        front.clock.pass_by(1)
        await front.post(notice("notifications/initialized"), mcp_session_id=late)
        front.clock.pass_by(SPARED_SECONDS - 1)
        await front.session()
        assert [world.left for world in front.door.worlds] == [None, None, True, None, None]
        assert (await front.post(notice("x"), mcp_session_id=quiet)).status == 404
        assert (await front.post(call("initialize"))).status == 503
        front.clock.pass_by(1)
        front.door.may_leave.clear()
        waits = await front.open("POST", "/mcp", call("initialize"))
        while late in front.endpoint.worlds._sessions:
            await asyncio.sleep(0)
        assert len(front.door.worlds) == 5
        front.door.may_leave.set()
        assert (await waits.answer()).status == 200


async def test_a_world_that_nobody_uses_is_ended_and_one_with_an_open_stream_is_not() -> None:
    async with serving(HttpEntry(session_idle_seconds=100)) as front:
        quiet, open_one = await front.session(), await front.session()
        await front.modern("ping")
        standing = await front.open("GET", "/mcp", mcp_session_id=open_one)
        await standing.head()
        front.clock.pass_by(60)
        await front.post(notice("notifications/initialized"), mcp_session_id=quiet)
        front.clock.pass_by(60)
        await front.door.until(lambda: front.door.worlds[2].left)
        assert [world.left for world in front.door.worlds] == [None, None, True]
        front.clock.pass_by(60)
        await front.door.until(lambda: front.door.worlds[0].left)
        front.clock.pass_by(1000)
        assert [world.left for world in front.door.worlds] == [True, None, True]
        assert (await front.post(call("x"), mcp_session_id=quiet)).status == 404
        await front.modern("ping")
        assert len(front.door.worlds) == 4


async def test_a_request_that_takes_long_keeps_its_world() -> None:
    async with serving(HttpEntry(session_idle_seconds=100)) as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open(
            "POST", "/mcp", call("tools/call", 1, _meta=ENVELOPE), mcp_protocol_version=MODERN
        )
        await front.door.until(lambda: front.door.worlds)
        front.clock.pass_by(1000)
        [world] = front.door.worlds
        world.reply(world.heard[0])
        assert (await wire.answer()).status == 200
        assert world.left is None


async def test_a_call_that_waits_for_its_client_keeps_its_world_and_the_idle_time_counts_from_its_end() -> (
    None
):
    async with serving(HttpEntry(session_idle_seconds=100)) as front:
        await front.modern("ping")
        [world] = front.door.worlds
        world.thinking = True
        for _ in range(5):
            front.clock.pass_by(110)
        world.thinking = False
        front.clock.pass_by(90)
        assert (await front.modern("ping")).status == 200
        assert front.door.worlds == [world]
        front.clock.pass_by(110)
        await front.door.until(lambda: world.left)


async def test_an_initialize_whose_client_is_gone_leaves_no_session() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open("POST", "/mcp", call("initialize"))
        await front.door.until(lambda: front.door.worlds)
        wire.close()
        await front.door.until(lambda: front.door.worlds[0].left)


async def test_closing_ends_every_world_and_every_stream_and_opens_no_more() -> None:
    async with serving() as front:
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        await front.modern("ping")
        kept = await front.connect()
        kept.send("GET", "/healthz", front.headers())
        await kept.answer()
        await front.server.close(False)
        await standing.ended()
        assert [world.left for world in front.door.worlds] == [False, False]
        assert await kept.reader.read() == b""
        with pytest.raises(ConnectionError):
            await front.connect()
