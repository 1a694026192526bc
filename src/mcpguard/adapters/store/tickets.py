"""The table of tickets, in either database.

Law of this file: a ticket goes on from `waiting` to `approved` or `denied`, from `approved` to `used`, and
from either answer to `ended`, each by one statement that works only on the state before; so it is answered
once, and used once, by whomever. One that was approved for longer stays `approved`, and each use is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct, structs

from mcpguard.core.errors import SessionError
from mcpguard.core.legible import plain
from mcpguard.core.policy.session import without_folder
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, TicketState, covers

MOST_WAITING = 100
"""How many tickets of one principal with one agent may wait: it must not bury one call among others, nor keep
another agent from asking."""

_UNREADABLE = (
    "the ticket {0} cannot be read, since it is damaged or of another version of mcpguard: "
    "`mcpguard approvals end {0}` removes it"
)
LATEST = datetime.max.replace(tzinfo=UTC).timestamp()
"""The last time that can be shown, in seconds since 1970."""

TABLES = (
    "DROP TABLE IF EXISTS tickets",
    "CREATE TABLE IF NOT EXISTS tickets ("
    " id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, kin TEXT NOT NULL, principal TEXT NOT NULL,"
    " session TEXT NOT NULL, state TEXT NOT NULL, expires REAL NOT NULL, uses INTEGER NOT NULL,"
    " answer BLOB, question BLOB NOT NULL"
    ")",
    "CREATE INDEX IF NOT EXISTS tickets_same ON tickets (fingerprint)",
    "CREATE INDEX IF NOT EXISTS tickets_kin ON tickets (kin, state, expires)",
    "CREATE INDEX IF NOT EXISTS tickets_waiting ON tickets (session, state, expires)",
    "CREATE INDEX IF NOT EXISTS tickets_of ON tickets (principal, expires)",
    "CREATE INDEX IF NOT EXISTS tickets_expired ON tickets (expires)",
)
"""With row ids, unlike sessions, and indexes: else a look reads the questions of all that it passes, however
long. Tickets of an earlier form are dropped: whoever waits is asked about again."""
_SAME = (
    "SELECT id, state, uses, answer, question FROM tickets"
    " WHERE fingerprint = ? AND state NOT IN ('used', 'ended') AND expires > ?"
)
_KIN = "SELECT id, state, uses, answer, question FROM tickets WHERE kin = ? AND state = ? AND expires > ?"
_NOW = "SELECT state, uses, answer FROM tickets WHERE id = ?"
_ONE = "SELECT id, state, uses, answer, question FROM tickets WHERE id = ?"
_ALL = "SELECT id, state, uses, answer, question FROM tickets WHERE state = ? AND expires > ?"
_OF = "SELECT id, state, uses, answer, question FROM tickets WHERE principal = ? AND expires > ?"
_COUNTING = (
    "SELECT id, principal, state, uses, answer, question FROM tickets"
    " WHERE state NOT IN ('used', 'ended') AND expires > ?"
)
_COUNT = "SELECT count(*) FROM tickets WHERE session = ? AND state = 'waiting' AND expires > ?"
_OPEN = "SELECT count(*) FROM tickets WHERE state IN ('waiting', 'approved', 'denied') AND expires > ?"
_ANSWER = (
    "UPDATE tickets SET state = ?, answer = ?, expires = coalesce(?, expires)"
    " WHERE id = ? AND state = 'waiting' AND expires > ?"
)
_USE = "UPDATE tickets SET state = ?, uses = uses + 1 WHERE id = ? AND state = 'approved' AND expires > ?"
_END = "UPDATE tickets SET state = 'ended' WHERE id = ? AND state IN ('approved', 'denied') AND expires > ?"
_REMOVE = "DELETE FROM tickets WHERE id = ?"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode
_decode_answer = msgspec.json.Decoder(TicketAnswer).decode

Counts = Callable[[Ticket, float], bool]
"""Whether the session that a ticket was approved for still lasts at a time; true for what has not to."""


class UnreadableTicket(Struct, frozen=True):
    """A row whose ticket cannot be read, by what its columns say: its `id`, the `principal` that called
    ("SOURCE:ID") and its `state`. The same call is refused until a person removes it."""

    id: str
    principal: str
    state: str


class Database(Protocol):
    """A connection that speaks the SQL of SQLite, whichever database it is to."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, values: Any = ..., /) -> Any:
        """Its result has `fetchone()`, `fetchall()` and `rowcount`."""


