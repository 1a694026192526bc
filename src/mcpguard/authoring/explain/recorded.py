"""A recorded call, found in the evidence by its id and explained.

Law of this file: a call is explained with the arguments that it had, which is what their digest says: those
on record where nothing was redacted from them, else those that somebody brings.
"""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from mcpguard.adapters.audit import reader
from mcpguard.adapters.audit.calls import calls_by_id, counted_in
from mcpguard.authoring.explain import hypothesis
from mcpguard.authoring.explain.changes import CLEARED
from mcpguard.authoring.explain.explainer import ALLOWED, OBSERVED, SHOWN, WHY, KnownFacts, no_such
from mcpguard.authoring.explain.explanation import Change, ConsideredRule, Done, Explanation, Recorded
from mcpguard.config.loading import Config, evidence_folder
from mcpguard.config.policies import builtin_read_only
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import decoded
from mcpguard.core.evidence.records import KIND_USED
from mcpguard.core.evidence.verification import anchors
from mcpguard.core.model import Cause, Invocation, Json, split_principal
from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.egress import ASTRAY
from mcpguard.core.policy.obligations import ObligationError, charges_of, with_arguments
from mcpguard.core.policy.obligations import arguments_of as arguments_of_rules
from mcpguard.core.policy.pdp import NEEDS_APPROVAL, NO_SESSION, bind, holding
from mcpguard.core.policy.session import StoredSession, who_began
from mcpguard.core.policy.terms import ASKED, Observation
from mcpguard.core.policy.wording import PLACEHOLDER, denied_by, first_message, reached, why_failed
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.jsonrpc import MAX_DEPTH, deeper_than, encode

_EMPTY = sha256(b"{}").hexdigest()

UNDECIDED = {
    "cancelled": "the client cancelled it",
    "disconnected": "the client disconnected",
    "abandoned": "mcpguard stopped, or the session ended,",
}
"""Causes of what ended before it was decided, also where its server was known."""

_UNROUTED = {
    "unknown": "no server has anything with that name",
    "unavailable": "its server could not be asked what it offers",
    **{cause: f"{why} before it was decided" for cause, why in UNDECIDED.items()},
}
"""Causes of what was not decided."""

_ENDED = "ended"
"""Of a decision as it is explained: the cause of UNDECIDED for which a person's answer did not count."""
MOST_SETTING = 8
"""How many rules are tried that may have set arguments."""

NOT_GIVEN = (
    "only the sha256 of its arguments was recorded; pass them with --args-file FILE for an explanation"
)
REDACTED = (
    "its arguments were redacted in the record; pass them as they were with --args-file FILE for an "
    "explanation"
)
NOT_THESE = (
    "these are not the arguments of that call: their sha256 differs from the recorded one (the order of "
    "keys matters)"
)
ALTERED = "the following is how it would be decided now, whatever the record says"
NO_STATE = (
    "the tool's annotations and counts of the session were not recorded; pass them with --snapshot or "
    "--annotations, and --session"
)
NO_IDENTITY = "groups and claims were not recorded; pass them with --group and --claims"
NO_TARGET = (
    "the evidence does not contain everything that rules may read about such a request, so it is "
    "not explained"
)

OF_A_TASK = "it is part of the call {0}, which began its task: `mcpguard explain {0}` explains that call"

_OF_OUTCOME = {
    **{name: name for name in ("error", "findings", "unredacted", "neutralised")},
    "status": "outcome",
    "rules": "result_rules",
    "message": "result_message",
}
"""What an outcome has -> how a recorded call has it."""


def explain_record(
    ids: list[str],
    options: Namespace,
    policies: PolicySet,
    config: Config | None,
    redactor: Redactor,
    *,
    named: bool = False,
) -> Recorded:
    """What is on record of the call, explained under the present policies where its arguments are known; what
    `mcpguard wrap` decided under its own, unless `policies` were `named` for that. Raises AuditError where
    there is no such call, or other arguments are given."""
    decision, outcome, altered = _find(ids, config)
    digest = decision.get("policy_digest")
    if config is not None and not named and digest != policies.digest:
        wrapped = builtin_read_only()
        if digest == wrapped.digest:
            policies, config = wrapped, None
    found = _told(decision, outcome, altered, _Under(options, policies, config, redactor))
    if (cause := str(decision.get(_ENDED))) not in UNDECIDED:
        return found
    said = f"{UNDECIDED[cause]} before a person answered"
    return found.model_copy(update={"cause": cause, "notes": (said, *found.notes)})


