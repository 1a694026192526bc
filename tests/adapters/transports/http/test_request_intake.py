"""Bodies that are being read, of all connections together."""

from __future__ import annotations

import asyncio

import pytest

from mcpguard.adapters.transports.http.quotas import InUse, Quotas
from mcpguard.adapters.transports.http.request import ANONYMOUS, BODIES, SMALL_BYTES, Body, RequestIntake
from mcpguard.config.terms import HttpTerms
from mcpguard.core.model import Principal
from tests.adapters.transports.front import Front, Wire, answer_handshake, begin, call, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

LIMIT = 1_000_000
UNFINISHED = b'{"x":"' + b"x" * 900_000


def nobodys() -> InUse:
    return Quotas(HttpTerms()).of(ANONYMOUS)


def bodies(count: int, intake: RequestIntake, size: int) -> list[Body]:
    in_use = nobodys()
    made = [Body(intake, in_use) for _ in range(count)]
    for body in made:
        body.add(b"x" * size)
    return made


def test_what_all_bodies_keep_is_bounded_and_given_back() -> None:
    intake = RequestIntake(LIMIT, 1.0)
    kept = bodies(BODIES, intake, LIMIT)
    late = Body(intake, nobodys())
    late.add(b"x" * LIMIT)
    assert late.dropped
    assert intake.kept <= intake.most
    for body in kept:
        assert body.whole() == b"x" * LIMIT
        body.close()
    late.close()
    assert intake.kept == 0


def test_one_principal_keeps_half_of_it_and_another_has_room_still() -> None:
    intake = RequestIntake(LIMIT, 1.0, shared=False)
    quotas = Quotas(HttpTerms())
    ada, bob = (quotas.of(Principal(name, "https://issuer.example")) for name in ("ada", "bob"))
    mine = [Body(intake, ada) for _ in range(BODIES)]
    for body in mine:
        body.add(b"x" * LIMIT)
    assert [body.dropped for body in mine] == [False, False, True, True]
    theirs = Body(intake, bob)
    theirs.add(b"x" * LIMIT)
    assert not theirs.dropped
    for body in (*mine, theirs):
        body.close()
    assert (intake.kept, ada.kept, bob.kept) == (0, 0, 0)


def test_a_body_that_is_dropped_gives_back_what_it_kept_and_is_still_measured() -> None:
    intake = RequestIntake(LIMIT, 1.0)
    late = Body(intake, nobodys())
    late.add(b"x" * 500_000)
    bodies(BODIES, intake, LIMIT - 50_000)
    before = intake.kept
    late.add(b"x" * 499_000)
    assert late.dropped
    assert intake.kept == before - 500_000 + SMALL_BYTES
    late.add(b"x")
    assert late.size == 999_001
    assert intake.kept == before - 500_000 + SMALL_BYTES


def test_a_small_body_always_fits() -> None:
    intake = RequestIntake(LIMIT, 1.0)
    bodies(BODIES, intake, LIMIT + SMALL_BYTES)
    assert intake.kept == intake.most
    small = Body(intake, nobodys())
    for _ in range(64):
        small.add(b"y" * 1024)
    assert small.whole() == b"y" * SMALL_BYTES
    small.add(b"y")
    assert small.dropped


async def fill(front: Front) -> list[Wire]:
    """Connections that have begun bodies until no more fits."""
    intake = front.endpoint.intake
    wires = []
    while intake.kept + len(UNFINISHED) - SMALL_BYTES <= intake.most:
        before = intake.kept
        wires.append(await front.open("POST", "/mcp", UNFINISHED, content_length="950000"))
        while intake.kept < before + len(UNFINISHED) - SMALL_BYTES:
            await asyncio.sleep(0)
    return wires


@pytest.mark.parametrize("path", ["/mcp", "/messages"])
async def test_a_body_too_many_is_refused_and_told_when_to_come_back(path: str) -> None:
    async with serving(message_bytes=LIMIT) as front:
        if path == "/messages":
            stream = await front.open("GET", "/sse", accept="text/event-stream")
            await stream.head()
            _name, place = await stream.event()
        else:
            place = path
        wires = await fill(front)
        wire = await front.open("POST", place, UNFINISHED + b'"}')
        refused = await wire.answer()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.json["error"]["message"].startswith("the requests being received")
        # The connection goes on, and small requests are served.
        message = b'{"jsonrpc":"2.0","id":1,"method":"initialize"}'
        wire.send("POST", "/mcp", [*front.headers(), ("content-length", str(len(message)))], message)
        assert (await wire.answer()).status == 200
        for each in wires:
            each.close()
        while front.endpoint.intake.kept:
            await asyncio.sleep(0)
        assert (await front.post(UNFINISHED + b'"}')).status == 400


async def test_one_body_of_the_largest_size_fits() -> None:
    async with serving(message_bytes=LIMIT) as front:
        message = call("initialize", clientInfo="x" * (LIMIT - 200))
        assert (await front.post(message)).status == 200
        assert front.endpoint.intake.kept == 0


async def test_a_body_that_is_dropped_is_still_refused_for_its_size() -> None:
    async with serving(message_bytes=LIMIT) as front:
        await fill(front)
        wire = await front.connect()
        size = LIMIT + 1
        body = b"%x\r\n%b" % (size, b"x" * size)
        wire.send("POST", "/mcp", [*front.headers(), ("transfer-encoding", "chunked")], body)
        assert (await wire.answer()).status == 413


@pytest.mark.parametrize("events", [False, True])
async def test_a_body_counts_until_its_message_was_handed_in(events: bool) -> None:
    async with serving(message_bytes=LIMIT) as front:
        front.door.script = answer_handshake
        place, about = "/mcp", {}
        if events:
            _stream, place = await begin(front)
        else:
            about["mcp_session_id"] = await front.session()
        [world] = front.door.worlds
        heard = len(world.heard)
        world.client.hold(True)
        intake, size = front.endpoint.intake, 900_000
        for number in range(1, BODIES + 1):
            await front.open("POST", place, call("ping", number, x="x" * size), **about)
            while intake.kept < number * (size - SMALL_BYTES):
                await asyncio.sleep(0)
        more = await front.ask("POST", place, call("ping", 9, x="x" * size), **about)
        assert (more.status, more.headers["retry-after"]) == (503, "5")
        world.client.hold(False)
        await front.door.until(lambda: len(world.heard) == heard + BODIES)
        # They are open still.
        assert intake.kept == 0