ALONE = "BEGIN IMMEDIATE"
"""Begins what nobody else changes tickets beside."""


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Several statements as one, while no other process changes anything."""
    database.execute(ALONE)
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def open_in(database: Database, now: float) -> int:
    """How many tickets wait or have an answer that counts, in the tables of whatever form."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(tickets)").fetchall()}
    if not {"state", "expires"} <= columns:
        return 0
    ((count,),) = database.execute(_OPEN, (now,)).fetchall()
    return int(count)


def ask(database: Database, ticket: Ticket, counts: Counts) -> Ticket:
    """See `ports.Store.ask`. Tickets that have expired are removed."""
    with alone(database):
        found = standing(database, ticket, counts)
        if found is None:
            _add(database, ticket)
    return found or ticket


def standing(database: Database, ticket: Ticket, counts: Counts) -> Ticket | None:
    """The ticket by which a person was asked about the call of `ticket`, or the approval that lasts and is
    about it as well."""
    rows = database.execute(_SAME, (ticket.fingerprint, ticket.created)).fetchall()
    same = [one for one in map(_ticket, rows) if counts(one, ticket.created)]
    denied = [one for one in same if one.state == "denied"]
    return next(iter(denied or _covering(database, ticket, ticket.created, counts) or same), None)


def standing_by_any(database: Database, ticket: Ticket, listed: bool, counts: Counts) -> Ticket | None:
    """The same where it is not known which process asks, in which folder its client started it, or who acts,
    nor, unless `listed`, how the server lists what the call is for: as they did before."""
    rows = database.execute(_OF, (ticket.principal, ticket.created)).fetchall()
    alike = [one for one in _readable(rows) if _called(one) == _called(ticket)]
    known = {
        (ticket.definition if listed else one.definition, one.asker, one.reached, one.actor) for one in alike
    }
    asked = [
        structs.replace(ticket, definition=what, asker=process, reached=reached, actor=actor)
        for what, process, reached, actor in sorted(known)
    ]
    return next(filter(None, [standing(database, one, counts) for one in asked]), None)


def _called(ticket: Ticket) -> tuple[str, ...]:
    return ticket.server, without_folder(ticket.reached), ticket.method, ticket.target


def _covering(database: Database, call: Ticket, now: float, counts: Counts) -> list[Ticket]:
    """The approvals that last and are about `call` as well."""
    # One that cannot be read approves nothing; that of the same call is an error.
    found = _readable(database.execute(_KIN, (call.kin, "approved", now)).fetchall())
    return [one for one in found if one.lasts != "once" and covers(one, call) and counts(one, now)]


def _add(database: Database, ticket: Ticket) -> None:
    database.execute("DELETE FROM tickets WHERE expires <= ?", (ticket.created,))
    ((count,),) = database.execute(_COUNT, (ticket.session, ticket.created)).fetchall()
    if count >= MOST_WAITING:
        raise SessionError(f"{MOST_WAITING} calls of {ticket.who} wait for an approval already")
    same = ticket.id, ticket.fingerprint, ticket.kin, ticket.principal, ticket.session
    row = (*same, "waiting", ticket.expires, 0, None, _encode(ticket))
    database.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def now(database: Database, asked: Ticket, counts: Counts) -> Ticket | None:
    """See `ports.Store.ticket`. The question, which may be long, is not read again."""
    found = database.execute(_NOW, (asked.id,)).fetchone()
    if found is not None:
        return _known(asked, *found)
    return next(iter(_covering(database, asked, asked.created, counts)), None)


def one(database: Database, ticket_id: str) -> Ticket | None:
    """The ticket of that id."""
    found = database.execute(_ONE, (ticket_id,)).fetchone()
    return None if found is None else _ticket(found)


def in_state(database: Database, state: TicketState, now: float) -> list[Ticket]:
    """Those in that state which have not expired and can be read, the oldest first."""
    found = _readable(database.execute(_ALL, (state, now)).fetchall())
    return sorted(found, key=lambda ticket: ticket.created)


