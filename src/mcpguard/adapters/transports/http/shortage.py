"""What the operator is told when connections cannot be accepted, since no more files may be open.

asyncio tries again each second, and tells the loop's exception handler of each attempt, many times. Law of
this file: one sentence that says what to do, at most once in `QUIET_SECONDS`; all else goes on to the handler
that was there.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

QUIET_SECONDS = 60.0
"""So long nothing more is said of it."""

_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAID = (
    "new connections cannot be accepted: too many open files (or not enough memory); open connections "
    "continue. Raise the limit of open files (`ulimit -n`), or let fewer clients connect"
)


class Shortage:
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
