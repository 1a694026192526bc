"""Makes invocations and the records that they leave: who, what, when, which rules, and digests."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256

from msgspec import Struct, structs

from mcpguard.core.errors import InspectionError
from mcpguard.core.evidence.bounds import SMALL, EvidenceRoom
from mcpguard.core.evidence.records import (
    MOST_ARGUMENTS,
    MOST_IDENTITY,
    MOST_MESSAGE,
    UNDECIDED,
    Decided,
    Noticed,
    ObservedRefusal,
    Outcome,
    Steps,
)
from mcpguard.core.model import (
    NOWHERE,
    Caller,
    Cause,
    Deny,
    Detection,
    Invocation,
    Json,
    Listed,
    Origin,
    Permit,
    Principal,
    Redacted,
)
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.review import UNTOUCHED, Review
from mcpguard.core.policy.session import name_of
from mcpguard.core.redaction.redactor import AT_ONCE, TooMuchAtOnce
from mcpguard.gateway.inspection.inspector import Inspector
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import Clock
from mcpguard.protocol.calls import Call
from mcpguard.protocol.jsonrpc import encode

LEGACY = Caller()
Seen = tuple[int, Redacted | None]
Identity = tuple[tuple[str, ...] | None, dict[str, Json] | None]
NO_IDENTITY: Identity = None, None
UNSEEN: Seen = 0, None
MOST_PLACES = 16 * 1024
"""Characters of the places of what was found in one result; a server may name as many as it wants."""
MOST_NAME = 256
"""Characters of a name of the client's own that are recorded."""


