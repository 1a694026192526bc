"""The end of each turn of the event loop, and the links that are read and written in turns: newline-delimited
bytes both ways, over two file descriptors, which is the wire of our stdio relay.

Law of this file: nothing is flushed while a record waits for its commit (law 5). Afterwards flow control
looks, while something is strained, so that a side that does not take its output stops what feeds it. A link
never blocks, never spins, and keeps at most one read plus one message limit of input.
"""

import asyncio
import fcntl
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mcpguard.adapters.relay.room import SMALL_BYTES, Room
from mcpguard.core.redaction.redactor import AT_ONCE
from mcpguard.gateway.inspection.inspector import InspectionBatch
from mcpguard.protocol.jsonrpc import Framer, Oversize

SEVERAL = 4
"""From this many messages in a turn on, they are inspected together. For two, waiting costs what it saves."""
MESSAGES_A_TURN = 64
"""Of what came from one side, more messages wait for the next turn, so that no side starves another."""
BYTES_A_TURN = 16 * 1024
"""The same for what is left once this many bytes were handled: inspecting them may take long. Messages over
AT_ONCE do not count: where they take long, a thread inspects them."""
READ_BYTES = 64 * 1024
BIG_READ_BYTES = 256 * 1024
"""For a big message: fewer passes of the loop, and no more at once than can be held."""
PIPE_BYTES = 1024 * 1024
"""The writer of a big message then need not wait for us in the middle of it."""
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)
FULL_BYTES = 256 * 1024
"""With this much unsent, whatever feeds the link is paused."""


class Ledger(Protocol):
    """What is committed at the end of a turn."""

    @property
    def pending(self) -> bool:
        """Whether `commit` would do something now."""

    def commit(self) -> None:
        """Make it durable, now or soon; resumes who waits for that."""


class Flushable(Protocol):
    """What sends bytes at the end of a turn."""

    def flush(self) -> None:
        """Send what can be sent without blocking."""


