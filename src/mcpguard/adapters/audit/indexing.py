"""Taking lines of chains into the index of calls: a decision and its outcome are one row.

Law of this file: a line that is not understood is left out, and a call whose end may come in another chain
of its process stays open over all of them. A chain of another process ends no call: whoever plants one hides
nothing with it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw, Struct, json
from msgspec.structs import replace

from mcpguard.adapters.audit.passages import FILE_BITS, LONGEST, OFFSET, Passage, clock_of
from mcpguard.adapters.audit.reader import MOST_ODD, sound_lines
from mcpguard.adapters.system.files import private_file
from mcpguard.core.evidence.chain import GENESIS, continues, decoded
from mcpguard.core.evidence.records import PAUSED, FoldedRecords, ObservedRefusal

if TYPE_CHECKING:
    from mcpguard.core.evidence.records import Decided, Outcome

_STEP = 10_000_000
"""A call that was decided so many microseconds before one that stands above it: the clock was set back."""
_BATCH = 20_000
_MOST_EARLY = 10_000
"""Of outcomes that are read before their decisions: where a clock was set back, a chain may have a name
before that of the one that it continues."""
_FOLDED = b'"what":"refusals-folded"'
_MOST = 1 << 50
"""Of milliseconds and bytes; the database has room for larger numbers than that, and no call has them."""
FORM = 16
"""Of the tables; an index of another one is made again."""
_TABLES = """
CREATE TABLE chains(number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, read INTEGER NOT NULL,
  head BLOB NOT NULL, over INTEGER NOT NULL, altered INTEGER NOT NULL, stamp TEXT NOT NULL,
  begin BLOB NOT NULL, copy INTEGER NOT NULL, origin TEXT NOT NULL, before TEXT NOT NULL);
CREATE TABLE facts(number INTEGER PRIMARY KEY, json BLOB UNIQUE NOT NULL, last INTEGER NOT NULL);
CREATE TABLE calls(facts INTEGER NOT NULL, at INTEGER NOT NULL, place INTEGER NOT NULL, took INTEGER,
  sent INTEGER NOT NULL, received INTEGER NOT NULL, outcome INTEGER,
  PRIMARY KEY(facts, at, place)) WITHOUT ROWID;
CREATE TABLE open(origin TEXT NOT NULL, id TEXT NOT NULL, facts INTEGER NOT NULL, at INTEGER NOT NULL,
  place INTEGER NOT NULL, effect TEXT NOT NULL, PRIMARY KEY(origin, id)) WITHOUT ROWID;
CREATE TABLE passages(place INTEGER PRIMARY KEY, end INTEGER NOT NULL, first INTEGER NOT NULL,
  latest INTEGER NOT NULL, bits BLOB NOT NULL, zones BLOB NOT NULL);
