"""What both databases have in common: tickets, for calls and for the people who answer them.

Law of this file: what a call needs waits for nobody, and what a person needs waits for a moment; the same
statements serve both.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from mcpguard.adapters.store import pins, tickets
from mcpguard.adapters.store.sessions import KnownSession
from mcpguard.adapters.store.tickets import Database, UnreadableTicket
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Listed, Principal
from mcpguard.core.policy.pins import Hold, Pin, Standing
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.tickets import Ticket, TicketAnswer
from mcpguard.gateway.flight import Wait

T = TypeVar("T")


class SharedState(ABC):
    """Implements what `ports.Store` says of tickets; a database adds the rest."""

    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.failing = ""
        """Why the last change could not be stored, "" where it could."""
        self.changed: Callable[[], None] = lambda: None
        """Called when `failing` has changed."""
        self.replaced: Callable[[str], None] = lambda _said: None
        """Called with a sentence when what was stored is gone."""

    @abstractmethod
    def enter(self, principal: Principal, agent: str | None) -> None:
        """A client connects: while it stays, the clock does not end a session that it used."""

    @abstractmethod
    def leave(self, principal: Principal, agent: str | None) -> None:
        """It has gone."""

    @abstractmethod
    def change(self, invocation: Invocation, change: Callable[[Session], T]) -> Wait[T]:
        """See `ports.Store`."""

    @property
    @abstractmethod
    def in_use(self) -> bool:
        """Whether anything has needed it, so that a failure counts."""

    @abstractmethod
    def problem(self) -> str:
        """Why it cannot be used, "" where it can. May block, and is called in a thread."""

    def mend(self) -> None:  # noqa: B027
        """Called in the loop while there is a problem: do what only this process can do about it, and what a
        call would do."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open, and end the threads; the next change opens it again."""

    @abstractmethod
    def waits(self, ticket_id: str, since: float) -> Callable[[], None]:
        """See `ports.Store`."""

    @property
    @abstractmethod
    def waiting_calls(self) -> int:
        """How many calls of this process wait for a person."""

    def ask(self, ticket: Ticket) -> Wait[Ticket]:
        return self._begun(lambda: self._noted(tickets.ask(self._open(), ticket, self._counts)))

    def ticket(self, asked: Ticket) -> Wait[Ticket | None]:
        return self._begun(lambda: (True, tickets.now(self._open(), asked, self._counts)))

    def answered(self, ticket_id: str, answer: TicketAnswer, by: float) -> Wait[bool]:
        place = ticket_id, answer, by, self._approve_in
        return self._begun(lambda: self._noted(tickets.answered(self._open(), *place)))

    def use(self, ticket_id: str, by: float) -> Wait[int]:
        return self._begun(lambda: self._noted(tickets.used(self._open(), ticket_id, by, self._used_in)))

    def pin(self, place: str, listed: Sequence[Listed], hold: Hold) -> Wait[dict[str, Standing]]:
        def look() -> tuple[bool, dict[str, Standing]]:
            stored, found = pins.pin(self._open(), place, listed, hold, time.time())
            return self._noted(found) if stored else (True, found)

        return self._begun(look)

    def has_listed(self, server: str, kind: str, name: str) -> Wait[bool]:
        return self._begun(lambda: (True, pins.has_listed(self._open(), server, kind, name)))

    # --- for a person: of many tickets, what cannot be read is left to `unreadable` -----------------

    @abstractmethod
    def known(self, prefix: str = "") -> list[KnownSession]:
        """All sessions that have not ended, the most recently used first; with `prefix` those whose names
        begin so, and one of these that cannot be read has not ended. Raises SessionError."""

    @abstractmethod
    def edit(self, name: str, change: Callable[[StoredSession], StoredSession]) -> bool:
        """Put what `change` makes of it in place of a session; one that cannot be read is changed as an
        empty one. Whether there is one of that name. Raises SessionError."""

    def waiting(self) -> list[Ticket]:
        """The tickets that nobody has answered, the oldest first. Raises SessionError."""
        return self._patient(lambda: tickets.in_state(self._open(), "waiting", time.time()))

    def unreadable(self) -> list[UnreadableTicket]:
        """The tickets that count and cannot be read. Raises SessionError."""
        return self._patient(lambda: tickets.unreadable(self._open(), time.time()))

    def remove(self, ticket_id: str) -> bool:
        """Remove a ticket that cannot be read. Returns whether there was one. Raises SessionError."""
        return self._patient(lambda: tickets.removed(self._open(), ticket_id))

    @abstractmethod
    def waited_for(self) -> dict[str, float]:
        """The tickets that a call waits for, in any process, with since when the first of these does (seconds
        since 1970). Raises SessionError."""

    def standing(self, ticket: Ticket, listed: bool) -> Ticket | None:
        """The ticket by which a person was asked about the call of `ticket`, by any process, None for none.
        Unless it is `listed` as its definition says, that is taken to be as it was. Raises SessionError."""
        return self._patient(lambda: tickets.standing_by_any(self._open(), ticket, listed, self._counts))

    def known_ticket(self, ticket_id: str) -> Ticket | None:
        """The ticket of that id. Raises SessionError, also where it cannot be read."""
        return self._patient(lambda: tickets.one(self._open(), ticket_id))

    def answer(self, ticket_id: str, answer: TicketAnswer) -> bool:
        """Answer a ticket; false where it is not waiting any more. Raises SessionError."""
        now = time.time()
        place = ticket_id, answer, now, self._approve_in
        return self._patient(lambda: tickets.answered(self._open(), *place))

    def denied(self) -> list[Ticket]:
        """The refusals that count, the oldest first. Raises SessionError."""
        return self._patient(lambda: tickets.in_state(self._open(), "denied", time.time()))

    def approved(self) -> list[Ticket]:
        """The approvals that can be used, the oldest first. Raises SessionError."""
        now = time.time()
        found = partial(tickets.in_state, state="approved", now=now)
        return self._patient(lambda: [one for one in found(self._open()) if self._counts(one, now)])

    def end(self, ticket_id: str) -> bool:
        """End an approval; false where it cannot be used any more. Raises SessionError."""
        return self._patient(lambda: tickets.ended(self._open(), ticket_id, time.time()))

    def pins(self, open_only: bool = False) -> list[Pin]:
        """All definitions that are known, or those of names of which one is held; by server and name, the
        latest of each name last. Raises SessionError."""
        return self._patient(lambda: pins.every(self._open(), open_only))

    def full_of_pins(self) -> list[tuple[str, str]]:
        """The servers, each with its place, of which no more definitions can be remembered: what is new of
        them is held. Raises SessionError."""
        return self._patient(lambda: pins.full(self._open()))

    def accept(self, chosen: Sequence[Pin], by: str) -> bool:
        """Accept definitions that are held, for `by`; false, and nothing is changed, where one of them is not
        held any more. Raises SessionError."""
        return self._patient(lambda: pins.accepted(self._open(), chosen, by, time.time()))

    def forget(self, server: str) -> bool:
        """Forget how a server of that name defined anything: what it lists next counts as the first. False
        where nothing is known of it. Raises SessionError."""
        return self._patient(lambda: pins.forgotten(self._open(), server))

    # --- approvals for as long as a session lasts ------------------------------------------------

    def _counts(self, ticket: Ticket, now: float) -> bool:
        """Whether the session that `ticket` was approved for still lasts; true for what has not to."""
        if ticket.lasts != "session":
            return True
        try:
            return ticket.id in self._session_of(ticket.session, now).approvals
        except SessionError:
            return False

    def _used_in(self, ticket: Ticket, now: float) -> bool:
        """The same, for a call that is made: it keeps the session from idling."""
        if ticket.lasts != "session":
            return True
        place = ticket.session, ticket.principal, ticket.agent, now
        done, counts = self._changed(*place, lambda session: ticket.id in session.kept.approvals)
        return done and counts

    def _approve_in(self, ticket: Ticket, now: float) -> None:
        place = ticket.session, ticket.principal, ticket.agent, now
        self._changed(*place, lambda session: session.kept.approvals.append(ticket.id))

    def _is(self, failing: str) -> SessionError:
        """Note why it fails, "" if it does not."""
        if failing != self.failing:
            self.failing = failing
            self.changed()
        return SessionError(failing)

    # --- what a database does --------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> Database:
        """The database, opened where it is not open. Raises SessionError, and what it fails with."""

    @abstractmethod
    def _begun(self, work: Callable[[], tuple[bool, T]]) -> Wait[T]:
        """Do `work`, which says whether it is done and gives a value; again where it is not done."""

    @abstractmethod
    def _patient(self, look: Callable[[], T]) -> T:
        """Do `look` now, and wait a moment for others. Raises SessionError where it cannot be done."""

    @abstractmethod
    def _session_of(self, name: str, now: float) -> StoredSession:
        """The session of that name as it is. Raises SessionError where it cannot be read."""

    @abstractmethod
    def _changed(
        self, name: str, principal: str, agent: str | None, at: float, change: Callable[[Session], T]
    ) -> tuple[bool, T]:
        """Whether what `change` does to the session is stored, and what it gave."""

    def _noted(self, value: T) -> tuple[bool, T]:
        """The value of work that is done, and that stored something."""
        return True, value
