"""The one path that every decided request takes.

    route -> DECIDE -> record -> call -> INSPECT -> record -> reply

Law of this file: each step returns, or the request is refused; there is no other way through. A record
is durable before the next step runs (law 5): `await audit.write(...)` is that barrier.
"""

from collections.abc import Callable, Mapping
from functools import partial

from msgspec import structs

from mcpguard.core.errors import (
    AuditError,
    CredentialError,
    InspectionError,
    McpGuardError,
    MessageError,
    UpstreamError,
)
from mcpguard.core.evidence.records import Outcome
from mcpguard.core.model import Cause, Deny, Invocation, Json, Listed, Permit
from mcpguard.core.policy import pdp, visibility
from mcpguard.core.policy.wording import and_then
from mcpguard.core.redaction.redactor import AT_ONCE, TooMuchAtOnce
from mcpguard.gateway.flight import Cancelled, Wait
from mcpguard.gateway.lists.listing import Listing
from mcpguard.gateway.lists.notices import Notices
from mcpguard.gateway.lists.subscriptions import Subscriptions
from mcpguard.gateway.ports import RawAnswer
from mcpguard.gateway.questions.approvals import Approvals
from mcpguard.gateway.questions.elicited import ClientChannel, ElicitedAnswer
from mcpguard.gateway.questions.relayed import with_lack
from mcpguard.gateway.questions.round_trips import MAX_ROUNDS, Parked, Resumed, RoundTrips
from mcpguard.gateway.recorder import undecided
from mcpguard.gateway.results import ReadyAnswer, Results
from mcpguard.gateway.scope import WOULD_REFUSE, ClientScope, Questioned, Request
from mcpguard.gateway.tasks import Tasks
from mcpguard.protocol import calls, eras, headers, refusals
from mcpguard.protocol.calls import Call
from mcpguard.protocol.jsonrpc import encode
from mcpguard.protocol.trace import TRACEPARENT, child_of

MOST_ANNOTATED = 1000
"""Tools of which it is remembered which of their parameters are mirrored in headers."""

_ANEW = "Nobody was asked, since {}: make the call again without it."
_OTHER = "this {} was started with a different credential from the one that the policy chooses now"

_Allowed = tuple[Permit, Call, str | None]
"""A Permit, the call that it is for, and the credential of the call that this one continues, if it does."""


