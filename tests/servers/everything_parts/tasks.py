"""The tasks extension of 2026-07-28 (SEP-2663): a call that goes on after its answer.

Law of this file: a task is a tool that runs in the background with a `Call` whose questions are answered through
`tasks/update`. Tools that may become tasks are registered here; without the extension they simply run.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    RequestParams,
)

from .call import Call, Json, Tool, schema, text, tool
from .inputs import NAME, elicitation

EXTENSION = "io.modelcontextprotocol/tasks"
TERMINAL = ("completed", "failed", "cancelled")


class TaskParams(RequestParams):
    """The params of `tasks/get` and `tasks/cancel`."""

    task_id: str


class TaskUpdateParams(TaskParams):
    """The params of `tasks/update`."""

    input_responses: dict[str, Any]


class Task(Call):
    """A running tool: its status, and what it waits for."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.ctx, call.arguments)
        self.id = uuid.uuid4().hex
        self.created = self.changed = _now()
        self.status = "working"
        self.end: Json = {}
        self.pending: Json = {}
        self.answers: Json = {}
        self.scope = anyio.CancelScope()
        self._answered = anyio.Event()

    def settle(self, status: str, **end: Any) -> None:
        """Take a new status; one that is terminal stays."""
        if self.status not in TERMINAL:
            self.status, self.end, self.changed = status, end, _now()

    async def ask(self, requests: Json, state: str | None = None) -> Json:
        """The client's answers, through `tasks/update`; `state` needs no keeping."""
        self.answers = dict(self.inputs)  # What a round before the task gathered.
        self.pending = {name: request for name, request in requests.items() if name not in self.answers}
        while self.pending:
            self.settle("input_required")
            self._answered = anyio.Event()
            await self._answered.wait()
        self.settle("working")
        return self.answers

    def answer(self, responses: Json) -> None:
        """Take the answers that something waits for, and drop the others."""
        for name in responses.keys() & self.pending.keys():
            self.answers[name] = responses[name]
            del self.pending[name]
        self._answered.set()

    def created_result(self) -> Json:
        """The `CreateTaskResult`."""
        return {"resultType": "task", **self._facts()}

    def detailed(self) -> Json:
        """The `DetailedTask` of `tasks/get`."""
        asked = {"inputRequests": self.pending} if self.status == "input_required" else {}
        return {"resultType": "complete", **self._facts(), **asked, **self.end}

    def _facts(self) -> Json:
        times = {"createdAt": self.created, "lastUpdatedAt": self.changed}
        return {"taskId": self.id, "status": self.status, **times, "ttlMs": 600_000, "pollIntervalMs": 100}


class Tasks:
    """All tasks of the server."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._tasks: dict[str, Task] = {}

    def begin(self, chosen: Tool, call: Call) -> Json:
        """Run the tool in the background; gives the `CreateTaskResult`."""
        task = Task(call)
        self._tasks[task.id] = task
        self._group.start_soon(self._run, chosen, task)
        return task.created_result()

    async def _run(self, chosen: Tool, task: Task) -> None:
        with task.scope:
            try:
                found = await chosen.run(task)
                task.settle("completed", result={"content": [text(str(found))]})
            except MCPError as error:
                task.settle("failed", error=error.error.model_dump(exclude_none=True))
            except ValueError as error:
                task.settle("completed", result={"content": [text(str(error))], "isError": True})

    def find(self, ctx: ServerRequestContext[Any, Any], task_id: str) -> Task:
        """The task; an error if the client lacks the extension, its header disagrees, or there is none."""
        if not declared(ctx):
            raise missing()
        named = ctx.request.headers.get("mcp-name") if ctx.request is not None else task_id
        if named is not None and named != task_id:
            raise MCPError(HEADER_MISMATCH, "Mcp-Name does not match params.taskId")
        if task_id not in self._tasks:
            raise MCPError(INVALID_PARAMS, "Unknown task")
        return self._tasks[task_id]

    async def get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> Json:
        """`tasks/get`."""
        return self.find(ctx, params.task_id).detailed()

    async def update(self, ctx: ServerRequestContext[Any, Any], params: TaskUpdateParams) -> Json:
        """`tasks/update`."""
        self.find(ctx, params.task_id).answer(params.input_responses)
        return {"resultType": "complete"}

    async def cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> Json:
        """`tasks/cancel`; a task that has ended stays as it is."""
        task = self.find(ctx, params.task_id)
        task.settle("cancelled")
        task.scope.cancel()
        return {"resultType": "complete"}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether this request's client declared the extension."""
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and EXTENSION in (capabilities.extensions or {})


def missing() -> MCPError:
    """The error towards a client without the extension."""
    data = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
    return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "The client has to declare the tasks extension", data)


@tool("greet", "Greets at once", schema({"name": {"type": "string"}}, ("name",)))
async def _greet(call: Call) -> str:
    return f"Hello, {call.arguments['name']}!"


@tool(
    "slow_compute",
    "Takes some seconds as a task",
    schema({"seconds": {"type": "number"}, "label": {"type": "string"}}),
    task="optional",
)
async def _slow(call: Call) -> str:
    if isinstance(call, Task):  # The suite asks for a minute, and cannot cancel what is no task.
        await anyio.sleep(call.arguments.get("seconds", 0))
    return f"computed {call.arguments.get('label', '')}"


@tool("failing_job", "Fails as a tool does", task="required")
async def _failing(call: Call) -> str:
    raise ValueError("the job failed")


@tool("protocol_error_job", "Fails as a server does", task="optional")
async def _broken(call: Call) -> str:
    raise MCPError(INTERNAL_ERROR, "the server broke")


@tool("confirm_delete", "Asks first", schema({"filename": {"type": "string"}}), task="optional")
async def _confirm(call: Call) -> str:
    sure = elicitation("Really delete it?", schema({"confirm": {"type": "boolean"}}, ("confirm",)))
    answer = (await call.ask({"sure": sure}))["sure"]
    return f"deleted {call.arguments.get('filename')}: {(answer.get('content') or {}).get('confirm')}"


@tool("multi_input", "Asks two things at once", task="optional")
async def _two(call: Call) -> str:
    await call.ask({"first": NAME, "second": NAME})
    return "both answers came"


@tool("test_tool_with_task", "Asks first, then becomes a task", task="after the answers")
async def _then_task(call: Call) -> str:
    answer = (await call.ask({"user_name": NAME}))["user_name"]
    return f"Hello, {answer['content']['name']}!"
