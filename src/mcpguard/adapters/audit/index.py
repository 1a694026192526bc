"""An index of the calls on record, so that a question about millions of them reads few lines of the chains.

Law of this file: it proves nothing and holds nothing that the chains do not. It is made from them, goes on
where it ended, and is made again where it does not fit them; what is printed is read from the chains.

A call is one row, however many records it has. Calls that differ only in their time, their duration, their
arguments and the like share one row of facts: there are few of these, so a condition is decided once for
each, and calls are kept in the order of their facts and their time.
"""

from __future__ import annotations

import heapq
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from mcpguard.adapters.audit.checking import (
    ChainExtent,
    ChainRow,
    copies,
    extent,
    first_hash,
    has_ended,
    intact_until,
    is_read,
    stamp_of,
    still_has,
)
from mcpguard.adapters.audit.indexing import (
    FORM,
    CallFacts,
    ChainReading,
    FoldedRefusals,
    IndexRows,
    open_index,
    read_facts,
    remove_index,
)
from mcpguard.adapters.audit.line_reader import LineReader
from mcpguard.adapters.audit.passages import (
    FILE_BITS,
    OFFSET,
    ClockSetback,
    IndexedPassage,
    matching_passages,
    setbacks,
)
from mcpguard.adapters.audit.reader import (
    Removed,
    chain_before,
    chain_files,
    chain_name,
    origin,
    packed,
)
from mcpguard.config.user_state import state_folder
from mcpguard.core.errors import AuditError

DAMAGED = (sqlite3.DatabaseError, DecodeError, UnicodeDecodeError, zlib.error)
"""What reading an index raises that something else changed."""
_SPANS = (
    "DROP TABLE IF EXISTS temp.spans",
    "CREATE TABLE temp.spans(begin INTEGER PRIMARY KEY, stop INTEGER NOT NULL)",
)
_CALLS = "FROM calls WHERE facts = :facts AND at >= :since AND (at, place) < (:at, :place)"
_CALLS_IN_SPANS = (
    "FROM temp.spans CROSS JOIN calls WHERE begin <= :at AND facts = :facts "
    "AND at >= max(begin, :since) AND at <= min(stop - 1, :at) AND (+at, place) < (:at, :place)"
)
"""Those with some facts, before a place in the order of time."""
_FIRST_PAGE, _LARGEST_PAGE = 16, 1024


class CallAt(Struct, frozen=True):
    """A call: its time in microseconds since 1970, the number of its facts, and where its records are, as
    (file, offset); `place` orders calls of the same time. `took` is in microseconds, None without an
    outcome."""

    at: int
    facts: int
    place: int
    decision: tuple[Path, int]
    outcome: tuple[Path, int] | None
    took: int | None
    bytes: int


class ChainSpan(Struct, frozen=True):
    """A part of a chain, in bytes; `latest` is when the last of its calls was decided, in microseconds since
    1970."""

    latest: int
    file: Path
    start: int
    size: int


_Stream = tuple[int, int, CallAt, Iterator[CallAt]]
"""What is first in it comes next: the latest, and of those with the same time what stands last."""

_folded = json.Decoder(FoldedRefusals).decode


def index_path(chains: Path) -> Path:
    """Where the index of the chains at `chains` is."""
    name = sha256(str(chains.resolve()).encode()).hexdigest()[:16]
    return state_folder("audit-index") / f"{name}.sqlite"


