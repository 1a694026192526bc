"""What this process asks of its operating system: to show it to no other process of the same user, since it
holds credentials, and to keep memory that it is about to need again.

On Linux no such process can then read our memory or our environment, or trace us (prctl(2),
PR_SET_DUMPABLE); elsewhere only core dumps are off. The administrator can still do all of it.

glibc's malloc maps each big block anew by default, and most of the time of a big message, whose megabytes are
copied a few times and go, is page faults (`bench/relay.py`). Other C libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


_PR_SET_DUMPABLE = 4  # linux/prctl.h


def close_to_others() -> None:
    """No core dump, of us and of what we start, and no tracing of us by others. What the system does not
    have is left out."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def take_variable(name: str) -> str | None:
    """The value of a variable of our environment, which has it no longer; None where it was not set.

    The bytes themselves are wiped, since the system shows the memory in which a process got its environment
    (proc(5), `/proc/PID/environ`; macOS, `ps -E`).
    """
    value = os.environ.get(name)
    if value is not None:
        _wipe(os.fsencode(name) + b"=")
        del os.environ[name]
    return value


def _wipe(beginning: bytes) -> None:
    place = _block()
    while place is not None and (entry := place.contents.value):
        text = ctypes.string_at(entry)
        if text.startswith(beginning):
            ctypes.memset(entry + len(beginning), 0, len(text) - len(beginning))
        place = ctypes.cast(
            ctypes.addressof(place.contents) + ctypes.sizeof(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_void_p),
        )


def _block() -> ctypes._Pointer[ctypes.c_void_p] | None:
    """The C library's list of variables; None where it does not say."""
    library, pointer = ctypes.CDLL(None), ctypes.POINTER(ctypes.c_void_p)
    if sys.platform == "darwin":
        library._NSGetEnviron.restype = ctypes.POINTER(pointer)
        found = library._NSGetEnviron().contents
    else:
        found = pointer.in_dll(library, "environ")
    return found if found else None


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
            import asyncio

            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._timer = None
        self._trim(0)
