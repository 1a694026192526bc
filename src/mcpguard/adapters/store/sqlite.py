"""State that outlives a message, in one SQLite file of the state folder: what each principal with each agent
has done. A new process, and another one at the same time, go on with the same session.

Law of this file: a change is one statement that works only on the version it was made of, so whoever is
stopped or killed halfway has changed nothing and holds nobody up. Nothing waits: where the file is busy the
change is made again later. What is not stored is not decided, and what cannot be read is never taken for a
new session. While a disk hangs nothing is decided that needs the file, and everything else goes on.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeVar, cast

from mcpguard.adapters.store import pins, sessions, tickets, upkeep, waits
from mcpguard.adapters.store.sessions import (
    KnownSession,
    OpenSessions,
    SessionRow,
    encode,
    passed,
)
from mcpguard.adapters.store.state import SharedState
from mcpguard.adapters.system.clock import Uptime, uptime
from mcpguard.adapters.system.disk import WaitedDisk
from mcpguard.adapters.system.files import private_file
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Principal
from mcpguard.core.policy.session import PARTS, Session, StoredSession, name_of
from mcpguard.core.policy.terms import MAX_WINDOW
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Clock

if TYPE_CHECKING:
    import sqlite3

FILE = "state.sqlite"
FORM = 5
"""The version of the tables, as the file's `user_version`."""
BUSY_SECONDS = 1.0
"""How long a change may find the file busy before it is refused."""
PAUSE = 0.002
MOST_PAUSE = 0.05
"""Between two tries at a busy file: each pause is twice as long as the one before, up to this."""
TRIES = 32
"""How often a change is made again at once, since another process was quicker."""
LOOK_SECONDS = 1.0
CHECKPOINT = 500
"""After this many changes a thread moves what they wrote from the log to the file: it waits for the disk.
It also removes what ended long ago, which may be a great deal."""
KEPT_SECONDS = MAX_WINDOW + MAX_WINDOW // PARTS
"""How long a session that ended stays at most: a limit may still count what it holds."""

_OUTRUN = "the session's state is unavailable: others are changing it"

T = TypeVar("T")


