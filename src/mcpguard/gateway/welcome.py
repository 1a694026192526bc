"""What a client is told first: what may be asked here, and what the servers say of how to use them.

Law of this file: nothing is started for it but the servers that the configuration calls eager, each with a
record before and after (law 5), and what they say is inspected like everything else (law 6).
"""

from __future__ import annotations

from mcpguard.core.errors import InspectionError, McpGuardError
from mcpguard.core.model import Json
from mcpguard.core.policy import pdp
from mcpguard.gateway.request import Request
from mcpguard.gateway.site import Site
from mcpguard.protocol import eras, lifecycle


class Welcome:
    """Answers `initialize` and `server/discover` (specification 2025-11-25: basic/lifecycle; 2026-07-28:
    server/discover). Eager servers are waited for, together, no longer than each may take to start."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.declares_logging = True
        """Whether the client was told that it may set the level of log messages."""

    async def reply(self, request: Request) -> None:
        """Say it."""
        site = self._site
        await self._start(request)
        known = [upstream.capabilities for upstream in site.upstreams.values()]
        capabilities = lifecycle.capabilities(request.caller.modern, known, site.extension_ids)
        self.declares_logging = "logging" in capabilities
        result: dict[str, Json] = {"capabilities": capabilities}
        if request.caller.modern:
            result["supportedVersions"] = list(eras.MODERN_VERSIONS)
        else:
            name, version = site.identity
            result["protocolVersion"] = request.caller.version
            result["serverInfo"] = {"name": name, "version": version}
        result = site.result_for(request.caller, request.method, result)
        instructions = self._instructions()
        try:
            answer = site.inspector.seal_now({**result, **instructions})[0]
        except InspectionError as problem:
            site.report("", f"the instructions of the servers were left out: {problem}")
            answer = site.inspector.ours(result)
        site.client.reply(request.id, answer)

    async def _start(self, request: Request) -> None:
        site, started = self._site, self._site.recorder.seconds()
        invocations = [
            site.recorder.invocation(request.method, server, params={}, caller=request.caller)
            for server in site.eager
        ]
        for invocation in invocations:
            await site.audit.write(site.recorder.decided(pdp.permit_protocol(invocation)))
        waits = [site.upstreams[server].ready() for server in site.eager]
        for invocation, wait in zip(invocations, waits, strict=True):
            status = "ok"
            try:
                await wait
            except McpGuardError as problem:
                status = "unavailable"
                site.report(invocation.server, str(problem))
            await site.audit.write(site.recorder.outcome(invocation, status, started))

    def _instructions(self) -> dict[str, Json]:
        said = {name: one.instructions for name, one in self._site.upstreams.items() if one.instructions}
        if not said:
            return {}
        if len(self._site.upstreams) == 1:
            return {"instructions": next(iter(said.values()))}
        return {"instructions": "\n\n".join(f"# {name}\n\n{text}" for name, text in said.items())}
