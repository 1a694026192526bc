"""The table of tickets in the SQLite file.

Law of this file: a ticket goes on from `waiting` to `approved` or `denied`, and from `approved` to `used`,
each by one statement that works only on the state before; so it is answered once and used once, by whomever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import structs

from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Ticket, TicketState

if TYPE_CHECKING:
    import sqlite3

MOST_WAITING = 100
"""So many tickets of one principal may wait: an agent must not bury one call among others."""

_UNREADABLE = "a ticket cannot be read"

TABLES = """
    CREATE TABLE IF NOT EXISTS tickets (
        id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, principal TEXT NOT NULL, state TEXT NOT NULL,
        expires REAL NOT NULL, by_whom TEXT NOT NULL, reason TEXT NOT NULL, question BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS tickets_same ON tickets (fingerprint);
    CREATE INDEX IF NOT EXISTS tickets_waiting ON tickets (principal, state, expires);
    CREATE INDEX IF NOT EXISTS tickets_expired ON tickets (expires);
"""
"""With row ids, unlike sessions, and indexes: else a look reads the questions of all that it passes, however
long."""
_SAME = (
    "SELECT state, by_whom, reason, question FROM tickets"
    " WHERE fingerprint = ? AND state <> 'used' AND expires > ?"
)
_NOW = "SELECT state, by_whom, reason FROM tickets WHERE id = ?"
_ONE = "SELECT state, by_whom, reason, question FROM tickets WHERE id = ?"
_WAITING = "SELECT state, by_whom, reason, question FROM tickets WHERE state = 'waiting' AND expires > ?"
_COUNT = "SELECT count(*) FROM tickets WHERE principal = ? AND state = 'waiting' AND expires > ?"
_ANSWER = (
    "UPDATE tickets SET state = ?, by_whom = ?, reason = ? WHERE id = ? AND state = 'waiting' AND expires > ?"
)
_USE = "UPDATE tickets SET state = 'used' WHERE id = ? AND state = 'approved' AND expires > ?"
_STATES = get_args(TicketState)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode


def ask(database: sqlite3.Connection, ticket: Ticket) -> Ticket:
    """See `ports.Store.ask`. Tickets that have expired are removed."""
    database.execute("BEGIN IMMEDIATE")
    try:
        found = database.execute(_SAME, (ticket.fingerprint, ticket.created)).fetchone()
        if found is None:
            _add(database, ticket)
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    return ticket if found is None else _ticket(found)


def _add(database: sqlite3.Connection, ticket: Ticket) -> None:
    database.execute("DELETE FROM tickets WHERE expires <= ?", (ticket.created,))
    ((count,),) = database.execute(_COUNT, (ticket.principal, ticket.created)).fetchall()
    if count >= MOST_WAITING:
        raise SessionError(f"{MOST_WAITING} calls of {ticket.principal} wait for an approval already")
    row = (
        ticket.id,
        ticket.fingerprint,
        ticket.principal,
        "waiting",
        ticket.expires,
        "",
        "",
        _encode(ticket),
    )
    database.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def now(database: sqlite3.Connection, asked: Ticket) -> Ticket | None:
    """See `ports.Store.ticket`. The question, which may be long, is not read again."""
    found = database.execute(_NOW, (asked.id,)).fetchone()
    return None if found is None else _with(asked, *found)


def one(database: sqlite3.Connection, ticket_id: str) -> Ticket | None:
    """The ticket of that id."""
    found = database.execute(_ONE, (ticket_id,)).fetchone()
    return None if found is None else _ticket(found)


def waiting(database: sqlite3.Connection, now: float) -> list[Ticket]:
    """Those that nobody has answered, the oldest first."""
    found = [_ticket(row) for row in database.execute(_WAITING, (now,)).fetchall()]
    return sorted(found, key=lambda ticket: ticket.created)


def answered(
    database: sqlite3.Connection, ticket_id: str, state: TicketState, by: str, reason: str, now: float
) -> bool:
    """Answer a ticket; false where it is not waiting any more."""
    return database.execute(_ANSWER, (state, by, reason, ticket_id, now)).rowcount == 1


def used(database: sqlite3.Connection, ticket_id: str, now: float) -> bool:
    """See `ports.Store.use`."""
    return database.execute(_USE, (ticket_id, now)).rowcount == 1


def _ticket(row: tuple[Any, Any, Any, bytes]) -> Ticket:
    state, by, reason, question = row
    try:
        asked = _decode(question)
    except (ValueError, RecursionError):
        raise SessionError(_UNREADABLE) from None
    return _with(asked, state, by, reason)


def _with(asked: Ticket, state: Any, by: Any, reason: Any) -> Ticket:
    if state not in _STATES or type(by) is not str or type(reason) is not str:
        raise SessionError(_UNREADABLE)
    return structs.replace(asked, state=state, by=by, reason=reason)
