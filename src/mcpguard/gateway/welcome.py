"""The greeting: what a client may request, and the servers' own instructions.

Law of this file: a greeting starts only servers that the configuration marks as eager, each with a record
before and after (law 5), and their instructions are inspected like everything else (law 6).
"""

from mcpguard.core.errors import InspectionError, McpGuardError
from mcpguard.core.model import Invocation, Json
from mcpguard.core.policy import pdp
from mcpguard.gateway.flight import Cancelled, Flight, Wait
from mcpguard.gateway.lists.pinning import Pinning
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import eras

GREETING_SECONDS = 10.0
"""How long a greeting waits for eager servers at least, if they take that long: unlike a list, what they say
cannot follow. Clients wait 30 seconds or more."""


class Welcome:
    """Answers `initialize` and `server/discover` (specification 2025-11-25: basic/lifecycle; 2026-07-28:
    server/discover). Eager servers are waited for, together, for `GREETING_SECONDS`, or longer where lists
    wait longer; the instructions of one that is late, cannot be inspected, or says
    other ones than were accepted, are left out alone (law 8)."""

    def __init__(self, scope: ClientScope, pinning: Pinning) -> None:
        self._scope = scope
        self._pinning = pinning
        self.declares_logging = True
        """Whether the client was told that it may set the level of log messages."""
        self._greeted: set[str] = set()

    async def reply(self, request: Request) -> None:
        scope = self._scope
        await self._start(request)
        known = [scope.upstreams[server].capabilities for server in scope.servers]
        capabilities = eras.capabilities(request.caller.modern, known, scope.extension_ids)
        self.declares_logging = "logging" in capabilities
        result: dict[str, Json] = {"capabilities": capabilities}
        if request.caller.modern:
            result["supportedVersions"] = list(eras.MODERN_VERSIONS)
        else:
            name, version = scope.identity
            result["protocolVersion"] = request.caller.version
            result["serverInfo"] = {"name": name, "version": version}
        result = scope.result_for(request.caller, request.method, result)
        instructions = await self._instructions()
        try:
            answer = scope.inspector.seal_now({**result, **instructions})[0]
        except InspectionError as problem:
            scope.report("", f"the instructions of the servers were left out: {problem}")
            answer = scope.inspector.ours(result)
        scope.client.reply(request.id, answer)

    async def _start(self, request: Request) -> None:
        scope, started = self._scope, self._scope.recorder.seconds()
        # It may be another one after the records.
        eager = [one for one in scope.eager if one not in self._greeted or scope.recorder.asks(one)]
        self._greeted.update(eager)
        invocations = [scope.asked(request, server) for server in eager]
        undone: list[Invocation] = []
        try:
            for invocation in invocations:
                await scope.admit(pdp.permit_protocol(invocation), started)
                undone.append(invocation)
            waits = [scope.upstreams[server].ready() for server in eager]
            most = max(GREETING_SECONDS, scope.list_seconds)
            for invocation, wait in zip(invocations, waits, strict=True):
                left = started + most - scope.recorder.seconds()
                in_time = await scope.within(left, wait)
                undone.remove(invocation)
                if in_time:
                    await (await self._noted(invocation, wait, started))
                else:
                    said = f"its instructions were left out: it did not start within {most:g} seconds"
                    scope.report(invocation.server, said)
                    Flight(self._noted(invocation, wait, started))
        except Cancelled as why:
            for invocation in undone:
                scope.audit.write(scope.recorder.outcome(invocation, str(why), started))
            raise

    async def _noted(self, invocation: Invocation, wait: Wait[None], started: float) -> Wait[None]:
        """Record how the start of a server ended; over when that is durable."""
        scope, status, said = self._scope, "ok", ""
        try:
            await wait
        except McpGuardError as problem:
            status, said = "unavailable", str(problem)
            scope.report(invocation.server, said)
        return scope.audit.write(scope.recorder.outcome(invocation, status, started, error=said))

    async def _instructions(self) -> dict[str, Json]:
        scope, said = self._scope, dict[str, str]()
        for name in scope.servers:
            text = scope.upstreams[name].instructions
            if not text:
                continue
            try:
                clean, _ = await scope.inspector.seal({"instructions": text}, len(text), server=name)
            except InspectionError as problem:
                scope.report(name, f"its instructions were left out: {problem}")
                continue
            scope.report_cleaned(name, clean, "instructions")
            if await self._pinning.passes(name, text, clean.value["instructions"]):
                said[name] = clean.value["instructions"]
        if not said:
            return {}
        if not scope.several:
            return {"instructions": next(iter(said.values()))}
        # Quoted, so that no server can begin what looks like the part of another.
        quoted = {name: "\n".join(f"> {line}" for line in text.splitlines()) for name, text in said.items()}
        return {"instructions": "\n\n".join(f"# {name}\n\n{text}" for name, text in quoted.items())}