class RequestPath:
    """Takes each request of one client that policies decide from its route to its reply."""

    def __init__(
        self,
        scope: ClientScope,
        listing: Listing,
        notices: Notices,
        trips: RoundTrips,
        tasks: Tasks,
        subscriptions: Subscriptions,
    ) -> None:
        self._scope = scope
        self._listing = listing
        self._notices = notices
        self._trips = trips
        self._tasks = tasks
        self._results = Results(scope, tasks)
        self._client = ClientChannel(scope, trips.questions, trips.parked)
        self._approvals = Approvals(scope, listing.catalogue, self._client)
        self._subscriptions = subscriptions
        self._annotated: dict[str, tuple[Listed, list[headers.Annotation]]] = {}

    async def serve(self, request: Request) -> None:
        """Answer one request. Raises MessageError where it cannot be read, AuditError."""
        allowed = await self._allowed(request)
        if allowed is None:
            return
        permit, call, begun = allowed
        scope, invocation, times = self._scope, permit.invocation, request.times
        started = times.decided = scope.recorder.seconds()
        request.permit = permit
        try:
            await scope.audit.write(scope.recorder.decided(permit, request.seen, request.policies))
            times.recorded = scope.recorder.seconds()
            if permit.observed is not None:
                scope.report_refusal(permit.observed, WOULD_REFUSE)
            raw = await self._answered(request, permit, call, started, begun)
            ready = await self._results.ready(request, permit, call, raw)
        except Cancelled as why:
            self._let_go(request, invocation, str(why))
            await scope.audit.write(scope.ended(request, invocation, str(why), started))
            return
        except InspectionError as problem:
            await self._failed(request, invocation, started, "withheld", refusals.withheld, problem)
            return
        except (UpstreamError, CredentialError) as problem:
            await self._failed(request, invocation, started, "unavailable", refusals.unavailable, problem)
            return
        finally:
            if request.questions or (request.wait is not None and not request.wait.done):
                self._let_go(request, invocation, "refused")
        await scope.audit.write(self._outcome(request, invocation, ready, started))
        if ready.refused:
            scope.client.refuse(request.id, ready.answer)
            return
        if call.method == "resources/subscribe":
            self._subscriptions.subscribed(request, permit, call.name)
        scope.client.reply(request.id, ready.answer)

    # --- route and decide ------------------------------------------------------------------------

    async def _allowed(self, request: Request) -> _Allowed | None:
        """The request as policy allows it, None where its client has its answer."""
        scope, handles, due = self._scope, self._scope.handles, self._listing.announced
        read = calls.read_call(request.method, request.params, request.caller.modern)
        call, owner = handles.named(read) if handles.any else (read, "")
        request.progress_token = call.progress_token
        target = self._listing.catalogue.named.get((call.kind, call.name))
        found = await self._found(request, call, owner) if target is None or due else (target.server, target)
        if found is None:
            return None
        server, target = found
        if target is not None and target.held:
            target = await self._listing.looked_at(target, request.caller)
        request.upstream = scope.upstreams[server]
        if request.headers is not None and request.caller.modern:
            self._check_headers(request, target, call, request.headers)
        call = handles.given(server, call) if handles.any else call
        call, said = (call, None) if call.state is None else self._client.retried(call)
        params = calls.upstream_params(call, "" if target is None else target.name)
        task = self._tasks.find(call.name) if call.kind == "task" else None
        invocation = scope.recorder.invocation(
            request.method, server, target, call.args, params, request.caller, request.origin
        )
        if task is not None:
            invocation = structs.replace(invocation, begun=task.permit)
        if request.origin.trace or scope.tracing or call.args is not read.args:
            invocation = self._completed(request, invocation, call, read)
        try:
            verdict = await self._verdict(request, call, invocation, said)
        except Cancelled as why:
            await scope.audit.write(scope.recorder.cancelled(invocation, request.asked, str(why)))
            raise
        request.policies = scope.judge.policies
        if not isinstance(verdict, Permit):
            self._trips.parked.refuse(call)
            await self._refuse(request, call, verdict)
            return None
        if call.state is not None:
            return await self._retried(request, verdict, call, call.state)
        permit, redact = (verdict, ()) if task is None else (pdp.within(verdict, task.permit), task.redact)
        request.credential, request.redact = permit.credential, permit.redact + redact
        return permit, call, None

    def _completed(self, request: Request, invocation: Invocation, call: Call, read: Call) -> Invocation:
        """The invocation of `call`, which is what was `read` with the handles in place: with the trace that
        it is part of, and with what is given back."""
        scope = self._scope
        if request.origin.trace or scope.tracing:
            # Before anything is decided: what is decided is what is sent.
            trace = child_of(request.origin.trace, invocation.id)
            params = {**(invocation.params or {}), "_meta": {**call.meta, TRACEPARENT: trace}}
            invocation = structs.replace(invocation, params=params)
        if call.args is not read.args:
            invocation = structs.replace(invocation, returned=tuple(scope.handles.behind(read.args)))
        return invocation

    async def _verdict(
        self, request: Request, call: Call, invocation: Invocation, said: ElicitedAnswer | None
    ) -> Permit | Deny | None:
        """The verdict on a request, None where its client is asked first. `said` is what it answered, where
        this is its retry."""
        judge, inspector = self._scope.judge, self._scope.inspector
        if inspector.together.several and call.state is None and self._scope.recorder.arguments:
            request.seen = inspector.redactor.turns, await inspector.together.clean(call.args, sent=False)
        if invocation.server not in judge.egress.free:
            astray, invocation = await self._searched(invocation, invocation.params or {})
            if astray is not None:
                return astray
        if call.state is not None or call.method == "resources/subscribe":
            return await self._decide(request, call, invocation)
        if judge.policies.stateful:
            verdict = await judge.decide(invocation)
        else:  # As that does, on the road of nearly every call.
            verdict = pdp.decide(judge.policies, invocation, None, judge.egress)
        if not isinstance(verdict, Permit) and verdict.cause is Cause.APPROVAL:
            return await self._approvals.answer(request, call, invocation, verdict, said)
        return verdict

    async def _searched(
        self, invocation: Invocation, params: dict[str, Json]
    ) -> tuple[Deny | None, Invocation]:
        """The refusal of params that carry a credential astray and take too long to search in this turn, and
        the invocation, which says whether they were searched: if not, the decision does it."""
        keeps_back, inspector = self._scope.judge.keeps_back, self._scope.inspector
        state = self._scope.judge.egress.state
        try:
            if keeps_back(invocation, params, AT_ONCE) is not None:
                return None, invocation
            astray = None
        except TooMuchAtOnce:
            astray = await inspector.elsewhere(partial(keeps_back, invocation, params), len(encode(params)))
        return astray, structs.replace(invocation, searched=state)

    async def _decide(self, request: Request, call: Call, invocation: Invocation) -> Permit | Deny:
        """The verdict on a request that may be wrong in itself, or continues a call that was suspended.
        Raises MessageError for a Permit for what is wrong, which leaves no trace."""
        wrong, suspended = self._wrong(call, invocation.server), self._trips.parked.suspended(call)
        if wrong is None and (ticket := self._trips.parked.ticket(call)) is not None:
            return await self._approvals.again(request, invocation, ticket, suspended)
        if wrong is None and not suspended:
            return await self._scope.judge.decide(invocation)
        verdict = await self._scope.judge.decide_again(invocation, suspended)
        if wrong is None:
            return verdict
        if isinstance(verdict, Permit):
            raise wrong
        if verdict.cause is Cause.APPROVAL and call.state is not None:
            return structs.replace(verdict, message=and_then(verdict.message, _ANEW.format(wrong)))
        return verdict

    def _wrong(self, call: Call, server: str) -> MessageError | None:
        """What is wrong with the request itself. It is said after the decision only: of a target that the
        client may not see it would tell that it is there."""
        try:
            if call.method == "resources/subscribe":
                self._subscriptions.check_room(server, call.name)
            if call.state is not None:
                self._trips.parked.known(call, call.state)
        except MessageError as problem:
            return problem
        return None

    async def _retried(self, request: Request, permit: Permit, call: Call, state: str) -> _Allowed | None:
        parked = self._trips.parked.claim(call, state)
        if parked.wait is not None:
            await self._resume(parked, parked.wait, request, permit, call)
            return None
        if self._scope.upstreams[permit.invocation.server].modern:
            more = await self._trips.continued(parked, call)
            permit = pdp.again(permit, (permit.invocation.params or {}) | more)
        request.credential, request.redact = permit.credential, permit.redact
        return permit, call, parked.credential

    async def _resume(
        self, parked: Parked, wait: Resumed, request: Request, permit: Permit, call: Call
    ) -> None:
        """Let the suspended call go on as `request`: it answers and leaves the outcome."""
        scope, started = self._scope, self._scope.recorder.seconds()
        request.redact = permit.redact
        scope.audit.write(scope.recorder.decided(permit))
        if permit.observed is not None:
            scope.report_refusal(permit.observed, WOULD_REFUSE)
        if parked.credential != permit.credential:
            parked.give_up("denied")
            other = CredentialError(_OTHER.format("call"))
            await self._failed(
                request, permit.invocation, started, "unavailable", refusals.unavailable, other
            )
            return
        try:
            await scope.audit.write(scope.recorder.outcome(permit.invocation, "resumed", started))
        except (Cancelled, AuditError) as why:
            # Nothing else can resume it any more.
            parked.give_up(str(why) if isinstance(why, Cancelled) else "unavailable")
            raise
        wait.set((request, call.responses or {}))

    # --- route -----------------------------------------------------------------------------------

    def _check_headers(
        self, request: Request, target: Listed | None, call: Call, given: Mapping[str, str]
    ) -> None:
        if target is None or target.kind != "tool":
            return
        problem = headers.param_mismatch(given, self._annotations(target), call.args)
        # For a hidden tool its refusal follows: this one would tell that it is there.
        if problem is not None and not target.held and self._listing.visible(target):
            raise MessageError(eras.HEADER_MISMATCH, f"Header mismatch: {problem}")

    def _annotations(self, target: Listed) -> list[headers.Annotation]:
        """Those in the schema of a tool, which is looked through once for each time that it is listed."""
        known = self._annotated.get(target.exposed)
        if known is None or known[0] is not target:
            if len(self._annotated) >= MOST_ANNOTATED:
                self._annotated.clear()
            known = target, headers.annotated(target.descriptor.get("inputSchema"))
            self._annotated[target.exposed] = known
        return known[1]

    async def _found(self, request: Request, call: Call, owner: str) -> tuple[str, Listed | None] | None:
        """The server that a request is for, `owner` where that is not "", and what it lists under this name,
        which may have to be asked for first; None without one, and the client knows."""
        scope, asked = self._scope, (call, request.caller, request.origin)
        try:
            listed = call.kind not in ("task", "extension")
            target = await self._listing.locate(call.kind, call.name, request.caller) if listed else None
        except (UpstreamError, CredentialError, InspectionError) as problem:
            record = scope.recorder.unrouted(*asked, "unavailable", str(problem))
            await scope.audit.write(record)
            scope.report_unrouted(record)
            scope.refuse(request.id, refusals.unavailable(str(problem), record))
            return None
        except Cancelled as why:
            await scope.audit.write(scope.recorder.unrouted(*asked, undecided(str(why))))
            raise
        server = self._server_of(call) if target is None else target.server
        if server is None or owner not in ("", server):
            record = scope.recorder.unrouted(*asked, "unknown")
            scope.report_unrouted(record)
            await self._unknown(request, call, record)
            return None
        return server, target

    def _server_of(self, call: Call) -> str | None:
        if call.kind == "task":
            task = self._tasks.find(call.name)
            return None if task is None else task.server
        return self._scope.extensions.get(call.method) if call.kind == "extension" else None

    async def _unknown(self, request: Request, call: Call, record: Json) -> None:
        scope, advice = self._scope, self._scope.advice
        if call.kind in ("tool", "prompt"):
            meant = self._listing.catalogue.alike(call.kind, call.name, self._listing.visible)
            advice = f"Did you mean {' or '.join(meant)}?" if meant else advice
        await scope.audit.write(record)
        scope.refuse(request.id, refusals.unknown(call.kind, call.name, request.caller.modern, advice))

    async def _refuse(self, request: Request, call: Call, deny: Deny | None) -> None:
        if deny is None:  # The client was asked first.
            return
        scope, target = self._scope, deny.invocation.target
        record = scope.recorder.decided(deny)
        scope.report_refusal(deny)
        if target is not None and not visibility.visible(scope.judge.policies, deny.invocation):
            await self._unknown(request, call, record)
            return
        await scope.audit.write(record)
        if call.kind == "tool":
            result = scope.result_for(request.caller, request.method, refusals.denied_result(deny))
            scope.client.reply(request.id, scope.inspector.ours(result))
        else:
            scope.refuse(request.id, refusals.denied_error(deny))

    # --- call, inspect, reply --------------------------------------------------------------------

    def _outcome(
        self, request: Request, invocation: Invocation, ready: ReadyAnswer, started: float
    ) -> Outcome:
        failed = ready.status == "error"
        return self._scope.recorder.outcome(
            invocation,
            ready.status,
            started,
            ready.digest,
            ready.answer.findings,
            ready.review,
            ready.answer.neutralised,
            ready.answer.spared,
            times=request.times,
            error=ready.answer.value["message"] if failed else "",
        )

    def _let_go(self, request: Request, invocation: Invocation, reason: str) -> None:
        """Nothing of the call stays open at its upstream: neither the request nor what it asked."""
        if request.wait is not None and not request.wait.done:
            self._scope.upstreams[invocation.server].cancel(request.wait, reason)
            request.wait = None
        self._trips.drop(request)

    async def _answered(
        self, request: Request, permit: Permit, call: Call, started: float, begun: str | None
    ) -> RawAnswer:
        """The upstream's final answer, or the `input_required` that goes to a modern client. `begun` is the
        credential of the call that this one is a retry of."""
        scope, server = self._scope, permit.invocation.server
        if begun is not None or call.kind == "task":
            self._check_continued(permit, call, begun)
        progress = None if request.progress_token is None else self._notices.progress_of(request)
        request.server = server
        for _ in range(MAX_ROUNDS):
            upstream = scope.upstreams[server]
            if upstream is not request.upstream:
                scope.upstream_of(request, server)  # Says why not.
            wait = request.wait = upstream.request(permit, progress)
            request.listening = True
            try:
                raw = await wait
            except Questioned:
                raw = await self._asked_first(request, permit, call, started, wait)
            finally:
                request.listening = False
            times = request.times
            times.sent_at, times.came = times.sent_at or raw.sent_at, scope.recorder.seconds()
            times.sent, times.received = times.sent + raw.sent, times.received + raw.size
            result = raw.message.get("result")
            kind = result.get("resultType") if type(result) is dict else None
            if kind == eras.INPUT_REQUIRED or call.method == "resources/subscribe":
                scope.upstream_of(request, server)  # More is to come from there.
            if kind != eras.INPUT_REQUIRED:
                if type(result) is dict and "inputRequests" not in result:
                    return raw
                return await self._trips.screened(request, permit, call, raw)
            again = await self._trips.with_input(request, permit, call, raw)
            if not isinstance(again, Permit):
                return again
            permit = again
        raise UpstreamError(f"upstream '{server}' asked for input {MAX_ROUNDS} times in one call")

    def _check_continued(self, permit: Permit, call: Call, begun: str | None) -> None:
        """What the call continues must have its credential, else this raises CredentialError."""
        task = self._tasks.find(call.name) if call.kind == "task" else None
        if task is not None and task.permit.credential != permit.credential:
            raise CredentialError(_OTHER.format("task"))
        if begun is not None and begun != permit.credential:
            raise CredentialError(_OTHER.format("call"))

    async def _asked_first(
        self, request: Request, permit: Permit, call: Call, started: float, wait: Wait[RawAnswer]
    ) -> RawAnswer:
        """The upstream's answer, after all that it asks the modern client first."""
        while True:
            request.listening = False
            await self._trips.park(request, permit, call, started)
            request.listening = True
            try:
                return with_lack(request, await wait)
            except Questioned:
                pass

    async def _failed(
        self,
        request: Request,
        invocation: Invocation,
        started: float,
        status: str,
        refusal: Callable[[str, Invocation], dict[str, Json]],
        problem: McpGuardError,
    ) -> None:
        scope, said = self._scope, str(problem)
        await scope.audit.write(scope.ended(request, invocation, status, started, said))
        scope.report_failed(invocation, status, said)
        scope.refuse(request.id, refusal(said, invocation))
