"""Connections to PostgreSQL, each in a thread of its own, and the tables that they need.

Law of this file: no statement is built from data; none waits long, here or in the database, so that a
replica that was stopped, and a database that does not answer, hold nobody up; and a connection on which
anything went wrong is not used again.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from mcpguard.adapters.postgresql import READ_ONLY, failure, library, parameters_of
from mcpguard.adapters.store.tickets import ALONE
from mcpguard.adapters.system.disk import DiskThread
from mcpguard.adapters.system.shipped import command_for_extra
from mcpguard.core.errors import CredentialError, SessionError
from mcpguard.core.secret import Secret

if TYPE_CHECKING:
    from psycopg import Connection

KEY = "`session.postgres`"
ANSWER_SECONDS = 3.0
"""How long a piece of work may take, with its wait for a connection and for others."""
STATEMENT_SECONDS = 2
"""How long the database lets a statement take, with its wait for a lock; a transaction that does nothing ends
sooner."""
SCHEMA = "mcpguard"
_LOOKS = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}
"""What finds out that a connection nobody uses was forgotten on its way, unless the URL says otherwise."""
_CONNECT = {"connect_timeout": 2, "client_encoding": "UTF8"}

FORMS = (
    """
    CREATE TABLE form (form INTEGER NOT NULL);
    CREATE FUNCTION moment() RETURNS FLOAT8 STABLE LANGUAGE sql
        AS 'SELECT extract(epoch FROM clock_timestamp())::float8';
    CREATE TABLE sessions (
        name TEXT PRIMARY KEY, principal TEXT NOT NULL, agent TEXT, version BIGINT NOT NULL,
        used FLOAT8 NOT NULL, held FLOAT8 NOT NULL, state BYTEA NOT NULL
    ) WITH (fillfactor = 70);
    CREATE TABLE waits (
        name TEXT PRIMARY KEY, ticket TEXT NOT NULL, since FLOAT8 NOT NULL, held FLOAT8 NOT NULL
    );
    CREATE TABLE tickets (
        id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, kin TEXT NOT NULL, principal TEXT NOT NULL,
        session TEXT NOT NULL, state TEXT NOT NULL, expires FLOAT8 NOT NULL, uses INTEGER NOT NULL,
        answer BYTEA, question BYTEA NOT NULL
    );
    CREATE INDEX tickets_same ON tickets (fingerprint);
    CREATE INDEX tickets_kin ON tickets (kin, state, expires);
    CREATE INDEX tickets_waiting ON tickets (session, state, expires);
    CREATE INDEX tickets_of ON tickets (principal, expires);
    CREATE INDEX tickets_expired ON tickets (expires);
    INSERT INTO form VALUES (1);
    """,
    """
    CREATE TABLE pins (
        server TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        digest TEXT NOT NULL, accepted INTEGER NOT NULL, since FLOAT8 NOT NULL, by_whom TEXT NOT NULL,
        text BYTEA NOT NULL, PRIMARY KEY (server, place, kind, name, digest)
    );
    UPDATE form SET form = 2;
    """,
)
"""What makes each form of the tables of the one before; a further one also changes `form`. Only the clock of
the database counts, `moment()`: those of replicas differ."""
_SETTLE = f"""
    SELECT set_config('search_path', '{SCHEMA}, pg_temp', false),
    set_config('statement_timeout', '{STATEMENT_SECONDS}s', false),
    set_config('idle_in_transaction_session_timeout', '1s', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('lock_timeout', '0', false),
    set_config('synchronous_commit',
    coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)
"""
"""What was acknowledged outlasts a crash, though the server may be set not to wait for its disk."""
_PROCESS = "SELECT pg_backend_pid()"
_LOOKS_AT_POOLER = 4
_IS_THERE = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = ? AND tablename = 'form')"
"""Not by `to_regclass`, which may remember what was so before another replica made the tables."""
_FORM = "SELECT coalesce(max(form), -1) FROM form"
_MAY = """
    SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
    bool_and(has_table_privilege(t, p) AND NOT row_security_active(t)),
    EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND wait_event = 'SyncRep'
    AND state_change < clock_timestamp() - interval '1s')
    FROM unnest(ARRAY['sessions', 'tickets', 'waits', 'pins']) t,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
