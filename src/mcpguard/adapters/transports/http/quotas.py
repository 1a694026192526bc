"""How much one principal may have open at a front: connections, streams, sessions and requests (law 8).

Law of this file: whoever uses up a quota is refused alone, and the requests of one principal begin in turns,
so that those of others come between. A quota is that of a subject at its issuer, so
other claims, groups or agents of the same subject have no quota of their own. Without tokens all clients are
the same principal, and only what all of them may have counts.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from msgspec import Struct, field

from mcpguard.config.terms import HttpTerms
from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Principal
from mcpguard.gateway.ports import RequestId

MOST_CONNECTIONS = 1000
"""How many connections are served at once, and at most half of the files that may be open: the servers of
clients need some, and so does evidence."""
QUIET_SECONDS = 60.0
"""How long the operator is not told again of the same principal or limit, and how long the warning stays."""

AT_ONCE = 8
"""How many requests of one principal begin in one turn of the loop: what each costs, all others wait for."""

UNBOUNDED = 1 << 62
"""Where all clients are one principal, only what all of them may have counts."""

KINDS = {
    "connections": ("wait until one of them is answered", 5),
    "streams": ("close one of them", 60),
    "sessions": ("end one of them, or wait until one has been quiet for a while", 60),
    "requests": ("wait for an answer, or cancel one of them", 1),
}
"""What has a quota, what its client can do, and after how many seconds it may come again."""


class OverQuotaError(McpGuardError):
    """A request of a principal that has as many of some `kind` as it may have. The sentence is a fixed text
    of ours; `request_id` is the id to answer, or None."""

    def __init__(self, kind: str, most: int, request_id: RequestId | None) -> None:
        advice, self.seconds = KINDS[kind]
        said = f"as many {kind} of this principal are open as it may have"
        super().__init__(f"{said} (`http.per_principal.{kind}` is {most}): {advice}")
        self.kind = kind
        self.request_id = request_id


class InUse(Struct, eq=False, weakref=True):
    """What one principal has open. `who` names it for the operator, `most` says how much it may have."""

    who: str
    most: dict[str, int]
    _refused: Callable[[InUse, str], None]
    connections: int = 0
    """Those that an answer is due on, or not taken yet."""
    streams: int = 0
    """Those that stay open for whatever comes."""
    sessions: int = 0
    requests: int = 0
    """Those without an answer, also where their connection is gone."""
    kept: int = 0
    """Bytes of large messages that are being received."""
    told: dict[str, float] = field(default_factory=dict)
    """When the operator was last told, by what is used up."""
    _begun: int = 0
    """Requests that have begun in this turn of the loop."""
    _next: deque[asyncio.Future[None]] = field(default_factory=deque)
    """Those that wait for a later one, in their order."""

    def check(self, kind: str, request_id: RequestId | None = None) -> None:
        """Raises OverQuotaError where it has as many as it may have."""
        if getattr(self, kind) >= self.most[kind]:
            raise self.refusal(kind, request_id)

    def turn(self) -> asyncio.Future[None] | None:
        """What the next request has to wait for before it begins; None for nothing."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            loop.call_soon(self._turned)
        if self._begun < AT_ONCE:
            self._begun += 1
            return None
        waits = loop.create_future()
        self._next.append(waits)
        return waits

    def _turned(self) -> None:
        self._begun = 0
        while self._next and self._begun < AT_ONCE:
            waits = self._next.popleft()
            if not waits.done():  # It was cancelled.
                waits.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._turned)

    def refusal(self, kind: str, request_id: RequestId | None = None) -> OverQuotaError:
        """That it gets no more of these."""
        self._refused(self, kind)
        return OverQuotaError(kind, self.most[kind], request_id)


class Quotas:
    """What all principals of one front have open."""

    def __init__(self, http: HttpTerms, connections: int | None = None) -> None:
        """`connections` are served at once, None for as many as there is room for."""
        self.connections = connections = room_for_connections() if connections is None else connections
        one = http.per_principal
        most = dict.fromkeys(KINDS, UNBOUNDED)
        if http.token is not None:
            own = one.connections or max(1, connections // 4)
            most = {
                "connections": own,
                "streams": one.streams or max(1, own // 2),
                "sessions": min(one.sessions or max(1, http.max_sessions // 2), http.max_sessions),
                "requests": one.requests,
            }
        self.shared = http.token is None
        """Whether all clients are one principal."""
        self.refused = dict.fromkeys((*KINDS, "messages"), 0)
        """How often one was refused more of these, as they were too many of its own or of all."""
        self.told: Callable[[str], None] = _nobody
        """Takes a sentence for the operator."""
        self._most = most
        self._last: dict[str, float] = {}
        self._full: dict[str, tuple[float, str]] = {}
        self._of: WeakValueDictionary[tuple[str, str], InUse] = WeakValueDictionary()

    def of(self, principal: Principal) -> InUse:
        """What this one has open."""
        key = principal.source, principal.id
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = InUse(principal.text, self._most, self._refuse)
        return found

    @property
    def totals(self) -> dict[str, int]:
        """How much all of them have open."""
        everyone = list(self._of.values())
        return {kind: sum(getattr(one, kind) for one in everyone) for kind in KINDS}

    def warning(self) -> str:
        """What somebody was refused a moment ago, "" for nothing; whom, only the operator is told."""
        since = time.monotonic() - QUIET_SECONDS
        said = [f"clients are refused: {why}" for at, why in self._full.values() if at > since]
        kinds = ", ".join(kind for kind, at in self._last.items() if at > since)
        said += [f"a principal is refused more {kinds} (`http.per_principal`)"] if kinds else []
        return "; ".join(said)

    def full(self, kind: str, why: str) -> None:
        """Note that a client was refused what all of them together have too many of; `why` is a clause."""
        self.refused[kind] += 1
        now = time.monotonic()
        before, _why = self._full.get(kind, (float("-inf"), ""))
        self._full[kind] = now, why
        if now - before >= QUIET_SECONDS:
            self.told(f"clients are refused: {why}")

    def _refuse(self, one: InUse, kind: str) -> None:
        self.refused[kind] += 1
        self._last[kind] = now = time.monotonic()
        if now - one.told.get(kind, float("-inf")) >= QUIET_SECONDS:
            one.told[kind] = now
            said = f"{one.who} has as many {kind} open as one principal may have"
            self.told(f"{said} (`http.per_principal.{kind}` is {one.most[kind]}); more are refused")


def room_for_connections() -> int:
    """How many connections can be served at once."""
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


def _nobody(_said: str) -> None:
    """There is no operator yet."""