class _Under(msgspec.Struct, frozen=True):
    """What a record is explained under."""

    options: Namespace
    policies: PolicySet
    config: Config | None
    redactor: Redactor


def _told(decision: dict[str, Any], outcome: dict[str, Any], altered: str, under: _Under) -> Recorded:
    policies = under.policies
    found = _recorded(
        {name: decision[name] for name in Recorded.model_fields if name in decision}
        | {known: outcome[name] for name, known in _OF_OUTCOME.items() if name in outcome}
        | {"altered": altered}
        | {"same_policies": decision.get("policy_digest") == policies.digest}
    )
    places = tuple(place for place in map(policies.places.get, _deciding(found)) if place)
    found = found.model_copy(update={"places": places})
    kind = "tool" if found.tool else KIND_USED.get(found.method, "")
    if found.cause in UNDECIDED and found.server:
        return found.model_copy(update={"notes": (_UNROUTED[found.cause],)})
    if found.cause in _UNROUTED:
        return found.model_copy(update={"explanation": _unrouted(found, kind)})
    args = hypothesis.arguments_of(under.options)
    if args is None and decision.get("args") == _EMPTY:
        args = {}
    if args is None and found.arguments is not None and _digest(found.arguments) == decision.get("args"):
        args = found.arguments
    if not found.server or not (kind or found.method in ASKED):
        began = decision.get("began")
        return found.model_copy(update={"notes": (OF_A_TASK.format(began) if began else NO_TARGET,)})
    if args is None:
        return found.model_copy(update={"notes": (NOT_GIVEN if found.arguments is None else REDACTED,)})
    return _explained(found, decision, _asked(found, decision, args, kind, under), under)


_ENFORCED = {"", *(one.value for one in (Cause.RULE, Cause.NO_RULE, Cause.APPROVAL, Cause.LIMIT))}
"""Causes of what is not observed, or was allowed."""


def _as_then(found: Recorded, now: datetime, config: Config | None) -> Observation | None:
    """Whether the server of the record was only observed, for a decision `now`; where the record does not say
    it, by the present configuration."""
    if found.observed is not None:
        return Observation(frozenset({found.server}), now + timedelta(microseconds=1))
    return None if config is None or found.cause in _ENFORCED else config.observe


def _deciding(found: Recorded) -> tuple[str, ...]:
    """The rules that decided, or would have."""
    return found.rules if found.observed is None else found.observed.rules


def _unrouted(found: Recorded, kind: str) -> Explanation:
    name = found.tool or found.subject
    message = no_such(kind or "resource", name) if found.cause == "unknown" else ""
    return Explanation(
        effect="deny", cause=found.cause, why=_UNROUTED[found.cause], message=message, listed=False
    )


def _recorded(values: dict[str, Any]) -> Recorded:
    """Raises AuditError for what no writer of records would have written."""
    try:
        if deeper_than(values, MAX_DEPTH + 1):
            raise ValueError
        return Recorded(**values)
    except ValueError:
        said = f": {values['altered']}" if values["altered"] else ""
        raise AuditError(f"the record of this call has a different form than mcpguard writes{said}") from None


def _explained(
    found: Recorded, decision: dict[str, Any], asked: hypothesis.Supposition, under: _Under
) -> Recorded:
    options, config, invocation = under.options, under.config, asked.invocation
    policies = under.policies.observing(_as_then(found, invocation.now, config))
    counted = options.session is not None
    session = hypothesis.session_of(options, None if counted else _session(decision))
    approved = frozenset(found.rules if found.approval else ())
    if not any(_digest(args) == decision.get("args") for args in _as_sent(policies, invocation)):
        raise AuditError(NOT_THESE)
    known = KnownFacts(hypothesis.unknown_of(options, asked, config, counted), approved=approved)
    told = hypothesis.explained(policies, invocation, session, options.result, under.redactor, known)
    notes = [NO_STATE] if found.groups is not None else [NO_STATE, NO_IDENTITY]
    if found.altered:
        notes.append(ALTERED)
    elif found.same_policies and not _agrees(told, found):
        told = as_recorded(told, found, policies, invocation)
    elif found.same_policies:
        told = told.model_copy(update={"assumed": tuple(one for one in told.assumed if one == SHOWN)})
    elif not _agrees(told, found) and told.effect != "unknown":
        notes.append("the decision would be different now")
    return found.model_copy(update={"notes": tuple(notes), "explanation": told})


