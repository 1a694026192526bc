"""The order in which messages are posted, and what becomes of a defect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.session.open_requests import FULL_BYTES
from mcpguard.adapters.upstreams.wires.outbox import Outbox, OutgoingMessage
from tests.adapters.upstreams.http_stage import READY, request

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(20, func_only=True),
    pytest.mark.usefixtures("no_task_left"),
]


class Post:
    """Begins posts and lets the test say how they go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.changed = asyncio.Event()
        self.written = asyncio.Event()
        self.release = asyncio.Event()
        self.turn = Turn(asyncio.get_running_loop())
        self.outbox = Outbox(self.turn, self)

    async def __call__(self, letter: OutgoingMessage) -> None:
        self.begun.append(letter.method)
        self.changed.set()
        await self.written.wait()
        self.outbox.sent(letter)
        await self.release.wait()

    async def until(self, count: int) -> None:
        """Wait until so many were begun."""
        while len(self.begun) < count:
            self.changed.clear()
            await self.changed.wait()


async def test_requests_go_side_by_side_and_a_notification_after_they_are_written() -> None:
    post = Post()
    for message in (request(1, "a"), request(2, "b"), READY, request(3, "c")):
        post.outbox.put(OutgoingMessage(message, None))
    await post.until(2)
    assert post.begun == ["a", "b"]
    assert post.outbox.unsent > 0
    post.written.set()
    await post.until(3)
    assert post.begun == ["a", "b", "notifications/initialized"]
    post.release.set()
    await post.until(4)
    assert post.begun[-1] == "c"
    await post.outbox.close()
    assert post.outbox.unsent == 0


async def test_what_waits_can_be_dropped_and_nothing_leaves_after_the_end() -> None:
    post = Post()
    for message in (READY, request(1, "a"), request(2, "b")):
        post.outbox.put(OutgoingMessage(message, None))
    await post.until(1)
    post.outbox.drop(1)
    post.written.set()
    post.release.set()
    await post.until(2)
    assert post.begun == ["notifications/initialized", "b"]
    await post.outbox.close()
    post.outbox.put(OutgoingMessage(READY, None))
    post.outbox.flush()
    assert post.outbox.unsent == 0


async def test_a_defect_is_told_to_the_loop_and_the_next_message_still_goes() -> None:
    told: list[dict[str, Any]] = []
    heard, done = asyncio.Event(), asyncio.Event()

    def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(context)
        heard.set()

    async def post(letter: OutgoingMessage) -> None:
        if letter.method == "a":
            raise ZeroDivisionError
        done.set()

    asyncio.get_running_loop().set_exception_handler(tell)
    outbox = Outbox(Turn(asyncio.get_running_loop()), post)
    outbox.put(OutgoingMessage(request(1, "a"), None))
    await heard.wait()
    assert isinstance(told[0]["exception"], ZeroDivisionError)
    outbox.put(OutgoingMessage(request(2, "b"), None))
    await done.wait()
    await outbox.close()


async def test_flow_control_looks_once_a_great_deal_is_not_sent() -> None:
    post = Post()
    post.outbox.put(OutgoingMessage(request(1, "a" * (FULL_BYTES // 2)), None))
    assert not post.turn.strained
    post.outbox.put(OutgoingMessage(request(2, "b" * (FULL_BYTES // 2)), None))
    assert post.turn.strained
    post.written.set()
    post.release.set()
    await post.until(2)
    await post.outbox.close()
