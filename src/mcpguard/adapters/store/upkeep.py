"""What is done with the file beside the loop: in a thread, with a connection of its own, since it may wait
for a disk."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from errno import EACCES, ETIMEDOUT
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from mcpguard.adapters.store.sessions import OLD, REMOVE
from mcpguard.adapters.system.files import claimed, private_file, remedy
from mcpguard.core.errors import SessionError

if TYPE_CHECKING:
    import sqlite3

_AWAY = (
    "move it away together with its -wal and -shm files, and mcpguard creates a new one, without the labels, "
    "limits and approvals in it"
)
REPLACED = (
    "{} was removed or replaced: the labels, limits and approvals of sessions that are not connected are lost"
)
LOCKED = (
    "{0} is locked by another program, so nothing can be stored: have that program finish, or end it "
    "(`lsof {0}` lists what has the file open)"
)
_LOG_GONE = (
    "{0}-wal was removed, and with it the latest changes of labels, limits and approvals: put it back; or "
    "end every mcpguard, remove {0}-shm as well, and start mcpguard again, without those changes"
)
_BOTH_GONE = (
    "{0}-wal and {0}-shm were removed while a running mcpguard was using them, and with them the latest "
    "changes of labels, limits and approvals: its next call saves them, or its end; if it hangs, end it"
)
BESIDE_REPLACED = (
    "{0}-wal or {0}-shm was removed or replaced while mcpguard was using it: the latest labels, limits and "
    "approvals of sessions that are not connected may be lost"
)
UPDATED = "{} was updated from an earlier version of mcpguard: {} tickets and approvals in it no longer count"
_OPEN = ".open"
_LOOKS, _LOOK_PAUSE = 4, 0.002
ROOM = 256 * 1024
"""Bytes that a folder has room for if its disk is not full: a change takes far less."""
PATIENCE = 1.0
"""How long a look waits for a file that is busy, in seconds."""


_ADVICE = {
    8: "let this user write to it and to its folder",  # SQLITE_READONLY
    13: "free up space on its disk",  # SQLITE_FULL
    14: "let this user read and write it, its -wal and -shm files, and its folder",  # SQLITE_CANTOPEN
}
_CHANGES = (
    ("INSERT", "sessions"),
    ("UPDATE", "sessions"),
    ("INSERT", "tickets"),
    ("UPDATE", "tickets"),
    ("INSERT", "waits"),
    ("DELETE", "sessions"),
)
"""What a change of the file consists of; other rows are deleted beside these, or as they no longer count."""
_REFUSES = "WHEN (SELECT user_version FROM pragma_user_version) <> {} BEGIN SELECT RAISE(ABORT, ''); END"


class KeptError(SessionError):
    """The file is not used, and stays as it is: it is of another version of mcpguard, or lacks its log."""


def inodes_beside(path: Path) -> tuple[int, int]:
    """Those of its log (-wal) and of the index of that (-shm), 0 for one that is not there."""
    log, index = (inode(f"{path}-{name}") for name in ("wal", "shm"))
    return log, index


def inode(path: str | Path) -> int:
    """Of the file, 0 if it is not there."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


