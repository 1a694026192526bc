"""Listens for clients over HTTP, in the loop that runs already.

Law of this file: it installs no signal handler, prints nothing, and says no exception text (law 2). The
address on the command line decided whether a token is needed, and which `Host` is served, so a socket that a
supervisor passes (sd_listen_fds(3)) is refused if it is bound to another one. Where no more files may be
open, asyncio tries again each second and reports each attempt, many times: the operator is told once, in a
sentence that says what to do.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from mcpguard.adapters.transports.http.connection import Connections, HttpConnection
from mcpguard.adapters.transports.http.endpoint import Endpoint

HEAD_SECONDS = 30.0
"""How long the head of a request may take, a new connection may stay silent, and the rest may take of a
request that was answered already."""
GRACE_SECONDS = 2.0
"""How long answers may take to go out once every world has ended."""

BACKLOG = 256
"""How many connections wait to be accepted, and no more than a quarter of those that are served: so many are
accepted in one turn before any is closed. A client that finds no room tries again after a second."""

QUIET_SECONDS = 60.0
"""How long the warning is not repeated."""

_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAID = (
    "new connections cannot be accepted: too many open files (or not enough memory); open connections "
    "continue. Raise the limit of open files (`ulimit -n`), or let fewer clients connect"
)


class HttpServer:
    """Listens, and serves `endpoint` on every connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        report: Callable[[str, str], None],
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        """`report("", sentence)` tells the operator of a defect, without any text of its exception."""
        self._backlog = max(1, min(BACKLOG, endpoint.quotas.connections // 4))
        self._endpoint = endpoint
        # As much as is kept of bodies that come in, half of it for clients that read nothing.
        unread = endpoint.intake.most // 2
        self._connections = Connections(endpoint, partial(report, ""), head_seconds, endpoint.quotas, unread)
        self._shortage = DescriptorShortage(report)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on this address; gives it with the port that the system chose for 0. Raises OSError
        where the address is unavailable."""
        listening = passed(host, port) or _bound(host, port)
        self._shortage.watch(asyncio.get_running_loop())
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(self._connections), sock=listening, backlog=self._backlog
        )
        bound = listening.getsockname()
        return str(bound[0]), int(bound[1])

    @property
    def listening(self) -> int | None:
        """The descriptor that clients connect to; None before `start`."""
        sockets = () if self._listener is None else self._listener.sockets
        return sockets[0].fileno() if sockets else None

    @property
    def unsent(self) -> int:
        """Bytes that clients have not taken yet."""
        return self._connections.unsent

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections.open)

    @property
    def closed(self) -> dict[str, int]:
        """How many were closed for others, by what they were: idle, or without a valid token."""
        return self._connections.unverified.closed

    def drain(self) -> None:
        """Refuse requests that would begin something, so that they are sent elsewhere; `/livez` and `/readyz`
        are answered still."""
        self._endpoint.worlds.drain()

    async def close(self, gently: bool) -> None:
        """Accept nobody more, end every world, let the answers go out for a moment, and cut the rest."""
        if self._listener is not None:
            self._listener.close()
        await self._endpoint.close(gently)
        for connection in list(self._connections.open):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                for connection in list(self._connections.open):
                    await connection.settled()
        for connection in list(self._connections.open):
            connection.cut()
        self._shortage.close()


class DescriptorShortage:
    """Stands before the exception handler of a loop, from `watch` to `close`."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        """`report("", sentence)` tells the operator."""
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._quiet_until = 0.0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at what this loop reports, from now on."""
        self._loop = loop
        self._before = loop.get_exception_handler()
        loop.set_exception_handler(self._take)

    def close(self) -> None:
        """Let the earlier handler stand alone again."""
        if self._loop is not None:
            self._loop.set_exception_handler(self._before)
            self._loop = None

    def _take(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Only a failed `accept` has a listening socket beside its error.
        if isinstance(error, OSError) and error.errno in _ERRORS and "socket" in context:
            if loop.time() >= self._quiet_until:
                self._quiet_until = loop.time() + QUIET_SECONDS
                self._report("", _SAID)
        elif self._before is not None:
            self._before(loop, context)
        else:
            loop.default_exception_handler(context)


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


_FIRST = 3
_NUMERIC = {"localhost": "127.0.0.1"}


def passed(host: str, port: int) -> socket.socket | None:
    """The socket, None where none was passed. Raises OSError where it is not one that listens on that
    address."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise OSError(errno.EINVAL, "more than one socket was passed")
    listening = socket.socket(fileno=_FIRST)
    listening.setblocking(False)
    listening.set_inheritable(False)
    wanted = (_NUMERIC.get(host, host), port)
    if listening.type != socket.SOCK_STREAM or listening.getsockname()[:2] != wanted:
        listening.close()
        raise OSError(errno.EADDRNOTAVAIL, "the socket that was passed is bound to another address")
    return listening
