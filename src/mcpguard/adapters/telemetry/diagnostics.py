"""Lines for the operator, on standard error: inspected, bounded, and never in the way.

Law of this file: every line has been inspected before it is written (law 2), and a reader that stalls
costs lines, not time.
"""

import logging
import os
import select
import threading
from collections.abc import Callable

from mcpguard.core.errors import InspectionError

LINE_BYTES = 2_000
"""Below PIPE_BUF (POSIX: at least 512; Linux 4096), so that a line is written whole or not at all."""


class Diagnostics:
    """Writes `mcpguard: ...` and `[server] ...` lines."""

    def __init__(self, inspect: Callable[[str], str], fd: int = 2) -> None:
        """`inspect` takes out what must not be seen."""
        self._inspect = inspect
        self._fd = fd
        self._dropped = 0

    def of_threads(self, ended: threading.ExceptHookArgs) -> None:
        """Say that a thread ended by a defect (`threading.excepthook`): its kind, and not its message as
        Python would, which may quote anything."""
        self.report("", f"internal error ({ended.exc_type.__name__}) in a thread")

    @property
    def of_libraries(self) -> logging.Handler:
        """What says a library's warnings (`logging.lastResort`), which Python would print as they are."""
        return _Libraries(self)

    def report(self, server: str, text: str) -> None:
        """Say one line; `server` is empty for mcpguard itself."""
        try:
            clean = self._inspect(text)
        except InspectionError:
            clean = "a line was withheld, since it could not be inspected"
        head = f"[{server}] " if server else "mcpguard: "
        if self._dropped:
            head = f"({self._dropped} lines dropped) {head}"
        flat = "".join(mark if mark.isprintable() else " " for mark in clean)
        line = (head + flat).encode("utf-8", "replace")[:LINE_BYTES] + b"\n"
        try:
            if select.select([], [self._fd], [], 0)[1]:
                os.write(self._fd, line)
                self._dropped = 0
                return
        except (OSError, ValueError):
            pass
        self._dropped += 1


class _Libraries(logging.Handler):
    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__(logging.WARNING)
        self._diagnostics = diagnostics

    def emit(self, record: logging.LogRecord) -> None:
        """Without a traceback: its exceptions say more than anybody can vouch for."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = "a warning that cannot be read"
        self._diagnostics.report("", f"{record.name}: {said}")
