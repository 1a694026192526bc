"""What comes before every page: whose request it is, and what each answer says to the browser.

Law of this file: a request that another page could have made is refused before it is read. The name of the
host is exactly ours (no rebinding of DNS), a form comes from our own page (`Origin`, `Sec-Fetch-Site`), its
body is small, and nothing that we answer may be framed, stored, guessed at or load anything from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 65_536
"""Of a form."""
MOST_TARGET = 4_096
"""Of a path with its query."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
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


class Fence:
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
            return 421, "This page answers to localhost only."
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
            return 403, "Another page asked for this, so it is refused."
        return None


def _of_a_form(headers: list[tuple[bytes, bytes]], host: bytes, site: bytes) -> tuple[int, str] | None:
    origins = [value for name, value in headers if name == b"origin"]
    if origins != [b"http://" + host] or site != b"same-origin":
        return 403, "Another page sent this form, so it is refused."
    length = next((value for name, value in headers if name == b"content-length"), b"")
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
