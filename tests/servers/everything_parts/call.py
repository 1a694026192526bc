"""One request as a tool or a prompt sees it, the same in both eras.

Law of this file: nothing above it asks which era the client speaks. `Call.ask` sends server-initiated requests
to a legacy client and answers a modern one with `input_required` (2026-07-28 basic/patterns/mrtr).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Json = dict[str, Any]
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
ASKED = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


class InputNeeded(Exception):
    """A modern client has to answer `requests` (a map of name to request) before the call can go on."""

    def __init__(self, requests: Json, state: str | None) -> None:
        self.requests = requests
        self.state = state

    def result(self) -> Json:
        """The `input_required` result."""
        state = {} if self.state is None else {"requestState": self.state}
        return {"resultType": "input_required", "inputRequests": self.requests, **state}


@dataclass
class Call:
    """One request: its arguments, and the ways back to the client."""

    ctx: ServerRequestContext[Any, Any]
    arguments: Json

    @property
    def modern(self) -> bool:
        """Whether the client speaks 2026-07-28 or later."""
        return self.ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

    @property
    def inputs(self) -> Json:
        """What a modern client answered, by name; an answer that is no object counts as none."""
        found = (self.ctx.params or {}).get("inputResponses") or {}
        return {name: answer for name, answer in found.items() if isinstance(answer, dict)}

    @property
    def state(self) -> str | None:
        """The `requestState` of the round before; the seal was taken off by the SDK."""
        return (self.ctx.params or {}).get("requestState")

    def has(self, capability: str) -> bool:
        """Whether the client declared the capability."""
        declared = self.ctx.session.client_capabilities
        return declared is not None and getattr(declared, capability, None) is not None

    async def ask(self, requests: Json, state: str | None = None) -> Json:
        """The client's answer to each request, by name. Raises `InputNeeded` towards a modern client."""
        if not self.modern:
            answers: Json = {}
            async with anyio.create_task_group() as group:
                for name, request in requests.items():
                    group.start_soon(self._send, name, request, answers)
            return answers
        if not self.inputs.keys() >= requests.keys():
            raise InputNeeded(requests, state)
        return self.inputs

    async def _send(self, name: str, request: Json, answers: Json) -> None:
        kind, answer = ASKED[request["method"]]
        way = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        result = await self.ctx.session.send_request(kind.model_validate(request), answer, metadata=way)
        answers[name] = result.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def log(self, level: str, text: str) -> None:
        """A log message, if the client wants this level."""
        if self.modern or LEVELS.index(level) >= LEVELS.index(self.ctx.lifespan_context["log"].level):
            await self.ctx.session.send_log_message(level, text, "everything", self.ctx.request_id)

    async def progress(self, done: float, total: float = 100) -> None:
        """A progress notification, if the client gave a token."""
        await self.ctx.session.report_progress(done, total, f"{done:g} of {total:g}")


@dataclass(frozen=True)
class Tool:
    """A tool: what is listed, what runs, and whether it may or must become a task."""

    listed: Json
    run: Callable[[Call], Awaitable[str | Json | list[Json]]]
    task: str | None = None


TOOLS: dict[str, Tool] = {}


def text(words: str) -> Json:
    """A block of text."""
    return {"type": "text", "text": words}


def schema(properties: Json | None = None, required: tuple[str, ...] = ()) -> Json:
    """A JSON schema of an object."""
    return {"type": "object", "properties": properties or {}, "required": list(required)}


def tool(
    name: str, about: str, input_schema: Json | None = None, **more: Any
) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Register a tool. `more`: `task` ("optional" or "required"), else further keys of the listing."""

    def register(run: Callable[[Call], Any]) -> Callable[[Call], Any]:
        task = more.pop("task", None)
        listed = {"name": name, "description": about, "inputSchema": input_schema or schema(), **more}
        TOOLS[name] = Tool(listed, run, task)
        return run

    return register


def page(kind: str, items: list[Json], cursor: str | None, size: int) -> Json:
    """One page of a list; `size` 0 gives everything at once."""
    start = int(cursor or 0)
    end = start + size if size else len(items)
    more: Mapping[str, str] = {"nextCursor": str(end)} if end < len(items) else {}
    return {kind: items[start:end], **more}
