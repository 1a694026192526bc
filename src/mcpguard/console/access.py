"""Who may see the page, and what comes before every page: whose request it is, and what each answer says to
the browser.

Law of this file: a link and a cookie are 256 random bits of the system, live in this process alone and are
compared in constant time; a link is used up by the first who brings it. A request that another page could
have made is refused before it is read: the name of the host is exactly ours (no rebinding of DNS), a form
comes from our own page (`Origin`, `Sec-Fetch-Site`), its body is small, and nothing that we answer may be
framed, stored, guessed at or load anything from elsewhere. Without a visit, a program keeps nobody out.
"""

import asyncio
import re
import secrets
from collections.abc import Callable
from hmac import compare_digest
from typing import cast

from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINK_SECONDS = 120.0
IDLE_SECONDS = 12 * 3600.0
VISIT_SECONDS = 24 * 3600.0
"""How long a visit lasts at most, however much it is used (NIST SP 800-63B-4, section 2.2.3)."""
MOST_VISITS = 16
"""How many browsers are let in at a time; the one that was quiet for longest has to come again."""


class Visit(Struct):
    """A browser that came by a link, at `since`. `csrf` has to be in each form that it sends."""

    key: str
    csrf: str
    since: float
    used: float


class Visits:
    """Links and visits of this process. `now` gives seconds that only go on, also while the machine
    sleeps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._link = ""
        self._ends = 0.0
        self._visits: list[Visit] = []

    def link(self) -> str:
        """A new key, which takes the place of one that was not used."""
        self._link = secrets.token_urlsafe(32)
        self._ends = self._now() + LINK_SECONDS
        return self._link

    def opens(self, key: str) -> bool:
        """Whether the link with this key would let somebody in now."""
        return bool(self._link) and _same(key, self._link) and self._now() < self._ends

    def enter(self, key: str) -> Visit | None:
        """The visit of whoever brings this key; None where it is not the link's, was used, or has expired."""
        if not self.opens(key):
            return None
        self._link = ""
        now = self._now()
        visit = Visit(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now, now)
        self._visits = sorted([*self._visits, visit], key=lambda one: one.used)[-MOST_VISITS:]
        return visit

    def visit(self, key: str, by_person: bool = True) -> Visit | None:
        """The visit with this cookie; None if no person used it in the last twelve hours, or it began a day
        ago. What a page asks for by itself is no use."""
        now = self._now()
        self._visits = [
            one for one in self._visits if now - one.used < IDLE_SECONDS and now - one.since < VISIT_SECONDS
        ]
        for one in self._visits:
            if _same(key, one.key):
                one.used = now if by_person else one.used
                return one
        return None

    def leave(self, visit: Visit) -> None:
        self._visits = [one for one in self._visits if one is not visit]


def _same(given: str, right: str) -> bool:
    return compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


COOKIE = "mcpguard-console"
MOST_STRANGERS = 100
"""How many connections there may be on which nobody has shown a visit; the oldest gives way to the next."""
_SHOWN = re.compile(rb"[ ;]" + COOKIE.encode() + rb"=([\w-]{43})")


class Strangers:
    """The connections on which nobody has shown a visit. Any program of this machine can open one, and say
    nothing on it, or half of a request."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits
        self._open: dict[asyncio.Transport, None] = {}

    def came(self, transport: asyncio.Transport) -> None:
        self._open[transport] = None
        if len(self._open) > MOST_STRANGERS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.abort()

    def said(self, transport: asyncio.Transport, data: bytes) -> None:
        """Browsers send the head of a request in one piece."""
        if transport in self._open and any(
            self._visits.visit(key.decode(), by_person=False) for key in _SHOWN.findall(data)
        ):
            del self._open[transport]

    def left(self, transport: asyncio.Transport) -> None:
        self._open.pop(transport, None)


class WatchedConnection(asyncio.Protocol):
    """What `kind(**about)` makes of a connection, which is one of `strangers` until it shows a visit."""

    def __init__(self, kind: Callable[..., asyncio.Protocol], strangers: Strangers, **about: object) -> None:
        self._inner = kind(**about)
        self._strangers = strangers
        self.pause_writing = self._inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = self._inner.resume_writing  # type: ignore[method-assign]
        self.eof_received = self._inner.eof_received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._strangers.came(self._transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._strangers.said(self._transport, data)
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._strangers.left(self._transport)
        self._inner.connection_lost(exc)


MOST_BYTES = 65_536
"""Of a form."""
MOST_TARGET = 4_096
"""Of a path with its query."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Under `no-referrer` browsers send `Origin: null` with our own forms; this tells nobody else either.
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_OUTSIDE = ("/", "/login")
"""What a person may come to from elsewhere: from a terminal, or a file."""


class AccessMiddleware:
    """ASGI middleware. `port` is where we listen, as known once that is."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"localhost:{port}".encode(), f"127.0.0.1:{port}".encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        if problem is not None:
            await _refuse(marked, *problem)
            return
        await self._app(scope, _bounded(receive), marked)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        """Why the request is refused."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This page is served to localhost only."
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET:
            return 414, "The address is too long."
        method = scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            return 405, "Only GET and POST are served."
        given = {name: value for name, value in headers}
        site = given.get(b"sec-fetch-site", b"none" if method != "POST" else b"same-origin")
        if method == "POST":
            return _of_a_form(headers, hosts[0], site)
        may_come = scope["path"] in _OUTSIDE and given.get(b"sec-fetch-mode") == b"navigate"
        if site not in (b"none", b"same-origin") and not may_come:
            return 403, "Another site sent this request, so it is refused."
        return None


def _of_a_form(headers: list[tuple[bytes, bytes]], host: bytes, site: bytes) -> tuple[int, str] | None:
    origins = [value for name, value in headers if name == b"origin"]
    if origins != [b"http://" + host] or site != b"same-origin":
        return 403, "Another site sent this form, so it is refused."
    length = next((value for name, value in headers if name == b"content-length"), b"")
    if not length:
        return 411, "The request has no form, or does not say how long it is."
    if not length.isdigit() or len(length) > 6 or int(length) > MOST_BYTES:
        return 413, "The form is too large."
    return None


def _bounded(receive: Receive) -> Receive:
    """`receive`, which ends a body that is longer than it may be."""
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return {"type": "http.disconnect"} if got > MOST_BYTES else message

    return bounded


async def _refuse(send: Send, status: int, said: str) -> None:
    body = f"{said}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
