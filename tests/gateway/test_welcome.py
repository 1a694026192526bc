"""What a client is told first, and which servers are started for it."""

from __future__ import annotations

import pytest

from mcpguard.core.evidence.bounds import MINUTES, BoundTerms, EvidenceRoom
from tests.fakes import SECRET, World
from tests.gateway.scenes import ALLOW_ALL, last, modern

HELLO = {"protocolVersion": "2025-11-25"}


def eager(*names: str) -> World:
    return World(ALLOW_ALL, {"a": [], "b": []}, eager=names)


def test_nothing_is_started_for_a_client_that_only_says_hello() -> None:
    world = World(ALLOW_ALL)
    world.upstreams["one"].instructions = "unheard"
    world.send("initialize", HELLO, 1)
    assert world.audit.records == []
    assert world.upstreams["one"].capabilities is None
    assert set(last(world)["capabilities"]) > {"tools", "prompts", "resources"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_instructions_of_an_eager_server_reach_the_client_after_a_record(era: str) -> None:
    world = World(ALLOW_ALL, eager=("one",))
    world.upstreams["one"].instructions = "Ask for the branch first."
    if era == "legacy":
        world.send("initialize", HELLO, 1)
    else:
        modern(world, "server/discover")
    assert last(world)["instructions"] == "Ask for the branch first."
    assert set(last(world)["capabilities"]) - {"extensions"} == {"tools", "prompts", "resources"}
    assert world.trace == ["decision allow", "outcome ok", "reply 1"]


def test_who_looks_without_end_does_not_fill_the_evidence() -> None:
    world = World(ALLOW_ALL, eager=("one",), room=EvidenceRoom(BoundTerms(refusals=1)))
    world.upstreams["one"].instructions = "Ask for the branch first."
    for n in range(20):
        modern(world, "server/discover", request_id=n + 1)
        assert last(world)["instructions"] == "Ask for the branch first."
    assert len(world.audit.records) == 2 * (MINUTES + 1)


def test_several_servers_are_told_apart_in_the_instructions() -> None:
    world = eager("a", "b")
    world.upstreams["a"].instructions = "one"
    world.upstreams["b"].instructions = "two"
    world.send("initialize", HELLO, 1)
    assert last(world)["instructions"] == "# a\n\none\n\n# b\n\ntwo"


def test_a_server_that_cannot_start_holds_nobody_up() -> None:
    world = eager("a", "b")
    world.upstreams["a"].down = "upstream 'a' has ended"
    world.upstreams["b"].instructions = "two"
    world.send("initialize", HELLO, 1)
    assert last(world)["instructions"] == "# b\n\ntwo"
    assert world.reports == ["a: upstream 'a' has ended"]
    assert [r.status for r in world.audit.records if hasattr(r, "status")] == ["unavailable", "ok"]


def test_a_secret_in_the_instructions_is_removed() -> None:
    world = World(ALLOW_ALL, eager=("one",))
    world.upstreams["one"].instructions = f"use {SECRET}"
    world.send("initialize", HELLO, 1)
    assert SECRET not in str(world.client.sent)
    assert "REDACTED" in last(world)["instructions"]


def test_instructions_that_cannot_be_inspected_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(ALLOW_ALL, eager=("one",))
    world.upstreams["one"].instructions = " ".join(["ghp_" + "aZ3kQ9xB7mT2" * 3] * 20_000)
    world.send("initialize", HELLO, 1)
    assert "instructions" not in last(world)
    assert "left out" in world.reports[0]
    assert last(world)["serverInfo"]


def test_a_legacy_client_hears_nothing_before_its_answer() -> None:
    world = World(ALLOW_ALL, eager=("one",))
    world.audit.fail = False
    world.gateway.receive({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO})
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": "early"})
    assert world.client.sent == []
    world.turn()
    assert [sorted(sent) for sent in world.client.sent] == [["id", "result"]]
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": "late"})
    assert world.client.sent[-1]["params"]["data"] == "late"


@pytest.mark.parametrize("has", [True, False])
def test_the_level_of_logs_can_be_set_where_a_server_that_is_known_has_logs(has: bool) -> None:
    world = World(ALLOW_ALL, eager=("one",))
    world.upstreams["one"].capabilities = {"tools": {}, **({"logging": {}} if has else {})}
    world.send("initialize", HELLO, 1)
    assert ("logging" in last(world)["capabilities"]) == has
    world.send("logging/setLevel", {"level": "debug"}, 2)
    assert last(world) == ({} if has else {"code": -32601, "message": "no server has log messages"})
    assert len(world.upstreams["one"].prepared) == has
