"""Who is alive: the descendants of this test process, also those that lost their parents (Linux)."""

import contextlib
import ctypes
import os
from pathlib import Path

import pytest

from tests.wire import warm

_SUBREAPER = 36
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc (Linux)")


@contextlib.contextmanager
def orphanage():
    """Until the end, whoever below us loses its parent becomes our child, so that nobody can hide. What mcpguard is
    forked from runs before and after."""
    warm.socket_of_mcpguard()
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def family():
    """The living processes below this one: pid -> command line. Zombies are dead; ours are reaped."""
    parents, lines = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(parent)
        if state not in "ZX":
            lines[int(folder.name)] = line
    return {pid: line for pid, line in lines.items() if _below(pid, parents)}


def running(mark):
    """Whether a living process of this machine has a text in its command line."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


def _below(pid, parents):
    seen = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False
