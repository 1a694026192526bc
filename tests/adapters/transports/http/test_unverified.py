"""Whoever has not shown a good token keeps nobody out who has (law 8)."""

from __future__ import annotations

import asyncio
import resource

import pytest

from mcpguard.adapters.transports.http import quotas, unverified
from mcpguard.adapters.transports.http.quotas import MOST_CONNECTIONS, room_for_connections
from mcpguard.adapters.transports.http.unverified import (
    IDLE_SAID,
    MOST_PEERS,
    SAID,
    UNUSED_SAID,
    RefusedTokens,
    UnverifiedConnections,
    network_of,
)
from mcpguard.config.file import HttpEntry, TokenEntry
from tests.adapters.transports.front import FakeVerifier, Front, Wire, serving
from tests.fakes import FixedClock

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

TOKEN = HttpEntry(token=TokenEntry(issuer="https://a.example", audience="https://b.example/mcp"))


async def silent(front: Front, count: int) -> list[Wire]:
    return [await front.connect() for _ in range(count)]


def body(front: Front, token: str) -> tuple[list[tuple[str, str]], bytes]:
    data = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
    return front.headers(authorization=f"Bearer {token}", content_length=str(len(data))), data


async def test_a_good_token_on_a_new_connection_is_served_through_any_number_of_silent_ones() -> None:
    async with serving(TOKEN, FakeVerifier(), most_connections=20) as front:
        served = 0
        for _ in range(20):
            await silent(front, 20)
            wire = await front.connect()
            headers, data = body(front, "good")
            wire.send("POST", "/mcp", headers, data)
            served += (await wire.answer()).status == 200
            wire.close()
        assert served == 20
        assert len(front.server._connections.open) <= 20
        assert front.reports == [SAID]


async def test_where_no_tokens_are_configured_none_is_missed() -> None:
    async with serving(most_connections=8) as front:
        await silent(front, 20)
        assert front.reports == [UNUSED_SAID]


async def test_a_connection_that_has_shown_a_good_token_is_never_closed_for_others() -> None:
    async with serving(TOKEN, FakeVerifier(), most_connections=8) as front:
        known = await front.connect()
        for _ in range(3):
            headers, data = body(front, "good")
            known.send("POST", "/mcp", headers, data)
            assert (await known.answer()).status == 200
            await silent(front, 30)


async def test_clients_that_come_at_once_displace_idle_connections_and_not_one_another() -> None:
    async with serving(TOKEN, FakeVerifier(), most_connections=8) as front:
        headers, data = body(front, "good")
        for _ in range(3):
            for _ in range(8):
                wire = await front.connect()
                wire.send("POST", "/mcp", headers, data)
                assert (await wire.answer()).status == 200
            together = await silent(front, 4)
            for wire in together:
                wire.send("POST", "/mcp", headers, data)
            assert [(await wire.answer()).status for wire in together] == [200] * 4
        assert front.reports == [IDLE_SAID]
        assert front.server.closed == {"idle": 28, "unverified": 0}


async def test_a_bad_token_and_a_health_check_leave_a_connection_unverified() -> None:
    async with serving(TOKEN, FakeVerifier(), most_connections=8) as front:
        bad, checks = await front.connect(), await front.connect()
        headers, data = body(front, "bad")
        bad.send("POST", "/mcp", headers, data)
        assert (await bad.answer()).status == 401
        checks.send("GET", "/livez", front.headers())
        assert (await checks.answer()).status == 200
        await silent(front, 4)
        assert await bad.reader.read() == b""
        assert await checks.reader.read() == b""


async def test_on_loopback_without_tokens_whoever_asks_counts_as_verified() -> None:
    async with serving(most_connections=8) as front:
        wire = await front.connect()
        for _ in range(2):
            wire.send("GET", "/livez", front.headers())
            assert (await wire.answer()).status == 200
            await silent(front, 20)


async def test_what_closes_itself_leaves_its_place() -> None:
    async with serving(TOKEN, FakeVerifier(), most_connections=8) as front:
        for wire in await silent(front, 3):
            wire.close()
        async with asyncio.timeout(10):
            while front.server._connections.open:
                await asyncio.sleep(0)
        assert front.server._connections.unverified._of == {}
        assert front.server._connections.unverified._count == 0


