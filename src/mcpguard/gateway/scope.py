"""Everything that serves one client: the ports, the policies, and the open requests: the upstream and the id
of each, and the questions asked in the meantime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct, field

from mcpguard.core.errors import MessageError, UpstreamError
from mcpguard.core.evidence.records import MOST_MESSAGE, Decided, Outcome
from mcpguard.core.model import NOWHERE, Caller, Deny, Invocation, Json, Origin, Permit, Redacted
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pins import Hold
from mcpguard.core.policy.review import UNTOUCHED, Review
from mcpguard.core.policy.session import NO_PLACES, ServerPlaces
from mcpguard.core.policy.tickets import Ticket, TicketAnswer
from mcpguard.gateway.flight import Cancelled, Flight, Wait
from mcpguard.gateway.inspection.handles import Handles
from mcpguard.gateway.inspection.inspector import Inspector
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import AuditSink, Client, Clock, Question, RawAnswer, RequestId, Store, Upstream
from mcpguard.gateway.recorder import Recorder, StepTimes
from mcpguard.protocol import eras, refusals
from mcpguard.protocol.names import Prefix

WOULD_REFUSE = "would refuse"
"""Begins what the operator reads about a call that policies refuse and that goes on."""

NO_WAIT: Wait[None] = Wait()
NO_WAIT.set(None)

NONE = PolicySet()
"""The policies of a request that needs no decision."""


class ApprovalTerms(Struct, frozen=True):
    """How long a call waits for a person, and how long what the person says counts, in seconds."""

    wait_seconds: float = 0.0
    ticket_seconds: float = 900.0
    unproven: Callable[[Ticket, TicketAnswer], Awaitable[str]] | None = None
    """Why the assertion of an answer does not prove it, the rest of a sentence, "" where it does."""
    process: str = ""
    """A random name of this process. A passkey's approval counts here alone: another process would not know
    whether it was used."""
    used: dict[str, float] = {}
    """When tickets for one call expire that this process has used."""
    option: Callable[[], str] = str
    """What a command needs besides to find this configuration, such as ` --config FILE`."""
    places: ServerPlaces = NO_PLACES
    """What an approval is for."""


class Questioned(Exception):
    """Thrown into a flight that waits for its upstream: the upstream asks something first."""


class Request(Struct, eq=False):
    """`id`, `caller`, `progress_token` and `redact` change when a modern client sends the request again with
    answers (specification 2026-07-28: basic/patterns/mrtr); the flight goes on under the new id."""

    id: RequestId
    method: str
    params: dict[str, Json]
    caller: Caller
    headers: Mapping[str, str] | None
    origin: Origin = NOWHERE
    times: StepTimes = field(default_factory=StepTimes)
    flight: Flight | None = None
    cancelled: str = ""
    """Why its flight was cancelled, "" where it was not; what waits for a stream is answered by that."""
    policies: PolicySet = NONE
    """Under which it was decided; what comes back is reviewed under them."""
    credential: str = ""
    """The credential that a rule chose for it, "" for none."""
    upstream: Upstream | None = None
    """For which it is decided; another one of that name, after a reload, does not get it."""
    server: str = ""
    """The upstream that it waits for, "" before it is sent."""
    wait: Wait[RawAnswer] | None = None
    """Of the upstream's answer, once it is sent."""
    permit: Permit | None = None
    """Once it is sent."""
    foretold: bool = False
    """Whether something of its server may leave before its result."""
    foreseen: Review = UNTOUCHED
    """What rules on its result may label, once it is `foretold`."""
    listening: bool = False
    """Whether the flight waits for that and for nothing else, so that it can be interrupted."""
    progress_token: RequestId | None = None
    seen: tuple[int, Redacted | None] = (0, None)
    """Its arguments, where they were inspected with those of others and are certainly clean, and before that
    how many values were held (`Redactor.turns`)."""
    asked: str = ""
    """The id of the ticket by which a person is asked, "" for none."""
    ticket: Ticket | None = None
    """By which a person approved it."""
    redact: tuple[str, ...] = ()
    """What the rule that allows it wants taken out of whatever leaves because of it."""
    questions: list[Question] = []
    """What the upstream asked that has no answer yet."""
    lacked: dict[str, dict[str, Json]] = {}
    """The ClientCapabilities that a question needed and the request's client did not declare."""

    def cancel(self, reason: str) -> None:
        """End its flight with `Cancelled(reason)`; nothing happens while that is being started."""
        if self.flight is not None:
            self.cancelled = reason
            self.flight.cancel(reason)

    def adopt(self, retry: Request) -> None:
        """Go on as `retry`, under its id."""
        self.id = retry.id
        self.caller = retry.caller
        self.headers = retry.headers
        self.origin = retry.origin
        self.policies = retry.policies
        self.progress_token = retry.progress_token
        self.redact = tuple(dict.fromkeys(self.redact + retry.redact))


