"""The wire to an upstream over stdio: a process, one JSON-RPC message a line, and its standard error.

Source: specification 2026-07-28, basic/transports/stdio.
"""

import asyncio
import os
import signal
from collections.abc import Callable

from msgspec import Struct

from mcpguard.adapters.relay.turn import Link, Turn
from mcpguard.adapters.system.guarded import misread
from mcpguard.adapters.upstreams.process.child import Child, ChildProcesses, exit_status
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.process.own_folder import (
    OwnFolder,
    not_from_here,
    relative_arguments,
    relative_command,
)
from mcpguard.adapters.upstreams.process.stderr import LINE_BYTES, StderrLines
from mcpguard.adapters.upstreams.wires.wire import WireListener, too_many_values
from mcpguard.core.errors import MessageError, UpstreamError
from mcpguard.core.model import Json, Listed
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import Oversize

LAST_SECONDS = 0.5
"""How long after the end of the process its output usually has ended as well, and all of it is read."""


class Launch(Struct, frozen=True):
    """How to start one upstream; `message_bytes` bounds one message."""

    command: str
    args: tuple[str, ...]
    cwd: str | OwnFolder
    environment: Environment
    message_bytes: int


class StdioWire:
    """One process; implements `wire.Wire`."""

    last_status: int | None = None
    """See `wire.Wire`: a process has no HTTP status."""
    one_stream = True

    def __init__(
        self,
        listener: WireListener,
        launch: Launch,
        turn: Turn,
        children: ChildProcesses,
        report: Callable[[str], None],
        clean: Callable[[str], str],
    ) -> None:
        """`report(line)` takes the lines of its standard error; `clean` takes out of a text what must not
        be seen."""
        self._listener = listener
        self._launch = launch
        self._turn = turn
        self._children = children
        self._report = report
        self._clean = clean
        self._link: Link | None = None
        self._child: Child | None = None
        self._stderr: StderrLines | None = None
        self._folder: str | None = None
        self._batches = False
        self._greeted = False

    @property
    def held(self) -> bool:
        return self._link is not None and self._link.paused

    @property
    def unsent(self) -> int:
        return 0 if self._link is None else self._link.unsent

    async def open(self) -> None:
        """Start the process with its credentials. Raises UpstreamError, CredentialError or OSError."""
        launch = self._launch
        env = await launch.environment.resolve()
        child = self._child = self._children.start(launch.command, launch.args, env, self._start_folder())
        self._stderr = StderrLines(child.stderr, self._clean, self._report)
        limit = launch.message_bytes
        turn, ends = self._turn, (child.stdout, child.stdin)
        self._link = Link(turn, *ends, limit, self._received, self._listener.ended, turn.room)
        child.left = self._left

    def _left(self, failed: bool) -> None:
        asyncio.get_running_loop().call_later(LAST_SECONDS, self._listener.left, failed)

    def send(self, message: dict[str, Json], target: Listed | None = None, credential: str = "") -> int:
        if self._link is None:
            return 0
        line = jsonrpc.encode(message) + b"\n"
        self._link.send(line)
        return len(line)

    def greeted(self, version: str, modern: bool) -> None:
        self._batches = version in jsonrpc.BATCHED
        self._greeted = True

    def forget(self, request_id: int) -> bool:
        """See `wire.Wire.forget`: the upstream must be told."""
        return False

    def hold(self, on: bool) -> None:
        if self._link is not None:
            self._link.hold(on)

    async def last_words(self) -> str:
        """Its exit status and the last line of its standard error."""
        if self._child is None:
            return ""
        ended = _how_it_ended(await exit_status(self._child))
        if self._stderr is not None:
            await self._stderr.catch_up()
        last = self._stderr.last if self._stderr is not None else ""
        said = f"{ended}; it last said: {last}" if last else ended
        return f"{said}; {hint}" if (hint := self._hint()) else said

    async def close(self, gently: bool) -> None:
        """End the whole process group; see `ChildProcesses.end`."""
        if self._link is not None:
            self._link.close()
        if self._child is not None:
            await self._children.end(self._child, gently)
        if self._stderr is not None:
            self._stderr.close()
        if isinstance(self._launch.cwd, OwnFolder) and self._folder is not None:
            if said := self._launch.cwd.leave(self._folder):
                self._report(said)
            self._folder = None

    def _start_folder(self) -> str:
        launch = self._launch
        if not isinstance(launch.cwd, OwnFolder):
            return launch.cwd
        if relative_command(launch.command):
            said = misread(launch.command) or _not_from_here([f"the command '{launch.command}'"])
            raise UpstreamError(said)
        self._folder = launch.cwd.make()
        return self._folder

    def _hint(self) -> str:
        """Why it may have ended at its start: paths that lead nowhere from an empty folder."""
        launch = self._launch
        if self._greeted or not isinstance(launch.cwd, OwnFolder):
            return ""
        formal = {index for index, _path in relative_arguments(launch.args)}
        words = [
            f"'{self._clean(word)}'"
            for index, word in enumerate(launch.args)
            if index in formal or (not os.path.isabs(word) and os.path.lexists(word))
        ]
        return _not_from_here(words) if words else ""

    def _received(self, line: bytes | Oversize) -> None:
        if not isinstance(line, bytes):
            self._listener.oversize(line)
            return
        try:
            message = jsonrpc.parse(line)
        except jsonrpc.Batch as batch:
            self._several(batch, line)
        except MessageError as problem:
            self._broken(problem, line)
        else:
            self._listener.received(message, len(line))

    def _several(self, batch: jsonrpc.Batch, line: bytes) -> None:
        texts = batch.texts() if self._batches else []
        if not texts:
            self._broken(batch, line)
        for text in texts:
            try:
                self._listener.received(jsonrpc.parse(text), len(text))
            except MessageError as problem:
                self._broken(problem, text)

    def _broken(self, problem: MessageError, line: bytes) -> None:
        if isinstance(problem, jsonrpc.TooManyValues):
            too_many_values(self._listener, problem)
            return
        shown = line.decode("utf-8", "replace") if len(line) <= LINE_BYTES else f"{len(line)} bytes"
        said = "not a JSON-RPC message on its standard output, dropped"
        self._listener.broken(problem.request_id, said, shown, str(problem))


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return ""
    if status >= 0:
        return f" (exit status {status})"
    try:
        return f" (it was killed by {signal.Signals(-status).name})"
    except ValueError:
        return f" (it was killed by signal {-status})"


def _not_from_here(words: list[str]) -> str:
    return f"{not_from_here(words)} (`--cwd` of `mcpguard wrap`)"
