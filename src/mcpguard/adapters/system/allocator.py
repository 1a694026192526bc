"""glibc's malloc, told what this process does: megabytes come in bursts, are copied a few times, and go.

By default each such block is a mapping of its own, and most of the time of a big message is page faults.
`bench/relay.py` shows the difference at 1 MB. Other C libraries are left as they are.
"""

import asyncio
import ctypes
from typing import Any

KEPT = 8 * 1024 * 1024
"""Freed bytes that are reused instead of given back at once."""
QUIET_SECONDS = 1.0
"""How long after a big message they are given back."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def tune_allocator() -> None:
    """To be called before there is a second thread: the arena of a thread gives no memory back."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        # One arena: what one thread frees, the other uses.
        for name, value in ((_MMAP_THRESHOLD, KEPT), (_TRIM_THRESHOLD, KEPT), (_ARENA_MAX, 1)):
            option(name, value)


class Allocator:
    """The C library's allocator, where it is glibc's; elsewhere nothing happens."""

    def __init__(self) -> None:
        self._trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._timer: asyncio.TimerHandle | None = None

    def used(self) -> None:
        """A big message is being handled, or policies were compiled: memory that this frees goes back to the
        system a little later."""
        if self._trim is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._timer = None
        self._trim(0)