class ClientScope(Struct, eq=False, kw_only=True):
    """`identity` is our own name and version; `report(server, sentence)` tells the operator; `advice`
    ends the answer for each tool that is not there; `extensions` maps each declared method of an
    extension to its server, `extension_ids` names the extensions; `eager` are the servers that are
    started when a client connects. `think_seconds` is how long a person may think: then the question is
    withdrawn and the call is cancelled."""

    judge: Judge
    inspector: Inspector
    audit: AuditSink
    recorder: Recorder
    servers: tuple[str, ...]
    upstreams: Mapping[str, Upstream]
    """By name; they are there once a request comes. There may be more than `servers`: one that was removed
    from the configuration may still be waited for."""
    client: Client
    clock: Clock
    identity: tuple[str, str]
    report: Callable[..., None]
    think_seconds: float
    list_seconds: float = 10
    store: Store | None = None
    """Where tickets are; without it whatever needs an approval is refused."""
    approvals: ApprovalTerms = ApprovalTerms()
    alert: Callable[[Ticket], None] = lambda _ticket: None
    """Tells somebody that a call waits by a new ticket; it waits for nothing."""
    advice: str = ""
    prefix: Prefix | None = None
    """How tools are named: see `protocol.names`."""
    extensions: Mapping[str, str] = {}
    extension_ids: tuple[str, ...] = ()
    eager: tuple[str, ...] = ()
    handles: Handles = field(default_factory=Handles)
    """What its servers gave it to give back, and what stands for that."""
    tracing: bool = False
    """Whether an upstream gets a trace also where its client did not begin one."""
    known: Wait[None] = field(default_factory=lambda: NO_WAIT)
    """Over once the values that must be recognised are held; no request reaches a server before."""
    pinning: Callable[[str], tuple[str, Hold]] = lambda _server: ("", "changed")
    """Of a server: what tells it from others of its name, and what is held of what it lists."""
    requests: dict[RequestId, Request] = {}
    """What the client waits for, the oldest first. A request that waits for the client is not in it."""

    @property
    def several(self) -> bool:
        """Whether the client has several servers, so that what one of them says has to name it."""
        return len(self.servers) > 1

    def redact_of(self, server: str, related: Wait[RawAnswer] | None) -> tuple[str, ...]:
        """What is to be taken out of something that `server` says outside of an answer: as the request
        wants that waits for `related`; where that is not known (None), as each open one wants."""
        about = self.about(server, related)
        return tuple(dict.fromkeys(kind for one in about for kind in one.redact))

    def about(self, server: str, related: Wait[RawAnswer] | None) -> list[Request]:
        """The requests that something `server` says may be about: the one that waits for `related`; where
        that is not known, each open one."""
        return [
            one
            for one in self.requests.values()
            if (one.server == server if related is None else one.wait is related)
        ]

    async def foresee(self, requests: Iterable[Request]) -> None:
        """Put the labels of rules on results on the sessions of these `requests`: what their server says
        reaches the client before its answer, which may never come. Raises InspectionError where that fails.
        """
        for request in requests:
            permit = request.permit
            if permit is not None and not request.foretold:
                request.foreseen = await self.judge.foresee(request.policies, permit)
                request.foretold = True

    def upstream_of(self, request: Request, server: str) -> Upstream:
        """The upstream that `request` was decided for. Raises UpstreamError where the server of that name is
        another one by now: it does not get what is for the first one, nor what that one began."""
        upstream = self.upstreams[server]
        if upstream is not request.upstream:
            raise UpstreamError(f"upstream '{server}' was changed in the configuration meanwhile")
        return upstream

    async def pause(self, seconds: float) -> None:
        """Wait this long."""
        await self.within(seconds, Wait())

    async def within(self, seconds: float, wait: Wait[Any]) -> bool:
        """Whether `wait` is over, in this many seconds at the latest; raises nothing of it."""
        if wait.done:
            return True
        over: Wait[None] = Wait()
        wait.then(lambda _: over.set(None))
        stop = self.clock.later(seconds, lambda: over.set(None))
        try:
            await over
        finally:
            stop()
        return wait.done

    def report_cleaned(self, server: str, clean: Redacted, what: str) -> None:
        """Say to the operator what inspection took out of `what` of a server, and made visible in it."""
        if clean.findings:
            self.report(server, f"{len(clean.findings)} value(s) removed from its {what}")
        if clean.neutralised:
            count = sum(number for _, number in clean.neutralised)
            self.report(server, f"{count} hidden character(s) made visible in its {what}")

    def report_refusal(self, deny: Deny, what: str = "refused") -> None:
        """Say to the operator what was refused, by which rules, where these stand, and what shows
        more; `what` stands before the name of the method."""
        call, target = deny.invocation, deny.invocation.target
        name = f" {target.name}" if target is not None and target.inspected else ""
        places = self.judge.policies.places
        rules = [f"{rule} ({places[rule]})" if places.get(rule) else rule for rule in deny.rules]
        # What is refused for no rule may be held by mistake, so the operator learns what it is.
        why = f"{deny.cause.value} {', '.join(deny.credentials)}".rstrip()
        by = f"by {', '.join(rules)}" if rules else f"({why})"
        said = f"{what} {call.method}{name} {by}: {self._explained(call.id)}"
        self.report(call.server, said, about=_about(call, deny.rules))

    def report_failed(self, call: Invocation, status: str, why: str) -> None:
        """Say to the operator that what was allowed was not completed: `status` is "withheld" where an
        answer, or what a server asks, could not be inspected, else "unavailable"; and what shows more."""
        target = call.target
        name = f" {target.name}" if target is not None and target.inspected else ""
        what = "withheld the contents of" if status == "withheld" else "no answer to"
        said = f"{what} {call.method}{name}: {why}: {self._explained(call.id)}"
        self.report(call.server, said, about=_about(call))

    def report_unrouted(self, record: Decided) -> None:
        """Say to the operator that a call was refused which led to nothing."""
        # Quoted, since it is the client's own text.
        what = f"{record.method} {(record.tool or record.subject)!r}"
        about = {"method": record.method, "invocation": record.id}
        self.report("", f"refused {what} ({record.cause}): {self._explained(record.id)}", about=about)

    def _explained(self, call_id: str) -> str:
        return f"`mcpguard explain {call_id}{self.approvals.option()}`"

    async def settled(self) -> None:
        """Return behind all that was answered so far, when its records are durable. Raises AuditError."""
        pending = self.inspector.together.pending
        if pending:
            await pending[-1][2]
        await self.audit.settled()

    async def admit(self, permit: Permit, started: float) -> None:
        """Record that what was allowed goes on. If it is cancelled before that is durable, its outcome is on
        record too."""
        async with self.noting(permit, started):
            await self.audit.write(self.recorder.decided(permit))

    @asynccontextmanager
    async def noting(self, permit: Permit, started: float) -> AsyncIterator[None]:
        """Where what was allowed is cancelled in the block, record that as its outcome."""
        try:
            yield
        except Cancelled as why:
            await self.audit.write(self.recorder.outcome(permit.invocation, str(why), started))
            raise

    def asked(self, request: Request, server: str = "", **params: Json) -> Invocation:
        """An invocation for what `request` wants of mcpguard itself; of `server`, for what that needs."""
        caller, origin = request.caller, request.origin
        return self.recorder.invocation(request.method, server, params=params, caller=caller, origin=origin)

    async def begin(self, request: Request, **params: Json) -> tuple[Permit, float]:
        """Record that what mcpguard answers itself goes on, and since when."""
        permit, started = pdp.permit_protocol(self.asked(request, **params)), self.recorder.seconds()
        await self.admit(permit, started)
        return permit, started

    async def answer(
        self, request: Request, permit: Permit, started: float, answer: Redacted, digest: str
    ) -> None:
        """Record that what was begun is done, and answer `request`."""
        noted = self.recorder.outcome(
            permit.invocation, "ok", started, digest, answer.findings, neutralised=answer.neutralised
        )
        await self.audit.write(noted)
        self.client.reply(request.id, answer)

    async def fail(self, request: Request, permit: Permit, started: float, status: str, why: str) -> None:
        """Record that what was begun is not done, `status` as of `report_failed`, and refuse `request`."""
        await self.audit.write(self.recorder.outcome(permit.invocation, status, started, error=why))
        self.report_failed(permit.invocation, status, why)
        refusal = refusals.withheld if status == "withheld" else refusals.unavailable
        self.refuse(request.id, refusal(why, permit.invocation))

    def ended(
        self, request: Request, invocation: Invocation, status: str, started: float, why: str = ""
    ) -> Outcome:
        """The record of an allowed request that has no answer of its upstream."""
        return self.recorder.outcome(
            invocation, status, started, review=request.foreseen, times=request.times, error=why
        )

    def refuse(self, request_id: RequestId | None, error: dict[str, Json]) -> None:
        """Answer with an error object of ours."""
        self.client.refuse(request_id, self.inspector.ours(error))

    def refuse_message(self, problem: MessageError) -> None:
        """Answer a message that is refused before a decision, and leave a note of it."""
        said = f"{problem.code}: {problem}"[:MOST_MESSAGE]
        self.audit.write(self.recorder.noticed("message-refused", detail=said))
        self.refuse(problem.request_id, refusals.error(problem.code, str(problem), problem.data))

    def result_for(self, caller: Caller, method: str, result: dict[str, Json]) -> dict[str, Json]:
        """A result in the form of the caller's era; a modern one also says who serves."""
        return eras.result_for(caller, method, result, self.identity)


def _about(call: Invocation, rules: tuple[str, ...] = ()) -> dict[str, str | tuple[str, ...]]:
    """What a line about a call has besides its text, for whoever filters lines."""
    target = call.target
    tool = target.name if target is not None and target.kind == "tool" and target.inspected else ""
    return {"method": call.method, "tool": tool, "rules": rules, "invocation": call.id}
