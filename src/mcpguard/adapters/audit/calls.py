"""Calls as the chains have them: all records of one id, and where each of them stands.

Law of this file: a line is read as it is. Whether it may be believed is what `verification` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from mcpguard.adapters.audit.index import files_with
from mcpguard.adapters.audit.reader import (
    NoChain,
    Removed,
    blocks,
    chain_before,
    chain_files,
    chain_name,
    file_name,
    first_line,
    handed_on,
    line_at,
    origin,
)
from mcpguard.core.evidence.chain import decoded
from mcpguard.core.evidence.records import PAUSED, Decided, Noticed, Opened, Outcome, Record
from mcpguard.core.evidence.verification import continued
from mcpguard.protocol.jsonrpc import MAX_DEPTH, deeper_than

_decode = msgspec.json.Decoder(Record).decode
_BLOCK = 1 << 20


class ChainLine(Struct, frozen=True):
    """A record and where it stands; `number` counts from 1."""

    file: Path
    number: int
    record: Record


class CallRecords(Struct):
    """What is on record of one call. `asked` is the decision that it waits for a person; `decision` is the
    last one, which is `asked` while it waits. `opened` is the first record of the chain of `decision`.
    `also` are the chains with another decision under the same id, which no writer leaves; `rivals` have the
    chain of the outcome and others that continue the same one."""

    opened: Opened | None = None
    asked: ChainLine | None = None
    decision: ChainLine | None = None
    outcome: ChainLine | None = None
    notices: list[ChainLine] = []
    also: list[Path] = []
    rivals: list[str] = []

    def several(self, call_id: str) -> str:
        """That several calls are on record under this id, "" if there is only one."""
        if self.decision is None or not self.also:
            return ""
        names = " and in ".join(file_name(file) for file in (self.decision.file, *self.also))
        return (
            f"{call_id} is on record in {names}, with different decisions: mcpguard never writes that, "
            f"so one of them was planted. `mcpguard audit show {call_id} FILE` shows each, and "
            "`mcpguard audit verify --public-key KEY` says which is signed"
        )


def read_record(line: bytes) -> Record | None:
    """What a line says; None for what this version does not write."""
    found: Record | None = decoded(_decode, line)
    if isinstance(found, Decided) and line.count(b"{") + line.count(b"[") > MAX_DEPTH:
        return None if deeper_than(found.arguments or {}, MAX_DEPTH) else found
    return found


def calls_by_id(path: Path, ids: Iterable[str]) -> dict[str, CallRecords]:
    """Those of `ids` that the chains at `path` have. All chains are read that may have a decision about them
    by the index as it is, and others only for what is missing then. Raises AuditError."""
    files = chain_files(path)
    search = _FoundById(files, ids)
    likely = files_with(path, files, [b'"%b"' % one.encode() for one in search.wanted])
    for file in reversed(likely):
        search.read(file)
    before = search.lacking()
    for file in reversed([file for file in files if file not in likely]):
        if search.all_decided and chain_name(file) != before:
            continue
        search.read(file)
        before = search.lacking()
    found = {one: search.call(one) for one in search.wanted}
    _read_ends(files, found)
    return {one: call for one, call in found.items() if call.decision is not None}


class _FoundById:
    """What is on record under some ids. Chains of different processes have different calls, whatever their
    ids are: whoever can write the folder could plant one."""

    def __init__(self, files: list[Path], ids: Iterable[str]) -> None:
        self.wanted: dict[str, dict[str, CallRecords]] = {one: {} for one in ids}
        """The id of a call -> the first chain of a process -> what its chains have."""
        self._notices: dict[str, list[ChainLine]] = {one: [] for one in self.wanted}
        self._paths = {chain_name(file): file for file in files}
        self._origins: dict[str, str] = {}

    @property
    def all_decided(self) -> bool:
        """Whether there is a decision about each."""
        return all(any(call.decision for call in calls.values()) for calls in self.wanted.values())

    def lacking(self) -> str:
        """The chain in which a person was asked whose question was not found; "" for none."""
        calls = (call for calls in self.wanted.values() for call in calls.values())
        return next((call.opened.continues if call.opened else "" for call in calls if _lacks(call)), "")

    def read(self, file: Path) -> None:
        """Take what a chain has; from the newest to the oldest."""
        for line in _lines_about(file, self.wanted):
            if isinstance(line.record, Noticed):
                self._notices[line.record.id].append(line)
            elif isinstance(line.record, Decided | Outcome):
                calls = self.wanted[line.record.id]
                _take(calls.setdefault(self._origin(chain_name(file)), CallRecords()), line)

    def _origin(self, name: str) -> str:
        found = self._origins[name] = origin(name, self._paths, self._origins)
        return found

    def call(self, call_id: str) -> CallRecords:
        """What was found under this id: the first that was decided, and where there are others."""
        calls = [call for call in self.wanted[call_id].values() if call.decision is not None]
        first, *others = sorted(calls, key=_when) or [CallRecords()]
        first.notices = self._notices[call_id]
        for other in others:
            # A copy of a chain has the same line in the same place.
            if other.decision is not None and not _same(other.decision, first.decision):
                first.also.append(other.decision.file)
        return first


def _when(call: CallRecords) -> tuple[datetime, str]:
    assert call.decision is not None  # noqa: S101 - only those are sorted
    return call.decision.record.at, call.decision.file.name


def _same(one: ChainLine, other: ChainLine | None) -> bool:
    return other is not None and (one.number, one.record) == (other.number, other.record)


def _read_ends(files: list[Path], found: dict[str, CallRecords]) -> None:
    """Find the outcomes in the chains that continue those of the decisions, whatever their names are."""
    after: dict[str, list[Path]] | None = None
    for one, call in found.items():
        allowed = call.decision is not None and getattr(call.decision.record, "effect", "") == "allow"
        file = call.decision.file if allowed and call.decision is not None else None
        end = None if call.outcome is None else call.outcome.file
        seen = {None, end}
        while file is not None and file not in seen and handed_on(file):
            seen.add(file)
            after = _following(files) if after is None else after
            following = after.get(chain_name(file), [])
            call.rivals += [file_name(other) for other in following] if following[1:] else []
            file = end if end in following else next(iter(following), None)
            for line in () if file is None or end else _lines_about(file, [one]):
                if isinstance(line.record, Outcome):
                    _take(call, line)
                    end = file
                    seen.add(file)


def _following(files: list[Path]) -> dict[str, list[Path]]:
    """The name of a chain -> those that say that they continue it. What has the same first line is a copy."""
    paths = {chain_name(file): file for file in files}
    found: dict[str, dict[bytes, Path]] = {}
    for name, file in paths.items():
        first = first_line(file)
        said = continued(first)
        said = said if said in paths else chain_before(name, paths) if said else ""
        found.setdefault(said, {}).setdefault(first, file)
    return {name: list(some.values()) for name, some in found.items() if name}


def counted_in(path: Path, call_id: str) -> str:
    """Where a call may be counted that has no record of its own, as a sentence after its id: it lies between
    the first and the last of requests that were counted together. "" without any. Raises AuditError."""
    for file in reversed(chain_files(path)):
        for number, line in _holding(file, [b'"what":"refusals-folded"', b'"what":"lists-folded"']):
            record = read_record(line)
            if isinstance(record, Noticed) and record.folded is not None:
                first, last = _place(record.folded.first), _place(record.folded.last)
                if first <= _place(call_id) <= last and first[0] == last[0]:
                    return (
                        "has no record of its own. It may be among the requests that are only counted "
                        f"in line {number} of {file_name(file)} ({record.detail}), by its number"
                    )
    return ""


def _place(call_id: str) -> tuple[str, int]:
    """The connection of a call, and its number there; "" for what is not an id."""
    name, _, number = call_id.rpartition("-")
    return (name, int(number)) if number.isdecimal() else ("", 0)


def _lacks(call: CallRecords) -> bool:
    """Whether a person was asked in a chain before."""
    decision = None if call.decision is None else call.decision.record
    return isinstance(decision, Decided) and bool(decision.ticket) and call.asked is None


def _lines_about(file: Path, ids: Collection[str]) -> Iterator[ChainLine]:
    needles = [b'"id":%b' % msgspec.json.encode(one) for one in ids]
    for number, line in _holding(file, needles):
        record = read_record(line)
        if isinstance(record, Decided | Outcome | Noticed) and record.id in ids:
            yield ChainLine(file, number, record)


def _first(file: Path) -> Opened | None:
    with suppress(NoChain, Removed):
        first = read_record(line_at(file, 0))
        return first if isinstance(first, Opened) else None
    return None


def _holding(file: Path, needles: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that have one of `needles` in them, with their numbers. Most blocks have none, and are not
    taken apart."""
    number = 1
    with suppress(NoChain, Removed):  # What is found is verified, which says so.
        for block in blocks(file, _BLOCK):
            if any(needle in block for needle in needles):
                for offset, line in enumerate(block.split(b"\n")):
                    if any(needle in line for needle in needles):
                        yield number + offset, line
            number += block.count(b"\n")


def _take(call: CallRecords, line: ChainLine) -> None:
    """Into those of its process. Files are read from the newest to the oldest, lines in their order."""
    record = line.record
    if isinstance(record, Outcome):
        before = None if call.outcome is None else call.outcome.record
        if before is None or (isinstance(before, Outcome) and before.status == PAUSED):
            call.outcome = line
    elif isinstance(record, Decided):
        if record.effect == "ask":
            call.asked = line
        if call.decision is None or call.decision.file == line.file:
            call.decision, call.opened = line, _first(line.file)
        elif record.effect != "ask":
            call.also.append(line.file)  # Nothing decides again what was decided.
