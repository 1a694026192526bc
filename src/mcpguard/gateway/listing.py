"""Keeps the catalogue as fresh as the upstreams' own lists, and answers a client's lists from it.

Law of this file: no server holds up what the others list (law 8). Who has not answered within the patience of
the configuration is left out of an answer, with evidence; its list is still fetched, and the client is told
when it is there.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256

from msgspec import Struct

from mcpguard.core.errors import McpGuardError, MessageError, UpstreamError
from mcpguard.core.model import Caller, Detection, Invocation, Json, Listed, Permit, Redacted
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.gateway.flight import Cancelled, Flight, Wait
from mcpguard.gateway.inspection import Sealed
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import jsonrpc, refusals
from mcpguard.protocol.catalogue import KINDS, Catalogue, Kind

MAX_ENTRIES = 10_000
MAX_TEMPLATES = 256
"""Each may be tried with a URI, so they are fewer."""
MAX_PAGES = 1_000
MOST_VISIBLE = 20_000
"""Of so many entries it is remembered whether a client may see them."""
ASKED = "A person is asked to approve each call."
"""Ends the description of a tool that nothing but approvals let through."""
MAX_ERROR = 300
"""Characters that are shown of the error with which an upstream answers a list."""


class _Fetched(Struct, frozen=True):
    """A list of an upstream that is in the catalogue: the sha256 of it as it was sent, the redactor's `turns`
    before it was inspected, and what the record of the fetch says of it."""

    sent: str
    turn: int
    digest: str
    findings: tuple[Detection, ...]


class _Answered(Struct, frozen=True):
    """A list as a client got it: what is in it, each with whether a person is asked about every call and with
    its name, and the redactor's `turns` before it was inspected."""

    shown: list[tuple[Listed, bool, str]]
    freshness: int
    turn: int
    sealed: Sealed


class _Shown(Struct, frozen=True):
    """How policies let a client see an entry: whether at all, and whether a person is asked of each call."""

    visible: bool
    asked: bool = False


class _Running(Struct, frozen=True):
    """A fetch that is under way, and when it began, in seconds of the clock."""

    wait: Wait[None]
    began: float


class _Refreshed(Struct, frozen=True):
    """What came of a refresh: a sentence for each server that is not available, and those left out."""

    problems: list[str]
    late: list[str]


_BY_METHOD = {kind.method: kind for kind in KINDS.values()}
_Key = tuple[str, str]


