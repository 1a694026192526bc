"""From idle to greeted: which wire is tried, in which era, and whether it is still the same server.

Law of this file: every wire that was tried and not kept is closed before the next one is.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from mcpguard.adapters.upstreams.session.conversation import Conversation
from mcpguard.adapters.upstreams.session.greeting import (
    DISCOVER,
    Changed,
    Greeting,
    Identity,
    WireEnded,
    greet,
)
from mcpguard.adapters.upstreams.session.life import Backoff, SessionMemory, Terms, lasting
from mcpguard.adapters.upstreams.wires.wire import Wire, WireListener
from mcpguard.core.errors import UpstreamError

TRY_NEXT = frozenset({400, 404, 405})
"""HTTP statuses that say "not this transport" (specification 2026-07-28, streamable-http, backward
compatibility)."""

MakeWire = Callable[[WireListener], Wire]


class Inheritance(Struct, kw_only=True):
    """What an upstream inherits from one that it takes the place of, or that is the same server."""

    identity: Identity
    memory: SessionMemory
    backoff: Backoff
    greeting: Greeting | None = None


def no_past(terms: Terms, backoff: Backoff | None = None) -> Inheritance:
    """That of the first upstream."""
    return Inheritance(identity=Identity(terms), memory=SessionMemory({}, {}), backoff=backoff or Backoff())


class Connector:
    """Connects one upstream, life after life, and remembers what it has learned of it."""

    def __init__(self, terms: Terms, wires: Sequence[MakeWire], identity: Identity) -> None:
        """`wires` are tried in this order."""
        self._terms = terms
        self._wires = wires
        self._identity = identity
        self._probes = True

    async def connect(self, talk_over: Callable[[MakeWire], Conversation]) -> tuple[Conversation, Greeting]:
        """Open and greet. `talk_over` makes a conversation, which whoever calls closes if this fails.

        Raises UpstreamError (Changed for a different server than before), CredentialError or OSError.
        """
        modern = self._terms.listener.modern and self._probes
        attempts = [(make, modern and n == 0) for n, make in enumerate(self._wires)]
        failures: list[str] = []
        while True:
            make, probe = attempts.pop(0)
            talk = talk_over(make)
            try:
                await talk.wire.open()
                return talk, await self.greet(talk, probe)
            except WireEnded as gone:
                if not probe or gone.method != DISCOVER:
                    raise
                # Some legacy servers end at whatever comes before `initialize`.
                self._probes = False
                attempts.insert(0, (make, False))
            except Changed:
                raise
            except UpstreamError as problem:
                if talk.wire.last_status not in TRY_NEXT:
                    raise
                failures.append(str(problem))
                if not attempts:
                    raise UpstreamError(_all(failures)) from None
            talk.stop("")
            await talk.wire.close(True)

    async def greet(self, talk: Conversation, probe: bool) -> Greeting:
        """Greet on an open wire, `probe` in the modern era first, and compare with the first greeting."""
        greeting = await greet(talk.ask, self._terms, probe)
        self._identity.check(greeting, probe)
        return greeting


def too_slow(terms: Terms) -> str:
    """The message about an upstream that took longer than it may."""
    within = f"within {lasting(terms.start_seconds)} (`start_timeout_seconds`)"
    return f"upstream '{terms.name}' did not start and complete the handshake {within}"


def _all(failures: list[str]) -> str:
    """What each transport said, in the order in which they were tried."""
    if len(failures) == 1:
        return failures[0]
    return f"no transport worked, so check the path of its `url`: {'; then it '.join(failures)}"
