"""A connection to PostgreSQL by a URL that is a secret: what the URL must say, and what a failure is called.

Law of this file: no password and no word goes to another machine in the clear, and nothing that the server or
its library says is quoted: it may hold what the URL holds.
"""

from __future__ import annotations

from typing import Any

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PROTECTED = frozenset({"require", "verify-ca", "verify-full"})
_NOT_SAID = {"hostaddr": "", "port": "5432", "options": "", "gssencmode": "disable"}
"""What the library would take from variables (PGHOSTADDR …) where the URL does not say it. Where there are
Kerberos tickets it would encrypt with these before it tries TLS, whatever `sslmode` says, and check no
certificate; and libraries of psycopg's wheel have crashed in that."""
_CHANGING = "is being stopped or started"
READ_ONLY = "is read-only: connect to a primary that accepts changes"
_OPTION = "one of the options in {} (such as `sslmode`)"
_WHY = (
    ("password authentication failed", "does not accept the password of {}"),
    ("no password supplied", "requires a password, and {} has none"),
    ("pg_hba.conf", "does not let {} connect from here (pg_hba.conf)"),
    (
        "root certificate file",
        "cannot be checked: `sslrootcert` in {} has to name a readable file, or `system`",
    ),
    (
        "certificate file",
        "was shown no certificate: `sslcert` and `sslkey` in {} have to name readable files",
    ),
    ("does not match host name", "has a TLS certificate for another host than the one in {}"),
    ("certificate", "has an untrusted TLS certificate: check `sslmode` and `sslrootcert`"),
    ("does not support SSL", "does not support TLS, which `sslmode` requires"),
    ("does not exist", "has no such database or role: check {}"),
    ("not permitted to log in", "does not let the role of {} log in"),
    ("permission denied for database", "does not let the role of {} connect to its database"),
    ("no more connections", "accepts no more connections"),
    ("too many", "accepts no more connections"),
    ("connection slots", "accepts no more connections"),
    ("the database system is", _CHANGING),
    ("hot standby", "currently has no primary; only a standby responds"),
    ("read-only", READ_ONLY),
    # Last, since the words before it may be in the language of the server.
    ("FATAL", "refused the connection: its log says why"),
    ("connection is bad: invalid", f"cannot be connected to: {_OPTION} has a value that is not known"),
    ("connection is bad: weak", f"cannot be connected to: {_OPTION} does not go with another one"),
    ("failed to resolve host", "has a host in {} whose name cannot be resolved"),
)
_STATES = (
    ("57P", _CHANGING),
    ("25006", READ_ONLY),
    ("53100", "has no space left on its disk"),
    ("40", "undid a change because of others at the same time: the next one may succeed"),
    ("53", "has too little memory or too few connections"),
)
"""By what a state begins with (PostgreSQL, appendix A)."""


def library() -> Any:
    """psycopg, which is an extra. Raises ImportError where it is not installed."""
    import logging

    import psycopg

    # It logs errors that it ignores, in the words of the server.
    logging.getLogger("psycopg").disabled = True
    return psycopg


def parameters_of(url: str, name: str) -> dict[str, Any]:
    """What to connect with, by a URL that messages call `name`. Raises ValueError with a sentence where it is
    not one, or would connect to another machine without TLS."""
    from psycopg import Error
    from psycopg.conninfo import conninfo_to_dict

    try:
        where: dict[str, Any] = {**_NOT_SAID, **conninfo_to_dict(url)}
    except Error:
        raise ValueError(f"{name} is not a PostgreSQL connection URL") from None
    if not where.get("host"):
        raise ValueError(f"{name} must name the host of the database")
    hosts = str(where["host"]).split(",")
    away = [host for host in hosts if not host.startswith("/") and host not in _LOOPBACK]
    if (away or where.get("hostaddr")) and where.get("sslmode") not in _PROTECTED:
        said = "a connection to another machine needs TLS: set `sslmode=verify-full` (or verify-ca, require)"
        raise ValueError(f"{name}: {said}")
    return where


def failure(error: Any, name: str) -> str:
    """What a psycopg.Error is called, the rest of a sentence about the server; `name` is the key that has the
    URL."""
    if error.sqlstate is None:
        said = str(error)
        found = next((why for sign, why in _WHY if sign in said), "")
        return found.format(name) or "does not accept connections: check that it is running"
    refused = f"refused it ({type(error).__name__}, {error.sqlstate}): see what {name} may do"
    return next((why for sign, why in _STATES if error.sqlstate.startswith(sign)), refused)