class SqliteStore(SharedState):
    """Implements `ports.Store` in a file. The folder is made, mode 0700, when it is first needed."""

    def __init__(
        self,
        folder: Path,
        idle_seconds: float,
        clock: Clock,
        now: Callable[[], Uptime] = uptime,
        *,
        synced: bool = False,
        updates: bool = False,
    ) -> None:
        """A session ends when it was not used for `idle_seconds` and no connection that used it is left.
        `synced`: each change waits for the disk, and so outlasts a power failure. `updates`: a file of an
        earlier version is brought up to date, which processes of that version cannot use any more."""
        super().__init__(idle_seconds)
        self._folder = folder
        self._path = folder / FILE
        self._clock = clock
        self._now = now
        self._synced = synced
        self._updates = updates
        self._database: sqlite3.Connection | None = None
        self._inode = 0
        self._beside = (0, 0)
        self._shown: upkeep.OpenFile | None = None
        self._looks_at = 0.0
        """When it looks again whether the files beside it are those of `_beside`, in monotonic seconds."""
        self._rows: dict[str, SessionRow] = {}
        self._fresh: set[str] = set()
        """Whose rows are as in the file, while its `data_version` is `_seen`: nobody else changed it."""
        self._seen = -1
        self._before: dict[str, SessionRow] = {}
        """Sessions in use whose file was removed or replaced, as they were in it, until they are stored."""
        self._locked = False
        """Whether the last try found the file locked."""
        self._changes = 0
        self._said: list[str] = []
        """What `replaced` is to be called with: work is done in a thread, and this is for the loop."""
        self._open_sessions = OpenSessions(folder)
        self._waits = waits.WaitingCalls(folder)
        self._disk = WaitedDisk("mcpguard-state")

    def enter(self, principal: Principal, agent: str | None) -> None:
        self._open_sessions.enter(name_of(principal, agent))

    def leave(self, principal: Principal, agent: str | None) -> None:
        self._open_sessions.leave(name_of(principal, agent))

    def change(self, invocation: Invocation, change: Callable[[Session], T]) -> Wait[T]:
        return self._begun(lambda: self._once(invocation, change))

    def waits(self, ticket_id: str, since: float) -> Callable[[], None]:
        call = waits.WaitingCall(ticket_id, since)
        self._begun(lambda: self._noted(self._waits.begin(self._open(), call)))

        def over() -> None:
            call.over = True
            if call.row is not None:
                self._begun(lambda: self._noted(self._waits.end(self._open(), call)))

        return over

    @property
    def waiting_calls(self) -> int:
        return self._waits.count

    def problem(self) -> str:
        problem = upkeep.problem_of(self._path, FORM, bool(self.failing))
        if not problem:
            self.failing = ""
        return problem

    def mend(self) -> None:
        if self._database is not None and upkeep.inodes_beside(self._path) != self._beside:
            self._looks_at = 0.0
            self._begun(lambda: (True, self._open()))

    @property
    def in_use(self) -> bool:
        return self._database is not None or bool(self.failing)

    # --- for a person ----------------------------------------------------------------------------

    def known(self, prefix: str = "") -> list[KnownSession]:
        def look() -> list[KnownSession]:
            database, place = self._open(), (self._now(), self.idle_seconds)
            if prefix:
                return self._open_sessions.named(database, prefix, *place)
            return self._open_sessions.listed(database, *place)

        return self._patient(look)

    def edit(self, name: str, change: Callable[[StoredSession], StoredSession]) -> bool:
        return self._patient(lambda: sessions.edited(self._open(), name, change))

    def waited_for(self) -> dict[str, float]:
        return self._patient(lambda: waits.since(self._open(), self._folder))

    def _patient(self, look: Callable[[], T]) -> T:
        import sqlite3

        ends = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return look()
            except sqlite3.Error as problem:
                if not upkeep.is_busy(problem) or time.monotonic() > ends:
                    raise SessionError(upkeep.unusable(self._path, problem)) from None
            except OSError as problem:
                raise SessionError(upkeep.unmade(self._path.parent, problem)) from None
            time.sleep(PAUSE)

    # --- in the loop -----------------------------------------------------------------------------

    def _begun(self, work: Callable[[], tuple[bool, T]]) -> Wait[T]:
        wait: Wait[T] = Wait()
        self._try(wait, work, self._clock.seconds() + BUSY_SECONDS, PAUSE)
        return wait

    def _try(self, wait: Wait[T], work: Callable[[], tuple[bool, T]], ends: float, pause: float) -> None:
        ended = False
        try:
            done, value = self._attempt(work)
            ended = True
        except SessionError as problem:
            wait.fail(problem)
            return
        finally:
            if not ended:  # After a defect nobody waits for ever.
                wait.fail(SessionError("the session could not be changed"))
        if done:
            wait.set(cast("T", value))
        elif self._clock.seconds() > ends:
            locked = upkeep.LOCKED.format(self._path)
            wait.fail(self._is(locked) if self._locked else SessionError(_OUTRUN))
        else:
            # Many may wait at once, so they do not all look all the time.
            again = partial(self._try, wait, work, ends, min(2 * pause, MOST_PAUSE))
            self._clock.later(pause, again)

    def _attempt(self, work: Callable[[], tuple[bool, T]]) -> tuple[bool, T | None]:
        """Whether it is stored, and what it gave; not where others use the file or were quicker each time."""
        import sqlite3  # A start without state does not pay for it.

        self._locked, before = False, self._changes
        try:
            for _ in range(TRIES):
                done, value = self._disk.do(work, self.close)
                if done:
                    if self._changes != before:  # What was only read proves nothing.
                        self._is("")
                    return True, value
        except sqlite3.Error as problem:
            self._locked = upkeep.is_busy(problem)
            if not self._locked:
                self.close()
                raise self._is(upkeep.unusable(self._path, problem)) from None
        except OSError as problem:
            raise self._is(upkeep.unmade(self._path.parent, problem)) from None
        except upkeep.KeptError as problem:
            raise self._is(str(problem)) from None
        finally:
            while self._said:
                self.replaced(self._said.pop())
        return False, None

    def _once(self, invocation: Invocation, change: Callable[[Session], T]) -> tuple[bool, T]:
        """Whether the change is stored, and what it gave."""
        who, agent = invocation.principal, invocation.agent
        return self._changed(name_of(who, agent), who.text, agent, invocation.now.timestamp(), change)

    def _changed(
        self, name: str, principal: str, agent: str | None, at: float, change: Callable[[Session], T]
    ) -> tuple[bool, T]:
        database = self._open()
        row = self._row(database, name)
        session = Session(self._session(row, name, at))
        self._open_sessions.use(name)
        value = change(session)
        state, now = encode(session.kept), self._now()
        used = max(at, row.used)
        as_stored = row.version and state == row.state and name not in self._before
        if as_stored and passed(row, now, used) < self.idle_seconds / 60:
            return True, value
        place = (used, now.boot, now.seconds, state)
        if row.version:
            done = database.execute(sessions.CHANGE, (*place, name, row.version)).rowcount
        else:
            done = database.execute(sessions.NEW, (name, principal, agent, *place)).rowcount
        if not done:
            self._fresh.discard(name)
            return False, value
        self._rows[name] = SessionRow(row.version + 1, used, now, state)
        self._fresh.add(name)
        self._before.pop(name, None)
        if not row.version:
            self._earlier(name).unlink(missing_ok=True)
        self._note_change()
        return True, value

    def _session_of(self, name: str, now: float) -> StoredSession:
        return self._session(self._row(self._open(), name), name, now)

    # --- the file --------------------------------------------------------------------------------

    def _open(self) -> "sqlite3.Connection":
        database = self._database
        saved = database is not None
        if database is not None:
            if not (replaced := self._replaced(database)):
                self._note_others(database)
                return database
            self.close()
            self._before |= self._rows
            self._said.append(replaced.format(self._path))
        import sqlite3

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its further files the mode of this one.
        file = private_file(self._path, os.O_RDWR)
        self._inode = os.fstat(file).st_ino
        os.close(file)
        upkeep.check_log(self._path, saved)
        with ExitStack() as opened:
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            database.text_factory = sessions.text_of
            opened.callback(database.close)
            self._prepare(database)
            opened.pop_all()
        self._beside = upkeep.inodes_beside(self._path)
        self._shown = upkeep.OpenFile(self._path)
        self._database = database
        return database

    def _replaced(self, database: "sqlite3.Connection") -> str:
        """What is to be said if the file was removed or replaced, "" if not; the same of those beside it,
        which are looked at once a second."""
        if upkeep.inode(self._path) != self._inode:
            return upkeep.REPLACED
        now = time.monotonic()
        if now < self._looks_at:
            return ""
        self._looks_at = now + LOOK_SECONDS
        if self._shown is not None:
            self._shown.show()
        beside = upkeep.inodes_beside(self._path)
        if beside == self._beside:
            return ""
        if not beside[0]:  # Our connection still has the log that was removed.
            with suppress(database.Error):
                database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return upkeep.BESIDE_REPLACED

    def _note_others(self, database: "sqlite3.Connection") -> None:
        """Read the file again where others have changed it, unless a later version has updated it."""
        ((seen,),) = database.execute("PRAGMA data_version").fetchall()
        if seen != self._seen:
            ((form,),) = database.execute("PRAGMA user_version").fetchall()
            upkeep.check_form(self._path, form, FORM, self._updates)
            self._fresh.clear()
            self._seen = seen

    def _prepare(self, database: "sqlite3.Connection") -> None:
        ((form,),) = database.execute("PRAGMA user_version").fetchall()
        upkeep.check_form(self._path, form, FORM, self._updates)
        database.execute("PRAGMA journal_mode = WAL")
        # NORMAL is durable against the end of a process; the thread of the checkpoints waits for the disk.
        database.execute(f"PRAGMA synchronous = {'FULL' if self._synced else 'NORMAL'}")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute(waits.TABLE)
        database.execute(pins.TABLE)
        if form < FORM:
            self._make(database)
        upkeep.guard(database, FORM)
        if database.execute(sessions.OLD, (self._oldest,)).fetchone() is not None:
            self._tidy()

    def _make(self, database: "sqlite3.Connection") -> None:
        """The tables, unless another process has made them meanwhile and may have a ticket in them."""
        with tickets.alone(database):
            ((form,),) = database.execute("PRAGMA user_version").fetchall()
            upkeep.check_form(self._path, form, FORM, self._updates)
            if form == FORM:
                return
            lost = tickets.open_in(database, time.time())
            for statement in (sessions.TABLE, *tickets.TABLES):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {FORM}")
        self._said += [upkeep.UPDATED.format(self._path, lost)] if lost else []

    def close(self) -> None:
        self._disk.end()
        database, self._database = self._database, None
        shown, self._shown = self._shown, None
        if shown is not None:  # First: whoever connects meanwhile must not miss what SQLite removes.
            shown.close()
        if database is not None:
            database.close()
        # What connections of ours used is known still; the rest is read again.
        self._rows = {name: row for name, row in self._rows.items() if self._open_sessions.holds(name)}
        self._fresh.clear()
        self._seen = -1

    def _noted(self, value: T) -> tuple[bool, T]:
        self._note_change()
        return True, value

    def _note_change(self) -> None:
        self._changes += 1
        if self._changes % CHECKPOINT == 0:
            self._tidy()

    @property
    def _oldest(self) -> float:
        """What was not used since then has ended, and no limit counts what it holds."""
        return time.time() - max(self.idle_seconds, KEPT_SECONDS)

    def _tidy(self) -> None:
        work = partial(upkeep.tidy, self._path, FORM, self._oldest, self._open_sessions.in_use)
        Thread(target=work, daemon=True).start()

    # --- a session -------------------------------------------------------------------------------

    def _row(self, database: "sqlite3.Connection", name: str) -> SessionRow:
        if name in self._fresh:
            return self._rows[name]
        found = database.execute(sessions.READ, (name,)).fetchone()
        if found is None:
            return self._without_row(name)
        read = sessions.row_of(found)
        if read is None:
            raise self._unreadable(name)
        before = self._before.get(name)
        if before is not None:  # Somebody else was the first to use the session again.
            joined = self._read(read.state, name).joined(self._read(before.state, name))
            read.state = encode(joined)
        row = self._rows[name] = read
        self._fresh.add(name)
        return row

    def _without_row(self, name: str) -> SessionRow:
        """What goes into the file: the session that is in use though its file was taken away, one that an
        earlier version kept, or a new one."""
        known = self._rows.get(name)
        if known is not None and self._open_sessions.holds(name):
            return SessionRow(0, known.used, known.up, known.state)
        return sessions.of_file(self._earlier(name)) or SessionRow(
            0, 0.0, self._now(), encode(StoredSession())
        )

    def _earlier(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, state: bytes, name: str) -> StoredSession:
        kept = sessions.readable(state)
        if kept is None:
            raise self._unreadable(name)
        return kept

    def _unreadable(self, name: str) -> SessionError:
        self._open_sessions.use(name)  # So it is listed as long as calls are refused for it.
        return SessionError(f"{self._path} {sessions.UNREADABLE.format(name[:8])}")

    def _session(self, row: SessionRow, name: str, now: float) -> StoredSession:
        kept = self._read(row.state, name)
        if passed(row, self._now(), now) <= self.idle_seconds or self._open_sessions.in_use(name):
            return kept
        return kept.ended(now)
