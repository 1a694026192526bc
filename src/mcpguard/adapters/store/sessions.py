"""Sessions in the state folder: the row of each in the SQLite file, and which are in use, by connections of
this process and of others.

    NAME.used, locked by each process that has a connection which used the session NAME

Law of this file: a lock is let go by the system however a process ends, so a session that is in use is known
to be, and what is not known counts as in use.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from mcpguard.adapters.store.tickets import LATEST, Database
from mcpguard.adapters.system.clock import Uptime
from mcpguard.adapters.system.files import private_file
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.session import NAME_LENGTH, LabelCause, StoredSession

if TYPE_CHECKING:
    import sqlite3


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
        held = private_file(self._path(name), os.O_RDWR)
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # Another process looks whether it is in use; the next decision tries again.
            os.close(held)
            return
        self._held[name] = held

    def used_ever(self) -> set[str]:
        """The sessions that a connection has used, here or in another process, and may use still."""
        with os.scandir(self._folder) as files:
            return {one.name.removesuffix(_USED) for one in files if one.name.endswith(_USED)}

    def in_use(self, name: str) -> bool:
        """Whether a connection that used the session is left, here or in another process. The model may
        still hold what its labels stand for."""
        if name in self._held:
            return True
        try:
            held = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # Whoever uses it makes the file first.
        except OSError:
            return True  # Not known, so it goes on.
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(held)
        return False

    def listed(self, database: Database, now: Uptime, idle_seconds: float) -> list[KnownSession]:
        """All sessions that have not ended, the most recently used first."""
        place = now.boot, now.seconds - idle_seconds, time.time() - idle_seconds
        rows = {row[0]: row for row in database.execute(_RECENT, place).fetchall()}
        ever = self.used_ever()
        for name in ever - rows.keys():
            if self.in_use(name):
                rows.update((row[0], row) for row in database.execute(NAMED, (name, name)).fetchall())
        found = [_known(row, row[0] in ever and self.in_use(row[0])) for row in rows.values()]
        return sorted(found, key=lambda one: -one.used)

    def named(self, database: Database, prefix: str, now: Uptime, idle_seconds: float) -> list[KnownSession]:
        """The same of those whose names begin so; one that cannot be read has not ended, since calls are
        refused for it."""
        found = []
        for row in database.execute(NAMED, between(prefix)).fetchall():
            one, kept = _known(row, self.in_use(row[0])), row_of(row[3:])
            ended = kept is not None and passed(kept, now, time.time()) > idle_seconds
            if one.open or one.state is None or not ended:
                found.append(one)
        return found

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_USED}"


_USED = ".used"


TABLE = """
    CREATE TABLE IF NOT EXISTS sessions (
        name TEXT PRIMARY KEY, principal TEXT NOT NULL, agent TEXT, version INTEGER NOT NULL,
        used REAL NOT NULL, boot TEXT NOT NULL, up REAL NOT NULL, state BLOB NOT NULL
    ) WITHOUT ROWID
