"""A client's subscriptions: single resources (both eras), and in the modern era lists too
(specification 2026-07-28: basic/patterns/subscriptions; 2025-11-25: server/resources, subscriptions).

Law of this file: a client is notified about a resource only if policy lets it subscribe to it, even after a
reload, and only by the upstream that the resource belongs to.
"""

from msgspec import Struct

from mcpguard.core.errors import McpGuardError, MessageError, UpstreamError
from mcpguard.core.model import Caller, Deny, Json, Listed, Permit
from mcpguard.core.policy import pdp
from mcpguard.gateway.flight import Cancelled, Flight, Wait
from mcpguard.gateway.inspection.inspector import EMPTY
from mcpguard.gateway.lists.listing import Listing
from mcpguard.gateway.ports import RequestId
from mcpguard.gateway.scope import WOULD_REFUSE, ClientScope, Request
from mcpguard.protocol import eras, jsonrpc
from mcpguard.protocol.calls import read_call

LISTS = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
"""Each notification of a changed list, and what asks for it in a modern subscription."""
UPDATED = "notifications/resources/updated"
MAX_URIS = 1000
"""How many resources one client may be subscribed to."""

_Key = tuple[str, str]


class Listen(Struct, eq=False):
    """One `subscriptions/listen`: the lists and the (server, URI) pairs that it wants to know about. Before
    it is `open`, it is told nothing."""

    request: Request
    lists: frozenset[str]
    resources: set[_Key]
    open: bool = False


