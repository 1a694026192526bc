"""Where the credentials of an upstream go, and where they never go (law 3)."""

from __future__ import annotations

import asyncio

import pytest

from mcpguard.adapters.upstreams.wires.address import UpstreamAddress
from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
from mcpguard.adapters.upstreams.wires.sse import SseWire
from mcpguard.core.errors import UpstreamError
from mcpguard.core.secret import parse_template
from tests.adapters.credentials.fake_credentials import FakeCredentials, program
from tests.adapters.upstreams.http_script import Heard, Reply, answer_to, scripted
from tests.adapters.upstreams.http_stage import MODERN, address, hello, modern, wired

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]

CANARY = "canary-0123456789"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_credential_does_not_follow_a_redirect_to_another_origin(status: int) -> None:
    async with scripted(lambda _heard, reply: reply.nothing()) as thief:

        async def script(_heard: Heard, reply: Reply) -> None:
            await reply.head(status, Location=f"{thief.url}?key=k", Content_Length="0", Set_Cookie="a=b")

        async with scripted(script) as stage:
            where = address(stage.url, {"Authorization": "Bearer ${env:TOKEN}"}, TOKEN=CANARY)
            async with wired(StreamableHttpWire, where) as (wire, listener):
                for request_id in (1, 2):
                    wire.send(hello(request_id))
                    told = await listener.failure(request_id)
                    place = thief.url.removesuffix("/mcp")
                    assert told == (
                        f"answered with a redirect (HTTP {status}) to {place}, which is not followed; "
                        "if that is right, configure its target instead"
                    )
            assert stage.requests[0].headers["authorization"] == f"Bearer {CANARY}"
            assert "cookie" not in stage.requests[1].headers
        assert thief.requests == []


LACKS = "was refused: 127.0.0.1 requires {}, which its token does not have (HTTP 403)"
LOGIN = (
    "; get one that has them: add them to `scopes` of `linear` in `credentials`, and if that is a login, run "
    "`mcpguard secret login linear`"
)


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ('Bearer error="insufficient_scope", scope="a:write b"', LACKS.format("the scopes `a:write b`") + LOGIN),
        (
            'Bearer scope="a", error=insufficient_scope, error_description="say scope=\\"x\\", scope=y"',
            LACKS.format("the scopes `a`") + LOGIN,
        ),
        ('Bearer error="insufficient_scope", scope="` ä"', LACKS.format("more scopes") + LOGIN),
        ('Bearer error="insufficient_scope"', LACKS.format("more scopes") + LOGIN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [StreamableHttpWire, SseWire])
async def test_a_token_with_too_few_scopes_is_not_renewed_and_the_scopes_are_named(
    kind: type[StreamableHttpWire] | type[SseWire], challenge: str, said: str
) -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.head(403, WWW_Authenticate=challenge, Content_Length="0")

    renewed = FakeCredentials(linear=CANARY)
    renewed.refused = lambda ref, to, secret=None: renewed.values.update(linear="another")  # type: ignore[method-assign]
    async with scripted(script) as stage:
        headers = {"Authorization": parse_template("Bearer ${credential:linear}")}
        where = UpstreamAddress(parse_template(stage.url), headers, renewed, program())
        if kind is SseWire:
            with pytest.raises(UpstreamError) as caught:
                async with wired(kind, where):
                    pass
            told = str(caught.value)
        else:
            async with wired(kind, where) as (wire, listener):
                wire.send(hello(1))
                told = await listener.failure(1)
        assert told == said
        assert len(stage.requests) == 1


async def test_a_token_without_an_entry_that_has_too_few_scopes_is_told_too() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(403, WWW_Authenticate='Bearer error="insufficient_scope"', Content_Length="0")

    async with scripted(script) as stage:
        where = address(stage.url, {"Authorization": "Bearer ${env:TOKEN}"}, TOKEN=CANARY)
        async with wired(StreamableHttpWire, where) as (wire, listener):
            wire.send(hello(1))
            assert await listener.failure(1) == LACKS.format("more scopes")


