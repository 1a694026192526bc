"""The table of tickets in the SQLite file.

Law of this file: a ticket goes on from `waiting` to `approved` or `denied`, and from `approved` to `used`,
each by one statement that works only on the state before; so it is answered once and used once, by whomever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import structs

from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, TicketState

if TYPE_CHECKING:
    import sqlite3

MOST_WAITING = 100
"""So many tickets of one principal may wait: an agent must not bury one call among others."""

_UNREADABLE = "a ticket cannot be read"

TABLES = """
    DROP TABLE IF EXISTS tickets;
    CREATE TABLE IF NOT EXISTS tickets (
        id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, kin TEXT NOT NULL, principal TEXT NOT NULL,
        state TEXT NOT NULL, expires REAL NOT NULL, uses INTEGER NOT NULL, answer BLOB, question BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS tickets_same ON tickets (fingerprint);
    CREATE INDEX IF NOT EXISTS tickets_kin ON tickets (kin, state, expires);
    CREATE INDEX IF NOT EXISTS tickets_waiting ON tickets (principal, state, expires);
    CREATE INDEX IF NOT EXISTS tickets_expired ON tickets (expires);
"""
"""With row ids, unlike sessions, and indexes: else a look reads the questions of all that it passes, however
long. Tickets of an earlier form are dropped: whoever waits is asked about again."""
_SAME = (
    "SELECT state, uses, answer, question FROM tickets"
    " WHERE fingerprint = ? AND state <> 'used' AND expires > ?"
)
_NOW = "SELECT state, uses, answer FROM tickets WHERE id = ?"
_ONE = "SELECT state, uses, answer, question FROM tickets WHERE id = ?"
_WAITING = "SELECT state, uses, answer, question FROM tickets WHERE state = 'waiting' AND expires > ?"
_COUNT = "SELECT count(*) FROM tickets WHERE principal = ? AND state = 'waiting' AND expires > ?"
_ANSWER = "UPDATE tickets SET state = ?, answer = ? WHERE id = ? AND state = 'waiting' AND expires > ?"
_USE = (
    "UPDATE tickets SET state = 'used', uses = uses + 1 WHERE id = ? AND state = 'approved' AND expires > ?"
)
_STATES = get_args(TicketState)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode
_decode_answer = msgspec.json.Decoder(TicketAnswer).decode


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
        ticket.kin,
        ticket.principal,
        "waiting",
        ticket.expires,
        0,
        None,
        _encode(ticket),
    )
    database.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


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


def answered(database: sqlite3.Connection, ticket_id: str, answer: TicketAnswer, now: float) -> bool:
    """Answer a ticket; false where it is not waiting any more."""
    place = (answer.verdict, _encode(answer), ticket_id, now)
    return database.execute(_ANSWER, place).rowcount == 1


def used(database: sqlite3.Connection, ticket_id: str, now: float) -> bool:
    """See `ports.Store.use`."""
    return database.execute(_USE, (ticket_id, now)).rowcount == 1


def _ticket(row: tuple[Any, Any, Any, bytes]) -> Ticket:
    state, uses, answer, question = row
    try:
        asked = _decode(question)
    except (ValueError, RecursionError):
        raise SessionError(_UNREADABLE) from None
    return _with(asked, state, uses, answer)


def _with(asked: Ticket, state: Any, uses: Any, answer: Any) -> Ticket:
    if state not in _STATES or type(uses) is not int:
        raise SessionError(_UNREADABLE)
    try:
        said = None if answer is None else _decode_answer(answer)
    except (ValueError, TypeError, RecursionError):
        raise SessionError(_UNREADABLE) from None
    if state != ("waiting" if said is None else "used" if uses else said.verdict):
        raise SessionError(_UNREADABLE)
    return structs.replace(asked, state=state, uses=uses, answer=said)
