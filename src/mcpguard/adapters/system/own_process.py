"""This process and what it asks of its operating system: who started it and on which machine; to show it to
no other process of the same user, since it holds credentials; and to keep memory that it is about to need
again.

On stdio the operating system says who is on the other side (PIP): the user that started us.

On Linux no other process can then read our memory or our environment, or trace us (prctl(2),
PR_SET_DUMPABLE); elsewhere only core dumps are off. The administrator can still do all of it.

glibc's malloc maps each big block afresh by default, and most of the time of a big message, whose megabytes
are copied a few times and go, is page faults (`bench/relay.py`). Other C libraries are left as they are. And
loading a shared library reads most of its code, which then counts as our memory though little of it runs.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from mcpguard.core.model import Principal


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
            ctypes.addressof(place.contents) + ctypes.sizeof(ctypes.c_void_p), ctypes.POINTER(ctypes.c_void_p)
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
"""How long after the start, or a big message, they are given back."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def tune_allocator() -> None:
    """To be called before there is a second thread: the arena of a thread gives no memory back."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        # One arena: what one thread frees, the other uses.
        for name, value in ((_MMAP_THRESHOLD, KEPT), (_TRIM_THRESHOLD, KEPT), (_ARENA_MAX, 1)):
            option(name, value)


_MADV_DONTNEED = 4  # linux/mman.h
_UNALTERED_CODE = (
    rb"^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ [1-9].*\n"  # of a file: one with an inode
    rb"(?:[A-Z].*\n)*?Anonymous: +0 kB$"
)


def release_code() -> None:
    """Give back the pages of shared libraries' code (proc(5), `/proc/PID/smaps`; madvise(2)). What runs again
    comes back from the system's cache of files. What is no longer as the file has it stays; elsewhere than on
    Linux all stays."""
    with suppress(OSError), open("/proc/self/smaps", "rb") as file:
        advise = ctypes.CDLL(None).madvise
        for begin, end in re.findall(_UNALTERED_CODE, file.read(), re.MULTILINE):
            place, size = int(begin, 16), int(end, 16) - int(begin, 16)
            advise(ctypes.c_void_p(place), ctypes.c_size_t(size), _MADV_DONTNEED)


class Allocator:
    """The C library's allocator, where it is glibc's; elsewhere nothing happens."""

    def __init__(self) -> None:
        self._trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._timer: asyncio.TimerHandle | None = None
        self._serving = False

    def used(self) -> None:
        """A big message is being handled, or policies were compiled: memory that this frees goes back to the
        system a little later, and with it, once, the code that only the start ran."""
        if self._trim is not None and self._timer is None:
            import asyncio

            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._timer = None
        self._trim(0)
        if not self._serving:
            self._serving = True
            release_code()


def operating_system_user() -> Principal:
    """The user id of this process, by name where the system knows one; names and numbers do not mix up,
    since a name cannot be all digits."""
    import pwd

    from mcpguard.core.model import Principal

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Principal(name, "os-user")


def groups_of_user() -> tuple[str, ...]:
    """The names of the groups of this process, sorted; those without a name are left out."""
    import grp

    names: set[str] = set()
    for group in {os.getgid(), *os.getgroups()}:
        with suppress(KeyError):
            names.add(grp.getgrgid(group).gr_name)
    return tuple(sorted(names))


def machine_name() -> str:
    """What this machine calls itself."""
    return os.uname().nodename


def installed_versions(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed. Read from the names of folders alone, since
    `importlib.metadata` takes as long to import as half of a start."""
    found: dict[str, str] = {}
    names = {package.replace("-", "_"): package for package in packages}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            if not entry.endswith(".dist-info"):
                continue
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if version and name in names:
                found.setdefault(names[name], version)
    return found
