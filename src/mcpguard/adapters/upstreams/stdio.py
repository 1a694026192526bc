"""An upstream over stdio: started when first asked, greeted, and then a table of open requests.

Law of this file: it sends a request only for a `Permit`, and resolves each with exactly one answer: the
upstream's, or one clear error when the upstream is gone. What the upstream says is handed on raw; the
gateway inspects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.link import Link
from mcpguard.adapters.turn import Turn
from mcpguard.adapters.upstreams.environment import Environment
from mcpguard.adapters.upstreams.process import Child, Nursery, exit_status
from mcpguard.adapters.upstreams.stderr import LINE_BYTES, StderrLines
from mcpguard.core.errors import McpGuardError, MessageError, UpstreamError
from mcpguard.core.model import Json, Permit
from mcpguard.flight import Wait, as_future
from mcpguard.ports import Raw
from mcpguard.protocol import jsonrpc, lifecycle
from mcpguard.protocol.framing import Oversize

RETRY_SECONDS = 2.0
"""A failed upstream is tried again by the first request that comes later than this."""
MAX_OPEN = 1024
"""Open requests above which the client is not read."""

Progress = Callable[[Json], None]


class Launch(Struct, frozen=True):
    """How to start one upstream. `start_seconds` bounds start and greeting together."""

    command: str
    args: tuple[str, ...]
    cwd: str | None
    environment: Environment
    start_seconds: float
    message_bytes: int


class Open(Struct):
    """A request that waits for its answer."""

    wait: Wait[Raw]
    progress: Progress | None


class StdioUpstream:
    """One upstream process; implements `ports.Upstream`."""

    def __init__(
        self,
        name: str,
        launch: Launch,
        turn: Turn,
        nursery: Nursery,
        version: Callable[[], str],
        notified: Callable[[str, str, dict[str, Json]], None],
        report: Callable[[str, str], None],
        clean: Callable[[str], str],
    ) -> None:
        """`version` is the protocol revision to greet with; `notified(name, method, params)` takes
        notifications that belong to no request; `report(name, line)` takes the operator's lines; `clean` takes out of
        a text what must not be seen."""
        self.name = name
        self.running = False
        self._launch = launch
        self._turn = turn
        self._nursery = nursery
        self._version = version
        self._notified = notified
        self._report = report
        self._clean = clean
        self._link: Link | None = None
        self._child: Child | None = None
        self._stderr: StderrLines | None = None
        self._life: asyncio.Task[None] | None = None
        self._problem = ""
        self._failed_at = float("-inf")
        self._dying = False
        self._closing = False
        self._gently = True
        self._ids = 0
        self._open: dict[int, Open] = {}
        self._queue: list[tuple[int, bytes]] = []

    # --- ports.Upstream --------------------------------------------------------------------------

    def request(self, permit: Permit, progress: Progress | None = None) -> Wait[Raw]:
        """See `ports.Upstream.request`."""
        wait: Wait[Raw] = Wait()
        if self._dying if self._life is not None else not self._may_start():
            wait.fail(UpstreamError(self._problem))
            return wait
        params = permit.invocation.params or {}
        self._ids += 1
        if progress is not None:
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": self._ids}}
        self._open[self._ids] = Open(wait, progress)
        line = jsonrpc.request_line(self._ids, permit.invocation.method, params)
        if self.running:
            self._send(line)
        else:
            self._queue.append((self._ids, line))
        return wait

    def _send(self, *parts: bytes) -> None:
        if self._link is not None:
            self._link.send(*parts)

    def cancel(self, wait: Wait[Raw], reason: str) -> None:
        """See `ports.Upstream.cancel`."""
        for request_id, request in self._open.items():
            if request.wait is wait:
                del self._open[request_id]
                if self.running and self._link is not None:
                    params = {"requestId": request_id, "reason": reason}
                    self._link.send(
                        jsonrpc.notification_line("notifications/cancelled", jsonrpc.encode(params))
                    )
                self._queue = [queued for queued in self._queue if queued[0] != request_id]
                return

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the client should wait."""
        return len(self._open) >= MAX_OPEN or (self._link is not None and self._link.full)

    def hold(self, on: bool) -> None:
        """Read nothing more from this upstream, or read again."""
        if self._link is not None:
            self._link.hold(on)

    # --- one life of the process -----------------------------------------------------------------

    def _may_start(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._closing or now - self._failed_at < RETRY_SECONDS:
            return False
        self._dying = False
        self._life = asyncio.create_task(self._live())
        return True

    async def _live(self) -> None:
        """Start, greet, wait for the end of the link, and end whatever is left of the group."""
        problem = f"upstream '{self.name}' has ended"
        try:
            async with asyncio.timeout(self._launch.start_seconds):
                link, over = await self._spawn()
                await self._greet(link, over)
            await over
        except McpGuardError as refusal:
            problem = f"upstream '{self.name}' is not available: {refusal}"
        except TimeoutError:
            seconds = self._launch.start_seconds
            problem = f"upstream '{self.name}' did not answer initialize within {seconds:g} seconds"
        except asyncio.CancelledError:
            problem = "mcpguard is ending"  # From `close`, while starting.
        await self._bury(problem)

    async def _spawn(self) -> tuple[Link, asyncio.Future[None]]:
        launch = self._launch
        env = await launch.environment.resolve()
        child = self._nursery.start(launch.command, launch.args, env, launch.cwd)
        self._child = child
        self._stderr = StderrLines(child.stderr, self._clean, lambda line: self._report(self.name, line))
        over: Wait[None] = Wait()
        limit = launch.message_bytes
        ended = partial(over.set, None)
        self._link = Link(self._turn, child.stdout, child.stdin, limit, self._received, ended)
        return self._link, as_future(over)

    async def _greet(self, link: Link, over: asyncio.Future[None]) -> None:
        wait: Wait[Raw] = Wait()
        self._ids += 1
        self._open[self._ids] = Open(wait, None)
        params = lifecycle.initialize_params(self._version(), "mcpguard", __version__)
        link.send(jsonrpc.request_line(self._ids, "initialize", params))
        answered = as_future(wait)
        both: tuple[asyncio.Future[Any], ...] = (answered, over)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            raise UpstreamError("it ended before it answered initialize")
        result = answered.result().message.get("result")
        if type(result) is not dict or result.get("protocolVersion") not in lifecycle.LEGACY_VERSIONS:
            raise UpstreamError("it refused initialize or speaks no protocol revision that mcpguard knows")
        link.send(jsonrpc.notification_line("notifications/initialized", b"{}"))
        self.running = True
        queue, self._queue = self._queue, []
        for _request_id, line in queue:
            link.send(line)

    async def _bury(self, problem: str) -> None:
        """Answer whoever waits, then leave no process of the group alive."""
        self.running = False
        self._dying = True
        child, link = self._child, self._link
        if child is not None:
            problem += await self._last_words(child)
        self._problem = problem
        self._failed_at = asyncio.get_running_loop().time()
        waiting, self._open, self._queue = self._open, {}, []
        for request in waiting.values():
            request.wait.fail(UpstreamError(problem))
        self._turn.touch()
        if link is not None:
            link.close()
        if child is not None:
            await self._nursery.end(child, self._gently)
        if self._stderr is not None:
            self._stderr.close()
        self._child = self._link = self._life = None

    async def _last_words(self, child: Child) -> str:
        if self._closing:
            return ""
        status = await exit_status(child)
        last = self._stderr.last if self._stderr is not None else ""
        ended = "" if status is None else f" (exit status {status})"
        return f"{ended}; it last said: {last}" if last else ended

    async def close(self, gently: bool) -> None:
        """End the upstream and everything that it started; `gently` lets it end by itself first."""
        self._closing = True
        self._gently = gently
        life = self._life
        if life is None:
            return
        if self.running and self._link is not None:
            self._link.close()
        elif not self._dying:
            life.cancel()
        await asyncio.wait([life])

    # --- what it says ----------------------------------------------------------------------------

    def _received(self, line: bytes | Oversize) -> None:
        if isinstance(line, Oversize):
            self._report(self.name, "a message over the limit was dropped")
            self._fail_oversize(line)
            return
        try:
            message = jsonrpc.parse(line)
        except MessageError:
            self._report(
                self.name, f"not a JSON-RPC message on its standard output, dropped: {self._shown(line)}"
            )
            return
        method = message.get("method")
        if method is None:
            request = self._open.pop(message["id"], None) if type(message["id"]) is int else None
            if request is not None:
                request.wait.set(Raw(message, len(line)))
        elif "id" in message:
            self._asked(message["id"], method)
        elif method == "notifications/progress":
            self._progressed(message.get("params", {}))
        else:
            self._notified(self.name, method, message.get("params", {}))

    def _shown(self, line: bytes) -> str:
        """The first characters of a line, inspected before it is cut: half a secret is not found."""
        if len(line) > LINE_BYTES:
            return f"{len(line)} bytes"
        return self._clean(line.decode("utf-8", "replace"))[:200]

    def _asked(self, request_id: int | str, method: str) -> None:
        if method == "ping":
            self._send(*jsonrpc.result_line(request_id, b"{}"))
        else:
            refusal = {"code": jsonrpc.METHOD_NOT_FOUND, "message": "not served by mcpguard"}
            self._send(jsonrpc.error_line(request_id, jsonrpc.encode(refusal)))

    def _progressed(self, params: dict[str, Json]) -> None:
        token = params.get("progressToken")
        request = self._open.get(token) if type(token) is int else None
        if request is not None and request.progress is not None:
            request.progress(params)

    def _fail_oversize(self, line: Oversize) -> None:
        request_id = jsonrpc.id_in_head(line.head)
        request = None if request_id is None else self._open.pop(request_id, None)
        if request is not None:
            limit = self._launch.message_bytes
            request.wait.fail(
                UpstreamError(f"upstream '{self.name}' answered with more than {limit} bytes; it was dropped")
            )
