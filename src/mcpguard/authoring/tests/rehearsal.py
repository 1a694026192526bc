"""One case of a policy test, from the session so far to the result as it would leave; then what was expected
against the outcome, and why each rule did what it did.

Law of this file: it decides nothing itself. The verdict is that of `core/policy/pdp.py` and
`core/policy/review.py`, the output that of `core/redaction/redactor.py`, in the order in which the gateway
asks them. Two engines may differ in one way only: one of them refuses what the other allows. That is
reported; any other difference fails the case.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct
from pydantic import Field

from mcpguard.authoring.tests.cases import CallEntry, Case, Expect, StepEntry, method_of, target_of
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.tree import SubExpression, parts_of, value_of
from mcpguard.core.document.printed import Printed
from mcpguard.core.errors import InspectionError
from mcpguard.core.model import (
    Caller,
    Cause,
    Deny,
    Detection,
    Invocation,
    Json,
    Listed,
    Permit,
    Principal,
    Redacted,
)
from mcpguard.core.policy.compiled import Candidates, CompiledRule, PolicySet
from mcpguard.core.policy.pdp import bind, decide
from mcpguard.core.policy.review import Review, review, settle
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.terms import Effect, Moment, window_of
from mcpguard.core.policy.tickets import AnswerTerms
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.removal.unredacted import exception_in_words
from mcpguard.protocol.catalogue import about_of


class CaseOutcome(Printed):
    """What became of a case, in the words of its `expect`."""

    effect: Literal["allow", "withhold", "ask", "deny"] = Field(description="What is done.")
    rules: tuple[str, ...] = Field((), description="The rules that decided, as `POLICY/ID`.")
    cause: str = Field(
        "", description="Of a refusal: rule, no-rule, arguments, error, approval, limit or placeholder."
    )
    via: tuple[str, ...] = Field((), description="The channels by which it can be approved.")
    timeout: str = Field("", description="How long it can be approved, empty for the default.")
    message: str = Field("", description="The message that the model gets.")
    redact: tuple[str, ...] = Field((), description="Kinds of personal data that are redacted.")
    unredacted: tuple[str, ...] = Field((), description="What stays in the result, `KIND` or `KIND PATH`.")
    spotlight: bool = Field(False, description="Whether the texts of the result are marked.")
    labels: tuple[str, ...] = Field((), description="Added to the session's labels.")
    facts: tuple[str, ...] = Field((), description="Added to the session's facts.")
    arguments: dict[str, Json] | None = Field(None, description="The arguments of the call that is made.")
    credential: str = Field("", description="The name of the credential that a rule chose.")
    output: Json = Field(None, description="The result as it leaves.")
    shadow: str = Field("", description="What rules in shadow mode would have done otherwise.")
    broken: str = Field(
        "", description="Why a call of `after` was refused; the other keys then have no meaning."
    )

    @property
    def refused(self) -> bool:
        """Whether the call is not made, or its result does not leave."""
        return self.effect != "allow"


class Look(Struct, frozen=True):
    """One decision of a case: the rules that could match, what their conditions read, and the names of those
    that decided (in shadow mode: would have)."""

    on: Moment
    now: datetime
    candidates: Candidates
    bound: Bound
    decided: tuple[str, ...]


class RehearsedCase(Struct, frozen=True):
    """A case that was run: its outcome, and the decisions on its call and its result."""

    outcome: CaseOutcome
    looks: tuple[Look, ...] = ()


def rehearse(policies: PolicySet, case: Case, redactor: Redactor) -> RehearsedCase:
    """Run `case` under `policies`. `redactor` inspects results; it holds no credentials. Never raises."""
    stage = _Stage(policies, case, redactor)
    for number, step in enumerate(case.after, 1):
        broken = stage.before(step)
        if broken:
            said = f"call {number} of `after` was refused: {broken}"
            return RehearsedCase(CaseOutcome(effect="deny", broken=said))
    return stage.play()


class _Stage:
    """The session of one case."""

    def __init__(self, policies: PolicySet, case: Case, redactor: Redactor) -> None:
        self._policies = policies
        self._case = case
        self._redactor = redactor
        given = case.session
        self._session = Session(
            None
            if given is None
            else StoredSession(given.calls, dict(given.tools), [*given.labels], [*given.facts])
        )
        self._looks: list[Look] = []

    def before(self, step: StepEntry) -> str:
        """Make a call of the session so far; why it was refused, "" where it was not."""
        invocation = self._invocation(step.call)
        for _ in range(step.times):
            verdict = decide(self._policies, invocation, self._session)
            if isinstance(verdict, Deny):
                return " ".join([verdict.cause.value, *verdict.rules])
            self._session.admit(verdict)
            if step.result is not None:
                self._review(verdict, step.result, ())
        return ""

    def play(self) -> RehearsedCase:
        """Decide the call of the case, and review its result."""
        self._looks = []
        before = Session(deepcopy(self._session.kept))
        verdict = decide(self._policies, self._invocation(self._case.call), self._session)
        self._remember("call", verdict.invocation, before, (*verdict.rules, *verdict.shadow.split()))
        if isinstance(verdict, Deny):
            return RehearsedCase(_denied(self._policies, verdict), tuple(self._looks))
        self._session.admit(verdict)
        outcome = CaseOutcome(
            effect="allow",
            rules=verdict.rules,
            redact=verdict.redact,
            unredacted=tuple(map(exception_in_words, verdict.unredacted)),
            spotlight=verdict.spotlight,
            labels=verdict.labels,
            facts=verdict.facts,
            arguments=verdict.invocation.args,
            credential=verdict.credential,
            shadow=verdict.shadow,
        )
        if self._case.result is not None:
            outcome = self._with_result(outcome, verdict, self._case.result)
        return RehearsedCase(outcome, tuple(self._looks))

    def _with_result(self, outcome: CaseOutcome, permit: Permit, raw: dict[str, Json]) -> CaseOutcome:
        said, left = self._review(permit, raw, self._case.findings)
        shadow = "; ".join(filter(None, (permit.shadow, said.shadow)))
        if said.denied is not None or left is None:
            cause = Cause.ERROR if said.denied is None else said.denied.cause
            message = "" if said.denied is None else said.denied.message
            change: dict[str, Json] = {
                "effect": "withhold",
                "rules": said.rules,
                "cause": cause.value,
                "message": message,
            }
        else:
            kinds = ("rules", "redact", "labels", "facts")
            change = {key: tuple(sorted({*getattr(permit, key), *getattr(said, key)})) for key in kinds}
            change["output"] = left.value
            change["spotlight"] = permit.spotlight or said.spotlight
        return outcome.model_copy(update={**change, "shadow": shadow})

    def _review(
        self, permit: Permit, raw: dict[str, Json], more: tuple[str, ...]
    ) -> tuple[Review, Redacted | None]:
        """The verdict on a result, and the result as it leaves, None where it is withheld."""
        said = Review()
        try:
            wanted = permit.redact + permit.unredacted
            clean = self._redactor.inspect(raw, wanted)
            said = self._reviewed(permit, clean, more)
            if said.denied is None:
                return said, self._redactor.inspect(raw, wanted + said.redact)
        except InspectionError:
            pass
        return said, None

    def _reviewed(self, permit: Permit, clean: Redacted, more: tuple[str, ...]) -> Review:
        before = Session(deepcopy(self._session.kept))
        findings = (*clean.findings, *[Detection(kind, "") for kind in more])
        said = review(self._policies, permit.invocation, clean.value, findings, self._session)
        kinds = sorted({finding.kind for finding in findings})
        decided = (*said.rules, *said.shadow.split())
        self._remember("result", permit.invocation, before, decided, result=clean.value, findings=kinds)
        now = permit.invocation.now
        return settle(self._policies, permit, said, self._session, len(clean.payload), now)

    def _remember(
        self, on: Moment, invocation: Invocation, before: Session, decided: tuple[str, ...], **more: Json
    ) -> None:
        candidates = self._policies.candidates_of(invocation, on)
        bound = bind(candidates, invocation, before, **more)
        self._looks.append(Look(on, invocation.now, candidates, bound, decided))

    def _invocation(self, call: CallEntry) -> Invocation:
        case, method = self._case, method_of(call)
        who = case.principal
        kind, name = target_of(call)
        args = {"uri": name, **call.args} if method.startswith("resources/") else call.args
        return Invocation(
            "test",
            method,
            Principal(who.id, who.source, who.groups, who.claims),
            case.time,
            case.agent or None,
            call.server,
            _listed(call, method, kind, name) if kind else None,
            args,
            {"name": name, "arguments": args} if kind == "tool" else args,
            Caller(name=case.client.name, release=case.client.version),
        )


def _listed(call: CallEntry, method: str, kind: str, name: str) -> Listed:
    descriptor: dict[str, Json] = {
        "name": "" if kind == "resource" else name,
        "title": call.title,
        "description": call.description,
        "annotations": call.annotations,
    }
    if kind == "tool":
        descriptor |= {"inputSchema": call.inputSchema, "outputSchema": call.outputSchema}
    if kind == "resource":
        descriptor["uri"] = name
        kind = "template" if method == "completion/complete" else kind
    return Listed(call.server, name, name, {}, about_of(kind, descriptor), "", kind)


def _denied(policies: PolicySet, deny: Deny) -> CaseOutcome:
    asked = deny.cause is Cause.APPROVAL
    terms = policies.terms(deny.rules) if asked else AnswerTerms(via=())
    return CaseOutcome(
        effect="ask" if asked else "deny",
        rules=deny.rules,
        cause=deny.cause.value,
        via=terms.via,
        timeout=f"{terms.seconds}s" if terms.seconds else "",
        message=deny.message,
        shadow=deny.shadow,
    )


_ORDER = ("allow", "withhold", "ask", "deny")
"""Effects, each tighter than the one before."""

_SETS = frozenset(["rules", "redact", "labels", "facts", "via"])
_ordered = msgspec.json.Encoder(order="deterministic").encode


class UnexpectedValue(Printed):
    """A key of `expect` that came out otherwise."""

    key: str = Field(description="The key, or what else was not as it had to be.")
    expected: Json = Field(description="What was expected.")
    got: Json = Field(description="What came instead.")


class Judgement(Struct, frozen=True):
    """Whether a case passed: without `differences`. `warning` says that the Python engine refuses."""

    differences: tuple[UnexpectedValue, ...] = ()
    warning: str = ""

    @property
    def passed(self) -> bool:
        return not self.differences


class Reason(Printed):
    """Why a candidate had a say or not."""

    rule: str = Field(description="`POLICY/ID`.")
    effect: Effect = Field(description="Of the rule.")
    state: Literal["held", "not-held", "failed"] = Field(description="What its condition evaluated to.")
    because: tuple[str, ...] = Field(
        (), description="The smallest parts of its condition that made it so, empty where it held."
    )


def judge(expected: Expect, first: CaseOutcome, second: CaseOutcome | None) -> Judgement:
    """`first` is by the engine that decides, `second` by the Python engine, None where that is the one."""
    found = tuple(differences(expected, first))
    if second is None or found:
        return Judgement(found)
    others = tuple(differences(expected, second))
    if not others and second.effect == first.effect:
        return Judgement()
    said = f"{second.effect} ({second.cause})" if second.cause else second.effect
    if second.refused and _ORDER.index(second.effect) >= _ORDER.index(first.effect):
        return Judgement((), f"the Python engine refuses: {second.broken or said}")
    clash = UnexpectedValue(key="engines", expected=first.effect, got=f"{said} by the Python engine")
    return Judgement((clash, *others))


def differences(expected: Expect, outcome: CaseOutcome) -> Iterator[UnexpectedValue]:
    """Each key of `expected` that `outcome` does not meet."""
    if outcome.broken:
        yield UnexpectedValue(key="after", expected="calls that are allowed", got=outcome.broken)
        return
    for key in type(expected).model_fields:
        wanted = getattr(expected, key)
        got = getattr(outcome, key)
        if wanted is not None and not _meets(key, wanted, got):
            yield UnexpectedValue(key=key, expected=_sorted_set(key, wanted), got=_sorted_set(key, got))


def reasons(looks: tuple[Look, ...]) -> list[Reason]:
    """What each candidate said in the decisions of a case, in the order in which effects count."""
    found: list[Reason] = []
    for look in looks:
        known = look.candidates.trial or look.candidates
        found += [_reason(rule, look) for rule in known.all]
    return found


def _meets(key: str, wanted: Json, got: Json) -> bool:
    if key in _SETS:
        return set(wanted) == set(got)
    if key == "message":
        return wanted in got
    if key == "timeout":
        return window_of(wanted or "0s") == window_of(got or "0s")
    return _ordered(wanted) == _ordered(got)


def _sorted_set(key: str, value: Json) -> Json:
    return sorted(value) if key in _SETS else value


def _reason(rule: CompiledRule, look: Look) -> Reason:
    if rule.until is not None and look.now >= rule.until:
        because = ("its policy has expired",)
        return Reason(rule=rule.name, effect=rule.effect, state="not-held", because=because)
    verdict = TRUE if rule.condition is None else rule.condition.verdict(look.bound)
    if verdict is TRUE:
        return Reason(rule=rule.name, effect=rule.effect, state="held")
    said = "is false" if verdict is FALSE else "cannot be evaluated"
    guilty = _guilty(parts_of(rule.when or ""), False if verdict is FALSE else ERROR, look.bound)
    return Reason(
        rule=rule.name,
        effect=rule.effect,
        state="not-held" if verdict is FALSE else "failed",
        because=tuple(f"{part.text} {said}" for part in guilty),
    )


def _guilty(parts: tuple[SubExpression, ...], value: bool | Verdict, bound: Bound) -> list[SubExpression]:
    """The smallest parts that give the whole its `value`: of a chain those operands that have it."""
    whole, *inside = parts
    operands = [one for one in inside if one.depth == whole.depth + 1 and one.role == "operand"]
    found: list[SubExpression] = []
    for operand in operands:
        if value_of(operand.text, bound) is value:
            within = [
                one
                for one in inside
                if one.depth > operand.depth and operand.start <= one.start and one.end <= operand.end
            ]
            found += _guilty((operand, *within), value, bound)
    return found or [whole]
