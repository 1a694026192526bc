"""Holds back the tools and prompts whose definitions are not those that were accepted, and the instructions
of servers alike.

Law of this file: what cannot be compared is not used, unless the server's entry says that changes are only
reported. What a person accepts counts within seconds, without a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256

from msgspec import structs

from mcpguard.core.errors import SessionError, UpstreamError
from mcpguard.core.model import Caller, Json, Listed
from mcpguard.core.policy.pins import INSTRUCTIONS, Standing, in_evidence
from mcpguard.gateway.flight import Flight
from mcpguard.gateway.scope import ClientScope
from mcpguard.protocol.catalogue import Catalogue, Kind

MOST_NOTED = 20
"""Changed definitions of one list that are noted one by one."""
MOST_NAMED = 5
"""Those of one list that the operator is told by name."""
LOOK_SECONDS = 2.0
"""How often it is looked whether a person has accepted what is held: as often, times the number of turns
that takes, so that a list which is long and held costs no more than a short one."""
_AT_ONCE = 100
"""Definitions that are compared in one turn, so that others are not held up."""
_REST_SECONDS = 0.002
"""Between two such turns: a message of another server takes several turns."""
_CHANGED = "the definition of the {} {} has changed", "the definitions of {} {}s have changed: {}"
_NEW = "the {} {} is new", "{} {}s are new: {}"
_INSTRUCTIONS = "its instructions are not those that were accepted"
_FULL = (
    "too many definitions of it are remembered, so what is new is held back ({} of its {}s): "
    "`mcpguard pins forget {}` has the next list count as the first"
)
_HELD = "; held back until a person accepts that: `mcpguard pins`"


class Pinning:
    """What one client's upstreams list, against what was accepted."""

    def __init__(self, scope: ClientScope, catalogue: Catalogue) -> None:
        self._scope = scope
        self._catalogue = catalogue
        self._looks: dict[tuple[str, str], Callable[[], None]] = {}
        """What ends the next look at a list with entries that are held."""
        self._instructions: dict[str, tuple[str, str]] = {}
        """By server, its place and the digest of those that were accepted."""
        self.held: dict[tuple[str, str], int] = {}
        """By server and kind, how many are held."""
        self.released: Callable[[str, Kind, Caller], None] = lambda *_: None
        """Hears of a list some of which was held and is accepted now."""

    def holds(self, server: str) -> bool:
        """Whether another definition of a tool or prompt of `server` would be held back."""
        return self._scope.store is not None and self._scope.pinning(server)[1] != "report"

    async def standings(self, server: str, kind: Kind, listed: Sequence[Listed]) -> Mapping[str, Standing]:
        """Those of these tools or prompts that are held, or have changed. Raises UpstreamError where that
        cannot be known."""
        if kind.id_key != "name":
            return {}
        accepted = {one.name: one.digest for one in self._catalogue.entries(server, kind) if not one.held}
        open_ = [one for one in listed if accepted.get(one.name) != one.digest]
        try:
            return await self._compared(server, f"{kind.name}s", open_)
        except UpstreamError as problem:
            raise UpstreamError(f"upstream '{server}' is not used: {problem}") from None

    async def _compared(self, server: str, what: str, listed: Sequence[Listed]) -> Mapping[str, Standing]:
        scope = self._scope
        if scope.store is None:
            return {}
        place, hold = scope.pinning(server)
        found: dict[str, Standing] = {}
        try:
            for at in range(0, len(listed), _AT_ONCE):
                if at:
                    await scope.pause(_REST_SECONDS)
                found |= await scope.store.pin(place, listed[at : at + _AT_ONCE], hold)
            return found
        except SessionError as problem:
            said = f"its {what} cannot be compared with those that were accepted: {problem}"
            if hold == "report":
                scope.report(server, said)
                return {}
        raise UpstreamError(said)

    async def passes(self, server: str, sent: str, inspected: str) -> bool:
        """Whether the client may read the instructions of a server, as they were `sent` and `inspected`. Else
        it is reported why not."""
        digest = sha256(sent.encode("utf-8", "surrogatepass")).hexdigest()
        place, _ = self._scope.pinning(server)
        if self._instructions.get(server) == (place, digest):
            return True
        shown: dict[str, Json] = {"instructions": inspected}
        one = Listed(server, INSTRUCTIONS, INSTRUCTIONS, shown, {}, digest, "server")
        try:
            found = await self._compared(server, INSTRUCTIONS, [one])
        except UpstreamError as problem:
            self._scope.report(server, f"its instructions were left out: {problem}")
            return False
        self._note(server, "server", {one.name: one for one in [one] if found}, found)
        if any(standing.held for standing in found.values()):
            return False
        self._instructions[server] = place, digest
        return True

    async def look(self, server: str, kind: Kind, caller: Caller, only: str = "") -> None:
        """Look whether anything that is held of a list, or `only` the one of that name, is accepted by now;
        what cannot be known is not."""
        entries = list(self._catalogue.entries(server, kind))
        asked = [one for one in entries if one.held and only in ("", one.name)]
        try:
            found = await self.standings(server, kind, asked)
        except UpstreamError:
            return
        passing = {one.name for one in asked} - {name for name, one in found.items() if one.held}
        now = [structs.replace(one, held=False) if one.name in passing else one for one in entries]
        if now != entries and list(self._catalogue.entries(server, kind)) == entries:
            self._catalogue.replace(server, kind, now)
            self.released(server, kind, caller)

    def look_later(self, server: str, kind: Kind, caller: Caller) -> None:
        """Look, and look again, as long as anything of this list is held."""
        if (stop := self._looks.pop((server, kind.name), None)) is not None:
            stop()
        held = sum(one.held for one in self._catalogue.entries(server, kind))
        self.held[server, kind.name] = held
        if held:
            again = partial(self._begin_look, server, kind, caller)
            seconds = LOOK_SECONDS * -(-held // _AT_ONCE)
            self._looks[server, kind.name] = self._scope.clock.later(seconds, again)

    def _begin_look(self, server: str, kind: Kind, caller: Caller) -> None:
        Flight(self._looked(server, kind, caller))

    async def _looked(self, server: str, kind: Kind, caller: Caller) -> None:
        await self.look(server, kind, caller)
        self.look_later(server, kind, caller)

    def close(self) -> None:
        """Look no more: the client is gone."""
        while self._looks:
            self._looks.popitem()[1]()

    def note(self, server: str, kind: Kind, found: Mapping[str, Standing]) -> None:
        """Leave evidence of what has another definition than ever before, and say what is held: `found` are
        the standings of what is listed now."""
        entries = self._catalogue.entries(server, kind)
        self._note(server, kind.name, {one.name: one for one in entries if one.name in found}, found)

    def _note(
        self, server: str, kind: str, seen: Mapping[str, Listed], found: Mapping[str, Standing]
    ) -> None:
        scope = self._scope
        changed = [name for name in seen if found[name].before]
        for name in changed[:MOST_NOTED]:
            said = f"{kind} {in_evidence(name)}: sha256 {found[name].before}, now {seen[name].digest}"
            scope.audit.write(scope.recorder.noticed("pin-changed", server, said))
        if (more := len(changed) - MOST_NOTED) > 0:
            scope.audit.write(scope.recorder.noticed("pin-changed", server, f"{more} more {kind}s"))
        new = [name for name in seen if found[name].is_new and not found[name].before]
        full = sum(found[name].is_full and found[name].held for name in seen)
        for names, one, several in ((changed, *_CHANGED), (new, *_NEW)):
            if names:
                said = (_INSTRUCTIONS if kind == "server" else one).format(kind, names[0])
                if len(names) > 1:
                    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
                    said = several.format(len(names), kind, shown)
                scope.report(server, said + (_HELD if found[names[0]].held else ""))
        if full:
            scope.report(server, _FULL.format(full, kind, server))


def as_they_stand(listed: Iterable[Listed], found: Mapping[str, Standing]) -> list[Listed]:
    """These entries, each as it stands: `found` are those that are held or have changed."""
    held = {name for name, one in found.items() if one.held}
    return [
        one if one.held is (one.name in held) else structs.replace(one, held=not one.held) for one in listed
    ]