"""
"""A change whose commit waits for a standby ends neither with `statement_timeout` nor with its connection."""
_TIMELINE = "SELECT pg_walfile_name(pg_current_wal_lsn())"
_OWN = "LOCK TABLE form"
"""Whoever connects meanwhile reads the form afterwards, and so knows the new one."""
_PART_SECONDS = 2.0
"""How long they may take to end: on a busy machine more than a moment."""
_PART_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database()"
    " AND application_name LIKE 'mcpguard/%' AND application_name <> current_setting('application_name')"
)
"""End the connections of an earlier version, and count those that are left. Not as a condition of WHERE,
which might be evaluated before the others."""
_LOOK_AGAIN = "SELECT pg_stat_clear_snapshot(), pg_sleep(0.02)"
_POOLER = (
    f"the pooler of {KEY} gives each transaction another connection, which loses settings and locks: set "
    "`pool_mode = session` for this database (in PgBouncer), or connect to PostgreSQL directly"
)
_CHANGED = (
    f"the tables of {KEY} were removed or changed by something else: restore them from a backup, or drop the "
    f"schema `{SCHEMA}` and create it again, without the labels, limits and approvals in it"
)
_RIGHTS = (
    f"the role of {KEY} may not change the state: grant it SELECT, INSERT, UPDATE and DELETE on the tables "
    f"of its schema `{SCHEMA}`, without row-level security"
)
_NAME = "the session's state cannot be stored: a name in it has characters that PostgreSQL refuses"
_FAILURES = {
    "57014": f"the PostgreSQL of {KEY} took longer than {STATEMENT_SECONDS} seconds: it is overloaded, or "
    "another connection has locked the tables (`pg_locks`)",
    "42P01": _CHANGED,
    "42703": _CHANGED,
    "42883": _CHANGED,
    "42P07": _CHANGED,
    "22003": _CHANGED,
    "42501": _RIGHTS,
}
"""The sentence for a state of PostgreSQL that has a meaning of its own here."""
_UNMADE = (
    f"the database of {KEY} has no schema `{SCHEMA}`, and its role may not create it: have its owner run "
    f"`CREATE SCHEMA {SCHEMA} AUTHORIZATION` with the name of the role"
)
_EARLIER = (
    f"the tables of {KEY} were made by an earlier version of mcpguard, and its role does not own them: "
    "start one replica of this version with the role that does"
)
_OTHERS_STAY = (
    f"replicas of an earlier version of mcpguard are connected to the database of {KEY} "
    "with a role that this one may not disconnect: stop them"
)
_OTHERS_HANG = (
    f"connections of replicas of an earlier version of mcpguard to the database of {KEY} do not end: stop "
    "these replicas"
)
_LOCK = "SELECT pg_advisory_xact_lock({})"
_FORM_LOCK, _TICKETS_LOCK = (_LOCK.format(number) for number in (1_835_230_824, 1_835_230_825))
T = TypeVar("T")


@cache
def _ours(statement: str) -> bytes:
    """A statement of SQLite in the words of PostgreSQL."""
    if statement == ALONE:
        return f"BEGIN; {_TICKETS_LOCK}".encode()
    return statement.replace("?", "%s").encode()


class ReadOnlyError(ConnectionError):
    """The database can be read, and accepts no changes."""


class StateConnection:
    """Implements `tickets.Database`."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.timeline = ""
        """The history of changes in the database, another one after a standby took over; "" where it does
        not say."""
        self._connection = connection
        # Of its own, so that what `cut` gets is never another one that was opened meanwhile.
        self._wire = socket.socket(fileno=os.dup(connection.fileno()))

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status.name in ("INTRANS", "INERROR")

    def execute(self, sql: str, values: tuple[object, ...] = (), /) -> Any:
        from psycopg import DataError

        try:
            # Several statements in one cannot be prepared; those have no values.
            return self._connection.execute(_ours(sql), values or None, prepare=None if values else False)
        except (DataError, UnicodeEncodeError) as refused:
            raise SessionError(_FAILURES.get(getattr(refused, "sqlstate", None) or "", _NAME)) from None

    @property
    def pooled(self) -> bool:
        """Whether a pooler is between us and the database: it makes up the process that it says answers."""
        return bool(self._connection.info.backend_pid != self.process)

    @property
    def process(self) -> int:
        """The process of the database that answers now."""
        return int(self.execute(_PROCESS).fetchone()[0])

    @property
    def lost(self) -> bool:
        """Whether it was closed while nobody used it, as by a restart: the database says nothing unasked."""
        return bool(select.select([self._wire], [], [], 0)[0])

    def cut(self) -> None:
        """Have whoever waits for the database fail now; any thread may call it."""
        with suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
        self._wire.close()


