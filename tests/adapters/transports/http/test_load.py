"""Who waits for a client that does not take what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.load import (
    BUDGET_BYTES,
    FULL_BYTES,
    STALL_SECONDS,
    SessionBacklog,
    Share,
)
from mcpguard.adapters.transports.http.quotas import Quotas
from mcpguard.adapters.transports.http.request import ANONYMOUS, PIECE_BYTES, HttpRequest
from mcpguard.adapters.transports.http.stream import BEAT_SECONDS, HttpAnswer, StreamTimer
from mcpguard.config.terms import HttpTerms
from tests.adapters.transports.front import ENVELOPE, MODERN, Front, HeldClock, Wire, call, serving, settled

NOBODYS = Quotas(HttpTerms()).of(ANONYMOUS)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

EVENT = b"x" * 50_000


class Line:
    """A connection whose client takes what the test says."""

    def __init__(self) -> None:
        self.unsent = 0
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


class Shared:
    """A share of a modern world, on a `Line`."""

    def __init__(self) -> None:
        self.clock = HeldClock()
        self.line = Line()
        self.world = SessionBacklog()
        self.holding: set[SessionBacklog] = set()
        self.woken = 0
        self.share = self.another(self.line)

    def another(self, line: Line) -> Share:
        return Share(self.world, self.holding, line, self.clock, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def hand_over(self, size: int) -> None:
        """The outlet gives so much to the connection, whose client takes none of it."""
        self.line.unsent += size
        self.share.taken(size)


def test_a_client_that_takes_nothing_holds_a_shared_world_back_for_a_bounded_time() -> None:
    it = Shared()
    it.share.added(FULL_BYTES)
    assert not it.holding
    it.share.added(1)
    assert it.holding == {it.share}
    it.clock.pass_by(STALL_SECONDS)
    assert not it.holding
    assert it.woken == 1
    assert not it.line.is_cut
    it.clock.pass_by(STALL_SECONDS)
    assert not it.holding


def test_a_client_that_takes_enough_holds_it_back_as_long_as_it_does() -> None:
    it = Shared()
    it.share.added(6 * FULL_BYTES)
    for _ in range(2):
        it.share.taken(FULL_BYTES)
        it.clock.pass_by(STALL_SECONDS)
        assert it.share.full
    it.share.taken(1000)
    it.clock.pass_by(STALL_SECONDS)
    assert not it.share.full
    it.share.taken(FULL_BYTES)
    it.clock.pass_by(STALL_SECONDS)
    assert it.share.full


def test_what_only_moves_into_the_connection_was_not_taken() -> None:
    it = Shared()
    it.share.added(3 * FULL_BYTES)
    it.hand_over(FULL_BYTES)
    it.clock.pass_by(STALL_SECONDS)
    assert not it.share.full


def test_a_share_that_is_taken_is_calm_and_may_be_full_again() -> None:
    it = Shared()
    for _ in range(2):
        it.share.added(2 * FULL_BYTES)
        assert it.share.full
        assert it.share.taken(2 * FULL_BYTES)
        assert not it.share.full
        assert not it.clock.timers
    assert it.world.waiting == 0


def test_nobody_is_held_back_for_an_answer_to_which_nothing_comes_any_more() -> None:
    it = Shared()
    it.share.added(2 * FULL_BYTES)
    it.share.last()
    assert not it.holding
    assert it.woken == 1
    it.share.last()
    assert it.woken == 1
    it.share.added(10 * BUDGET_BYTES)
    assert not it.holding
    it.share.taken(10 * BUDGET_BYTES)
    it.share.added(10 * BUDGET_BYTES)
    assert not it.holding
    assert not it.line.is_cut


def test_above_the_budget_a_connection_that_does_not_move_is_cut() -> None:
    it = Shared()
    it.share.last()
    it.share.added(BUDGET_BYTES + 1)
    it.clock.pass_by(STALL_SECONDS)
    assert it.line.is_cut
    assert not it.clock.timers


def test_above_the_budget_a_connection_that_moves_at_all_is_kept() -> None:
    it = Shared()
    it.share.last()
    it.share.added(16 * BUDGET_BYTES)
    it.line.unsent = FULL_BYTES
    it.share.taken(FULL_BYTES)
    for _ in range(20):
        it.line.unsent -= 1000
        it.clock.pass_by(STALL_SECONDS)
    assert not it.line.is_cut


def test_a_client_that_nobody_is_held_back_for_gets_no_more_than_the_budget() -> None:
    it = Shared()
    it.share.added(2 * FULL_BYTES)
    it.clock.pass_by(STALL_SECONDS)
    while it.share.waiting <= BUDGET_BYTES:
        assert not it.line.is_cut
        it.share.added(len(EVENT))
    it.share.added(1)
    assert it.line.is_cut


def test_a_client_that_is_gone_holds_nobody_back_and_leaves_nothing() -> None:
    it = Shared()
    other = it.another(Line())
    it.share.added(2 * FULL_BYTES)
    other.added(2 * FULL_BYTES)
    assert it.share.gone(2 * FULL_BYTES)
    assert it.holding == {other}
    assert it.world.waiting == 2 * FULL_BYTES
    assert not it.share.gone(0)
    assert len(it.clock.timers) == 1
    assert other.gone(FULL_BYTES)  # The rest is with a connection that is gone as well.
    assert not it.holding
    assert not it.clock.timers


# --- an answer that waits --------------------------------------------------------------------------


class Gate:
    """A connection that takes the next piece when the test opens it."""

    unsent = 0

    def __init__(self) -> None:
        self.takes = False
        self.resumes: Callable[[], None] | None = None
        self.taken: list[bytes] = []

    def open(self) -> None:
        """Take again, until the next piece."""
        self.takes = True
        resumes, self.resumes = self.resumes, None
        if resumes is not None:
            resumes()

    def put(self, data: bytes) -> None:
        self.takes = False
        self.taken.append(data)

    def cut(self) -> None:
        raise AssertionError("nobody cuts it")

    def read_on(self) -> None:
        raise AssertionError("no body is read")

    def answered(self, keep_alive: bool) -> None:
        """It has its answer."""

    def fail(self, request: HttpRequest, defect: BaseException) -> None:
        raise defect


def outlet_on(gate: Gate, load: SessionBacklog) -> tuple[HttpAnswer, list[bool]]:
    """An answer, and whether its load was full each time that flow control looked."""
    turn = Turn(asyncio.get_running_loop())
    looks: list[bool] = []

    def balance() -> bool:
        looks.append(load.full)
        return load.full

    turn.balance = balance
    # To an old client, which gets what is said as it is.
    request = HttpRequest(
        gate, "POST", "/mcp", b"", {}, None, in_use=NOBODYS, keep_alive=False, chunks=False, expects=False
    )
    return HttpAnswer(request, turn, StreamTimer(HeldClock()), load), looks


async def test_what_is_paused_goes_on_though_it_became_full_while_a_piece_was_on_its_way() -> None:
    gate, load = Gate(), SessionBacklog()
    gate.open()
    outlet, looks = outlet_on(gate, load)
    outlet.event(b"a" * (FULL_BYTES - 1000))
    await settled(lambda: gate.taken)
    outlet.event(b"b" * (FULL_BYTES - 1000))
    await settled(lambda: load.waiting)
    assert not looks
    outlet.event(b"c" * 2000)
    await settled(lambda: looks and looks[-1])
    while load.waiting:
        gate.open()
    await settled(lambda: not looks[-1])


async def test_what_is_paused_for_a_client_that_is_gone_goes_on() -> None:
    gate, load = Gate(), SessionBacklog()
    outlet, looks = outlet_on(gate, load)
    for _ in range(20):
        outlet.event(EVENT)
    await settled(lambda: looks and looks[-1])
    outlet.drop()
    gate.open()
    await settled(lambda: not looks[-1])
    assert load.waiting == 0


async def test_a_connection_keeps_no_more_of_a_large_answer_than_it_has_not_sent() -> None:
    gate = Gate()
    request = HttpRequest(
        gate, "POST", "/mcp", b"", {}, None, in_use=NOBODYS, keep_alive=False, chunks=False, expects=False
    )
    said = bytes(range(256)) * 5000
    request.start(200, [])
    request.write(memoryview(said), last=True)
    # What is sent in part is kept whole, so it must neither be large nor a view of something large.
    assert max(map(len, gate.taken)) <= PIECE_BYTES
    assert {type(one) for one in gate.taken} == {bytes}
    assert b"".join(gate.taken).endswith(b"\r\n\r\n" + said)


async def test_in_a_shared_world_a_large_message_goes_out_in_pieces_and_whole() -> None:
    gate, it = Gate(), Shared()
    outlet, _looks = outlet_on(gate, it.share)
    said = bytes(range(256)) * 5000
    outlet.event(b"small\n")
    outlet.event(said)
    outlet.end()
    await settled(lambda: it.world.waiting)
    while it.world.waiting:
        gate.open()
    head, *_ = gate.taken[0].partition(b"\r\n\r\n")
    assert max(map(len, gate.taken)) <= FULL_BYTES + len(head) + 4
    body = b"".join(gate.taken)[len(head) + 4 :]
    assert body == b"event: message\ndata: small\n\nevent: message\ndata: %b\n" % said


async def test_nothing_leaves_before_its_evidence_though_its_client_takes_again_in_between() -> None:
    gate, load = Gate(), SessionBacklog()
    gate.open()
    outlet, _looks = outlet_on(gate, load)
    turn = outlet._turn
    turn.ledger = ledger = Ledger(gate)
    outlet.event(EVENT)
    await settled(lambda: gate.taken)
    outlet.event(EVENT)
    await settled(lambda: load.waiting)
    ledger.pending = True
    outlet.event(b"behind its evidence")
    gate.open()
    assert ledger.sent_before == [1]
    assert b"behind" in gate.taken[-1]


class Ledger:
    """Evidence that waits, and how many pieces had left when it became durable."""

    def __init__(self, gate: Gate) -> None:
        self.pending = False
        self.sent_before: list[int] = []
        self._gate = gate

    def commit(self) -> None:
        self.pending = False
        self.sent_before.append(len(self._gate.taken))


# --- over a socket ---------------------------------------------------------------------------------


def silent(_receiver: Any, _message: Any) -> None:
    """The test answers by hand."""


async def slow_modern(front: Front, request_id: str) -> Wire:
    message = call("tools/call", request_id, _meta=ENVELOPE, name="t")
    return await front.open("POST", "/mcp", message, mcp_protocol_version=MODERN)


async def test_a_modern_client_that_does_not_read_is_cut_and_its_request_cancelled() -> None:
    async with serving() as front:
        front.door.script = silent
        await slow_modern(front, "slow")
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        [world] = front.door.worlds
        number = world.heard[0]["id"]
        # Until the system takes no more of it either: that is not full for a moment only.
        quiet = 0
        while quiet < 50:
            quiet = quiet + 1 if world.client.full else 0
            if not quiet:
                world.notify("notifications/progress", number, data="x" * 50_000)
            await asyncio.sleep(0)
        front.clock.pass_by(STALL_SECONDS)
        assert not world.client.full
        assert world.cancelled == []
        other = await slow_modern(front, "other")
        await front.door.until(lambda: len(world.heard) == 2)
        world.reply(world.heard[1], "right")
        assert (await other.answer()).json["result"] == "right"
        for _ in range(40):
            world.notify("notifications/progress", number, data="x" * 50_000)
        await front.door.until(lambda: world.cancelled == [(number, "disconnected")])
        assert world.client.drained


async def test_a_large_answer_to_a_modern_client_that_reads_passes_and_holds_nobody_back() -> None:
    async with serving() as front:
        front.door.script = silent
        wire = await slow_modern(front, "big")
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        [world] = front.door.worlds
        world.reply(world.heard[0], "x" * 16_000_000)
        await asyncio.sleep(0)
        assert not world.client.full
        assert not world.client.drained
        assert (await wire.answer()).json["result"] == "x" * 16_000_000
        await settled(lambda: world.client.drained)
        assert world.cancelled == []


async def test_a_large_answer_that_nobody_reads_is_let_go() -> None:
    async with serving() as front:
        front.door.script = silent
        await slow_modern(front, "big")
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        [world] = front.door.worlds
        world.reply(world.heard[0], "x" * 16_000_000)
        for _ in range(50):
            await asyncio.sleep(0)
        front.clock.pass_by(STALL_SECONDS)
        front.clock.pass_by(STALL_SECONDS)
        await settled(lambda: world.client.drained)
        await settled(lambda: not front.server._connections.open)


async def test_open_streams_say_so_in_time_with_one_timer_and_those_that_ended_do_not() -> None:
    clock, gates, turn = HeldClock(), (Gate(), Gate()), Turn(asyncio.get_running_loop())
    beats = StreamTimer(clock)
    for gate in gates:
        gate.open()
    first, second = (
        HttpAnswer(
            HttpRequest(
                gate,
                "GET",
                "/mcp",
                b"",
                {},
                None,
                in_use=NOBODYS,
                keep_alive=False,
                chunks=False,
                expects=False,
            ),
            turn,
            beats,
            SessionBacklog(),
        )
        for gate in gates
    )
    first.open()
    second.open()
    await settled(lambda: not turn.unsent)
    assert len(clock.timers) == 1
    heads = [b"".join(gate.taken) for gate in gates]
    second.end()
    for gate in gates:
        gate.open()
    clock.pass_by(BEAT_SECONDS)
    await settled(lambda: not turn.unsent)
    assert [b"".join(gate.taken) for gate in gates] == [heads[0] + b":\n\n", heads[1]]
    first.drop()
    clock.pass_by(BEAT_SECONDS)
    assert not clock.timers
    second = HttpAnswer(second._request, turn, beats, SessionBacklog())
    second.open()
    assert len(clock.timers) == 1


def test_a_beat_is_later_than_a_stall() -> None:
    assert BEAT_SECONDS > STALL_SECONDS  # Else a beat would hide a lost wake-up.
