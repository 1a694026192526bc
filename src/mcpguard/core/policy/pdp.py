"""The policy decision point: an Invocation, the policies and the session so far -> Permit or Deny.

Law of this file: deny by default. Deny overrides ask overrides allow, no match denies, and errors fail
closed: an erroring deny denies, an erroring ask asks, and an erroring or expired allow does not allow or
approve in advance (but still redacts and labels). A `Permit` is constructed only here. For a server that is
only observed, a refusal by rules becomes a Permit that says so; any other refusal stays a refusal. The
verdict depends only on these inputs and the held values: it reads no clock and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from operator import attrgetter

from msgspec import structs
from msgspec.json import Encoder

from mcpguard.core.conditions.cel import ERROR, FALSE, NOTHING, TRUE, Bound
from mcpguard.core.conditions.spelling import CONTAINERS, Spelling, inherited
from mcpguard.core.functions import Holds, ReturnedTexts, nothing_held
from mcpguard.core.model import Cause, Charge, Deny, Invocation, Json, Listed, Permit
from mcpguard.core.policy import obligations, wording
from mcpguard.core.policy.arguments import misfit
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.egress import Egress
from mcpguard.core.policy.pins import held_back
from mcpguard.core.policy.placeholders import placeholders_in
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.terms import Effect
from mcpguard.core.redaction.removal.placeholder import VISIBLE, WORD, carries_placeholder

NEEDS_APPROVAL = "a person has to approve this call."
"""The message of a Deny by an `ask` rule whose author wrote none."""

_OTHERS = "set other arguments because of those that they set"
_encode = Encoder().encode
_name, _adds = attrgetter("name"), attrgetter("adds")
_UNKNOWN: tuple[Json, frozenset[str]] = {}, frozenset()

NO_SESSION = (
    "mcpguard cannot determine what this session did before; `mcpguard status` or `mcpguard session list`"
    " shows an operator why"
)


def decide(
    policies: PolicySet,
    invocation: Invocation,
    session: Session | None = None,
    egress: Egress | None = None,
    approved: frozenset[str] = frozenset(),
) -> Permit | Deny:
    """Whether `invocation` may go on. `rules` of the answer are the rules that decided, by name; with
    several that refuse, `message` is that of the first which has one.

    The invocation of a Permit is the one to send: with the arguments that its rules set. `session` is
    needed where the policies are `stateful`; without it what depends on it is refused. `egress` knows the
    held values; without it none is held. `approved` are the `ask` rules, by name, for which a person has
    approved this call: they allow it.
    """
    target = invocation.target
    if target is not None and target.held:
        return _held_back(invocation, target, partial(decide, policies, session=session, egress=egress))
    astray = None if egress is None or invocation.server in egress.free else _astray(egress, invocation)
    if astray is not None:
        return astray
    # As `candidates_of` does, on the road of every call.
    tool = target.name if target is not None and target.kind == "tool" else None
    known = policies.known.get((invocation.server, tool, invocation.method, "call"))
    candidates = known or policies.candidates_of(invocation)
    sent = _encode(invocation.params)
    whole = not candidates.setting
    unfit = None if invocation.args is None else _unfit(invocation, candidates.spelling, sent, whole)
    if unfit is not None and not (policies.observes(invocation) and _by_rules(unfit, candidates, sent)):
        return unfit
    holds = nothing_held if egress is None else egress.holds
    verdict = settled = unfit or _settled(candidates, invocation, session, holds, approved)
    if invocation.begun is not None:
        verdict = settled = _as_begun(settled, candidates, policies, session, holds)
    if not isinstance(settled, Permit) and policies.observes(invocation):
        verdict = _observed(settled, _settled(candidates, invocation, session, holds, None))
    if egress is not None and verdict.invocation is not invocation and isinstance(verdict, Permit):
        verdict = _astray(egress, verdict.invocation) or verdict
    # `in` raises an error within and drops it, to find out that what it looks for is no number.
    if (sent.find(WORD) >= 0 or sent.find(VISIBLE) >= 0) and carries_placeholder(invocation.params):
        misplaced = _misplaced(candidates, invocation, verdict, session, holds)
        if misplaced is not None:
            return misplaced
    if candidates.trial is None:
        return verdict
    tried = _settled(candidates.trial, invocation, session, holds, approved)
    tried = _as_begun(tried, candidates.trial, policies, session, holds)
    shadow = _differs(settled if isinstance(verdict, Permit) else verdict, tried)
    return structs.replace(verdict, shadow=shadow) if shadow else verdict


_TELLING = (Cause.RULE, Cause.NO_RULE, Cause.ERROR)
"""Refusals that say nothing about the definition of their target."""


def _held_back(invocation: Invocation, target: Listed, decide: Callable[[Invocation], Permit | Deny]) -> Deny:
    """The refusal of a call of what is held: that of the rules where they refuse it anyway, since nothing
    must tell that it is there."""
    verdict = decide(structs.replace(invocation, target=structs.replace(target, held=False)))
    if isinstance(verdict, Deny) and verdict.cause in _TELLING:
        return structs.replace(verdict, invocation=invocation)
    return Deny(invocation, Cause.PIN, message=held_back(target, invocation.principal))


_SENDS_NOTHING = frozenset({"tasks/get", "tasks/result", "tasks/cancel"})
"""The requests about a task that give its server nothing but the id."""


def _as_begun(
    verdict: Permit | Deny,
    candidates: Candidates,
    policies: PolicySet,
    session: Session | None,
    holds: Holds,
) -> Permit | Deny:
    """The verdict on a request about a task. Where no rule is about such requests, they are part of the call
    that began it: its rules allow them too, as long as the policies have them for that call. What sends
    anything more to the server is refused where the call would be now, in the session as it has become."""
    begun = verdict.invocation.begun
    if begun is None or begun.observed is not None or candidates.allow or candidates.ask:
        return verdict
    if isinstance(verdict, Permit) or verdict.cause is not Cause.NO_RULE:
        return verdict
    present = policies.candidates_of(begun.invocation)
    if not begun.rules or not set(begun.rules) <= {*names(present.allow), *names(present.ask)}:
        return verdict
    if verdict.invocation.method not in _SENDS_NOTHING:
        call = structs.replace(begun.invocation, now=verdict.invocation.now)
        before = None if session is None else session.without(call)
        again_now = _settled(present, call, before, holds, frozenset(begun.rules))
        if isinstance(again_now, Deny):
            return structs.replace(again_now, invocation=verdict.invocation)
    return Permit(verdict.invocation, begun.rules, began=begun.invocation.id)


def _observed(refusal: Deny, otherwise: Permit | Deny) -> Permit | Deny:
    """The verdict on a refused call that is let through; `otherwise` is the verdict without the refusal."""
    if isinstance(otherwise, Deny):
        return otherwise
    # Facts let rules allow more, also on servers that are not observed.
    return structs.replace(otherwise, facts=(), observed=refusal)


def _misplaced(
    candidates: Candidates, sent: Invocation, verdict: Permit | Deny, session: Session | None, holds: Holds
) -> Deny | None:
    """The refusal of a call that is `sent` with a placeholder of ours, and is allowed or left to a person,
    unless a rule that lets it through wants it so."""
    if isinstance(verdict, Deny) and verdict.cause is not Cause.APPROVAL:
        return None
    bound = bind(candidates, verdict.invocation, session, holds)
    asking, failed = holding(candidates, "ask", bound)
    allowing = [one for one in holding(candidates, "allow", bound)[0] if not over(one, sent)]
    wanted = any(rule.written.placeholders for rule in asking + failed + allowing)
    return None if wanted else Deny(verdict.invocation, Cause.PLACEHOLDER, message=wording.PLACEHOLDER)


def _astray(egress: Egress, invocation: Invocation) -> Deny | None:
    """The refusal of what would carry a credential where it is not bound; a question of a server sends
    nothing there."""
    if invocation.params is None or (invocation.searched and invocation.searched == egress.state):
        return None
    return egress.refused(invocation, invocation.params)


def _by_rules(unfit: Deny, candidates: Candidates, sent: bytes) -> bool:
    """Whether such arguments are refused only because rules read one that the tool does not have."""
    return _unfit(unfit.invocation, candidates.spelling, sent, not candidates.setting, False) is None


def _unfit(
    invocation: Invocation, spelling: Spelling, sent: bytes, whole: bool, decoys: bool = True
) -> Deny | None:
    """The refusal of arguments that do not fit the tool's schema, or are ambiguous; unless `whole`, some may
    be missing. `sent` are the params as JSON text. Without `decoys`, a tool may lack what rules read."""
    target, arguments, said = invocation.target, invocation.args or {}, ""
    about, digest = (None, "") if target is None else (target.about, target.digest)
    if target is not None and target.kind == "tool":
        said = misfit(target.about.get("inputSchema"), digest, arguments, whole)
    known, plain = spelling.plain.get(digest, _UNKNOWN)
    flat = known is about and arguments.keys() <= plain
    if not said and not (flat and CONTAINERS.isdisjoint(map(type, arguments.values()))):
        said = spelling.ambiguous(invocation, decoys)
    # No encoder escapes these letters.
    if not said and (sent.find(b"__proto__") >= 0 or sent.find(b"constructor") >= 0):
        said = inherited(arguments)
    return Deny(invocation, Cause.ARGUMENTS, message=said) if said else None


def no_session(invocation: Invocation) -> Deny:
    """The refusal where the state of the session cannot be read or kept."""
    return Deny(invocation, Cause.ERROR, message=NO_SESSION)


def permit_protocol(invocation: Invocation, credential: str = "") -> Permit:
    """The Permit for a method that carries no data of its own (lists, ping) and so needs no rule. The
    table of methods says which these are; what comes back is filtered and inspected all the same.
    `credential` is that of what the request is about, where rules chose one for it."""
    return Permit(invocation, (), credential=credential)


def within(permit: Permit, begun: Permit) -> Permit:
    """The Permit for a request about what the call `begun` started, a task: it is made with the credential of
    that call where no rule chooses one."""
    if permit.credential or not begun.credential:
        return permit
    return structs.replace(permit, credential=begun.credential)


def again(permit: Permit, params: dict[str, Json]) -> Permit:
    """The same permitted call once more, with `params` that answer what its upstream asked: what was
    decided (target and arguments) is unchanged."""
    return structs.replace(permit, invocation=structs.replace(permit.invocation, params=params))


def bind(
    candidates: Candidates,
    invocation: Invocation,
    session: Session | None = None,
    holds: Holds = nothing_held,
    **more: Json,
) -> Bound:
    """What the conditions of `candidates` may read; `more` are further names."""
    trial = candidates.trial
    if not (candidates.conditional or (trial is not None and trial.conditional)):
        return NOTHING
    principal, caller = invocation.principal, invocation.caller
    view: dict[str, Json] = {
        "action": invocation.method,
        "server": invocation.server,
        "principal": {
            "id": principal.id,
            "source": principal.source,
            "groups": list(principal.groups),
            "claims": principal.claims,
        },
        "client": _client(invocation.agent or "", caller.name, caller.release),
        "now": invocation.now,
        **more,
    }
    target = invocation.target
    if target is not None:
        view["resource" if target.kind == "template" else target.kind] = target.about
    if invocation.args is not None:
        view["args"] = invocation.args
    if session is not None:
        view["session"] = session.view()
    spared = frozenset(invocation.returned)
    bound = Bound(view, candidates.members, ReturnedTexts(holds, spared) if spared else holds)
    if candidates.cheap:
        bound.compute(candidates.cheap)
    return bound


@lru_cache(maxsize=64)
def _client(agent: str, name: str, release: str) -> dict[str, Json]:
    return {"agent": agent, "claims": {"name": name, "version": release}}


def holding(
    candidates: Candidates, effect: Effect, bound: Bound
) -> tuple[list[CompiledRule], list[CompiledRule]]:
    """The candidates of one effect whose conditions are true, and those whose conditions failed."""
    # As `Candidates.open` does, on the road of every call.
    fold = candidates.folded.get(effect)
    if fold is None:
        rules = getattr(candidates, effect)
    elif fold.only is None:
        rules = fold.open(bound)
    else:
        rules = fold.apart if fold.only.verdict(bound) is FALSE else fold.rules
    true: list[CompiledRule] = []
    failed: list[CompiledRule] = []
    for rule in rules:
        condition = rule.condition
        verdict = TRUE if condition is None else bound.known.get(condition) or condition.verdict(bound)
        if verdict is TRUE:
            true.append(rule)
        elif verdict is ERROR:
            failed.append(rule)
    return true, failed


def over(rule: CompiledRule, invocation: Invocation) -> bool:
    """Whether the rule, an `allow`, has ended with its policy."""
    return rule.until is not None and invocation.now >= rule.until


def approved_ahead(candidates: Candidates, invocation: Invocation, bound: Bound) -> frozenset[str]:
    """The `ask` rules, by name, that `allow` rules which hold answer in advance."""
    if not candidates.approving:
        return frozenset()
    true, _ = holding(candidates, "allow", bound)
    return frozenset().union(*[rule.approves for rule in true if not over(rule, invocation)])


def names(rules: Iterable[CompiledRule]) -> tuple[str, ...]:
    """What records call the rules."""
    return tuple(map(_name, rules))


def union(kind: str, rules: Iterable[CompiledRule]) -> tuple[str, ...]:
    """All names that the rules have under `redact`, `label` or `fact`, sorted."""
    return tuple(sorted({name for rule in rules for name in getattr(rule.written, kind)}))


def _settled(
    candidates: Candidates,
    invocation: Invocation,
    session: Session | None,
    holds: Holds,
    approved: frozenset[str] | None,
) -> Permit | Deny:
    """The verdict on the arguments that are sent: those that the rules set which let the call through as it
    came are in place before anything refuses. With None for `approved` no rule refuses, and no limit."""
    arguments: dict[str, Json] = {}
    if candidates.setting:
        _, arguments = _once(candidates, invocation, session, holds, None)
    if not arguments:
        return _once(candidates, invocation, session, holds, approved)[0]
    changed = obligations.with_arguments(invocation, arguments)
    verdict, again_set = _once(candidates, changed, session, holds, approved)
    if isinstance(verdict, Deny):
        # A person is asked about the call as it came: once it is approved, this is done again.
        return structs.replace(verdict, invocation=invocation) if verdict.cause is Cause.APPROVAL else verdict
    if not obligations.are_set(changed, again_set):
        return Deny(invocation, Cause.ERROR, verdict.rules, obligations.DIFFER.format(_OTHERS))
    if (unfit := _unfit(verdict.invocation, candidates.spelling, b"", True, False)) is not None:
        return unfit
    # Also those of a rule that holds no more, since the argument is there now: what it set is sent.
    return structs.replace(verdict, placeholders=placeholders_in({**arguments, **again_set}))


def _once(
    candidates: Candidates,
    invocation: Invocation,
    session: Session | None,
    holds: Holds,
    approved: frozenset[str] | None,
) -> tuple[Permit | Deny, dict[str, Json]]:
    bound = bind(candidates, invocation, session, holds)
    constant, target = candidates.constant, invocation.target
    if constant is not None and (target is constant.target or constant.ask(target, bound)):
        bound.known, bound.members = constant.verdicts, constant.members
    if approved is not None:
        denied, failed = holding(candidates, "deny", bound)
        if denied:
            return Deny(invocation, Cause.RULE, names(denied), wording.denied_by(denied, invocation)), {}
        if failed:
            return Deny(invocation, Cause.ERROR, names(failed), wording.why_failed(failed, bound)), {}
    asking: list[CompiledRule] = []
    if candidates.ask:
        asking, failed = holding(candidates, "ask", bound)
        asking = sorted(asking + failed, key=lambda rule: rule.name)
        left = [] if approved is None else _left(asking, candidates, invocation, bound)
        if approved is not None and any([rule.name not in approved for rule in left]):
            said = wording.first_message(left) or NEEDS_APPROVAL
            return Deny(invocation, Cause.APPROVAL, names(left), said), {}
    true, failed = holding(candidates, "allow", bound)
    allowing = asking
    for rule in true:
        ended = rule.until is not None and invocation.now >= rule.until
        (failed if ended else allowing).append(rule)
    if not allowing and approved is not None:
        others = (rule for rule in candidates.allow if not over(rule, invocation))
        said = wording.known_reason(failed, bound) or wording.what_passes(others)
        return Deny(invocation, Cause.NO_RULE, message=said), {}
    if not failed and not any(map(_adds, allowing)):
        return Permit(invocation, tuple(map(_name, allowing))), {}
    return _allowed(invocation, allowing, failed, session, limited=approved is not None)


def _left(
    asking: list[CompiledRule], candidates: Candidates, invocation: Invocation, bound: Bound
) -> list[CompiledRule]:
    """Those that no rule answers in advance."""
    ahead = approved_ahead(candidates, invocation, bound) if asking else frozenset()
    return [rule for rule in asking if rule.name not in ahead]


def _allowed(
    invocation: Invocation,
    allowing: list[CompiledRule],
    failed: list[CompiledRule],
    session: Session | None,
    limited: bool,
) -> tuple[Permit | Deny, dict[str, Json]]:
    try:
        charges = obligations.charges_of(allowing, invocation)
        arguments = obligations.arguments_of(allowing)
        credential = obligations.credential_of(allowing)
    except obligations.ObligationError as problem:
        return Deny(invocation, Cause.ERROR, names(allowing), str(problem)), {}
    full = _full(charges, invocation, session)
    if full is not None and (limited or full.cause is not Cause.LIMIT):
        return full, {}
    permit = Permit(
        invocation,
        names(allowing),
        union("redact", allowing + failed),
        tuple(charges.values()),
        union("label", allowing + failed),
        union("fact", allowing),
        credential,
        spotlight=any([rule.written.spotlight for rule in allowing + failed]),
        unredacted=obligations.exceptions_of(allowing),
    )
    return permit, arguments


def _full(
    charges: dict[CompiledRule, Charge], invocation: Invocation, session: Session | None
) -> Deny | None:
    if not charges:
        return None
    if session is None:
        return no_session(invocation)
    full = {rule: charge for rule, charge in charges.items() if not session.room(charge, invocation.now)}
    if not full:
        return None
    return Deny(invocation, Cause.LIMIT, names(full), wording.limits_reached(full, invocation, session))


def _differs(verdict: Permit | Deny, trial: Permit | Deny) -> str:
    """What the rules in shadow mode change: "EFFECT RULE …", "" for nothing."""
    if type(verdict) is type(trial) and verdict.rules == trial.rules:
        return ""
    effect = "allow" if isinstance(trial, Permit) else f"deny ({trial.cause.value})"
    return " ".join([effect, *trial.rules])
