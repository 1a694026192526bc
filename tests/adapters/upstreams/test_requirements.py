"""Sentences of the specification about a client that no other test here says; `tests/requirements` names them."""

from __future__ import annotations

import pytest

from mcpguard.core.errors import UpstreamError
from mcpguard.gateway.flight import as_future
from tests.adapters.upstreams.fake_wire import World, legacy, modern, permit, silent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]


async def test_initialize_is_never_cancelled() -> None:
    world = World(silent, start_seconds=0.05)
    with pytest.raises(UpstreamError):
        await as_future(world.upstream.ready())
    assert world.wire.methods() == ["initialize"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_no_two_requests_to_an_upstream_have_the_same_id(era: str) -> None:
    server = modern({"tools": {}}) if era == "modern" else legacy({"tools": {}})
    world = await World(server, modern=era == "modern").ready()
    asked = permit(name="t")
    world.upstream.request(asked).cancel("enough")
    first = world.upstream.request(asked)
    world.wire.result(world.wire.sent[-1]["id"], {})
    await as_future(first)
    world.upstream.request(asked)
    ids = [message["id"] for message in world.wire.sent if "id" in message]
    assert len(ids) == 4
    assert len(set(ids)) == 4
