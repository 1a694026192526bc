"""Login roles of PostgreSQL, in SQL: made for a time, extended, closed and dropped.

Law of this file: no statement holds a password, only its SCRAM verifier (RFC 5803), every name in one is
quoted as an identifier, and nothing that a role made is ever run or owned by the admin. Works from PostgreSQL
14 on, also for an admin with CREATEROLE who is not a superuser.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mcpguard.config.minted import ROLE, PostgresEntry
from mcpguard.core.errors import CredentialError

if TYPE_CHECKING:
    from psycopg import Connection


PREFIX = "mcpguard_"
"""How the name of each role begins."""
NAME = re.compile(PREFIX + "[0-9a-f]{16}")

OLD_SECONDS = 600
"""A role that ended this long ago, and that is not in use here, is dropped by whoever mints next."""
OLD_AT_ONCE = 20
"""How many such roles are dropped at once."""

_OLDEST = 140_000
_MEMBERSHIP_HAS_OPTIONS = 160_000
_PATIENCE_MS = 500
_DENIED = "42501"
_NOT_GRANTED = "01007"
_COMMENT = "Made by mcpguard for credential {name}. It may be dropped once its VALID UNTIL is past."

_SEARCH_PATH = "SELECT pg_catalog.current_setting('search_path')"
_SETTLE = """
SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),
pg_catalog.set_config('statement_timeout', %s, false)
"""
_AS_BEFORE = "SELECT pg_catalog.set_config('search_path', %s, true)"
_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(1835230823)"
"""Two grants of one object at a time make PostgreSQL fail with "tuple concurrently updated"."""

_FACTS = """
SELECT current_setting('server_version_num')::int, rolsuper, rolcreaterole
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
_UNTIL = "SELECT (clock_timestamp() + make_interval(secs => %s))::text"
_OWNER = """
SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls,
pg_has_role(current_user, oid, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = %s
"""
_KNOWN = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"
_END_SESSIONS = "SELECT pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_activity WHERE usename = %s"
_OLD = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE rolname LIKE 'mcpguard\\_%%' AND rolvaliduntil < clock_timestamp() - make_interval(secs => %s)
AND pg_catalog.shobj_description(oid, 'pg_authid') = %s
ORDER BY rolvaliduntil LIMIT %s
"""

Facts = tuple[int, bool, bool]


def settle(connection: Connection[Any], seconds: float) -> str:
    """Get ready: a statement may take `seconds`, and no function, operator or type is taken from a schema in
    which a role may make one of the same name. Gives the search path of before, for `create`."""
    path = str(_one(connection, _SEARCH_PATH)[0])
    connection.execute(_SETTLE, (str(int(seconds * 1000)),))
    return path


def facts_of(connection: Connection[Any]) -> Facts:
    """(version, superuser, CREATEROLE) of the admin. Raises CredentialError where that is not enough."""
    found: Facts = _one(connection, _FACTS)
    if found[0] < _OLDEST:
        raise CredentialError("is older than PostgreSQL 14, which is not supported")
    if not found[1] and not found[2]:
        raise CredentialError("does not let the role of `admin` create roles: it needs CREATEROLE")
    return found


def check_owner(connection: Connection[Any], owner: str) -> None:
    """Raises CredentialError if `owner` cannot, or must not, have what a role made. It might run it: a
    function with SECURITY DEFINER does what its owner may do."""
    found = connection.execute(_OWNER, (owner,)).fetchone()
    if found is None:
        raise CredentialError("has no role with the name in `owner`")
    if found[0]:
        raise CredentialError("has a role with attributes as `owner`: use one without special attributes")
    if not found[1]:
        raise CredentialError("does not have the role of `admin` as a member of `owner`: grant it membership")


def create(
    connection: Connection[Any], path: str, name: str, role: str, verifier: str, entry: PostgresEntry
) -> None:
    """Make `role` with all its grants, whose names are looked for in `path`, or nothing. Raises
    CredentialError, and psycopg.Error where it is not a line of `grants` that fails."""
    from psycopg import sql

    who = sql.Identifier(role)
    until = _until(connection, entry.ttl_seconds)
    with connection.transaction():
        connection.execute(_ONE_BY_ONE)
        connection.execute(
            sql.SQL(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT "
                "CONNECTION LIMIT {} VALID UNTIL {} PASSWORD {}"
            ).format(who, sql.Literal(entry.connections), sql.Literal(until), sql.Literal(verifier))
        )
        comment = sql.Literal(_COMMENT.format(name=name))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(who, comment))
        connection.execute(_AS_BEFORE, (path,))
        for number, line in enumerate(entry.grants, 1):
            _grant(connection, role, number, line)


def _grant(connection: Connection[Any], role: str, number: int, line: str) -> None:
    import psycopg
    from psycopg import sql

    told: list[str | None] = []

    def hear(said: psycopg.errors.Diagnostic) -> None:
        told.append(said.sqlstate)

    before, _, after = line.partition(ROLE)
    connection.add_notice_handler(hear)
    try:
        connection.execute((before + sql.Identifier(role).as_string(connection) + after).encode())
    except psycopg.Error as error:
        why = f"{type(error).__name__}, {error.sqlstate}"
        hint = ": the role of `admin` is not permitted to do that" if error.sqlstate == _DENIED else ""
        raise CredentialError(f"did not accept line {number} of `grants` ({why}){hint}") from None
    finally:
        connection.remove_notice_handler(hear)
    # PostgreSQL only warns where the admin may not pass on what it grants.
    if _NOT_GRANTED in told:
        raise CredentialError(
            f"granted nothing, or not everything, for line {number} of `grants`: the role of `admin` "
            "lacks the GRANT OPTION"
        )


def extend(connection: Connection[Any], role: str, seconds: int) -> bool:
    """Let `role` log in for `seconds` from now on; False where there is no such role."""
    from psycopg import sql

    if not _is_known(connection, role):
        return False
    until = sql.Literal(_until(connection, seconds))
    connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(role), until))
    return True


def drop(connection: Connection[Any], role: str, owner: str | None) -> None:
    """Close `role`, end its sessions and drop it. What it made in this database goes to `owner`, or is
    dropped with it. Nothing happens where it is gone.

    Raises psycopg.Error. Where something else depends on it, it stays, closed, and CredentialError says what
    to do.
    """
    import psycopg
    from psycopg import sql

    if not _is_known(connection, role):
        return
    who = sql.Identifier(role)
    # Closed first and for good: whatever fails below, it cannot log in again.
    connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(who))
    _join(connection, who)
    connection.execute(_END_SESSIONS, (_PATIENCE_MS, role))
    try:
        with connection.transaction():
            connection.execute(_ONE_BY_ONE)
            if owner is not None:
                check_owner(connection, owner)
                heir = sql.Identifier(owner)
                connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(who, heir))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(who))
            connection.execute(sql.SQL("DROP ROLE {}").format(who))
    except psycopg.errors.DependentObjectsStillExist:
        raise CredentialError(
            f"cannot drop the role {role}, which is closed: something in another database, or of another "
            f"role, depends on it. Run `DROP OWNED BY {role} CASCADE` there, then `DROP ROLE {role}`"
        ) from None


def old(connection: Connection[Any], name: str) -> list[str]:
    """Roles made for the credential `name` that ended long ago (`OLD_SECONDS`) and are still there, oldest
    first."""
    found = connection.execute(_OLD, (OLD_SECONDS, _COMMENT.format(name=name), OLD_AT_ONCE))
    return [row[0] for row in found.fetchall()]


def _join(connection: Connection[Any], who: Any) -> None:
    """Become a member: only a member may end sessions of a role and drop what it owns."""
    from psycopg import sql

    version, superuser, _ = facts_of(connection)
    if superuser:
        return
    how = " WITH INHERIT TRUE, SET TRUE" if version >= _MEMBERSHIP_HAS_OPTIONS else ""
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(who) + sql.SQL(how))


def _is_known(connection: Connection[Any], role: str) -> bool:
    return connection.execute(_KNOWN, (role,)).fetchone() is not None


def _until(connection: Connection[Any], seconds: int) -> str:
    return str(_one(connection, _UNTIL, (seconds,))[0])


def _one(connection: Connection[Any], query: str, values: tuple[object, ...] = ()) -> Any:
    return connection.execute(query.encode(), values or None).fetchall()[0]
