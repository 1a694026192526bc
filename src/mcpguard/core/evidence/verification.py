"""The proof of a chain. Knows its format (`core/evidence/chain.py`) and nothing of how one is written.

Law of this file: a line is taken as it is only where its bytes are exactly those that continue the line
before; everything else is read, judged and described. How chains hold each other is `between`.
"""

import re
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import get_args

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from mcpguard.core.evidence.chain import GENESIS, SEAL, SIGNED, decoded
from mcpguard.core.evidence.records import FORMAT, HANDED_ON, PAUSED, Anchor, Record

_CONVERTED = "it ends in CR LF, as after a copy in text mode: copy the file byte for byte"
MAX_FLAWS = 100
"""How many flaws are described in a report; a file that is noise must not fill the memory."""
_NOT_DECIDED = "is an outcome without an allowed decision before it"


class Flaw(Struct, frozen=True):
    """Something that no writer does: evidence of tampering or of damage. `line` counts from 1."""

    line: int
    what: str


class Removal(Struct, frozen=True):
    """What a line says of chains that were removed on purpose: all whose names are not after `until`."""

    line: int
    until: str
    count: int


class ChainReport(Struct, frozen=True):
    """What `verify` found in one chain.

    `records` is the number of whole lines, `head` the hash that the last of them states. `closed` says
    whether the chain was closed properly; where it is False, a bare chain cannot tell whether its end
    was cut off. `torn` says that bytes follow the last LF (a crash in the middle of a write).
    `unfinished` are the ids of allowed decisions without an outcome, in order. `flaws` has the first
    `MAX_FLAWS` flaws.

    `continues` is the chain of the same process before this one, "" for none; `carried` are the ids of
    outcomes here whose decision has to be there. `signed` is the last line that a valid signature covers, 0
    for none. `held` are the heads of other chains, with the lines that hold them; `found` tells where those
    heads of this chain are that were expected. `begin` is the hash of its first line, "" without one.

    `newer` says which mcpguard wrote it where that knows more kinds of records or of fields than this one,
    "" otherwise: what its lines mean cannot be judged here. With `unchecked` not even its hashes can.

    `others` are the keys that it names for its other signatures, which are not valid.

    `pid` is the process that wrote it, as its first record says, 0 without one.

    `handed_on` says whether its last record says that its process went on in another chain. `decided` are the
    calls that it decided, as far as no person is asked: by the first part of their ids the least and the
    greatest number after it (`number_of_call`).

    `gaps` are the first `MAX_FLAWS` sentences of the chain about times in which nothing could be written.
    """

    records: int
    head: str
    closed: bool
    torn: bool
    unfinished: tuple[str, ...]
    flaws: tuple[Flaw, ...]
    continues: str = ""
    carried: tuple[str, ...] = ()
    signed: int = 0
    held: tuple[tuple[Anchor, int], ...] = ()
    found: dict[str, int] = {}
    removals: tuple[Removal, ...] = ()
    begin: str = ""
    newer: str = ""
    unchecked: bool = False
    gaps: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()
    pid: int = 0
    handed_on: bool = False
    decided: dict[bytes, tuple[int, int]] = {}

    @property
    def intact(self) -> bool:
        """Whether nothing was altered as far as the chain can tell."""
        return not self.flaws and not self.unchecked

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not intact, each with its line."""
        found = tuple(f"line {flaw.line} {flaw.what}" for flaw in self.flaws)
        unchecked = (f"it was written by {self.newer}, and this version cannot check it",)
        return (*found, *(unchecked if self.unchecked else ()))


class _Line(Struct):
    kind: str
    seq: int = 0
    prev: str = ""
    hash: str = ""
    id: str = ""
    status: str = ""
    effect: str = ""
    format: int = 1
    version: str = ""
    continues: str = ""
    previous: Anchor | None = None
    anchors: tuple[Anchor, ...] = ()
    heads: tuple[Anchor, ...] = ()
    signature: str = ""
    key: str = ""
    removed_until: str = ""
    removed: int = 0
    pid: int = 0
    reason: str = ""

    def holds(self) -> tuple[Anchor, ...]:
        first = () if self.previous is None else (self.previous,)
        return (*first, *self.anchors, *self.heads)


class _Gap(Struct):
    at: str
    detail: str


class _Counts(Struct):
    count: int
    kinds: dict[str, int] = {}
    first: str = ""
    last: str = ""


class _Counted(Struct):
    folded: _Counts


_read = partial(decoded, Decoder(_Line).decode)
_gap = Decoder(_Gap).decode
_counted = Decoder(_Counted).decode
_CALL = re.compile(
    rb'\{"kind":"(?:decision|outcome)","at":"[^"]*","id":"((?:([^"\\]*)-([0-9]{1,18})|[^"\\]*))",'
)
"""A call, and what its id begins with and its number."""
_KINDS = frozenset(one.__struct_config__.tag for one in get_args(Record))
_EFFECT, _ALLOW, _ASK = b',"effect":"', b',"effect":"allow"', b',"effect":"ask"'
_PAUSED = b'"status":"%b"' % PAUSED.encode()
_PLAIN = b'{"kind":"notice"'
_GAP = b'"what":"evidence-gap"'
_FOLDED = re.compile(rb'"what":"(?:refusals|lists)-folded"')
_SIGNED_END = re.compile(
    rb',"signature":"((?:[0-9a-f]{2})*)","seq":[0-9]+,"prev":"([0-9a-f]{64})","hash":"[0-9a-f]{64}"\}\n\Z'
)
"""What follows what is signed, and nothing else may: a member behind the signature would be nobody's."""

