"""An HTTP front on 127.0.0.1 with a fake gateway behind it, and a client that writes raw bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from math import inf
from typing import Any

from msgspec import convert

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http import Endpoint, HttpServer
from mcpguard.adapters.transports.http.bearer import BearerError, Verified
from mcpguard.config.file import HttpEntry, TokenEntry
from mcpguard.config.terms import HttpTerms
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Principal
from mcpguard.core.redaction.redactor import authored
from mcpguard.gateway.ports import Client

SECONDS = 20
TOKEN = TokenEntry(issuer="https://issuer.example", audience="https://guard.example/mcp", scopes=("mcp:use",))
BOTH = "application/json, text/event-stream"
MODERN = "2026-07-28"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class HeldClock:
    """A clock that stands until `pass_by`."""

    def __init__(self) -> None:
        self._now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def seconds(self) -> float:
        return self._now

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        timer = (self._now + seconds, then)
        self.timers.append(timer)
        return lambda: self.timers.remove(timer) if timer in self.timers else None

    def pass_by(self, seconds: float) -> None:
        self._now += seconds
        due = [timer for timer in self.timers if timer[0] <= self._now]
        for timer in due:
            self.timers.remove(timer)
            timer[1]()


NOW = HeldClock().now().timestamp()


class FakeReceiver:
    """A gateway that does what the test's `script` says; keeps what it heard."""

    def __init__(self, door: FakeDoor, client: Client, principal: Principal) -> None:
        self.door = door
        self.client: Any = client
        self.principal = principal
        self.heard: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str] | None] = []
        self.tokens: list[str] = []
        self.cancelled: list[tuple[Any, str]] = []
        self.refused: list[MessageError] = []
        self.left: bool | None = None
        self.batches = False
        self.idle = True
        self.thinking = False

    def receive(
        self, message: dict[str, Any], headers: Mapping[str, str] | None = None, token: str = ""
    ) -> None:
        self.heard.append(message)
        self.tokens.append(token)
        self.headers.append(headers)
        self.door.script(self, message)
        self.door.stir()

    def refuse_message(self, problem: MessageError) -> None:
        self.refused.append(problem)
        self.refuse(problem.request_id, problem.code, str(problem))
        self.door.stir()

    def cancel(self, request_id: Any, reason: str) -> None:
        self.cancelled.append((request_id, reason))
        self.door.stir()

    def abandon(self, reason: str) -> None:
        raise AssertionError("the front ends a world through its door")

    def reply(self, message: dict[str, Any], result: Any = None) -> None:
        self.client.reply(message["id"], authored({} if result is None else result))

    def refuse(self, request_id: Any, code: int, said: str = "no") -> None:
        self.client.refuse(request_id, authored({"code": code, "message": said}))

    def notify(self, method: str, related: Any = None, **params: Any) -> None:
        self.client.notify(method, authored(params), related)


def answer_all(receiver: FakeReceiver, message: dict[str, Any]) -> None:
    """The plainest gateway: each request gets a result that names its method."""
    if "id" in message and "method" in message:
        receiver.reply(message, {"method": message["method"]})


def answer_handshake(receiver: FakeReceiver, message: dict[str, Any]) -> None:
    """Answer `initialize`; the test answers the rest by hand."""
    if message.get("method") == "initialize":
        receiver.reply(message, {})


class FakeDoor:
    """Keeps the worlds that were opened; `until` waits for something to have happened."""

    def __init__(self) -> None:
        self.script: Callable[[FakeReceiver, dict[str, Any]], None] = answer_all
        self.worlds: list[FakeReceiver] = []
        self.stirred = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.may_leave.set()

    def enter(self, client: Client, principal: Principal) -> FakeReceiver:
        self.worlds.append(FakeReceiver(self, client, principal))
        return self.worlds[-1]

    async def leave(self, receiver: Any, gently: bool) -> None:
        await self.may_leave.wait()
        receiver.left = gently
        self.stir()

    def stir(self) -> None:
        self.stirred.set()

    async def until(self, happened: Callable[[], Any]) -> None:
        async with asyncio.timeout(SECONDS):
            while not happened():
                self.stirred.clear()
                await self.stirred.wait()


class FakeVerifier:
    """The token is the name, up to a dot; one that ends in `.brief` has expired by the next sign of life."""

    async def verify(self, token: str) -> Verified:
        if token == "bad":
            raise BearerError("the token is not valid")
        if token == "poor":
            raise BearerError("the token lacks a required scope", 403, "insufficient_scope")
        name, _, rest = token.partition(".")
        until = NOW if rest == "brief" else inf
        return Verified(Principal(name, "https://issuer.example"), until, f"t-{token}")


async def settled(happened: Callable[[], Any]) -> None:
    """Let the loop run until it happened; the deadline is that of the test."""
    while not happened():
        await asyncio.sleep(0)


