"""State that outlives a message, in PostgreSQL: what each principal with each agent has done, for replicas on
several machines.

Law of this file: a change is made in the loop, of what was last read, and stored by one statement that works
only on the version it was made of; what one session waits for is stored together. The loop waits for nothing.
What is not stored is not decided, and nothing counts as ended that this replica, which may have been cut off,
does not know to have ended.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock, local
from typing import Any, TypeVar

from msgspec import Struct, structs

from mcpguard.adapters.store import tickets
from mcpguard.adapters.store.connections import (
    ANSWER_SECONDS,
    ConnectionThread,
    StateConnection,
    check,
    connected,
    described,
)
from mcpguard.adapters.store.sessions import (
    UNREADABLE,
    KnownSession,
    between,
    decode,
    encode,
    lacks,
    readable,
)
from mcpguard.adapters.store.sqlite import KEPT_SECONDS
from mcpguard.adapters.store.state import SharedState
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Principal
from mcpguard.core.policy.session import Session, StoredSession, name_of
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.ports import Clock

T = TypeVar("T")

THREADS = 4
"""Connections of a replica, for calls; one more is for people and for looks whether the database is there."""
BEAT_SECONDS = 30.0
"""How often a replica says which sessions its connections hold; four times as often as they could end."""
TIDY_SECONDS = 3600.0
"""How often a replica removes what has ended."""

_LOST = (
    "the database of sessions has lost changes, as after a failover: labels, limits and approvals of "
    "sessions that are not connected may be lost"
)
_BUSY = "the session's state is unavailable: others are changing it"
_READ = "SELECT version, moment() - greatest(used, held), state FROM sessions WHERE name = ?"
_COLUMNS = "SELECT name, principal, agent, used, moment() - greatest(used, held), moment() - held, state"
_RECENT = f"{_COLUMNS} FROM sessions WHERE greatest(used, held) >= moment() - ? ORDER BY used DESC"
_NAMED = f"{_COLUMNS} FROM sessions WHERE name BETWEEN ? AND ? ORDER BY used DESC"
_NEW = (
    "INSERT INTO sessions VALUES (?, ?, ?, (moment() * 1000000)::bigint, moment(),"
    " CASE WHEN ? THEN moment() ELSE 0 END, ?) ON CONFLICT DO NOTHING RETURNING version"
)
"""A version says when the change was made, so that one that is gone, as after a failover, is never that of
another."""
_CHANGE = (
    "UPDATE sessions SET version = greatest(version + 1, (moment() * 1000000)::bigint), used = moment(),"
    " held = CASE WHEN ? THEN moment() ELSE held END, state = ? WHERE name = ? AND version = ?"
    " RETURNING version"
)
_HOLD = (
    "UPDATE sessions SET held = moment() WHERE name IN"
    " (SELECT name FROM sessions WHERE name = ANY(?) FOR UPDATE SKIP LOCKED)"
)
_WAITS = "INSERT INTO waits VALUES (?, ?, ?, moment())"
_WAITS_STILL = "UPDATE waits SET held = moment() WHERE name = ANY(?)"
_WAITS_NO_MORE = "DELETE FROM waits WHERE name = ? OR held < moment() - ?"
_WAITED_FOR = "SELECT ticket, min(since) FROM waits WHERE held > moment() - ? GROUP BY ticket"
_EDIT = (
    "UPDATE sessions SET version = greatest(version + 1, (moment() * 1000000)::bigint), state = ?"
    " WHERE name = ? AND version = ?"
)
_TIDY_SESSIONS = "DELETE FROM sessions WHERE greatest(used, held) < moment() - ?"
_TIDY_TICKETS = "DELETE FROM tickets WHERE expires < least(moment(), ?) - ?"
"""Tickets expire by the clocks of replicas, and none is removed early by that of the database."""
_TRY = "INSERT INTO waits VALUES (?, '', 0, 0)"


class Row(Struct):
    """A session as it was read or stored: `idle` is for how many seconds nobody has used or held it, and
    `timeline` that of the database. One that is not there has version 0."""

    version: int
    idle: float
    state: bytes
    timeline: str


def _tries() -> Iterator[None]:
    """A change is made again where another replica was quicker: a slow one may lose many times."""
    begun = time.monotonic()
    while time.monotonic() - begun < ANSWER_SECONDS:
        yield


class _PendingChange(Struct, eq=False):
    """What somebody waits for."""

    invocation: Invocation
    change: Callable[[Session], Any]
    wait: Wait[Any]


class PostgresStore(SharedState):
    """Implements `ports.Store` in a database that several replicas share."""

    in_use = True

    def __init__(
        self,
        url: Callable[[], Secret],
        idle_seconds: float,
        clock: Clock,
        to_loop: Callable[[Callable[[], object]], object] = lambda call: call(),
    ) -> None:
        """`url` gives the connection URL, in any thread, and raises CredentialError. A session ends when no
        connection that used it was left for `idle_seconds`. `to_loop` has the event loop call what it is
        given, from any thread; what calls need may be asked for there only."""
        super().__init__(idle_seconds)
        self.failing = "the PostgreSQL of `session.postgres` has not answered yet"
        self._clock = clock
        self._to_loop = to_loop
        self._here = local()
        """The connection of the thread that does a piece of work."""
        self._threads = [ConnectionThread(partial(connected, url)) for _ in range(THREADS)]
        self._patient_thread = ConnectionThread(partial(connected, url))
        self._one_by_one = Lock()
        self._clients: Counter[str] = Counter()
        self._rows: dict[str, Row] = {}
        """Sessions that connections of ours have used, as we last saw them."""
        self._pending: dict[str, list[_PendingChange]] = {}
        self._storing: set[str] = set()
        self._since = float("inf")
        """Since when the database has answered without a failure, in seconds of a monotonic clock."""
        self._waits = set[str]()
        """The names of the rows of calls of ours that wait for an answer."""
        self._beating = False
        self._tidied = float("-inf")

    def enter(self, principal: Principal, agent: str | None) -> None:
        self._clients[name_of(principal, agent)] += 1

    def leave(self, principal: Principal, agent: str | None) -> None:
        name = name_of(principal, agent)
        self._clients[name] -= 1
        if not self._clients[name]:
            del self._clients[name]
            self._rows.pop(name, None)

    def change(self, invocation: Invocation, change: Callable[[Session], T]) -> Wait[T]:
        if not self._beating:  # Not earlier: a client may connect before the loop runs.
            self._beating = True
            self._beat()
        wait: Wait[T] = Wait()
        name = name_of(invocation.principal, invocation.agent)
        self._pending.setdefault(name, []).append(_PendingChange(invocation, change, wait))
        if name not in self._storing:
            self._storing.add(name)
            Flight(self._store(name))
        return wait

    def waits(self, ticket_id: str, since: float) -> Callable[[], None]:
        name = os.urandom(8).hex()
        self._waits.add(name)
        begun = self._doing(lambda: self._open().execute(_WAITS, (name, ticket_id, since)))

        def end(_begun: Wait[Any]) -> None:
            self._doing(lambda: self._open().execute(_WAITS_NO_MORE, (name, TIDY_SECONDS)))

        def over() -> None:
            self._waits.discard(name)
            begun.then(end)

        return over

    @property
    def waiting_calls(self) -> int:
        return len(self._waits)

    # --- in the loop -----------------------------------------------------------------------------

    async def _store(self, name: str) -> None:
        """Make and store what is pending for a session, and what comes meanwhile."""
        try:
            while changes := self._pending.pop(name, []):
                try:
                    outcomes = await self._stored(name, changes)
                except SessionError as problem:
                    outcomes = [partial(one.wait.fail, problem) for one in changes]
                for resume in outcomes:
                    resume()
        finally:
            self._storing.discard(name)
            for left in self._pending.pop(name, []):  # After a defect nobody waits for ever.
                left.wait.fail(SessionError("the session could not be changed"))

    async def _stored(self, name: str, changes: list[_PendingChange]) -> list[Callable[[], None]]:
        """What resumes those who wait, once what they change is stored. Raises SessionError."""
        last = changes[-1].invocation
        known = self._rows.get(name)
        if known is None:
            known = await self._doing(partial(self._read, name))
        found = row = known
        lost = False
        for _ in _tries():
            state, outcomes = self._made(name, row, changes)
            place = name, last.principal.text, last.agent, name in self._clients, found, state
            stored, found = await self._doing(partial(self._swapped, *place))
            if stored:
                if name in self._clients:
                    self._rows[name] = found
                return outcomes
            if not lost and self._lost(found, known, last.now.timestamp(), name):
                lost = True
                self.replaced(_LOST)
            if lost:  # Until it is stored: others may change what lacks it meanwhile.
                row = self._joined(name, found, known)
            else:
                row = known = found
        raise SessionError(_BUSY)

    def _made(
        self, name: str, row: Row, changes: list[_PendingChange]
    ) -> tuple[bytes, list[Callable[[], None]]]:
        """The state once all `changes` were made, and what then resumes those who wait. A change that fails
        changes nothing."""
        begins = self._kept(row, changes[0].invocation.now.timestamp(), name)
        state, outcomes = encode(begins), list[Callable[[], None]]()
        for one in changes:
            session = Session(decode(state).session())
            try:
                outcomes.append(partial(one.wait.set, one.change(session)))
            except Exception as defect:
                outcomes.append(partial(one.wait.fail, defect))
            else:
                state = encode(session.kept)
        return state, outcomes

    def _lost(self, found: Row, known: Row, now: float, name: str) -> bool:
        """Whether the database has lost changes that made the `known` one."""
        if found.version < known.version:
            return True
        if found.timeline == known.timeline:
            return False
        return lacks(self._read_state(found.state, name), self._read_state(known.state, name), now)

    def _joined(self, name: str, found: Row, known: Row) -> Row:
        """What a change is to be made of: what the database has lost counts all the same."""
        state = self._read_state(found.state, name).joined(self._read_state(known.state, name))
        return structs.replace(found, idle=0.0, state=encode(state))

    def _doing(self, work: Callable[[], T]) -> Wait[T]:
        """Do `work` in a thread. Fails with SessionError, after ANSWER_SECONDS at the latest."""
        wait: Wait[T] = Wait()
        thread = min(self._threads, key=lambda one: one.open)

        def wanted() -> bool:
            return not wait.done

        def late() -> None:
            thread.cut(wanted)
            wait.fail(self._is(described(TimeoutError())))

        def over() -> None:
            thread.open -= 1
            cancel()
            if wait.done:
                return
            error = future.exception()
            if error is None:
                self._is("")
                wait.set(future.result())
            else:
                wait.fail(error if isinstance(error, SessionError) else self._is(described(error)))

        thread.open += 1
        cancel = self._clock.later(ANSWER_SECONDS, late)
        future = thread.submit(partial(self._with, work), wanted)
        future.add_done_callback(lambda _future: self._to_loop(over))
        return wait

    def _is(self, failing: str) -> SessionError:
        if self.failing and not failing:
            self._since = time.monotonic()
        return super()._is(failing)

    def _begun(self, work: Callable[[], tuple[bool, T]]) -> Wait[T]:
        return self._doing(lambda: work()[1])

    def _beat(self) -> None:
        if not self._beating:
            return
        now = time.monotonic()
        tidies = now - self._tidied > TIDY_SECONDS
        self._tidied = now if tidies else self._tidied
        self._doing(partial(self._hold, list(self._rows), list(self._waits), tidies))
        self._clock.later(self._beat_seconds, self._beat)

    @property
    def _beat_seconds(self) -> float:
        return min(BEAT_SECONDS, self.idle_seconds / 4)

    # --- for a person ----------------------------------------------------------------------------

    def known(self, prefix: str = "") -> list[KnownSession]:
        look, place = (_NAMED, between(prefix)) if prefix else (_RECENT, (self.idle_seconds,))
        rows = self._patient(lambda: self._open().execute(look, place).fetchall())
        found = [
            (KnownSession(name, principal, agent, used, held < 2 * self._beat_seconds, readable(state)), idle)
            for name, principal, agent, used, idle, held, state in rows
        ]
        return [one for one, idle in found if one.state is None or idle <= self.idle_seconds]

    def waited_for(self) -> dict[str, float]:
        lost = 2 * self._beat_seconds
        return self._patient(lambda: dict(self._open().execute(_WAITED_FOR, (lost,)).fetchall()))

    def edit(self, name: str, change: Callable[[StoredSession], StoredSession]) -> bool:
        return self._patient(lambda: self._edited(name, change))

    def problem(self) -> str:
        found = ""
        try:
            self._patient(self._look)
        except SessionError as problem:
            found = str(problem)
        if self.failing and self.failing != found:
            self._to_loop(partial(self._is, found))
        return found

    def close(self) -> None:
        self._beating = False
        for thread in (*self._threads, self._patient_thread):
            thread.end()

    def _patient(self, look: Callable[[], T]) -> T:
        with self._one_by_one:
            future = self._patient_thread.within(partial(self._with, look))
        error = future.exception() if future.done() else TimeoutError()
        if error is None:
            return future.result()
        raise error if isinstance(error, SessionError) else SessionError(described(error))

    # --- in a thread of a connection -------------------------------------------------------------

    def _with(self, work: Callable[[], T], connection: StateConnection) -> T:
        self._here.connection = connection
        return work()

    def _open(self) -> StateConnection:
        connection: StateConnection = self._here.connection
        return connection

    def _look(self) -> None:
        database = self._open()
        check(database)
        if self.failing:
            # There may be no room for a change, or no standby that has to have it; or a table is locked, or
            # not as it was.
            name = os.urandom(8).hex()
            database.execute(_TRY, (name,))
            database.execute(_WAITS_NO_MORE, (name, TIDY_SECONDS))
            database.execute(_CHANGE, (False, b"", name, 0))
            tickets.ended(database, name, 0)

    def _read(self, name: str) -> Row:
        found = self._open().execute(_READ, (name,)).fetchone()
        version, idle, state = found or (0, 0.0, encode(StoredSession()))
        return Row(version, idle, state, self._open().timeline)

    def _swapped(
        self, name: str, principal: str, agent: str | None, held: bool, row: Row, state: bytes
    ) -> tuple[bool, Row]:
        """Whether `state` is stored in place of `row`, and the session as it is now."""
        if row.version and state == row.state:
            found = self._read(name)
            if found.version != row.version:
                return False, found
            if found.idle < self.idle_seconds / 60:
                return True, row
        if row.version:
            done = self._open().execute(_CHANGE, (held, state, name, row.version))
        else:
            done = self._open().execute(_NEW, (name, principal, agent, held, state))
        if (version := done.fetchone()) is not None:
            return True, Row(version[0], 0.0, state, self._open().timeline)
        return False, self._read(name)

    def _changed(
        self, name: str, principal: str, agent: str | None, at: float, change: Callable[[Session], T]
    ) -> tuple[bool, T]:
        row = self._read(name)
        for _ in _tries():
            session = Session(self._kept(row, at, name))
            value = change(session)
            done, row = self._swapped(name, principal, agent, False, row, encode(session.kept))
            if done:
                return True, value
        raise SessionError(_BUSY)

    def _edited(self, name: str, change: Callable[[StoredSession], StoredSession]) -> bool:
        while (row := self._read(name)).version:
            place = encode(change(readable(row.state) or StoredSession())), name, row.version
            if self._open().execute(_EDIT, place).rowcount:
                return True
        return False

    def _hold(self, names: list[str], waits: list[str], tidies: bool) -> None:
        # Also without any, so that it is known whether the database has answered all the time.
        self._open().execute(_HOLD, (names,))
        self._open().execute(_WAITS_STILL, (waits,))
        if tidies:
            self._open().execute(_TIDY_SESSIONS, (max(self.idle_seconds, KEPT_SECONDS),))
            self._open().execute(_TIDY_TICKETS, (time.time(), TIDY_SECONDS))

    # --- a session -------------------------------------------------------------------------------

    def _session_of(self, name: str, now: float) -> StoredSession:
        return self._kept(self._read(name), now, name)

    def _kept(self, row: Row, now: float, name: str) -> StoredSession:
        kept = self._read_state(row.state, name)
        # Whoever holds the session may have been cut off as we were.
        known = time.monotonic() - self._since > 2 * self._beat_seconds
        return kept.ended(now) if known and row.idle > self.idle_seconds else kept

    def _read_state(self, state: bytes, name: str) -> StoredSession:
        kept = readable(state)
        if kept is None:
            raise SessionError(f"the database {UNREADABLE.format(name[:8])}")
        return kept
