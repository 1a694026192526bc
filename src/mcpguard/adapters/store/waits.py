"""Which tickets a call waits for, in the SQLite file: a row for each such call, of whatever process.

    NAME.waits, locked by the process that wrote the rows of NAME, as long as one of its calls waits

Law of this file: the lock is there before the first row, and is let go by the system however the process
ends; so a row whose lock is free is of a call that no longer waits.
"""

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.adapters.store.tickets import LATEST
from mcpguard.adapters.system.files import claimed, private_file
from mcpguard.core.expressions import expression

if TYPE_CHECKING:
    import sqlite3

TABLE = "CREATE TABLE IF NOT EXISTS waits (name TEXT NOT NULL, ticket TEXT NOT NULL, since REAL NOT NULL)"
_BEGIN = "INSERT INTO waits VALUES (?, ?, ?)"
_END = "DELETE FROM waits WHERE rowid = ? AND name = ?"
_ALL = "SELECT name, ticket, min(since) FROM waits GROUP BY name, ticket"
_NAMES = "SELECT DISTINCT name FROM waits"
_FORGET = "DELETE FROM waits WHERE name = ?"


_NAME = expression("[0-9a-f]{32}")


class WaitingCall(Struct, eq=False):
    """A call that waits for the answer to `ticket`, `since` then (seconds since 1970); `row` is that in the
    file, None where it has none. Nothing of one that is `over` is stored any more."""

    ticket: str
    since: float
    row: int | None = None
    over: bool = False


class WaitingCalls:
    """Those of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._lock: int | None = None
        self._stored: set[WaitingCall] = set()

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._stored)

    def begin(self, database: "sqlite3.Connection", call: WaitingCall) -> bool:
        """Store that the call waits; false where it does no longer. Raises OSError."""
        if call.over:  # The file was busy meanwhile.
            self._let_go()
            return False
        if self._lock is None:
            self._take_lock(database)
        call.row = database.execute(_BEGIN, (self._name, call.ticket, call.since)).lastrowid
        self._stored.add(call)
        return True

    def end(self, database: "sqlite3.Connection", call: WaitingCall) -> bool:
        """Store that it waits no longer; false where that was so. Raises OSError."""
        self._stored.discard(call)
        self._let_go()
        return database.execute(_END, (call.row, self._name)).rowcount == 1

    def _take_lock(self, database: "sqlite3.Connection") -> None:
        for (name,) in database.execute(_NAMES).fetchall():
            if not _lives(self._folder, name):
                database.execute(_FORGET, (name,))
        self._name = os.urandom(16).hex()
        self._lock = private_file(_place(self._folder, self._name), os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go(self) -> None:
        if self._lock is not None and not self._stored:
            lock, self._lock = self._lock, None
            os.close(lock)
            _place(self._folder, self._name).unlink(missing_ok=True)


def since(database: "sqlite3.Connection", folder: Path) -> dict[str, float]:
    """The tickets that a call waits for, in any process, with since when the first of these waits (seconds
    since 1970)."""
    found: dict[str, float] = {}
    lives: dict[str, bool] = {}
    for name, ticket, began in database.execute(_ALL).fetchall():
        if name not in lives:
            lives[name] = _lives(folder, name)
        if lives[name] and type(began) is float and 0 <= began <= LATEST:
            found[ticket] = min(began, found.get(ticket, began))
    return found


def _lives(folder: Path, name: object) -> bool:
    """Whether a process has the lock; one that was left behind is removed. A name that no process gives
    itself stands for none."""
    if type(name) is not str or not _NAME.fullmatch(name):
        return False
    path = _place(folder, name)
    with claimed(path) as left_behind:
        if left_behind is not None:
            path.unlink()
    return left_behind is None and path.exists()


def _place(folder: Path, name: str) -> Path:
    return folder / f"{name}.waits"
