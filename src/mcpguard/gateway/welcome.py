"""What a client is told first: what may be requested here, and the servers' own instructions for use.

Law of this file: nothing is started for it but the servers that the configuration calls eager, each with a
record before and after (law 5), and what they say is inspected like everything else (law 6).
"""

from __future__ import annotations

from mcpguard.core.errors import InspectionError, McpGuardError
from mcpguard.core.model import Json
from mcpguard.core.policy import pdp
from mcpguard.gateway.request import Request
from mcpguard.gateway.scope import ClientScope
from mcpguard.protocol import eras, lifecycle


class Welcome:
    """Answers `initialize` and `server/discover` (specification 2025-11-25: basic/lifecycle; 2026-07-28:
    server/discover). Eager servers are waited for, together, no longer than each may take to start."""

    def __init__(self, scope: ClientScope) -> None:
        self._scope = scope
        self.declares_logging = True
        """Whether the client was told that it may set the level of log messages."""

    async def reply(self, request: Request) -> None:
        """Say it."""
        scope = self._scope
        await self._start(request)
        known = [upstream.capabilities for upstream in scope.upstreams.values()]
        capabilities = lifecycle.capabilities(request.caller.modern, known, scope.extension_ids)
        self.declares_logging = "logging" in capabilities
        result: dict[str, Json] = {"capabilities": capabilities}
        if request.caller.modern:
            result["supportedVersions"] = list(eras.MODERN_VERSIONS)
        else:
            name, version = scope.identity
            result["protocolVersion"] = request.caller.version
            result["serverInfo"] = {"name": name, "version": version}
        result = scope.result_for(request.caller, request.method, result)
        instructions = self._instructions()
        try:
            answer = scope.inspector.seal_now({**result, **instructions})[0]
        except InspectionError as problem:
            scope.report("", f"the instructions of the servers were left out: {problem}")
            answer = scope.inspector.ours(result)
        scope.client.reply(request.id, answer)

    async def _start(self, request: Request) -> None:
        scope, started = self._scope, self._scope.recorder.seconds()
        invocations = [
            scope.recorder.invocation(request.method, server, params={}, caller=request.caller)
            for server in scope.eager
        ]
        for invocation in invocations:
            await scope.audit.write(scope.recorder.decided(pdp.permit_protocol(invocation)))
        waits = [scope.upstreams[server].ready() for server in scope.eager]
        for invocation, wait in zip(invocations, waits, strict=True):
            status = "ok"
            try:
                await wait
            except McpGuardError as problem:
                status = "unavailable"
                scope.report(invocation.server, str(problem))
            await scope.audit.write(scope.recorder.outcome(invocation, status, started))

    def _instructions(self) -> dict[str, Json]:
        said = {name: one.instructions for name, one in self._scope.upstreams.items() if one.instructions}
        if not said:
            return {}
        if len(self._scope.upstreams) == 1:
            return {"instructions": next(iter(said.values()))}
        return {"instructions": "\n\n".join(f"# {name}\n\n{text}" for name, text in said.items())}
