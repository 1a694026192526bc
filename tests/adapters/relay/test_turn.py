"""Bytes in and out of descriptors: cut anywhere, blocked, ended, broken."""

from __future__ import annotations

import asyncio
import os
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import (
    BYTES_A_TURN,
    FULL_BYTES,
    MESSAGES_A_TURN,
    SEVERAL,
    Link,
    Turn,
    own_descriptor,
)
from mcpguard.core.redaction.redactor import AT_ONCE, Redactor
from mcpguard.gateway.inspection.inspector import InspectionBatch
from mcpguard.protocol.jsonrpc import Oversize

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

SECONDS = 20


class Wire:
    """A link on two pipes, and the other ends of them."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.lines: list[Any] = []
        self.ended = asyncio.Event()
        self.came = asyncio.Event()
        self.turn = Turn(asyncio.get_running_loop())
        reading, self.give = os.pipe()
        self.take, writing = os.pipe()
        for fd in (reading, writing, self.take):
            os.set_blocking(fd, False)
        self.link = Link(self.turn, reading, writing, limit, self._line, self.ended.set)

    def _line(self, line: bytes | Oversize) -> None:
        self.lines.append(line)
        self.came.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.lines) < count:
                self.came.clear()
                await self.came.wait()

    async def taken(self, count: int) -> bytes:
        data = b""
        async with asyncio.timeout(SECONDS):
            while len(data) < count:
                try:
                    data += os.read(self.take, 1 << 20)
                except BlockingIOError:
                    await asyncio.sleep(0)
        return data


async def passes() -> None:
    """Let the loop run long enough that whatever could happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_lines_come_in_order_however_many_there_are_in_one_read() -> None:
    wire = Wire()
    os.write(wire.give, b"".join(b"%d\n" % number for number in range(500)))
    await wire.wait(500)
    assert wire.lines == [b"%d" % number for number in range(500)]
    wire.link.close()


async def test_what_is_sent_to_a_reader_that_stalls_is_kept_whole_and_in_order() -> None:
    wire = Wire()
    sent = [b"%d " % number + b"x" * 5000 + b"\n" for number in range(300)]
    wire.link.send(b"first\n")
    await wire.taken(len(b"first\n"))
    assert not wire.turn.strained
    for line in sent:
        wire.link.send(line)
    await asyncio.sleep(0)
    assert wire.turn.strained
    assert wire.link.full
    assert wire.link.unsent > FULL_BYTES
    assert await wire.taken(sum(map(len, sent))) == b"".join(sent)
    await asyncio.sleep(0)
    assert not wire.link.full
    wire.link.close()


async def test_a_paused_link_reads_nothing_and_loses_nothing() -> None:
    wire = Wire()
    wire.link.pause()
    os.write(wire.give, b"a\nb\n")
    await passes()
    assert wire.lines == []
    wire.link.resume()
    await wire.wait(2)
    wire.link.close()


async def test_a_link_paused_in_the_middle_of_a_read_goes_on_where_it_was() -> None:
    wire = Wire()
    os.write(wire.give, b"".join(b"%d\n" % number for number in range(200)))
    await wire.wait(1)
    wire.link.pause()
    seen = len(wire.lines)
    await passes()
    assert len(wire.lines) == seen < 200
    wire.link.resume()
    await wire.wait(200)
    wire.link.close()


async def test_after_the_end_of_input_answers_still_leave() -> None:
    wire = Wire()
    os.write(wire.give, b"last")
    os.close(wire.give)
    async with asyncio.timeout(SECONDS):
        await wire.ended.wait()
    assert wire.lines == [b"last"]
    wire.link.send(b"answer\n")
    assert await wire.taken(7) == b"answer\n"
    wire.link.close()
    wire.link.close()


async def test_a_reader_that_is_gone_ends_the_link_once() -> None:
    wire = Wire()
    os.close(wire.take)
    wire.link.send(b"x\n")
    async with asyncio.timeout(SECONDS):
        await wire.ended.wait()
    wire.link.send(b"nobody is there\n")
    assert wire.link.unsent == 0
    wire.link.close()


async def test_a_line_over_the_limit_is_told_and_the_next_one_is_right() -> None:
    wire = Wire(limit=1000)
    os.write(wire.give, b"y" * 5000 + b"\nnext\n")
    await wire.wait(2)
    assert isinstance(wire.lines[0], Oversize)
    assert wire.lines[1] == b"next"
    wire.link.close()


@pytest.mark.parametrize("end", [False, True], ids=["it goes on", "it ends"])
async def test_a_defect_behind_one_line_is_reported_and_the_lines_after_it_go_on(end: bool) -> None:
    wire = Wire()
    reported: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(type(context["exception"]).__name__))
    keep = wire.link._on_line

    def fragile(line: bytes | Oversize) -> None:
        keep(line)
        if line in (b"1", b"3"):
            raise TypeError("a value that nobody may see")

    wire.link._on_line = fragile
    os.write(wire.give, b"1\n2\n3\n4\n")
    await wire.wait(4)
    os.write(wire.give, b"5\n")
    await wire.wait(5)
    assert wire.lines == [b"1", b"2", b"3", b"4", b"5"]
    assert reported == ["TypeError", "TypeError"]
    if end:
        os.write(wire.give, b"3")
        os.close(wire.give)
        async with asyncio.timeout(SECONDS):
            await wire.ended.wait()
    wire.link.close()


