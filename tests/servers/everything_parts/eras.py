"""How the server is reached, and how it refuses an era: as a server does that never heard of the other one.

Sources: 2026-07-28 basic/versioning "Backward Compatibility", basic/transports/streamable-http "Server Validation".
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = TransportSecuritySettings(
    allowed_hosts=["127.0.0.1:*", "localhost:*"], allowed_origins=["http://127.0.0.1:*", "http://localhost:*"]
)
RETRY_MS = 100


class Events(EventStore):
    """All events of all streams, so that a client can come back (2025-11-25 basic/transports "Resumability")."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; gives its id."""
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what followed on the same stream; gives the stream, or None for an unknown id."""
        if not last_event_id.isdigit() or not 0 < int(last_event_id) <= len(self._events):
            return None
        seen = int(last_event_id)
        wanted = self._events[seen - 1][0]
        for number, (stream, message) in enumerate(self._events[seen:], seen + 1):
            if stream == wanted and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return wanted


def gate(era: str) -> Callable[[ServerRequestContext[Any, Any], CallNext], Awaitable[HandlerResult]]:
    """The middleware that refuses the other era's opening, on every transport."""

    async def refuse(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        if era == "legacy" and (modern or ctx.method == "server/discover"):
            raise MCPError(METHOD_NOT_FOUND, "Method not found")
        if era == "modern" and not modern and ctx.method == "initialize":
            raise MCPError(*_unsupported(ctx.params))
        return await call_next(ctx)

    return refuse


def _unsupported(params: Any) -> tuple[int, str, dict[str, Any]]:
    requested = str((params or {}).get("protocolVersion", ""))
    data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": requested}
    return UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data


async def over_stdio(server: Server[Any], era: str) -> None:
    """Serve standard input and output until the input ends."""
    async with stdio_server() as (incoming, outgoing):
        if era == "legacy":  # The dual loop would lock itself to the era of a refused first request.
            async with server.lifespan(server) as state:
                await serve_loop(server, incoming, outgoing, lifespan_state=state)
        elif era == "modern":
            send, receive = anyio.create_memory_object_stream[SessionMessage | Exception]()
            async with anyio.create_task_group() as group:
                group.start_soon(_without_initialize, incoming, send, outgoing)
                await server.run(receive, outgoing, server.create_initialization_options())
                group.cancel_scope.cancel()
        else:
            await server.run(incoming, outgoing, server.create_initialization_options())


async def _without_initialize(incoming: Any, inside: Any, outgoing: Any) -> None:
    """Refuse `initialize` before the dual loop sees it, for the same reason."""
    async with inside:
        async for item in incoming:
            message = item.message if isinstance(item, SessionMessage) else None
            if isinstance(message, JSONRPCRequest) and message.method == "initialize":
                code, words, data = _unsupported(message.params)
                error = ErrorData(code=code, message=words, data=data)
                await outgoing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=message.id, error=error)))
            else:
                await inside.send(item)


def application(server: Server[Any], era: str, state: dict[str, Any]) -> ASGIApp:
    """The web application: Streamable HTTP at /mcp; HTTP+SSE at /sse unless only the modern era is spoken."""
    main = server.streamable_http_app(
        event_store=Events(), retry_interval=RETRY_MS, transport_security=LOOPBACK, session_idle_timeout=None
    )
    routes = list(main.routes)
    if era != "modern":
        routes += _sse(server, state)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    return _door(Starlette(routes=routes, lifespan=lifespan), era)


def _sse(server: Server[Any], state: dict[str, Any]) -> list[Any]:
    transport = SseServerTransport("/messages/", security_settings=LOOPBACK)

    async def connected(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (
            incoming,
            outgoing,
        ):
            await serve_loop(server, incoming, outgoing, lifespan_state=state)
        return Response()

    return [Route("/sse", connected, methods=["GET"]), Mount("/messages/", transport.handle_post_message)]


def _door(inside: ASGIApp, era: str) -> ASGIApp:
    """Turn away at /mcp what a server of one era does not understand."""

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # uvicorn leaves the whitespace that RFC 9110 section 5.5 takes off.
            scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        if scope["type"] != "http" or scope["path"] != "/mcp" or era == "both":
            await inside(scope, receive, send)
            return
        request = Request(scope, receive)
        version = request.headers.get("mcp-protocol-version", HANDSHAKE_PROTOCOL_VERSIONS[-1])
        legacy = version in HANDSHAKE_PROTOCOL_VERSIONS
        if legacy == (era == "legacy"):
            await inside(scope, receive, send)
        elif request.method != "POST":
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
        else:
            await JSONResponse(_turned_away(await request.body(), era), 400)(scope, receive, send)

    return enter


def _turned_away(body: bytes, era: str) -> dict[str, Any]:
    message = json.loads(body)
    code, words, data = _unsupported(message.get("params"))
    if era == "legacy":  # Code and words as old servers give them, and no data: nothing modern to recognise.
        code, words, data = -32000, "Bad Request: Unsupported protocol version", {}
    error = {"code": code, "message": words, **({"data": data} if data else {})}
    return {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