class AuditIndex:
    """The index of the chains at a path, which is brought up to date when it is opened.

    Where its file cannot be written, it is in memory. Raises AuditError where there are no chains.
    """

    def __init__(self, chains: Path, rebuild: bool = False) -> None:
        self._chains = chains
        self._names: dict[int, Path] = {}
        self._places: dict[Path, int] = {}
        self._last: dict[int, int] = {}
        self._from, self._first = _CALLS, ""
        self.altered: dict[str, None] = {}
        """Names of chains with a line that is not as it was written; who reads lines adds to it."""
        self.removed: dict[str, None] = {}
        """Names of chains that were removed while they were read; who reads lines adds to it."""
        self.copies: dict[str, str] = {}
        """Names of chains that another one begins with, and the name of that one, whose calls count."""
        self.setbacks: dict[int, list[ClockSetback]] = {}
        """By the number of a chain."""
        self.rivals: dict[str, list[str]] = {}
        """A chain -> the names of several that continue it, of which only one can be true."""
        self._files: dict[str, tuple[Path, os.stat_result]] = {}
        self._list()
        self._paths = {name: file for name, (file, _) in self._files.items()}
        self._origins: dict[str, str] = {}
        path = index_path(chains)
        if rebuild:
            remove_index(path)
        try:
            self._database = open_index(path)
            self._catch_up()
        except DAMAGED as problem:
            if isinstance(problem, sqlite3.OperationalError) and "lock" in str(problem):
                raise AuditError(f"another command is reading evidence into {path}: try again") from None
            # It is damaged, or cannot be written.
            remove_index(path)
            try:
                self._database = open_index(path)
            except sqlite3.DatabaseError:
                self._database = open_index(None)
            self._catch_up()
        except OSError:
            self._database = open_index(None)
            self._catch_up()

    def _list(self) -> None:
        for listed in chain_files(self._chains):
            # One may have been compressed, or removed, since it was listed.
            file = listed if os.path.lexists(listed) else packed(listed)
            if file.is_file():
                self._files[chain_name(file)] = file, file.stat()
            elif os.path.lexists(file):
                self.altered[chain_name(file)] = None

    def close(self) -> None:
        self._database.close()

    # --- questions ------------------------------------------------------------------------------

    def facts(self) -> dict[int, CallFacts]:
        """All facts that calls have, by their numbers."""
        rows = self._database.execute("SELECT number, json FROM facts")
        return {number: read_facts(text) for number, text in rows}

    def covered(self) -> list[tuple[int, int]]:
        """The times in which calls were decided, from a moment on and before another one, apart and in
        order."""
        found: list[tuple[int, int]] = []
        for first, latest in self._database.execute("SELECT first, latest FROM passages ORDER BY first"):
            if found and first <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], latest + 1)
            else:
                found.append((first, latest + 1))
        return found

    def keep_to(self, spans: Iterable[tuple[int, int]] | None) -> None:
        """From now on `newest` and `count` know only calls in these times, which are apart; None for all."""
        self._from, self._first = (_CALLS, "") if spans is None else (_CALLS_IN_SPANS, "begin DESC, ")
        for statement in _SPANS:
            self._database.execute(statement)
        self._database.executemany("INSERT INTO temp.spans VALUES(?, ?)", spans or ())

    def newest(
        self, facts: Collection[int], since: int = 0, until: int = 1 << 62, terms: str = ""
    ) -> Iterator[CallAt]:
        """The calls with one of these facts from `since` on and before `until`, the newest first. `terms`
        are conditions on the columns `at`, `took`, `sent` and `received`."""
        ends = sorted(((min(self._last[one], until), one) for one in facts), reverse=True)
        streams: list[_Stream] = []
        number = 0
        while streams or number < len(ends):
            # Facts are looked up when it is their turn: most questions are answered by the latest few.
            while number < len(ends) and (not streams or -streams[0][0] <= ends[number][0]):
                _push(streams, self._page(ends[number][1], since, until, terms))
                number += 1
            if streams:
                *_, call, stream = heapq.heappop(streams)
                yield call
                _push(streams, stream)

    def _page(self, facts: int, since: int, until: int, terms: str) -> Iterator[CallAt]:
        also = f"AND {terms}" if terms else ""
        query = (
            f"SELECT at, place, took, sent + received, outcome {self._from} {also} "
            f"ORDER BY {self._first}at DESC, place DESC LIMIT :most"
        )
        at, place, most = until, 0, _FIRST_PAGE
        while rows := self._asked(query, facts, since, at, place, most):
            for at, place, duration, size, outcome in rows:
                end = None if outcome is None else self._where(outcome)
                yield CallAt(at, facts, place, self._where(place), end, duration, size)
            if len(rows) < most:
                return
            most = min(4 * most, _LARGEST_PAGE)

    def _asked(self, query: str, facts: int, since: int, at: int, place: int, most: int) -> list[Any]:
        values = {"facts": facts, "since": since, "at": at, "place": place, "most": most}
        return self._database.execute(query, values).fetchall()

    def durations(self, facts: int, since: int, until: int) -> Iterable[tuple[int, int | None, int]]:
        """(time, duration, bytes) of the calls with these facts, as in `CallAt`, the oldest first."""
        query = (
            "SELECT at, took, sent + received FROM calls WHERE facts = ? AND at >= ? AND at < ? ORDER BY at"
        )
        return self._database.execute(query, (facts, since, until))

    def folded(self, since: int, until: int) -> list[FoldedRefusals]:
        """The refusals that were only counted, by the time at which that was recorded."""
        query = "SELECT json FROM folded WHERE at >= ? AND at < ? ORDER BY place"
        return [_folded(text) for (text,) in self._database.execute(query, (since, until))]

    def count(self, facts: Iterable[int], since: int, until: int, most: int) -> int:
        """How many calls have one of these facts, counted up to `most`."""
        query = f"SELECT count(*) FROM (SELECT 1 {self._from} LIMIT :most)"  # noqa: S608
        found = 0
        for one in facts:
            found += self._asked(query, one, since, until, 0, most - found)[0][0]
            if found >= most:
                break
        return found

    def spans(self, may_match: Callable[[IndexedPassage], bool], since: int, until: int) -> list[ChainSpan]:
        """Where calls may match, by what is known of them and by their times, the latest first."""
        found = [
            ChainSpan(latest, *self._where(place), end - place)
            for place, end, latest in matching_passages(self._database, may_match, since, until)
        ]
        return sorted(found, key=lambda one: one.latest, reverse=True)

    def call_at(
        self, facts: Collection[int], at: int, where: tuple[Path, int], terms: str = ""
    ) -> CallAt | None:
        """The call with one of these facts that was decided then and there; `terms` as for `newest`."""
        place = self._places[where[0]] | where[1]
        also = f"AND {terms}" if terms else ""
        query = (
            "SELECT took, sent + received, outcome FROM calls "  # noqa: S608
            f"WHERE facts = ? AND at = ? AND place = ? {also}"
        )
        for one in facts:
            for duration, size, outcome in self._database.execute(query, (one, at, place)):
                end = None if outcome is None else self._where(outcome)
                return CallAt(at, one, place, where, end, duration, size)
        return None

    def _where(self, place: int) -> tuple[Path, int]:
        return self._names[place >> FILE_BITS], place & OFFSET

    # --- catching up ----------------------------------------------------------------------------

    def _catch_up(self) -> None:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            rows = IndexRows(database)
            self._last = rows.last
            all_rows = [ChainRow(*row) for row in database.execute("SELECT * FROM chains").fetchall()]
            known = {row.name: row for row in all_rows}
            for name in known.keys() - self._files.keys():
                self._gone(known.pop(name), known, rows)
            self._origins = {name: row.origin for name, row in known.items()}
            reading = ChainReading(rows)
            self._find_copies(known)
            for name in self._files:
                try:
                    self._read(name, known.get(name), reading)
                except Removed:
                    self.removed[name] = None
            reading.store()
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
        # All questions are asked of one state, whatever other commands take in meanwhile.
        database.execute("BEGIN")
        query = "SELECT number, name, CASE copy WHEN 0 THEN before ELSE '' END FROM chains ORDER BY name"
        for number, name, continued in database.execute(query):
            self._names[number] = self._files[name][0] if name in self._files else self._chains / name
            self.rivals.setdefault(continued, []).append(name)
        self.setbacks = setbacks(database)
        self.rivals = {one: names for one, names in self.rivals.items() if one and len(names) > 1}
        self._places = {file: number << FILE_BITS for number, file in self._names.items()}

    def _gone(self, row: ChainRow, known: dict[str, ChainRow], rows: IndexRows) -> None:
        """Its file is not there any more, or has another name."""
        for name in self._files.keys() - known.keys() if row.begin else ():
            if first_hash(self._files[name][0]) == row.begin:
                self._database.execute("UPDATE chains SET name = ? WHERE number = ?", (name, row.number))
                self._database.execute("UPDATE chains SET before = ? WHERE before = ?", (name, row.name))
                known[name] = replace(row, name=name)
                return
        rows.forget(row.number)

    def _find_copies(self, known: Mapping[str, ChainRow]) -> None:
        """Only a chain that is new, or has changed, is read for it, and its end only if two begin alike."""
        rows = {name: row for name, row in known.items() if is_read(*self._files[name], row)}
        begins = {name: row.begin for name, row in rows.items()}
        for name in self._files.keys() - rows.keys():
            begins[name] = first_hash(self._files[name][0])
        often = Counter(begins.values())
        extents: dict[Path, ChainExtent] = {}
        for name, begin in begins.items():
            if begin and often[begin] > 1:
                file = self._files[name][0]
                with suppress(Removed):
                    row = rows.get(name)
                    extents[file] = extent(file) if row is None else ChainExtent(begin, row.read, row.head)
        self.copies = {chain_name(file): chain_name(whole) for file, whole in copies(extents).items()}

    def _read(self, name: str, row: ChainRow | None, reading: ChainReading) -> None:
        file, status = self._files[name]
        copy = name in self.copies
        if row is not None and row.copy == copy and is_read(file, status, row):
            if row.altered:
                self.altered[name] = None
            return
        ended = row is not None and has_ended(file, status, row)
        # What was altered may have been put right.
        fits = intact_until if ended else still_has
        if row is not None and (row.altered or row.copy or copy or not fits(file, row.read, row.head)):
            reading.forget(row.number)
            del self._origins[name]
            row = None
        if row is not None and not row.read:
            self._database.execute("DELETE FROM chains WHERE number = ?", (row.number,))
            self._origins.pop(name, None)
            row = None  # Its first line, which was not there yet, says what it continues.
        if row is None:
            first = self._origins[name] = origin(name, self._paths, self._origins)
            cursor = self._database.execute(
                "INSERT INTO chains VALUES(NULL, ?, 0, x'', 0, 0, '', x'', 0, ?, ?)",
                (name, first, chain_before(name, self._paths)),
            )
            row = ChainRow(int(cursor.lastrowid or 0), name, origin=first)
        if copy:
            whole = extent(file)
            read, head, over, altered = whole.end, whole.head, 1, 0
        else:
            read, head, over, altered = reading.read(row.number, row.origin, file, row.read, row.head)
        if over and row.read and not ended and not altered and not intact_until(file, read, head):
            # What was read while it grew may have been changed since.
            altered = 1
        begin = row.begin or first_hash(file)
        self._database.execute(
            "UPDATE chains SET read = ?, head = ?, over = ?, altered = ?, stamp = ?, begin = ?, copy = ? "
            "WHERE number = ?",
            (read, head, over, altered, stamp_of(status), begin, copy, row.number),
        )
        if altered:
            self.altered[name] = None


