"""One HTTP request as our front sees it, its body, and its answer.

Law of this file: a body is read once, what all bodies take in memory is bounded, and no answer has another
one in it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from math import inf
from typing import Protocol

from msgspec import Struct, field

from mcpguard.adapters.transports.http.quotas import InUse
from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Principal
from mcpguard.protocol import jsonrpc

Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
CLOSE: Headers = ((b"connection", b"close"),)
EVERYTHING = "*/*"
"""What a client takes that does not say what it accepts (RFC 9110, section 12.5.1)."""
ANONYMOUS = Principal("anonymous", "http")
"""Who asks where no token is configured; only loopback is served then."""

SMALL_BYTES = 64 * 1024
"""This much of each body does not count."""
PIECE_BYTES = 256 * 1024
"""How much of a large answer is given to the connection at once."""
BODIES = 4
"""All that counts is at most this many times the largest message, so that large bodies keep nobody from an
ordinary request."""

TOO_MUCH = "the requests being received are too large in total"
_LATER: Headers = ((b"retry-after", b"5"),)
_CONTROL = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_BODYLESS = (204, 304)


class Connection(Protocol):
    """What a request came on and its answer goes out on."""

    peer: str
    """The address that it comes from."""
    unverified: bool
    """Whether its client has not shown yet who it is."""
    takes: bool
    """Whether the client takes what it is sent."""
    resumes: Callable[[], None] | None
    """Called once, when it takes it again."""

    @property
    def unsent(self) -> int:
        """Bytes that were handed over and that the system has not taken yet."""

    def put(self, data: bytes | memoryview) -> None:
        """Hand over bytes of an answer."""

    def cut(self) -> None:
        """End it now; its request is then over as if the client had gone."""

    def doubt(self) -> None:
        """Its client has to show who it is, for another request."""

    def welcome(self, in_use: InUse | None = None) -> None:
        """Its client has shown who it is: this is one of the connections that this principal has `in_use`,
        until the client has its answer. Raises OverQuotaError where the principal has too many."""

    def read_on(self) -> None:
        """Read what was not read while nobody had taken what came before."""

    def answered(self, keep_alive: bool) -> None:
        """The answer has been handed over."""

    def fail(self, request: HttpRequest, defect: BaseException) -> None:
        """Report a defect of ours: an answer that is not whole ends with its connection."""


class HttpRefusal(McpGuardError):
    """A request that is refused before any world has seen it.

    `status` is that of HTTP, `code` that of the JSON-RPC error in the body, 0 for a body of plain text;
    the sentence is a fixed text of ours. `request_id` is the id to answer, or None.
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


class RequestIntake:
    """What is being read. `message_bytes` is the most that one body may have, `seconds` how long it may
    take to come and again how long it may wait to be handed in, `most` how many bytes of all bodies are kept,
    and `share` how many of one principal; `kept` is how many are now, and a whole body of `small` bytes does
    not count."""

    __slots__ = ("full", "kept", "message_bytes", "most", "seconds", "share", "small")

    def __init__(self, message_bytes: int, seconds: float, shared: bool = True) -> None:
        """`shared` says that all clients are one principal."""
        self.message_bytes = message_bytes
        self.seconds = seconds
        self.most = BODIES * message_bytes
        self.share = self.most if shared else self.most // 2
        self.kept = 0
        self.small = min(SMALL_BYTES, message_bytes)
        self.full: Callable[[], object] = bool
        """Called when a body is refused for the others."""


class Body(Struct, eq=False):
    """One body that is being read. `size` is how much has arrived; one that is `dropped` did not fit, and
    nothing of it is kept. Whoever made it calls `close`."""

    _intake: RequestIntake
    _in_use: InUse
    size: int = 0
    dropped: bool = False
    _counted: int = 0
    _parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Take the next bytes."""
        self.size += len(part)
        if self.dropped:
            return
        counted = max(0, self.size - SMALL_BYTES)
        more = counted - self._counted
        intake, in_use = self._intake, self._in_use
        if more and (intake.kept + more > intake.most or in_use.kept + more > intake.share):
            self.dropped = True
            self.close()
            return
        intake.kept += more
        in_use.kept += more
        self._counted = counted
        self._parts.append(part)

    def whole(self) -> bytes:
        """All of it, once. It counts until `close`."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        self._intake.kept -= self._counted
        self._in_use.kept -= self._counted
        self._counted = 0
        self._parts = []


