"""The calls that match a question, read from the chains where the index says they are.

Law of this file: what is given was read from a chain, and is what the index says; else that is an error.
Where the index only says that a call may have a text, the chain says whether it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from heapq import heappop, heappush, merge
from itertools import islice
from pathlib import Path
from shlex import quote

from msgspec import Struct, to_builtins

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.index import AuditIndex, CallAt, ChainSpan
from mcpguard.adapters.audit.indexing import CallFacts, facts_after, facts_of, microseconds
from mcpguard.adapters.audit.line_reader import LineReader
from mcpguard.adapters.audit.passages import FILE_BITS, ClockSetback
from mcpguard.adapters.audit.reader import Removed, chain_name, file_name
from mcpguard.authoring.asking.filters import CallFilter, LineFilter
from mcpguard.authoring.asking.names import view_of_facts
from mcpguard.authoring.asking.needed import DECIDED, ENDED, clauses, may_match
from mcpguard.authoring.asking.question import CallQuestion
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import continues
from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.core.model import Json

WHOLE = 1_000
"""How many calls are evaluated by all their records, so that it is known where a condition fails, and what is
rare."""
LOOKS = 20_000
MANY = 1_000_000
READ_FOR_A_CALL = 1 << 10
"""Bytes of chains in which each decision is looked up in the time that it takes to look at one call."""
_FILTERED, _SEARCHED = 4, 16
"""How many times as many bytes where lines alone filter decisions, or something rare is searched for."""
_LONG = 4 << 30
"""Searching this many bytes takes a while."""
_SHORTEST = 300
"""Bytes of a chain that each call has at least."""
_TOLD = 256 << 20
"""After this many bytes the progress is reported again."""


class FoundCall(Struct, frozen=True):
    """A decision with its outcome, and the lines as they are in the chains. `file` and `number` say where the
    decision stands, `place` is that of the index."""

    file: Path
    number: int
    decision: Decided
    outcome: Outcome | None
    raw: tuple[bytes, ...]
    place: int = 0


def found(
    index: AuditIndex, question: CallQuestion, looking: Callable[[int, int], None] = lambda _, __: None
) -> Iterator[FoundCall]:
    """The calls that match, the newest first, as `_as_made` has it; `index.altered` gets the chains of those
    that are not as they were written. If many are left to look at, `looking` hears now and then how many
    there were, and how many are left (`MANY` stands for more). Raises AuditError where a chain is not what
    was indexed."""
    all_facts = index.facts()
    if question.reads_lines:
        question.decide_times(index.covered())
    index.keep_to(question.spans)
    fitting: dict[int, CallFacts] = {}
    depends: set[int] = set()
    for number, facts in all_facts.items():
        verdict = question.of_facts(facts)
        if verdict is TRUE:
            rest = question.of_rest(facts)
            fitting |= {number: facts} if rest is not FALSE else {}
            depends |= {number} if rest is ERROR else set()
        elif verdict is ERROR:
            question.failed += sum(1 for _ in index.durations(number, question.since, question.until))
    with closing(LineReader()) as reader:
        calls = _Search(index, question, all_facts, fitting, depends, reader).found(looking)
        yield from _as_made(calls, index.setbacks) if index.setbacks else calls


def _as_made(
    calls: Iterator[FoundCall], setbacks: Mapping[int, Sequence[ClockSetback]]
) -> Iterator[FoundCall]:
    """`calls`, which come in the order of their times: one that was made while the clock was ahead comes when
    the clock was set back."""
    held: list[tuple[int, int, FoundCall]] = []
    for call in calls:
        at = microseconds(call.decision.at)
        after = (one.at for one in setbacks.get(call.place >> FILE_BITS, ()) if call.place < one.until)
        made = min(after, default=at)
        if made < at:
            heappush(held, (-made, -call.place, call))
            continue
        while held and -held[0][0] > at:
            yield heappop(held)[-1]
        yield call
    while held:
        yield heappop(held)[-1]


class _Search:
    """Looks at the newest calls one by one, then at those that may match by what the index knows of texts."""

    def __init__(
        self,
        index: AuditIndex,
        question: CallQuestion,
        all_facts: dict[int, CallFacts],
        fitting: dict[int, CallFacts],
        depends: set[int],
        reader: LineReader,
    ) -> None:
        self._index, self._question, self._reader = index, question, reader
        self._all_facts, self._fitting, self._depends = all_facts, fitting, depends
        self._views: dict[int, dict[str, Json]] = {}

    def found(self, looking: Callable[[int, int], None]) -> Iterator[FoundCall]:
        question = self._question
        rows = self._index.newest(self._fitting, question.since, question.until, question.terms)
        if not question.reads_lines:
            for at in rows:
                yield from self._matching(at, self._lines(at))
            return
        sample = []
        last: list[CallAt] = []
        for at in islice(rows, WHOLE):
            lines = self._lines(at)
            sample.append(b"".join(lines[:1]))
            last = [one for one in last if one.at == at.at] + [at]
            yield from self._matching(at, lines)
        if len(sample) == WHOLE:
            yield from self._older(rows, sample, last, looking)

    def _older(
        self,
        rows: Iterator[CallAt],
        sample: list[bytes],
        last: list[CallAt],
        looking: Callable[[int, int], None],
    ) -> Iterator[FoundCall]:
        """Those after the calls with these decisions, the `last` of which have the same time."""
        question, index, depends = self._question, self._index, self._depends
        some = [self._fitting[number] for number in depends]
        needs = question.needs(DECIDED | ENDED, some)
        call_filter, line_filter = (
            question.call_filter(),
            LineFilter(clauses(question.needs(DECIDED)), sample),
        )
        since, until = question.since, last[0].at + 1 if last else question.until
        spans = index.spans(partial(may_match, needs), since, until)
        ease = _SEARCHED if line_filter.rare else _FILTERED if call_filter.decides else 1
        size = sum(one.size for one in spans)
        calls = size // (READ_FOR_A_CALL * ease)
        through = index.count(depends, since, until, calls + 1) > calls
        quick = through and line_filter.rare and size < _LONG
        most = min(MANY, size // _SHORTEST)
        left = 0 if quick or most <= LOOKS else index.count(depends, since, until, most)
        if through:
            known = {at.decision for at in last}
            read = partial(_report_progress, looking, left, size) if left > LOOKS else lambda _: None
            sure = index.newest(self._fitting.keys() - depends, since, until, question.terms)
            both = merge(sure, self._in(spans, until, line_filter, call_filter, read), key=_order)
            rows = (at for at in both if at.decision not in known)
        for looked, at in enumerate(rows):
            if left > LOOKS and not through and looked % LOOKS == 0:
                looking(WHOLE + looked, left - looked if left < MANY else MANY)
            lines = self._lines(at)
            shared = self._shared(at.facts) if call_filter.shares else {}
            verdict = call_filter.verdict(lines, at.facts, shared) if lines else None
            question.failed += verdict is ERROR
            if verdict not in (FALSE, ERROR):
                yield from self._matching(at, lines)

    def _shared(self, number: int) -> dict[str, Json]:
        if number not in self._views:
            self._views[number] = view_of_facts(self._fitting[number])
        return self._views[number]

    def _in(
        self,
        spans: list[ChainSpan],
        until: int,
        line_filter: LineFilter,
        call_filter: CallFilter,
        read: Callable[[int], None],
    ) -> Iterator[CallAt]:
        """The calls in these parts of chains that may match, the newest first."""
        by_decision: dict[CallFacts, list[int]] = {}
        for number, facts in self._all_facts.items():
            numbers = by_decision.setdefault(facts.decided, [])
            numbers += [number] if number in self._depends else []
        found: list[tuple[int, int, CallAt]] = []
        done, told = 0, -1
        for span in spans:
            # Stretches overlap in time: several processes write chains, and a clock may be turned back.
            while found and -found[0][0] > span.latest:
                yield heappop(found)[-1]
            if done // _TOLD > told:
                told = done // _TOLD
                read(done)
            done += span.size
            try:
                data = self._reader.piece(span.file, span.start, span.size)
            except Removed:
                self._index.removed[chain_name(span.file)] = None
                continue
            for start, line in call_filter.left(line_filter.lines(data)):
                at = self._row(by_decision, line, (span.file, span.start + start), until)
                if at is not None:
                    heappush(found, (-at.at, -at.place, at))
        while found:
            yield heappop(found)[-1]

    def _row(
        self, by_decision: dict[CallFacts, list[int]], line: bytes, where: tuple[Path, int], until: int
    ) -> CallAt | None:
        decision = read_record(line)
        numbers = by_decision.get(facts_of(decision)) if isinstance(decision, Decided) else None
        if not isinstance(decision, Decided) or numbers is None:
            # Of a call that was decided again, the index has the last decision only.
            if continues(line + b"\n", None):
                return None
            raise _changed(where[0])
        at = microseconds(decision.at)
        inside = at < until and self._question.includes(at)
        return self._index.call_at(numbers, at, where, self._question.terms) if inside else None

    def _lines(self, at: CallAt) -> tuple[bytes, ...]:
        """Those of a call; () where a chain is not there any more."""
        try:
            return tuple([self._reader.line(*where) for where in (at.decision, at.outcome) if where])
        except Removed:
            self._index.removed[chain_name(at.decision[0])] = None
            return ()

    def _matching(self, at: CallAt, lines: tuple[bytes, ...]) -> Iterator[FoundCall]:
        """The call, if it matches."""
        facts = self._fitting[at.facts]
        call = _checked(self._index, at, lines, facts) if lines else None
        if call is None:
            return
        if not self._question.reads_lines or self._question.matches(view_of(call, facts)):
            yield call


def _order(at: CallAt) -> tuple[int, int]:
    return -at.at, -at.place


def _report_progress(looking: Callable[[int, int], None], left: int, size: int, done: int) -> None:
    """How many of the calls that were left are in the `done` of `size` bytes, if all are as long."""
    looked = left * done // size
    looking(WHOLE + looked, left - looked if left < MANY else MANY)


def _checked(index: AuditIndex, at: CallAt, raw: tuple[bytes, ...], facts: CallFacts) -> FoundCall | None:
    """The call; None where a record is one that this version does not write, as for all who read chains."""
    call = _read(at, raw)
    if call is None and any(read_record(line) is None and continues(line, None) for line in raw):
        return None
    if call is None or facts_with(call.decision, call.outcome) != facts:
        raise _changed(at.decision[0])
    for (file, _), line in zip((at.decision, at.outcome or at.decision), raw, strict=False):
        if not continues(line, None):
            index.altered[chain_name(file)] = None
    return call


def _changed(file: Path) -> AuditError:
    return AuditError(
        f"the chain {file_name(file)} has changed since it was indexed: "
        f"`mcpguard audit verify {quote(str(file.parent))}` says where "
        "it was altered, and --rebuild reads it again"
    )


def only_counted_of(index: AuditIndex, question: CallQuestion) -> int:
    """How many refusals that the filters let pass were only counted; no condition can be asked about them."""
    counted = index.folded(question.since, question.until)
    return sum(question.filters.folded_of(one) for one in counted)


def view_of(call: FoundCall, facts: CallFacts) -> dict[str, Json]:
    """What a condition reads of a call. Of one without an outcome, `ms` is not there."""
    decision, outcome = call.decision, call.outcome
    subject = decision.subject
    view = view_of_facts(facts) | {
        "id": decision.id,
        "at": decision.at,
        "subject": subject,
        "prompt": {"name": subject} if facts.method.startswith("prompts/") else {},
        "resource": {"uri": subject} if facts.method.startswith("resources/") else {},
        "args": decision.arguments or {},
        "credentials": list(decision.credentials),
        "approval": decision.approval,
        "ticket": decision.ticket,
        "message": decision.message or (outcome.message if outcome else ""),
        "error": outcome.error if outcome else "",
        "trace": decision.trace,
        "token": decision.token,
        "sent": outcome.sent if outcome else 0,
        "received": outcome.received if outcome else 0,
    }
    if outcome is not None:
        view["ms"] = outcome.ms
    return view


def facts_with(decision: Decided, outcome: Outcome | None) -> CallFacts:
    """The facts of a call, as the index has them."""
    facts = facts_of(decision)
    return facts if outcome is None else facts_after(facts, outcome)


def printable(call: FoundCall) -> dict[str, object]:
    """A call with the names that conditions use, and where its decision stands."""
    view = view_of(call, facts_with(call.decision, call.outcome))
    view.setdefault("ms", None)
    # Both are `subject` once more.
    del view["prompt"], view["resource"]
    made = to_builtins(view)
    return {**made, "file": file_name(call.file), "line": call.number}


def _read(at: CallAt, raw: tuple[bytes, ...]) -> FoundCall | None:
    decision = read_record(raw[0])
    outcome = read_record(raw[1]) if raw[1:] else None
    if not isinstance(decision, Decided):
        return None
    # Of a line that was altered it may be anything.
    seq = raw[0].rpartition(b'"seq":')[2].partition(b",")[0]
    number = int(seq) if seq.isdigit() and len(seq) < 19 else 0
    if isinstance(outcome, Outcome) and outcome.id == decision.id:
        return FoundCall(at.decision[0], number, decision, outcome, raw, at.place)
    return None if raw[1:] else FoundCall(at.decision[0], number, decision, None, raw, at.place)
