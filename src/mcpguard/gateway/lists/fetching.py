"""Lists upstreams: all pages, inspected, into the catalogue.

Law of this file: one fetch of a list at a time, recorded before a server is started for it (law 5). If a
list cannot be fetched, or not be compared with what was accepted, the old entries stay, and no server waits
for another (law 8). A client that asks more often than the evidence has room for gets the previous list.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from msgspec import Struct

from mcpguard.core.errors import McpGuardError, UpstreamError
from mcpguard.core.model import Caller, Detection, Json, Listed, Permit, Redacted
from mcpguard.core.policy import pdp
from mcpguard.core.policy.pins import Standing
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.lists.pinning import Pinning, as_they_stand
from mcpguard.gateway.scope import ClientScope
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.catalogue import KINDS, Catalogue, Kind

MAX_ENTRIES = 10_000
MAX_TEMPLATES = 256
"""Each may be tried with a URI, so they are fewer."""
MAX_PAGES = 1_000
MAX_ERROR = 300
"""Characters that are shown of the error with which an upstream answers a list."""


class _Fetched(Struct, frozen=True):
    """A list of an upstream that is in the catalogue: the sha256 of it as it was sent, the redactor's `turns`
    before it was inspected, and what the record of the fetch says of it."""

    sent: str
    turn: int
    digest: str
    findings: tuple[Detection, ...]
    neutralised: tuple[tuple[str, int], ...]


class _Running(Struct, frozen=True):
    """A fetch that is under way, and when it began, in seconds of the clock."""

    wait: Wait[None]
    began: float


class Refreshed(Struct, frozen=True):
    """The outcome of a refresh: a sentence for each server that is not available, and those left out."""

    problems: dict[str, str]
    late: list[str]


_Key = tuple[str, str]


class Fetching:
    """The lists of one client's upstreams, as last fetched."""

    def __init__(self, scope: ClientScope, visible: Callable[[Listed], bool]) -> None:
        """`visible` says what the client may see."""
        self.catalogue = Catalogue(scope.servers, scope.prefix)
        self._scope = scope
        self._visible = visible
        self._running: dict[_Key, _Running] = {}
        self._ttl: dict[_Key, int] = {}
        self._fetched: dict[_Key, _Fetched] = {}
        self._last: dict[_Key, str] = {}
        """Why the last fetch of a list failed, "" where it did not."""
        self.pinning = Pinning(scope, self.catalogue)

    def running(self, server: str, kind: Kind) -> Wait[None] | None:
        """Over when the fetch of this list is that is under way; None for none."""
        running = self._running.get((server, kind.name))
        return None if running is None else running.wait

    def problem(self, server: str, kind: Kind) -> str:
        """Why the last fetch of this list that has ended failed; "" where it did not, or none has ended."""
        return self._last.get((server, kind.name), "")

    def freshness(self, kind: Kind) -> int:
        """ms for which the whole list is fresh: as its least fresh part (server/utilities/caching)."""
        return min(self._ttl.get((server, kind.name), 0) for server in self.catalogue.servers)

    def reconfigured(self, kept: frozenset[str]) -> None:
        """The scope has changed; the servers in `kept` are unchanged, and so are their lists."""
        self.catalogue.reconfigure(self._scope.servers, kept)
        for known in (self._running, self._fetched, self._ttl, self._last):
            for key in [one for one in known if one[0] not in kept]:
                del known[key]

    def refresh(self, server: str, kind: Kind, caller: Caller) -> Wait[None]:
        """List `server` now. Fails with McpGuardError; the old entries then stay. One fetch at a time."""
        key = (server, kind.name)
        running = self._running.get(key)
        if server not in self._scope.servers:
            running = _Running(Wait(), 0.0)
            running.wait.fail(UpstreamError(f"upstream '{server}' is not in the configuration any more"))
        elif running is None:
            running = self._running[key] = _Running(Wait(), self._scope.clock.seconds())
            Flight(self._fetch(key, kind, caller, running.wait))
        return running.wait

    def asked(self, server: str, kind: Kind, caller: Caller) -> Wait[None]:
        """As `refresh`, for a client; if there is no room on record, the outcome of the last fetch."""
        key = (server, kind.name)
        last = self._last.get(key)
        if last is None or key in self._running or self._scope.recorder.asks(server):
            return self.refresh(server, kind, caller)
        known: Wait[None] = Wait()
        if last:
            known.fail(UpstreamError(last))
        else:
            known.set(None)
        return known

    async def refresh_anew(self, server: str, kind: Kind, caller: Caller) -> None:
        """As `refresh`, and never with the answer to a question that was asked before now."""
        earlier = self._running.get((server, kind.name))
        if earlier is not None:
            try:
                await earlier.wait
            except McpGuardError:
                pass
        await self.refresh(server, kind, caller)

    async def has_changed(self, server: str, capability: str, caller: Caller) -> bool:
        """List what `server` had listed of this capability, and say whether it is another list now. What it
        cannot list is reported, and the old entries stay."""
        known = [
            kind
            for kind in KINDS.values()
            if kind.capability == capability and self.catalogue.listed(server, kind.name)
        ]
        before = self.catalogue.digests(server, known)
        for kind in known:
            try:
                await self.refresh(server, kind, caller)
            except McpGuardError as problem:
                self._scope.report(server, str(problem))
        return self.catalogue.digests(server, known) != before

    async def refresh_all(
        self,
        kind: Kind,
        caller: Caller,
        servers: Iterable[str] | None = None,
        patient: bool = False,
        reported: bool = True,
    ) -> Refreshed:
        """List every server (or these), all at once. Who takes longer than the configuration allows for is
        left out, unless this is `patient`; it is still listed. Problems are `reported` to the operator."""
        asked = self._scope.servers if servers is None else servers
        waits = {server: self.asked(server, kind, caller) for server in asked}
        done = Refreshed({}, [])
        if not patient:
            for server, wait in waits.items():
                await self._some_time(server, wait)
        for server, wait in waits.items():
            if not (wait.done or patient):
                done.late.append(server)
                continue
            try:
                await wait
            except McpGuardError as problem:
                done.problems[server] = str(problem)
                if reported:
                    self._scope.report(server, str(problem))
        return done

    def _left(self, servers: Iterable[str], seconds: float) -> float:
        """What is left of these seconds since a fetch from one of `servers`, still under way, began."""
        began = [one.began for (name, _kind), one in self._running.items() if name in servers]
        return max(0.0, min(began, default=0.0) + seconds - self._scope.clock.seconds())

    async def _some_time(self, server: str, wait: Wait[None]) -> None:
        """Wait until it is over, or `list_seconds` after the first fetch from this server that is still under
        way began: for a server that hangs, a client waits once and not for each kind."""
        if left := self._left([server], self._scope.list_seconds):
            await self._scope.within(left, wait)

    async def _fetch(self, key: _Key, kind: Kind, caller: Caller, wait: Wait[None]) -> None:
        scope, server, mine = self._scope, key[0], self._running[key]
        permit = pdp.permit_protocol(scope.recorder.invocation(kind.method, server, params={}, caller=caller))
        # After a defect nobody waits for ever: this sentence is the answer.
        failure: McpGuardError | None = UpstreamError(f"upstream '{server}' could not be listed")
        try:
            # To list may start the server with its credentials, so there is a record first (law 5).
            await scope.audit.write(scope.recorder.decided(permit))
            sent, clean, fetched = await self._inspected(permit, kind)
            listed = None if clean is None else self._read(server, kind, sent, clean)
            found = {} if listed is None else await self.pinning.standings(server, kind, listed)
            if self._running.get(key) is not mine:
                raise UpstreamError(f"upstream '{server}' was changed in the configuration, or removed")
            behind = self.catalogue.overtook(server, kind.name)
            if listed is not None:
                self._take(server, kind, listed, found)
                self._fetched[key] = fetched
            self.pinning.look_later(server, kind, caller)
            self._contested(server, kind, behind)
            failure = None
        except McpGuardError as problem:
            failure = problem
        finally:
            if self._running.get(key) is mine:
                self.catalogue.give_up(server, kind.name)
                del self._running[key]
                self._last[key] = "" if failure is None else str(failure)
            if failure is None:
                wait.set(None)
            else:
                wait.fail(failure)

    def _contested(self, server: str, kind: Kind, behind: list[str]) -> None:
        """Say which URIs `server` does not get, and which those `behind` it have lost to it."""
        for other in (server, *behind):
            for uri, holder in self.catalogue.contested(other, kind.name, self._visible):
                if server in (other, holder):
                    said = f"left out of the list: {uri!r}, which '{holder}' listed first"
                    self._scope.report(other, said)

    def _read(self, server: str, kind: Kind, sent: list[Json], clean: Redacted) -> list[Listed]:
        listed = clean.value[kind.key]
        if clean.changed and kind.name == "resource":
            listed = self._scope.handles.aliased(server, sent, listed)
        entries, refused = self.catalogue.read(server, kind, sent, listed)
        for sentence in refused:
            self._scope.report(server, f"left out of the list: {sentence}")
        self._scope.report_cleaned(server, clean, f"{kind.name} descriptions")
        return entries

    def _take(self, server: str, kind: Kind, listed: Iterable[Listed], found: Mapping[str, Standing]) -> None:
        self._order(server, kind)
        self.catalogue.replace(server, kind, as_they_stand(listed, found))
        self.pinning.note(server, kind, found)

    def _order(self, server: str, kind: Kind) -> None:
        """Of servers that are listed for the first time together, which one is faster must not decide whose a
        URI is: those that stand before `server` in the configuration come before it, whenever they come."""
        catalogue = self.catalogue
        if kind.id_key == "name" or catalogue.listed(server, kind.name):
            return
        earlier = catalogue.servers[: catalogue.servers.index(server)]
        coming = [other for other in earlier if (other, kind.name) in self._running]
        unlisted = [other for other in coming if not catalogue.listed(other, kind.name)]
        catalogue.overtake(server, kind.name, unlisted)

    async def _inspected(self, permit: Permit, kind: Kind) -> tuple[list[Json], Redacted | None, _Fetched]:
        """The list as it was sent, and inspected; None where it is in the catalogue already."""
        scope, inspector = self._scope, self._scope.inspector
        started = scope.recorder.seconds()
        clean: Redacted | None = None
        try:
            sent, size = await self._pages(permit, kind)
            turn = inspector.redactor.turns
            mark = await inspector.apart(lambda: sha256(jsonrpc.encode(sent)).hexdigest(), size)
            fetched = self._fetched.get((permit.invocation.server, kind.name))
            if fetched is None or (fetched.sent, fetched.turn) != (mark, turn):
                # As deep as it will stand in our own list, so that what passes here passes there.
                clean, digest = await inspector.seal({kind.key: sent}, size, server=permit.invocation.server)
                fetched = _Fetched(mark, turn, digest, clean.findings, clean.neutralised)
        except McpGuardError as problem:
            noted = scope.recorder.outcome(permit.invocation, "unavailable", started, error=str(problem))
            await scope.audit.write(noted)
            raise
        noted = scope.recorder.outcome(
            permit.invocation,
            "ok",
            started,
            fetched.digest,
            fetched.findings,
            neutralised=fetched.neutralised,
            received=size,
        )
        await scope.audit.write(noted)
        return sent, clean, fetched

    async def _pages(self, permit: Permit, kind: Kind) -> tuple[list[Json], int]:
        server = permit.invocation.server
        upstream = self._scope.upstreams[server]
        await upstream.ready()
        entries: list[Json] = []
        size, freshness = 0, []
        most = MAX_TEMPLATES if kind.name == "template" else MAX_ENTRIES
        for _ in range(MAX_PAGES):
            declared = kind.capability in (upstream.capabilities or {})
            if not declared and kind.name != "tool":
                return [], 0  # Not asked: some servers answer what they do not know with silence.
            raw = await upstream.request(permit)
            size += raw.size
            if raw.status == "error" and (kind.name == "template" or not declared):
                return [], 0  # Many servers have resources and no templates, and say it so.
            if raw.status == "error":
                raise UpstreamError(self._error(server, kind, raw.message["error"]))
            page = _read_page(server, kind, raw.message.get("result"))
            entries += page[kind.key]
            freshness.append(_ttl(page))
            self._ttl[server, kind.name] = min(freshness)
            if len(entries) > most:
                break
            cursor = page.get("nextCursor")
            if cursor is None:
                return entries, size
            permit = pdp.again(permit, {"cursor": cursor})
        raise UpstreamError(f"upstream '{server}' lists more than {most} {kind.name}s or {MAX_PAGES} pages")

    def _error(self, server: str, kind: Kind, error: dict[str, Json]) -> str:
        # Inspected before it is cut: half a secret is not found.
        said = self._scope.inspector.text(error["message"])[:MAX_ERROR]
        shown = "".join(mark if mark.isprintable() else " " for mark in said)
        return f"upstream '{server}' answered {kind.method} with error {error['code']}: {shown}"


def _read_page(server: str, kind: Kind, result: Json) -> dict[str, Json]:
    if type(result) is not dict or type(result.get(kind.key)) is not list:
        raise UpstreamError(f"upstream '{server}' did not answer {kind.method} with a list of {kind.key}")
    return result


def _ttl(page: dict[str, Json]) -> int:
    ttl = page.get("ttlMs")
    return ttl if type(ttl) is int and ttl > 0 else 0