class HttpRequest(Struct, eq=False):
    """One request, and its answer. `headers` are those for the gateway: names in lower case, no
    `authorization`. `chunks` says that the client knows chunks (HTTP/1.1), `expects` that it waits to be
    asked for the body (RFC 9110, section 10.1.1). `cors` are headers that each answer to it carries."""

    connection: Connection
    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    authorization: str | None
    keep_alive: bool
    chunks: bool
    expects: bool
    in_use: InUse
    """What its principal has open."""
    principal: Principal = ANONYMOUS
    until: float = inf
    """When its token is accepted no more, in seconds since 1970."""
    token: str = ""
    """What tells its token from others, as in `bearer.Verified`."""
    cors: Headers = ()
    kept: Body | None = None
    """Its body, if that counts among those that are kept, until `let_go`."""
    arrived: bytearray = field(default_factory=bytearray)
    """What has arrived of the body and nobody has taken yet."""
    whole: bool = False
    """Whether the body has come to its end."""
    unwanted: bool = False
    """Whether nothing more of the body is taken."""
    started: bool = False
    complete: bool = False
    """Whether the answer is whole."""
    lost: bool = False
    """Whether the client went away, or is not understood any more, before its answer was whole."""
    then: Callable[[], None] | None = None
    """Called once, when it is `complete` or `lost`."""
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where any of these has changed."""
    _head: bytes = b""
    _left: int | None = None  # Bytes of the answer to come; None: it ends with a chunk or the connection.
    _bodyless: bool = False

    # --- the body ----------------------------------------------------------------------------------

    async def body(self, intake: RequestIntake) -> bytes:
        """The whole body, which counts in `intake` until `let_go`. Raises HttpRefusal: 413 above
        `intake.message_bytes`, 408 after `intake.seconds`, 503 where all bodies together are too many; and
        ClientGone."""
        if self.whole and len(self.arrived) <= intake.small and not self.lost:
            return bytes(self.arrived)
        length = self.headers.get("content-length", "")
        # llhttp has refused what is not a number; nothing is read of a body that says it is too large.
        if length.isdecimal() and int(length) > intake.message_bytes:
            raise _too_large(intake.message_bytes)
        try:
            async with asyncio.timeout(intake.seconds):
                return await self._long_body(intake)
        except TimeoutError:
            raise HttpRefusal(408, "the body of the request did not arrive in time", headers=CLOSE) from None

    async def _long_body(self, intake: RequestIntake) -> bytes:
        if self.expects and not self.lost:
            self.expects = False
            self.connection.put(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.kept = Body(intake, self.in_use)
        whole = False
        while not whole:
            await self._stir()
            part, self.arrived, whole = bytes(self.arrived), bytearray(), self.whole
            body.add(part)
            if body.size > intake.message_bytes:
                raise _too_large(intake.message_bytes)
            self.connection.read_on()
        # Not before its end: a connection that is closed while its client still sends may lose the answer.
        if body.dropped:
            intake.full()
            raise HttpRefusal(503, f"{TOO_MUCH}; send this one again later", jsonrpc.REFUSED, _LATER)
        return body.whole()

    async def _stir(self) -> None:
        """Wait for more of the body. Raises ClientGone."""
        while not (self.arrived or self.whole or self.lost):
            self.stirred.clear()
            await self.stirred.wait()
        if self.lost:
            raise ClientGone

    def let_go(self) -> None:
        """The body was handed in, or is not wanted any more."""
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    async def over(self) -> None:
        """Wait until the answer is given or the client is gone. No more of its body is taken."""
        self.unwanted = True
        self.connection.read_on()
        await self.settled()

    async def settled(self) -> None:
        """Wait until the answer is given or the client is gone."""
        while not (self.complete or self.lost):
            self.stirred.clear()
            await self.stirred.wait()

    def handled(self, task: asyncio.Task[None]) -> None:
        """Whoever served it has ended; its answer may come later."""
        if not task.cancelled() and (defect := task.exception()) is not None:
            self.connection.fail(self, defect)

    def end(self) -> None:
        """It is complete or lost: tell who waits."""
        self.stirred.set()
        then, self.then = self.then, None
        if then is not None:
            then()

    # --- the answer --------------------------------------------------------------------------------

    def respond(self, status: int, body: bytes = b"", kind: bytes = JSON, headers: Headers = ()) -> None:
        """Answer with one of our fixed texts."""
        about: list[tuple[bytes, bytes]] = [*headers, *self.cors]
        if status != 204:
            about.append((b"content-length", b"%d" % len(body)))
        if body:
            about.append((b"content-type", kind))
        self.start(status, about)
        self.write(body, True)

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin the answer; it goes out with the first `write`. Raises ValueError for a header that would be
        two."""
        parts = [_STATUS[status], _date(int(time.time()))]
        for name, value in headers:
            if _CONTROL.search(value):
                raise ValueError("a header has a control character")
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if self.expects and not self.whole:
            # It may send the body, or may not since it was never asked to (RFC 9110, section 10.1.1).
            self.keep_alive = False
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        self._bodyless = self.method == "HEAD" or status in _BODYLESS
        self.chunks = self.chunks and self._left is None and not self._bodyless
        parts.append(b"transfer-encoding: chunked\r\n\r\n" if self.chunks else b"\r\n")
        self.started, self.expects = True, False
        self._head = b"".join(parts)

    def write(self, data: bytes | memoryview, last: bool) -> None:
        """Hand over the head, if it is unsent, and the next bytes of the answer; nothing once it is lost."""
        if self.lost or self.complete:
            return
        parts: list[bytes | memoryview] = [self._head]
        self._head = b""
        if self._bodyless:
            self._left = 0
        elif self.chunks:
            if data:
                parts += (b"%x\r\n" % len(data), data, b"\r\n")
            if last:
                parts.append(b"0\r\n\r\n")
        else:
            self._left = None if self._left is None else self._left - len(data)
            parts.append(data)
        if len(data) > SMALL_BYTES:
            # Since Python 3.12 a transport keeps the whole of what is sent in part: give it pieces.
            for part in parts:
                view = memoryview(part)
                for start in range(0, len(view), PIECE_BYTES):
                    self.connection.put(bytes(view[start : start + PIECE_BYTES]))
        else:
            self.connection.put(b"".join(parts))
        if last:
            self.complete = True
            self.connection.answered(self.keep_alive and not self._left)
            self.end()


class ClientGone(McpGuardError):
    """The client went away before its request was whole: there is nobody to answer."""


def plain_answer(status: int, said: bytes, kind: bytes = TEXT, more: bytes = b"") -> bytes:
    """A whole answer that ends its connection: `said` is a fixed text of ours, `more` headers."""
    about = b"content-type: %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n"
    about %= (kind, more, len(said))
    return b"".join((_STATUS[status], _date(int(time.time())), about, said))


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    """The header that every answer has (RFC 9110, section 6.6.1)."""
    return b"date: %b\r\n" % formatdate(second, usegmt=True).encode()


def _too_large(most: int) -> HttpRefusal:
    return HttpRefusal(413, f"message is larger than {most} bytes", headers=CLOSE)
