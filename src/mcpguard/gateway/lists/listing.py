"""Answers a client's list requests, and looks up the names that it uses.

Law of this file: no server delays the lists of the others (law 8). A server that has not answered in time
is left out of an answer, with evidence; its list is still fetched, and the client is notified about it.
"""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct

from mcpguard.core.errors import (
    InspectionError,
    McpGuardError,
    MessageError,
    SessionError,
    UpstreamError,
)
from mcpguard.core.model import Caller, Invocation, Json, Listed
from mcpguard.core.policy import visibility
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pins import held_back
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.inspection.inspector import Sealed
from mcpguard.gateway.lists.fetching import Fetching
from mcpguard.gateway.ports import RequestId
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.catalogue import KINDS, Kind
from mcpguard.protocol.names import SEPARATOR

MOST_VISIBLE = 20_000
"""Of this many entries it is remembered whether a client may see them."""
ASKED = "A person is asked to approve each call."
"""Ends the description of a tool that nothing but approvals let through."""


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


_BY_METHOD = {kind.method: kind for kind in KINDS.values()}
_Key = tuple[str, str]


class Listing:
    """The lists of one client."""

    def __init__(self, scope: ClientScope) -> None:
        self._scope = scope
        self.fetching = Fetching(scope, self.visible)
        self.fetching.pinning.released = self._released
        self.catalogue = self.fetching.catalogue
        self.changed: Callable[[str, Kind, Caller], None] = lambda *_: None
        """Hears of each list that differs from what the client was given."""
        self.failed: Callable[[str, str, Caller, RequestId | None], None] = lambda *_: None
        """Hears why a server is not in a list, and of the request that it was for."""
        self.announced: dict[_Key, Wait[None]] = {}
        """By server and capability: over when a list that may have changed is read again, as its server says
        so or was restarted."""
        self._told: dict[str, str] = {}
        self._left_out: dict[_Key, Wait[None]] = {}
        """The client is told when these are listed, which they are when it is over."""
        self._under: PolicySet | None = None
        self._answered: dict[tuple[str, bool], _Answered] = {}
        self._shown: dict[int, tuple[Listed, _Shown]] = {}
        """By the identity of an entry, which is held so that it stays its own, under `_under`."""

    # --- what a client asks for ------------------------------------------------------------------

    async def serve(self, request: Request) -> None:
        """Answer a list of the client: one page, filtered by policy."""
        scope, kind = self._scope, _BY_METHOD[request.method]
        if request.params.get("cursor") is not None:
            raise MessageError(jsonrpc.INVALID_PARAMS, "no such cursor: the list has one page")
        permit, started = await scope.begin(request)
        async with scope.noting(permit, started):
            done = await self.fetching.refresh_all(kind, request.caller)
        if len(done.problems) == len(scope.servers):
            said = scope.inspector.text("; ".join(done.problems.values()))
            await scope.fail(request, permit, started, "unavailable", said)
            return
        known = {server: self.catalogue.digests(server, [kind]) for server in done.late}
        # A list with something missing is never kept (server/utilities/caching).
        freshness = 0 if done.problems or done.late else self.fetching.freshness(kind)
        try:
            async with scope.noting(permit, started):
                answer, digest = await self._answer(kind, request.caller, freshness)
        except InspectionError as problem:
            await scope.fail(request, permit, started, "withheld", str(problem))
            return
        if missing := [one for one in done.late if not self.catalogue.listed(one, kind.name)]:
            call = permit.invocation.id
            said = f"{request.method} {call}: {', '.join(missing)}"
            scope.audit.write(scope.recorder.noticed("list-incomplete", detail=said, id=call))
        self._tell(done.problems, request)
        await scope.answer(request, permit, started, answer, digest)
        for server, digests in known.items():
            Flight(self._follow(server, kind, request.caller, digests))

    def _tell(self, problems: dict[str, str], request: Request) -> None:
        """Let the client's user see why some servers are missing, once for each reason."""
        for server in self._scope.servers:
            problem = problems.get(server, "")
            # In a pause after a failure it is followed by when the next try is due.
            reason = problem.partition("; next try in ")[0]
            if reason and reason != self._told.get(server):
                self.failed(server, problem, request.caller, request.id)
            self._told[server] = reason

    async def _follow(self, server: str, kind: Kind, caller: Caller, before: list[str]) -> None:
        """Wait for a list that is late, and tell the client if it differs from `before`."""
        key = (server, kind.name)
        scope, running = self._scope, self.fetching.running(server, kind)
        if running is not None:
            if self._left_out.get(key) is running:
                return
            seconds = f"{scope.list_seconds:g} seconds"
            if self.catalogue.listed(server, kind.name):
                said = f"not listed again within {seconds}: {kind.method} shows what it listed before"
            else:
                said = f"left out of {kind.method}: not listed within {seconds}; it follows"
            scope.report(server, said)
            self._left_out[key] = running
            try:
                await running
            except McpGuardError as problem:
                scope.report(server, str(problem))
                if not caller.modern:  # A modern one learns of it with what it asks for next.
                    self.failed(server, str(problem), caller, None)
            if self._left_out.get(key) is not running:
                return  # The server has been replaced in the meantime.
            del self._left_out[key]
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
        page = {kind.key: [self._described(*one) for one in shown], "ttlMs": freshness}
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
        if visibility.lasting(policies, invocation):
            self._shown[id(entry)] = entry, answer
        return answer

    def differs(self, server: str, kind: Kind, before: PolicySet) -> bool:
        """Whether the policies `before` would show this client something else of what `server` lists."""
        scope = self._scope
        return any(
            _shown(before, scope.recorder.invocation("", server, entry)) != self._of(entry)
            for entry in self.catalogue.entries(server, kind)
        )

    def _described(self, entry: Listed, asked: bool, name: str) -> dict[str, Json]:
        """What a client gets of an entry. Conditions and pins know it as its server lists it; of one that is
        held nothing that its server says is shown but its name."""
        if not entry.held:
            return _described(entry, asked, name)
        said = held_back(entry, self._scope.recorder.principal)
        shown = {"name": name, "description": self._scope.inspector.advice(f"Calls are refused: {said}")}
        return {**shown, "inputSchema": {"type": "object"}} if entry.kind == "tool" else shown

    async def locate(self, kind: str, name: str, caller: Caller) -> Listed | None:
        """The entry that a client names, listed first where it is not known yet. Fails with McpGuardError
        where a server that could have it is not available."""
        if kind in ("tool", "prompt"):
            found = self.catalogue.find(kind, name)
            if await self._read_again(KINDS[kind], self._awaited(kind, name, found)):
                found = self.catalogue.find(kind, name)
            return found or await self._settled(KINDS[kind], name, caller)
        catalogue, visible = self.catalogue, self.visible
        if kind == "resource" and (found := catalogue.listed_resource(name, visible)) is not None:
            return found  # An unavailable server does not hide what another one lists.
        find = catalogue.resource if kind == "resource" else catalogue.template
        late: dict[str, None] = {}
        for each in (KINDS["resource"], KINDS["template"]):
            done = await self.fetching.refresh_all(each, caller, self._unlisted(each))
            if len(done.problems) == len(catalogue.servers):
                raise UpstreamError("; ".join(done.problems.values()))
            late |= dict.fromkeys(done.late)
        found = find(name, visible)
        if (found is None or not visible(found)) and await self._read_again(KINDS[kind], catalogue.servers):
            found = find(name, visible)
        if late and (found is None or not visible(found)):
            # It may be of a server that was not waited for: nobody else has it.
            for each in (KINDS["resource"], KINDS["template"]):
                left = [server for server in self._unlisted(each) if server in late]
                await self.fetching.refresh_all(each, caller, left, patient=True)
            found = find(name, visible)
        return found

    async def looked_at(self, entry: Listed, caller: Caller) -> Listed:
        """A tool or prompt that was held, as it stands by now."""
        await self.fetching.pinning.look(entry.server, KINDS[entry.kind], caller, entry.name)
        return self.catalogue.named.get((entry.kind, entry.exposed), entry)

    def _awaited(self, kind: str, name: str, found: Listed | None) -> Iterable[str]:
        """The servers whose changes may decide what this name is. One that is known waits for them only where
        another definition would be held back."""
        if found is None:
            return self.catalogue.possible(kind, name)
        return [found.server] if self.fetching.pinning.holds(found.server) else []

    async def _read_again(self, kind: Kind, servers: Iterable[str]) -> bool:
        """Wait, as long as a list does, until what may have changed at these servers is read; False where
        nothing may."""
        scope, over = self._scope, self._scope.clock.seconds() + self._scope.list_seconds
        keys = [(server, kind.capability) for server in servers]
        waits = [self.announced[key] for key in keys if key in self.announced]
        for wait in waits:
            await scope.within(max(0.0, over - scope.clock.seconds()), wait)
        return bool(waits)

    async def _settled(self, kind: Kind, name: str, caller: Caller) -> Listed | None:
        """The tool or prompt of a name that is nobody's yet, once all who could have it are listed; or those
        that a list would wait for, where one of them has it and no other is known to have had it, or the
        others are known to be out of order."""
        catalogue = self.catalogue
        refresh = partial(self.fetching.refresh_all, kind, caller, reported=False)  # The caller is told.
        awaited = catalogue.awaited(kind.name, name)
        silent = [one for one in awaited if (one, kind.name) not in self._left_out]
        done = await refresh(awaited)
        if not await self._is_of_others(kind, name, [*done.problems, *done.late]):
            hung = {one: why for one in done.late if (why := await self._hung(kind, name, one))}
            late = await refresh([one for one in done.late if one not in hung], patient=True)
            problems = done.problems | late.problems | hung
            if not await self._is_of_others(kind, name, [*problems]):
                raise UpstreamError(self._may_be_of(kind, name, problems))
        if any(answered == kind.name for answered, _ in self._answered):
            for server in silent:
                if catalogue.listed(server, kind.name):
                    self.changed(server, kind, caller)
        return catalogue.settle(kind.name, name, self.visible)

    async def _hung(self, kind: Kind, name: str, server: str) -> str:
        """Why no name is waited for that `server` might have, "" where it is: the name is for that server, or
        it has not failed yet, and a first start takes long."""
        problem = self.fetching.problem(server, kind)
        if not problem or name.startswith(f"{server}{SEPARATOR}") or await self._had(kind, name, [server]):
            return ""
        return f"{problem}; it is being tried again"

    async def _is_of_others(self, kind: Kind, name: str, missing: list[str]) -> bool:
        """Whether a name cannot be meant for one of the servers that are `missing` in a list."""
        if not missing:
            return True
        others = bool(self.catalogue.alike(kind.name, name, self.visible))
        return others and not await self._had(kind, name, missing)

    async def _had(self, kind: Kind, name: str, servers: list[str]) -> bool:
        """Whether one of these servers has listed the name before, as far as the store can say."""
        store = self._scope.store
        try:
            return store is not None and any(
                [await store.has_listed(one, kind.name, name) for one in servers]
            )
        except SessionError:
            return True

    def _may_be_of(self, kind: Kind, name: str, problems: dict[str, str]) -> str:
        said = "; ".join(problems.values())
        every = len(problems) == len(self.catalogue.servers)
        if every or name.startswith(tuple(f"{server}{SEPARATOR}" for server in problems)):
            return said
        others = " or ".join(self.catalogue.alike(kind.name, name, self.visible))
        if not others:
            return f"none of the servers that answered has this {kind.name}, and {said}"
        advice = f"list them again, or use {others}"
        return f"this may be a {kind.name} of a server that is missing: {advice} ({said})"

    def _unlisted(self, kind: Kind) -> list[str]:
        return [server for server in self.catalogue.servers if not self.catalogue.listed(server, kind.name)]

    def _released(self, server: str, kind: Kind, caller: Caller) -> None:
        self.changed(server, kind, caller)

    def reconfigured(self, kept: frozenset[str]) -> None:
        self.fetching.reconfigured(kept)
        self._left_out = {key: wait for key, wait in self._left_out.items() if key[0] in kept}
        self._answered.clear()
        self._shown.clear()


def _shown(policies: PolicySet, invocation: Invocation) -> _Shown:
    if not visibility.visible(policies, invocation):
        return _Shown(visible=False)
    target = invocation.target
    is_tool = target is not None and target.kind == "tool"
    return _Shown(visible=True, asked=is_tool and visibility.always_asked(policies, invocation))


def _described(entry: Listed, asked: bool, name: str) -> dict[str, Json]:
    shown = entry.descriptor if name == entry.exposed else {**entry.descriptor, "name": name}
    if not asked:
        return shown
    said = entry.about["description"].rstrip()
    return {**shown, "description": f"{said}\n\n{ASKED}" if said else ASKED}