def parameters(url: Callable[[], Secret]) -> dict[str, Any]:
    """What to connect with. Raises ConnectionError, with a sentence, where there is no connecting by that."""
    try:
        library()
        return parameters_of(url().reveal(), "its value")
    except ImportError:
        said = f"{KEY} needs the package `psycopg`, which is missing: run `{command_for_extra('postgres')}`"
    except (CredentialError, ValueError) as problem:
        said = f"{KEY} cannot be used: {problem}"
    raise ConnectionError(said)


def connected(url: Callable[[], Secret]) -> StateConnection:
    """A connection to the tables, which are made or brought up to date where that is needed. Raises
    ConnectionError as `parameters` does, and psycopg.Error where the database fails."""
    where = parameters(url)
    where = {**_LOOKS, **where, **_CONNECT, "application_name": f"mcpguard/{len(FORMS)}"}
    if where.get("target_session_attrs") == "read-write":
        # Asked for that, the library does not say whether what it finds is a standby.
        with suppress(ReadOnlyError):
            return _opened({**where, "target_session_attrs": "primary"})
    return _opened(where)


def _opened(where: dict[str, Any]) -> StateConnection:
    made = StateConnection(library().connect(**where, autocommit=True))
    with ExitStack() as opened:
        opened.callback(made.close)
        made.execute(_SETTLE)
        if made.pooled:
            _refuse_shared(made, where)
        _bring_up_to_date(made)
        check(made)
        with suppress(library().DatabaseError):  # Not every service has the functions of the log.
            made.timeline = made.execute(_TIMELINE).fetchone()[0][:8]
        opened.pop_all()
    return made


def _refuse_shared(one: StateConnection, where: dict[str, Any]) -> None:
    """Raises ConnectionError where a pooler has one connection of its own serve several of ours. What one of
    them sets, such as `search_path`, then holds for another, or for none; and no connection can be ended."""
    other = StateConnection(library().connect(**where, autocommit=True))
    with closing(other):
        seen = [(one.process, other.process) for _ in range(_LOOKS_AT_POOLER)]
    if len(set(seen)) > 1 or seen[0][0] == seen[0][1]:
        raise ConnectionError(_POOLER)


def _bring_up_to_date(database: StateConnection) -> None:
    if _form(database) == len(FORMS):
        return
    database.execute("BEGIN")
    database.execute(_FORM_LOCK)
    form = _form(database)
    if form < 0:
        raise ConnectionError(_CHANGED)
    if form > len(FORMS):
        raise ConnectionError(f"the tables of {KEY} were made by a later version of mcpguard: use that one")
    if not form and database.execute(f"SELECT to_regnamespace('{SCHEMA}') IS NULL").fetchone()[0]:
        try:
            database.execute(f"CREATE SCHEMA {SCHEMA}")
        except library().errors.InsufficientPrivilege:
            raise ConnectionError(_UNMADE) from None
    if 0 < form < len(FORMS):
        _part_others(database)
    for statements in FORMS[form:]:
        database.execute(statements)
    database.execute("COMMIT")


