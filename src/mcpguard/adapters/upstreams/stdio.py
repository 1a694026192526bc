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
from mcpguard.adapters.upstreams.open_requests import OpenRequests, Progress
from mcpguard.adapters.upstreams.patience import Patience, exhausted
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


class Launch(Struct, frozen=True):
    """How to start one upstream. `start_seconds` bounds start and greeting together."""

    command: str
    args: tuple[str, ...]
    cwd: str | None
    environment: Environment
    start_seconds: float
    message_bytes: int


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
        notifications that belong to no request; `report(name, line)` takes the operator's lines; `clean`
        takes out of a text what must not be seen."""
        self.name = name
        self.running = False
        self._launch = launch
        self._turn = turn
        self._nursery = nursery
        self._version = version
        self._notified = notified
        self._report = report
        self._clean = clean
        self._patience = Patience(turn.touch)
        self._link: Link | None = None
        self._child: Child | None = None
        self._stderr: StderrLines | None = None
        self._life: asyncio.Task[None] | None = None
        self._problem = ""
        self._failed_at = float("-inf")
        self._dying = False
        self._closing = False
        self._gently = True
        self._open = OpenRequests(name, launch.message_bytes)
        self._queue: list[tuple[int, bytes]] = []
        self._prepared: dict[str, Permit] = {}

    # --- ports.Upstream --------------------------------------------------------------------------

    def request(self, permit: Permit, progress: Progress | None = None) -> Wait[Raw]:
        """See `ports.Upstream.request`."""
        wait: Wait[Raw] = Wait()
        if self._dying if self._life is not None else not self._may_start():
            wait.fail(UpstreamError(self._problem))
            return wait
        if exhausted(len(self._open), self._unsent):
            wait.fail(UpstreamError(f"upstream '{self.name}' does not answer, and takes no more requests"))
            return wait
        params = permit.invocation.params or {}
        method = permit.invocation.method
        request_id = self._open.add(wait, progress)
        if progress is not None:
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": request_id}}
        if method != "tools/call":  # A tool may take its time; a list that never comes holds up everybody's.
            seconds = self._launch.start_seconds * (1 if self.running else 2)
            self._open.limit_time(request_id, method, seconds, self._turn.touch)
        line = jsonrpc.request_line(request_id, method, params)
        if self.running:
            self._send(line)
        else:
            self._queue.append((request_id, line))
        return wait

    def prepare(self, permit: Permit) -> None:
        """See `ports.Upstream.prepare`."""
        self._prepared[permit.invocation.method] = permit
        if self.running:
            self.request(permit)

    def _send(self, *parts: bytes) -> None:
        if self._link is not None:
            self._link.send(*parts)

    def cancel(self, wait: Wait[Raw], reason: str) -> None:
        """See `ports.Upstream.cancel`."""
        request_id = self._open.forget(wait)
        if request_id is None:
            return
        if self.running:
            params = jsonrpc.encode({"requestId": request_id, "reason": reason})
            self._send(jsonrpc.notification_line("notifications/cancelled", params))
        self._queue = [queued for queued in self._queue if queued[0] != request_id]

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the client should wait."""
        return self._patience.holds(len(self._open), self._unsent)

    @property
    def _unsent(self) -> int:
        return 0 if self._link is None else self._link.unsent

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
        except OSError as error:
            problem = f"upstream '{self.name}' cannot be started: {error.strerror}"
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
        request_id = self._open.add(wait)
        params = lifecycle.initialize_params(self._version(), "mcpguard", __version__)
        link.send(jsonrpc.request_line(request_id, "initialize", params))
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
        for permit in self._prepared.values():
            self.request(permit)
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
        self._queue = []
        self._open.fail_all(problem)
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
            self._open.oversize(line)
            return
        try:
            message = jsonrpc.parse(line)
        except MessageError as problem:
            self._open.broken(problem.request_id)
            self._report(
                self.name, f"not a JSON-RPC message on its standard output, dropped: {self._shown(line)}"
            )
            return
        method = message.get("method")
        if method is None:
            self._open.answered(message, len(line))
        elif "id" in message:
            self._asked(message["id"], method)
        elif method == "notifications/progress":
            self._open.progressed(message.get("params", {}))
        else:
            self._notified(self.name, method, message.get("params", {}))

    def _shown(self, line: bytes) -> str:
        """The first characters of a line, inspected before it is cut: half a secret is not found."""
        if len(line) > LINE_BYTES:
            return f"{len(line)} bytes"
        return self._clean(line.decode("utf-8", "replace"))[:200]

    def _asked(self, request_id: int | str, method: str) -> None:
        if exhausted(0, self._unsent):
            return  # It asks and does not read.
        if method == "ping":
            self._send(*jsonrpc.result_line(request_id, b"{}"))
        else:
            refusal = {"code": jsonrpc.METHOD_NOT_FOUND, "message": "not served by mcpguard"}
            self._send(jsonrpc.error_line(request_id, jsonrpc.encode(refusal)))