"""
READ = "SELECT version, used, boot, up, state FROM sessions WHERE name = ?"
_COLUMNS = "SELECT name, principal, agent, version, used, boot, up, state FROM sessions"
_RECENT = f"{_COLUMNS} WHERE CASE boot WHEN ? THEN up >= ? ELSE used >= ? END"
NAMED = f"{_COLUMNS} WHERE name BETWEEN ? AND ?"
OLD = "SELECT name FROM sessions WHERE used < ?"
REMOVE = "DELETE FROM sessions WHERE name = CAST(? AS TEXT) AND used < ?"
NEW = "INSERT INTO sessions VALUES (?, ?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
CHANGE = (
    "UPDATE sessions SET version = version + 1, used = ?, boot = ?, up = ?, state = ?"
    " WHERE name = ? AND version = ?"
)

UNREADABLE = "holds a session that cannot be read: `mcpguard session end {}` starts it over"

encode = msgspec.json.Encoder().encode


def text_of(stored: bytes) -> str:
    """A text of the file. One that is damaged must not make the others unreadable."""
    return stored.decode(errors="replace")


class SessionRow(Struct):
    """A session as it is in the file; one that is not there has version 0."""

    version: int
    used: float
    up: Uptime
    state: bytes


class KnownSession(Struct, frozen=True):
    """A session as a person sees it. `name` is what it is called in the file, `principal` is
    "source:id", `used` when it was used last (seconds since 1970, UTC), `open` whether a connection that used
    it is left. `state` is None where it cannot be read."""

    name: str
    principal: str
    agent: str | None
    used: float
    open: bool
    state: StoredSession | None


class StoredState(Struct, forbid_unknown_fields=True, kw_only=True):
    """The state of a session as it is read: whatever lacks a part of it, or has more, is refused."""

    calls: int
    tools: dict[str, int]
    labels: list[str]
    facts: list[str]
    spent: dict[str, list[tuple[int, int]]]
    causes: dict[str, LabelCause] = {}
    approvals: list[str] = []
    origins: dict[str, list[str]] = {}

    def session(self) -> StoredSession:
        return StoredSession(
            self.calls,
            self.tools,
            self.labels,
            self.facts,
            self.spent,
            self.causes,
            self.approvals,
            self.origins,
        )


class EarlierSession(StoredState):
    """A session in a file of its own, as earlier versions kept it; `seen` is when it was used last."""

    seen: float


decode = msgspec.json.Decoder(StoredState).decode
_decode_earlier = msgspec.json.Decoder(EarlierSession).decode


def readable(state: bytes) -> StoredSession | None:
    """The state of a session as it is stored, None where it cannot be read."""
    with suppress(ValueError, RecursionError):
        return decode(state).session()
    return None


def lacks(found: StoredSession, known: StoredSession, now: float) -> bool:
    """Whether what is stored seems to have lost something that we know, and that counts `now`: a session only
    grows."""
    return (
        known.calls > found.calls
        or any(count > found.tools.get(tool, 0) for tool, count in known.tools.items())
        or not set(known.labels) <= set(found.labels)
        or not set(known.facts) <= set(found.facts)
        or found.joined(known).used(now) != found.used(now)
    )


def between(prefix: str) -> tuple[str, str]:
    """The first and the last name, of those that sessions have, which begin so."""
    return prefix, prefix.ljust(NAME_LENGTH, "f")


def row_of(found: tuple[Any, ...]) -> SessionRow | None:
    """The row with these columns of `READ`, None where they are not those of a session."""
    version, used, boot, up, state = found
    if (type(version), type(used), type(boot), type(up), type(state)) != (int, float, str, float, bytes):
        return None
    within = 0 <= used <= LATEST and 0 <= up <= LATEST
    return SessionRow(version, used, Uptime(boot, up), state) if within else None


def _known(row: tuple[Any, ...], is_open: bool) -> KnownSession:
    name, principal, agent, *rest = row
    kept = row_of(tuple(rest))
    used = rest[1] if type(rest[1]) is float and 0 <= rest[1] <= LATEST else 0.0
    state = None if kept is None else readable(kept.state)
    return KnownSession(str(name), str(principal), agent and str(agent), used, is_open, state)


def edited(database: sqlite3.Connection, name: str, change: Callable[[StoredSession], StoredSession]) -> bool:
    """See `SqliteStore.edit`."""
    while True:
        found = database.execute(READ, (name,)).fetchone()
        if found is None:
            return False
        row = row_of(found) or SessionRow(0, time.time(), Uptime("", 0.0), b"")
        kept = encode(change(readable(row.state) or StoredSession()))
        place = (row.used, row.up.boot, row.up.seconds, kept)
        if database.execute(CHANGE, (*place, name, found[0])).rowcount:
            return True


def passed(row: SessionRow, now: Uptime, wall: float) -> float:
    """Seconds since the session was used; by the clock that is set only where the machine started since."""
    return now.seconds - row.up.seconds if now.boot == row.up.boot else wall - row.used


def of_file(path: Path) -> SessionRow | None:
    """A session in a file of its own, as earlier versions kept it. Raises SessionError if it is damaged."""
    try:
        kept = _decode_earlier(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise SessionError(f"{path} is damaged: remove it to start the session over") from None
    return SessionRow(0, kept.seen, Uptime("", 0.0), encode(kept.session()))
