"""The table of tickets in the SQLite file.

Law of this file: a ticket goes on from `waiting` to `approved` or `denied`, and from `approved` to `used`,
each by one statement that works only on the state before; so it is answered once and used once, by whomever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Ticket, TicketState

if TYPE_CHECKING:
    import sqlite3

MOST_WAITING = 100
"""So many tickets of one principal may wait: an agent must not bury one call among others."""

TABLE = """
    CREATE TABLE IF NOT EXISTS tickets (
        id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, principal TEXT NOT NULL, state TEXT NOT NULL,
        expires REAL NOT NULL, by_whom TEXT NOT NULL, reason TEXT NOT NULL, question BLOB NOT NULL
    ) WITHOUT ROWID
"""
_SAME = (
    "SELECT state, by_whom, reason, question FROM tickets"
    " WHERE fingerprint = ? AND state <> 'used' AND expires > ?"
)
_ONE = "SELECT state, by_whom, reason, question FROM tickets WHERE id = ?"
_WAITING = "SELECT state, by_whom, reason, question FROM tickets WHERE state = 'waiting' AND expires > ?"
_COUNT = "SELECT count(*) FROM tickets WHERE principal = ? AND state = 'waiting' AND expires > ?"
_ANSWER = (
    "UPDATE tickets SET state = ?, by_whom = ?, reason = ? WHERE id = ? AND state = 'waiting' AND expires > ?"
)
_USE = "UPDATE tickets SET state = 'used' WHERE id = ? AND state = 'approved' AND expires > ?"
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


def _ticket(row: tuple[TicketState, str, str, bytes]) -> Ticket:
    state, by, reason, question = row
    try:
        return structs.replace(_decode(question), state=state, by=by, reason=reason)
    except (ValueError, RecursionError):
        raise SessionError("a ticket cannot be read") from None