Signature = Callable[[bytes, bytes], bool]
"""Whether a signature (the second) of a message (the first) is by the key in question."""


class _Verifier:
    def __init__(self, file: str, by: Signature | None, expected: Iterable[str]) -> None:
        self.number = 0
        self.records = 0
        self.seq = 0
        self.head = GENESIS.encode()
        self.begin = b""
        self.closed = False
        self.torn = False
        self.open: dict[bytes, None] = {}
        self.handed_on = False
        self.decided: dict[bytes, list[int]] = {}
        self.continues = ""
        self.carried: dict[bytes, None] = {}
        self.flaws: list[Flaw] = []
        self.signed = 0
        self.held: list[tuple[Anchor, int]] = []
        self.found: dict[str, int] = {}
        self.removals: list[Removal] = []
        self.newer = ""
        self.unknown = ""
        self.unchecked = False
        self.gaps: list[str] = []
        self.others: set[str] = set()
        self.pid = 0
        self._file = file.encode()
        self._by = by
        self._expected = frozenset(head.encode(errors="replace") for head in expected)

    def flaw(self, what: str) -> None:
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(self.number, what))

    def feed(self, lines: Iterable[bytes]) -> None:
        """Check lines. Most are what must follow, byte for byte, which costs no reading."""
        expected = self._expected
        for raw in lines:
            digest = sha256(raw[:-SEAL]).hexdigest().encode()
            end = b',"seq":%d,"prev":"%b","hash":"%b"}\n' % (self.seq + 1, self.head, digest)
            if raw.endswith(end) and not (self.torn or self.closed):
                self.number += 1
                self.records += 1
                self._meaning(raw)
                self.seq += 1
                self.head = digest
            else:
                self._odd(raw, digest)
            if not self.begin:
                self.begin = self.head
            if self.head in expected:
                self.found.setdefault(self.head.decode(), self.records)

    def _odd(self, raw: bytes, digest: bytes) -> None:
        """Describe a line that is not what must follow."""
        if self.torn:
            self.flaw("is not a whole line, although more follows")
        self.number += 1
        self.torn = not raw.endswith(b"\n")
        if self.torn:
            if self.closed:
                self.flaw("follows the record that closed the chain")
            return
        self.records += 1
        line = _read(raw)
        if line is None:
            self.flaw("is not a record: it was altered")
            self.seq += 1
            self.head = raw[-67:-3]
            return
        if raw[-SEAL:] != b',"hash":"%b"}\n' % digest:
            if self.number == 1 and line.kind == "opened" and line.format > FORMAT:
                self.unchecked = True
            why = _CONVERTED if raw.endswith(b"}\r\n") else "its bytes do not match its hash"
            self.flaw(f"was altered: {why}")
        self._place(line)
        self._meaning(raw)
        self.seq = line.seq
        self.head = line.hash.encode(errors="replace")

    def _place(self, line: _Line) -> None:
        expected = self.seq + 1
        if line.seq > expected:
            self.flaw(f"follows a gap: records {expected} to {line.seq - 1} are missing")
        elif line.seq < expected:
            self.flaw(f"has record {line.seq} where {expected} belongs: inserted, repeated or moved")
        elif line.prev.encode(errors="replace") != self.head:
            self.flaw("does not continue the line before: one of the two was altered or replaced")
        if self.closed:
            self.flaw("follows the record that closed the chain")

    def _meaning(self, raw: bytes) -> None:
        if (call := _CALL.match(raw)) is not None:
            is_first = False
            if raw.startswith(b'{"kind":"outcome"'):
                self._finished(call[1], raw.startswith(_PAUSED, call.end()))
            else:
                at = raw.find(_EFFECT)
                if raw.startswith(_ALLOW, at):
                    self.open[call[1]] = None
                if not raw.startswith(_ASK, at):
                    first, number = call.group(2, 3)
                    self._decided(call[1], 0) if first is None else self._decided(first, int(number))
        elif raw.startswith(_PLAIN):
            is_first = False
            if _GAP in raw and len(self.gaps) < MAX_FLAWS:
                self._noticed_gap(raw)
            elif _FOLDED.search(raw):
                self._folded(raw)
        else:
            is_first = self._rare(raw)
        if is_first != (self.number == 1):
            self.flaw("breaks the rule that an opened record is the first, and the first only")

    def _noticed_gap(self, raw: bytes) -> None:
        with suppress(DecodeError, UnicodeDecodeError):
            gap = _gap(raw)
            self.gaps.append(gap.detail.replace("to this record", f"to {gap.at[:19]}Z", 1))

    def _folded(self, raw: bytes) -> None:
        """What was only counted must come to its number: the first and the last, and each of a kind."""
        record = decoded(_counted, raw)
        if record is None:
            self.flaw("is not a record: it was altered")
            return
        found = record.folded
        kinds = sum(found.kinds.values()) if found.kinds else found.count
        least = 1 if found.first == found.last else 2
        if found.count < least or kinds != found.count or min(found.kinds.values(), default=1) < 1:
            self.flaw(f"counts {found.count} requests, which does not match its other numbers")

    def _rare(self, raw: bytes) -> bool:
        """A record that is read whole; whether it is an opened one."""
        line = _read(raw)
        if line is None:
            self.flaw("is not a record: it was altered")
            return False
        self.held += [(anchor, self.number) for anchor in line.holds()]
        if line.kind == "closed":
            self.closed, self.handed_on = True, line.reason in HANDED_ON
        elif line.kind == "opened":
            self.continues, self.pid = line.continues, line.pid
            if line.format > FORMAT:
                self.newer = f"a newer mcpguard ({line.version}, format {line.format})"
        elif line.kind not in _KINDS:
            self.unknown = (
                self.unknown or f"a newer mcpguard (line {self.number} is a record of the kind {line.kind})"
            )
        elif line.kind == "checkpoint":
            self._checkpoint(raw, line)
        elif line.kind == "outcome":
            self._finished(line.id.encode(), line.status == PAUSED)
        elif line.kind == "decision" and line.effect != "ask":
            if line.effect == "allow":
                self.open[line.id.encode()] = None
            self._decided(*number_of_call(line.id.encode()))
        return line.kind == "opened"

    def _decided(self, first: bytes, number: int) -> None:
        span = self.decided.get(first)
        if span is None:
            self.decided[first] = [number, number]
        elif number > span[1]:
            span[1] = number
        elif number < span[0]:
            span[0] = number

    def _finished(self, call: bytes, is_paused: bool) -> None:
        """A call has an outcome, and another one afterwards if it `is_paused`."""
        if call in self.open:
            if not is_paused:
                del self.open[call]
        elif self.continues and call not in self.carried:
            self.carried[call] = None
            if is_paused:
                self.open[call] = None
        else:
            self.flaw(_NOT_DECIDED)

    def _checkpoint(self, raw: bytes, line: _Line) -> None:
        if line.removed_until and self._file and line.removed_until.encode(errors="replace") >= self._file:
            self.flaw("says that chains were removed that are not older than its own")
        elif line.removed_until:
            self.removals.append(Removal(self.number, line.removed_until, line.removed))
        if self._by is None or not line.signature:
            return
        end = _SIGNED_END.search(raw)
        if end is not None and self._by(
            SIGNED % (self._file, end[2], raw[: end.start()]), bytes.fromhex(end[1].decode())
        ):
            self.signed = self.number
        else:
            self.others.add(line.key)
            self.flaw("has a signature that is not by this key for this place in this file")


