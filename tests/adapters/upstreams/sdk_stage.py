"""The official SDK's own server, as the oracle of the HTTP wires: real HTTP on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

REGION = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "place": {"type": "object", "properties": {"floor": {"type": "integer", "x-mcp-header": "Floor"}}},
    },
}


class Oracle:
    """A server with a few tools. `begun` and `cancelled` tell of the tool that waits for ever."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.seen: list[dict[str, str]] = []
        self.server: Server[Any] = Server(
            "oracle",
            version="1",
            on_list_tools=self._list,
            on_call_tool=self._call,
            get_tool_input_schema=self._schema,
        )

    def _schema(self, name: str) -> Any:
        return REGION if name == "region" else {"type": "object"}

    async def _list(self, _ctx: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="echo", input_schema={"type": "object"})])

    async def _call(self, ctx: Any, params: Any) -> types.CallToolResult:
        self.seen.append({name.lower(): value for name, value in ctx.request.headers.items()})
        said = "done"
        if params.name == "wait":
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        elif params.name == "steps":
            for step in range(3):
                await ctx.session.report_progress(step, 3)
        elif params.name == "ask":
            schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
            answer = await ctx.session.elicit_form("Which?", schema, ctx.request_id)
            said = str(answer.content)
        elif params.name == "shout":
            await ctx.session.send_tool_list_changed()
        elif params.name == "poll":
            await ctx.close_sse_stream()
        else:
            said = str(params.arguments)
        return types.CallToolResult(content=[types.TextContent(text=said)])


class Memory(EventStore):
    """Events in memory."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        at = int(last_event_id)
        stream = self._events[at - 1][0]
        for number, (other, message) in enumerate(self._events[at:], at + 1):
            if other == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class _Uvicorn(uvicorn.Server):
    """Without handlers of signals; `ready` says that it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="on")
    server = _Uvicorn(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@asynccontextmanager
async def streamable(**options: Any) -> AsyncIterator[tuple[str, Oracle]]:
    """The SDK's Streamable HTTP server: its URL, and what it saw."""
    oracle = Oracle()
    async with _serving(oracle.server.streamable_http_app(**options)) as origin:
        yield f"{origin}/mcp", oracle


@asynccontextmanager
async def sse() -> AsyncIterator[tuple[str, Oracle]]:
    """The SDK's HTTP+SSE server: its URL, and what it saw."""
    oracle = Oracle()
    transport = SseServerTransport("/messages/")

    async def stream(request: Any) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await oracle.server.run(read, write, oracle.server.create_initialization_options())
        return Response()

    routes = [Route("/sse", endpoint=stream), Mount("/messages/", app=transport.handle_post_message)]
    async with _serving(Starlette(routes=routes)) as origin:
        yield f"{origin}/sse", oracle
