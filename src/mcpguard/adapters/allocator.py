"""glibc's malloc, told what this process does: a megabyte comes, is copied a few times, and goes.

By default each such block is a mapping of its own, and most of the time of a big message is page faults.
`bench/relay.py` shows the difference at 1 MB; other C libraries are left as they are.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT = 4 * 1024 * 1024


def keep_megabytes() -> bool:
    """Reuse up to 4 MB of freed memory, in one arena for all threads. Whether this C library can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_MMAP_THRESHOLD, _KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 1))
    return all([mallopt(name, value) == 1 for name, value in wishes])
