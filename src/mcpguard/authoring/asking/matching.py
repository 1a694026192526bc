"""The calls that match a question, read from the chains where the index says they are.

Law of this file: what is given was read from a chain, and is what the index says; else that is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from msgspec import Struct, to_builtins

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.index import AuditIndex, CallAt
from mcpguard.adapters.audit.indexing import CallFacts
from mcpguard.adapters.audit.reader import LineReader, chain_name, file_name
from mcpguard.authoring.asking.question import CallQuestion, view_of_facts
from mcpguard.core.conditions.cel import ERROR, TRUE
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import continues
from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.core.model import Json

WHOLE = 1_000
"""Of so many calls all is evaluated, so that it is known where a condition fails; of the others only those
whose lines have the texts that a match must have."""
LOOKS = 20_000


class FoundCall(Struct, frozen=True):
    """A decision with its outcome, and the lines as they are in the chains. `file` and `number` say where the
    decision stands."""

    file: Path
    number: int
    decision: Decided
    outcome: Outcome | None
    raw: tuple[bytes, ...]


def found(
    index: AuditIndex, question: CallQuestion, looking: Callable[[int], None] = lambda _: None
) -> Iterator[FoundCall]:
    """The calls that match, the newest first; `index.altered` gets the chains of those that are not as they
    were written, `looking` hears now and then how many were looked at. Raises AuditError where a chain is not
    what was indexed."""
    all_facts = index.facts()
    fitting = []
    for number, facts in all_facts.items():
        verdict = question.of_facts(facts)
        if verdict is TRUE:
            fitting.append(number)
        elif verdict is ERROR:
            question.failed += sum(1 for _ in index.durations(number, question.since, question.until))
    with closing(LineReader()) as reader:
        places = index.newest(fitting, question.since, question.until, question.took)
        for looked, at in enumerate(places):
            if looked % LOOKS == LOOKS - 1:
                looking(looked + 1)
            raw = (reader.line(*at.decision), *(() if at.outcome is None else (reader.line(*at.outcome),)))
            if looked >= WHOLE and not question.may_be(b"".join(raw)):
                continue
            call = _checked(index, at, raw, all_facts[at.facts])
            if not question.reads_lines or question.matches(view_of(call, all_facts[at.facts])):
                yield call


def _checked(index: AuditIndex, at: CallAt, raw: tuple[bytes, ...], facts: CallFacts) -> FoundCall:
    call = _read(at, raw)
    if call is None or facts_of(call.decision, call.outcome) != facts:
        raise AuditError(
            f"the chain {file_name(at.decision[0])} has changed since it was indexed: `mcpguard audit "
            "verify` says where it was altered, and --rebuild reads it again"
        )
    for (file, _), line in zip((at.decision, at.outcome or at.decision), raw, strict=False):
        if not continues(line, None):
            index.altered[chain_name(file)] = None
    return call


def last(
    index: AuditIndex, question: CallQuestion, most: int, looking: Callable[[int], None] = lambda _: None
) -> list[FoundCall]:
    """The last `most` that match, the oldest first; the rest as in `found`."""
    return list(islice(found(index, question, looking), most))[::-1]


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
        "sent": outcome.sent if outcome else 0,
        "received": outcome.received if outcome else 0,
    }
    if outcome is not None:
        view["ms"] = outcome.ms
    return view


def facts_of(decision: Decided, outcome: Outcome | None) -> CallFacts:
    """The facts of a call, as the index has them."""
    kinds = () if outcome is None else tuple(sorted({one.partition(" ")[0] for one in outcome.findings}))
    return CallFacts(
        decision.principal,
        decision.human,
        decision.agent or "",
        decision.client,
        decision.method,
        decision.server,
        decision.tool,
        decision.tool_digest,
        decision.effect,
        decision.cause,
        decision.rules,
        decision.session,
        decision.session_labels,
        decision.session_facts,
        decision.policy_digest,
        "" if outcome is None else outcome.status,
        kinds,
    )


def printable(call: FoundCall) -> dict[str, object]:
    """A call with the names that conditions use, and where its decision stands."""
    view = view_of(call, facts_of(call.decision, call.outcome))
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
        return FoundCall(at.decision[0], number, decision, outcome, raw)
    return None if raw[1:] else FoundCall(at.decision[0], number, decision, None, raw)
