"""The policy enforcement point: takes each message of one client, checks that it is in order, and passes it
to the one path (`path.py`), to the lists and subscriptions (`lists/`), or to the greeting (`welcome.py`).

Law of this file: a method without a row in the table of methods is refused, and so is any request that
fails on the way.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from mcpguard.core.errors import AuditError, ExportError, MessageError
from mcpguard.core.model import Caller, Json, Origin, Permit
from mcpguard.core.redaction.redactor import authored
from mcpguard.gateway.flight import Cancelled, Flight
from mcpguard.gateway.inspection.inspector import EMPTY
from mcpguard.gateway.lists.listing import Listing
from mcpguard.gateway.lists.notices import Notices
from mcpguard.gateway.lists.subscriptions import Subscriptions
from mcpguard.gateway.path import RequestPath
from mcpguard.gateway.ports import Question, RequestId
from mcpguard.gateway.questions.attribution import Attribution
from mcpguard.gateway.questions.relayed import Questions
from mcpguard.gateway.questions.round_trips import RoundTrips
from mcpguard.gateway.recorder import StepTimes
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.gateway.tasks import Tasks
from mcpguard.gateway.welcome import Welcome
from mcpguard.protocol import eras, headers, jsonrpc, refusals
from mcpguard.protocol.methods import FROM_CLIENT, Era, Treatment
from mcpguard.protocol.trace import TRACEPARENT, traceparent_of

Handler = Callable[[Request], Coroutine[Any, Any, None]]


NOT_SERVED = (
    "method is not served by mcpguard. If it belongs to an extension of the protocol, the owner of the "
    "configuration can list it under `extensions`"
)
STOPPING = "mcpguard is stopping and accepts no new requests"
STOPPED = (
    "mcpguard stopped before this request was finished. It may have taken effect: check before you retry"
)
_WITHHELD = "the answer to this request was withheld. It may have taken effect: check before you retry"
STOPPED_WAITING = (
    "mcpguard stopped while the call waited for an approval (ticket {}); nothing was sent. Make it again,"
    " with the same arguments"
)


class Gateway:
    """Serves one client over any number of upstreams; implements `ports.Receiver` and `ports.Listener`."""

    def __init__(self, scope: ClientScope) -> None:
        self._scope = scope
        self._draining = self._looked = False
        self._level: Permit | None = None
        """By which a legacy client has set the level of log messages."""
        self._last_meta, self._last_caller = b"", Caller()
        """The last `_meta` of a modern client, and the caller that it describes."""
        self._caller: Caller | None = None
        """A legacy client after `initialize`; a modern one after its first request."""
        self._welcomed = True
        """Whether a legacy client has its answer to `initialize`: before it hears nothing else."""
        tasks = self._tasks = Tasks(scope)
        listing = self._listing = Listing(scope)
        self._welcome = Welcome(scope, listing.fetching.pinning)
        self._questions = Questions(scope)
        self._trips = RoundTrips(scope, self._questions)
        self._attribution = Attribution(scope, self._questions, self._trips.parked)
        subscriptions = self._subscriptions = Subscriptions(scope, listing)
        notices = self._notices = Notices(scope, listing, subscriptions, tasks, self._questions, self._hearer)
        self.notified, self.renewed, self.parted = notices.notified, notices.renewed, notices.parted
        """See `ports.Listener`."""
        self.policies_changed = notices.policies_changed
        path = RequestPath(scope, listing, notices, self._trips, tasks, subscriptions)
        self._handlers: dict[str, Handler] = {
            "initialize": self._initialize,
            "server/discover": self._welcome.reply,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
            "resources/unsubscribe": subscriptions.unsubscribe,
            "subscriptions/listen": subscriptions.listen,
            "tasks/list": tasks.serve,
        }
        for row in FROM_CLIENT.values():
            if row.request and row.name not in self._handlers:
                decided = row.treatment is Treatment.DECIDED
                self._handlers[row.name] = path.serve if decided else listing.serve
        self._serve_decided = path.serve
        self._handlers |= dict.fromkeys(scope.extensions, path.serve)

    # --- for upstreams ---------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The legacy revision to greet upstreams with."""
        caller = self._caller
        return eras.LEGACY_VERSIONS[0] if caller is None or caller.modern else caller.version

    def declared_to(self, server: str) -> Caller:
        """See `ports.Listener`: a legacy client as it is. Modern ones declare their capabilities in each
        request, so all are declared. Each question is judged when it comes."""
        caller = self._caller
        known = eras.ANY_CLIENT if caller is None or caller.modern else caller
        return self._questions.declared(server, known)

    def reconfigured(self, kept: frozenset[str]) -> None:
        """The configuration has changed, and so has the scope; the servers in `kept` are unchanged."""
        scope = self._scope
        static = {method: serve for method, serve in self._handlers.items() if method in FROM_CLIENT}
        self._handlers = {**static, **dict.fromkeys(scope.extensions, self._serve_decided)}
        for server in scope.servers:
            if server not in kept and self._level is not None:
                scope.upstreams[server].prepare(self._level)
        self._subscriptions.forget(kept)
        self._trips.parked.forget(kept)
        self._tasks.forget(kept)
        scope.handles.forget(kept)
        self._listing.reconfigured(kept)
        self._notices.reconfigured()

    def _hearer(self) -> Caller | None:
        return self._caller if self._welcomed else None

    @property
    def modern(self) -> bool:
        """Whether the client is of the modern era, so that upstreams are greeted in it first."""
        return self._looked if self._caller is None else self._caller.modern

    def asked(self, question: Question) -> None:
        caller = self._caller
        if caller is not None and not caller.modern:
            self._questions.relay(question, caller, self._attribution.asker(question))
        else:
            self._attribution.interrupt(question)

    def withdrawn(self, question: Question) -> None:
        self._questions.withdraw(question)
        self._attribution.withdraw(question)

    # --- from the client -------------------------------------------------------------------------

    def receive(
        self, message: dict[str, Json], headers: Mapping[str, str] | None = None, token: str = ""
    ) -> None:
        """Take one well-formed message of the client."""
        method = message.get("method")
        if method is None:
            self._questions.answered(message)
            return
        request_id = message.get("id")
        params = message.get("params", {})
        if request_id is None:
            self._notification(method, params)
            return
        try:
            if self._draining:
                raise MessageError(jsonrpc.REFUSED, STOPPING)
            caller = self._caller_of(request_id, message, headers)
        except MessageError as problem:
            problem.request_id = request_id
            self.refuse_message(problem)
            return
        scope = self._scope
        origin, times = self._origin_of(request_id, params, headers, token), StepTimes(scope.clock.seconds())
        request = scope.requests[request_id] = Request(
            request_id, method, params, caller, headers, origin, times
        )
        serve = self._handlers[method] if scope.known.done or method == "ping" else self._once_known
        request.flight = Flight(serve(request), partial(self._over, request))

    def _notification(self, method: str, params: dict[str, Json]) -> None:
        if method == "notifications/cancelled":
            request_id = params.get("requestId")
            # `true` is not an id, though a dict finds it as 1.
            if isinstance(request_id, int | str) and not isinstance(request_id, bool):
                self.cancel(request_id, "cancelled")
        elif method == "notifications/roots/list_changed" and not self.modern:
            for server in self._scope.servers:
                self._scope.upstreams[server].tell(method, {})

    def refuse_message(self, problem: MessageError) -> None:
        self._scope.refuse_message(problem)

    def cancel(self, request_id: RequestId, reason: str) -> None:
        request = self._scope.requests.get(request_id)
        if request is not None:
            request.cancel(reason)

    @property
    def held(self) -> Mapping[tuple[str, str], int]:
        """How many definitions are held back, by server and kind."""
        return self._listing.fetching.pinning.held

    def drain(self) -> None:
        """Begin nothing new. Open requests continue; those that are abandoned are answered from now on."""
        self._draining = True

    def abandon(self, reason: str) -> None:
        self._questions.abandon(reason)
        self._trips.parked.abandon(reason)
        self._listing.fetching.pinning.close()
        for request in list(self._scope.requests.values()):
            request.cancel(reason)

    @property
    def batches(self) -> bool:
        """See `ports.Receiver.batches`; false before `initialize`, which must not be in a batch."""
        return self._caller is not None and self._caller.version in jsonrpc.BATCHED

    @property
    def idle(self) -> bool:
        """See `ports.Receiver.idle`; an open subscription waits for no answer."""
        return all(one.method == "subscriptions/listen" for one in self._scope.requests.values())

    @property
    def thinking(self) -> bool:
        return self._questions.open or self._trips.parked.any

    # --- in turn or not --------------------------------------------------------------------------

    def _caller_of(
        self, request_id: RequestId, message: dict[str, Json], given: Mapping[str, str] | None
    ) -> Caller:
        method, params = message["method"], message.get("params", {})
        row = FROM_CLIENT.get(method)
        if method not in self._handlers or (row is not None and not row.request):
            raise MessageError(jsonrpc.METHOD_NOT_FOUND, NOT_SERVED)
        if request_id in self._scope.requests:
            raise MessageError(jsonrpc.INVALID_REQUEST, "this id is in use by an earlier request")
        version = None if given is None else given.get("mcp-protocol-version")
        known = self._caller
        if (known is None or known.modern) and (
            known is not None or eras.is_enveloped(params) or version in eras.MODERN_VERSIONS
        ):
            return self._modern_caller(message, given)
        return self._legacy_caller(method, row is not None and row.era is Era.MODERN, params)

    def _origin_of(
        self, request_id: RequestId, params: dict[str, Json], headers: Mapping[str, str] | None, token: str
    ) -> Origin:
        """Where a request of the client comes from. A trace that contains something to be redacted is
        ignored."""
        shown = self._scope.client.shown(request_id)
        name = str(shown) if type(shown) is int else self._scope.recorder.name(str(shown))
        if "_meta" not in params and headers is None:
            return Origin(name)
        meta, given = params.get("_meta"), "" if headers is None else headers.get(TRACEPARENT, "")
        said = meta.get(TRACEPARENT, given) if type(meta) is dict else given
        trace = traceparent_of(said) if said else ""
        return Origin(name, trace if trace and self._scope.inspector.text(trace) == trace else "", token)

    def _modern_caller(self, message: dict[str, Json], given: Mapping[str, str] | None) -> Caller:
        method, params = message["method"], message.get("params", {})
        if method == "initialize" and not eras.is_enveloped(params):
            raise eras.unsupported(str(params.get("protocolVersion")))
        meta = jsonrpc.encode(params.get("_meta"))
        same = meta == self._last_meta  # A client says the same of itself each time.
        caller = self._last_caller if same else eras.read_envelope(params)
        if given is not None:
            problem = headers.mismatch(given, message, caller.version)
            if problem is not None:
                raise MessageError(eras.HEADER_MISMATCH, f"Header mismatch: {problem}")
        if not same:
            eras.check_version(caller.version)
            self._last_meta, self._last_caller = meta, caller
        row = FROM_CLIENT.get(method)
        if row is not None and row.era is Era.LEGACY:
            raise MessageError(jsonrpc.METHOD_NOT_FOUND, "method is not part of this protocol revision")
        if method.startswith("tasks/"):
            eras.need_tasks(caller, method)
        if method == "server/discover":
            # To look is not to choose: a client may still initialize after it.
            self._looked = True
        else:
            self._caller = caller
        return caller

    def _legacy_caller(self, method: str, modern_only: bool, params: dict[str, Json]) -> Caller:
        caller = self._caller
        if modern_only:
            raise MessageError(jsonrpc.METHOD_NOT_FOUND, "method is not part of this protocol revision")
        if caller is not None and "_meta" in params and eras.is_enveloped(params):
            said = (
                f"this session was initialized with revision {caller.version}, which has no envelope in "
                f"`_meta`"
            )
            raise MessageError(jsonrpc.INVALID_REQUEST, said)
        if (caller is not None) == (method == "initialize") and method != "ping":
            said = "initialize was already done" if caller is not None else "initialize must come first"
            raise MessageError(jsonrpc.INVALID_REQUEST, said)
        return caller or Caller()

    # --- served here -----------------------------------------------------------------------------

    def _over(self, request: Request, error: BaseException | None) -> None:
        """The flight of a request has ended: whatever left it is a refusal."""
        scope = self._scope
        unanswered = error is None or isinstance(error, Cancelled)
        if self._draining and request.cancelled == "abandoned" and unanswered:
            waited = request.asked and not request.server
            said = STOPPED_WAITING.format(request.asked) if waited else STOPPED
            scope.refuse(request.id, refusals.error(jsonrpc.REFUSED, said))
        elif error is not None:
            self._refuse(request, error)
        if scope.requests.get(request.id) is request:
            del scope.requests[request.id]

    def _refuse(self, request: Request, error: BaseException) -> None:
        scope, done = self._scope, _WITHHELD if request.server else "this request was refused"
        if isinstance(error, MessageError):
            error.request_id = request.id
            self.refuse_message(error)
        elif isinstance(error, AuditError):
            why = str(error) if isinstance(error, ExportError) else "mcpguard cannot write its audit log"
            said = f"{why}, so {done}; `mcpguard status` shows an operator why"
            scope.refuse(request.id, refusals.error(jsonrpc.REFUSED, said))
        elif not isinstance(error, Cancelled):
            # Closed by default: a defect of ours is a refusal, and its text may hold anything.
            scope.report("", f"internal error ({type(error).__name__}): {done}")
            said = f"internal error in mcpguard: {done}"
            scope.client.refuse(request.id, authored(refusals.error(jsonrpc.INTERNAL_ERROR, said)))

    async def _once_known(self, request: Request) -> None:
        """Serve it as soon as what any server may send is recognised. A greeting waits only where it starts
        one."""
        if self._scope.eager or request.method not in ("initialize", "server/discover"):
            await self._scope.known
        await self._handlers[request.method](request)

    async def _initialize(self, request: Request) -> None:
        self._caller = request.caller = eras.read_initialize(request.params)
        self._welcomed = False
        await self._welcome.reply(request)
        self._welcomed = True

    async def _ping(self, request: Request) -> None:
        self._scope.client.reply(request.id, EMPTY)

    async def _set_level(self, request: Request) -> None:
        scope, level = self._scope, request.params.get("level")
        if not self._welcome.declares_logging:
            raise MessageError(jsonrpc.METHOD_NOT_FOUND, "no server has log messages")
        if level not in eras.LEVELS:
            said = f"logging/setLevel needs `level`, one of {', '.join(eras.LEVELS)}"
            raise MessageError(jsonrpc.INVALID_PARAMS, said)
        permit, started = await scope.begin(request, level=level)
        self._level, self._notices.level = permit, level
        for server in scope.servers:
            scope.upstreams[server].prepare(permit)
        await scope.audit.write(scope.recorder.outcome(permit.invocation, "ok", started))
        scope.client.reply(request.id, EMPTY)
