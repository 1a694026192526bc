"""Which task belongs to whom: a task id leads only to the upstream that created it, and only for the client
that started it
(specification 2025-11-25: basic/utilities/tasks; 2026-07-28: extension io.modelcontextprotocol/tasks)."""

from collections.abc import Collection

from msgspec import Struct

from mcpguard.core.errors import CredentialError, InspectionError, MessageError, UpstreamError
from mcpguard.core.model import Json, Permit
from mcpguard.core.policy import pdp
from mcpguard.gateway.flight import Cancelled
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import eras, jsonrpc

MAX_TASKS = 10_000
"""The oldest are forgotten above this many; a client can then no longer reach them."""
MAX_PAGES = 100


class Task(Struct, frozen=True):
    """`permit` is that of the call that began it; `redact` is what is to be taken out of what leaves
    because of it."""

    permit: Permit
    redact: tuple[str, ...]

    @property
    def server(self) -> str:
        """The upstream that has it."""
        return self.permit.invocation.server

    @property
    def key(self) -> tuple[str, str]:
        """Where it is: at which upstream, and under which credential."""
        return self.server, self.permit.credential


class Tasks:
    """The tasks of one client."""

    def __init__(self, scope: ClientScope) -> None:
        self._scope = scope
        self._known: dict[str, Task] = {}
        self._listed: dict[tuple[str, str], list[Json]] = {}
        """What each server last listed, by `Task.key`."""

    def find(self, task_id: str) -> Task | None:
        """The task of that id, None if this client started none such."""
        return self._known.get(task_id)

    def forget(self, kept: Collection[str]) -> None:
        """Only the servers in `kept` are those that they were; the tasks of others are gone with them."""
        self._known = {task_id: task for task_id, task in self._known.items() if task.server in kept}
        self._listed = {key: listed for key, listed in self._listed.items() if key[0] in kept}

    def redact_of(self, task_id: Json) -> tuple[str, ...]:
        """What to redact from everything about this task; nothing for an unknown one."""
        task = self._known.get(task_id) if type(task_id) is str else None
        return () if task is None else task.redact

    def owned(self, server: str, task_id: Json) -> bool:
        """Whether `task_id` is a task of that server, started by this client."""
        known = self._known.get(task_id) if type(task_id) is str else None
        return known is not None and known.server == server

    def _at(self, key: tuple[str, str], task_id: Json) -> bool:
        known = self._known.get(task_id) if type(task_id) is str else None
        return known is not None and known.key == key

    def remember(self, permit: Permit, result: dict[str, Json], redact: tuple[str, ...]) -> None:
        """Keep the task that a call's result announces, if any.

        Raises InspectionError where the id is that of another upstream's task: the client could not
        tell them apart (law 8).
        """
        task_id = _task_id(result)
        if task_id is None:
            return
        known, task = self._known.get(task_id), Task(permit, redact)
        if known is not None and known.key != task.key:
            raise InspectionError("the id of its task is in use by another server, or another process of it")
        if known is None and len(self._known) >= MAX_TASKS:
            del self._known[next(iter(self._known))]
        self._known[task_id] = task

    async def serve(self, request: Request) -> None:
        """Answer `tasks/list`: this client's tasks only, of all upstreams, on one page."""
        scope = self._scope
        if request.params.get("cursor") is not None:
            raise MessageError(jsonrpc.INVALID_PARAMS, "no such cursor: the list has one page")
        permit, started = await scope.begin(request)
        found: list[Json] = []
        async with scope.noting(permit, started):
            for server, credential in sorted({task.key for task in self._known.values()}):
                key = server, credential
                if key not in self._listed or scope.recorder.asks(server):
                    self._listed[key] = await self._of(server, credential, request)
                found += self._listed[key]
        redact = {kind: None for one in found for kind in self.redact_of(one["taskId"])}
        try:
            async with scope.noting(permit, started):
                answer, digest = await scope.inspector.seal({"tasks": found}, 0, tuple(redact))
        except InspectionError as problem:
            await scope.fail(request, permit, started, "withheld", str(problem))
            return
        await scope.answer(request, permit, started, answer, digest)

    async def _of(self, server: str, credential: str, request: Request) -> list[Json]:
        scope, status, said = self._scope, "ok", ""
        invocation = scope.asked(request, server)
        permit, started = pdp.permit_protocol(invocation, credential), scope.recorder.seconds()
        found: list[Json] = []
        # It may start a server that has ended, with its credentials, so there is a record first (law 5).
        await scope.admit(permit, started)
        try:
            found = await self._pages(server, permit)
        except Cancelled as why:
            status = str(why)
            raise
        except (UpstreamError, CredentialError) as problem:
            status, said = "unavailable", str(problem)
            scope.report(server, said)
        finally:
            scope.audit.write(scope.recorder.outcome(invocation, status, started, error=said))
        return found

    async def _pages(self, server: str, permit: Permit) -> list[Json]:
        found: list[Json] = []
        key = server, permit.credential
        for _ in range(MAX_PAGES):
            upstream = self._scope.upstreams[server]
            wait = upstream.request(permit)
            try:
                raw = await wait
            except Cancelled as why:
                upstream.cancel(wait, str(why))
                raise
            page = raw.message.get("result")
            if type(page) is not dict:
                break
            tasks = page.get("tasks")
            if type(tasks) is not list:
                break
            found += [one for one in tasks if type(one) is dict and self._at(key, one.get("taskId"))]
            if page.get("nextCursor") is None:
                break
            permit = pdp.again(permit, {"cursor": page["nextCursor"]})
        return found


def _task_id(result: dict[str, Json]) -> str | None:
    task = eras.task_of(result)
    task_id = None if task is None else task.get("taskId")
    return task_id if type(task_id) is str else None
