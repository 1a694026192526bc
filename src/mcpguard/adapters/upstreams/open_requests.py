"""The open requests of one upstream.

Law of this file: each is resolved once, by the first answer with its id: an answer that cannot be used is a
clear error, never a caller who waits for ever. Whatever belongs to no open request changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json
from mcpguard.flight import Wait
from mcpguard.ports import Raw, RequestId
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.framing import Oversize

Progress = Callable[[Json], None]


class _Open(Struct):
    wait: Wait[Raw]
    progress: Progress | None
    timer: asyncio.TimerHandle | None = None


class OpenRequests:
    """A table from our own ids, which count up, to who waits."""

    def __init__(self, server: str, limit: int) -> None:
        """`server` is named in errors; `limit` is that of a message, in bytes."""
        self._server = server
        self._limit = limit
        self._last = 0
        self._open: dict[int, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, wait: Wait[Raw], progress: Progress | None = None) -> int:
        """A new request; gives its id."""
        self._last += 1
        self._open[self._last] = _Open(wait, progress)
        return self._last

    def limit_time(self, request_id: int, method: str, seconds: float, then: Callable[[], None]) -> None:
        """Fail it after `seconds`, and call `then`, unless it is answered before."""

        def expire() -> None:
            self._fail(request_id, f"did not answer {method} within {seconds:g} seconds")
            then()

        self._open[request_id].timer = asyncio.get_running_loop().call_later(seconds, expire)

    def answered(self, message: dict[str, Json], size: int) -> None:
        """Take a JSON-RPC response of `size` bytes."""
        if not _is_answer(message):
            self.broken(message["id"])
            return
        request = self._pop(message["id"])
        if request is not None:
            request.wait.set(Raw(message, size))

    def broken(self, request_id: RequestId | None) -> None:
        """Take what has this id and is no response."""
        self._fail(request_id, "answered with something that is no JSON-RPC response")

    def oversize(self, line: Oversize) -> None:
        """Take a message that was too long to be kept."""
        request_id = jsonrpc.id_of_dropped(line.head, line.tail)
        self._fail(request_id, f"answered with more than {self._limit} bytes; it was dropped")

    def progressed(self, params: dict[str, Json]) -> None:
        """Take the params of a `notifications/progress`."""
        token = params.get("progressToken")
        request = self._open.get(token) if type(token) is int else None
        if request is not None and request.progress is not None:
            request.progress(params)

    def forget(self, wait: Wait[Raw]) -> int | None:
        """Nobody wants this answer any more; gives the id, None if it is not open."""
        for request_id, request in self._open.items():
            if request.wait is wait:
                self._pop(request_id)
                return request_id
        return None

    def fail_all(self, problem: str) -> None:
        """There will be no more answers."""
        for request_id in list(self._open):
            request = self._pop(request_id)
            if request is not None:
                request.wait.fail(UpstreamError(problem))

    def _pop(self, request_id: RequestId | None) -> _Open | None:
        request = self._open.pop(request_id, None) if type(request_id) is int else None
        if request is not None and request.timer is not None:
            request.timer.cancel()
        return request

    def _fail(self, request_id: RequestId | None, what: str) -> None:
        request = self._pop(request_id)
        if request is not None:
            request.wait.fail(UpstreamError(f"upstream '{self._server}' {what}"))


def _is_answer(message: dict[str, Json]) -> bool:
    """Whether its result or error has the shape that MCP gives it."""
    if "error" not in message:
        return type(message["result"]) is dict
    error = message["error"]
    return type(error) is dict and type(error.get("code")) is int and type(error.get("message")) is str