CREATE TABLE setbacks(place INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE folded(place INTEGER PRIMARY KEY, at INTEGER NOT NULL, json BLOB NOT NULL);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = tuple[int, int, int, int | None, int, int, int | None]
"""Number of the facts, time, place, duration, bytes sent and received, place of the outcome."""


class FoldedRefusals(Struct, frozen=True):
    """Refusals that were only counted: how many `kinds` of them there were, as the record has it."""

    principal: str
    session: str
    kinds: dict[str, int]


class CallFacts(Struct, frozen=True, array_like=True):
    """What many calls have in common. `kinds` are those of the detections, `status` is "" without an
    outcome, `observed` and `withheld` are cause and rules of what is only observed of the decision and of
    the outcome, whose other fields are the last ones; the rest is as in the records."""

    principal: str
    human: str
    actor: str
    agent: str
    client: str
    method: str
    server: str
    tool: str
    tool_digest: str
    effect: str
    cause: str
    rules: tuple[str, ...]
    session: str
    labels: tuple[str, ...]
    facts: tuple[str, ...]
    policy_digest: str
    observed: tuple[str, ...] = ()
    shadow: str = ""
    status: str = ""
    kinds: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    result_shadow: str = ""

    @property
    def decided(self) -> CallFacts:
        """Without what the outcome adds."""
        return replace(self, status="", kinds=(), withheld=(), result_shadow="")


class _Read(Struct):
    """A line, as far as it is indexed."""

    kind: str
    at: Annotated[datetime, Meta(tz=True)]
    id: str = ""
    principal: str = ""
    human: str = ""
    actor: str = ""
    agent: str | None = None
    client: str = ""
    method: str = ""
    server: str = ""
    tool: str = ""
    tool_digest: str = ""
    effect: str = ""
    cause: str = ""
    rules: tuple[str, ...] = ()
    session: str = ""
    session_labels: tuple[str, ...] = ()
    session_facts: tuple[str, ...] = ()
    policy_digest: str = ""
    status: str = ""
    ms: Annotated[float, Meta(ge=0, le=_MOST)] = 0.0
    findings: dict[str, int] = {}
    observed: ObservedRefusal | None = None
    shadow: str = ""
    sent: Annotated[int, Meta(ge=0, le=_MOST)] = 0
    received: Annotated[int, Meta(ge=0, le=_MOST)] = 0
    folded: FoldedRecords | None = None
    arguments: Raw = Raw()
    subject: Raw = Raw()
    credentials: Raw = Raw()
    approval: Raw = Raw()
    ticket: Raw = Raw()
    trace: Raw = Raw()
    token: Raw = Raw()
    message: Raw = Raw()
    error: Raw = Raw()


class OpenCall(Struct):
    """A decision whose call may go on. `stored` says whether it has a row."""

    facts: CallFacts | int
    at: int
    place: int
    effect: str
    stored: bool = False


CallKey = tuple[str, str]
"""The first chain of the process, and the id of the call."""


_read = json.Decoder(_Read).decode


read_facts = json.Decoder(CallFacts).decode


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def facts_of(one: _Read | Decided) -> CallFacts:
    """Those of a call with this decision, without an outcome."""
    return CallFacts(
        one.principal, one.human, one.actor, one.agent or "", one.client, one.method, one.server, one.tool,
        one.tool_digest, one.effect, one.cause, one.rules, one.session, one.session_labels, one.session_facts,
        one.policy_digest, _refusal(one.observed), one.shadow,
    )  # fmt: skip


def facts_after(facts: CallFacts, outcome: _Read | Outcome) -> CallFacts:
    """Those of a call with this outcome."""
    kinds = sorted({what.partition(" ")[0] for what in outcome.findings}) if outcome.findings else ()
    return replace(
        facts,
        status=outcome.status,
        kinds=tuple(kinds),
        withheld=_refusal(outcome.observed),
        result_shadow=outcome.shadow,
    )


def _refusal(observed: ObservedRefusal | None) -> tuple[str, ...]:
    return () if observed is None else (observed.cause, *observed.rules)


class IndexRows:
    """The tables of an index, as far as chains are taken into them. `last` is when the latest call with the
    facts of a number was decided."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.clock_of = partial(clock_of, database)
        self._numbers: dict[CallFacts, int] = {}
        self.last: dict[int, int] = {}
        for number, text, last in database.execute("SELECT number, json, last FROM facts"):
            self._numbers[read_facts(text)], self.last[number] = number, last

    def forget(self, number: int) -> None:
        """Remove all that is of the chain of that number."""
        first = number << FILE_BITS
        for table in ("calls", "open", "folded", "passages", "setbacks"):
            self._database.execute(
                f"DELETE FROM {table} WHERE place BETWEEN ? AND ?",  # noqa: S608
                (first, first | OFFSET),
            )
        self._database.execute("DELETE FROM chains WHERE number = ?", (number,))

    def number_of(self, facts: CallFacts) -> int:
        """The number of these facts, which are stored if they are new."""
        number = self._numbers.get(facts)
        if number is None:
            cursor = self._database.execute("INSERT INTO facts VALUES(NULL, ?, 0)", (json.encode(facts),))
            number = self._numbers[facts] = int(cursor.lastrowid or 0)
            self.last[number] = 0
        return number

    def stored_facts(self, number: int) -> CallFacts:
        ((text,),) = self._database.execute("SELECT json FROM facts WHERE number = ?", (number,))
        return read_facts(text)

    def store(self, calls: list[Row], gone: list[tuple[int, int, int]]) -> None:
        """Remove the rows with these keys, and add `calls`."""
        self._database.executemany("DELETE FROM calls WHERE facts = ? AND at = ? AND place = ?", gone)
        self._database.executemany("INSERT OR REPLACE INTO calls VALUES(?, ?, ?, ?, ?, ?, ?)", calls)
        latest: dict[int, int] = {}
        for facts, at, *_ in calls:
            if at >= self.last[facts]:
                latest[facts] = self.last[facts] = at
        updates = [(at, facts) for facts, at in latest.items()]
        self._database.executemany("UPDATE facts SET last = ? WHERE number = ?", updates)

    def store_folded(self, at: int, place: int, folded: FoldedRefusals) -> None:
        """Add refusals that were only counted."""
        row = (place, at, json.encode(folded))
        self._database.execute("INSERT OR REPLACE INTO folded VALUES(?, ?, ?)", row)

    def set_back(self, place: int, at: int) -> None:
        """The clock was set back before the call that was decided then and there."""
        self._database.execute("INSERT OR REPLACE INTO setbacks VALUES(?, ?)", (place, at))

    def passage_at(self, place: int) -> Passage | None:
        """The stored passage of a chain that has this place, or the last one before it."""
        query = (
            "SELECT place, end, first, latest, bits, zones FROM passages WHERE place BETWEEN ? AND ? "
            "ORDER BY place DESC LIMIT 1"
        )
        rows = self._database.execute(query, (place & ~OFFSET, place)).fetchall()
        return Passage(*rows[0]) if rows else None

    def store_passage(self, passage: Passage) -> None:
        some = (passage.place, passage.end, passage.first, passage.latest)
        row = (*some, passage.bits(), passage.zones())
        self._database.execute("INSERT OR REPLACE INTO passages VALUES(?, ?, ?, ?, ?, ?)", row)

    def open_calls(self) -> dict[CallKey, OpenCall]:
        """What was decided and may go on."""
        rows = self._database.execute("SELECT * FROM open")
        return {
            (origin, id_): OpenCall(facts, at, place, effect, stored=True)
            for origin, id_, facts, at, place, effect in rows
        }

    def store_open(self, calls: dict[CallKey, OpenCall]) -> None:
        """These may go on, and no others."""
        self._database.execute("DELETE FROM open")
        rows = ((*key, one.facts, one.at, one.place, one.effect) for key, one in calls.items())
        self._database.executemany("INSERT INTO open VALUES(?, ?, ?, ?, ?, ?)", rows)


class ChainReading:
    """Takes lines in. A call whose end may come in another chain of its process stays open over all of
    them."""

    def __init__(self, rows: IndexRows) -> None:
        self._rows = rows
        self._open = rows.open_calls()
        self._calls: list[Row] = []
        self._gone: list[tuple[int, int, int]] = []
        self._passage = Passage(0)
        self._origin, self._clock = "", 0
        self._early: dict[CallKey, tuple[_Read, int]] = {}
        self._late: list[tuple[int, tuple[bytes, ...]]] = []

    def read(
        self, number: int, origin: str, file: Path, start: int, head: bytes
    ) -> tuple[int, bytes, int, int]:
        """Take in a chain from `start` on, after the line with the hash `head`; `origin` is the first chain
        of its process. Gives where it ended, the hash there, whether it is over, and whether a line is not
        as it was written."""
        self._origin, self._clock = origin, self._rows.clock_of(number)
        at, over, altered, place = start, 0, 0, number << FILE_BITS
        head = head or GENESIS.encode()
        broken: dict[str, None] = {}
        self._passage = self._rows.passage_at(place | start) or Passage(place | start)
        for line in sound_lines(file, broken, start):
            if not line.endswith(b"\n") or altered > MOST_ODD:
                break
            if not continues(line, head):
                altered += 1
            if line.startswith((b'{"kind":"decision"', b'{"kind":"outcome"')) or _FOLDED in line:
                self._take(line, place | at)
            elif line.startswith(b'{"kind":"closed"'):
                over = 1
            at += len(line)
            head = line[-67:-3]
        self._store_passage(self._passage)
        return at, head if at else b"", over, int(altered > 0 or bool(broken))

    def _take(self, line: bytes, place: int) -> None:
        found = decoded(_read, line)
        if found is None:
            return
        if found.kind == "decision":
            self._decided(found, place, place + len(line))
        elif found.kind == "outcome":
            self._ended(found, place)
        elif found.folded is not None:
            counted = FoldedRefusals(found.principal, found.session, found.folded.kinds)
            self._rows.store_folded(microseconds(found.at), place, counted)
        if len(self._calls) >= _BATCH:
            self._flush()

    def _decided(self, found: _Read, place: int, end: int) -> None:
        key = self._origin, found.id
        before = self._open.pop(key, None)
        if before is not None and (before.effect == "ask" or before.place >> FILE_BITS == place >> FILE_BITS):
            self._drop(before)
        elif before is not None:
            self._leave(before)  # No chain decides again what another one allowed.
        facts = facts_of(found)
        at = microseconds(found.at)
        if at < self._clock - _STEP:
            self._rows.set_back(place, at)
            self._clock = at
        self._clock = max(self._clock, at)
        if self._passage.full or place - self._passage.place > LONGEST:
            self._store_passage(self._passage)
            self._passage = Passage(place)
        self._passage.decided(at, end, found.arguments)
        self._passage.said(subject=found.subject, message=found.message)
        texts = (found.arguments, found.credentials, found.subject, found.approval, found.ticket, found.trace)
        self._passage.add(b'"%b"' % found.id.encode(), *texts, found.token, found.message)
        if found.effect == "deny":
            self._calls.append((self._rows.number_of(facts), at, place, None, 0, 0, None))
            return
        self._open[key] = OpenCall(facts, at, place, found.effect)
        if key in self._early:
            self._ended(*self._early.pop(key))

    def _ended(self, found: _Read, place: int) -> None:
        if found.status == PAUSED:
            return
        key = self._origin, found.id
        call = self._open.pop(key, None)
        if call is None:
            if len(self._early) < _MOST_EARLY:
                self._early[key] = found, place
            return
        facts = call.facts if isinstance(call.facts, CallFacts) else self._rows.stored_facts(call.facts)
        self._drop(call)
        number = self._rows.number_of(facts_after(facts, found))
        took = round(found.ms * 1000)
        self._calls.append((number, call.at, call.place, took, found.sent, found.received, place))
        # A passage has the texts of the calls that are decided in it, whenever they end.
        if found.message or found.error:
            texts = (bytes(found.message), bytes(found.error))
            if self._passage.place <= call.place < place and call.place >> FILE_BITS == place >> FILE_BITS:
                self._passage.add(*texts)
                self._passage.said(message=texts[0], error=texts[1])
            else:
                self._late.append((call.place, texts))

    def _drop(self, call: OpenCall) -> None:
        """The row that it had while it was open is not true any more."""
        if call.stored and isinstance(call.facts, int):
            self._gone.append((call.facts, call.at, call.place))

    def _leave(self, call: OpenCall) -> None:
        """It has no outcome, whatever comes."""
        if isinstance(call.facts, CallFacts):
            self._calls.append((self._rows.number_of(call.facts), call.at, call.place, None, 0, 0, None))

    def forget(self, number: int) -> None:
        """Take nothing of the chain of that number for known."""
        self.store()
        self._rows.forget(number)
        self._open = {key: one for key, one in self._open.items() if one.place >> FILE_BITS != number}

    def _flush(self) -> None:
        self._calls.sort()
        self._rows.store(self._calls, self._gone)
        self._calls, self._gone = [], []
        passage: Passage | None = None
        for place, texts in sorted(self._late):
            if passage is None or place >= passage.end:
                self._store_passage(passage)
                passage = self._rows.passage_at(place)
            if passage is not None:
                passage.add(*texts)
                passage.said(message=texts[0], error=texts[1])
        self._store_passage(passage)
        self._late = []

    def _store_passage(self, passage: Passage | None) -> None:
        if passage is not None and passage.latest >= 0:
            self._rows.store_passage(passage)

    def store(self) -> None:
        for one in self._open.values():
            self._leave(one)
            if isinstance(one.facts, CallFacts):
                one.facts, one.stored = self._rows.number_of(one.facts), True
        self._flush()
        self._rows.store_open(self._open)


def open_index(path: Path | None) -> sqlite3.Connection:
    """The tables, made where they are missing or of another form. Raises sqlite3.DatabaseError, OSError."""
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its further files the mode of this one.
        os.close(private_file(path, os.O_RDWR))
    with ExitStack() as undo:
        database = sqlite3.connect(":memory:" if path is None else path, timeout=30, isolation_level=None)
        undo.callback(database.close)
        ((form,),) = database.execute("PRAGMA user_version")
        if form not in (0, FORM):
            raise sqlite3.DatabaseError
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if form != FORM:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORM}; COMMIT;")
        undo.pop_all()
    return database


def remove_index(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it."""
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + end).unlink(missing_ok=True)
