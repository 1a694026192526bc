"""Why a request is allowed or not: the decision once more, with all that it hung on.

Law of this file: the verdict is `decide`'s own; what is reported besides is computed from the same rules and
the same request, and changes nothing.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from mcpguard.authoring.explain.changes import Changes
from mcpguard.authoring.explain.explanation import (
    ConsideredRule,
    Done,
    Explanation,
    Operand,
    Outcome,
    ResultDecision,
    WouldRefuse,
)
from mcpguard.authoring.explain.unknown import SUPPLY, WHOLE, Unknown, leaves_open, reason_of, shown
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.tree import DecidedTree, tree_of
from mcpguard.core.model import Cause, Charge, Deny, Detection, Invocation, Json, Listed, Permit
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.obligations import ObligationError, arguments_of, charges_of, credential_of
from mcpguard.core.policy.pdp import bind, decide, no_session, over
from mcpguard.core.policy.review import review
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.tickets import Ticket
from mcpguard.core.policy.wording import and_then
from mcpguard.core.redaction.removal.unredacted import exception_in_words
from mcpguard.protocol import refusals

_OUTCOMES: dict[Verdict, Outcome] = {TRUE: "held", FALSE: "did not hold", ERROR: "could not be evaluated"}
ALLOWED = "no deny rule and no ask rule matches, and an allow rule does"
WHY = {
    Cause.RULE: "a matching deny rule overrides every ask rule and every allow rule",
    Cause.APPROVAL: "a matching ask rule (or one that cannot be evaluated) overrides every allow rule: a "
    "person must approve",
    Cause.NO_RULE: "no allow rule matches, and calls are denied by default",
    Cause.ARGUMENTS: "arguments that do not match the tool's schema are refused before any rule is evaluated",
    Cause.CREDENTIAL: "a held credential is only sent to servers that it is bound to, whatever the rules say",
    Cause.PLACEHOLDER: "a tool would overwrite the original with a placeholder of mcpguard",
    Cause.PIN: "it is held back, since its definition is not one that was accepted: `mcpguard pins` shows "
    "what is different",
    Cause.LIMIT: "rules allow it, but one of their limits is reached",
    Cause.ERROR: "a deny rule that cannot be evaluated refuses the call, since errors fail closed",
}
_NOT_APPROVED = "a matching ask rule overrides every allow rule, and no approval is valid for it"
UNANSWERED = "nobody has answered about this very call by other rules"
SHOWN = "it is listed: otherwise it is refused as if it did not exist"
_A_DENY: dict[str, object] = {
    "effect": "deny",
    "why": "a deny rule refuses it; which one depends on what is not known here",
}
OBSERVED = "the policies would refuse it, but its server is only observed, so it is recorded and let through"
OBSERVED_RESULT = "the policies would withhold it, but its server is only observed"
_OBSERVED_VAGUE = (
    "its server is only observed, so it is let through whatever the policies decide, which depends on what "
    "is not known here"
)
_DEPENDS = "it depends on what is not known here"
_CONFLICTS = (
    (charges_of, "its cost is not a whole number above 0"),
    (lambda rules, _: arguments_of(rules), "they set the same argument to different values"),
    (lambda rules, _: credential_of(rules), "they choose different credentials"),
)


class InspectedResult(Struct, frozen=True):
    """What came back: inspected, with what was taken out."""

    value: Json
    findings: tuple[Detection, ...] = ()


class KnownFacts(Struct, frozen=True):
    """What is known beside the request. `ticket` finds the one by which these rules asked a person about a
    call; `approved` are rules for which a person has approved it."""

    unknown: Unknown = WHOLE
    ticket: Callable[[Invocation, tuple[str, ...]], Ticket | None] = lambda _call, _rules: None
    approved: frozenset[str] = frozenset()


ALL = KnownFacts()


def explain(
    policies: PolicySet,
    invocation: Invocation,
    session: Session | None,
    result: InspectedResult | None = None,
    known: KnownFacts = ALL,
) -> Explanation:
    """Explain the verdict on `invocation`, and the one on `result`, which is that of this call. `session` is
    left as it is; None is one that cannot be read."""
    if session is None and policies.depends:
        return _explanation(policies, no_session(invocation), Session(), WHOLE)
    verdict = decide(policies, invocation, session, approved=known.approved)
    if isinstance(verdict, Deny) and verdict.cause is Cause.APPROVAL:
        return _asked(policies, verdict, session or Session(), known)
    tell = _observed if policies.observes(invocation) else _explanation
    told = tell(policies, verdict, session or Session(), known.unknown)
    if result is None or isinstance(verdict, Deny):
        return told
    given = _returned(policies, verdict, (session or Session()).after(verdict), result)
    return told.model_copy(update={"result": given})


def _asked(policies: PolicySet, verdict: Deny, session: Session, known: KnownFacts) -> Explanation:
    """A call that a person must approve: how its ticket stands, or why nobody is asked."""
    # Imported where it is needed: it brings asyncio along.
    from mcpguard.gateway.questions.approvals import NO_CHANNEL, refusal_by

    rules: frozenset[str] = frozenset()
    would: Permit | Deny = verdict
    # Rules may also ask about the arguments that others set.
    while isinstance(would, Deny) and would.cause is Cause.APPROVAL:
        rules |= frozenset(would.rules)
        would = decide(policies, verdict.invocation, session, approved=known.approved | rules)
    if isinstance(would, Deny):
        return _explanation(policies, would, session, known.unknown)
    ticket = known.ticket(would.invocation, tuple(sorted(rules)))
    refusal = NO_CHANNEL if ticket is None and not policies.terms(rules).via else ""
    if ticket is not None:
        refusal = refusal_by(ticket)
    approved = ticket is not None and not refusal
    told = _explanation(policies, would if approved else verdict, session, known.unknown)
    if told.effect == "unknown":
        return told
    more: dict[str, object] = {} if ticket is None else {"approval": _standing(ticket)}
    if any(one.outcome == "not known" and one.effect == "ask" for one in told.candidates):
        # A ticket is of all the rules that ask, so it is not known which one would be this call's.
        more |= {"assumed": (*told.assumed, UNANSWERED)}
    if not approved and refusal and (ticket is None or ticket.answer is not None):
        said = and_then(verdict.message, refusal)
        more |= {"effect": "deny", "why": _NOT_APPROVED, "message": said, "changes": ()}
    return told.model_copy(update=more)


def _standing(ticket: Ticket) -> str:
    answer = ticket.answer
    if answer is None:
        return f"{ticket.id}, which nobody has answered"
    return f"{ticket.id}, {answer.verdict} by {answer.by} ({answer.via})"


def _observed(policies: PolicySet, verdict: Permit | Deny, session: Session, unknown: Unknown) -> Explanation:
    """The same for a server that is only observed."""
    refusal = verdict.observed if isinstance(verdict, Permit) else None
    told = _explanation(policies, refusal or verdict, session, unknown)
    candidates = policies.candidates_of(verdict.invocation)
    bound = bind(_all(candidates), verdict.invocation, session)
    # Whatever may hold beside the refusal adds what it limits or sets.
    offering = candidates.ask + candidates.allow
    adding = [rule for rule in offering if rule.adds and unknown.verdict(rule, bound) is None]
    if told.unknown or (refusal is not None and adding):
        unsure = {"effect": "unknown", "why": _OBSERVED_VAGUE, "cause": "", "message": "", "changes": ()}
        supply = dict.fromkeys([*told.unknown, *_supply(adding, unknown)])
        return told.model_copy(update=unsure | {"rules": (), "unknown": tuple(supply)})
    if refusal is None or isinstance(verdict, Deny):
        return told
    return told.model_copy(
        update={
            "effect": "allow",
            "why": OBSERVED,
            "rules": _sure(verdict.rules, told.candidates),
            "cause": "",
            "message": "",
            "done": _done(verdict, candidates, session, unknown),
            "observed": _would(refusal).model_copy(update={"rules": _sure(refusal.rules, told.candidates)}),
        }
    )


def _would(refusal: Deny) -> WouldRefuse:
    return WouldRefuse(cause=refusal.cause.value, rules=refusal.rules, message=refusal.message)


def _explanation(
    policies: PolicySet, verdict: Permit | Deny, session: Session, unknown: Unknown
) -> Explanation:
    # Where rules set arguments, what counts is the call that is sent.
    call = verdict.invocation
    candidates = policies.candidates_of(call)
    bound = bind(_all(candidates), call, session)
    found = considered(candidates, call, bound, verdict.rules, unknown)
    told = Explanation(
        effect="allow",
        why=_why(verdict, candidates),
        rules=_sure(verdict.rules, found),
        assumed=unknown.assumed,
        candidates=found,
        shadow=verdict.shadow,
    )
    vague = any(one.outcome == "not known" for one in told.candidates)
    unsure = leaves_open(unknown, candidates, bound, verdict)
    if isinstance(verdict, Permit) and not unsure:
        return told.model_copy(update={"done": _done(verdict, candidates, session, unknown)})
    listing = {} if call.target is None else _hidden(shown(unknown, policies, call), call.target, unknown)
    if unsure:
        refused = _fails(told) and all(rule.effect == "deny" for rule in unsure)
        return told.model_copy(update=_open(unsure, unknown) | listing | (_A_DENY if refused else {}))
    assert isinstance(verdict, Deny)  # noqa: S101 - the other verdict was returned
    refusal: dict[str, object] = {
        "effect": "ask" if verdict.cause is Cause.APPROVAL else "deny",
        "cause": verdict.cause.value,
        "message": verdict.message,
    }
    if not vague:
        enforced = policies.observing(None)
        changes = Changes(candidates, call, bound, session, lambda other: decide(enforced, other, session))
        refusal["changes"] = changes.of(verdict)
    return told.model_copy(update=refusal | listing)


def _sure(rules: tuple[str, ...], found: tuple[ConsideredRule, ...]) -> tuple[str, ...]:
    """Those of which it is known whether they hold."""
    vague = {one.rule for one in found if one.outcome == "not known"}
    return tuple(rule for rule in rules if rule not in vague)


def _fails(told: Explanation) -> bool:
    """Whether a deny that cannot be evaluated refuses it in any case."""
    return any(
        one.effect == "deny" and not one.shadow and one.outcome == "could not be evaluated"
        for one in told.candidates
    )


def _open(unsure: Iterable[CompiledRule], unknown: Unknown) -> dict[str, object]:
    said = _supply(unsure, unknown)
    return {"effect": "unknown", "why": _DEPENDS, "rules": (), "shadow": "", "unknown": said}


def _supply(unsure: Iterable[CompiledRule], unknown: Unknown) -> tuple[str, ...]:
    names = sorted({name for rule in unsure for name in unknown.read_by(rule.when)})
    return tuple(SUPPLY[name] for name in names)


def _hidden(listed: bool | None, target: Listed, unknown: Unknown) -> dict[str, object]:
    """What the refusal of something is that lists do not show, or may not."""
    if listed is None:
        return {"message": "", "assumed": (*unknown.assumed, SHOWN)}
    return {} if listed else {"listed": False, "message": no_such(target.kind, target.exposed)}


def no_such(kind: str, exposed: str) -> str:
    """What the model is told where something is not there, or is hidden from it."""
    said: str = refusals.unknown(kind, exposed, False, "")["message"]
    return said


def considered(
    candidates: Candidates, call: Invocation, bound: Bound, deciding: Iterable[str], unknown: Unknown = WHOLE
) -> tuple[ConsideredRule, ...]:
    """The rules that apply to `call`, deny first, with the value of each; `deciding` are the names of those
    that made the verdict."""
    return tuple(
        _considered(rule, call, bound, rule.name in deciding, unknown) for rule in _all(candidates).all
    )


def _all(candidates: Candidates) -> Candidates:
    """With those in shadow mode."""
    return candidates.trial or candidates


def _considered(
    rule: CompiledRule, call: Invocation, bound: Bound, deciding: bool, unknown: Unknown
) -> ConsideredRule:
    verdict = unknown.verdict(rule, bound)
    outcome = "not known" if verdict is None else _OUTCOMES[verdict]
    return ConsideredRule(
        rule=rule.name,
        place=rule.place,
        effect=rule.effect,
        outcome="ended" if over(rule, call) else outcome,
        decided=deciding and not rule.shadow and verdict is not None,
        shadow=rule.shadow,
        operands=tuple(_operands(rule, bound, unknown)),
    )


def _operands(rule: CompiledRule, bound: Bound, unknown: Unknown) -> Iterable[Operand]:
    if rule.condition is None or rule.when is None:
        return
    decided = DecidedTree(rule.condition.engine, unknown.seen_by(rule.when, bound))
    for depth, node in tree_of(rule.when).walk():
        verdict = decided.verdict(node)
        if verdict is ERROR and unknown.read_by(node.text):
            yield Operand(text=node.text, depth=depth, value="unknown")
            continue
        reason = reason_of(node.text, verdict, bound.view) if node.logic == "atom" else ""
        yield Operand(text=node.text, depth=depth, value=verdict.value, reason=reason)


def _why(verdict: Permit | Deny, candidates: Candidates) -> str:
    if isinstance(verdict, Permit):
        asking = [rule.name for rule in candidates.ask if rule.name in verdict.rules]
        if not asking:
            return ALLOWED
        by = [rule.name for rule in candidates.allow if rule.approves.intersection(asking)]
        answers = " and ".join(name for name in by if name in verdict.rules)
        if not answers:
            return f"no deny holds, and a person has approved what {' and '.join(asking)} would ask"
        return f"no deny holds, and what {' and '.join(asking)} would ask is approved in advance by {answers}"
    allow = _allowing(candidates, verdict)
    if verdict.cause is not Cause.ERROR or not allow:
        return WHY[verdict.cause]
    return f"the rules that allow it cannot be applied: {_conflict(allow, verdict.invocation)}"


def _allowing(candidates: Candidates, verdict: Permit | Deny) -> list[CompiledRule]:
    """The rules that allow it, among them those that ask and were approved."""
    return [rule for rule in candidates.ask + candidates.allow if rule.name in verdict.rules]


def _conflict(allow: list[CompiledRule], call: Invocation) -> str:
    for wish, said in _CONFLICTS:
        try:
            wish(allow, call)
        except ObligationError:
            return said
    return "with the arguments that they set, other rules set other arguments"


def _done(permit: Permit, candidates: Candidates, session: Session, unknown: Unknown) -> Done:
    allow = _allowing(candidates, permit)
    costs = {rule.name: rule.written.limit.cost for rule in allow if rule.written.limit is not None}
    counted = None if unknown.limits or "session" in unknown.known else session
    return Done(
        redact=permit.redact,
        unredacted=tuple(map(exception_in_words, permit.unredacted)),
        spotlight=permit.spotlight,
        labels=permit.labels,
        facts=permit.facts,
        arguments=tuple(sorted(arguments_of(allow))),
        credential=permit.credential,
        limits=tuple(_limit(charge, costs, counted, permit.invocation) for charge in permit.charges),
    )


def _limit(charge: Charge, costs: dict[str, int | str], counted: Session | None, call: Invocation) -> str:
    """`costs` are those of the rules, by name. One that is computed of an argument is not told. `counted` is
    the session, None where it is not known what it had counted."""
    per = "in this session" if not charge.seconds else f"in {charge.per}"
    used = "an unknown number" if counted is None else counted.used(charge, call.now)
    cost = costs[charge.key.split(" ")[0]]
    told = {"calls": "1", "bytes": "those of the result", "units": str(cost)}
    return f"{charge.unit}: {told[charge.unit]}; {used} of {charge.most} {per} were used before"


def _returned(
    policies: PolicySet, permit: Permit, session: Session, result: InspectedResult
) -> ResultDecision:
    call = permit.invocation
    found = review(policies, call, result.value, result.findings, session)
    candidates = policies.candidates_of(call, "result")
    kinds = sorted({finding.kind for finding in result.findings})
    bound = bind(_all(candidates), call, session, result=result.value, findings=kinds)
    denied, withheld = found.denied, found.observed
    let_through = OBSERVED_RESULT if withheld else "no deny on results holds"
    return ResultDecision(
        effect="allow" if denied is None else "withhold",
        why=let_through if denied is None else WHY[denied.cause],
        rules=found.rules,
        message="" if denied is None else denied.message,
        findings=tuple(kinds),
        candidates=considered(candidates, call, bound, found.rules),
        done=Done(
            redact=found.redact,
            spotlight=found.spotlight,
            labels=found.labels,
            facts=() if permit.observed else found.facts,
        ),
        shadow=found.shadow,
        observed=None if withheld is None else _would(withheld),
    )