class Turn:
    """One per process. A link that handles input is `inside` until it calls `end`; everything else calls
    `touch`, which ends the turn soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.together: InspectionBatch | None = None
        """What is inspected before anything is committed."""
        self.ledger: Ledger | None = None
        self.balance: Callable[[], bool] | None = None
        """Flow control: stops and resumes reading; whether it has to look again after the next turn."""
        self.room: Room | None = None
        """Room for the large messages of servers; None where there is no limit."""
        self.strained = False
        """Whether a side took less than it was given, or has a great deal to do: only then may anything be
        full, and flow control looks."""
        self._loop = loop
        self.unsent: dict[Flushable, None] = {}
        """What has bytes to send at the end of the turn."""
        self.inside = False
        """Whether input is being handled, so that nothing leaves until `end`."""
        self._scheduled = False

    def end(self) -> None:
        """Commit, flush, and let flow control look where something is strained."""
        self.inside = True
        self._scheduled = False
        ledger, together = self.ledger, self.together
        try:
            while True:
                if together is not None and together.pending:
                    together.settle()
                elif ledger is not None and ledger.pending:
                    ledger.commit()
                elif self.unsent:
                    self.unsent.popitem()[0].flush()
                else:
                    break
        finally:
            self.inside = False
            if together is not None:
                together.several = False
        if self.strained and self.balance is not None:
            self.strained = self.balance()

    def end_with(self, link: Flushable) -> None:
        """`link` can send again: end the turn now."""
        self.unsent[link] = None
        self.end()

    def strain(self) -> None:
        """Flow control has something to look at, at the end of this turn or soon."""
        self.strained = True
        self.touch()

    def touch(self, link: Flushable | None = None) -> None:
        """Something happened that needs the end of a turn; `link` has bytes to send."""
        if link is not None:
            self.unsent[link] = None
        if not self.inside and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.end)


class Link:
    """Calls `on_line` for each line, and `on_end` once: when the input has ended, when the output is
    broken, or at `close`. After the end of the input it still sends, until `close`. What `on_line` raises
    goes to the event loop's exception handler and costs that line only."""

    def __init__(
        self,
        turn: Turn,
        read_fd: int,
        write_fd: int,
        limit: int,
        on_line: Callable[[bytes | Oversize], None],
        on_end: Callable[[], None],
        room: Room | None = None,
    ) -> None:
        """Both descriptors are non-blocking and belong to the link from now on; `limit` in bytes. Large lines
        wait for `room`."""
        self.unsent = 0
        self.open = True
        """Whether `send` still does something."""
        self._closed = False
        self._turn = turn
        self._room = room
        self._large = False
        self._held = self._halted = False
        self._loop = asyncio.get_running_loop()
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._limit = limit
        self._framer = Framer(limit)
        self._on_line = on_line
        self._on_end = on_end
        self._lines: deque[bytes | Oversize] = deque()
        self._out: deque[bytes | memoryview] = deque()
        self._read_bytes = READ_BYTES
        self._ended = False
        self._told = False
        _widen(read_fd)
        _widen(write_fd)
        self._paused = True
        self._polled = True
        self._writing = False
        self.resume()

    # --- reading ---------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether nothing is read at present."""
        return self._paused

    def hold(self, on: bool) -> None:
        """`pause` or `resume`, for flow control."""
        self._held = on
        if on:
            self.pause()
        elif not self._halted:
            self.resume()

    def halt(self, on: bool) -> None:
        self._halted = on
        if on:
            self.pause()
        elif not self._held:
            self.resume()

    def pause(self) -> None:
        """Read nothing more until `resume`."""
        if not self._paused:
            self._paused = True
            if self._polled and not self._ended:
                self._loop.remove_reader(self._read_fd)

    def resume(self) -> None:
        """Read again."""
        if not self._paused or self._closed:
            return
        self._paused = False
        if not self._ended:
            try:
                self._loop.add_reader(self._read_fd, self._handle, True)
            except PermissionError:  # A regular file is always readable and cannot be polled.
                self._polled = False
        if self._lines or self._ended or not self._polled:
            self._loop.call_soon(self._handle)

    def _read(self) -> bool:
        """Read once; whether there was something, if only the end."""
        try:
            data = os.read(self._read_fd, self._read_bytes)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            # A big buffer costs a page fault a page, so only a big message gets one.
            self._read_bytes = BIG_READ_BYTES if len(data) >= READ_BYTES else READ_BYTES
            if self._framer.kept or len(data) > self._limit or data.find(b"\n") != len(data) - 1:
                self._lines.extend(self._framer.feed(data))
            elif line := data.rstrip():  # Nearly all that is read is one line.
                self._lines.append(line)
            if self._large or self._framer.kept > SMALL_BYTES:
                self._weigh(self._framer.kept)
        else:
            self._lines.extend(self._framer.finish())
            self._ended = True
            self._weigh(0)
            if self._polled:
                self._loop.remove_reader(self._read_fd)
        return True

    def _weigh(self, kept: int) -> None:
        self._large = kept > SMALL_BYTES
        if self._room is not None:
            self._room.keeps(self, kept)

    def _handle(self, readable: bool = False) -> None:
        # Lines that were read come first (and this comes again): reading on would keep ever more of them.
        if (readable and (self._lines or not self._read())) or self._paused or self._closed:
            return
        lines, left = self._lines, BYTES_A_TURN
        try:
            turn, together = self._turn, self._turn.together
            turn.inside = True
            several = together if len(lines) >= SEVERAL else None
            try:
                for _ in range(min(len(lines), MESSAGES_A_TURN)):
                    line = lines.popleft()
                    if several is not None:
                        several.several = len(line) <= AT_ONCE
                    self._on_line(line)
                    if len(line) <= AT_ONCE:
                        left -= len(line)
                        if left <= 0:
                            break
            finally:
                turn.end()
        finally:
            # A defect behind one line goes to the event loop's handler; the lines after it go on.
            if lines or self._ended or not self._polled:
                self._go_on()

    def _go_on(self) -> None:
        if self._paused or self._closed:
            return
        if self._lines:
            self._loop.call_soon(self._handle)
        elif self._ended:
            self._tell()
        else:
            self._loop.call_soon(self._handle, True)

    # --- writing ---------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the other side takes less than it is given."""
        return self.unsent > FULL_BYTES

    def send(self, *parts: bytes) -> None:
        """Queue one whole line, in one piece or several; nothing happens on a link that is over."""
        if self.open:
            self._out += parts
            self.unsent += sum(map(len, parts))
            turn = self._turn
            turn.unsent[self] = None
            if not turn.inside:
                turn.touch()

    def flush(self) -> None:
        """Write what the other side takes."""
        out = self._out
        while out and self.open:
            chunk = out.popleft() if len(out) == 1 else self._next_chunk()
            try:
                sent = os.write(self._write_fd, chunk)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._watch(False)
                self._out.clear()
                self.unsent = 0
                self.open = False
                self._tell()
                return
            self.unsent -= sent
            if sent < len(chunk):
                out.appendleft(memoryview(chunk)[sent:])  # A slice of bytes would copy it each time.
                self._turn.strained = True
                self._watch(True)
                return
        if self._writing:
            self._watch(False)

    def _next_chunk(self) -> bytes | memoryview:
        first = self._out.popleft()
        if len(first) >= READ_BYTES or not self._out:
            return first
        parts, size = [first], len(first)
        while self._out and size + len(self._out[0]) <= READ_BYTES:
            parts.append(self._out.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _watch(self, on: bool) -> None:
        if on != self._writing and self.open:
            self._writing = on
            if on:
                self._loop.add_writer(self._write_fd, self._turn.end_with, self)
            else:
                self._loop.remove_writer(self._write_fd)

    # --- the end ---------------------------------------------------------------------------------

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._on_end()
            self._turn.touch()

    def close(self) -> None:
        """Release both descriptors; what was not sent is lost."""
        if self._closed:
            return
        self._closed = True
        self.pause()
        self._weigh(0)
        self._watch(False)
        self.open = False
        self._lines.clear()
        self._out.clear()
        self.unsent = 0
        os.close(self._read_fd)
        os.close(self._write_fd)
        self._tell()


def _widen(fd: int) -> None:
    # A message of a megabyte then crosses in a few passes of the loop instead of sixteen. Linux only, and
    # only within the user's allowance; elsewhere the pipe stays as it is.
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass


def own_descriptor(fd: int, write: bool) -> int:
    """A non-blocking descriptor for `fd`, without changing what others share with us.

    O_NONBLOCK belongs to the open file, which our parent may share: a pipe or terminal is opened
    again where the system allows it (/proc/self/fd). Elsewhere, and for sockets, the flag is set on the
    shared one. A regular file stays as it is, since it never blocks.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            flags = (os.O_WRONLY if write else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            return os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:
            pass
    own = os.dup(fd)
    if not stat.S_ISREG(mode):
        os.set_blocking(own, False)
    return own
