"""Hidden characters become visible on every way to the client, and evidence counts them."""

from __future__ import annotations

import pytest

from mcpguard.core.evidence.records import Noticed, Outcome
from mcpguard.gateway.ports import RawAnswer
from tests.fakes import World, text, tool
from tests.gateway.scenes import ALLOW_ALL, legacy, modern

HIDDEN = "a\u200bb\u202e \x1b[31mc\x1b[0m\U000e0041"
SHOWN = "a[U+200B]b[U+202E] c[U+E0041]"
COUNTED = {"bidirectional": 1, "invisible": 1, "tag": 1, "terminal": 2}
UNSEEN = {"\u200b", "\u202e", "\x1b", "\U000e0041"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_hidden_characters_become_visible_on_every_way_to_the_client_and_are_counted(era: str) -> None:
    schema = {"type": "object", "properties": {"p": {"enum": [HIDDEN], "description": HIDDEN}}}
    listed = {**tool("read"), "description": HIDDEN, "title": HIDDEN, "inputSchema": schema}
    world = World(ALLOW_ALL, tools={"one": [listed, tool("re\u200bad"), tool("re\ufe0fad")]})
    world.upstreams["one"].capabilities = {"tools": {}, "prompts": {}}
    world.upstreams["one"].lists["prompts/list"] = {"prompts": [{"name": "p", "description": HIDDEN}]}
    world.upstreams["one"].answers["read"] = {
        **text(HIDDEN),
        "structuredContent": {HIDDEN: HIDDEN},
        "_meta": {"x/y": HIDDEN},
    }
    if era == "legacy":
        legacy(world)
    for number, (method, params) in enumerate(
        [("tools/list", {}), ("prompts/list", {}), ("tools/call", {"name": "read", "arguments": {}})], 1
    ):
        if era == "modern":
            modern(world, method, params, number)
        else:
            world.send(method, params, number)
        world.turn()
    sent = [one["result"] for one in world.client.sent]
    assert not UNSEEN & set(str(sent))
    assert str(sent).count(SHOWN) == 9
    assert [one["name"] for one in sent[0]["tools"]] == ["read"]
    outcomes = [one for one in world.audit.records if isinstance(one, Outcome)]
    assert outcomes[-1].neutralised == {kind: 4 * count for kind, count in COUNTED.items()}
    assert outcomes[-1].findings == {}
    assert "one: 24 hidden character(s) made visible in its tool descriptions" in world.reports


def test_a_log_message_with_hidden_characters_leaves_evidence() -> None:
    world = World(ALLOW_ALL).greeted()
    world.gateway.notified("one", "notifications/message", {"level": "error", "data": HIDDEN}, None)
    world.turn()
    assert world.client.sent[-1]["params"]["data"] == SHOWN
    notice = next(one for one in world.audit.records if isinstance(one, Noticed))
    assert (notice.what, notice.neutralised, notice.findings) == ("notification-neutralised", COUNTED, {})


def test_an_error_with_hidden_characters_is_shown_as_well() -> None:
    world = World(ALLOW_ALL).listed()
    world.call("read")
    [(wait, _)] = world.upstreams["one"].held
    wait.set(RawAnswer({"id": 1, "error": {"code": -1, "message": HIDDEN, "data": {"d": HIDDEN}}}, 100))
    world.turn()
    assert not UNSEEN & set(str(world.client.sent))
    assert str(world.client.sent).count(SHOWN) == 2