def verify(
    lines: Iterable[bytes], expected: Iterable[str] = (), file: str = "", by: Signature | None = None
) -> ChainReport:
    """Check one chain. Lines come with their LF, as a file opened in binary mode gives them.

    `expected` are hashes that were saved elsewhere; one that the chain does not contain is a flaw (its end
    was cut off, or it was rewritten). `by` checks signatures, which are about the name `file`. Memory: the
    open decisions and the heads of other chains, whatever the length of the chain.
    """
    expected = set(expected)
    verifier = _Verifier(file, by, expected)
    verifier.feed(lines)
    if verifier.unchecked:
        # Its chain may be another one; a head that was kept elsewhere is in it all the same.
        verifier.flaws.clear()
    for head in sorted(expected - verifier.found.keys()):
        verifier.flaw(f"ends a chain that no longer holds {head}: its end was cut off or it was rewritten")
    return ChainReport(
        records=verifier.records,
        head=verifier.head.decode(errors="replace"),
        closed=verifier.closed and not verifier.torn,
        torn=verifier.torn,
        unfinished=_texts(verifier.open),
        flaws=tuple(verifier.flaws),
        continues=verifier.continues,
        carried=_texts(verifier.carried),
        signed=verifier.signed,
        held=tuple(verifier.held),
        found=verifier.found,
        removals=tuple(verifier.removals),
        begin=verifier.begin.decode(errors="replace") if verifier.records else "",
        # Where a line was altered, an unknown kind is more likely part of that.
        newer=verifier.newer or ("" if verifier.flaws else verifier.unknown),
        unchecked=verifier.unchecked,
        gaps=tuple(verifier.gaps),
        others=frozenset(verifier.others),
        pid=verifier.pid,
        handed_on=verifier.handed_on,
        decided={first: (least, greatest) for first, (least, greatest) in verifier.decided.items()},
    )


def number_of_call(call: bytes) -> tuple[bytes, int]:
    """What the ids of calls of one connection begin with, and the number of the call."""
    first, _, number = call.rpartition(b"-")
    return (first, int(number)) if number.isdigit() and len(number) < 19 else (call, 0)


def decisions(line: bytes, some: Container[bytes]) -> str:
    """The id of the call that this line decides, whose first part is one of `some`; "" for other lines."""
    read = _read(line) if line.startswith(b'{"kind":"decision"') else None
    known = read is not None and read.effect != "ask" and number_of_call(read.id.encode())[0] in some
    return read.id if known and read is not None else ""


def _texts(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(name.decode(errors="replace") for name in names)


def anchors(line: bytes) -> tuple[Anchor, ...]:
    """The heads of other chains that a line holds, unchecked."""
    read = _read(line)
    return read.holds() if read is not None else ()


def continued(line: bytes) -> str:
    """The chain that a first line says its own continues, unchecked; "" for none."""
    read = _read(line)
    return "" if read is None else read.continues


def closing(line: bytes) -> str:
    """The reason for which a last line closes its chain, unchecked; "" for another line."""
    read = _read(line)
    return read.reason if read is not None and read.kind == "closed" else ""
