"""The proof of a chain. Knows its format (`core/evidence/chain.py`) and nothing of how one is written."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from msgspec import DecodeError, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from mcpguard.core.evidence.chain import GENESIS, SEAL
from mcpguard.core.evidence.records import Anchor

_NOT_DECIDED = "is an outcome without an allowed decision before it"

MAX_FLAWS = 100
"""So many flaws are described in a report; a file that is noise must not fill the memory."""


class Flaw(Struct, frozen=True):
    """Something that no writer does: evidence of tampering or of damage. `line` counts from 1."""

    line: int
    what: str


class ChainReport(Struct, frozen=True):
    """What `verify` found in one chain.

    `records` is the number of whole lines, `head` the hash that the last of them states. `closed` says
    whether the chain was ended in order; where it is False, a bare chain cannot tell whether its end
    was cut off. `torn` says that bytes follow the last LF (a crash in the middle of a write).
    `unfinished` are the ids of allowed decisions without an outcome, in order. `flaws` has the first
    `MAX_FLAWS` flaws.

    `continues` is the chain of the same process before this one, "" for none; `carried` are the ids of
    outcomes here whose decision has to be there.
    """

    records: int
    head: str
    closed: bool
    torn: bool
    unfinished: tuple[str, ...]
    flaws: tuple[Flaw, ...]
    continues: str = ""
    carried: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing was altered as far as the chain can tell."""
        return not self.flaws


class _Line(Struct):
    kind: str
    seq: int
    prev: str
    hash: str
    id: str = ""
    effect: str = ""
    continues: str = ""
    previous: Anchor | None = None
    anchors: tuple[Anchor, ...] = ()


_decode = Decoder(_Line).decode


def _read(raw: bytes) -> _Line | None:
    try:
        return _decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Verifier:
    def __init__(self) -> None:
        self.number = 0
        self.records = 0
        self.seq = 0
        self.head = GENESIS
        self.closed = False
        self.torn = False
        self.open: dict[str, None] = {}
        self.continues = ""
        self.carried: dict[str, None] = {}
        self.flaws: list[Flaw] = []

    def flaw(self, what: str) -> None:
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(self.number, what))

    def feed(self, raw: bytes) -> None:
        if self.torn:
            self.flaw("is not a whole line, although more follows")
        self.number += 1
        self.torn = not raw.endswith(b"\n")
        if self.torn:
            return
        self.records += 1
        line = _read(raw)
        if line is None:
            self.flaw("is not a record: it was altered")
            self.seq += 1
            self.head = raw[-67:-3].decode("ascii", "replace")
            return
        if raw[-SEAL:] != b',"hash":"%b"}\n' % sha256(raw[:-SEAL]).hexdigest().encode():
            self.flaw("was altered: its bytes do not match its hash")
        self._place(line)
        self._meaning(line)
        self.seq = line.seq
        self.head = line.hash

    def _place(self, line: _Line) -> None:
        expected = self.seq + 1
        if line.seq > expected:
            self.flaw(f"follows a gap: records {expected} to {line.seq - 1} are missing")
        elif line.seq < expected:
            self.flaw(f"has record {line.seq} where {expected} belongs: inserted, repeated or moved")
        elif line.prev != self.head:
            self.flaw("does not continue the line before: one of the two was altered or replaced")
        if self.closed:
            self.flaw("follows the record that closed the chain")
        if (line.kind == "opened") != (self.number == 1):
            self.flaw("breaks the rule that an opened record is the first, and the first only")

    def _meaning(self, line: _Line) -> None:
        if line.kind == "closed":
            self.closed = True
        elif line.kind == "decision" and line.effect == "allow":
            self.open[line.id] = None
        elif line.kind == "outcome" and line.id in self.open:
            del self.open[line.id]
        elif line.kind == "outcome" and self.continues and line.id not in self.carried:
            self.carried[line.id] = None
        elif line.kind == "outcome":
            self.flaw(_NOT_DECIDED)
        elif line.kind == "opened":
            self.continues = line.continues


def verify(lines: Iterable[bytes], expected: Iterable[str] = ()) -> ChainReport:
    """Check one chain. Lines come with their LF, as a file opened in binary mode gives them.

    `expected` are hashes that were saved elsewhere; one that the chain does not contain is a flaw (its end
    was cut off, or it was rewritten). Memory: the open decisions, whatever the length of the chain.
    """
    verifier = _Verifier()
    missing = set(expected)
    for line in lines:
        verifier.feed(line)
        missing.discard(verifier.head)
    for head in sorted(missing):
        verifier.flaw(f"ends a chain that no longer holds {head}: its end was cut off or it was rewritten")
    return ChainReport(
        records=verifier.records,
        head=verifier.head,
        closed=verifier.closed and not verifier.torn,
        torn=verifier.torn,
        unfinished=tuple(verifier.open),
        flaws=tuple(verifier.flaws),
        continues=verifier.continues,
        carried=tuple(verifier.carried),
    )


def joined(reports: Mapping[str, ChainReport]) -> dict[str, ChainReport]:
    """The reports of chains, by their names, where each knows those that it continues: an outcome needs its
    decision there, and what has its outcome later is not unfinished. Where such a chain is not among them
    (it was removed on purpose, say), its decisions are not looked for."""
    found = dict(reports)
    for name in reports:
        carried, at = reports[name].carried, reports[name].continues
        left = set(carried)
        passed = {name}
        while left and at in found and at not in passed:
            before = found[at]
            done = left.intersection(before.unfinished)
            found[at] = replace(before, unfinished=tuple(id_ for id_ in before.unfinished if id_ not in done))
            left -= done
            passed.add(at)
            at = before.continues
        if left and not at:
            flaw = Flaw(
                found[name].records, f"ends a chain with outcomes that have no allowed decision: {min(left)}"
            )
            found[name] = replace(found[name], flaws=(*found[name].flaws, flaw))
    return found


def anchors(first_line: bytes) -> tuple[Anchor, ...]:
    """The heads of other chains that `first_line` holds, unchecked."""
    line = _read(first_line)
    if line is None:
        return ()
    return line.anchors if line.previous is None else (line.previous, *line.anchors)