def _part_others(database: StateConnection) -> None:
    """End the connections of an earlier version, which would still write what that one writes. Nothing is
    changed before they have ended."""
    denied = library().errors.InsufficientPrivilege
    try:
        database.execute(_OWN)
    except denied:
        raise ConnectionError(_EARLIER) from None
    ends = time.monotonic() + _PART_SECONDS
    try:
        while database.execute(_PART_OTHERS).fetchone()[0]:
            if time.monotonic() > ends:
                raise ConnectionError(_OTHERS_HANG)
            database.execute(_LOOK_AGAIN)
    except denied:
        raise ConnectionError(_OTHERS_STAY) from None


def _form(database: StateConnection) -> int:
    if not database.execute(_IS_THERE, (SCHEMA,)).fetchone()[0]:
        return 0
    return int(database.execute(_FORM).fetchone()[0])


def check(database: StateConnection) -> None:
    """Raises ConnectionError, with a sentence, where it takes no changes."""
    standby, read_only, may, waits = database.execute(_MAY).fetchone()
    if standby:
        raise ReadOnlyError(f"the PostgreSQL of {KEY} is a standby: connect to the primary")
    if read_only:
        raise ReadOnlyError(f"the PostgreSQL of {KEY} {READ_ONLY}")
    if not may:
        raise ConnectionError(_RIGHTS)
    if waits:
        advice = "start one, or change `synchronous_standby_names`"
        raise ConnectionError(f"the database of {KEY} waits for a synchronous standby: {advice}")


def described(error: BaseException) -> str:
    """What went wrong with the database, a sentence for an operator."""
    if isinstance(error, TimeoutError) or type(error).__name__ == "ConnectionTimeout":
        return f"the PostgreSQL of {KEY} did not answer within {ANSWER_SECONDS:g} seconds"
    if isinstance(error, ConnectionError):
        return str(error)
    if (found := _FAILURES.get(getattr(error, "sqlstate", None) or "")) is not None:
        return found
    if hasattr(error, "sqlstate"):
        return f"the PostgreSQL of {KEY} {failure(error, KEY)}"
    return f"the PostgreSQL of {KEY} cannot be used ({type(error).__name__})"


class ConnectionThread:
    """A thread with a connection, which is opened when it is first needed and after each failure."""

    def __init__(self, open_one: Callable[[], StateConnection]) -> None:
        self._thread = DiskThread("mcpguard-database")
        self._open_one = open_one
        self._connection: StateConnection | None = None
        self._doing: object = None
        self.open = 0
        """How many pieces of work it has to do."""

    def submit(self, work: Callable[[StateConnection], T], wanted: Callable[[], bool]) -> Future[T]:
        """Do `work` unless it is not `wanted` any more by then. It fails as the database does."""
        return self._thread.submit(lambda: self._do(work, wanted))

    def within(self, work: Callable[[StateConnection], T]) -> Future[T]:
        """Do it, and wait for it for ANSWER_SECONDS, after which it is given up."""
        ends = time.monotonic() + ANSWER_SECONDS

        def wanted() -> bool:
            return time.monotonic() < ends

        future = self.submit(work, wanted)
        with suppress(TimeoutError):
            future.exception(ANSWER_SECONDS)
        if not future.done():
            self.cut(wanted)
        return future

    def cut(self, wanted: object) -> None:
        """Give up the work that was submitted with this, if that is what it does now."""
        connection = self._connection
        if connection is not None and self._doing is wanted:
            connection.cut()

    def end(self) -> None:
        """Close the connection and end the thread, after what was submitted before."""
        self._thread.submit(self._close)
        self._thread.end()

    def _do(self, work: Callable[[StateConnection], T], wanted: Callable[[], bool]) -> T:
        if not wanted():
            raise TimeoutError
        self._doing, sound = wanted, False
        try:
            if self._connection is not None and self._connection.lost:
                self._close()
            if self._connection is None:
                self._connection = self._open_one()
                if not wanted():  # It took too long, and who waited was refused.
                    sound = True
                    raise TimeoutError
            value = work(self._connection)
            sound = True
        except SessionError:  # Not the fault of the connection.
            sound = True
            raise
        finally:
            self._doing = None
            if not sound:
                self._close()
        return value

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
