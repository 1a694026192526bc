"""A server on loopback that answers each HTTP request as a test tells it, right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.adapters.upstreams.http_stage import LEGACY


class Heard:
    """One HTTP request that the scripted server got."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.message: Any = msgspec.json.decode(body) if body else None


def answer_to(heard: Heard, **result: Any) -> dict[str, Any]:
    """The response to a request."""
    return {"jsonrpc": "2.0", "id": heard.message["id"], "result": result}


def note(word: str) -> dict[str, Any]:
    """A notification."""
    return {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": word}}


class Reply:
    """How the scripted server answers one request; the connection is closed afterwards."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.gone = asyncio.Event()

    async def head(self, status: int, kind: str = "", **headers: str) -> None:
        """Send the head; whatever is sent then is the body, up to the end of the connection."""
        lines = [f"HTTP/1.1 {status} X", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Type: {kind}"] if kind else []
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with a JSON body."""
        body = msgspec.json.encode(value)
        await self.head(status, "application/json", Content_Length=str(len(body)), **headers)
        await self.raw(body)

    async def nothing(self, status: int = 202) -> None:
        """Answer without a body."""
        await self.head(status, Content_Length="0")

    async def events(self, **headers: str) -> None:
        """Begin an event stream."""
        await self.head(200, "text/event-stream", **headers)

    async def event(self, value: Any, event_id: str = "") -> None:
        """Send one message as an event."""
        data = msgspec.json.encode(value)
        await self.raw((f"id: {event_id}\n".encode() if event_id else b"") + b"data: " + data + b"\n\n")


class Session:
    """A legacy server of which each step can be told: `get(count, heard, reply)` and `post(heard, reply)`."""

    def __init__(self, get: Any = None, post: Any = None) -> None:
        self.gets = 0
        self._get = get
        self._post = post

    async def __call__(self, heard: Heard, reply: Reply) -> None:
        if heard.method == "GET":
            self.gets += 1
            await (self._get(self.gets, heard, reply) if self._get else reply.nothing(405))
        elif heard.method == "DELETE":
            await reply.nothing(200)
        elif heard.message.get("method") == "initialize":
            await reply.json(answer_to(heard, protocolVersion=LEGACY), 200, Mcp_Session_Id="s-1")
        elif "id" in heard.message and self._post:
            await self._post(heard, reply)
        else:
            await reply.nothing(202)


Script = Callable[[Heard, Reply], Awaitable[None]]


class Stage:
    """A scripted server that runs."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Heard] = []
        self.open = 0
        self.url = ""
        self._script = script
        self._changed = asyncio.Event()

    async def until(self, found: Callable[[], Any]) -> Any:
        """Wait until `found()` is something, and give that."""
        while not (result := found()):
            self._changed.clear()
            await self._changed.wait()
        return result

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.open += 1
        script = None
        try:
            heard = await _read(reader)
            reply = Reply(writer)
            self.requests.append(heard)
            self._changed.set()
            script = asyncio.create_task(self._script(heard, reply))
            left = asyncio.create_task(reader.read())
            await asyncio.wait((script, left), return_when=asyncio.FIRST_COMPLETED)
            reply.gone.set()
            if not script.done():
                await asyncio.wait((script,), timeout=0.5)
            left.cancel()
        except asyncio.IncompleteReadError:
            pass
        finally:
            if script is not None:
                script.cancel()
                await asyncio.wait((script,))
            writer.close()
            self.open -= 1
            self._changed.set()


async def _read(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _version = first.split(" ")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, path, headers, body)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Stage]:
    """A server on loopback whose every request is answered by `script`."""
    stage = Stage(script)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", 0)
    stage.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    try:
        yield stage
    finally:
        server.close()
        await stage.until(lambda: stage.open == 0)