def files_with(chains: Path, files: list[Path], texts: list[bytes]) -> list[Path]:
    """Those of the `files`, all chains at `chains`, that may have a call with one of these texts. The index
    is taken as it is, not brought up to date; without one that is all of them."""
    with suppress(sqlite3.DatabaseError, OSError, AuditError), _as_it_is(chains) as database:
        places: dict[int, list[tuple[int, int]]] = {}
        for place, end, _ in matching_passages(database, lambda one: any(map(one.has, texts)), 0, 1 << 62):
            places.setdefault(place >> FILE_BITS, []).append((place & OFFSET, end - place))
        rows = [ChainRow(*row) for row in database.execute("SELECT * FROM chains").fetchall()]
        known = {row.name: row for row in rows if not row.altered}
        return [file for file in files if _may_have(file, known.get(chain_name(file)), places, texts)]
    return files


def is_there(chains: Path) -> bool:
    """Whether there is an index of the chains at `chains` that this version can use."""
    with suppress(sqlite3.DatabaseError, OSError), _as_it_is(chains):
        return True
    return False


@contextmanager
def _as_it_is(chains: Path) -> Iterator[sqlite3.Connection]:
    """An index that is not brought up to date. Raises sqlite3.DatabaseError if it is of another form."""
    with closing(sqlite3.connect(f"{index_path(chains).as_uri()}?mode=ro", uri=True)) as database:
        if database.execute("PRAGMA user_version").fetchone() != (FORM,):
            raise sqlite3.DatabaseError
        yield database


def _may_have(
    file: Path,
    row: ChainRow | None,
    places: Mapping[int, list[tuple[int, int]]],
    texts: list[bytes],
) -> bool:
    """Whether a chain may have a call with one of these texts; `places` are the passages of each that may,
    which are looked into."""
    if row is None or not is_read(file, file.stat(), row):
        return True
    some = places.get(row.number, ())
    if file.suffix == ".gz":
        return bool(some)
    with closing(LineReader()) as reader:
        return any(text in reader.piece(file, *one) for one in some for text in texts)


def _push(streams: list[_Stream], stream: Iterator[CallAt]) -> None:
    call = next(stream, None)
    if call is not None:
        heapq.heappush(streams, (-call.at, -call.place, call, stream))
