"""A server with everything that MCP knows, in either era or both: the upstream of the proof harness.

    python everything.py --stdio
    python everything.py --http 0        # prints its port; /mcp is Streamable HTTP, /sse the deprecated HTTP+SSE

`--era legacy` refuses the modern era as a server of before 2026-07-28 would, `--era modern` refuses `initialize`.
`--tasks` adds the tools that may become tasks, and the tasks extension where the modern era is spoken; without it
they are plain tools. `--page N` lists in pages of N.
"""

import argparse
import logging
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import uvicorn
import warm
from everything_parts import eras, inputs, readables, tasks, tools  # noqa: F401 — tools register themselves
from everything_parts.call import TOOLS, Call, InputNeeded, Json, Tool, page, schema, text
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

NAME = "everything"
DYNAMIC = {"name": "test_dynamic_tool", "description": "Comes and goes"}
Context = ServerRequestContext[Any, Any]
HANDLERS = (
    "list_tools",
    "call_tool",
    "list_resources",
    "list_resource_templates",
    "read_resource",
    "subscribe_resource",
    "unsubscribe_resource",
    "list_prompts",
    "get_prompt",
    "completion",
    "set_logging_level",
)
CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
CACHED = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")


@dataclass
class Log:
    """The least level that legacy clients want."""

    level: str = "debug"


@dataclass
class Cancelled:
    """The tokens of the waits that were cancelled."""

    seen: set[str] = field(default_factory=set)
    news: anyio.Event = field(default_factory=anyio.Event)

    def add(self, token: str) -> None:
        """A wait was cancelled."""
        self.seen.add(token)
        self.news.set()
        self.news = anyio.Event()

    async def wait(self, token: str) -> None:
        """Until the wait with this token was cancelled; ten seconds at most."""
        with anyio.fail_after(10):
            while token not in self.seen:
                await self.news.wait()


def _complete(handler: Callable[..., Awaitable[Json]]) -> Callable[..., Awaitable[Json]]:
    async def handle(ctx: Context, params: Any) -> Json:
        done = {"resultType": "complete"} if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else {}
        return {**done, **await handler(ctx, params)}

    return handle


class _Server(Server[Json]):
    """The SDK's server, with list changes announced in `initialize` on every transport."""

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        return super().create_initialization_options(CHANGES)


