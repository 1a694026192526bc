"""The newest evidence of all processes, kept in order while they write it, and what it says of questions to a
person and of answers.

Law of this file: it only reads, and what it holds is bounded. A record that cannot be read is counted, so
that the page can say so; it is never taken for one that is not there. A sentence that is not in our form is
shown as it stands.
"""

import os
import re
from bisect import bisect_right, insort
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from pathlib import Path

from msgspec import Struct, structs

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import MOST_ODD, origin, unpacked
from mcpguard.adapters.system.files import without_waiting
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import MAX_LINE, SUFFIXES
from mcpguard.core.evidence.changes import ANSWER_VOID, VOID, why_void
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Outcome, Record
from mcpguard.core.model import Cause
from mcpguard.protocol.catalogue import KINDS

MOST_CALLS = 5_000
"""Calls, and as many notices, that are known."""
FIRST_BYTES = 4 << 20
"""What is read of a file that is there at the start, from its end."""
ALL_FIRST_BYTES = 32 << 20
"""And of all of them."""
MOST_AT_ONCE = 8 << 20
"""What is read of a file in one turn."""

_when = attrgetter("at")
_LISTS = frozenset(kind.method for kind in KINDS.values())
_SEAL = re.compile(rb'"seq":(\d{1,15}),"prev":"[0-9a-f]{64}","hash":"([0-9a-f]{64})"\}$')


class Place(Struct, frozen=True):
    """Where a record stands: the name of its file, its number in it, and its hash."""

    file: str
    number: int
    hash: str


class SeenCall(Struct):
    """A decision and its outcome. `at` puts it in order."""

    decision: Decided
    place: Place
    outcome: Outcome | None = None
    outcome_place: Place | None = None
    version: int = 0
    """Another where something was added, so that a page knows that it shows less."""
    unanswered: bool = False
    """Whether it was refused since nobody answered the question about it."""

    @property
    def at(self) -> datetime:
        return self.decision.at

    @property
    def lists(self) -> bool:
        """Whether it only lists what a server offers, as each client does again and again."""
        return self.decision.method in _LISTS and self.decision.effect == "allow"


class SeenNotice(Struct, frozen=True):
    """A notice of a process or a person."""

    notice: Noticed
    place: Place

    @property
    def at(self) -> datetime:
        return self.notice.at


class _File(Struct):
    """A chain that is read: up to `offset`, the last line as far as it is there in `rest`."""

    offset: int = 0
    rest: bytes = b""
    over: bool = False
    reads: bool = True