class OpenFile:
    """Shows other processes, until it is closed, that a connection to the file is open. The log and its index
    are there as long as it is."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file: int | None = private_file(path.with_suffix(_OPEN), os.O_RDWR)
        self.shown = False
        self.show()

    def show(self) -> None:
        """Where somebody looks at this moment whether a connection is open, this fails: call it again."""
        if self._file is not None and not self.shown:
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                self.shown = True

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    __del__ = close


def check_log(path: Path, saved: bool = False) -> None:
    """Raise KeptError where the log was removed: SQLite would take the file without its latest changes for
    all that there was. It makes the log before the index, and removes it after that. Where both are gone,
    they were removed if a connection to the file is open, unless whoever asks had one that has `saved` its
    changes."""
    for _ in range(_LOOKS):
        log, index = inodes_beside(path)
        if log or not (index or (_is_open(path) and not saved)):
            return
        time.sleep(_LOOK_PAUSE)  # Another process may be making or removing both, or looking as we do.
    raise KeptError((_LOG_GONE if index else _BOTH_GONE).format(path))


def _is_open(path: Path) -> bool:
    shows = path.with_suffix(_OPEN)
    # A new file, of no size, lacks nothing.
    if not shows.exists() or not path.stat().st_size:
        return False
    with claimed(shows) as nobodys:
        return nobodys is None


def tidy(path: Path, form: int, oldest: float, in_use: Callable[[str], bool]) -> None:
    """Move what changes wrote from the log to the file, and remove the sessions that were last used before
    `oldest`, one by one, so that nobody waits for it."""
    import sqlite3

    if not all(inodes_beside(path)):
        return  # A connection would make them.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database,
    ):
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        guard(database, form)
        database.text_factory = bytes  # As it is stored: a name that is damaged must not keep the others.
        for (name,) in database.execute(OLD, (oldest,)).fetchall():
            if not in_use(name.decode(errors="replace")):
                database.execute(REMOVE, (name, oldest))


def problem_of(path: Path, form: int, write: bool) -> str:
    """Why the file cannot be used, "" where it can. `form` is the latest version of it that we know; with
    `write` something is written, which changes nothing."""
    import sqlite3

    if not os.path.exists(path):  # No failure where the folder is closed to us.
        return _cannot_be_made(path)
    try:
        check_log(path)
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database:
            ((found,),) = database.execute("PRAGMA user_version").fetchall()
            if found > form:
                return of_later(path)
            if write:
                database.execute(f"PRAGMA user_version = {found}")
                with TemporaryFile(dir=path.parent) as trial:
                    trial.write(bytes(ROOM))  # The log may have room left for a change as small as that.
                    trial.flush()
    except KeptError as problem:
        return str(problem)
    except OSError as problem:
        return unmade(path.parent, problem)
    except sqlite3.Error as problem:
        return "" if is_busy(problem) and not write else unusable(path, problem)
    return "" if os.access(path, os.W_OK) else f"{path} cannot be written by this user"


def unusable(path: Path, problem: "sqlite3.Error") -> str:
    """What is wrong with the file, and what to do about it."""
    if is_busy(problem):
        return LOCKED.format(path)
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    damaged = code in (11, 26)  # SQLITE_CORRUPT and SQLITE_NOTADB.
    advice = _AWAY if damaged else _ADVICE.get(code)
    return f"{path} cannot be used: {problem}{f'; {advice}' if advice else ''}"


def of_later(path: Path) -> str:
    """The same for a file that a later version has changed."""
    return f"{path} was made by a later version of mcpguard: use that one, or {_AWAY}"


def check_form(path: Path, found: int, form: int, updates: bool) -> None:
    """Raise KeptError where the file is of a later form than ours, or of an earlier one, which
    processes of that version may still use, unless whoever opens it `updates` it. A new file has form 0."""
    if found > form:
        raise KeptError(of_later(path))
    if 0 < found < form and not updates:
        advice = (
            "restart the clients that use mcpguard; the first call whose rules need the session updates it"
        )
        raise KeptError(f"{path} is of an earlier version of mcpguard: {advice}")


def guard(database: "sqlite3.Connection", form: int) -> None:
    """Have every change by this connection fail, as if the file were busy, once a later version has updated
    it: the next try finds out. It could also happen between a look and the change."""
    database.execute("PRAGMA temp_store = MEMORY")
    for change, table in _CHANGES:
        place = f"{change}_{table} BEFORE {change} ON main.{table}"
        database.execute(f"CREATE TEMP TRIGGER {place} {_REFUSES.format(form)}")


def _cannot_be_made(path: Path) -> str:
    # It is made, with its folder, when it is first needed. A mode says little of a read-only disk.
    folder = next(one for one in path.absolute().parents if os.path.exists(one))
    try:
        with TemporaryFile(dir=folder):
            return ""
    except OSError as problem:
        return unmade(folder, problem)


def unmade(folder: Path, problem: OSError) -> str:
    """Why there can be no sessions in `folder`, and what to do about it."""
    if problem.errno == ETIMEDOUT:
        return f"the session's state is unavailable: {problem.strerror}"
    if problem.errno == EACCES and os.path.isfile(problem.filename or ""):
        return f"{os.fspath(problem.filename)} cannot be used ({problem.strerror}): let this user write to it"
    said = f"the folder of sessions {folder} cannot be used ({problem.strerror})"
    other = "name another one in the configuration (`session: {path: …}`)"
    return f"{said}: {remedy(problem)}, or {other}"


def is_busy(problem: "sqlite3.Error") -> bool:
    """Whether another process uses the file, or has just updated it, and a later try may succeed or say
    more."""
    code = getattr(problem, "sqlite_errorcode", 0)
    # SQLITE_BUSY and SQLITE_LOCKED, however extended, and the SQLITE_CONSTRAINT_TRIGGER of `guard`.
    return code & 0xFF in (5, 6) or code == 1811
