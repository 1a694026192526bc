"""The upstream of one server as the gateway sees it, over a lane for each credential that rules choose.

Law of this file: a request goes where its credential is and nowhere else, and what belongs to it (progress,
questions, cancellation, a subscription) stays there. Lists come from the lane of the server's own.
"""

import asyncio
from collections.abc import Callable, Mapping

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.lane import Lane
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.listening import SUBSCRIBE, UNSUBSCRIBE
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest, Progress
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.config.terms import MAX_LANES
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Json, Permit
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Health, RawAnswer


class ServerUpstream:
    """Implements `ports.Upstream`."""

    def __init__(
        self,
        name: str,
        make: Callable[[str, Lane | None], Lane],
        supply: CredentialSupply,
        turn: Turn,
        remote: bool,
        max_lanes: int = MAX_LANES,
    ) -> None:
        """`make(credential, first)` makes a lane; `first` is that of the server's own credentials (""), None
        for that one itself. It raises CredentialError where the credential is not for this server. `supply`
        has what placeholders stand for. With `remote` a credential goes with each request, over one lane. At
        most `max_lanes` beside the first may have a process at once."""
        self.name = name
        self._make = make
        self._supply = supply
        self._turn = turn
        self._remote = remote
        self._max_lanes = max_lanes
        self._first = make("", None)
        self._lanes = {"": self._first}
        self._filling = Background("the credentials of a call could not be fetched")

    # --- what is known of it ---------------------------------------------------------------------

    @property
    def capabilities(self) -> Mapping[str, Json] | None:
        """See `ports.Upstream.capabilities`: those of whichever lane was greeted."""
        return self._greeted.capabilities

    @property
    def instructions(self) -> str | None:
        return self._greeted.instructions

    @property
    def modern(self) -> bool:
        return self._greeted.modern

    @property
    def _greeted(self) -> Instance:
        lanes = (lane.instance for lane in self._lanes.values())
        return next((one for one in lanes if one.past.greeting is not None), self._first.instance)

    @property
    def healths(self) -> list[Health]:
        return [
            lane.health(f"{self.name} ({credential})" if credential else self.name)
            for credential, lane in self._lanes.items()
        ]

    # --- ports.Upstream --------------------------------------------------------------------------

    def ready(self) -> Wait[None]:
        return self._first.instance.ready()

    def request(self, permit: Permit, progress: Progress | None = None) -> Wait[RawAnswer]:
        call, first = OpenRequest(permit.invocation.method, permit, progress), self._first
        running = first.instance.conversation if first.endless else None
        if permit.placeholders:
            self._fill(call, permit)
        elif permit.credential or call.method == UNSUBSCRIBE:
            self._route(call, permit)
        elif running is None or self._turn.strained:
            first.send(call)
        else:
            running.send(call)  # Nearly all are such.
        return call

    def cancel(self, wait: Wait[RawAnswer], reason: str) -> None:
        if isinstance(wait, OpenRequest):
            wait.cancel(reason)

    def tell(self, method: str, params: dict[str, Json]) -> None:
        for instance in self._instances():
            instance.tell(method, params)

    def prepare(self, permit: Permit) -> None:
        """See `ports.Upstream.prepare`: every lane is told, also those that are made later."""
        for instance in self._instances():
            instance.prepare(permit)

    # --- which lane ------------------------------------------------------------------------------

    def _fill(self, call: OpenRequest, permit: Permit) -> None:
        refs = {ref: None for one in permit.placeholders for ref in one.template.refs}
        known = self._supply.known(refs)
        if known is not None:
            call.values = known
            self._route(call, permit)
            return
        self._filling.start(self._filled(call, permit, tuple(refs)))

    async def _filled(self, call: OpenRequest, permit: Permit, refs: tuple[CredentialRef, ...]) -> None:
        try:
            call.values = await self._supply.get(refs)
        except CredentialError as problem:
            call.fail(problem)
        else:
            if not call.done:
                self._route(call, permit)
        self._turn.touch()

    def _route(self, call: OpenRequest, permit: Permit) -> None:
        try:
            if self._remote:
                self._check_remote(call, permit)
                self._first.send(call)
            elif call.method == UNSUBSCRIBE:
                self._unsubscribe(call, permit)
            else:
                self._lane(permit.credential).send(call)
        except CredentialError as problem:
            call.fail(problem)

    def _check_remote(self, call: OpenRequest, permit: Permit) -> None:
        if permit.credential and call.method == SUBSCRIBE:
            said = "cannot be chosen for a subscription to a server with a `url`: it outlives the request"
            raise CredentialError(f"the credential '{permit.credential}' {said}")

    def _unsubscribe(self, call: OpenRequest, permit: Permit) -> None:
        """Tell each lane that is subscribed; of those beside the first none is started for it."""
        uri = (permit.invocation.params or {}).get("uri")
        calls = [call]
        for lane in list(self._lanes.values())[1:]:
            uris = lane.instance.past.memory.uris
            if uri in uris and not lane.instance.running:
                del uris[uri]
            elif uri in uris:
                lane.send(calls.pop() if calls else OpenRequest(call.method, permit))
        if calls or uri in self._first.instance.past.memory.uris:
            self._first.send(calls.pop() if calls else OpenRequest(call.method, permit))

    def _lane(self, credential: str) -> Lane:
        lane = self._lanes.get(credential)
        if lane is None:
            lane = self._lanes[credential] = self._make(credential, self._first)
        if credential and not lane.alive:
            self._make_room(credential)
        return lane

    def _make_room(self, credential: str) -> None:
        """See to it that one more lane may have a process: end the one that has been idle the longest. Raises
        CredentialError where all are in use."""
        alive = [lane for lane in list(self._lanes.values())[1:] if lane.alive]
        if len(alive) < self._max_lanes:
            return
        idle = [lane for lane in alive if lane.idle]
        if not idle:
            raise CredentialError(
                f"there is no room for a process with the credential '{credential}': '{self.name}' may have "
                f"{self._max_lanes} (`max_lanes`), and all are in use; try again when their calls have "
                "finished"
            )
        min(idle, key=lambda lane: lane.used).rest()

    def _instances(self) -> list[Instance]:
        return [instance for lane in self._lanes.values() for instance in lane.instances]

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the client should wait."""
        for lane in self._lanes.values():
            for instance in lane.instances:
                if instance.full:
                    return True
        return False

    @property
    def strained(self) -> bool:
        """Whether it is full, even where it no longer holds the client back."""
        return any(instance.strained for instance in self._instances())

    def hold(self, on: bool) -> None:
        for lane in self._lanes.values():
            for instance in lane.instances:
                instance.hold(on)

    async def close(self, gently: bool, why: str = "") -> None:
        """End every process of it; whoever waits for an answer gets `why`."""
        self._filling.cancel()
        await asyncio.gather(*(lane.close(gently, why) for lane in self._lanes.values()))