class Listing:
    """Fetches lists from upstreams, all pages, and puts them, inspected, in the catalogue."""

    def __init__(self, scope: ClientScope) -> None:
        self.catalogue = Catalogue(scope.servers, scope.prefix)
        self._scope = scope
        self.changed: Callable[[str, Kind, Caller], None] = lambda *_: None
        """Hears of each list that is another one than the client was given."""
        self._running: dict[_Key, _Running] = {}
        self._left_out: set[_Key] = set()
        """The client is told when these are listed."""
        self._ttl: dict[_Key, int] = {}
        self._under: PolicySet | None = None
        self._fetched: dict[_Key, _Fetched] = {}
        self._answered: dict[tuple[str, bool], _Answered] = {}
        self._shown: dict[int, tuple[Listed, _Shown]] = {}
        """By the identity of an entry, which is held so that it stays its own, under `_under`."""

    # --- what a client asks for ------------------------------------------------------------------

    async def serve(self, request: Request) -> None:
        """Answer a list of the client: one page, filtered by policy."""
        scope, kind = self._scope, _BY_METHOD[request.method]
        if request.params.get("cursor") is not None:
            raise MessageError(jsonrpc.INVALID_PARAMS, "no such cursor: the list has one page")
        invocation = scope.recorder.invocation(request.method, params={}, caller=request.caller)
        permit = pdp.permit_protocol(invocation)
        started = scope.recorder.seconds()
        await scope.audit.write(scope.recorder.decided(permit))
        try:
            done = await self._refresh_all(kind, request.caller)
        except Cancelled as why:
            await scope.audit.write(scope.recorder.outcome(invocation, str(why), started))
            raise
        if len(done.problems) == len(scope.upstreams):
            said = scope.inspector.text("; ".join(done.problems))
            await scope.audit.write(scope.recorder.outcome(invocation, "unavailable", started))
            scope.refuse(request.id, refusals.unavailable(said, invocation.id))
            return
        known = {server: self.catalogue.digests(server, [kind]) for server in done.late}
        # A list with something missing is never kept (server/utilities/caching).
        freshness = 0 if done.problems or done.late else self._freshness(kind)
        answer, digest = await self._answer(kind, request.caller, freshness)
        if done.late:
            said = f"{invocation.method} {invocation.id}: {', '.join(done.late)}"
            scope.audit.write(scope.recorder.noticed("list-incomplete", detail=said))
        await scope.audit.write(scope.recorder.outcome(invocation, "ok", started, digest, answer.findings))
        scope.client.reply(request.id, answer)
        for server, digests in known.items():
            Flight(self._follow(server, kind, request.caller, digests))

    async def _follow(self, server: str, kind: Kind, caller: Caller, before: list[str]) -> None:
        """Wait for a list that was left out, and say so if it is another one than `before`."""
        key = (server, kind.name)
        if key in self._left_out:
            return
        scope, running = self._scope, self._running.get(key)
        if running is not None:
            seconds = f"{scope.list_seconds:g} seconds"
            scope.report(server, f"left out of {kind.method}: not listed within {seconds}; it follows")
            self._left_out.add(key)
            try:
                await running.wait
            except McpGuardError as problem:
                scope.report(server, str(problem))
            self._left_out.remove(key)
        if self.catalogue.digests(server, [kind]) != before:
            self.changed(server, kind, caller)

    async def _answer(self, kind: Kind, caller: Caller, freshness: int) -> Sealed:
        """The list of a kind as this client gets it; inspected once, while nothing changes."""
        scope, turn = self._scope, self._scope.inspector.redactor.turns
        asked: dict[int, bool] = {}

        def visible(entry: Listed) -> bool:
            found = self._of(entry)
            asked[id(entry)] = found.asked
            return found.visible

        entries = list(self.catalogue.offered(kind.name, visible))
        names = self.catalogue.names(entries)
        shown = [(entry, asked[id(entry)], name) for entry, name in zip(entries, names, strict=True)]
        known = self._answered.get((kind.name, caller.modern))
        if known is not None and (known.turn, known.freshness, known.shown) == (turn, freshness, shown):
            return known.sealed
        size = sum(len(entry.exposed) + len(entry.about["description"]) for entry in entries)
        page = {kind.key: [_described(*one) for one in shown], "ttlMs": freshness}
        sealed = await scope.inspector.seal(scope.result_for(caller, kind.method, page), size)
        self._answered[kind.name, caller.modern] = _Answered(shown, freshness, turn, sealed)
        return sealed

    def visible(self, entry: Listed) -> bool:
        """Whether this client may see the entry."""
        return self._of(entry).visible

    def _of(self, entry: Listed) -> _Shown:
        scope, policies = self._scope, self._scope.judge.policies
        if self._under is not policies or len(self._shown) >= MOST_VISIBLE:
            self._under, self._shown = policies, {}
        known = self._shown.get(id(entry))
        if known is not None:
            return known[1]
        invocation = scope.recorder.invocation("", entry.server, entry)
        answer = _shown(policies, invocation)
        if pdp.lasting(policies, invocation):
            self._shown[id(entry)] = entry, answer
        return answer

    def differs(self, server: str, kind: Kind, before: PolicySet) -> bool:
        """Whether the policies `before` would show this client something else of what `server` lists."""
        scope = self._scope
        return any(
            _shown(before, scope.recorder.invocation("", server, entry)) != self._of(entry)
            for entry in self.catalogue.entries(server, kind)
        )

    def _freshness(self, kind: Kind) -> int:
        """ms for which the whole list is fresh: as its least fresh part (server/utilities/caching)."""
        return min(self._ttl.get((server, kind.name), 0) for server in self.catalogue.servers)

    async def locate(self, kind: str, name: str, caller: Caller) -> Listed | None:
        """The entry that a client names, listed first where it is not known yet. Fails with McpGuardError
        where a server that could have it is not available."""
        if kind in ("tool", "prompt"):
            return self.catalogue.find(kind, name) or await self._settled(KINDS[kind], name, caller)
        catalogue, visible = self.catalogue, self.visible
        if kind == "resource" and (found := catalogue.listed_resource(name, visible)) is not None:
            return found  # An unavailable server does not hide what another one lists.
        find = catalogue.resource if kind == "resource" else catalogue.template
        late: dict[str, None] = {}
        for each in (KINDS["resource"], KINDS["template"]):
            done = await self._refresh_all(each, caller, self._unlisted(each))
            if len(done.problems) == len(catalogue.servers):
                raise UpstreamError("; ".join(done.problems))
            late |= dict.fromkeys(done.late)
        found = find(name, visible)
        if late and (found is None or not visible(found)):
            # It may be of a server that was not waited for: nobody else has it.
            for each in (KINDS["resource"], KINDS["template"]):
                left = [server for server in self._unlisted(each) if server in late]
                await self._refresh_all(each, caller, left, patient=True)
            found = find(name, visible)
        return found

    async def _settled(self, kind: Kind, name: str, caller: Caller) -> Listed | None:
        """The tool or prompt of a name that is nobody's yet, once all are listed who could have it."""
        awaited = self.catalogue.awaited(kind.name, name)
        silent = [one for one in awaited if (one, kind.name) not in self._left_out]
        done = await self._refresh_all(kind, caller, awaited, patient=True)
        if done.problems:
            raise UpstreamError("; ".join(done.problems))
        if any(answered == kind.name for answered, _ in self._answered):
            for server in silent:
                self.changed(server, kind, caller)
        return self.catalogue.settle(kind.name, name, self.visible)

    def _unlisted(self, kind: Kind) -> list[str]:
        return [server for server in self.catalogue.servers if not self.catalogue.listed(server, kind.name)]

    # --- what upstreams are asked for ------------------------------------------------------------

    def refresh(self, server: str, kind: Kind, caller: Caller) -> Wait[None]:
        """List `server` now. Fails with McpGuardError; the old entries then stay. One fetch at a time."""
        key = (server, kind.name)
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Running(Wait(), self._scope.clock.seconds())
            Flight(self._fetch(key, kind, caller, running.wait))
        return running.wait

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

    async def _refresh_all(
        self, kind: Kind, caller: Caller, servers: Iterable[str] | None = None, patient: bool = False
    ) -> _Refreshed:
        """List every server (or these), all at once. Who takes longer than the configuration allows for is
        left out, unless this is `patient`; it goes on being listed."""
        asked = list(self._scope.upstreams) if servers is None else servers
        waits = {server: self.refresh(server, kind, caller) for server in asked}
        done = _Refreshed([], [])
        for server, wait in waits.items():
            if not patient:
                await self._some_time(server, wait)
            if not (wait.done or patient):
                done.late.append(server)
                continue
            try:
                await wait
            except McpGuardError as problem:
                done.problems.append(str(problem))
                self._scope.report(server, str(problem))
        return done

    async def _some_time(self, server: str, wait: Wait[None]) -> None:
        """Wait until it is over, or has had its time. That begins with the first fetch from this server that
        is still under way, so that for one which hangs a client waits once and not for each kind."""
        scope = self._scope
        began = [one.began for (name, _kind), one in self._running.items() if name == server]
        left = min(began, default=0.0) + scope.list_seconds - scope.clock.seconds()
        if wait.done or left <= 0:
            return
        over: Wait[None] = Wait()
        wait.then(lambda _: over.set(None))
        stop = scope.clock.later(left, lambda: over.set(None))
        try:
            await over
        finally:
            stop()

    async def _fetch(self, key: _Key, kind: Kind, caller: Caller, wait: Wait[None]) -> None:
        scope, server = self._scope, key[0]
        permit = pdp.permit_protocol(scope.recorder.invocation(kind.method, server, params={}, caller=caller))
        # After a defect nobody waits for ever: this sentence is the answer.
        failure: McpGuardError | None = UpstreamError(f"upstream '{server}' could not be listed")
        try:
            # To list may start the server with its credentials, so there is a record first (law 5).
            await scope.audit.write(scope.recorder.decided(permit))
            sent, clean, fetched = await self._inspected(permit, kind)
            behind = self.catalogue.overtook(server, kind.name)
            if clean is not None:
                self._take(server, kind, sent, clean)
                self._fetched[key] = fetched
            self._contested(server, kind, behind)
            failure = None
        except McpGuardError as problem:
            failure = problem
        finally:
            self.catalogue.give_up(server, kind.name)
            del self._running[key]
            if failure is None:
                wait.set(None)
            else:
                wait.fail(failure)

    def _contested(self, server: str, kind: Kind, behind: list[str]) -> None:
        """Say which URIs `server` does not get, and which those `behind` it have lost to it."""
        for other in (server, *behind):
            for uri, holder in self.catalogue.contested(other, kind.name, self.visible):
                if server in (other, holder):
                    said = f"left out of the list: {uri!r}, which '{holder}' listed first"
                    self._scope.report(other, said)

    def _take(self, server: str, kind: Kind, sent: list[Json], clean: Redacted) -> None:
        self._order(server, kind)
        for sentence in self.catalogue.replace(server, kind, sent, clean.value[kind.key]):
            self._scope.report(server, f"left out of the list: {sentence}")
        if clean.findings:
            said = f"{len(clean.findings)} value(s) removed from its {kind.name} descriptions"
            self._scope.report(server, said)

    def _order(self, server: str, kind: Kind) -> None:
        """Of servers that are listed for the first time together, which one is faster must not decide whose a
        URI is: those that stand before `server` in the configuration come before it, whenever they come."""
        catalogue = self.catalogue
        if kind.id_key == "name" or catalogue.listed(server, kind.name):
            return
        earlier = catalogue.servers[: catalogue.servers.index(server)]
        coming = [other for other in earlier if (other, kind.name) in self._running]
        catalogue.overtake(
            server, kind.name, [other for other in coming if not catalogue.listed(other, kind.name)]
        )

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
                clean, digest = await inspector.seal({kind.key: sent}, size)
                fetched = _Fetched(mark, turn, digest, clean.findings)
        except McpGuardError:
            await scope.audit.write(scope.recorder.outcome(permit.invocation, "unavailable", started))
            raise
        noted = scope.recorder.outcome(permit.invocation, "ok", started, fetched.digest, fetched.findings)
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


def _shown(policies: PolicySet, invocation: Invocation) -> _Shown:
    if not pdp.visible(policies, invocation):
        return _Shown(visible=False)
    target = invocation.target
    is_tool = target is not None and target.kind == "tool"
    return _Shown(visible=True, asked=is_tool and pdp.always_asked(policies, invocation))


def _described(entry: Listed, asked: bool, name: str) -> dict[str, Json]:
    """What a client gets of an entry. Conditions and pins know it as its server lists it."""
    shown = entry.descriptor if name == entry.exposed else {**entry.descriptor, "name": name}
    if not asked:
        return shown
    said = entry.about["description"].rstrip()
    return {**shown, "description": f"{said}\n\n{ASKED}" if said else ASKED}


def _read_page(server: str, kind: Kind, result: Json) -> dict[str, Json]:
    if type(result) is not dict or type(result.get(kind.key)) is not list:
        raise UpstreamError(f"upstream '{server}' did not answer {kind.method} with a list of {kind.key}")
    return result


def _ttl(page: dict[str, Json]) -> int:
    ttl = page.get("ttlMs")
    return ttl if type(ttl) is int and ttl > 0 else 0
