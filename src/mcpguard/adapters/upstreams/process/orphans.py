"""Descendants that left their group and session (daemons): on Linux they become our children and end with us.

Law of this file: it touches only children of ours that live in another session and that we did not start.
It finds nothing except on Linux.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Container

_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 0.5


def adopt() -> bool:
    """From now on a descendant whose parent ends is our child (prctl(2)); False where that cannot be."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def reap(known: Container[int]) -> None:
    """Let go of those that have ended. `known` are the children that somebody here waits for."""
    for pid in _orphans(known):
        _wait(pid)


def kill(known: Container[int]) -> None:
    """SIGKILL all of them, and whoever becomes our child by that. Blocks for a moment at most."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (found := _orphans(known)) and time.monotonic() < deadline:
        for pid in found:
            _kill(pid)
        if not any([_wait(pid) for pid in found]):
            time.sleep(0.005)


def _orphans(known: Container[int]) -> list[int]:
    # /proc/self/task/*/children would be quicker, and not every kernel has it.
    own, session = os.getpid(), os.getsid(0)
    numbers = [int(name) for name in _listed("/proc") if name.isdigit()]
    return [pid for pid in numbers if pid not in known and _is_orphan(pid, own, session)]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_orphan(pid: int, own: int, session: int) -> bool:
    """Whether `pid` is a child of `own` outside of `session` (proc(5), stat: fields 4 and 6)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            facts = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(facts[1]) == own and int(facts[3]) != session


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _wait(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
