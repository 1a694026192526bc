"""One HTTP request as our front sees it, and the plain answers to it.

Law of this file: a body is read once, and a header that decides where a request goes is there once or not
at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mcpguard.adapters.transports.http.intake import Body, Intake
from mcpguard.adapters.transports.http.load import Connection
from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Principal
from mcpguard.protocol import eras, jsonrpc

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
CLOSE: Headers = ((b"connection", b"close"),)

_TOO_MUCH = "the requests being received are too large in total; send this one again later"
_LATER: Headers = ((b"retry-after", b"5"),)
EVERYTHING = "*/*"
"""What a client takes that does not say what it accepts (RFC 9110, section 12.5.1)."""
_ONCE = frozenset({"authorization", "content-type", "host", "origin"})
ANONYMOUS = Principal("anonymous", "http")
"""Who asks where no token is configured; only loopback is served then."""


class HttpRefusal(McpGuardError):
    """A request that is refused before any world has seen it.

    `status` is that of HTTP, `code` that of the JSON-RPC error in the body, 0 for a body of plain text;
    the sentence is a fixed text of ours. `request_id` is the id to answer, None where there is none.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        code: int = jsonrpc.INVALID_REQUEST,
        headers: Headers = (),
        request_id: int | str | None = None,
        data: dict[str, object] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers
        self._error: dict[str, object] = {"code": code, "message": sentence}
        if data is not None:
            self._error["data"] = data
        self._request_id = request_id

    @property
    def body(self) -> tuple[bytes, bytes]:
        """The content type and the content."""
        if self._error["code"] == 0:
            return TEXT, str(self).encode()
        return JSON, jsonrpc.error_line(self._request_id, jsonrpc.encode(self._error))


class HttpRequest:
    """One request. `headers` are those for the gateway: names in lower case, no `authorization`.
    `cors` are headers that each answer to it carries."""

    __slots__ = (
        "authorization",
        "connection",
        "cors",
        "headers",
        "kept",
        "method",
        "path",
        "principal",
        "query",
        "receive",
        "send",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises HttpRefusal with 400 where a header that routes is given twice: two parties might each
        believe another one. For `mcp-*` it is a HeaderMismatch (basic/transports/streamable-http)."""
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.connection: Connection = scope["state"]["connection"]
        self.receive = receive
        self.send = send
        self.kept: Body | None = None
        """Its body, if that counts among those that are kept, until `let_go`."""
        self.cors: Headers = ()
        self.principal = ANONYMOUS
        headers: dict[str, str] = {}
        for name_bytes, value_bytes in scope["headers"]:
            name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1").strip(" \t")
            if name not in headers:
                headers[name] = value
            elif name.startswith("mcp-"):
                raise HttpRefusal(400, "an Mcp-* header is present twice", eras.HEADER_MISMATCH)
            elif name in _ONCE:
                raise HttpRefusal(400, "a header that may be present only once is present twice")
            else:
                headers[name] += ", " + value
        self.headers = headers
        self.authorization: str | None = headers.pop("authorization", None)

    async def respond(
        self, status: int, body: bytes = b"", kind: bytes = JSON, headers: Headers = ()
    ) -> None:
        """Answer with one of our fixed texts."""
        about: list[tuple[bytes, bytes]] = [*headers, *self.cors]
        if status != 204:
            about.append((b"content-length", b"%d" % len(body)))
        if body:
            about.append((b"content-type", kind))
        await self.send({"type": "http.response.start", "status": status, "headers": about})
        await self.send({"type": "http.response.body", "body": body})

    async def over(self) -> None:
        """Wait until the answer is given or the client is gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def body(self, intake: Intake) -> bytes:
        """The whole body, which counts in `intake` until `let_go`. Raises HttpRefusal: 413 above
        `intake.message_bytes`, 408 after `intake.seconds`, 503 where all bodies together are too many; and
        ClientGone."""
        length = self.headers.get("content-length", "")
        # llhttp has refused what is no number; nothing is read of a body that says it is too large.
        if length.isdecimal() and int(length) > intake.message_bytes:
            raise _too_large(intake.message_bytes)
        try:
            async with asyncio.timeout(intake.seconds):
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    part: bytes = message.get("body", b"")
                    more: bool = message.get("more_body", False)
                    if not more and len(part) <= intake.small and self.kept is None:
                        return part
                    body = self.kept = self.kept or Body(intake)
                    body.add(part)
                    if body.size > intake.message_bytes:
                        raise _too_large(intake.message_bytes)
                    if not more:
                        break
        except TimeoutError:
            raise HttpRefusal(408, "the body of the request did not arrive in time", headers=CLOSE) from None
        # Not before its end: a connection that is closed while its client still sends may lose the answer.
        if body.dropped:
            raise HttpRefusal(503, _TOO_MUCH, jsonrpc.REFUSED, _LATER)
        return body.whole()

    def let_go(self) -> None:
        """The body was handed in, or is not wanted any more."""
        if self.kept is not None:
            self.kept.close()
            self.kept = None


class ClientGone(McpGuardError):
    """The client went away before its request was whole: there is nobody to answer."""


def _too_large(most: int) -> HttpRefusal:
    return HttpRefusal(413, f"message is larger than {most} bytes", headers=CLOSE)