class Everything:
    """The handlers of one server, over the state that all its connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.bus = InMemorySubscriptionBus()
        self.state: Json = {"bus": self.bus, "dynamic": set(), "subscribed": set(), "watched": "first"}
        self.server = self._build()

    @property
    def extended(self) -> bool:
        """Whether there is the tasks extension, which the legacy era does not know."""
        return bool(self.options.tasks) and self.options.era != "legacy"

    def _build(self) -> Server[Json]:
        hints = {method: CacheHint(ttl_ms=60_000, scope="public") for method in CACHED}
        server = _Server(
            NAME,
            version="1.0.0",
            instructions="A server for tests.",
            cache_hints=hints,
            lifespan=lambda _: self._lifespan(),
            get_tool_input_schema=lambda name: TOOLS[name].listed["inputSchema"] if name in TOOLS else None,
            on_subscriptions_listen=ListenHandler(self.bus),
            **{f"on_{name}": _complete(getattr(self, name)) for name in HANDLERS},
        )
        server.middleware.append(
            RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME)
        )
        server.middleware.append(eras.gate(self.options.era))
        if self.extended:
            server.extensions[tasks.EXTENSION] = {}
        return server

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[Json]:
        async with anyio.create_task_group() as group:
            self.state |= {"log": Log(), "cancelled": Cancelled()}
            if self.extended:
                self.state["tasks"] = board = tasks.Tasks(group)
                self.server.add_request_handler("tasks/get", tasks.TaskParams, board.get)
                self.server.add_request_handler("tasks/update", tasks.TaskUpdateParams, board.update)
                self.server.add_request_handler("tasks/cancel", tasks.TaskParams, board.cancel)
            yield self.state
            group.cancel_scope.cancel()

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> Json:
        """`tools/list`."""
        listed = [tool.listed for tool in TOOLS.values() if self.options.tasks or tool.task is None]
        if "tool" in self.state["dynamic"]:
            listed = [*listed, {**DYNAMIC, "inputSchema": schema()}]
        return page("tools", listed, params and params.cursor, self.options.page)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Json:
        """`tools/call`: at once, as a task, or after the client was asked."""
        chosen, call = TOOLS.get(params.name), Call(ctx, params.arguments or {})
        if chosen is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        if chosen.task == "required" and call.modern and not tasks.declared(ctx):
            raise tasks.missing()
        if self.extended and self._becomes_task(chosen, call):
            return self.state["tasks"].begin(chosen, call)
        try:
            found = await chosen.run(call)
        except InputNeeded as needed:
            return needed.result()
        except (ValueError, KeyError) as error:  # KeyError: an argument is missing.
            return {"content": [text(str(error))], "isError": True}
        if isinstance(found, dict):
            return found
        return {"content": [text(found)] if isinstance(found, str) else found}

    def _becomes_task(self, chosen: Tool, call: Call) -> bool:
        ready = chosen.task != "after the answers" or bool(call.inputs)
        return chosen.task is not None and tasks.declared(call.ctx) and ready

    async def list_resources(self, ctx: Context, params: types.PaginatedRequestParams | None) -> Json:
        """`resources/list`."""
        shown = readables.listed("resources", self.state["dynamic"])
        return page("resources", shown, params and params.cursor, self.options.page)

    async def list_resource_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> Json:
        """`resources/templates/list`."""
        return {"resourceTemplates": readables.TEMPLATES}

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> Json:
        """`resources/read`."""
        return await readables.read(Call(ctx, {}), str(params.uri))

    async def subscribe_resource(self, ctx: Context, params: types.SubscribeRequestParams) -> Json:
        """`resources/subscribe` of the legacy era."""
        self.state["subscribed"].add(str(params.uri))
        return {}

    async def unsubscribe_resource(self, ctx: Context, params: types.UnsubscribeRequestParams) -> Json:
        """`resources/unsubscribe` of the legacy era."""
        self.state["subscribed"].discard(str(params.uri))
        return {}

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> Json:
        """`prompts/list`."""
        shown = readables.listed("prompts", self.state["dynamic"])
        return page("prompts", shown, params and params.cursor, self.options.page)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Json:
        """`prompts/get`, after the client was asked where a prompt needs it."""
        try:
            return await readables.prompt(Call(ctx, params.arguments or {}), params.name)
        except InputNeeded as needed:
            return needed.result()

    async def completion(self, ctx: Context, params: types.CompleteRequestParams) -> Json:
        """`completion/complete`."""
        return readables.completion(params.argument.value)

    async def set_logging_level(self, ctx: Context, params: types.SetLevelRequestParams) -> Json:
        """`logging/setLevel` of the legacy era."""
        self.state["log"].level = params.level
        return {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--http", type=int, metavar="PORT", help="on 127.0.0.1; 0 takes a free port")
    way.add_argument("--stdio", action="store_true")
    way.add_argument("--warm", metavar="SOCKET", help="fork for each `warm.py SOCKET ARGUMENT ...`")
    parser.add_argument("--era", choices=("both", "legacy", "modern"), default="both")
    parser.add_argument("--tasks", action="store_true")
    parser.add_argument("--page", type=int, default=0)
    return parser.parse_args()


async def _http(everything: Everything, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        web = eras.application(everything.server, everything.options.era, everything.state)
        config = uvicorn.Config(web, log_level="error")
        print(listening.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    """Serve until the input ends or a signal comes."""
    options = _options()
    if options.warm:
        warm.serve(options.warm, main)
        return
    warnings.simplefilter("ignore", MCPDeprecationWarning)  # Deprecated features are what we are for.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    everything = Everything(options)
    if options.stdio:
        anyio.run(eras.over_stdio, everything.server, options.era)
    else:
        anyio.run(_http, everything, options.http)


if __name__ == "__main__":
    main()