class Evidence:
    """The evidence in a folder, or as much of it as is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[SeenCall] = []
        """In the order of time."""
        self.notices: list[SeenNotice] = []
        self.unreadable = 0
        self.revision = 0
        """Another whenever something was read."""
        self.partly = False
        """Whether there is more than is kept."""
        self._known: dict[tuple[str, str], SeenCall] = {}
        """The first chain of a process and an id -> the call: a planted chain ends no call of another."""
        self._origins: dict[str, str] = {}
        self._files: dict[str, _File] = {}

    def called(self, call_id: str) -> list[SeenCall]:
        """The calls of that id that are kept, in the order of time; more than one only where a chain was
        planted or copied."""
        return sorted((one for (_, id_), one in self._known.items() if id_ == call_id), key=_when)

    def poll(self) -> bool:
        """Read what is new; whether there was something."""
        try:
            found_here = [name for name in os.listdir(self.folder) if name.endswith(SUFFIXES)]
        except OSError:
            found_here = []
        # Compressed it is the same chain.
        names = sorted({name.removesuffix(".gz") for name in found_here if name.isprintable()})
        new = [name for name in names if name not in self._files]
        if new:
            self._begin(new)
        found = False
        for name in sorted(name for name, file in self._files.items() if not file.over):
            found = self._read(name) or found
        if found:
            self._know_answers()
        self.revision += found
        return found

    def _know_answers(self) -> None:
        """Mark the calls that were refused before there was an answer. A question comes before its answer, so
        where it is kept an answer would be, too."""
        asked: set[str] = set()
        answers: dict[str, datetime] = {}
        for seen in self.notices:
            if seen.notice.what == "approval-asked":
                asked.add(_ticket_of(seen.notice))
            elif seen.notice.what in ANSWERS:
                answers.setdefault(_ticket_of(seen.notice), seen.at)
        for call in self.calls:
            one = call.decision
            if one.effect == "deny" and one.cause == Cause.APPROVAL.value and one.ticket in asked:
                unanswered = one.ticket not in answers or answers[one.ticket] > one.at
                call.version += unanswered != call.unanswered
                call.unanswered = unanswered

    # --- files -----------------------------------------------------------------------------------

    def _begin(self, names: list[str]) -> None:
        """Take up files: the newest first, each from its end, until that is enough."""
        left = ALL_FIRST_BYTES
        for name in reversed(names):
            size = 0
            with suppress(OSError):
                size = _unpacked_size(self._path(name))
            skipped = max(0, size - min(FIRST_BYTES, left))
            left -= size - skipped
            self._files[name] = _File(offset=skipped, rest=b"\0" if skipped else b"", over=left <= 0)
            self.partly = self.partly or skipped > 0 or left <= 0

    def _read(self, name: str) -> bool:
        file, path = self._files[name], self._path(name)
        try:
            with unpacked(path) as opened:
                opened.seek(file.offset)
                data = opened.read(MOST_AT_ONCE)
        except AuditError:
            # Removed on purpose, such as after its time; `audit verify` says if not.
            file.over = not path.exists()
            self.unreadable += file.reads and not file.over
            file.reads = False
            return False
        file.over = path.suffix == ".gz" and len(data) < MOST_AT_ONCE
        file.offset += len(data)
        *lines, file.rest = (file.rest + data).split(b"\n")
        if len(file.rest) > MAX_LINE:
            self.unreadable += 1
            file.rest, file.over = b"", True
        most = self.unreadable + MOST_ODD
        for line in lines:
            self._take(name, file, line)
            if self.unreadable > most:
                file.over = True
                break
        return bool(lines)

    def _path(self, name: str) -> Path:
        path = self.folder / name
        return path if path.exists() else path.with_name(f"{name}.gz")

    # --- records ---------------------------------------------------------------------------------

    def _take(self, name: str, file: _File, line: bytes) -> None:
        if line.startswith(b"\0"):  # The end of a line whose beginning was left out.
            return
        record, place = parsed(name, line)
        if record is None or place is None:
            self.unreadable += 1
        elif isinstance(record, Decided):
            self._add(SeenCall(record, place))
        elif isinstance(record, Outcome):
            call = self._known.get((self._origin(name), record.id))
            if call is not None:
                call.outcome, call.outcome_place, call.version = record, place, call.version + 1
        elif isinstance(record, Noticed):
            insort(self.notices, SeenNotice(record, place), key=_when)
            del self.notices[:-MOST_CALLS]
        elif isinstance(record, Closed):
            file.over = True

    def _origin(self, name: str) -> str:
        if name not in self._origins:
            files = {one: self._path(one) for one in self._files}
            with suppress(AuditError):
                self._origins[name] = origin(name, files, self._origins)
        return self._origins.get(name, name)

    def _add(self, call: SeenCall) -> None:
        key = self._origin(call.place.file), call.decision.id
        asked = self._known.get(key)
        if asked is not None and asked.decision.effect == "ask":
            # It waited for a person, and this is how that ended.
            self.calls.remove(asked)
            call.version = asked.version + 1
        insort(self.calls, call, key=_when)
        self._known[key] = call
        if len(self.calls) > MOST_CALLS:
            gone = self.calls.pop(0)
            self.partly = True
            key = self._origin(gone.place.file), gone.decision.id
            if self._known.get(key) is gone:
                del self._known[key]

    @property
    def since(self) -> datetime | None:
        """The time of the first call that is kept where there are earlier ones; None where all are kept."""
        return self.calls[0].at if self.partly and self.calls else None

    # --- questions -------------------------------------------------------------------------------

    def before(self, at: datetime, principal: str, agent: str | None, most: int) -> list[SeenCall]:
        """The last calls of a principal with an agent before that time, the newest first."""
        found: list[SeenCall] = []
        for call in reversed(self.calls[: bisect_right(self.calls, at, key=_when)]):
            one = call.decision
            of_them = (one.principal, one.agent) == (principal, agent) and not call.lists
            if of_them and one.server and call.at < at:
                found.append(call)
                if len(found) == most:
                    break
        return found

    def newest(self) -> Iterator[SeenCall]:
        """All that are kept, the newest first."""
        return reversed(self.calls)


def parsed(name: str, line: bytes) -> tuple[Record | None, Place | None]:
    """What a line of the file `name` says, and where it stands; (None, None) for what no writer writes."""
    seal = _SEAL.search(line)
    record = read_record(line) if seal else None
    if seal is None or record is None:
        return None, None
    return record, Place(name, int(seal[1]), seal[2].decode())


EFFECTS = {
    "approval-asked": "asked",
    "approval-given": "approved",
    "approval-refused": "denied",
    ANSWER_VOID: "withheld",
    "approval-ended": "withheld",
    "refusal-ended": "withheld",
    VOID: "withheld",
}
"""By what a notice says, the effect whose sign stands with it."""

ANSWERS = frozenset({"approval-given", "approval-refused"})

_ASKED = re.compile(r"ticket ([0-9a-f]{1,64}) for the call (\S+) of ")
_ARGUMENTS = ", sha256 of the arguments "
_GIVEN = re.compile(r"ticket ([0-9a-f]{1,64}) of ")
_PROOF = "; the assertion of the passkey: "
_VOID = re.compile(r"ticket ([0-9a-f]{1,64}) by (.+)")
_TICKET = re.compile(r"ticket ([0-9a-f]{1,64})\b")


MOST_VOIDED = 16
"""Of the answers to a ticket, one of so many may be the one that does not count."""


class AnswerStep(Struct, frozen=True):
    """A question or an answer. `ticket` and `call` are ids, "" where they are not known; `who` answered,
    `target` was asked about; `detail` is the sentence where it says more; `void` is why it does not count."""

    what: str
    effect: str
    at: datetime
    place: Place
    ticket: str = ""
    call: str = ""
    server: str = ""
    target: str = ""
    who: str = ""
    detail: str = ""
    void: str = ""


def answer_steps(notices: list[SeenNotice]) -> list[AnswerStep]:
    """Those that are about a ticket, in the same order; an answer has the call and the target of its
    question. A notice that one of them does not count adds no step, but the reason to that answer."""
    steps: list[AnswerStep] = []
    said: dict[str, list[tuple[int, Noticed]]] = {}
    asked: dict[str, AnswerStep] = {}
    for seen in notices:
        if seen.notice.what not in EFFECTS:
            continue
        step = _step(seen)
        if not step.ticket and step.what == VOID:  # Of a session.
            continue
        of_ticket = said.setdefault(step.ticket, [])
        if step.what in (VOID, ANSWER_VOID) and (found := _voided(seen.notice, of_ticket)):
            number, why = found
            steps[number] = structs.replace(steps[number], void=why)
            continue
        if step.what == "approval-asked":
            asked[step.ticket] = step
        elif step.ticket in asked:
            of = asked[step.ticket]
            step = structs.replace(step, call=of.call, server=of.server, target=of.target)
        of_ticket.append((len(steps), seen.notice))
        steps.append(step)
    return steps


def _voided(void: Noticed, of_ticket: list[tuple[int, Noticed]]) -> tuple[int, str] | None:
    """Which of the last answers to a ticket does not count, and why."""
    why = ((number, why_void(one, void)) for number, one in reversed(of_ticket[-MOST_VOIDED:]))
    return next((one for one in why if one[1]), None)


def _step(seen: SeenNotice) -> AnswerStep:
    notice = seen.notice
    about = (notice.what, EFFECTS[notice.what], seen.at, seen.place)
    found = _read(notice.what, notice.detail)
    if found is not None:
        ticket, call, target, who = found
        return AnswerStep(*about, ticket, call, notice.server if call else "", target, who)
    return AnswerStep(*about, _ticket_of(notice), detail=notice.detail)


def _ticket_of(notice: Noticed) -> str:
    number = _TICKET.match(notice.detail)
    return number[1] if number else notice.ticket


def _read(what: str, detail: str) -> tuple[str, str, str, str] | None:
    """The ticket, the call, what it is for, and who answered, "" for what the sentence does not say; None
    where it is not one of ours. It may be long and made to be hard to read, so it is cut, not searched."""
    if what == "approval-asked":
        head = _ASKED.match(detail)
        said, mark, _ = detail.rpartition(_ARGUMENTS)
        if head is None or not mark:
            return None
        method, _, target = said[head.end() :].partition(": ")[2].partition(" ")
        return (head[1], head[2], target, "") if method and target else None
    if what == ANSWER_VOID:
        void = _VOID.fullmatch(detail)
        return (void[1], "", "", void[2]) if void is not None else None
    head = _GIVEN.match(detail)
    said, proof, _ = detail.partition(_PROOF)
    who = "" if head is None else said[head.end() :].partition(" by ")[2]
    return (head[1], "", "", f"{who} with a passkey" if proof else who) if head and who else None


def _unpacked_size(path: Path) -> int:
    """The bytes of a chain; of a compressed one those that it says it had, modulo 4 GiB. Raises OSError."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with open(path, "rb", opener=without_waiting) as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")
