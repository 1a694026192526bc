"""Posting from a thread, for what is not on the path of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from mcpguard.adapters.network.outbound import Outbound
from mcpguard.core.errors import UpstreamError

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""


class Poster:
    """Posts to one origin and keeps its connection for a few seconds. For one thread, which has no loop."""

    def __init__(self, url: str) -> None:
        self._named = frozenset((urlsplit(url).hostname or "",))
        self._loop = asyncio.new_event_loop()
        self._outbound: Outbound | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> tuple[int, bytes]:
        """The status and the body of the answer, no more of it than `MOST_ANSWER`. Raises UpstreamError,
        with the rest of a sentence that begins with the URL."""
        return self._loop.run_until_complete(self._post(url, headers, body, seconds))

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> tuple[int, bytes]:
        if self._outbound is None:
            self._outbound = Outbound(self._named)
        try:
            async with asyncio.timeout(seconds):
                exchange = await self._outbound.request("POST", url, headers, body)
                try:
                    return exchange.status, await exchange.body(MOST_ANSWER) or b""
                finally:
                    exchange.close()
        except TimeoutError:
            raise UpstreamError(f"did not answer within {seconds:g} seconds") from None

    def close(self) -> None:
        """Close the connection."""
        if self._outbound is not None:
            self._loop.run_until_complete(self._outbound.close())
        self._loop.close()
