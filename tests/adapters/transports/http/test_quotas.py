"""What one principal has open is bounded, and whoever reaches a bound is refused alone (law 8)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpguard.adapters.transports.http import quotas
from mcpguard.adapters.transports.http.bearer import Verified
from mcpguard.adapters.transports.http.quotas import KINDS, Quotas
from mcpguard.adapters.transports.http.request import SMALL_BYTES
from mcpguard.config.file import HttpEntry, TokenEntry
from mcpguard.config.terms import HttpTerms, PerPrincipal, TokenTerms
from mcpguard.core.model import Principal
from tests.adapters.transports.front import (
    BOTH,
    ENVELOPE,
    MODERN,
    Answer,
    FakeVerifier,
    Front,
    Wire,
    acknowledge,
    answer_all,
    answer_handshake,
    call,
    serving,
    settled,
    stands,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

TOKEN = TokenEntry(issuer="https://issuer.example", audience="https://guard.example/mcp")
SOURCE = "https://issuer.example"


def http(max_sessions: int = 100, **most: int) -> HttpEntry:
    return HttpEntry.model_validate(
        {"token": TOKEN.model_dump(), "max_sessions": max_sessions, "per_principal": most}
    )


def about(name: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}", "accept": BOTH, **more}


async def calls(front: Front, name: str) -> Wire:
    """A call that waits for its answer."""
    heard = sum(len(world.heard) for world in front.door.worlds)
    asked = call("tools/call", 7, _meta=ENVELOPE)
    wire = await front.open("POST", "/mcp", asked, **about(name, mcp_protocol_version=MODERN))
    await front.door.until(lambda: sum(len(world.heard) for world in front.door.worlds) > heard)
    return wire


def initialize(front: Front, name: str) -> tuple[list[tuple[str, str]], bytes]:
    data = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
    return [*front.headers(**about(name)), ("content-length", str(len(data)))], data


async def verified(front: Front, count: int) -> list[Wire]:
    """Connections on which ada had an answer."""
    wires = []
    for _ in range(count):
        wires.append(await front.connect())
        wires[-1].send("POST", "/mcp", *initialize(front, "ada"))
        assert (await wires[-1].answer()).status == 200
    return wires


async def asks(front: Front, name: str) -> Answer:
    asked = call("tools/call", 7, _meta=ENVELOPE)
    return await front.post(asked, **about(name, mcp_protocol_version=MODERN))


def in_use(front: Front, name: str) -> quotas.InUse:
    return front.endpoint.quotas.of(Principal(name, SOURCE))


def silent(_receiver: Any, _message: Any) -> None:
    """A gateway that answers nothing."""


async def test_connections_of_one_principal_are_bounded_and_another_is_served() -> None:
    async with serving(http(connections=2), FakeVerifier()) as front:
        front.door.script = silent
        waiting = [await calls(front, "ada") for _ in range(2)]
        refused = await asks(front, "ada")
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (
            429,
            "5",
            "close",
        )
        assert refused.json["error"] == {
            "code": -31000,
            "message": "as many connections of this principal are open as it may have "
            "(`http.per_principal.connections` is 2): wait until one of them is answered",
        }
        other = await calls(front, "bob")
        front.door.worlds[0].reply({"id": 1})
        assert (await waiting[0].answer()).status == 200
        waiting[0].send(
            "POST",
            "/mcp",
            [*front.headers(**about("ada", mcp_protocol_version=MODERN)), ("content-length", "2")],
            b"{}",
        )
        assert (await waiting[0].answer()).status == 400
        for wire in (waiting[1], other):
            wire.close()
        await settled(lambda: not front.endpoint.quotas.totals["connections"])
        assert front.endpoint.quotas.refused["connections"] == 1


async def test_a_connection_between_two_requests_counts_for_nobody() -> None:
    async with serving(http(connections=1), FakeVerifier()) as front:
        for wire in await verified(front, 3):
            wire.send("POST", "/mcp", *initialize(front, "bob"))
            assert (await wire.answer()).status == 200
        assert in_use(front, "ada").connections == in_use(front, "bob").connections == 0


async def test_an_answer_that_is_not_taken_yet_counts_until_its_connection_is_gone() -> None:
    async with serving(http(connections=1), FakeVerifier()) as front:
        front.door.script = lambda receiver, message: receiver.reply(message, {"text": "x" * 50_000_000})
        wire = await front.open(
            "POST", "/mcp", call("tools/call", 7, _meta=ENVELOPE), **about("ada", mcp_protocol_version=MODERN)
        )
        await wire.head()
        assert in_use(front, "ada").connections == 1
        assert (await asks(front, "ada")).status == 429
        wire.close()
        await settled(lambda: not in_use(front, "ada").connections)


async def test_half_a_head_of_one_who_was_verified_keeps_nobody_out() -> None:
    """A good token of the request before says nothing about the next one."""
    async with serving(http(), FakeVerifier(), most_connections=8) as front:
        for wire in await verified(front, 8):
            wire.writer.write(b"POST /mcp HTTP/1.1\r\n")
        await settled(lambda: front.server._connections.unverified._count == 4)
        assert (await asks(front, "bob")).status == 200


async def test_a_token_that_is_being_verified_makes_room_for_others() -> None:
    class Slow(FakeVerifier):
        """Never says whether this token is good."""

        async def verify(self, token: str) -> Any:
            if token == "slow":
                await asyncio.Event().wait()
            return await super().verify(token)

    async with serving(http(), Slow(), most_connections=4) as front:
        for wire in await verified(front, 4):
            wire.send("POST", "/mcp", *initialize(front, "slow"))
        await settled(lambda: front.server._connections.unverified._count == 2)
        assert (await asks(front, "bob")).status == 200


async def test_who_is_refused_for_its_quota_leaves_no_connection_behind_that_keeps_others_out() -> None:
    async with serving(http(connections=1), FakeVerifier(), most_connections=4) as front:
        front.door.script = silent
        await calls(front, "ada")
        for _ in range(8):
            wire = await front.open(
                "POST",
                "/mcp",
                call("tools/call", 7, _meta=ENVELOPE),
                **about("ada", mcp_protocol_version=MODERN),
            )
            assert (await wire.answer()).status == 429  # And it is not closed by its client.
        bob = await front.open("POST", "/mcp", call("initialize"), authorization="Bearer bad")
        assert (await bob.answer()).status == 401


@pytest.mark.parametrize("way", ["GET /mcp", "GET /sse", "subscriptions/listen"])
async def test_streams_that_stay_open_are_bounded_and_calls_go_on(way: str) -> None:
    async with serving(http(streams=1, sessions=50), FakeVerifier()) as front:
        front.door.script = acknowledge
        wire = await stands(front, way, "ada")
        with pytest.raises(AssertionError):
            await stands(front, way, "ada")
        assert in_use(front, "ada").streams == 1
        assert front.endpoint.quotas.refused["streams"] == 1
        assert (await front.post(call("initialize"), **about("ada"))).status == 200
        await stands(front, way, "bob")
        wire.close()
        await settled(lambda: not in_use(front, "ada").streams)
        await stands(front, way, "ada")


async def test_the_last_stream_says_what_to_close() -> None:
    async with serving(http(streams=1), FakeVerifier()) as front:
        await stands(front, "GET /sse", "ada")
        refused = await front.ask("GET", "/sse", **about("ada"))
        assert (refused.status, refused.headers["retry-after"]) == (429, "60")
        assert "(`http.per_principal.streams` is 1): close one of them" in refused.json["error"]["message"]


async def test_sessions_are_those_of_a_subject_whatever_its_claims_and_agents_are() -> None:
    class Various(FakeVerifier):
        """The claims of a principal are behind a plus sign, its agent behind a tilde."""

        async def verify(self, token: str) -> Any:
            name, _, claim = token.partition("+")
            name, _, actor = name.partition("~")
            return Verified(Principal(name, SOURCE, (), {"c": claim}, actor))

    async with serving(http(max_sessions=10, sessions=2), Various()) as front:
        for token, status in (("ada+1", 200), ("ada~bot", 200), ("ada+3", 429), ("bob", 200)):
            answer = await front.post(call("initialize"), **about(token))
            assert answer.status == status, token
        for token, status in (("ada+1", 200), ("ada~bot", 200), ("ada+3", 429), ("ada+1", 200), ("bob", 200)):
            answer = await asks(front, token)
            assert answer.status == status, token
            if status == 429:
                assert "`http.per_principal.sessions` is 2" in answer.json["error"]["message"]


async def test_requests_count_in_all_sessions_and_though_nobody_waits_for_them() -> None:
    async with serving(http(requests=2), FakeVerifier()) as front:
        front.door.script = answer_handshake
        keys = [await front.session(**about("ada")) for _ in range(2)]
        for key in keys:
            wire = await front.open("POST", "/mcp", call("tools/call", 7), **about("ada", mcp_session_id=key))
            await front.door.until(lambda: in_use(front, "ada").requests)
            wire.close()
        await settled(lambda: in_use(front, "ada").requests == 2)
        refused = await front.post(call("tools/call", 8), **about("ada", mcp_session_id=keys[0]))
        assert (refused.status, refused.json["id"], refused.headers["retry-after"]) == (429, 8, "1")
        assert "as many requests of this principal are open" in refused.json["error"]["message"]
        key = await front.session(**about("bob"))
        await front.ask("DELETE", "/mcp", **about("ada", mcp_session_id=keys[0]))
        await settled(lambda: in_use(front, "ada").requests == 1)
        assert key in front.endpoint.worlds._sessions


async def test_a_batch_has_room_for_all_its_requests_or_is_refused() -> None:
    async with serving(http(requests=2), FakeVerifier()) as front:
        front.door.script = answer_handshake
        key = await front.session(**about("ada"))
        front.door.worlds[0].batches = True
        many = [call("tools/call", number) for number in range(3)]
        refused = await front.post(
            many, **about("ada", mcp_session_id=key, mcp_protocol_version="2025-03-26")
        )
        assert (refused.status, in_use(front, "ada").requests) == (429, 0)


async def test_the_operator_is_told_once_of_each_and_clients_not_whom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    async with serving(http(sessions=1), FakeVerifier()) as front:
        front.endpoint.quotas.told = said.append
        for name in ("ada", "ada", "ada", "bob", "bob"):
            await front.post(call("initialize"), **about(name))
        assert said == [
            f"{SOURCE}:{name} has as many sessions open as one principal may have "
            "(`http.per_principal.sessions` is 1); more are refused"
            for name in ("ada", "bob")
        ]
        assert front.endpoint.quotas.refused["sessions"] == 3
        warning = front.endpoint.quotas.warning()
        assert warning == "a principal is refused more sessions (`http.per_principal`)"
        monkeypatch.setattr(quotas, "QUIET_SECONDS", 0.0)
        assert front.endpoint.quotas.warning() == ""


async def test_the_operator_is_told_once_of_what_all_clients_have_too_many_of() -> None:
    said: list[str] = []
    full = "mcpguard serves 1 sessions at once (`http.max_sessions`), and all are in use"
    async with serving(HttpEntry(max_sessions=1), most_connections=2) as front:
        limits = front.endpoint.quotas
        limits.told = said.append
        front.door.script = answer_handshake
        await front.session()
        assert [(await front.post(call("initialize"))).status for _ in range(3)] == [503] * 3
        assert (said, limits.refused["sessions"]) == ([f"clients are refused: {full}"], 3)
        front.endpoint.intake.most = 10
        large = {"clientInfo": {"name": "x" * (2 * SMALL_BYTES)}}
        assert (await front.post(call("initialize", 1, **large))).status == 503
        assert said[1:] == ["clients are refused: the requests being received are too large in total"]
        assert limits.warning() == "; ".join(said)
        assert limits.refused["messages"] == 1


def test_the_defaults_are_shares_of_what_all_may_have() -> None:
    token = TokenTerms("https://issuer.example", ("guard",), "https://guard.example/mcp")
    assert Quotas(HttpTerms(token=token), 1000).of(Principal("ada", SOURCE)).most == {
        "connections": 250,
        "streams": 125,
        "sessions": 50,
        "requests": 256,
    }
    least = Quotas(HttpTerms(token=token, max_sessions=1), 1).of(Principal("ada", SOURCE)).most
    assert least == {"connections": 1, "streams": 1, "sessions": 1, "requests": 256}
    more = HttpTerms(token=token, max_sessions=10, per_principal=PerPrincipal(8, 9, 11, 12))
    assert Quotas(more, 100).of(Principal("ada", SOURCE)).most == dict(
        zip(KINDS, (8, 9, 10, 12), strict=True)
    )


def test_without_tokens_all_clients_are_one_and_nothing_has_a_quota() -> None:
    found = Quotas(HttpTerms(), 10)
    one = found.of(Principal("anonymous", "http"))
    one.sessions = 10_000
    one.check("sessions")
    assert found.totals["sessions"] == 10_000
    found.told("nobody hears it")


def test_who_has_nothing_open_is_forgotten() -> None:
    found = Quotas(HttpTerms(), 10)
    found.of(Principal("ada", SOURCE))
    assert len(found._of) == 0


# --- turns -----------------------------------------------------------------------------------------


async def test_requests_of_one_principal_begin_in_turns_and_in_their_order() -> None:
    ada = Quotas(http()).of(Principal("ada", SOURCE))
    begun: list[int] = []

    async def request(number: int) -> None:
        waits = ada.turn()
        if waits is not None:
            await waits
        begun.append(number)

    requests = [asyncio.create_task(request(number)) for number in range(3 * quotas.AT_ONCE)]
    await asyncio.sleep(0)
    requests[quotas.AT_ONCE].cancel()
    before = 0
    while len(begun) < len(requests) - 1:
        assert len(begun) - before <= quotas.AT_ONCE
        before = len(begun)
        await asyncio.sleep(0)
    assert begun == [number for number in range(len(requests)) if number != quotas.AT_ONCE]


async def test_a_request_of_another_principal_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "AT_ONCE", 1)
    names = [*["ada"] * 6, "bob"]
    async with serving(http(), FakeVerifier()) as front:
        heard: list[str] = []

        def script(world: Any, message: dict[str, Any]) -> None:
            heard.append(world.principal.id)
            answer_all(world, message)

        front.door.script = script
        wires = [await front.connect() for _ in names]
        data = json.dumps(call("tools/call", 7, _meta=ENVELOPE)).encode()
        for wire, name in zip(wires, names, strict=True):
            headers = front.headers(**about(name, mcp_protocol_version=MODERN))
            wire.send("POST", "/mcp", [*headers, ("content-length", str(len(data)))], data)
        assert [(await wire.answer()).status for wire in wires] == [200] * len(names)
        assert heard.index("bob") < len(names) - 1
        assert heard.count("ada") == 6
