"""An upstream's standard error, as lines for the operator. Bounded: what is too much is dropped.

Law of this file: however much a server writes here, and however it is cut into lines, one pass of the event
loop handles a little of it, so that the calls of the other servers go on between two passes (law 8).
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable

from mcpguard.protocol.jsonrpc import Framer, Oversize

LINE_BYTES = 64 * 1024
READ_BYTES = 8 * 1024
"""Bytes that are read in one pass."""
LINES_A_PASS = 16
"""Lines that are handled in one pass: each is inspected and written by itself."""
LAST_PASSES = 64
"""How many passes are waited for when the process has ended: what it said last says why."""
_AFTER_THE_REASON = re.compile(
    r"\s|[\])}]+[;,]?$"
    r"|Node\.js v\d"
    r"|npm (?:notice|(?:ERR!|error)(?: A complete log|$))"
    r"|note: run with `RUST_BACKTRACE"
    r"|goroutine \d|created by |[\w./*()]+\((?:0x[^)]*|\.\.\.)?\)$|exit status \d+$"
)
"""The beginning of a line that a runtime prints after the one that says why it ends: a stack, which is
indented, the version of Node, where npm has its log, and what Rust and Go add to a panic."""


class StderrLines:
    """Calls `report(line)` for each line until the descriptor ends or `close`.

    Lines are inspected whole and only then cut, since half a secret is not found.
    """

    def __init__(self, fd: int, clean: Callable[[str], str], report: Callable[[str], None]) -> None:
        """`clean` takes out of a text what must not be seen."""
        self.last = ""
        """The last line that may say why it ends, else the last that was not empty: inspected, and cut to a
        length for an error message."""
        self._aside = True
        self._clean = clean
        self._fd = fd
        self._report = report
        self._framer = Framer(LINE_BYTES)
        self._lines: deque[bytes | Oversize] = deque()
        self._ended = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def _readable(self) -> None:
        if self._lines:
            return  # Those first (`_handle` comes again): reading on would keep ever more of them.
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._ended = not data
        self._lines.extend(self._framer.feed(data) if data else self._framer.finish())
        self._handle()

    def _handle(self) -> None:
        if self._closed:
            return
        for _ in range(min(len(self._lines), LINES_A_PASS)):
            self._tell(self._lines.popleft())
        if self._lines:
            self._loop.call_soon(self._handle)
        elif self._ended:
            self.close()

    def _tell(self, line: bytes | Oversize) -> None:
        if isinstance(line, Oversize):
            self._report(f"a line of more than {LINE_BYTES} bytes on its standard error was dropped")
            return
        # What stands before a line has a meaning: most tracebacks are read by it.
        text = self._clean(line.decode("utf-8", "replace").rstrip())
        if text:
            aside = _AFTER_THE_REASON.match(text) is not None
            if self._aside or not aside:
                self.last, self._aside = text.strip()[:400], aside
            self._report(text)

    async def catch_up(self) -> None:
        """Return once all is handled that was written, or a great deal of it."""
        for _ in range(LAST_PASSES):
            if self._closed:
                break
            await asyncio.sleep(0)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
