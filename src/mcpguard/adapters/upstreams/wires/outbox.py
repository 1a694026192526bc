"""What waits to be posted over HTTP, and what is being posted.

Law of this file: requests go side by side, each in a task of its own; a notification or an answer goes
after every earlier request is written and before anything later is begun, as far as HTTP can order
them. One that hangs holds the others up for `ORDER_SECONDS` only.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.session.open_requests import FULL_BYTES
from mcpguard.core.model import Json, Listed
from mcpguard.protocol.jsonrpc import encode

ORDER_SECONDS = 5.0


class OutgoingMessage:
    """One message on its way. `request_id` is None for what gets no answer; `credential`: see `Wire.send`."""

    __slots__ = ("body", "credential", "message", "request_id", "target", "written")

    def __init__(self, message: dict[str, Json], target: Listed | None, credential: str = "") -> None:
        self.credential = credential
        self.message = message
        self.target = target
        self.body = encode(message)
        self.request_id: int | None = message["id"] if "method" in message and "id" in message else None
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def method(self) -> str:
        """The method, "a response" for an answer of ours."""
        method: str = self.message.get("method", "a response")
        return method


class Outbox:
    """The messages of one wire. `post` sends one, hears its answer, and deals with every failure; it
    calls `sent(outgoing)` once the body has left."""

    def __init__(self, turn: Turn, post: Callable[[OutgoingMessage], Coroutine[Any, Any, None]]) -> None:
        self.unsent = 0
        self._turn = turn
        self._post = post
        self._waiting: deque[OutgoingMessage] = deque()
        self._open: dict[OutgoingMessage, asyncio.Task[None]] = {}
        self._by_id: dict[int, OutgoingMessage] = {}
        self._background = Background("a message could not be posted")
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, outgoing: OutgoingMessage) -> None:
        """Take a message; it leaves at the end of the turn."""
        if self._closed:
            return
        self.unsent += len(outgoing.body)
        self._waiting.append(outgoing)
        self._turn.strained |= self.unsent > FULL_BYTES
        self._turn.touch(self)

    def flush(self) -> None:
        if self._sender is not None or self._closed:
            return
        while self._waiting and self._waiting[0].request_id is not None:
            self._begin(self._waiting.popleft())
        if self._waiting:
            self._sender = self._background.start(self._in_order())

    async def _in_order(self) -> None:
        while self._waiting:
            outgoing = self._waiting.popleft()
            if outgoing.request_id is not None:
                self._begin(outgoing)
                continue
            earlier = [other.written for other in self._open if not other.written.done()]
            if earlier:
                await asyncio.wait(earlier, timeout=ORDER_SECONDS)
            await asyncio.wait([self._begin(outgoing)], timeout=ORDER_SECONDS)
        self._sender = None

    def _begin(self, outgoing: OutgoingMessage) -> asyncio.Task[None]:
        task = self._background.start(self._post(outgoing))
        self._open[outgoing] = task
        if outgoing.request_id is not None:
            self._by_id[outgoing.request_id] = outgoing
        task.add_done_callback(partial(self._over, outgoing))
        return task

    def sent(self, outgoing: OutgoingMessage) -> None:
        """Its body has left."""
        if not outgoing.written.done():
            outgoing.written.set_result(None)
            self.unsent -= len(outgoing.body)

    def _over(self, outgoing: OutgoingMessage, task: asyncio.Task[None]) -> None:
        self.sent(outgoing)
        del self._open[outgoing]
        if outgoing.request_id is not None and self._by_id.get(outgoing.request_id) is outgoing:
            del self._by_id[outgoing.request_id]

    def drop(self, request_id: int) -> None:
        """Drop this request, sent or not."""
        outgoing = self._by_id.get(request_id)
        if outgoing is not None:
            self._open[outgoing].cancel()
        for waiting in [each for each in self._waiting if each.request_id == request_id]:
            self._waiting.remove(waiting)
            self.sent(waiting)

    async def close(self) -> None:
        """Drop everything; afterwards no task of it runs."""
        self._closed = True
        self._waiting.clear()
        await self._background.close()