class Line:
    """A connection from an address."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


def test_the_address_that_has_most_loses_its_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    room = UnverifiedConnections(4, said.append)
    other, many = Line("203.0.113.1"), [Line("203.0.113.9") for _ in range(6)]
    room.add(other)
    for one in many:
        room.add(one)
    assert [one.gave_way for one in (other, *many)] == [False, True, True, True, False, False, False]
    assert said == [SAID]
    monkeypatch.setattr(unverified, "QUIET_SECONDS", 0.0)
    room._quiet_until["unverified"] = 0.0
    room.add(Line("203.0.113.9"))
    assert said == [SAID, SAID]
    assert not UnverifiedConnections(4, said.append).spare()


def test_where_all_places_are_used_up_a_silent_one_goes_first_and_one_that_has_just_come_last() -> None:
    now = [0.0]
    room = UnverifiedConnections(4, lambda _said: None, lambda: now[0])
    silent, idle, fresh = (Line("203.0.113.9") for _ in range(3))
    room.add(silent)
    now[0] = 1.0
    room.add(fresh)
    room.idle[idle] = None
    for gone in (silent, idle, fresh):
        assert not gone.gave_way
        assert room.spare()
        assert gone.gave_way
    assert not room.spare()


def test_a_silent_one_goes_first_though_another_network_has_more_that_have_just_come() -> None:
    now = [0.0]
    room = UnverifiedConnections(100, lambda _said: None, lambda: now[0])
    silent, fresh = [Line("10.0.0.1") for _ in range(2)], [Line("10.0.0.2") for _ in range(3)]
    idle = Line("10.0.0.3")
    for one in silent:
        room.add(one)
    now[0] = 60.0
    for one in fresh:
        room.add(one)
    room.idle[idle] = None
    assert [room.spare() for _ in range(4)] == [True] * 4
    assert [one.gave_way for one in (*silent, idle, *fresh)] == [True, True, True, True, False, False]


def test_half_an_address_of_ipv6_is_one_party() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff")
    assert network_of("2001:db8::1") != network_of("2001:db8:1::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("::ffff:203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize(
    ("files", "room"), [(1024, 512), (256, 128), (65536, MOST_CONNECTIONS), (-1, MOST_CONNECTIONS)]
)
def test_connections_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch, files: int, room: int) -> None:
    monkeypatch.setattr(quotas.resource, "getrlimit", lambda _: (files, resource.RLIM_INFINITY))
    assert room_for_connections() == room


class Told:
    """Refused tokens, and what was told of them."""

    def __init__(self) -> None:
        self.clock, self.said = FixedClock(), list[str]()
        self.tokens = RefusedTokens(self.clock, self.said.append)

    def minute(self) -> list[str]:
        """What is told when the next minute is over."""
        before = len(self.said)
        self.clock.ring()
        return self.said[before:]


def test_the_first_refused_token_is_told_at_once_and_the_others_once_a_minute() -> None:
    told = Told()
    for why, peer in (("it has expired", "10.0.0.1"), ("it has expired", "10.0.0.2"), ("no JWT", "10.0.0.2")):
        told.tokens.add(why, peer)
    assert told.said == ["1 request with a bearer token was refused: it has expired (1); from 10.0.0.1 (1)"]
    assert told.tokens.warning() == "requests with bearer tokens that are not accepted come in"
    assert told.minute() == [
        "2 requests with bearer tokens were refused in the last minute: it has expired (1), no JWT (1); "
        "from 10.0.0.2 (2)"
    ]
    assert told.minute() == []
    assert (told.tokens.warning(), told.tokens.count) == ("", 3)
    told.tokens.add("no JWT", "10.0.0.3")
    assert told.said[-1] == "1 request with a bearer token was refused: no JWT (1); from 10.0.0.3 (1)"


def test_addresses_that_send_refused_tokens_are_counted_and_named_up_to_a_bound() -> None:
    told = Told()
    told.tokens.add("no JWT", "10.0.0.0")
    for number in range(MOST_PEERS + 10):
        told.tokens.add("no JWT", f"10.0.1.{number}")
        told.tokens.add("no JWT", "10.0.2.1")
    assert told.minute()[0].endswith("from 10.0.2.1 (74), others (11), 10.0.1.0 (1)")


def test_at_the_end_the_refused_tokens_that_nobody_has_heard_of_are_told() -> None:
    told = Told()
    told.tokens.close()
    told.tokens.add("no JWT", "10.0.0.1")
    told.tokens.add("no JWT", "10.0.0.1")
    told.tokens.close()
    assert len(told.said) == 2
    assert told.clock.alarms == []
