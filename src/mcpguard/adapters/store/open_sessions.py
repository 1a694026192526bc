"""Which sessions are in use: by connections of this process, and of others.

    NAME.used, locked by each process that has a connection which used the session NAME

Law of this file: a lock is let go by the system however a process ends, so a session that is in use is known
to be, and what is not known counts as in use.
"""

import fcntl
import os
from collections import Counter
from pathlib import Path

LOCKED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class OpenSessions:
    """Those that connections of this process used, by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: Counter[str] = Counter()
        self._held: dict[str, int] = {}
        """The descriptors that keep the sessions which they used from ending."""

    def enter(self, name: str) -> None:
        """A client connects whose session this is."""
        self._open[name] += 1

    def leave(self, name: str) -> None:
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]
            if name in self._held:
                os.close(self._held.pop(name))

    def holds(self, name: str) -> bool:
        """Whether a connection of ours used the session."""
        return name in self._held

    def use(self, name: str) -> None:
        """Keep the session from ending while the connection lives; with the process that ends too. Raises
        OSError."""
        if name in self._held or name not in self._open:
            return
        held = os.open(self._path(name), LOCKED, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # Another process looks whether it is in use; the next decision tries again.
            os.close(held)
            return
        self._held[name] = held

    def in_use(self, name: str) -> bool:
        """Whether a connection that used the session is left, here or in another process. The model may
        still hold what its labels stand for."""
        if name in self._held:
            return True
        try:
            held = os.open(self._path(name), LOCKED, 0o600)
        except OSError:
            return True  # Not known, so it goes on.
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(held)
        return False

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.used"
