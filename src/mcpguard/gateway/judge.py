"""The two decisions on a request, each with the state of its session: may it be made, may its result leave.

Law of this file: a decision and its changes to the session are one atomic step, under the policies
in force at that step; it may wait for a busy store.
If the session cannot be read or stored, calls that depend on it are refused. Rules in shadow mode refuse
nothing, so no call depends on them.
"""

from collections.abc import Callable
from datetime import datetime
from sys import maxsize

from msgspec import structs

from mcpguard.core.errors import InspectionError, SessionError
from mcpguard.core.model import Deny, Detection, Invocation, Json, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.egress import Egress
from mcpguard.core.policy.review import UNTOUCHED, Review, foreseen, review, settle
from mcpguard.core.policy.session import NO_PLACES, ServerPlaces, Session, name_of
from mcpguard.gateway.ports import Store


class Judge:
    """Decides for the clients of one process, under the policies that are in force at that moment."""

    def __init__(
        self,
        policies: PolicySet,
        store: Store,
        report: Callable[..., None],
        egress: Egress,
        places: ServerPlaces = NO_PLACES,
    ) -> None:
        self.policies = policies
        """Those in force: a reload puts others in their place, all at once."""
        self.places = places
        """The servers whose facts count."""
        self._store = store
        self.egress = egress
        self._report = report
        self._told = ""
        """What the operator was told last, "" since a session could be kept."""

    async def decide(
        self, invocation: Invocation, approved: frozenset[str] = frozenset(), foresee: bool = False
    ) -> Permit | Deny:
        """Whether it may be made. A Permit is counted, and has used up what it costs; one that is only to
        `foresee` leaves no trace. `approved` are the rules that ask, for which a person has approved it."""

        def change(session: Session) -> Permit | Deny:
            session.places = self.places
            verdict = _of(session, pdp.decide(self.policies, invocation, session, self.egress, approved))
            if isinstance(verdict, Permit) and not foresee:
                session.admit(verdict)
            return verdict

        return await self._decided(invocation, approved, change)

    async def decide_again(
        self, invocation: Invocation, resumed: bool = True, approved: frozenset[str] = frozenset()
    ) -> Permit | Deny:
        """Whether a call that was suspended may go on. It is no further call, so it costs nothing and states
        nothing; what the policies of now would label is labelled. Where it is not `resumed` but refused for
        its form, a Permit leaves no trace. `approved` as for `decide`."""

        def change(session: Session) -> Permit | Deny:
            session.places = self.places
            if not resumed:
                return pdp.decide(self.policies, invocation, session, self.egress)
            before = session.without(invocation)
            verdict = _of(session, pdp.decide(self.policies, invocation, before, self.egress, approved))
            if isinstance(verdict, Permit):
                session.add(verdict.labels, (), verdict)
                # Evidence says what the session got by it.
                return structs.replace(verdict, facts=())
            return verdict

        return await self._decided(invocation, approved, change)

    async def _decided(
        self, invocation: Invocation, approved: frozenset[str], change: Callable[[Session], Permit | Deny]
    ) -> Permit | Deny:
        if not self.policies.stateful:
            return pdp.decide(self.policies, invocation, None, self.egress, approved)
        try:
            verdict = await self._store.change(invocation, change)
            self._told = ""
            return verdict
        except SessionError as problem:
            self._tell(invocation, str(problem))
        # Where only rules in shadow mode want a session, the lack of one must change nothing.
        if self.policies.depends:
            return pdp.no_session(invocation)
        return pdp.decide(self.policies, invocation, None, self.egress)

    def keeps_back(self, invocation: Invocation, value: Json, most: int = maxsize) -> Deny | None:
        """The refusal of `value`, which is to go to the server of `invocation`; None where it may. Raises
        TooMuchAtOnce as `Redactor.foreign` does."""
        return self.egress.refused(invocation, value, most)

    async def foresee(self, policies: PolicySet, permit: Permit) -> Review:
        """What rules on results may label of `permit`, whose result is not there yet. The session has it
        before this returns. Raises InspectionError where it cannot be kept."""
        invocation, holds = permit.invocation, self.egress.holds
        if not foreseen(policies, invocation, None, holds).labels:
            return UNTOUCHED

        def change(session: Session) -> Review:
            session.places = self.places
            found = foreseen(policies, invocation, session, holds)
            session.add(found.labels, (), permit, found.rules)
            return found

        try:
            found = await self._store.change(invocation, change)
            self._told = ""
            return found
        except SessionError as problem:
            self._tell(invocation, str(problem))
            raise InspectionError("the session that it would label cannot be kept") from None

    async def review(
        self,
        policies: PolicySet,
        permit: Permit,
        result: Json,
        findings: tuple[Detection, ...],
        size: int,
        now: datetime,
    ) -> Review:
        """What is to be done with the inspected `result` of `permit`, `size` bytes, which came `now`, under
        `policies`, those of the decision. What it adds to the session is there before the result leaves."""
        invocation, holds = permit.invocation, self.egress.holds
        kept = bool(permit.labels) or (
            bool(permit.charges) and any(charge.unit == "bytes" for charge in permit.charges)
        )
        if not (policies.reviewing or kept):
            return UNTOUCHED
        if not (policies.stateful or kept):
            return review(policies, invocation, result, findings, None, holds)

        def change(session: Session) -> Review:
            session.places = self.places
            found = review(policies, invocation, result, findings, session, holds)
            return settle(policies, permit, found, session, size, now)

        try:
            found = await self._store.change(invocation, change)
            self._told = ""
            return found
        except SessionError as problem:
            self._tell(invocation, str(problem))
            if policies.depends or kept:
                return Review((), pdp.no_session(invocation))
            return review(policies, invocation, result, findings, None, holds)

    def _tell(self, invocation: Invocation, problem: str) -> None:
        """Tell the operator why a session cannot be kept: once, until one can, however many texts of a server
        or calls want it meanwhile."""
        if problem != self._told:
            self._told, who = problem, invocation.principal
            name = name_of(who, invocation.agent)
            self._report("", problem, session=name, principal=who.text)


def _of(session: Session, verdict: Permit | Deny) -> Permit | Deny:
    """The verdict with what the session had before it."""
    kept, facts = session.kept, session.facts
    if not (kept.labels or facts):
        return verdict
    return structs.replace(
        verdict,
        session_labels=tuple(kept.labels),
        session_facts=tuple(facts),
        label_causes={label: cause.call for label, cause in kept.causes.items() if label in kept.labels},
    )
