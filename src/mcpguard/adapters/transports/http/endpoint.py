"""What our HTTP front serves: who asks, what for, and whether they may at all.

Law of this file: nothing is served before Host and Origin were checked, and nothing of MCP before the
client's token was verified where one is configured. An inbound `Authorization` goes no further than here
(laws 2 and 3).
"""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http import guard
from mcpguard.adapters.transports.http.bearer import BearerError, TokenVerifier, Verified, bearer_of
from mcpguard.adapters.transports.http.events import MESSAGES, Events
from mcpguard.adapters.transports.http.quotas import OverQuotaError, Quotas
from mcpguard.adapters.transports.http.request import (
    CLOSE,
    TEXT,
    TOO_MUCH,
    ClientGone,
    Headers,
    HttpRefusal,
    HttpRequest,
    RequestIntake,
)
from mcpguard.adapters.transports.http.sessions import ClientEntrance, Worlds
from mcpguard.adapters.transports.http.stream import StreamTimer
from mcpguard.adapters.transports.http.streamable import Streamable
from mcpguard.config.terms import HttpTerms, TokenTerms
from mcpguard.gateway.ports import Clock, Readiness
from mcpguard.protocol.jsonrpc import REFUSED, encode

MCP = "/mcp"
SSE = "/sse"
LIVE = frozenset({"/livez", "/healthz"})
READY = "/readyz"
METRICS = "/metrics"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
_READING = ("GET", "HEAD")
_NOT_KEPT: Headers = ((b"cache-control", b"no-store"),)
_PROXIED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
BODY_SECONDS = 30.0
"""How long the body of a request may take."""

Handler = Callable[[HttpRequest], Awaitable[None]]


