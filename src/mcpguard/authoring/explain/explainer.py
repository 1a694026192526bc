"""Why a request is allowed or not: the decision once more, with all that it hung on.

Law of this file: the verdict is `decide`'s own; what is reported besides is computed from the same rules and
the same request, and changes nothing.
"""

from collections.abc import Iterable

from msgspec import Struct

from mcpguard.authoring.explain.changes import Changes, verdict_of
from mcpguard.authoring.explain.explanation import Considered, Done, Explanation, Operand, Outcome, Returned
from mcpguard.authoring.explain.reasons import reason_of
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.tree import DecidedTree, tree_of
from mcpguard.core.model import Cause, Charge, Deny, Detection, Invocation, Json, Permit
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.obligations import ObligationError, arguments_of, charges_of, credential_of
from mcpguard.core.policy.pdp import bind, candidates_of, decide, over, visible
from mcpguard.core.policy.review import review
from mcpguard.core.policy.session import Session

_OUTCOMES: dict[Verdict, Outcome] = {
    TRUE: "held",
    FALSE: "did not hold",
    ERROR: "could not be evaluated",
}
_WHY = {
    Cause.RULE: "a deny that holds overrides every ask and every allow",
    Cause.APPROVAL: "an ask that holds, or cannot be evaluated, overrides every allow: a person must approve",
    Cause.NO_RULE: "no allow rule holds, and what no rule allows is refused",
    Cause.ARGUMENTS: "arguments that do not fit the schema of the tool are refused before a rule is asked",
    Cause.CREDENTIAL: "a held credential goes to no server that it is not bound to, whatever the rules say",
    Cause.LIMIT: "rules allow it, but one of their limits is reached",
    Cause.ERROR: "a deny that cannot be evaluated refuses, since an error only tightens",
}
_CONFLICTS = (
    (charges_of, "its cost is not a whole number above 0"),
    (lambda rules, _: arguments_of(rules), "they set the same argument to different values"),
    (lambda rules, _: credential_of(rules), "they choose different credentials"),
)


class Result(Struct, frozen=True):
    """What came back: inspected, with what was taken out."""

    value: Json
    findings: tuple[Detection, ...] = ()


def explain(
    policies: PolicySet, invocation: Invocation, session: Session, result: Result | None = None
) -> Explanation:
    """Explain the verdict on `invocation`, and the one on `result`, which is that of this call. `session` is
    left as it is."""
    verdict = decide(policies, invocation, session)
    # Where rules set arguments, what counts is the call that is sent.
    call = verdict.invocation
    candidates = candidates_of(policies, call)
    bound = bind(_all(candidates), call, session)
    told = Explanation(
        effect="allow",
        why=_why(verdict, candidates),
        rules=verdict.rules,
        listed=call.target is None or visible(policies, call),
        candidates=considered(candidates, call, bound, verdict.rules),
        shadow=verdict.shadow,
    )
    if isinstance(verdict, Permit):
        given = None if result is None else _returned(policies, verdict, session.after(verdict), result)
        return told.model_copy(update={"done": _done(verdict, candidates, session), "result": given})
    changes = Changes(candidates, call, bound, session, lambda other: decide(policies, other, session))
    refusal = {
        "effect": "ask" if verdict.cause is Cause.APPROVAL else "deny",
        "cause": verdict.cause.value,
        "message": verdict.message,
        "changes": changes.of(verdict),
    }
    return told.model_copy(update=refusal)


def considered(
    candidates: Candidates, call: Invocation, bound: Bound, deciding: Iterable[str]
) -> tuple[Considered, ...]:
    """The rules that apply to `call`, deny first, with what each came to; `deciding` are the names of those
    that made the verdict."""
    return tuple(_considered(rule, call, bound, rule.name in deciding) for rule in _all(candidates).all)


def _all(candidates: Candidates) -> Candidates:
    """With those in shadow mode."""
    return candidates.trial or candidates


def _considered(rule: CompiledRule, call: Invocation, bound: Bound, deciding: bool) -> Considered:
    verdict = verdict_of(rule, bound)
    return Considered(
        rule=rule.name,
        effect=rule.effect,
        outcome="ended" if over(rule, call) else _OUTCOMES[verdict],
        decided=deciding and not rule.shadow,
        shadow=rule.shadow,
        operands=tuple(_operands(rule, bound)),
    )


def _operands(rule: CompiledRule, bound: Bound) -> Iterable[Operand]:
    if rule.condition is None or rule.when is None:
        return
    decided = DecidedTree(rule.condition.engine, bound)
    for depth, node in tree_of(rule.when).walk():
        verdict = decided.verdict(node)
        reason = reason_of(node.text, verdict, bound.view) if node.logic == "atom" else ""
        yield Operand(text=node.text, depth=depth, value=verdict.value, reason=reason)


def _why(verdict: Permit | Deny, candidates: Candidates) -> str:
    if isinstance(verdict, Permit):
        asking = [rule.name for rule in candidates.ask if rule.name in verdict.rules]
        if not asking:
            return "no deny and no ask holds, and an allow does"
        by = [rule.name for rule in candidates.allow if rule.approves.intersection(asking)]
        answers = " and ".join(name for name in by if name in verdict.rules)
        return f"no deny holds, and what {' and '.join(asking)} would ask is approved in advance by {answers}"
    allow = [rule for rule in candidates.allow if rule.name in verdict.rules]
    if verdict.cause is not Cause.ERROR or not allow:
        return _WHY[verdict.cause]
    return f"the rules that allow it cannot be applied: {_conflict(allow, verdict.invocation)}"


def _conflict(allow: list[CompiledRule], call: Invocation) -> str:
    for wish, said in _CONFLICTS:
        try:
            wish(allow, call)
        except ObligationError:
            return said
    return "with the arguments that they set, other rules set other arguments"


def _done(permit: Permit, candidates: Candidates, session: Session) -> Done:
    allow = [rule for rule in candidates.allow if rule.name in permit.rules]
    costs = {rule.name: rule.written.limit.cost for rule in allow if rule.written.limit is not None}
    return Done(
        redact=permit.redact,
        labels=permit.labels,
        facts=permit.facts,
        arguments=tuple(sorted(arguments_of(allow))),
        credential=permit.credential,
        limits=tuple(_limit(charge, costs, session, permit.invocation) for charge in permit.charges),
    )


def _limit(charge: Charge, costs: dict[str, int | str], session: Session, call: Invocation) -> str:
    """`costs` are those of the rules, by name. One that is computed of an argument is not told."""
    per = "in this session" if not charge.seconds else f"in {charge.per}"
    used = session.used(charge, call.now)
    cost = costs[charge.key.split(" ")[0]]
    told = {"calls": "1", "bytes": "those of the result", "units": str(cost)}
    return f"{charge.unit}: {told[charge.unit]}; {used} of {charge.most} {per} were used before"


def _returned(policies: PolicySet, permit: Permit, session: Session, result: Result) -> Returned:
    call = permit.invocation
    found = review(policies, call, result.value, result.findings, session)
    candidates = candidates_of(policies, call, "result")
    kinds = sorted({finding.kind for finding in result.findings})
    bound = bind(_all(candidates), call, session, result=result.value, findings=kinds)
    denied = found.denied
    return Returned(
        effect="allow" if denied is None else "withhold",
        why="no deny on results holds" if denied is None else _WHY[denied.cause],
        rules=found.rules,
        message="" if denied is None else denied.message,
        findings=tuple(kinds),
        candidates=considered(candidates, call, bound, found.rules),
        done=Done(redact=found.redact, labels=found.labels, facts=found.facts),
        shadow=found.shadow,
    )
