"""Listens for clients over HTTP, in the loop that runs already.

Law of this file: it installs no signal handler, prints nothing, and says no exception text (law 2).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from mcpguard.adapters.transports.http.connection import Connections, HttpConnection
from mcpguard.adapters.transports.http.endpoint import Endpoint
from mcpguard.adapters.transports.http.shortage import Shortage

HEAD_SECONDS = 30.0
"""How long the head of a request may take, a new connection may stay silent, and the rest may take of a
request that was answered already."""
GRACE_SECONDS = 2.0
"""How long answers may take to go out once every world has ended."""

MOST_CONNECTIONS = 1000
"""So many connections are served at once."""


class HttpServer:
    """Listens, and serves `endpoint` on every connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        report: Callable[[str, str], None],
        head_seconds: float = HEAD_SECONDS,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """`report("", sentence)` tells the operator of a defect, without any text of its exception. `most`
        connections are served at once."""
        self._endpoint = endpoint
        self._connections = Connections(endpoint, lambda said: report("", said), head_seconds, most)
        self._shortage = Shortage(report)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on this address; gives it with the port that the system chose for 0. Raises OSError
        where the address is unavailable."""
        listening = _bound(host, port)
        self._shortage.watch(asyncio.get_running_loop())
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(self._connections), sock=listening
        )
        bound = listening.getsockname()
        return str(bound[0]), int(bound[1])

    async def close(self, gently: bool) -> None:
        """Accept nobody more, end every world, let the answers go out for a moment, and cut the rest."""
        if self._listener is not None:
            self._listener.close()
        await self._endpoint.close(gently)
        for connection in list(self._connections.open):
            connection.finish()
        if self._connections.tasks:
            await asyncio.wait(set(self._connections.tasks), timeout=GRACE_SECONDS)
        for connection in list(self._connections.open):
            connection.cut()
        self._shortage.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; without that, each answer that is
    # written in two pieces takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