class StepTimes(Struct):
    """When the steps of one call were done, in seconds of the clock, 0 for not yet. `waited` are the seconds
    that a person took; `sent` and `received` are bytes. If the upstream asks more than once in a call,
    they are added up."""

    begun: float = 0.0
    waited: float = 0.0
    decided: float = 0.0
    recorded: float = 0.0
    sent_at: float = 0.0
    came: float = 0.0
    sent: int = 0
    received: int = 0

    def steps(self, now: float) -> Steps:
        """How long each took; what is not over yet has taken until `now`."""
        sent_at, came = self.sent_at or self.recorded, self.came or now
        # In whole microseconds: to round takes three times as long.
        return Steps(
            int((self.decided - self.begun - self.waited) * 1e6) / 1000,
            int(self.waited * 1e6) / 1000,
            int((self.recorded - self.decided) * 1e6) / 1000,
            int((sent_at - self.recorded) * 1e6) / 1000,
            int((came - sent_at) * 1e6) / 1000,
            int((now - came) * 1e6) / 1000,
        )


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
        inspector: Inspector,
        kinds: Mapping[str, str] | None = None,
        arguments: bool = True,
        room: EvidenceRoom | None = None,
    ) -> None:
        """`credentials` names the references that a call may use, by server and by the credential that a rule
        chose for it, "" for none; `kinds` are those of references to entries; `nonce` makes invocation ids
        unique across processes; `inspector` takes out of what others said what must not be seen; `arguments`
        says whether they are recorded, beside their digest, and `room` how many bytes of them, and how often
        servers are sent what no rule decides about."""
        self.now = clock.now
        self.seconds = clock.seconds
        self.principal = principal
        self._principal_text = principal.text
        self._session = name_of(principal, agent)
        self._human = self._principal_text if principal.actor else ""
        self._agent = agent
        self._judge = judge
        self.credentials = credentials
        self.kinds = kinds or {}
        self._nonce = nonce
        self._inspector = inspector
        self._inspect_text = inspector.text
        self.arguments = arguments
        self._room = room or EvidenceRoom()
        self._client: tuple[str, str, int, str] = ("", "", 0, "")
        self._has_token = arguments and "://" in principal.source
        self._identity: tuple[int, Identity] = (-1, NO_IDENTITY)
        self._count = 0

    def invocation(
        self,
        method: str,
        server: str = "",
        target: Listed | None = None,
        args: dict[str, Json] | None = None,
        params: dict[str, Json] | None = None,
        caller: Caller = LEGACY,
        origin: Origin = NOWHERE,
    ) -> Invocation:
        """A new invocation, now."""
        self._count += 1
        return Invocation(
            f"{self._nonce}-{self._count}",
            method,
            self.principal,
            self.now(),
            self._agent,
            server,
            target,
            args,
            params,
            caller,
            origin=origin,
        )

    def asks(self, server: str) -> bool:
        """Whether there is room on record for one more request to `server` that no rule decides about."""
        return self._room.asks(server, self.seconds())

    def decided(
        self, verdict: Permit | Deny, seen: Seen = UNSEEN, policies: PolicySet | None = None
    ) -> Decided:
        """The record of a verdict; `seen` and `policies` are as in a Request, else those of this moment."""
        if not isinstance(verdict, Permit):  # To ask for what it mostly is takes a sixth of the time.
            return self._refused(verdict)
        invocation, origin = verdict.invocation, verdict.invocation.origin
        credentials = self.credentials.get((invocation.server, verdict.credential), ())
        credentials = _with_placeholders(credentials, verdict) if verdict.placeholders else credentials
        shown = self._shown(invocation.args, verdict.redact, seen, allowed=True)
        # In the order of its fields: to match 30 names takes five times as long as all else here.
        return Decided(
            *self._about(verdict, "allow"),
            (policies or self._judge.policies).digest,
            shown[0],
            credentials,
            self._agent,
            verdict.labels,
            verdict.facts,
            verdict.session_labels,
            verdict.session_facts,
            verdict.approval,
            verdict.credential,
            verdict.shadow,
            None if verdict.observed is None else self._observed(verdict.observed),
            self._client_of(invocation.caller),
            origin.request,
            origin.trace,
            self._session,
            self._human,
            self.principal.actor,
            *shown[1:],
            "",
            verdict.redact + verdict.unredacted,
            {one.key: one.amount for one in verdict.charges} if verdict.charges else {},
            verdict.approval and verdict.approval.partition(" ")[0],
            verdict.label_causes,
            self._kinds_of(credentials) if self.kinds else {},
            verdict.began,
            *(self._of_token() if self._has_token else NO_IDENTITY),
            origin.token,
        )

    def _refused(self, deny: Deny, effect: str = "deny") -> Decided:
        invocation, origin = deny.invocation, deny.invocation.origin
        digest, arguments, omitted, size, neutralised = self._shown(invocation.args)
        groups, claims = self._of_token() if self._has_token else NO_IDENTITY
        return Decided(
            *self._about(deny, effect, deny.cause.value),
            policy_digest=self._judge.policies.digest,
            args=digest,
            credentials=deny.credentials,
            session_labels=deny.session_labels,
            session_facts=deny.session_facts,
            shadow=deny.shadow,
            client=self._client_of(invocation.caller),
            request=origin.request,
            trace=origin.trace,
            arguments=arguments,
            arguments_omitted=omitted,
            arguments_bytes=size,
            arguments_neutralised=neutralised,
            message=self._said(deny.message),
            ticket=deny.ticket,
            label_causes=deny.label_causes,
            credential_kinds=self._kinds_of(deny.credentials) if self.kinds else {},
            agent=self._agent,
            session=self._session,
            human=self._human,
            actor=self.principal.actor,
            groups=groups,
            claims=claims,
            token=origin.token,
        )

    def _about(
        self, verdict: Permit | Deny, effect: str, cause: str = ""
    ) -> tuple[datetime, str, str, str, str, str, str, str, str, str, tuple[str, ...]]:
        """The first fields of a decision, up to `rules`."""
        invocation = verdict.invocation
        asker, target, method = self._principal_text, invocation.target, invocation.method
        tool = digest = subject = ""
        if target is not None:
            if target.kind == "tool":
                tool, digest = target.name, target.digest
            else:
                subject = self._subject(target)
        about = invocation.now, invocation.id, asker, method, effect
        return *about, invocation.server, tool, digest, subject, cause, verdict.rules

    def asked(self, deny: Deny) -> Decided:
        """The record of a call that waits for a person; `deny` has the ticket."""
        return self._refused(deny, "ask")

    def cancelled(self, invocation: Invocation, ticket: str = "", why: str = "cancelled") -> Decided:
        """The record of a request that ended before it was decided, and `why`. `ticket` is that by which a
        person was asked."""
        deny = Deny(structs.replace(invocation, now=self.now()), Cause.APPROVAL, ticket=ticket)
        return structs.replace(self._refused(deny), cause=undecided(why))

    def _shown(
        self,
        args: dict[str, Json] | None,
        also: tuple[str, ...] = (),
        seen: Seen = UNSEEN,
        *,
        allowed: bool = False,
    ) -> tuple[str, dict[str, Json] | None, str, int, dict[str, int]]:
        """The digest of arguments, and these as they are recorded, or why they are not, and their length
        then; what became visible in them or was dropped."""
        if args is None:
            return "", None, "", 0, {}
        text = encode(args)
        digest = sha256(text).hexdigest()
        if not self.arguments:
            return digest, None, "setting", len(text), {}
        if len(text) > MOST_ARGUMENTS:
            return digest, None, "size", len(text), {}
        # The arguments of most calls are small, and need no look at the clock.
        if not ((allowed and len(text) <= SMALL) or self._room.take(len(text), allowed, self.seconds())):
            return digest, None, "rate", len(text), {}
        turns, clean = seen
        if clean is None or clean.value is not args or also or turns != self._inspector.redactor.turns:
            clean = None  # A value that came to be held meanwhile may be in them.
        try:
            clean = clean or self._inspector.redactor.inspect(args, also, AT_ONCE, sent=False)
        except (InspectionError, TooMuchAtOnce):
            return digest, None, "inspection", len(text), {}
        return digest, clean.value, "", 0, dict(clean.neutralised) if clean.neutralised else {}

    def _client_of(self, caller: Caller) -> str:
        """What the client calls itself; looked through once, and again where more is held by then."""
        turns = self._inspector.redactor.turns
        name, release, turn, known = self._client
        if (name, release, turn) == (caller.name, caller.release, turns):
            return known
        whole = f"{caller.name}/{caller.release}" if caller.release else caller.name
        known = self.name(whole)
        self._client = caller.name, caller.release, turns, known
        return known

    def _of_token(self) -> Identity:
        """The groups and claims of the principal, if they may be recorded as they are; looked through as
        `_client_of` does."""
        turns = self._inspector.redactor.turns
        if self._identity[0] != turns:
            who = self.principal
            self._identity = turns, (who.groups, who.claims) if self._is_plain(who) else NO_IDENTITY
        return self._identity[1]

    def _is_plain(self, who: Principal) -> bool:
        value = [list(who.groups), who.claims]
        if len(encode(value)) > MOST_IDENTITY:
            return False
        try:
            return not self._inspector.redactor.inspect(value, (), AT_ONCE, sent=False).changed
        except (InspectionError, TooMuchAtOnce):
            return False

    def _kinds_of(self, credentials: tuple[str, ...]) -> dict[str, str]:
        return {name: self.kinds[name] for name in credentials if name in self.kinds}

    def _said(self, message: str) -> str:
        """A sentence that the client gets, or an operator. Inspected before it is cut: half a secret is not
        found."""
        return self._inspect_text(message)[:MOST_MESSAGE] if message else ""

    def _observed(self, refusal: Deny) -> ObservedRefusal:
        return ObservedRefusal(refusal.cause.value, refusal.rules, self._said(refusal.message))

    def name(self, text: str) -> str:
        """A name that the client made up, as it is recorded."""
        return self._inspect_text(text)[:MOST_NAME]

    def _subject(self, target: Listed) -> str:
        return target.name[:MOST_NAME] if target.inspected else self.name(target.name)

    def unrouted(self, call: Call, caller: Caller, origin: Origin, cause: str, message: str = "") -> Decided:
        """The record of a call that led to nothing. Its name is the client's own text."""
        invocation = self.invocation(call.method, args=call.args, caller=caller, origin=origin)
        record = self._refused(Deny(invocation, Cause.ERROR, message=message))
        named = "tool" if call.kind == "tool" else "subject"
        return structs.replace(record, cause=cause, **{named: self.name(call.name)})

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
        *,
        times: StepTimes | None = None,
        received: int = 0,
        error: str = "",
    ) -> Outcome:
        """The record of the outcome of an allowed call; `started` is from `seconds()`, `review` what the
        rules on results said, `times` those of its steps, `error` what went wrong, the rest as in Redacted.
        """
        now = self.seconds()
        return Outcome(
            self.now(),
            invocation.id,
            status,
            int((now - started) * 1e6) / 1000,
            result,
            finding_counts(findings) if findings else {},
            dict(neutralised),
            finding_counts(spared) if spared else {},
            review.rules,
            review.labels,
            review.facts,
            review.shadow,
            None if review.observed is None else self._observed(review.observed),
            None if times is None else times.steps(now),
            0 if times is None else times.sent,
            received if times is None else times.received,
            self._said(error) if error else "",
            "" if review.denied is None else self._said(review.denied.message),
        )

    def noticed(
        self,
        what: str,
        server: str = "",
        detail: str = "",
        findings: dict[str, int] | None = None,
        neutralised: dict[str, int] | None = None,
        *,
        id: str = "",
        ticket: str = "",
    ) -> Noticed:
        """The record of something outside a call. `detail` must be ours or inspected; `id` is that of the
        invocation that it is about."""
        return Noticed(
            self.now(),
            what,
            server,
            detail,
            findings or {},
            neutralised or {},
            id,
            self._principal_text,
            self._session,
            ticket,
        )


def undecided(why: str) -> str:
    """The cause of a request whose flight ended before it was decided, because of `why`."""
    return why if why in UNDECIDED else "cancelled"


def _with_placeholders(names: tuple[str, ...], permit: Permit) -> tuple[str, ...]:
    filled = {str(ref) for one in permit.placeholders for ref in one.template.refs}
    return tuple(sorted({*names, *filled}))


def finding_counts(findings: Iterable[Detection]) -> dict[str, int]:
    """How often each "kind path" was removed; "kind *" counts those beyond MOST_PLACES bytes of these."""
    counts: dict[str, int] = {}
    room = MOST_PLACES
    for finding in findings:
        key = f"{finding.kind} {finding.path}"
        if key not in counts:
            room -= len(key)
            if room < 0:
                key = f"{finding.kind} *"
        counts[key] = counts.get(key, 0) + 1
    return counts