class Answer:
    """An HTTP answer: `body` is there once it was read."""

    def __init__(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status = status
        self.all_headers = headers
        self.headers = dict(headers)
        self.body = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.reader = reader
        self.writer = writer
        self.port = port
        self._text = b""

    def send(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1") + body)

    async def head(self) -> Answer:
        """Read the line and the headers of an answer."""
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(line.split(": ", 1)[0], line.split(": ", 1)[1]) for line in raw[1:] if line]
        return Answer(int(raw[0].split(" ")[1]), headers)

    async def answer(self) -> Answer:
        """Read a whole answer; of a stream, until its end."""
        answer = await self.head()
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.chunk():
                answer.body += chunk
        return answer

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def event(self) -> tuple[str, str]:
        """The next event of a stream as (event, data); a comment is ("", ":")."""
        fields = await self.fields()
        return fields.get("event", ""), fields.get("data", ":")

    async def fields(self) -> dict[str, str]:
        """All fields of the next event; a comment has none."""
        while b"\n\n" not in self._text:
            chunk = await self.chunk()
            assert chunk, "the stream has ended"
            self._text += chunk
        text, self._text = self._text.split(b"\n\n", 1)
        if text.startswith(b":"):
            return {}
        return dict(line.split(": ", 1) for line in text.decode().split("\n"))

    async def message(self) -> Any:
        name, data = await self.event()
        assert name == "message"
        return json.loads(data)

    async def ended(self) -> None:
        """The stream ends here."""
        assert not self._text
        assert await self.chunk() == b""

    def close(self) -> None:
        self.writer.close()


class Front:
    """A served front."""

    def __init__(self, door: FakeDoor, clock: HeldClock, server: HttpServer, endpoint: Endpoint) -> None:
        self.door = door
        self.clock = clock
        self.server = server
        self.endpoint = endpoint
        self.port = 0
        self.reports: list[str] = []
        self.wires: list[Wire] = []

    async def connect(self) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.wires.append(Wire(reader, writer, self.port))
        return self.wires[-1]

    def headers(self, **more: str | None) -> list[tuple[str, str]]:
        """Those of a good POST, changed by `more` (`_` stands for `-`, None takes one out)."""
        headers: dict[str, str | None] = {
            "host": f"127.0.0.1:{self.port}",
            "content-type": "application/json",
            "accept": BOTH,
        }
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        return [(name, value) for name, value in headers.items() if value is not None]

    async def open(self, method: str, path: str, body: Any = None, **headers: str | None) -> Wire:
        """Send a request on a connection of its own, and read nothing yet."""
        wire = await self.connect()
        data = b"" if body is None else body if type(body) is bytes else json.dumps(body).encode()
        about = self.headers(**headers)
        if method == "POST" and "content-length" not in dict(about):
            about.append(("content-length", str(len(data))))
        wire.send(method, path, about, data)
        return wire

    async def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        wire = await self.open(method, path, body, **headers)
        answer = await wire.answer()
        wire.close()
        return answer

    async def post(self, body: Any, **headers: str | None) -> Answer:
        return await self.ask("POST", "/mcp", body, **headers)

    async def modern(self, method: str, request_id: Any = 1, **params: Any) -> Answer:
        return await self.post(
            call(method, request_id, _meta=ENVELOPE, **params), mcp_protocol_version=MODERN
        )

    async def session(self, **headers: str | None) -> str:
        """Begin a legacy session."""
        answer = await self.post(call("initialize"), **headers)
        assert answer.status == 200, answer.body
        return answer.headers["mcp-session-id"]


def call(method: str, request_id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


@asynccontextmanager
async def serving(
    http: HttpEntry | None = None,
    verifier: Any = None,
    message_bytes: int = 1_000_000,
    body_seconds: float = 20.0,
    head_seconds: float = 20.0,
    most_connections: int = 100,
) -> AsyncIterator[Front]:
    """A front; `front.door` has the gateways."""
    turn, door, clock = Turn(asyncio.get_running_loop()), FakeDoor(), HeldClock()
    endpoint = Endpoint(
        door,
        turn,
        clock,
        convert(http or HttpEntry(), HttpTerms, from_attributes=True),
        "127.0.0.1",
        message_bytes,
        verifier,
        body_seconds,
        most_connections,
    )
    reports: list[str] = []
    server = HttpServer(endpoint, lambda _server, said: reports.append(said), head_seconds)
    front = Front(door, clock, server, endpoint)
    front.reports = reports
    _host, front.port = await server.start("127.0.0.1", 0)
    try:
        yield front
    finally:
        for wire in front.wires:
            wire.close()
        door.may_leave.set()
        await server.close(True)


async def stands(front: Front, way: str, token: str) -> Wire:
    """A stream that was opened so, behind what it begins with."""
    about = {"authorization": f"Bearer {token}", "accept": BOTH}
    if way == "subscriptions/listen":
        asked = call(way, 5, _meta=ENVELOPE)
        wire = await front.open("POST", "/mcp", asked, mcp_protocol_version=MODERN, **about)
    else:
        key = await front.session(**about) if way == "GET /mcp" else None
        wire = await front.open(*way.split(), mcp_session_id=key, **about)
    assert (await wire.head()).status == 200
    if way != "GET /mcp":
        await wire.event()
    return wire


def acknowledge(receiver: FakeReceiver, message: dict[str, Any]) -> None:
    """The script of a gateway at which streams are opened in any way."""
    if message["method"] == "subscriptions/listen":
        receiver.notify("notifications/subscriptions/acknowledged", related=message["id"])
    else:
        answer_handshake(receiver, message)


async def begin(front: Front) -> tuple[Wire, str]:
    """A stream of HTTP+SSE, and where its messages are posted to."""
    wire = await front.open("GET", "/sse", accept="text/event-stream", content_type=None)
    head = await wire.head()
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
    name, path = await wire.event()
    assert name == "endpoint"
    assert path.startswith("/messages?session_id=")
    return wire, path
