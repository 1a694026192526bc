"""What a process that holds credentials does about others of the same user: it shows them nothing of itself.

On Linux no such process can then read our memory or our environment, or trace us (prctl(2),
PR_SET_DUMPABLE); elsewhere only core dumps are off. The administrator can still do all of it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

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