def unreadable(database: Database, now: float) -> list[UnreadableTicket]:
    """Those that cannot be read, and have neither expired nor been used or ended."""
    return [
        UnreadableTicket(str(name), str(principal), str(state))
        for name, principal, state, *rest in database.execute(_COUNTING, (now,)).fetchall()
        if _read((name, state, *rest)) is None
    ]


def removed(database: Database, ticket_id: str) -> bool:
    """Remove a ticket that cannot be read; false if none has that id."""
    with alone(database):
        row = database.execute(_ONE, (ticket_id,)).fetchone()
        if row is None or _read(row) is not None:
            return False
        database.execute(_REMOVE, (ticket_id,))
    return True


def answered(
    database: Database,
    ticket_id: str,
    answer: TicketAnswer,
    now: float,
    remember: Callable[[Ticket, float], None],
) -> bool:
    """Answer a ticket; false where it is not waiting any more. `remember` has the session know a ticket that
    is approved for it. Others that wait are removed where the answer is about them as well."""
    until = None if answer.lasts == "once" else answer.until
    with alone(database):
        place = (answer.verdict, _encode(answer), until, ticket_id, now)
        if database.execute(_ANSWER, place).rowcount != 1:
            return False
        mine = None if until is None else one(database, ticket_id)
        if mine is not None:
            if answer.lasts == "session":
                remember(mine, now)
            for other in _readable(database.execute(_KIN, (mine.kin, "waiting", now)).fetchall()):
                if covers(mine, other):
                    database.execute(_REMOVE, (other.id,))
    return True


def used(database: Database, ticket_id: str, now: float, counts: Counts) -> int:
    """See `ports.Store.use`."""
    with alone(database):
        ticket = one(database, ticket_id)
        # A row may say another end than the answer.
        if ticket is None or ticket.ends <= now or not counts(ticket, now):
            return 0
        state = "used" if ticket.lasts == "once" else "approved"
        return ticket.uses + 1 if database.execute(_USE, (state, ticket_id, now)).rowcount == 1 else 0


def ended(database: Database, ticket_id: str, now: float) -> bool:
    """End an approval or a refusal; false where it does not count any more."""
    return bool(database.execute(_END, (ticket_id, now)).rowcount == 1)


def _ticket(row: tuple[Any, ...]) -> Ticket:
    found = _read(row)
    if found is None:
        raise SessionError(_UNREADABLE.format(plain(str(row[0]))))
    return found


def _readable(rows: Iterable[tuple[Any, ...]]) -> list[Ticket]:
    return [one for one in map(_read, rows) if one is not None]


def _read(row: tuple[Any, ...]) -> Ticket | None:
    """The ticket of a row, None where it is not one."""
    name, state, uses, answer, question = row
    with suppress(ValueError, TypeError, RecursionError):
        asked = _decode(question)
        if asked.id == name and 0 <= asked.created <= LATEST and 0 <= asked.expires <= LATEST:
            return _with(asked, state, uses, answer)
    return None


def _known(asked: Ticket, state: Any, uses: Any, answer: Any) -> Ticket:
    """The ticket with its question, as it is by now."""
    with suppress(ValueError, TypeError, RecursionError):
        return _with(asked, state, uses, answer)
    raise SessionError(_UNREADABLE.format(asked.id))


def _with(asked: Ticket, state: Any, uses: Any, answer: Any) -> Ticket:
    """Raises ValueError, TypeError or RecursionError where these are not those of a ticket."""
    said = None if answer is None else _decode_answer(answer)
    if type(uses) is not int or state not in _states_of(said, uses):
        raise ValueError
    if said is not None and not 0 <= said.until <= LATEST:
        raise ValueError
    return structs.replace(asked, state=state, uses=uses, answer=said)


def _states_of(said: TicketAnswer | None, uses: int) -> tuple[TicketState, ...]:
    """What a ticket with that answer can be."""
    if said is None:
        return ("waiting",)
    if said.verdict == "denied":
        return ("denied", "ended")
    return ("used",) if uses and said.lasts == "once" else ("approved", "ended")
