"""Keeps the catalogue as fresh as the upstreams' own lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mcpguard.core import pdp
from mcpguard.core.errors import McpGuardError, UpstreamError
from mcpguard.core.model import Json, Permit, Redacted
from mcpguard.flight import Flight, Wait
from mcpguard.inspection import Inspector
from mcpguard.ports import AuditSink, Upstream
from mcpguard.protocol.catalogue import Catalogue
from mcpguard.recorder import Recorder

MAX_TOOLS = 10_000
MAX_PAGES = 1_000


class Listing:
    """Fetches `tools/list` from an upstream, all pages, and puts the inspected list in the catalogue."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        inspector: Inspector,
        recorder: Recorder,
        audit: AuditSink,
        report: Callable[[str, str], None],
    ) -> None:
        """`report(server, sentence)` tells the operator."""
        self.catalogue = Catalogue(tuple(upstreams))
        self._upstreams = upstreams
        self._inspector = inspector
        self._recorder = recorder
        self._audit = audit
        self._report = report
        self._running: dict[str, Wait[None]] = {}

    def refresh(self, server: str) -> Wait[None]:
        """List `server` now. Fails with McpGuardError; the old entries then stay. One fetch at a time."""
        wait = self._running.get(server)
        if wait is None:
            wait = self._running[server] = Wait()
            Flight(self._fetch(server, wait))
        return wait

    async def refresh_anew(self, server: str) -> None:
        """As `refresh`, and never with the answer to a question that was asked before now."""
        earlier = self._running.get(server)
        if earlier is not None:
            try:
                await earlier
            except McpGuardError:
                pass
        await self.refresh(server)

    async def refresh_all(self) -> list[str]:
        """List every server, all at once; gives a sentence for each that is not available."""
        waits = [self.refresh(server) for server in self._upstreams]
        problems: list[str] = []
        for server, wait in zip(self._upstreams, waits, strict=True):
            try:
                await wait
            except McpGuardError as problem:
                problems.append(str(problem))
                self._report(server, str(problem))
        return problems

    async def _fetch(self, server: str, wait: Wait[None]) -> None:
        permit = pdp.permit_protocol(self._recorder.invocation("tools/list", server, params={}))
        try:
            # To list may start the server with its credentials, so there is a record first (law 5).
            await self._audit.write(self._recorder.decided(permit))
            sent, clean = await self._inspected(permit)
        except McpGuardError as problem:
            del self._running[server]
            wait.fail(problem)
            return
        del self._running[server]
        for sentence in self.catalogue.replace(server, sent, clean.value["tools"]):
            self._report(server, f"left out of the list: {sentence}")
        if clean.findings:
            self._report(server, f"{len(clean.findings)} value(s) removed from its tool descriptions")
        wait.set(None)

    async def _inspected(self, permit: Permit) -> tuple[list[Json], Redacted]:
        started = self._recorder.seconds()
        try:
            sent, size = await self._pages(permit)
            # As deep as it will stand in our own list, so that what passes here passes there.
            clean, digest = await self._inspector.seal({"tools": sent}, size)
        except McpGuardError:
            await self._audit.write(self._recorder.outcome(permit.invocation, "unavailable", started))
            raise
        outcome = self._recorder.outcome(permit.invocation, "ok", started, digest, clean.findings)
        await self._audit.write(outcome)
        return sent, clean

    async def _pages(self, permit: Permit) -> tuple[list[Json], int]:
        server = permit.invocation.server
        tools: list[Json] = []
        size = 0
        for _ in range(MAX_PAGES):
            raw = await self._upstreams[server].request(permit)
            size += raw.size
            result = raw.message.get("result")
            if type(result) is not dict or type(result.get("tools")) is not list:
                raise UpstreamError(f"upstream '{server}' did not answer tools/list with a list of tools")
            tools += result["tools"]
            cursor = result.get("nextCursor")
            if cursor is None:
                return tools, size
            if len(tools) > MAX_TOOLS:
                break
            page = self._recorder.invocation("tools/list", server, params={"cursor": cursor})
            permit = pdp.permit_protocol(page)
        raise UpstreamError(f"upstream '{server}' lists more than {MAX_TOOLS} tools or {MAX_PAGES} pages")
