"""Dwell time: from the moment that a session deserves a person's attention to the moment that it gets it.

It begins with the first refusal of a session or with the first label that it has, whichever is earlier. It
ends when a person answers a ticket of that session, clears a label of it or ends it, or when the process that
served it ends. What begins after that is another one.

Law of this file: what begins and ends a time comes out of different chains, so nothing is concluded before
all of them were read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct, field

from mcpguard.core.evidence.records import UNDECIDED, Closed, Decided, Noticed, Opened, Outcome, Record

_PERSON = frozenset(
    {"approval-given", "approval-refused", "approval-ended", "label-cleared", "session-ended"}
)
_HANDED_ON = frozenset({"rotated", "evidence-gap"})
"""Why a chain is closed whose process goes on in another."""
_TICKET = re.compile(r"\bticket (\S+)")
_SESSION = re.compile(r"\bsession ([0-9a-f]{32})\b")


class Dwelt(Struct):
    """One of these times. `ended` is None, and `by` is `open`, while it goes on."""

    session: str
    principal: str
    began: datetime
    because: str
    ended: datetime | None = None
    by: str = "open"


class _SessionTrack(Struct):
    """What is known of a session: the first and the last reason in each minute, so that memory is bounded,
    and the chains in which it was served."""

    principal: str
    reasons: dict[datetime, list[tuple[datetime, str]]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    acts: list[datetime] = field(default_factory=list)

    def add(self, at: datetime, because: str, file: str) -> None:
        self.files.add(file)
        kept = self.reasons.setdefault(at.replace(second=0, microsecond=0), [])
        kept[1:] = [(at, because)]


class DwellWatch(Struct):
    """Follows the records of all sessions, chain by chain."""

    sessions: dict[str, _SessionTrack] = field(default_factory=dict)
    closed: dict[str, datetime] = field(default_factory=dict)
    _next: dict[str, str] = field(default_factory=dict)
    """A chain -> the one in which its process went on."""
    _calls: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The id of an allowed call -> its session and principal, until its outcome is there."""
    _tickets: dict[str, str] = field(default_factory=dict)
    """A ticket -> its session."""
    _acts: list[Noticed] = field(default_factory=list)

    def take(self, record: Record, file: str) -> None:
        """One more record, of the chain `file`."""
        if isinstance(record, Decided):
            self._decided(record, file)
        elif isinstance(record, Outcome):
            session, principal = self._calls.pop(record.id, ("", ""))
            if session and record.labels:
                self._reason(session, principal, record.at, f"label {', '.join(record.labels)}", file)
        elif isinstance(record, Noticed) and record.what in _PERSON:
            self._acts.append(record)
        elif isinstance(record, Closed) and record.reason not in _HANDED_ON:
            self.closed[file] = record.at
        elif isinstance(record, Opened) and record.continues:
            self._next[record.continues] = file

    def _decided(self, record: Decided, file: str) -> None:
        session = record.session or f"{record.principal} {record.agent or ''}".rstrip()
        if record.ticket:
            self._tickets[record.ticket] = session
        labels = record.session_labels + record.labels
        if record.effect == "deny" and record.cause not in UNDECIDED:
            why = f"refused: {', '.join(record.rules) or record.cause}"
            self._reason(session, record.principal, record.at, why, file)
        elif labels:
            self._reason(session, record.principal, record.at, f"label {', '.join(labels)}", file)
        if record.effect == "allow":
            self._calls[record.id] = session, record.principal

    def _reason(self, session: str, principal: str, at: datetime, because: str, file: str) -> None:
        self.sessions.setdefault(session, _SessionTrack(principal)).add(at, because, file)

    def found(self) -> list[Dwelt]:
        """All of them, once every record was taken."""
        for act in self._acts:
            if (seen := self.sessions.get(self._session_of(act))) is not None:
                seen.acts.append(act.at)
        return [one for name, seen in self.sessions.items() for one in self._of(name, seen)]

    def _session_of(self, act: Noticed) -> str:
        named = _SESSION.search(act.detail)
        if named is not None or act.session:
            return named[1] if named is not None else act.session
        ticket = _TICKET.search(act.detail)
        return self._tickets.get(act.ticket or (ticket[1] if ticket else ""), "")

    def _process_end(self, file: str) -> datetime | None:
        """When the process ended that wrote this chain."""
        for _ in range(len(self._next)):  # However they are tied.
            file = self._next.get(file, file)
        return self.closed.get(file)

    def _of(self, name: str, seen: _SessionTrack) -> Iterator[Dwelt]:
        ends = [(at, 1, "person") for at in seen.acts]
        ends += [(at, 1, "process end") for at in map(self._process_end, seen.files) if at is not None]
        begins = [(at, 0, because) for kept in seen.reasons.values() for at, because in kept]
        going: Dwelt | None = None
        for at, is_end, said in sorted(begins + ends):
            if going is None and not is_end:
                going = Dwelt(name, seen.principal, at, said)
            elif going is not None and is_end:
                going.ended, going.by = at, said
                yield going
                going = None
        if going is not None:
            yield going