async def test_a_redirect_within_the_origin_is_followed_once() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        if heard.path == "/end/":
            await reply.json(answer_to(heard))
        else:
            place = {"/mcp": "/mcp/", "/mcp/": "/end/"}[heard.path]
            await reply.head(307, Location="/end/" if heard.message["id"] == 2 else place, Content_Length="0")

    async with scripted(script) as stage:
        where = address(stage.url, {"X-Key": "${env:KEY}"}, KEY=CANARY)
        async with wired(StreamableHttpWire, where) as (wire, listener):
            wire.send(hello(2))
            assert await listener.answer(2)
            assert stage.requests[-1].headers["x-key"] == CANARY
            wire.send(hello(3))
            assert "redirect" in await listener.failure(3)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/mcp/", "the same URL with a slash at its end"),
        ("/mcp/?key=k", "the same URL with a slash at its end"),
        ("/other", "another path of http://127.0.0.1:"),
        ("/mcp?key=k", "another path of http://127.0.0.1:"),
    ],
)
async def test_a_redirect_that_is_not_followed_says_where_it_leads_without_a_path(
    place: str, said: str
) -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.head(301, Location=place, Content_Length="0")

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url, {})) as (wire, listener),
    ):
        wire.send(hello(1))
        told = await listener.failure(1)
        assert told.startswith(f"answered with a redirect (HTTP 301) to {said}")
        assert "key" not in told


async def test_a_refusal_of_credentials_names_the_host_and_no_value() -> None:
    async def script(_heard: Heard, reply: Reply) -> None:
        await reply.json({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": CANARY}}, 401)

    async with scripted(script) as stage:
        where = address(stage.url + "?key=${env:KEY}", {"X-Key": "${env:KEY}"}, KEY=CANARY)
        async with wired(StreamableHttpWire, where) as (wire, listener):
            wire.send(hello(1))
            told = await listener.failure(1)
            assert "127.0.0.1" in told
            assert CANARY not in told
            assert stage.requests[0].path == f"/mcp?key={CANARY}"


async def test_a_configured_header_cannot_stand_for_a_mirrored_one() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        await reply.json(answer_to(heard))

    async with (
        scripted(script) as stage,
        wired(StreamableHttpWire, address(stage.url, {"MCP-Param-Region": "x"})) as (wire, listener),
    ):
        wire.greeted(MODERN, True)
        wire.send(modern(7, "tools/list"))
        await listener.answer(7)
        assert "mcp-param-region" not in stage.requests[0].headers
        assert stage.requests[0].headers["mcp-method"] == "tools/list"
        assert stage.requests[0].headers["accept-encoding"] == "identity"


async def test_over_sse_each_message_carries_the_credential_that_was_chosen_for_it() -> None:
    async def script(heard: Heard, reply: Reply) -> None:
        if heard.method == "GET":
            await reply.events()
            await reply.raw(b"event: endpoint\ndata: /post\n\n")
            await reply.gone.wait()
        else:
            await reply.nothing(401 if heard.headers["x-key"] == "stale" else 202)

    async with scripted(script) as stage:
        templates = {"X-Key": parse_template("${env:A}")}
        chosen = {"other": {"x-key": parse_template("${env:B}")}}
        credentials = FakeCredentials(A=CANARY, B="stale")
        where = UpstreamAddress(parse_template(stage.url), templates, credentials, program(), chosen)
        async with wired(SseWire, where) as (wire, listener):
            wire.send(hello(1))
            wire.send(modern(2, "tools/call"), None, "other")
            assert "requires a credential" in await listener.failure(2)
            credentials.values["A"] = "newer"
            wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            wire.send(modern(3, "tools/call"), None, "nobody")
            assert "was not asked: the credential 'nobody' cannot be chosen" in await listener.failure(3)
            while len(stage.requests) < 4:
                await asyncio.sleep(0)
    keys = [request.headers["x-key"] for request in stage.requests]
    assert keys[0] == CANARY
    assert sorted(keys[1:]) == sorted([CANARY, "stale", "newer"])
