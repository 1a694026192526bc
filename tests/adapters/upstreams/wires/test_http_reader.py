"""An event stream is brought a little at a time, however much of it comes at once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import cast

import pytest

from mcpguard.adapters.network import Exchange
from mcpguard.adapters.relay.turn import BYTES_A_TURN, MESSAGES_A_TURN, Turn
from mcpguard.adapters.upstreams.wires.event_stream import EventStream
from mcpguard.adapters.upstreams.wires.http_reader import HttpReader
from tests.adapters.upstreams.http_stage import RecordingEar

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

ANSWER = b'data: {"jsonrpc":"2.0","id":7,"result":{}}\n\n'


class Chunks:
    """What an exchange gives, one chunk each time it is read, without ever waiting."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = [*chunks, b""]

    async def read(self) -> bytes:
        return self._chunks.pop(0)


def note(size: int) -> bytes:
    said = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%b"}}'
    return b"data: " + said % (b"x" * size) + b"\n\n"


@pytest.mark.parametrize("size", [0, 1000, 8000])
async def test_of_a_flood_in_one_chunk_one_turn_brings_a_little(size: int) -> None:
    turn = Turn(asyncio.get_running_loop())
    ear, at_end, end = RecordingEar(turn), list[int](), turn.end

    def ended() -> None:
        at_end.append(len(ear.heard))
        end()

    turn.end = ended  # type: ignore[method-assign]
    count = 60_000 // len(note(size))
    chunk = note(size) * count + ANSWER
    reader = HttpReader(turn, ear, 1_000_000)
    between: list[int] = []

    def other() -> None:
        between.append(len(ear.heard))
        asyncio.get_running_loop().call_soon(other)

    other()
    exchange = cast(Exchange, Chunks(chunk))
    assert await reader.stream(exchange, EventStream(1_000_000), 7)
    assert len(ear.heard) == count + 1
    for seen in (at_end, between):
        steps = [now - before for before, now in pairwise([0, *seen])]
        assert max(steps) <= MESSAGES_A_TURN
        assert max(steps) * len(note(size)) < BYTES_A_TURN + 3 * len(note(size))


async def test_what_comes_behind_the_answer_in_one_chunk_is_brought_too() -> None:
    turn = Turn(asyncio.get_running_loop())
    ear = RecordingEar(turn)
    reader = HttpReader(turn, ear, 1_000_000)
    chunk = ANSWER + note(10) * 100
    assert await reader.stream(cast(Exchange, Chunks(chunk)), EventStream(1_000_000), 7)
    assert len(ear.heard) == 101
