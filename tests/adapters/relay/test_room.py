"""Room for large messages: who waits, who goes on, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import os

import pytest

from mcpguard.adapters.relay.room import SMALL_BYTES, Room, WaitingReader
from mcpguard.adapters.relay.turn import Link, Turn

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

SECONDS = 20
LARGE = SMALL_BYTES + 1
MOST = 3 * LARGE


class Reading:
    """One that reads a large message, or is told to wait."""

    def __init__(self) -> None:
        self.halted = False
        self.told = asyncio.Event()

    def halt(self, on: bool) -> None:
        self.halted = on
        self.told.set()

    async def goes_on(self) -> None:
        async with asyncio.timeout(SECONDS):
            while self.halted:
                self.told.clear()
                await self.told.wait()


class Stage:
    """A room, and what is under way elsewhere."""

    def __init__(self) -> None:
        self.elsewhere = 0
        self.freed = 0
        self.room = Room(MOST, lambda: self.elsewhere, self._free)

    def _free(self) -> None:
        self.freed += 1


async def test_small_messages_never_wait_and_large_ones_do_where_there_is_no_room() -> None:
    stage, first, second, small = Stage(), Reading(), Reading(), Reading()
    stage.room.keeps(first, LARGE)
    stage.elsewhere = MOST
    stage.room.keeps(small, SMALL_BYTES)
    stage.room.keeps(second, LARGE)
    assert stage.room.full
    assert (first.halted, second.halted, small.halted) == (False, True, False)


async def test_the_first_goes_on_though_it_is_full_and_the_next_follows_it() -> None:
    stage, first, second = Stage(), Reading(), Reading()
    stage.elsewhere = MOST
    for size in (LARGE, 2 * LARGE, 9 * LARGE):
        stage.room.keeps(first, size)
        stage.room.keeps(second, LARGE)
    assert (first.halted, second.halted) == (False, True)
    stage.room.leaves(first)
    assert not second.halted
    assert stage.freed == 0
    stage.room.leaves(second)
    stage.room.leaves(second)
    assert stage.freed == 1


async def test_who_waits_goes_on_once_clients_have_taken_their_answers() -> None:
    stage, first, others = Stage(), Reading(), [Reading(), Reading()]
    stage.elsewhere = MOST
    for one in (first, *others):
        stage.room.keeps(one, LARGE)
    assert [one.halted for one in others] == [True, True]
    stage.elsewhere = 0
    for one in others:
        await one.goes_on()


async def test_one_that_makes_no_progress_gives_its_place_to_the_next() -> None:
    stage, stopped, others = Stage(), Reading(), [Reading(), Reading()]
    stage.elsewhere = MOST
    for one in (stopped, *others):
        stage.room.keeps(one, LARGE)
    for one in others:
        await one.goes_on()
        assert not stopped.halted
        stage.room.leaves(one)


async def test_a_message_that_is_given_up_while_it_waits_is_forgotten() -> None:
    stage, first, second = Stage(), Reading(), Reading()
    stage.elsewhere = MOST
    stage.room.keeps(first, LARGE)
    stage.room.keeps(second, LARGE)
    stage.room.leaves(second)
    assert not second.halted
    stage.room.leaves(first)
    assert stage.freed == 1


async def test_a_coroutine_waits_too_and_without_a_room_never() -> None:
    stage, first = Stage(), Reading()
    stage.elsewhere = MOST
    stage.room.keeps(first, LARGE)
    waiting = WaitingReader(stage.room)
    waits = asyncio.ensure_future(waiting.keeps(LARGE))
    await asyncio.sleep(0)
    assert not waits.done()
    stage.room.leaves(first)
    async with asyncio.timeout(SECONDS):
        await waits
    waiting.leaves()
    assert stage.freed == 1
    free = WaitingReader(None)
    await free.keeps(LARGE)
    free.leaves()


async def test_a_link_stops_in_a_large_message_and_flow_control_does_not_make_it_go_on() -> None:
    stage, first, came = Stage(), Reading(), asyncio.Event()
    stage.elsewhere = MOST
    stage.room.keeps(first, LARGE)
    reading, give = os.pipe()
    take, writing = os.pipe()
    for fd in (reading, writing, give):
        os.set_blocking(fd, False)
    lines: list[object] = []

    def line(one: object) -> None:
        lines.append(one)
        came.set()

    turn = Turn(asyncio.get_running_loop())
    link = Link(turn, reading, writing, 10 * LARGE, line, lambda: None, stage.room)
    message = b"x" * (2 * LARGE) + b"\n"
    left = memoryview(message)

    def fill() -> None:
        nonlocal left
        try:
            left = left[os.write(give, left) :]
        except BlockingIOError:
            pass

    for _ in range(50):
        fill()
        await asyncio.sleep(0)
    link.hold(True)
    link.hold(False)
    assert lines == []
    stage.room.leaves(first)
    async with asyncio.timeout(SECONDS):
        while not came.is_set():
            fill()
            await asyncio.sleep(0)
    assert lines == [message.rstrip()]
    assert stage.freed == 1
    link.close()
    os.close(give)
    os.close(take)
