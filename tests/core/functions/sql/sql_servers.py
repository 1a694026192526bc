"""What PostgreSQL and SQLite themselves say that a statement does, before and while it runs.

PostgreSQL prints the tree of a statement that it analysed (`debug_print_parse`): every function, operator and
type by its number, every column that the statement needs a privilege for, every lock. SQLite tells its
authorizer. Both then run the statement in a transaction that is undone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from msgspec import Struct

from tests.database import Database

POSTGRES_SCHEMA = """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TYPE place AS (city text, secret text);
    CREATE TABLE users (id int, name text, email text, password text, age int, address place, tags text[],
        data jsonb, created timestamptz, tokens_used int, feeling mood);
    CREATE TABLE orders (id int, user_id int, total numeric, password text, note text, created timestamptz);
    CREATE TABLE notes (id int UNIQUE, a text, b text, n int);
    CREATE TABLE secrets (id int, v text);
    CREATE SCHEMA hr;
    CREATE TABLE hr.salaries (id int, amount int, password text);
    CREATE SEQUENCE numbers;
    INSERT INTO notes SELECT n, 'a' || n, 'b' || n % 20, n % 20 FROM generate_series(1, 60) n;
    INSERT INTO users SELECT n, 'u' || n, 'e' || n, 'p' || n, n, ('c', 's')::place, ARRAY['t'], '{"a": 1}',
        now(), n, 'good' FROM generate_series(1, 5) n;
    INSERT INTO orders SELECT n, n % 5, n, 'p' || n, 'n', now() FROM generate_series(1, 9) n;
    INSERT INTO secrets VALUES (1, 'v');
    INSERT INTO hr.salaries VALUES (1, 31337, 'p');
    CREATE FUNCTION wiped() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN DELETE FROM secrets; RETURN true; END';
    CREATE FUNCTION wipe(anyelement) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION wipe_user(users) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION first(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION last(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION filter(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION key(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION over(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION cube(int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION hr.lower(text) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION many(int) RETURNS SETOF int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT wiped()::int';
    CREATE OPERATOR ~+ (LEFTARG = int, RIGHTARG = int, FUNCTION = plus);
    CREATE OPERATOR @- (LEFTARG = int, RIGHTARG = int, FUNCTION = plus);
    CREATE OPERATOR hr.+ (LEFTARG = int, RIGHTARG = int, FUNCTION = plus);
    CREATE DOMAIN spy AS text CHECK (wiped());
    CREATE ROLE reader;
    GRANT USAGE ON SCHEMA public, hr TO reader;
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public, hr FROM PUBLIC;
"""
"""Tables, and code of every kind that has an effect."""
SQLITE_SCHEMA = """
    CREATE TABLE users (id, name, email, password, age, address, tags, data, created, tokens_used, feeling);
    CREATE TABLE orders (id, user_id, total, password, note, created);
    CREATE TABLE notes (id UNIQUE, a, b, n);
    CREATE TABLE secrets (id, v);
"""
_TABLES = ("users", "orders", "notes", "secrets", "hr.salaries")
WHOLE = "*"
FIRST_OF_THE_USER = 16384
"""The number of the first object that is not PostgreSQL's own."""
VOLATILE_ONLY_IN_WHAT_THEY_GIVE = (
    "clock_timestamp",
    "gen_random_uuid",
    "random",
    "random_normal",
    "timeofday",
)


class Truth(Struct):
    """What a statement does: `reads` are (table, column) or (table, WHOLE); `calls` the functions and types that
    the database's owner made, and those of the server that are volatile or not for everybody. `changes` says
    that it is no query."""

    tables: set[str]
    reads: set[tuple[str, str]]
    calls: set[str]
    changes: bool = False


class Effects(Struct):
    """What happened when it ran: `traces` describe the state of the database; `rows` came back, `changed` of
    the 60 rows of `notes` are not as they were."""

    traces: bool
    rows: int
    changed: int


class Postgres:
    """A PostgreSQL with the schema of the statements."""

    def __init__(self, database: Database) -> None:
        database.run(POSTGRES_SCHEMA)
        options = (
            "-c debug_print_parse=on -c debug_pretty_print=off -c statement_timeout=2s -c lock_timeout=1s"
        )
        self._connection = psycopg.connect(
            database.url(), autocommit=True, options=options, prepare_threshold=None
        )
        self._connection.execute("SET client_min_messages = log")
        self._trees: list[str] = []
        self._connection.add_notice_handler(lambda said: self._trees.append(said.message_detail or ""))
        self.names: dict[int, str] = {}
        self._columns: dict[int, tuple[str, list[str]]] = {}
        self._load()

    def _load(self) -> None:
        harmless = ", ".join(f"'{name}'" for name in VOLATILE_ONLY_IN_WHAT_THEY_GIVE)
        suspect = f"oid >= {FIRST_OF_THE_USER} OR proacl IS NOT NULL OR provolatile = 'v' AND proname NOT IN ({harmless})"
        self.names.update(self._ask(f"SELECT oid, proname FROM pg_proc WHERE {suspect}"))
        self.types = dict(
            self._ask(
                "SELECT oid, ltrim(typname, '_') FROM pg_type"
                f" WHERE oid >= {FIRST_OF_THE_USER} AND typtype NOT IN ('c', 'p') AND typname <> '_users'"
            )
        )
        self.suspects = {name for number, name in self.names.items() if number < FIRST_OF_THE_USER}
        self.operators = {
            name for (name,) in self._ask(f"SELECT oprname FROM pg_operator WHERE oid < {FIRST_OF_THE_USER}")
        }
        tables = self._ask(
            "SELECT a.attrelid, CASE WHEN n.nspname IN ('public', 'pg_catalog') THEN '' ELSE n.nspname || '.' END || c.relname,"
            " array_agg(a.attname::text ORDER BY attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE attnum > 0 AND relkind IN ('r', 'v') GROUP BY 1, 2"
        )
        for number, table, columns in tables:
            self._columns[number] = (table, columns)
        self.columns = {table: set(columns) for _, table, columns in tables}

    def _ask(self, text: str) -> list[tuple]:
        return self._connection.execute(text.encode()).fetchall()

    def truth(self, text: str) -> Truth | None:
        """None for what PostgreSQL does not accept. A statement that cannot be prepared changes something."""
        self._trees.clear()
        try:
            self._connection.execute(b"PREPARE asked AS " + text.encode())
        except psycopg.Error:
            return self._utility(text)
        self._connection.execute(b"DEALLOCATE asked")
        trees = [tree for tree in self._trees if "commandType 6" not in tree]
        return self._read(" ".join(trees)) if trees else None

    def _utility(self, text: str) -> Truth | None:
        """Whether it is a statement that is no query: its analysis changes nothing, and says."""
        if re.match(r"(?i)\W*(with|select|values|table|insert|update|delete|merge|[^a-z]|$)", text):
            return None
        quiet = f"DO $nothing$ BEGIN RETURN; {text}; END $nothing$"
        with suppress(psycopg.Error):
            self._connection.execute(quiet.encode())
            return Truth(set(), set(), set(), changes=not re.match(r"(?i)\s*(explain|show)\b", text))
        return None

    def _read(self, tree: str) -> Truth:
        flat = re.sub(r"\s+", " ", tree)
        used = {int(one) for one in re.findall(r":(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)", flat)}
        calls = {self.names[one] for one in used if one in self.names}
        locked = ":rowMarks (" in flat or ":hasModifyingCTE true" in flat
        truth = Truth(set(), set(), calls, locked or not re.search(r":commandType 1\b", flat))
        truth.changes |= bool(re.search(r":commandType [2345]\b", flat))
        types = {int(one) for one in _TYPES.findall(re.sub(r":fieldnum \d+ :resulttype", "", flat))}
        truth.calls |= {self.types[one] for one in types if one in self.types}
        for number, columns in re.findall(r":relid (\d+)(?:(?!:relid ).)*?:selectedCols \(b([ \d]*)\)", flat):
            if int(number) in self._columns:
                table, names = self._columns[int(number)]
                truth.tables.add(table)
                wanted = [int(one) - 7 for one in columns.split()]
                truth.reads |= {(table, names[one - 1] if one > 0 else WHOLE) for one in wanted if one >= 0}
        return truth

    def effects(self, text: str) -> Effects | None:
        """None for what fails."""
        self._connection.execute(b"SET client_min_messages = error")
        try:
            return self._undone(text)
        except (psycopg.Error, UnicodeError):
            return None
        finally:
            self._connection.execute(b"ROLLBACK")
            self._connection.execute(b"SET client_min_messages = log")

    def lacks(self, text: str, tables: set[str], columns: set[str]) -> bool:
        """Whether a role that may read these columns of these tables, and do nothing else, may not run it."""
        self._connection.execute(b"SET client_min_messages = error")
        try:
            self._connection.execute(b"BEGIN")
            for table, names in self._columns.values():
                granted = [f'"{one}"' for one in names if one in columns or WHOLE in columns]
                if table in tables and table in _TABLES:
                    # Whoever counts rows needs a column of them, and no particular one.
                    self._connection.execute(f"ALTER TABLE {table} ADD any_column int".encode())
                    granted.append("any_column")
                    self._connection.execute(
                        f"GRANT SELECT ({', '.join(granted)}) ON {table} TO reader".encode()
                    )
            self._connection.execute(b"SET LOCAL ROLE reader")
            self._connection.execute(text.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
        except (psycopg.Error, UnicodeError):
            return False  # It fails for another reason.
        finally:
            self._connection.execute(b"ROLLBACK")
            self._connection.execute(b"SET client_min_messages = log")
        return False

    def _undone(self, text: str) -> Effects:
        self._connection.execute(b"BEGIN")
        before = self._ask(_STATE)
        cursor = self._connection.execute(text.encode())
        rows = len(cursor.fetchall()) if cursor.description else 0
        after = self._ask(_STATE)
        ((left,),) = self._ask(
            "SELECT count(*) FROM notes JOIN generate_series(1, 60) AS g ON id = g AND a = 'a' || g"
            " AND b = 'b' || g % 20 AND n = g % 20"
        )
        return Effects(before != after, rows, 60 - left)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


_TYPES = re.compile(
    r":(?:resulttype (?=\d)|consttype (?=\d+ :consttypmod \S+ :constcollid \d+ :constlen \S+ :constbyval \w+"
    r" :constisnull false))(\d+)"
)
"""The types that a value is turned into; a NULL is not turned."""
_STATE = """
    SELECT pg_current_xact_id_if_assigned() IS NULL, (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND (locktype = 'advisory' OR locktype = 'relation'
    AND mode <> 'AccessShareLock')), (SELECT md5(string_agg(name || setting, ',' ORDER BY name)) FROM pg_settings),
    (SELECT count(*) FROM secrets), (SELECT count(*) FROM pg_listening_channels()),
    (SELECT last_value FROM numbers), (SELECT count(*) FROM pg_prepared_statements)
"""


_READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA)


@contextmanager
def sqlite() -> Iterator[Sqlite]:
    """A SQLite with the schema of the statements."""
    one = Sqlite()
    try:
        yield one
    finally:
        one.database.close()


class Sqlite:
    """See `sqlite()`."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.executescript(SQLITE_SCHEMA)
        for number in range(1, 61):
            row = (number, f"a{number}", f"b{number % 20}", number % 20)
            self.database.execute("INSERT INTO notes VALUES (?, ?, ?, ?)", row)
        self.database.execute("INSERT INTO users (id, name) VALUES (1, 'u')")
        self.database.create_function("wipe", 1, lambda value: value)
        self._notes = self._rows()
        self._seen = Truth(set(), set(), set())

    def _rows(self) -> set[tuple]:
        return set(self.database.execute("SELECT * FROM notes"))

    def truth(self, text: str) -> Truth | None:
        """None for what SQLite does not accept."""
        self._seen = Truth(set(), set(), set())
        self.database.set_authorizer(self._watch)
        try:
            self._ask("EXPLAIN " + re.sub(r"(?i)^\s*explain(\s+query\s+plan)?\b", "", text))
        except (sqlite3.Error, sqlite3.Warning):
            return None
        finally:
            self.database.set_authorizer(None)
        return self._seen

    def _ask(self, text: str) -> list[tuple]:
        return self.database.execute(text, [7] * text.count("?")).fetchall()

    def _watch(self, action: int, first: str, second: str, _database: str, _trigger: str) -> int:
        seen = self._seen
        if action == sqlite3.SQLITE_READ and not first.startswith(("sqlite_", "json_")):
            if second:
                seen.reads.add((first.lower(), second.lower()))
                seen.tables.add(first.lower())
        elif action == sqlite3.SQLITE_FUNCTION:
            seen.calls |= {"wipe"} & {second.lower()}
        elif action not in _READING:
            seen.changes = True
            rows = action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
            seen.tables |= {first.lower()} if rows and not first.startswith("sqlite_") else set()
        return sqlite3.SQLITE_OK

    def effects(self, text: str) -> Effects | None:
        """None for what fails."""
        self.database.execute("BEGIN")
        before = self.database.total_changes
        try:
            rows = len(self._ask(text))
            return Effects(self.database.total_changes > before, rows, len(self._notes - self._rows()))
        except (sqlite3.Error, sqlite3.Warning):
            return None
        finally:
            with suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")
