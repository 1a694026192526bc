"""The second decision, on the result: rules with `on: result` withhold it, redact more of it, or add labels
and facts to the session.

Law of this file: as for calls, errors fail closed. An erroring `deny` withholds; an erroring or expired
`allow` still redacts and labels, but states no facts. For an observed server nothing is withheld, and facts
are stated only if nothing would have been refused.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, structs

from mcpguard.core.conditions.cel import Bound
from mcpguard.core.functions import Holds, nothing_held
from mcpguard.core.model import Cause, Deny, Detection, Invocation, Json, Permit
from mcpguard.core.policy.compiled import Candidates, PolicySet
from mcpguard.core.policy.pdp import bind, holding, names, over, union
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.wording import first_message, why_failed


class Review(Struct, frozen=True):
    """What is to be done with a result. `rules` are those that had a say; `denied` withholds it."""

    rules: tuple[str, ...] = ()
    denied: Deny | None = None
    redact: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    shadow: str = ""
    """What rules in shadow mode would have done otherwise, "" for nothing."""
    observed: Deny | None = None
    """What the policies would withhold it with, where they are only observed."""
    spotlight: bool = False
    """Whether its texts are marked as data of the server."""


UNTOUCHED = Review()


def review(
    policies: PolicySet,
    invocation: Invocation,
    result: Json,
    findings: tuple[Detection, ...],
    session: Session | None = None,
    holds: Holds = nothing_held,
) -> Review:
    """What the rules decide on `result`, inspected already; for an error of the upstream it is
    {"error": …}. `findings` are what was taken out."""
    candidates = policies.candidates_of(invocation, "result")
    if candidates.trial is None and not candidates.all:
        return UNTOUCHED
    kinds = sorted({finding.kind for finding in findings})
    bound = bind(candidates, invocation, session, holds, result=result, findings=kinds)
    found = _judge(candidates, invocation, bound)
    trial = found if candidates.trial is None else _judge(candidates.trial, invocation, bound)
    shadow = _differs(found, trial)
    if found.denied is not None and policies.observes(invocation):
        goes_on = _going_on(candidates, invocation, bound)
        found = structs.replace(goes_on, facts=(), observed=found.denied)
    return structs.replace(found, shadow=shadow) if shadow else found


def foreseen(
    policies: PolicySet,
    invocation: Invocation,
    session: Session | None = None,
    holds: Holds = nothing_held,
) -> Review:
    """What the rules may label whatever the result will be: something that the server says reaches the client
    before. A condition on the result cannot be evaluated yet, so it labels."""
    candidates = policies.candidates_of(invocation, "result")
    if not any(rule.written.label for rule in candidates.allow):
        return UNTOUCHED
    true, failed = holding(candidates, "allow", bind(candidates, invocation, session, holds))
    labelling = [rule for rule in true + failed if rule.written.label]
    return Review(names(labelling), labels=union("label", labelling))


def settle(
    policies: PolicySet, permit: Permit, found: Review, session: Session, size: int, now: datetime
) -> Review:
    """Keep in `session` what the reviewed result of `permit` costs and adds; it came `now` and has `size`
    bytes. Gives the Review to act on: where the bytes exceed a limit the result is withheld, and then costs
    and adds nothing."""
    if found.denied is not None:
        return found
    if permit.observed is not None:
        found = structs.replace(found, facts=())
    charges = [structs.replace(one, amount=size) for one in permit.charges if one.unit == "bytes"]
    full = [charge for charge in charges if not session.room(charge, now)]
    if full:
        full_rules = {charge.key.partition(" ")[0] for charge in full}
        rules = [rule for rule in policies.rules if rule.name in full_rules]
        said = f"the limit of {full[0].most} bytes in {full[0].window} would be exceeded"
        deny = Deny(permit.invocation, Cause.LIMIT, tuple(sorted(full_rules)), first_message(rules) or said)
        if not policies.observes(permit.invocation):
            return Review(deny.rules, deny, shadow=found.shadow)
        found = structs.replace(found, facts=(), observed=found.observed or deny)
    for charge in charges:
        session.charge(charge, now)
    # While the call was open its session may have ended, and with it the labels of the call.
    session.add(permit.labels + found.labels, found.facts, permit, found.rules)
    return found


def _judge(candidates: Candidates, invocation: Invocation, bound: Bound) -> Review:
    denied, failed = holding(candidates, "deny", bound)
    if denied or failed:
        cause = Cause.RULE if denied else Cause.ERROR
        refusing = denied or failed
        said = first_message(refusing) if denied else why_failed(refusing, bound)
        return Review(names(refusing), Deny(invocation, cause, names(refusing), said))
    return _going_on(candidates, invocation, bound)


def _going_on(candidates: Candidates, invocation: Invocation, bound: Bound) -> Review:
    """What is done with a result that no rule withholds."""
    true, failed = holding(candidates, "allow", bound)
    return Review(
        names(true + failed),
        None,
        union("redact", true + failed),
        union("label", true + failed),
        union("fact", [rule for rule in true if not over(rule, invocation)]),
        spotlight=any([rule.written.spotlight for rule in true + failed]),
    )


def _differs(found: Review, trial: Review) -> str:
    """What rules in shadow mode change: "EFFECT RULE …", "" for nothing."""
    if found == trial:
        return ""
    effect = "allow" if trial.denied is None else f"deny ({trial.denied.cause.value})"
    return " ".join([effect, *trial.rules])