def _agrees(told: Explanation, found: Recorded) -> bool:
    effect = "deny" if told.effect == "ask" else told.effect
    of_told = told.observed and (told.observed.cause, told.observed.rules)
    on_record = found.observed and (found.observed.cause, found.observed.rules)
    same = (effect, told.cause, told.rules) == (found.effect, found.cause, found.rules)
    return same and of_told == on_record


def as_recorded(
    told: Explanation, found: Recorded, policies: PolicySet, invocation: Invocation
) -> Explanation:
    """The explanation where the same policies say something else now, since not all that decided is on
    record: of what was decided the record is right."""
    allowed = found.effect == "allow"
    candidates = tuple(one.model_copy(update=_on_record(one, found)) for one in told.candidates)
    return told.model_copy(
        update={
            "effect": "ask" if found.cause == Cause.APPROVAL.value else found.effect,
            "cause": found.cause,
            "rules": found.rules,
            "why": _why(found),
            "observed": found.observed,
            "message": "" if allowed else _message(found, policies, invocation, told),
            "candidates": candidates,
            "done": told.done if allowed else Done(),
            # What must have room; when, depends on what limits had counted, which is not on record.
            "changes": tuple(
                Change(rule=rule, must="have room", note=CLEARED.format(rule))
                for rule in (found.rules if found.cause == Cause.LIMIT.value else ())
            ),
            "unknown": (),
            "assumed": tuple(one for one in told.assumed if one == SHOWN),
        }
    )


def _why(found: Recorded) -> str:
    if found.effect != "allow":
        return WHY[Cause(found.cause)]
    return ALLOWED if found.observed is None else OBSERVED


def _on_record(one: ConsideredRule, found: Recorded) -> dict[str, object]:
    decided = one.rule in _deciding(found) and not one.shadow
    cause = found.cause if found.observed is None else found.observed.cause
    held = decided and one.outcome in ("not known", "did not hold") and cause != Cause.ERROR.value
    return {"decided": decided, "outcome": "held" if held else one.outcome}


def _message(found: Recorded, policies: PolicySet, call: Invocation, told: Explanation) -> str:
    """What the model was told, as far as it follows from the rules on record."""
    cause, rules = Cause(found.cause), [rule for rule in policies.rules if rule.name in found.rules]
    said = first_message(rules)
    if not told.listed or SHOWN in told.assumed:
        said = told.message
    elif cause is Cause.CREDENTIAL:
        said = ASTRAY
    elif cause is Cause.PLACEHOLDER:
        said = PLACEHOLDER
    elif cause is Cause.RULE:
        said = denied_by(rules, call)
    elif cause is Cause.ERROR:
        said = _error(rules, policies, call)
    elif cause is Cause.LIMIT and not said:
        said = next(map(reached, charges_of(rules[:1], call).values()), "")
    elif cause is Cause.APPROVAL and not said:
        said = NEEDS_APPROVAL
    return said


def _error(rules: list[CompiledRule], policies: PolicySet, call: Invocation) -> str:
    if not rules:
        return NO_SESSION
    # What allows a call and cannot be applied says nothing.
    if rules[0].effect != "deny":
        return ""
    candidates = policies.candidates_of(call)
    bound = bind(candidates, call)
    holding(candidates, "deny", bound)  # What no condition can read is known once one was asked.
    return why_failed(rules, bound)


def _as_sent(policies: PolicySet, call: Invocation) -> Iterator[Json]:
    """The arguments that may be on record of the call: rules may have set some."""
    yield call.args
    setting = [rule for rule in policies.candidates_of(call).all if rule.written.argument][:MOST_SETTING]
    for count in range(1, len(setting) + 1):
        for some in combinations(setting, count):
            with suppress(ObligationError):
                yield with_arguments(call, arguments_of_rules(some)).args


def _session(decision: dict[str, Any]) -> StoredSession:
    """The session as it was, as far as it was recorded."""
    labels, facts = decision.get("session_labels", []), decision.get("session_facts", [])
    return StoredSession(labels=list(labels), facts=list(facts))


