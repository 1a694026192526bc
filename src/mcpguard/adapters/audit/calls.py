"""Calls as the chains have them: all records of one id, and where each of them stands.

Law of this file: a line is read as it is. Whether it may be believed is what `verification` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from mcpguard.adapters.audit.index import files_with
from mcpguard.adapters.audit.reader import (
    NoChain,
    Removed,
    blocks,
    chain_files,
    chain_name,
    file_name,
    line_at,
)
from mcpguard.core.evidence.records import Decided, Noticed, Opened, Outcome, Record
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
    last one, which is `asked` while it waits. `opened` is the first record of the chain of `decision`."""

    opened: Opened | None = None
    asked: ChainLine | None = None
    decision: ChainLine | None = None
    outcome: ChainLine | None = None
    notices: list[ChainLine] = []


def read_record(line: bytes) -> Record | None:
    """What a line says; None for what this version does not write."""
    try:
        found: Record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, Decided) and line.count(b"{") + line.count(b"[") > MAX_DEPTH:
        return None if deeper_than(found.arguments or {}, MAX_DEPTH) else found
    return found


def calls_by_id(path: Path, ids: Iterable[str]) -> dict[str, CallRecords]:
    """Those of `ids` that the chains at `path` have. Chains that have them by the index as it is are read
    first, else the newest, and no more than it takes. Raises AuditError."""
    wanted = {one: CallRecords() for one in ids}
    files = chain_files(path)
    likely = files_with(path, files, [b'"%b"' % one.encode() for one in wanted])
    for some in (likely, [file for file in files if file not in likely]):
        before = ""
        for file in reversed(some):
            if all(call.decision is not None for call in wanted.values()) and chain_name(file) != before:
                continue
            _read(file, wanted)
            before = next((_continued(one) for one in wanted.values() if _lacks(one)), "")
    _read_ends(files, wanted)
    return {one: call for one, call in wanted.items() if call.decision is not None}


def _read_ends(files: list[Path], wanted: dict[str, CallRecords]) -> None:
    """Find the outcomes in the chains that continue those of the decisions, whatever their names are."""
    after: dict[str, Path] | None = None
    for one, call in wanted.items():
        allowed = call.decision is not None and getattr(call.decision.record, "effect", "") == "allow"
        file = call.decision.file if allowed and call.decision is not None else None
        seen = set[Path]()
        while file is not None and call.outcome is None and file not in seen:
            seen.add(file)
            if after is None:
                firsts = ((_first(chain), chain) for chain in files)
                after = {first.continues: chain for first, chain in firsts if first and first.continues}
            file = after.get(chain_name(file))
            if file is not None:
                _read(file, {one: call})


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


def _continued(call: CallRecords) -> str:
    return "" if call.opened is None else call.opened.continues


def _read(file: Path, wanted: dict[str, CallRecords]) -> None:
    needles = [b'"id":%b' % msgspec.json.encode(one) for one in wanted]
    opened = _first(file)
    for number, line in _holding(file, needles):
        record = read_record(line)
        if isinstance(record, Decided | Outcome | Noticed) and record.id in wanted:
            _take(wanted[record.id], ChainLine(file, number, record), opened)


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


def _take(call: CallRecords, line: ChainLine, opened: Opened | None) -> None:
    record = line.record
    if isinstance(record, Noticed):
        call.notices.append(line)
    elif isinstance(record, Outcome):
        call.outcome = call.outcome or line
    elif isinstance(record, Decided):
        if record.effect == "ask":
            call.asked = line
        # Files are read from the newest to the oldest, lines in their order.
        if call.decision is None or call.decision.file == line.file:
            call.decision, call.opened = line, opened
