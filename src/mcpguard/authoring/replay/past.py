"""Decisions on record, as far as rules made them.

    chain files -> lines -> PastDecision

Law of this file: of a chain that was altered, or that a newer version wrote, nothing is replayed, and all of
its decisions are counted, whatever time they state. Where a person was asked, the decision is the one that
asked; its outcome is not another decision. Each chain is verified, whatever is asked for; only of sound
ones lines are skipped by their time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from msgspec import Struct, json, structs

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import chain_files, chain_name, examined, lines, sound_lines
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.bounds import folded_about
from mcpguard.core.evidence.chain import decoded
from mcpguard.core.evidence.changes import VOID, made
from mcpguard.core.evidence.records import UNDECIDED, Decided, Noticed, Opened, Outcome
from mcpguard.core.model import Cause
from mcpguard.core.policy.terms import Effect

_read = partial(decoded, json.Decoder(Decided).decode)
_DECISION = b'{"kind":"decision"'
_OUTCOME = b'{"kind":"outcome"'
_AT = b',"at":"'
_NOTICE = b'{"kind":"notice"'
_CHANGES = {b'"what":"session-ended"', b'"what":"limit-cleared"', b'"what":"%b"' % VOID.encode()}
_FOLDED = b'"what":"refusals-folded"'

MOST_BYTES = 64 << 20
"""How much evidence is read for the last decisions."""
NO_RULE_ASKED = UNDECIDED | frozenset(
    {Cause.ARGUMENTS.value, Cause.CREDENTIAL.value, Cause.PIN.value, "unavailable", "unknown"}
)
"""Causes of refusals that come before the rules, whatever these say."""

Standing = Literal["rules", "no-rule-asked", "altered"]


_REFUSED_STILL = frozenset({Cause.PLACEHOLDER.value, Cause.ERROR.value})
"""Causes of refusals that hold of a server that is only observed, where no rule made them."""


class PastOutcome(Struct, frozen=True):
    """How an allowed call ended: its `status` as in the outcome, the `rules` on results that did something,
    and the `kinds` of what was removed. `observed`: it was let through nevertheless."""

    status: str
    rules: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    observed: bool = False


class PastDecision(Struct, frozen=True):
    """A decision on record: its `effect`, the rules that made it and its `cause`, under the policies in force
    then. For a server that was only observed that is what they would have refused. `format` is that of the
    record; `standing` says whether rules decided; `outcome` is None if that was not read, or there was
    none."""

    record: Decided
    effect: Effect
    cause: str
    rules: tuple[str, ...]
    format: int
    standing: Standing = "rules"
    outcome: PastOutcome | None = None
    aside: bool = False
    """Not asked for: it is here only because it may have used up limits."""

    @property
    def enforced(self) -> bool:
        """Whether rules held it up, asked a person or withheld its result, and were not only observed."""
        if self.record.observed is not None:
            return False
        if self.effect != "allow":
            return bool(self.rules) or self.cause not in _REFUSED_STILL
        return self.outcome is not None and self.outcome.status == "withheld" and not self.outcome.observed


class DistrustedChain(Struct, frozen=True):
    """The chain of this name was altered, or a newer version wrote it."""

    chain: str


class Received(Struct, frozen=True):
    """This many bytes came back for the call `id`."""

    id: str
    size: int


class Intervention(Struct, frozen=True):
    """A person ended the session of this name, or had the limit of one of its rules count from zero."""

    session: str
    at: datetime
    limit: str = ""
    """That "policy/rule", "" where the session was ended."""


class OnlyCounted(Struct, frozen=True):
    """This many refusals of which no other record is left."""

    count: int


PastFact = PastDecision | DistrustedChain | Received | Intervention | OnlyCounted


class _Wanted(Struct):
    """What is read: decisions since then about this server, and besides those since `aside` that may have
    used up limits. `servers` are those seen, `asked` the calls about which a person was asked."""

    since: datetime | None = None
    server: str | None = None
    aside: datetime | None = None
    servers: set[str] = set()
    asked: set[str] = set()
    asked_aside: set[str] = set()

    @property
    def begin(self) -> bytes:
        """The second before which nothing is read, in the form of records."""
        first = self.since if self.aside is None or self.since is None else min(self.since, self.aside)
        return b"" if first is None else first.astimezone(UTC).isoformat()[:19].encode()

    def takes(self, record: Decided) -> bool:
        """Whether it is asked for, and not how another one ended."""
        if self.since is not None and record.at < self.since:
            return False
        self.servers.add(record.server)
        return self.server in (None, record.server) and not _goes_on(record, self.asked)

    def takes_aside(self, record: Decided) -> bool:
        """Whether it is not asked for, and may have used up a limit."""
        if self.aside is None or record.at < self.aside or record.id in self.asked:
            return False
        return not _goes_on(record, self.asked_aside)


def past(
    path: Path,
    since: datetime | None = None,
    server: str | None = None,
    *,
    outcomes: bool = True,
    aside: datetime | None = None,
) -> Iterator[PastFact]:
    """What the chains at `path` say since then, the oldest chain first; ahead of all of it what people did
    to sessions, which is in chains of their commands. How calls ended comes only with `outcomes`. With
    `aside` come also the decisions since then that are earlier than `since`, or about other servers. Raises
    AuditError where there is no evidence, and at the end where no decision is about `server`.
    """
    wanted = _Wanted(since, server, aside)
    files = chain_files(path)
    sound = {file: _is_sound(file) for file in files}
    ended: dict[str, PastOutcome] = {}
    changes: list[Noticed] = []
    for file in files:
        # It may be a later one than that of the decision.
        if sound[file]:
            changes += _ahead(file, ended if outcomes else None, wanted.begin)
    yield from map(_intervened, made(changes))
    for file in files:
        if sound[file]:
            yield from _of_file(file, wanted, ended)
        else:
            yield DistrustedChain(chain_name(file))
            yield from _distrusted(file, server, wanted.servers)
    if server is not None and server not in wanted.servers:
        names = ", ".join(sorted(wanted.servers - {""})) or "none"
        raise AuditError(f"no decision on record is about the server {server}; those on record: {names}")


def last(path: Path, most: int, size: int = MOST_BYTES) -> list[PastDecision]:
    """The last decisions, at most this many, the oldest first; of the newest chains with, together, at most
    `size` bytes. Raises AuditError where there is no evidence."""
    found: list[PastDecision] = []
    ended: dict[str, PastOutcome] = {}
    for file in reversed(chain_files(path)):
        size -= file.lstat().st_size
        if len(found) >= most or size < 0:
            break
        if _is_sound(file):
            deque(_ahead(file, ended), 0)
            read = _of_file(file, _Wanted(), ended)
        else:
            read = _distrusted(file, None, set())
        mine = deque((one for one in read if isinstance(one, PastDecision)), most)
        found += mine
    return sorted(found, key=lambda one: one.record.at)[-most:]


def _is_sound(file: Path) -> bool:
    report = examined(file)
    return report.intact and not report.newer


def _distrusted(file: Path, server: str | None, servers: set[str]) -> Iterator[PastDecision]:
    """The decisions that it states, of any time, since that may have been altered too."""
    for line in sound_lines(file, {}):
        record = _read(line) if line.startswith(_DECISION) else None
        if record is None:
            continue
        servers.add(record.server)
        if server in (None, record.server):
            yield structs.replace(past_of(record, 1), standing="altered")


def _of_file(file: Path, wanted: _Wanted, ended: Mapping[str, PastOutcome]) -> Iterator[PastFact]:
    version, begin = 1, wanted.begin
    for number, line in enumerate(lines(file)):
        if number == 0:
            opened = read_record(line)
            version = opened.format if isinstance(opened, Opened) else 1
        elif line.startswith(_DECISION):
            record = None if _is_before(line, _DECISION, begin) else _read(line)
            if record is None:
                continue
            if wanted.takes(record):
                yield past_of(record, version, ended.get(record.id))
            elif wanted.takes_aside(record):
                yield structs.replace(past_of(record, version), aside=True)
        elif line.startswith(_OUTCOME):
            yield from () if _is_before(line, _OUTCOME, begin) else _received(line)
        elif _FOLDED in line:
            yield from _only_counted(line, wanted.since, wanted.server or "")


def _is_before(line: bytes, kind: bytes, begin: bytes) -> bool:
    """Whether a record of this kind is of an earlier second, in UTC; False where that is not plain."""
    at = line[len(kind) : len(kind) + len(_AT) + 20]
    return at.startswith(_AT) and at[-1:] in b"Z." and at[len(_AT) : -1] < begin


def _goes_on(record: Decided, asked: set[str]) -> bool:
    """Whether it says how that ended about which a person was asked."""
    if record.id in asked:
        return True
    if record.effect == "ask":
        asked.add(record.id)
    return False


def _only_counted(line: bytes, since: datetime | None, server: str) -> Iterable[OnlyCounted]:
    record = read_record(line)
    if isinstance(record, Noticed) and record.refusals is not None and (since is None or record.at >= since):
        yield OnlyCounted(folded_about(record.refusals, server))


def _received(line: bytes) -> Iterable[Received]:
    record = read_record(line)
    if isinstance(record, Outcome) and record.received:
        yield Received(record.id, record.received)


def _ahead(file: Path, ended: dict[str, PastOutcome] | None, begin: bytes = b"") -> Iterator[Noticed]:
    """Notices of what people did to sessions; how calls ended since then is added to `ended`, by id."""
    for line in lines(file):
        if line.startswith(_OUTCOME):
            record = None if ended is None or _is_before(line, _OUTCOME, begin) else read_record(line)
            if isinstance(record, Outcome) and ended is not None:
                ended[record.id] = _past_outcome(record)
        elif line.startswith(_NOTICE) and any(one in line for one in _CHANGES):
            record = read_record(line)
            if isinstance(record, Noticed):
                yield record


def _intervened(one: Noticed) -> Intervention:
    limit = one.detail.partition(" ")[0] if one.what == "limit-cleared" else ""
    return Intervention(one.session, one.at, limit)


def _past_outcome(record: Outcome) -> PastOutcome:
    if record.observed is not None:
        return PastOutcome("withheld", record.observed.rules, observed=True)
    if not record.rules and not record.findings:
        return _plain(record.status)
    return PastOutcome(
        record.status, record.rules, frozenset(one.partition(" ")[0] for one in record.findings)
    )


@lru_cache(maxsize=64)
def _plain(status: str) -> PastOutcome:
    return PastOutcome(status)


def past_of(record: Decided, version: int, outcome: PastOutcome | None = None) -> PastDecision:
    """What a record says about the old policies."""
    cause, rules = record.cause, record.rules
    if record.observed is not None:
        cause, rules = record.observed.cause, record.observed.rules
    effect: Effect = "allow" if record.effect == "allow" and record.observed is None else "deny"
    if record.effect == "ask" or record.approval or cause == Cause.APPROVAL.value:
        effect, cause = "ask", cause or Cause.APPROVAL.value
    # What no rule allows and goes on all the same is a list, a ping, or belongs to a call that was decided.
    protocol = effect == "allow" and (not rules or record.began != "")
    standing: Standing = "no-rule-asked" if protocol or cause in NO_RULE_ASKED else "rules"
    return PastDecision(record, effect, cause, rules, version, standing, outcome)