def _asked(
    found: Recorded, decision: dict[str, Any], args: dict[str, Json], kind: str, under: _Under
) -> hypothesis.Supposition:
    options = under.options
    named = who_began(str(decision.get("session")), found.principal, found.agent)
    source, who = named or split_principal(found.principal)
    if not (options.principal or options.source):
        options.group = found.groups if options.group is None else options.group
        options.claims = found.claims if options.claims is None else options.claims
    options.principal, options.source = options.principal or who, options.source or source
    name = found.tool or found.subject
    target = hypothesis.target_of(options, found.server, kind, name, under.config) if kind else None
    if target is not None and target.known:
        # The snapshot may be of another time.
        same = target.listed.digest == decision.get("tool_digest", target.listed.digest)
        target = hypothesis.RequestTarget(target.listed, known=same)
    invocation = Invocation(
        id=found.id,
        method=found.method,
        principal=hypothesis.principal_of(options),
        now=options.now or datetime.fromisoformat(found.at),
        agent=options.agent or found.agent,
        server=found.server,
        target=None if target is None else target.listed,
        args=args,
        params={"arguments": args},
    )
    return hypothesis.Supposition(invocation, target)


def _digest(args: Json) -> str:
    return sha256(encode(args)).hexdigest()


def _find(ids: list[str], config: Config | None) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The records of a decision and of its outcome, {} if there is none yet, and where their file was
    altered, "" for nowhere. Raises AuditError."""
    if len(ids) != 1:
        raise AuditError(
            "explain takes the id of one recorded call; for a call that was not made, name it with --server "
            "and --tool"
        )
    folder, files = evidence_folder(config), _files_of(config)
    for parent in {file.parent for file in files}:
        call = calls_by_id(parent, ids).get(ids[0])
        if call is not None and (several := call.several(ids[0])):
            raise AuditError(several)
    for file in reversed(files):
        found = list(_records(reader.sound_lines(file, {}), ids[0]))
        decisions = [record for record in found if record["kind"] == "decision"]
        if decisions:
            outcome: dict[str, Any] = next(
                (record for record in reversed(found) if record["kind"] == "outcome"), {}
            )
            return _decided(decisions), outcome, altered_at(file, files)
    if counted := counted_in(folder, ids[0]):
        raise AuditError(f"{ids[0]!r} {counted}")
    altered = next(filter(None, (altered_at(file, files) for file in files)), "")
    lost = f", but it may have been removed: {altered}" if altered else ""
    raise AuditError(
        f"no call {ids[0]!r} is on record in {folder}{lost}: a refusal quotes its id, such as "
        "4f1c09aa-17, and `mcpguard audit show` lists the last ones. Another "
        "configuration? `--config FILE`"
    )


def _files_of(config: Config | None) -> list[Path]:
    """The chains in which a call may stand: those of the configuration last, and before them those of
    `mcpguard wrap`, which has none. Raises AuditError where there are none."""
    folder, of_wrap = evidence_folder(config), evidence_folder(None)
    found: list[Path] = []
    if folder.resolve() != of_wrap.resolve():
        with suppress(reader.NothingRecorded):
            found = reader.chain_files(of_wrap)
    try:
        return [*found, *reader.chain_files(folder)]
    except reader.NothingRecorded:
        if not found:
            raise
        return found


def _decided(decisions: list[dict[str, Any]]) -> dict[str, Any]:
    """The last of the decisions about a call; where it ended while a person was asked, the rules that asked
    are the ones that decided, and `_ENDED` says why."""
    *_, last = decisions
    asked = next((one for one in decisions if one.get("effect") == "ask"), None)
    if last.get("effect") == "ask":  # It waits still.
        return {**last, "effect": "deny"}
    if asked is None or str(last.get("cause")) not in UNDECIDED:
        return last
    return {**asked, "effect": "deny", _ENDED: last["cause"]}


def altered_at(file: Path, files: list[Path]) -> str:
    """What is wrong with `file` by itself, and by what the first records of the others state about its
    end."""
    claims = (claim for one in files for claim in anchors(next(reader.sound_lines(one, {}), b"")))
    heads = [claim.head for claim in claims if claim.file == reader.chain_name(file)]
    flaws = reader.examined(file, heads).flaws
    return f"{reader.file_name(file)}, line {flaws[0].line} {flaws[0].what}" if flaws else ""


def _records(chain: Iterator[bytes], id_: str) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    name = id_.encode(errors="replace")
    for line in chain:
        record = decoded(decoder.decode, line) if name in line else None
        if record is not None and record.get("id") == id_ and isinstance(record.get("kind"), str):
            yield record
