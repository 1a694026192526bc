"""Login roles of PostgreSQL, in SQL: made for a time, extended, closed and dropped.

Law of this file: no statement holds a password, only its SCRAM verifier (RFC 5803), and every name in one is
quoted as an identifier. Works from PostgreSQL 14 on, for an admin with CREATEROLE who is no superuser too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpguard.config_minted import ROLE, PostgresEntry
from mcpguard.core.errors import CredentialError

if TYPE_CHECKING:
    from psycopg import Connection

PREFIX = "mcpguard_"
"""How the name of each role begins."""

OLD_SECONDS = 600
"""A role that ended so long ago, and that nobody here has, is dropped by whoever mints next."""
OLD_AT_ONCE = 20
"""How many such roles are dropped at once."""

_OLDEST = 140_000
_MEMBERSHIP_HAS_OPTIONS = 160_000
_PATIENCE_MS = 2_000
_NOT_GRANTED = "01007"
_COMMENT = "Made by mcpguard for credential {name}. It may be dropped once its VALID UNTIL is past."

_FACTS = """
SELECT current_setting('server_version_num')::int, rolsuper, rolcreaterole
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
_UNTIL = "SELECT (clock_timestamp() + make_interval(secs => %s))::text"
_KNOWN = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"
_END_SESSIONS = "SELECT pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_activity WHERE usename = %s"
_OLD = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE rolname LIKE 'mcpguard\\_%%' AND rolvaliduntil < clock_timestamp() - make_interval(secs => %s)
AND pg_catalog.shobj_description(oid, 'pg_authid') LIKE 'Made by mcpguard for %%'
ORDER BY rolvaliduntil LIMIT %s
"""

Facts = tuple[int, bool, bool]


def facts_of(connection: Connection[Any]) -> Facts:
    """(version, superuser, CREATEROLE) of the admin. Raises CredentialError where that is not enough."""
    found: Facts = _one(connection, _FACTS)
    if found[0] < _OLDEST:
        raise CredentialError("is older than PostgreSQL 14, which is not supported")
    if not found[1] and not found[2]:
        raise CredentialError("does not let the role of `admin` make roles: it needs CREATEROLE")
    return found


def create(connection: Connection[Any], name: str, role: str, verifier: str, entry: PostgresEntry) -> None:
    """Make `role` with all its grants, or nothing. Raises CredentialError, and psycopg.Error where it is not
    a line of `grants` that fails."""
    from psycopg import sql

    who = sql.Identifier(role)
    until = _until(connection, entry.ttl_seconds)
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT "
                "CONNECTION LIMIT {} VALID UNTIL {} PASSWORD {}"
            ).format(who, sql.Literal(entry.connections), sql.Literal(until), sql.Literal(verifier))
        )
        comment = sql.Literal(_COMMENT.format(name=name))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(who, comment))
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
        raise CredentialError(f"did not take line {number} of `grants` ({why})") from None
    finally:
        connection.remove_notice_handler(hear)
    # PostgreSQL only warns where the admin may not pass on what it grants.
    if _NOT_GRANTED in told:
        raise CredentialError(
            f"granted nothing, or not all, for line {number} of `grants`: the role of `admin` has it without "
            "GRANT OPTION"
        )


def extend(connection: Connection[Any], role: str, seconds: int) -> bool:
    """Let `role` log in for `seconds` from now on; False where there is no such role."""
    from psycopg import sql

    if not _is_known(connection, role):
        return False
    until = sql.Literal(_until(connection, seconds))
    connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(role), until))
    return True


def drop(connection: Connection[Any], role: str) -> None:
    """Close `role`, end its sessions and drop it; what it owned in this database goes to the admin. Nothing
    happens where it is gone.

    Raises psycopg.Error. Where something in another database depends on it, it stays, closed, and
    CredentialError says what to do.
    """
    import psycopg
    from psycopg import sql

    if not _is_known(connection, role):
        return
    who = sql.Identifier(role)
    # Closed first and for good: whatever fails below, nobody logs in with it again.
    connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(who))
    _join(connection, who)
    connection.execute(_END_SESSIONS, (_PATIENCE_MS, role))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(who))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(who))
            connection.execute(sql.SQL("DROP ROLE {}").format(who))
    except psycopg.errors.DependentObjectsStillExist:
        raise CredentialError(
            f"cannot drop the role {role}, which is closed: something in another database depends on it. Run "
            f"`DROP OWNED BY {role}` there, then `DROP ROLE {role}`"
        ) from None


def old(connection: Connection[Any]) -> list[str]:
    """Roles of mcpguard that ended long ago (`OLD_SECONDS`) and are still there, oldest first."""
    return [row[0] for row in connection.execute(_OLD, (OLD_SECONDS, OLD_AT_ONCE)).fetchall()]


def _join(connection: Connection[Any], who: Any) -> None:
    """Become a member: only a member may end sessions of a role and take what it owns."""
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
