"""Code of extension modules that only the start ran, taken out of memory again.

The kernel maps in some 64 KB around each place that runs, and linking touches most of a library once: of the
engines of conditions, redaction and documents 14 MB are resident after the start, and 3 MB are used by calls.

Law of this file: a mapping is dropped only where the kernel says that none of its pages differs from the
file, and where it is code of an extension module, which Python never unloads. What runs again is mapped again
from the page cache.
"""

import ctypes
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

_SMAPS = Path("/proc/self/smaps")
_CODE = "r-xp"
_DONT_NEED = 4  # MADV_DONTNEED of madvise(2)
_UNCHANGED = {"Private_Dirty:": "0", "Anonymous:": "0"}


def drop_idle_code() -> None:
    """Take the code of extension modules out of memory until it runs again. Elsewhere than on Linux nothing
    happens."""
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None:
        return
    try:
        smaps = _SMAPS.read_text("utf-8", "surrogateescape")
    except OSError:
        return
    loaded = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    for start, size in code_of(smaps, {file for file in loaded if file.endswith(".so")}):
        advise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONT_NEED)


def code_of(smaps: str, files: Collection[str]) -> Iterator[tuple[int, int]]:
    """Address and size in bytes of each mapping in `smaps` (proc_pid_smaps(5)) that is code of one of
    `files`, no page of which was written to."""
    place, unchanged = None, 0
    for line in smaps.splitlines():
        words = line.split(None, 5)
        if not words[0].endswith(":"):
            place, unchanged = None, 0
            if len(words) == 6 and words[1] == _CODE and words[5] in files:
                start, end = (int(one, 16) for one in words[0].split("-"))
                place = start, end - start
        elif place is not None and _UNCHANGED.get(words[0]) == words[1]:
            unchanged += 1
            if unchanged == len(_UNCHANGED):
                yield place
