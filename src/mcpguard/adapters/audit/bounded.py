"""Evidence that stays small: beyond an allowance, the refusals of a session are counted in one record.

Law of this file: of what is allowed, only what mcpguard itself answers (`bounds.LISTS`) comes here, with its
outcomes. What is only counted is on record within FOLD_SECONDS, and the first of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mcpguard.core.evidence.bounds import (
    Allowance,
    BoundTerms,
    Countable,
    EvidenceRoom,
    RefusalFolding,
    folds,
    lists,
)
from mcpguard.core.evidence.records import Decided, FoldedRecords, Noticed, Outcome, Record
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import name_of
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Clock

FOLD_SECONDS = 5.0
"""How long refusals are counted before they are on record."""
QUIET_SECONDS = 60.0
"""Seconds before the operator is told again."""
MOST_SESSIONS = 1_000
"""Sessions whose allowances are known; if there are more, the oldest start over."""
CUT = (
    "this session sends more arguments than are recorded; of the rest only the sha256 and length are "
    "recorded (`audit.bounds`)"
)
SAID = (
    "more requests of this session are refused than are recorded individually: refusals are only counted "
    "from now on, in `refusals-folded` (`audit.bounds`)"
)
SAID_LISTS = (
    "this session asks for lists, listens, or sets the log level more often than is recorded individually: "
    "such requests are only counted from now on, in `lists-folded` (`audit.bounds`)"
)
UNASKED = (
    "this session asks for lists more often than servers are asked on its behalf: it gets what they listed "
    "before (`audit.bounds`)"
)


class EvidenceBounds:
    """Those of a process. A session is one for all clients of the same principal, so nobody gets more by
    connecting again."""

    def __init__(
        self,
        terms: BoundTerms,
        clock: Clock,
        write: Callable[[Record], Wait[None]],
        report: Callable[..., None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`write` is `AuditSink.write`; `report("", sentence, session=, principal=, change=)` tells the
        operator; `changed()` is called when `folding` begins for a session."""
        self.terms = terms
        self.clock = clock
        self.write = write
        self.report = report
        self.changed = changed
        self._sessions: dict[tuple[str, str], _SessionBounds] = {}
        self.counted: set[str] = set()
        """The ids of what was allowed and counted, and has no outcome yet."""

    def room(self, principal: Principal, agent: str | None) -> EvidenceRoom:
        """What the session of `principal` with `agent` may still leave."""
        found = self._of(name_of(principal, agent))
        found.principal = principal.text
        return found.room

    def take(self, record: Countable) -> Wait[None] | None:
        """None where the record is to be written. Otherwise it was counted, which is over at once. Outcomes
        come here of `counted` only."""
        if isinstance(record, Outcome):
            self.counted.discard(record.id)
            return _COUNTED
        is_list = lists(record)
        session = self._of(record.session, "lists" if is_list else "refusals") if folds(record) else None
        if session is None or session.left.take(1, self.clock.seconds()):
            return None
        if is_list:
            self.counted.add(record.id)
        session.add(record)
        return _COUNTED

    @property
    def folding(self) -> str:
        """Whose refusals are only counted now, "" for nobody's."""
        names = [one.principal for one in self._sessions.values() if one.folding and one.what == "refusals"]
        if not names:
            asking = [one.principal for one in self._sessions.values() if one.folding]
            return f"{asking[0]} asks for lists so often that this is only counted" if asking else ""
        more, whose = (f" and {len(names) - 1} more are", "their") if len(names) > 1 else (" is", "its")
        return f"{names[0]}{more} refused so often that {whose} refusals are only counted"

    def close(self) -> None:
        """Record what was only counted so far."""
        for one in self._sessions.values():
            one.close()

    def _of(self, session: str, what: str = "refusals") -> _SessionBounds:
        found = self._sessions.get((session, what))
        if found is None:
            if len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions))).close()
            found = self._sessions[session, what] = _SessionBounds(self, session, what)
        return found


class _SessionBounds:
    """What one session has left of `what` ("refusals" or "lists"), and what was counted of it."""

    def __init__(self, process: EvidenceBounds, session: str, what: str) -> None:
        self.room = EvidenceRoom(process.terms, partial(self._say, CUT), partial(self._say, UNASKED))
        self.left = Allowance(process.terms.refusals)
        self.what = what
        self.principal = ""
        self._process = process
        self._session = session
        self._counted = RefusalFolding()
        self._unwritten: Noticed | None = None
        self._stop: Callable[[], None] | None = None
        self._quiet_until: dict[str, float] = {}

    @property
    def folding(self) -> bool:
        return self._stop is not None

    def add(self, record: Decided | Noticed) -> None:
        self.principal = record.principal
        self._counted.add(record)
        if self._stop is None:
            self._fold()
            self._process.changed()

    def close(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None
            self._note()

    def _fold(self) -> None:
        """Record what was counted, and count on for a while; until nothing comes any more."""
        self._stop = None
        if self._note():
            self._stop = self._process.clock.later(FOLD_SECONDS, self._fold)

    def _note(self) -> bool:
        """Whether there was anything. What could not be written is written first the next time."""
        if self._unwritten is None:
            if not self._counted.count:
                return False
            counted, self._counted = self._counted, RefusalFolding()
            self._unwritten = self._noticed(counted.folded())
        self._process.write(self._unwritten).then(self._written)
        return True

    def _say(self, said: str) -> None:
        """Tell the operator, unless that was said a moment ago."""
        now = self._process.clock.seconds()
        if now >= self._quiet_until.get(said, float("-inf")):
            about = {"session": self._session, "principal": self.principal}
            self._process.report("", said, **about, change=True)
        self._quiet_until[said] = now + QUIET_SECONDS

    def _noticed(self, folded: FoldedRecords) -> Noticed:
        self._say(SAID_LISTS if self.what == "lists" else SAID)
        return Noticed(
            self._process.clock.now(),
            f"{self.what}-folded",
            detail=f"{folded.count} between {folded.since:%H:%M:%S} and {folded.until:%H:%M:%S} UTC",
            principal=self.principal,
            session=self._session,
            folded=folded,
        )

    def _written(self, wait: Wait[None]) -> None:
        if wait.ok:
            self._unwritten = None


_COUNTED: Wait[None] = Wait()
_COUNTED.set(None)
