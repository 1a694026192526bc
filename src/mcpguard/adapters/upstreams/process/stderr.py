"""An upstream's standard error, as lines for the operator. Bounded: what is too much is dropped."""

import asyncio
import os
from collections.abc import Callable

from mcpguard.protocol.framing import Framer, Oversize

LINE_BYTES = 64 * 1024


class StderrLines:
    """Calls `report(line)` for each line until the descriptor ends or `close`.

    Lines are inspected whole and only then cut, since half a secret is not found.
    """

    def __init__(self, fd: int, clean: Callable[[str], str], report: Callable[[str], None]) -> None:
        """`clean` takes out of a text what must not be seen."""
        self.last = ""
        """The last line that was not empty, inspected and cut to a length for an error message."""
        self._clean = clean
        self._fd = fd
        self._report = report
        self._framer = Framer(LINE_BYTES)
        self._open = True
        asyncio.get_running_loop().add_reader(fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        lines = self._framer.feed(data) if data else self._framer.finish()
        for line in lines:
            if isinstance(line, Oversize):
                self._report(f"a line of more than {LINE_BYTES} bytes on its standard error was dropped")
                continue
            # What stands before a line has a meaning: most tracebacks are read by it.
            text = self._clean(line.decode("utf-8", "replace").rstrip())
            if text:
                self.last = text.strip()[:400]
                self._report(text)
        if not data:
            self.close()

    def close(self) -> None:
        """Stop reading."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