async def test_a_regular_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(20_000)))
    lines: list[Any] = []
    ended = asyncio.Event()
    with path.open("rb") as file, (tmp_path / "out").open("wb") as out:
        turn = Turn(asyncio.get_running_loop())
        reading, writing = own_descriptor(file.fileno(), False), own_descriptor(out.fileno(), True)
        link = Link(turn, reading, writing, 1000, lines.append, ended.set)
        async with asyncio.timeout(SECONDS):
            await ended.wait()
        link.send(b"done\n")
        await asyncio.sleep(0)
        link.close()
    assert len(lines) == 20_000
    assert (tmp_path / "out").read_bytes() == b"done\n"


def test_an_owned_pipe_leaves_the_flags_of_the_shared_one_alone() -> None:
    reading, writing = os.pipe()
    own = own_descriptor(reading, False)
    assert not os.get_blocking(own)
    assert os.get_blocking(reading)
    for fd in (own, reading, writing):
        os.close(fd)


def test_an_owned_socket_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    own = own_descriptor(ours.fileno(), True)
    assert not os.get_blocking(own)
    os.close(own)
    ours.close()
    theirs.close()


async def test_nothing_leaves_while_a_record_waits_for_its_commit() -> None:
    order: list[str] = []

    class Ledger:
        pending = True

        def commit(self) -> None:
            order.append("commit")
            self.pending = False

    class Flushable:
        def flush(self) -> None:
            order.append("flush")

    turn = Turn(asyncio.get_running_loop())
    turn.ledger = Ledger()
    turn.balance = lambda: order.append("balance") is not None
    turn.strained = True
    turn.inside = True
    turn.touch(Flushable())
    turn.end()
    assert order == ["commit", "flush", "balance"]
    turn.end()
    assert order == ["commit", "flush", "balance"], "nothing is strained any more"


@pytest.mark.parametrize(("messages", "several"), [(SEVERAL - 1, False), (SEVERAL, True)])
async def test_what_came_together_is_inspected_together_before_anything_is_committed(
    messages: int, several: bool
) -> None:
    order: list[str] = []
    wire = Wire()
    together = wire.turn.together = InspectionBatch(Redactor(b"k" * 32))

    class Ledger:
        pending = False

        def commit(self) -> None:
            self.pending = False
            order.append("commit")

    def line(_line: object) -> None:
        ledger.pending = True
        order.append(f"line {together.several}")
        together.clean({}).then(lambda _wait: order.append("inspected"))
        wire.came.set()

    wire.turn.ledger = ledger = Ledger()
    wire.link._on_line = line
    os.write(wire.give, b"x\n" * messages)
    await wire.came.wait()
    await passes()
    assert order == [*[f"line {several}"] * messages, *["inspected"] * messages, "commit"]
    assert not together.several
    wire.link.close()


async def test_a_large_message_is_not_inspected_with_those_that_came_with_it() -> None:
    wire = Wire()
    together = wire.turn.together = InspectionBatch(Redactor(b"k" * 32))
    found: list[tuple[int, bool]] = []

    def line(line: bytes) -> None:
        found.append((len(line), together.several))
        if len(found) == SEVERAL:
            wire.came.set()

    wire.link._on_line = line  # type: ignore[assignment]
    os.write(wire.give, b"y" * (AT_ONCE + 1) + b"\n" + b"x\n" * (SEVERAL - 1))
    await wire.came.wait()
    assert found == [(AT_ONCE + 1, False), *[(1, True)] * (SEVERAL - 1)]
    wire.link.close()


async def test_a_turn_is_ended_even_if_a_handler_fails() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    wire = Wire()

    def broken(_line: object) -> None:
        raise ZeroDivisionError

    wire.link._on_line = broken
    os.write(wire.give, b"x\n")
    await passes()
    wire.link.send(b"still works\n")
    assert await wire.taken(12) == b"still works\n"
    wire.link.close()


@pytest.mark.parametrize("write", [False, True])
def test_a_device_can_be_owned_too(write: bool) -> None:
    with open(os.devnull, "r+b") as null:
        os.close(own_descriptor(null.fileno(), write))


@pytest.mark.parametrize("line", [b"x\n", b"y" * 1000 + b"\n", b"z" * 8000 + b"\n"])
async def test_of_a_flood_one_turn_handles_a_little(line: bytes) -> None:
    wire = Wire()
    at_end: list[int] = []
    wire.turn.end = lambda: at_end.append(len(wire.lines))  # type: ignore[method-assign]
    count = 60_000 // len(line)
    os.write(wire.give, line * count)
    await wire.wait(count)
    handled = [now - before for before, now in pairwise([0, *at_end])]
    assert max(handled) <= MESSAGES_A_TURN
    assert max(handled) * len(line) < BYTES_A_TURN + 2 * len(line)
    wire.link.close()
