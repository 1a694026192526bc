"""A lock that processes share, as an open file: whoever ends without letting go has let go (flock(2))."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


def take_lock(path: Path, patience: float, pause: float) -> int:
    """The descriptor that holds the lock until it is closed; the file is made where it is missing. Blocks
    for `patience` seconds at most, and looks again after each `pause`. Raises OSError, BlockingIOError where
    another has it for so long."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    ends = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError as problem:
            # Whoever has it may have been stopped, which must not stop us.
            if not isinstance(problem, BlockingIOError) or time.monotonic() > ends:
                os.close(file)
                raise
            time.sleep(pause)
