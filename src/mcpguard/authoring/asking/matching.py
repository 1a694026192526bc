"""The calls that match a question, read from the chains where the index says they are.

Law of this file: what is given was read from a chain, and is what the index says; else that is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct, to_builtins

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.index import AuditIndex, CallAt
from mcpguard.adapters.audit.indexing import CallFacts
from mcpguard.adapters.audit.reader import chain_name, line_at
from mcpguard.authoring.asking.question import CallQuestion, view_of_facts
from mcpguard.core.conditions.cel import ERROR, TRUE
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import continues
from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.core.model import Json


class FoundCall(Struct, frozen=True):
    """A decision with its outcome, and the lines as they are in the chains. `file` and `number` say where the
    decision stands."""

    file: Path
    number: int
    decision: Decided
    outcome: Outcome | None
    raw: tuple[bytes, ...]


def found(index: AuditIndex, question: CallQuestion) -> Iterator[FoundCall]:
    """The calls that match, the newest first; `index.altered` gets the chains of those that are not as they
    were written. Raises AuditError where a chain is not what was indexed."""
    all_facts = index.facts()
    fitting = []
    for number, facts in all_facts.items():
        verdict = question.of_facts(facts)
        if verdict is TRUE:
            fitting.append(number)
        elif verdict is ERROR:
            question.failed += sum(1 for _ in index.durations(number, question.since, question.until))
    for at in index.newest(fitting, question.since, question.until, question.took):
        call, facts = _read(at), all_facts[at.facts]
        if call is None or facts_of(call.decision, call.outcome) != facts:
            raise AuditError(
                f"the chain {at.decision[0].name} is not what it was when it was indexed: `mcpguard audit "
                "verify` says where it was altered, and --rebuild reads it again"
            )
        for (file, _), line in zip((at.decision, at.outcome or at.decision), call.raw, strict=False):
            if not continues(line, None):
                index.altered[chain_name(file)] = None
        if not question.reads_lines or question.matches(view_of(call, facts)):
            yield call


def last(index: AuditIndex, question: CallQuestion, most: int) -> list[FoundCall]:
    """The last `most` that match, the oldest first."""
    return list(islice(found(index, question), most))[::-1]


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
    return {**made, "file": call.file.name, "line": call.number}


def _read(at: CallAt) -> FoundCall | None:
    decided = line_at(*at.decision)
    decision = read_record(decided)
    ended = b"" if at.outcome is None else line_at(*at.outcome)
    outcome = read_record(ended) if ended else None
    if not isinstance(decision, Decided):
        return None
    number = int(decided.rpartition(b'"seq":')[2].partition(b",")[0] or 0)
    if isinstance(outcome, Outcome) and outcome.id == decision.id:
        return FoundCall(at.decision[0], number, decision, outcome, (decided, ended))
    return None if ended else FoundCall(at.decision[0], number, decision, None, (decided,))
