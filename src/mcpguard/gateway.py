"""The policy enforcement point: the one path that every message takes.

    route -> DECIDE -> record -> call -> INSPECT -> record -> reply

Law of this file: each step returns, or the request is refused; there is no other way through. A record
is durable before the step after it runs (law 5): `await self._audit.write(...)` is that barrier.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from mcpguard.core import pdp
from mcpguard.core.errors import (
    AuditError,
    CredentialError,
    InspectionError,
    McpGuardError,
    MessageError,
    UpstreamError,
)
from mcpguard.core.evidence import Noticed
from mcpguard.core.model import Deny, Invocation, Json, Permit, Tool
from mcpguard.core.policy import PolicySet
from mcpguard.core.redaction import authored
from mcpguard.flight import Cancelled, Flight
from mcpguard.inspection import Inspector
from mcpguard.listing import Listing
from mcpguard.notices import Notices
from mcpguard.ports import AuditSink, Client, RequestId, Upstream
from mcpguard.protocol import calls, jsonrpc, lifecycle, refusals
from mcpguard.protocol.methods import FROM_CLIENT
from mcpguard.recorder import Recorder

Handler = Callable[[RequestId, dict[str, Json]], Coroutine[Any, Any, None]]
EMPTY = authored({})


class Gateway:
    """Serves one client over any number of upstreams."""

    def __init__(
        self,
        *,
        policies: PolicySet,
        inspector: Inspector,
        audit: AuditSink,
        recorder: Recorder,
        upstreams: Mapping[str, Upstream],
        client: Client,
        identity: tuple[str, str],
        report: Callable[[str, str], None],
        advice: str = "",
    ) -> None:
        """`identity` is our own name and version; `report(server, sentence)` tells the operator;
        `advice` ends the answer for each tool that is not there."""
        self.version = lifecycle.LEGACY_VERSIONS[0]
        self._policies = policies
        self._inspector = inspector
        self._audit = audit
        self._recorder = recorder
        self._upstreams = upstreams
        self._client = client
        self._identity = identity
        self._report = report
        self._advice = advice
        self._listing = Listing(upstreams, inspector, recorder, audit, report)
        self.notices = Notices(inspector, audit, recorder, client, self._listing.refresh_anew, report)
        """What comes from an upstream and belongs to no request."""
        self._flights: dict[RequestId, Flight] = {}
        self._initialized = False
        self._handlers: dict[str, Handler] = {
            "initialize": self._initialize,
            "ping": self._ping,
            "tools/list": self._list,
            "tools/call": self._call,
            "logging/setLevel": self._broadcast,
        }

    # --- from the client -------------------------------------------------------------------------

    def receive(self, message: dict[str, Json]) -> None:
        """Take one well-formed message of the client."""
        method = message.get("method")
        if method is None:
            return  # An answer: nothing is asked of the client in this version.
        request_id = message.get("id")
        params = message.get("params", {})
        if request_id is None:
            if method == "notifications/cancelled":
                self._cancelled(params)
            return
        problem = self._out_of_turn(request_id, method)
        if problem is not None:
            self.refuse_message(problem)
            return
        flight = Flight(self._serve(request_id, method, params))
        if not flight.over:
            self._flights[request_id] = flight

    def refuse_message(self, problem: MessageError) -> None:
        """Answer a message that is refused before a decision, and leave a note of it."""
        self._audit.write(
            Noticed(at=self._recorder.now(), what="message-refused", detail=f"{problem.code}: {problem}")
        )
        self._client.refuse(
            problem.request_id, self._inspector.ours(refusals.error(problem.code, str(problem)))
        )

    def abandon(self, reason: str) -> None:
        """End every call in flight: each leaves an outcome, none gets an answer."""
        for flight in list(self._flights.values()):
            flight.cancel(reason)

    def _refuse(self, request_id: RequestId | None, error: dict[str, Json]) -> None:
        self._client.refuse(request_id, self._inspector.ours(error))

    @property
    def idle(self) -> bool:
        """Whether no request waits for an answer."""
        return not self._flights

    def _out_of_turn(self, request_id: RequestId, method: str) -> MessageError | None:
        row = FROM_CLIENT.get(method)
        if row is None or not row.request:
            return MessageError(jsonrpc.METHOD_NOT_FOUND, "method is not served by mcpguard", request_id)
        if request_id in self._flights:
            return MessageError(
                jsonrpc.INVALID_REQUEST, "this id is in use by an earlier request", request_id
            )
        if self._initialized == (method == "initialize") and method != "ping":
            said = "initialize was done already" if self._initialized else "initialize comes first"
            return MessageError(jsonrpc.INVALID_REQUEST, said, request_id)
        return None

    async def _serve(self, request_id: RequestId, method: str, params: dict[str, Json]) -> None:
        try:
            await self._handlers[method](request_id, params)
        except Cancelled:
            pass
        except MessageError as problem:
            problem.request_id = request_id
            self.refuse_message(problem)
        except AuditError:
            said = "mcpguard cannot write its audit log, so this request was refused"
            self._refuse(request_id, refusals.error(jsonrpc.REFUSED, said))
        except Exception as defect:
            # Closed by default: a defect of ours is a refusal, and its text may hold anything.
            self._report("", f"internal error ({type(defect).__name__}); the request was refused")
            said = "internal error in mcpguard; the request was refused"
            self._client.refuse(request_id, authored(refusals.error(jsonrpc.INTERNAL_ERROR, said)))
        finally:
            self._flights.pop(request_id, None)

    def _cancelled(self, params: dict[str, Json]) -> None:
        request_id = params.get("requestId")
        # `true` is no id, though a dict finds it as 1.
        if not isinstance(request_id, int | str) or isinstance(request_id, bool):
            return
        flight = self._flights.get(request_id)
        if flight is not None:
            flight.cancel("cancelled")

    async def _initialize(self, request_id: RequestId, params: dict[str, Json]) -> None:
        self.version = lifecycle.negotiate(params.get("protocolVersion"))
        self._initialized = self.notices.open = True
        self._client.reply(request_id, authored(lifecycle.initialize_result(self.version, *self._identity)))

    async def _ping(self, request_id: RequestId, _params: dict[str, Json]) -> None:
        self._client.reply(request_id, EMPTY)

    # --- tools/call ------------------------------------------------------------------------------

    async def _call(self, request_id: RequestId, params: dict[str, Json]) -> None:
        call = calls.read_call(params)
        try:
            tool = await self._route(call.name)
        except (UpstreamError, CredentialError, InspectionError) as problem:
            record = self._recorder.unrouted(call, "unavailable", self._inspector.text)
            await self._audit.write(record)
            self._refuse(request_id, refusals.unavailable(str(problem), record.id))
            return
        if tool is None:
            record = self._recorder.unrouted(call, "unknown-tool", self._inspector.text)
            await self._unknown(request_id, call.name, record)
            return
        invocation = self._recorder.invocation(
            "tools/call", tool.server, tool, call.args, calls.upstream_params(call, tool.name)
        )
        verdict = pdp.decide(self._policies, invocation)
        if isinstance(verdict, Deny):
            await self._denied(request_id, call.name, verdict)
            return
        await self._perform(request_id, verdict, self.notices.progress_to(call.progress_token))

    async def _route(self, name: str) -> Tool | None:
        catalogue = self._listing.catalogue
        tool = catalogue.find(name)
        if tool is None:
            server = catalogue.server_of(name)
            if server is not None and not catalogue.listed(server):
                await self._listing.refresh(server)
                tool = catalogue.find(name)
        return tool

    async def _unknown(self, request_id: RequestId, name: str, record: Any) -> None:
        await self._audit.write(record)
        self._refuse(request_id, refusals.unknown_tool(name, self._advice))

    async def _denied(self, request_id: RequestId, name: str, deny: Deny) -> None:
        record = self._recorder.decided(deny)
        if not pdp.visible(self._policies, deny.invocation):
            await self._unknown(request_id, name, record)
            return
        await self._audit.write(record)
        self._client.reply(request_id, self._inspector.ours(refusals.denied_result(deny)))

    async def _perform(
        self, request_id: RequestId, permit: Permit, progress: Callable[[Json], None] | None
    ) -> None:
        invocation = permit.invocation
        started = self._recorder.seconds()
        upstream = self._upstreams[invocation.server]
        wait = None
        try:
            await self._audit.write(self._recorder.decided(permit))
            wait = upstream.request(permit, progress)
            raw = await wait
            answer, digest = await self._inspector.seal(raw.body, raw.size, permit.redact)
        except Cancelled as why:
            if wait is not None:
                upstream.cancel(wait, str(why))
            await self._audit.write(self._recorder.outcome(invocation, str(why), started))
            return
        except InspectionError as problem:
            await self._failed(request_id, invocation, started, "withheld", refusals.withheld, problem)
            return
        except (UpstreamError, CredentialError) as problem:
            await self._failed(request_id, invocation, started, "unavailable", refusals.unavailable, problem)
            return
        status = raw.status
        await self._audit.write(self._recorder.outcome(invocation, status, started, digest, answer.findings))
        if status == "error":
            self._client.refuse(request_id, answer)
        else:
            self._client.reply(request_id, answer)

    async def _failed(
        self,
        request_id: RequestId,
        invocation: Invocation,
        started: float,
        status: str,
        refusal: Callable[[str, str], dict[str, Json]],
        problem: McpGuardError,
    ) -> None:
        await self._audit.write(self._recorder.outcome(invocation, status, started))
        self._refuse(request_id, refusal(str(problem), invocation.id))

    # --- what is asked of all upstreams ----------------------------------------------------------

    async def _list(self, request_id: RequestId, params: dict[str, Json]) -> None:
        if params.get("cursor") is not None:
            raise MessageError(jsonrpc.INVALID_PARAMS, "no such cursor: the list has one page")
        permit = pdp.permit_protocol(self._recorder.invocation("tools/list", params=params))
        started = self._recorder.seconds()
        await self._audit.write(self._recorder.decided(permit))
        problems = await self._listing.refresh_all()
        if len(problems) == len(self._upstreams):
            said = self._inspector.text("; ".join(problems))
            await self._audit.write(self._recorder.outcome(permit.invocation, "unavailable", started))
            self._client.refuse(
                request_id, self._inspector.ours(refusals.unavailable(said, permit.invocation.id))
            )
            return
        tools = [tool for tool in self._listing.catalogue.tools() if self._visible(tool)]
        size = sum(len(tool.exposed) + len(tool.facts["description"]) for tool in tools)
        answer, digest = await self._inspector.seal({"tools": [tool.descriptor for tool in tools]}, size)
        await self._audit.write(
            self._recorder.outcome(permit.invocation, "ok", started, digest, answer.findings)
        )
        self._client.reply(request_id, answer)

    def _visible(self, tool: Tool) -> bool:
        return pdp.visible(self._policies, self._recorder.invocation("tools/call", tool.server, tool))

    async def _broadcast(self, request_id: RequestId, params: dict[str, Json]) -> None:
        if type(params.get("level")) is not str:
            raise MessageError(jsonrpc.INVALID_PARAMS, "logging/setLevel needs `level`, a string")
        permit = pdp.permit_protocol(
            self._recorder.invocation("logging/setLevel", params={"level": params["level"]})
        )
        await self._audit.write(self._recorder.decided(permit))
        started = self._recorder.seconds()
        for upstream in self._upstreams.values():
            upstream.prepare(permit)
        await self._audit.write(self._recorder.outcome(permit.invocation, "ok", started))
        self._client.reply(request_id, EMPTY)
