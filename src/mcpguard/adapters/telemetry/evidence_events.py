"""What happened, as sinks want it: a call with its outcome, or one record that belongs to no call.

Law of this file: nothing is made up. A call whose outcome never came says so, and a line that cannot be read
is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.json import Decoder

from mcpguard.core.evidence.chain import decoded
from mcpguard.core.evidence.records import (
    HANDED_ON,
    PAUSED,
    Closed,
    Decided,
    Noticed,
    Opened,
    Outcome,
    Record,
    let_through,
)

T = TypeVar("T")

_decode: Callable[[bytes], Record] = Decoder(Record).decode

MOST_OPEN = 10_000
"""Calls that may wait for their outcome; of more the oldest are given up."""
WELL = frozenset({"", "ok", "pending", "resumed", "asked", "input-required", PAUSED})
"""Statuses of what did not fail."""
NO_OUTCOME = "no-outcome"
"""As a status: the process ended between the decision and the outcome, so the call may have been made."""


class LinePlace(Struct, frozen=True, gc=False):
    """A line of evidence: the name of its chain, and its hash."""

    file: str
    hash: str


class EvidenceEvent(Struct, frozen=True, gc=False):
    """A decision with its outcome, if it is followed by one; or one other record, and no outcome.

    `host` is that of the machine, "" where it is not known. `place` is that of the line that completes it.
    """

    record: Record
    place: LinePlace
    outcome: Outcome | None = None
    unfinished: bool = False
    host: str = ""

    @property
    def at(self) -> datetime:
        """When it ended."""
        return self.record.at if self.outcome is None else self.outcome.at

    @property
    def status(self) -> str:
        """How it ended: `denied`, `pending` (a person is asked), or as in `outcome`; "" for other records."""
        if self.outcome is not None:
            return self.outcome.status
        if not isinstance(self.record, Decided):
            return ""
        if self.unfinished:
            return NO_OUTCOME
        return {"deny": "denied", "ask": "pending"}.get(self.record.effect, self.record.effect)

    @property
    def let_through(self) -> str:
        """As the function of this name; "" for what is not a call."""
        return let_through(self.record, self.outcome) if isinstance(self.record, Decided) else ""

    @property
    def failed(self) -> bool:
        """Whether it was a call that did not do what it was for."""
        return self.status not in WELL


class _Open(Struct, Generic[T], frozen=True, gc=False):
    record: Decided
    place: LinePlace
    mark: T


class CallJoiner(Generic[T]):
    """Joins decisions with their outcomes, over all chains of a process: a planted chain ends no call of
    another. `origin` gives the first chain of the process that wrote a chain. `unread` counts lines that are
    not records."""

    def __init__(self, origin: Callable[[str], str]) -> None:
        self._origin = origin
        self._open: dict[tuple[str, str], _Open[T]] = {}
        """The first chain of a process and the id of the call -> what is open."""
        self._hosts: dict[str, str] = {}
        self.unread = 0

    def copy(self) -> CallJoiner[T]:
        """A copy of its present state, to return to after a failure."""
        other: CallJoiner[T] = CallJoiner(self._origin)
        other._open, other._hosts, other.unread = dict(self._open), dict(self._hosts), self.unread
        return other

    @property
    def marks(self) -> dict[str, T]:
        """The marks of calls without an outcome, by the first chain of their process and their ids."""
        return {" ".join(key): one.mark for key, one in self._open.items()}

    def add(self, file: str, line: bytes, mark: T) -> Sequence[EvidenceEvent]:
        """What is complete with `line` of the chain `file`; `mark` is what `marks` gives for it."""
        record, place = _read(line), _place(file, line)
        if isinstance(record, Outcome):
            return () if record.status == PAUSED else (self._ended(record, place),)
        if isinstance(record, Decided) and record.effect == "allow":
            too_many = len(self._open) >= MOST_OPEN
            given_up = (self._given_up(next(iter(self._open))),) if too_many else ()
            self._open[self._origin(file), record.id] = _Open(record, place, mark)
            return given_up
        if record is None:
            self.unread += 1
            return ()
        if isinstance(record, Opened):
            self._hosts[file] = record.host
        left = self._left_by(file, record) if isinstance(record, Closed) else ()
        return (*left, EvidenceEvent(record, place, host=self._hosts.get(file, "")))

    def overdue(self, before: datetime) -> Iterator[EvidenceEvent]:
        """Give up calls that were decided before, and have no outcome: their process was killed."""
        for key in [key for key, one in self._open.items() if one.record.at < before]:
            yield self._given_up(key)

    def _ended(self, outcome: Outcome, place: LinePlace) -> EvidenceEvent:
        begun = self._open.pop((self._origin(place.file), outcome.id), None)
        host = self._hosts.get(place.file, "")
        if begun is None:
            return EvidenceEvent(outcome, place, host=host)
        return EvidenceEvent(begun.record, place, outcome, host=host)

    def _left_by(self, file: str, closed: Closed) -> Iterator[EvidenceEvent]:
        if closed.reason not in HANDED_ON:
            for key in [key for key, one in self._open.items() if one.place.file == file]:
                yield self._given_up(key)

    def _given_up(self, key: tuple[str, str]) -> EvidenceEvent:
        begun = self._open.pop(key)
        return EvidenceEvent(
            begun.record, begun.place, unfinished=True, host=self._hosts.get(begun.place.file, "")
        )


def single(file: str, line: bytes) -> EvidenceEvent | None:
    """The record of `line` alone; None if its kind is unknown."""
    record = _read(line)
    return None if record is None else EvidenceEvent(record, _place(file, line))


def _read(line: bytes) -> Record | None:
    record = decoded(_decode, line)
    return None if record is None or record.at.tzinfo is None else record


def _place(file: str, line: bytes) -> LinePlace:
    return LinePlace(file, line[-67:-3].decode("ascii", "replace"))


def title(one: EvidenceEvent) -> str:
    """What it is in a few words, for people."""
    record = one.record
    if isinstance(record, Decided):
        what = "/".join(filter(None, (record.server, record.tool or record.subject))) or record.method
        return f"{what}: {one.status}{', would be refused' * bool(one.let_through)}"
    if isinstance(record, Noticed):
        return record.what
    return type(record).__name__.lower()
