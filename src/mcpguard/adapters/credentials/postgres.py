"""`postgres`: a login role of PostgreSQL that is made for the session and dropped at its end.

Law of this file: a role is noted before it is made, so that one of a killed process is dropped by the next
(docs/decisions/0017), and nothing that the server or its library says is quoted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from mcpguard.adapters.credentials import library_missing
from mcpguard.adapters.credentials import postgres_roles as roles
from mcpguard.adapters.credentials.journal import HandleJournal
from mcpguard.adapters.postgresql import failure, library, parameters_of
from mcpguard.config.minted import PostgresEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Lease, Secret, sole_reference
from mcpguard.gateway.ports import Mint

if TYPE_CHECKING:
    from psycopg import Connection

_GIVEN_ON = ("sslmode", "sslrootcert")
"""What else of the admin's URL the role's one has."""


class _Role(NamedTuple):
    """A role that was handed out, in `secret`; `timer` ends it if nothing else does."""

    secret: Secret
    timer: Timer


class PostgresMint(Mint):
    """Implements `ports.Mint`: the value is a connection URL with the role and its password."""

    def __init__(
        self,
        name: str,
        entry: PostgresEntry,
        secret: Callable[[CredentialRef], Secret],
        folder: Path | None = None,
        timer: Callable[[float, Callable[[], None]], Timer] = Timer,
    ) -> None:
        """`secret` gives what `admin` refers to; `folder` is where roles are noted, that of the user's state
        by default; `timer(seconds, then)` is a thread that waits."""
        self._name = name
        self._entry = entry
        self._secret = secret
        self._journal = HandleJournal("postgres", f"{entry.admin} {entry.database}", folder, roles.NAME)
        self._timer = timer
        self._roles: dict[str, _Role] = {}
        self._dropping = Lock()

    def lease(self) -> Lease:
        """See `ports.Mint`. Drops what killed processes left, then makes a role."""
        role = roles.PREFIX + secrets.token_hex(8)
        password = secrets.token_urlsafe(32)
        began, tried = monotonic(), False
        try:
            self._journal.note(role)
        except OSError as problem:
            said = f"its role cannot be noted in {self._journal.folder}: {problem.strerror}"
            raise self._error(f"{said}; without that, nothing would drop it if mcpguard was killed") from None
        try:
            with self._connected() as (connection, where, path):
                roles.facts_of(connection)
                if self._entry.owner is not None:
                    roles.check_owner(connection, self._entry.owner)
                self._tidy(connection)
                tried = True
                verifier = _verifier(connection, role, password)
                roles.create(connection, path, self._name, role, verifier, self._entry)
        except CredentialError:
            with suppress(CredentialError):
                # A connection that broke may have made it all the same.
                self._drop(role) if tried else self._journal.forget(role)
            raise
        secret = Secret(_url(where, self._entry, role, password))
        self._roles[role] = _Role(secret, self._watch(role))
        seconds = self._entry.ttl_seconds - (monotonic() - began)
        return Lease(secret, seconds, lambda: self._drop(role), (Secret(password),))

    def renew(self, lease: Lease) -> Lease | None:
        role = next((role for role, one in self._roles.items() if one.secret is lease.secret), "")
        if not role:
            return None
        began = monotonic()
        with self._connected() as (connection, _, _):
            if not roles.extend(connection, role, self._entry.ttl_seconds):
                return None
        watched = self._roles.get(role)
        if watched is None:
            return None  # It was late, and has been dropped meanwhile.
        watched.timer.cancel()
        self._roles[role] = _Role(lease.secret, self._watch(role))
        return Lease(lease.secret, self._entry.ttl_seconds - (monotonic() - began), lease.end, lease.parts)

    def left(self) -> bool:
        """Whether a process that was killed left a role; asks nothing of the database."""
        return self._journal.left()

    def recover(self) -> None:
        """Drop the roles that killed processes left. Raises CredentialError."""
        if self.left():
            with self._connected() as (connection, _, _):
                self._inherit(connection)

    def _inherit(self, connection: Connection[Any]) -> None:
        """Raises what the last role failed with that could not be dropped; it is tried again next time."""
        import psycopg

        failed: Exception | None = None
        for role in self._journal.inherit():
            try:
                roles.drop(connection, role, self._entry.owner)
            except (psycopg.Error, CredentialError) as problem:
                failed = problem
                continue
            self._journal.forget(role)
        if failed is not None:
            raise failed

    def _tidy(self, connection: Connection[Any]) -> None:
        """What others left does not keep us from our own work."""
        import psycopg

        with suppress(psycopg.Error, CredentialError):
            self._inherit(connection)
        in_use = self._journal.in_use()
        for role in roles.old(connection, self._name):
            if role not in in_use:
                with suppress(psycopg.Error, CredentialError):
                    roles.drop(connection, role, self._entry.owner)

    def _drop(self, role: str) -> None:
        with self._dropping:
            with self._connected() as (connection, _, _):
                roles.drop(connection, role, self._entry.owner)
            self._journal.forget(role)
            found = self._roles.pop(role, None)
        if found is not None:
            found.timer.cancel()

    def _watch(self, role: str) -> Timer:
        """End the role's sessions, which outlive its last login, if it was not requested again."""

        def late() -> None:
            with suppress(CredentialError):  # What is noted is dropped by the next start at the latest.
                self._drop(role)

        timer = self._timer(self._entry.ttl_seconds + roles.OLD_SECONDS, late)
        timer.daemon = True
        timer.start()
        return timer

    @contextmanager
    def _connected(self) -> Iterator[tuple[Connection[Any], dict[str, Any], str]]:
        """A connection of the admin, what it was made of, and the search path that it came with. Errors in
        the block become CredentialError."""
        psycopg = _library(self._name)
        where = self._where()
        shown = f"credential:{self._name}: PostgreSQL at {_place(where) or where['host']}"
        try:
            with self._open(where) as connection:
                path = roles.settle(connection, self._entry.timeout_seconds)
                yield connection, where, path
        except psycopg.errors.ConnectionTimeout:
            seconds = f"{self._entry.timeout_seconds:g}"
            raise CredentialError(f"{shown} did not answer within {seconds} seconds") from None
        except psycopg.Error as error:
            raise CredentialError(f"{shown} {failure(error, '`admin`')}") from None
        except CredentialError as problem:
            raise CredentialError(f"{shown} {problem}") from None

    def _open(self, where: dict[str, Any]) -> Connection[Any]:
        import psycopg

        connect_timeout = max(2, int(self._entry.timeout_seconds))
        more = {"connect_timeout": connect_timeout, "application_name": "mcpguard", "client_encoding": "UTF8"}
        return psycopg.connect(**{**where, **more}, autocommit=True, prepare_threshold=None)

    def _where(self) -> dict[str, Any]:
        ref = sole_reference(self._entry.admin)
        try:
            where = parameters_of(self._secret(ref).reveal(), str(ref))
        except ValueError as problem:
            raise self._error(str(problem)) from None
        if self._entry.database is not None:
            where["dbname"] = self._entry.database
        elif where.get("user"):
            where.setdefault("dbname", where["user"])
        return where

    def _error(self, said: str) -> CredentialError:
        return CredentialError(f"credential:{self._name}: {said}")


def _library(name: str) -> Any:
    try:
        return library()
    except ImportError:
        raise CredentialError(f"credential:{name}: {library_missing('postgres')}") from None


def _verifier(connection: Connection[Any], role: str, password: str) -> str:
    encrypt = connection.pgconn.encrypt_password
    return encrypt(password.encode(), role.encode(), b"scram-sha-256").decode()


def _url(where: dict[str, Any], entry: PostgresEntry, role: str, password: str) -> str:
    database = quote(str(where.get("dbname") or where.get("user") or ""), safe="")
    more = {key: str(where[key]) for key in _GIVEN_ON if where.get(key)}
    place = entry.host
    if place is None:
        place = _place(where)
        if not place:
            port = str(where.get("port") or "5432").split(",")[0]
            more = {"host": str(where["host"]).split(",")[0], "port": port, **more}
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in more.items())
    return f"postgresql://{role}:{password}@{place}/{database}" + (f"?{query}" if query else "")


def _place(where: dict[str, Any]) -> str:
    """The hosts and ports of a connection, "" for a folder with a socket."""
    hosts = str(where["host"]).split(",")
    ports = str(where.get("port") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return "" if hosts[0].startswith("/") else ",".join(map(_host_and_port, hosts, ports))


def _host_and_port(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
