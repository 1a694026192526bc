"""Sentences of the specification about HTTP that no other test here says; `tests/requirements` names them."""

from __future__ import annotations

import pytest

from mcpguard.config.file import HttpEntry
from tests.adapters.transports.front import ENVELOPE, MODERN, TOKEN, FakeVerifier, call, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


async def test_headers_of_any_case_are_the_same_headers() -> None:
    async with serving() as front:
        for spell in (str.upper, str.title, str.lower):
            about = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list", "Mcp-Param-Region": "eu"}
            spelled = {spell(name): value for name, value in about.items()}
            answer = await front.post(call("tools/list", _meta=ENVELOPE), **spelled)
            assert answer.status == 200
        [world] = front.door.worlds
        for headers in world.headers:
            assert headers is not None
            assert headers["mcp-method"] == "tools/list"
            assert headers["mcp-param-region"] == "eu"


async def test_a_token_in_the_query_is_none() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        body = call("tools/list", _meta=ENVELOPE)
        path = "/mcp?access_token=ada"
        answer = await front.ask("POST", path, body, mcp_protocol_version=MODERN)
        assert answer.status == 401
        assert front.door.worlds == []
