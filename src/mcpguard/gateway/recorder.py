"""Makes invocations and the records that they leave: who, what, when, which rules, and digests."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from mcpguard.core.evidence.records import Decided, Noticed, ObservedRefusal, Outcome
from mcpguard.core.model import Caller, Deny, Detection, Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.review import UNTOUCHED, Review
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import Clock
from mcpguard.protocol.calls import Call
from mcpguard.protocol.jsonrpc import encode

LEGACY = Caller()
MOST_MESSAGE = 1_000
"""Characters of the message of a refusal that are recorded."""


class Recorder:
    """Knows what is the same for each record of this process."""

    def __init__(
        self,
        *,
        clock: Clock,
        principal: Principal,
        agent: str | None,
        judge: Judge,
        credentials: Mapping[tuple[str, str], tuple[str, ...]],
        nonce: str,
        inspect_text: Callable[[str], str],
    ) -> None:
        """`credentials` names the references that a call may use, by server and by the credential that a rule
        chose for it, "" for none; `nonce` makes invocation ids unique
        across processes; `inspect_text` takes out of a client's own text what must not be seen."""
        self.now = clock.now
        self.seconds = clock.seconds
        self._principal = principal
        self._principal_text = f"{principal.source}:{principal.id}"
        self._agent = agent
        self._judge = judge
        self.credentials = credentials
        self._nonce = nonce
        self._inspect_text = inspect_text
        self._count = 0

    def invocation(
        self,
        method: str,
        server: str = "",
        target: Listed | None = None,
        args: dict[str, Json] | None = None,
        params: dict[str, Json] | None = None,
        caller: Caller = LEGACY,
    ) -> Invocation:
        """A new invocation, now."""
        self._count += 1
        return Invocation(
            f"{self._nonce}-{self._count}",
            method,
            self._principal,
            self.now(),
            self._agent,
            server,
            target,
            args,
            params,
            caller,
        )

    def decided(self, verdict: Permit | Deny) -> Decided:
        """The record of a verdict."""
        invocation = verdict.invocation
        permit = verdict if isinstance(verdict, Permit) else None
        if isinstance(verdict, Deny):
            credentials = verdict.credentials
        else:
            credentials = self.credentials.get((invocation.server, verdict.credential), ())
            if verdict.placeholders:
                credentials = _with_placeholders(credentials, verdict)
        target = invocation.target
        is_tool = target is not None and target.kind == "tool"
        return Decided(
            at=invocation.now,
            id=invocation.id,
            principal=self._principal_text,
            method=invocation.method,
            effect="deny" if permit is None else "allow",
            server=invocation.server,
            tool=target.name if target is not None and is_tool else "",
            tool_digest=target.digest if target is not None and is_tool else "",
            subject="" if target is None or is_tool else self._subject(target),
            cause="" if isinstance(verdict, Permit) else verdict.cause.value,
            rules=verdict.rules,
            policy_digest=self._judge.policies.digest,
            args="" if invocation.args is None else sha256(encode(invocation.args)).hexdigest(),
            credentials=credentials,
            agent=self._agent,
            labels=() if permit is None else permit.labels,
            facts=() if permit is None else permit.facts,
            session_labels=verdict.session_labels,
            session_facts=verdict.session_facts,
            approval="" if permit is None else permit.approval,
            credential="" if permit is None else permit.credential,
            shadow=verdict.shadow,
            observed=None if permit is None or permit.observed is None else self._observed(permit.observed),
        )

    def _observed(self, refusal: Deny) -> ObservedRefusal:
        said = self._inspect_text(refusal.message)[:MOST_MESSAGE]
        return ObservedRefusal(refusal.cause.value, refusal.rules, said)

    def _subject(self, target: Listed) -> str:
        return _cut(target.name if target.inspected else self._inspect_text(target.name))

    def unrouted(self, call: Call, cause: str) -> Decided:
        """The record of a call that led to nothing. Its name is the client's own text."""
        invocation = self.invocation(call.method)
        name = _cut(self._inspect_text(call.name))
        return Decided(
            at=invocation.now,
            id=invocation.id,
            principal=self._principal_text,
            method=invocation.method,
            effect="deny",
            tool=name if call.kind == "tool" else "",
            subject="" if call.kind == "tool" else name,
            cause=cause,
            policy_digest=self._judge.policies.digest,
            args=sha256(encode(call.args)).hexdigest(),
            agent=self._agent,
        )

    def outcome(
        self,
        invocation: Invocation,
        status: str,
        started: float,
        result: str = "",
        findings: tuple[Detection, ...] = (),
        review: Review = UNTOUCHED,
        neutralised: tuple[tuple[str, int], ...] = (),
        spared: tuple[Detection, ...] = (),
    ) -> Outcome:
        """The record of what came of an allowed call; `started` is from `seconds()`, `review` what the
        rules on results said, the rest as in Redacted."""
        return Outcome(
            at=self.now(),
            id=invocation.id,
            status=status,
            ms=round((self.seconds() - started) * 1000, 3),
            result=result,
            findings=finding_counts(findings) if findings else {},
            neutralised=dict(neutralised),
            unredacted=finding_counts(spared) if spared else {},
            rules=review.rules,
            labels=review.labels,
            facts=review.facts,
            shadow=review.shadow,
            observed=None if review.observed is None else self._observed(review.observed),
        )

    def noticed(
        self,
        what: str,
        server: str = "",
        detail: str = "",
        findings: dict[str, int] | None = None,
        neutralised: dict[str, int] | None = None,
    ) -> Noticed:
        """The record of something outside a call. `detail` must be ours or inspected."""
        return Noticed(self.now(), what, server, detail, findings or {}, neutralised or {})


def _with_placeholders(names: tuple[str, ...], permit: Permit) -> tuple[str, ...]:
    filled = {str(ref) for one in permit.placeholders for ref in one.template.refs}
    return tuple(sorted({*names, *filled}))


def _cut(name: str) -> str:
    return name[:256]


def finding_counts(findings: Iterable[Detection]) -> dict[str, int]:
    """How often each "kind path" was removed."""
    counts: dict[str, int] = {}
    for finding in findings:
        key = f"{finding.kind} {finding.path}"
        counts[key] = counts.get(key, 0) + 1
    return counts
