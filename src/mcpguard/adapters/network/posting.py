"""Posting from a thread, for what is not on the path of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from mcpguard.adapters.network.outbound import Outbound
from mcpguard.core.errors import UpstreamError

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""


class PostAnswer(Struct, frozen=True):
    """An answer to a post. `body` has no more than MOST_ANSWER bytes; `retry_after` is that header, ""
    without one."""

    status: int
    body: bytes
    retry_after: str


class NotInTime(UpstreamError):
    """Nothing was answered in the time that there was."""


class Poster:
    """Posts to one origin and keeps its connection for a few seconds. For one thread, which has no loop."""

    def __init__(self, url: str) -> None:
        self._named = frozenset((urlsplit(url).hostname or "",))
        self._loop = asyncio.new_event_loop()
        self._outbound: Outbound | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> PostAnswer:
        """The answer. Raises UpstreamError, with the rest of a sentence that begins with the URL; NotInTime
        where it took longer than `seconds`."""
        return self._loop.run_until_complete(self._post(url, headers, body, seconds))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> PostAnswer:
        if self._outbound is None:
            self._outbound = Outbound(self._named)
        try:
            async with asyncio.timeout(seconds):
                exchange = await self._outbound.request("POST", url, headers, body)
                try:
                    retry_after = exchange.header("Retry-After") or ""
                    return PostAnswer(exchange.status, await exchange.body(MOST_ANSWER) or b"", retry_after)
                finally:
                    exchange.close()
        except TimeoutError:
            raise NotInTime(f"did not answer within {seconds:g} seconds") from None

    def close(self) -> None:
        if self._outbound is not None:
            self._loop.run_until_complete(self._outbound.close())
        self._loop.close()