class Endpoint:
    """All paths of the front. `close` ends what it opened."""

    def __init__(
        self,
        door: ClientEntrance,
        turn: Turn,
        clock: Clock,
        http: HttpTerms,
        bound: str,
        message_bytes: int,
        verifier: TokenVerifier | None = None,
        body_seconds: float = BODY_SECONDS,
        connections: int | None = None,
    ) -> None:
        """`bound` is the host that it listens on; `verifier` is there exactly if `http.token` is. At most
        `connections` are served at once, None for as many as there is room for."""
        self.quotas = quotas = Quotas(http, connections)
        self.worlds = Worlds(door, turn, clock, http.max_sessions, quotas, http.session_idle_seconds)
        self._guard = guard.FrontGuard(bound, http.allowed_hosts, http.allowed_origins)
        self._verifier = verifier
        self.intake = intake = RequestIntake(message_bytes, body_seconds, quotas.shared)
        """The bodies that are being read."""
        intake.full = partial(quotas.full, "messages", TOO_MUCH)
        beats = StreamTimer(clock, self.worlds.unanswered)
        self.worlds.entered = beats.start
        streamable = Streamable(self.worlds, turn, clock, intake, beats)
        events = Events(self.worlds, turn, intake, beats)
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", MCP): streamable.post,
            ("GET", MCP): streamable.get,
            ("DELETE", MCP): streamable.delete,
            ("GET", SSE): events.get,
            ("POST", MESSAGES): events.post,
        }
        self._open_routes: dict[str, bytes] = {}
        self.readiness: Callable[[], Readiness] = lambda: Readiness((), ())
        """Whether requests can be served now."""
        self.refused_token: Callable[[str, str], None] = lambda why, peer: None
        """Hears why a token was refused, and from which address it came."""
        self._challenge = "Bearer"
        if http.token is not None:
            self._describe(http.token)

    def _describe(self, token: TokenTerms) -> None:
        """Say where tokens come from (RFC 9728): under the plain path, and under that of the resource."""
        resource = urlsplit(token.public_url)
        path = resource.path.rstrip("/")
        about: dict[str, object] = {
            "resource": token.public_url,
            "authorization_servers": [token.issuer],
            "bearer_methods_supported": ["header"],
        }
        scope = ""
        if token.scopes:
            about["scopes_supported"] = list(token.scopes)
            scope = f', scope="{" ".join(token.scopes)}"'
        self._open_routes = {WELL_KNOWN + tail: encode(about) for tail in ("", MCP, path)}
        place = f"{resource.scheme}://{resource.netloc}{WELL_KNOWN}{path}"
        self._challenge = f'Bearer resource_metadata="{place}"{scope}'

    def serve_metrics(self, text: Callable[[], Awaitable[bytes]] | None) -> None:
        """Serve `text()` under `/metrics`, to whoever may use the MCP endpoint; nothing with None."""
        if text is None:
            self._routes.pop(("GET", METRICS), None)
            return

        async def answer(request: HttpRequest) -> None:
            request.respond(200, await text(), b"text/plain; version=0.0.4; charset=utf-8", _NOT_KEPT)

        self._routes["GET", METRICS] = answer

    async def close(self, gently: bool) -> None:
        """End every world: requests in flight leave an outcome, streams end, upstreams end."""
        await self.worlds.close(gently)

    async def __call__(self, request: HttpRequest) -> None:
        """Serve one request; its answer may come later."""
        try:
            if self._verifier is None and request.connection.unverified:
                request.connection.welcome()
            if request.path in LIVE:
                self._health(request)
                return
            if request.path == READY:
                await self._ready(request)
                return
            headers = request.headers
            request.cors = self._guard.admit(headers.get("host", ""), headers.get("origin"))
            handler = self._routes.get((request.method, request.path))
            if handler is None:
                self._unrouted(request)
                return
            if self._verifier is not None:
                await self._admit(self._verifier, request)
            await handler(request)
        except HttpRefusal as refusal:
            _refuse(request, refusal)
        except OverQuotaError as over:
            later = (b"retry-after", b"%d" % over.seconds)
            # The place of a connection is for others.
            about = (later, *CLOSE) if over.kind == "connections" else (later,)
            _refuse(request, HttpRefusal(429, str(over), REFUSED, about, over.request_id))
        except ClientGone:
            pass
        finally:
            if request.kept is not None:
                request.let_go()

    async def _admit(self, verifier: TokenVerifier, request: HttpRequest) -> None:
        """Let the request of a client with a good token begin, when it is its principal's turn."""
        request.connection.doubt()
        verified = await self._identify(verifier, request)
        request.principal, request.until = verified.principal, verified.until
        request.token = verified.token
        request.in_use = in_use = self.quotas.of(verified.principal)
        request.connection.welcome(in_use)
        waits = in_use.turn()
        if waits is not None:
            await waits

    def _unrouted(self, request: HttpRequest) -> None:
        if request.method == "OPTIONS" and request.cors:
            request.respond(204, headers=guard.preflight(request.headers))
            return
        methods = [method for method, path in self._routes if path == request.path]
        if methods:
            raise _wrong_method(", ".join(methods))
        self._well_known(request)

    async def _identify(self, verifier: TokenVerifier, request: HttpRequest) -> Verified:
        if request.authorization is None:
            raise self._unauthorized(401, "a bearer token is required", "")
        try:
            return await verifier.verify(bearer_of(request.authorization))
        except BearerError as problem:
            if problem.status == 503:
                raise HttpRefusal(503, str(problem), REFUSED, ((b"retry-after", b"5"),)) from None
            self.refused_token(str(problem), request.connection.peer)
            about = f', error="{problem.error}", error_description="{problem}"'
            raise self._unauthorized(problem.status, str(problem), about) from None

    def _unauthorized(self, status: int, sentence: str, about: str) -> HttpRefusal:
        challenge = (self._challenge + about).encode("latin-1")
        return HttpRefusal(status, sentence, headers=((b"www-authenticate", challenge),))

    def _health(self, request: HttpRequest) -> None:
        if request.method not in _READING:
            raise _wrong_method("GET, HEAD")
        request.respond(200, b"ok", TEXT)

    async def _ready(self, request: HttpRequest) -> None:
        """Whether requests can be served, and for those who may know, why not, and how each upstream is."""
        if request.method not in _READING:
            raise _wrong_method("GET, HEAD")
        found = self.readiness()
        about: dict[str, object] = {"ready": found.ok, "needs": {one.name: one.ok for one in found.needs}}
        if await self._may_know(request):
            about["needs"] = {one.name: one for one in found.needs}
            about["upstreams"] = found.upstreams
        request.respond(200 if found.ok else 503, encode(about), headers=_NOT_KEPT)

    async def _may_know(self, request: HttpRequest) -> bool:
        headers = request.headers
        try:
            self._guard.admit(headers.get("host", ""), headers.get("origin"))
            if self._verifier is not None:
                # No header is sure to tell a program of this machine from a proxy on it.
                await self._verifier.verify(bearer_of(request.authorization or ""))
                return True
        except (HttpRefusal, BearerError):
            return False
        return guard.is_loopback(request.connection.peer) and _PROXIED.isdisjoint(headers)

    def _well_known(self, request: HttpRequest) -> None:
        about = self._open_routes.get(request.path)
        if about is None:
            off = request.path == METRICS
            said = "not served: set `telemetry: {metrics: true}`" if off else "not found"
            raise HttpRefusal(404, f"{said}; the MCP endpoint is /mcp", 0)
        if request.method not in _READING:
            raise _wrong_method("GET, HEAD")
        request.respond(200, about)


def _refuse(request: HttpRequest, refusal: HttpRefusal) -> None:
    kind, body = refusal.body
    request.respond(refusal.status, body, kind, refusal.headers)


def _wrong_method(allowed: str) -> HttpRefusal:
    return HttpRefusal(405, "this method is not served here", headers=((b"allow", allowed.encode()),))