class Subscriptions:
    """The subscriptions of one client."""

    def __init__(self, scope: ClientScope, listing: Listing) -> None:
        self._scope = scope
        self._listing = listing
        self._listens: dict[RequestId, Listen] = {}
        self._legacy: set[_Key] = set()
        self._count: dict[_Key, int] = {}
        """How many want each resource; the upstream is subscribed while there is one."""
        self._permits: dict[_Key, Permit] = {}
        """With which each was subscribed to."""

    # --- a legacy client -------------------------------------------------------------------------

    def subscribed(self, request: Request, permit: Permit, uri: str) -> None:
        """The path has subscribed a legacy client."""
        key = permit.invocation.server, uri
        self._permits[key] = permit
        if key not in self._legacy:
            self._legacy.add(key)
            self._count[key] = self._count.get(key, 0) + 1
        if request.policies is not self._scope.judge.policies:
            Flight(self.review())

    def check_room(self, server: str, uri: str) -> None:
        """Raises MessageError where a legacy client is subscribed to as much as it may be."""
        if not self._has_room(server, uri):
            raise MessageError(jsonrpc.INVALID_REQUEST, f"at most {MAX_URIS} resources can be subscribed to")

    async def unsubscribe(self, request: Request) -> None:
        """Answer `resources/unsubscribe`; for what was not subscribed nothing happens."""
        call, _ = self._scope.handles.named(read_call(request.method, request.params, False))
        for key in [one for one in self._legacy if one[1] == call.name]:
            self._legacy.discard(key)
            self._release(key, request.caller)
        self._scope.client.reply(request.id, EMPTY)

    # --- a modern client -------------------------------------------------------------------------

    async def listen(self, request: Request) -> None:
        """Serve `subscriptions/listen` until the client ends it or mcpguard ends."""
        scope = self._scope
        lists, uris = _read_filter(request.params, request.caller)
        permit, started = await scope.begin(request)
        listen = self._listens[request.id] = Listen(request, lists, set())
        reason = "error"
        try:
            granted: dict[str, _Key] = {}
            for uri in uris:
                server, real = scope.handles.of(uri) or ("", uri)
                key = await self._acquire(server, real, request)
                if key is not None:
                    listen.resources.add(key)
                    granted[uri] = key
            # The configuration may have changed meanwhile.
            self._acknowledge(
                request, lists, [uri for uri, key in granted.items() if key in listen.resources]
            )
            listen.open = True
            await Wait[None]()  # Ends with Cancelled only.
        except Cancelled as why:
            reason = str(why)
        finally:
            self._listens.pop(request.id, None)
            for key in listen.resources:
                self._release(key, request.caller)
        await scope.audit.write(scope.recorder.outcome(permit.invocation, reason, started))
        if reason == "abandoned":
            body = {"resultType": eras.COMPLETE, "_meta": self._tag(request)}
            scope.client.reply(request.id, scope.inspector.ours(body))

    def _acknowledge(self, request: Request, lists: frozenset[str], uris: list[str]) -> None:
        honoured: dict[str, Json] = dict.fromkeys(sorted(lists), True)
        if uris:
            honoured["resourceSubscriptions"] = uris
        params = {"_meta": self._tag(request), "notifications": honoured}
        sealed = self._scope.inspector.ours(params)
        self._scope.client.notify("notifications/subscriptions/acknowledged", sealed, request.id)

    def _tag(self, request: Request) -> dict[str, Json]:
        return {eras.SUBSCRIPTION_KEY: self._scope.client.shown(request.id)}

    # --- upstreams -------------------------------------------------------------------------------

    def forget(self, kept: frozenset[str]) -> None:
        """Only the servers in `kept` are unchanged: subscriptions to others end."""
        for key in [one for one in self._count if one[0] not in kept]:
            self._end(key, "the configuration has changed")

    async def review(self) -> None:
        """The policies have changed: what they no longer allow ends."""
        scope = self._scope
        for key, permit in list(self._permits.items()):
            was = permit.invocation
            invocation = scope.recorder.invocation(
                was.method, was.server, was.target, was.args, was.params, was.caller
            )
            verdict = await scope.judge.decide_again(invocation)
            if isinstance(verdict, Deny) and self._permits.get(key) is permit:
                scope.audit.write(scope.recorder.decided(verdict))
                self._end(key, "the policies have changed")
                Flight(self._unsubscribe(key, was.caller))

    def _end(self, key: _Key, why: str) -> None:
        server, uri = key
        self._scope.report(server, f"nobody is subscribed to {uri!r} any more: {why}")
        del self._count[key], self._permits[key]
        self._legacy.discard(key)
        for listen in self._listens.values():
            listen.resources.discard(key)

    async def _acquire(self, server: str, uri: str, request: Request) -> _Key | None:
        """Subscribe to one resource, of `server` where that is not "", for a listen; None where policy or the
        upstream refuses."""
        scope = self._scope
        try:
            entry = await self._listing.locate("resource", uri, request.caller)
            if entry is None or server not in ("", entry.server) or not self._has_room(entry.server, uri):
                return None
            if not await self._allowed(uri, entry, request):
                return None
        except McpGuardError as problem:
            scope.report("", str(problem))
            return None
        key = (entry.server, uri)
        self._count[key] = self._count.get(key, 0) + 1
        return key

    def _has_room(self, server: str, uri: str) -> bool:
        return (server, uri) in self._count or len(self._count) < MAX_URIS

    async def _allowed(self, uri: str, entry: Listed, request: Request) -> bool:
        scope, params = self._scope, {"uri": uri}
        invocation = scope.recorder.invocation(
            "resources/subscribe", entry.server, entry, params, params, request.caller, request.origin
        )
        upstream = scope.upstreams[entry.server]
        verdict = await scope.judge.decide(invocation)
        started, policies = scope.recorder.seconds(), scope.judge.policies
        if isinstance(verdict, Deny):
            await scope.audit.write(scope.recorder.decided(verdict))
            scope.report_refusal(verdict)
            return False
        await scope.admit(verdict, started)
        if verdict.observed is not None:
            scope.report_refusal(verdict.observed, WOULD_REFUSE)
        # What one credential may see is not sent to those whom another one is for.
        known = self._permits.get((entry.server, uri), verdict)
        status, said = "ok" if known.credential == verdict.credential else "unavailable", ""
        if status == "ok" and not self._count.get((entry.server, uri)):
            wait = upstream.request(verdict)
            try:
                status = (await wait).status
            except McpGuardError as problem:
                status, said = "unavailable", str(problem)
            except Cancelled as why:
                upstream.cancel(wait, str(why))
                await scope.audit.write(scope.recorder.outcome(invocation, str(why), started))
                raise
        await scope.audit.write(scope.recorder.outcome(invocation, status, started, error=said))
        same = scope.upstreams[entry.server] is upstream and scope.judge.policies is policies
        if status != "ok" or not same:
            return False
        self._permits[entry.server, uri] = verdict
        return True

    def _release(self, key: _Key, caller: Caller) -> None:
        self._count[key] -= 1
        if not self._count[key]:
            del self._count[key], self._permits[key]
            # A flight of its own: whoever cancels the request does not cancel this.
            Flight(self._unsubscribe(key, caller))

    async def _unsubscribe(self, key: _Key, caller: Caller) -> None:
        scope, (server, uri) = self._scope, key
        invocation = scope.recorder.invocation(
            "resources/unsubscribe", server, None, {"uri": uri}, {"uri": uri}, caller
        )
        permit, started = pdp.permit_protocol(invocation), scope.recorder.seconds()
        try:
            # It may start a server that has ended, with its credentials, so there is a record first (law 5).
            await scope.audit.write(scope.recorder.decided(permit))
            said = ""
            try:
                # What still comes is dropped by `interested`.
                status = (await scope.upstreams[server].request(permit)).status
            except UpstreamError as problem:
                status, said = "unavailable", str(problem)
            await scope.audit.write(scope.recorder.outcome(invocation, status, started, error=said))
        except McpGuardError as problem:
            scope.report(server, str(problem))

    # --- what upstreams say ----------------------------------------------------------------------

    def interested(self, server: str, method: str, params: dict[str, Json]) -> list[RequestId | None]:
        """Whom to tell: open listens, and None for a legacy client that subscribed."""
        listens = {request_id: one for request_id, one in self._listens.items() if one.open}
        if method == UPDATED:
            key = (server, str(params.get("uri")))
            told: list[RequestId | None] = [i for i, one in listens.items() if key in one.resources]
            return [*told, None] if key in self._legacy else told
        return [i for i, one in listens.items() if LISTS.get(method) in one.lists]

    def tagged(self, request_id: RequestId | None, params: dict[str, Json]) -> dict[str, Json]:
        """`params` as the subscription of `request_id` hears them."""
        if request_id is None:
            return params
        meta = params.get("_meta")
        tag = self._tag(self._listens[request_id].request)
        return {**params, "_meta": {**(meta if type(meta) is dict else {}), **tag}}


def _read_filter(params: dict[str, Json], caller: Caller) -> tuple[frozenset[str], list[str]]:
    wanted = params.get("notifications")
    if type(wanted) is not dict:
        raise MessageError(jsonrpc.INVALID_PARAMS, "subscriptions/listen needs `notifications`, an object")
    uris = wanted.get("resourceSubscriptions", [])
    if type(uris) is not list or not all(type(uri) is str for uri in uris) or len(uris) > MAX_URIS:
        said = f"`resourceSubscriptions` must be a list of at most {MAX_URIS} URIs"
        raise MessageError(jsonrpc.INVALID_PARAMS, said)
    if wanted.get("taskIds"):
        # Not acknowledged, so that the client asks with `tasks/get`: see decision 0011.
        eras.need_tasks(caller, "`taskIds`")
    lists = frozenset(key for key in LISTS.values() if wanted.get(key) is True)
    return lists, list(dict.fromkeys(uris))
