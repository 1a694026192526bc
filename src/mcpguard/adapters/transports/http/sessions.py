"""Worlds: whose request goes to which gateway, and in which way, and how long that one lives.

A modern request is stateless, so all requests of one Principal share a world. A legacy client has a world
per session. Law of this file: a session id does not prove who asks; it opens a world to the Principal that
began it and to nobody else. A request is known to the gateway by a number of ours, in place of its id.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.client import HttpClient, too_busy
from mcpguard.adapters.transports.http.quotas import InUse, Quotas
from mcpguard.adapters.transports.http.request import CLOSE, HttpRefusal, HttpRequest
from mcpguard.adapters.transports.http.stream import HttpAnswer
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json, Principal
from mcpguard.gateway.ports import Clock, Receiver
from mcpguard.protocol import jsonrpc

SESSION_BYTES = 32
STOPPING = "mcpguard is stopping: retry later or use another instance"
SPARED_SECONDS = 60.0
"""A session that was used within this time does not make room for another."""


class ClientEntrance(Protocol):
    """The way into mcpguard for a client that comes over HTTP."""

    def enter(self, client: HttpClient, principal: Principal) -> Receiver:
        """Open a world: a gateway with its own upstreams, none of them started yet."""

    async def leave(self, receiver: Receiver, gently: bool) -> None:
        """End it: requests in flight leave their outcome, its upstreams end, `gently` with time to do so."""


class HttpWorld:
    """One client's world. `key` is the session id, "" for a modern one; `events` says that it is a session
    of HTTP+SSE. `uses` counts the requests and streams that are open; who begins one adds it, and
    `Worlds.release` takes it off. One that is `ended` takes nothing. `in_use` is what its principal has open,
    in this world and others."""

    __slots__ = (
        "client",
        "ended",
        "events",
        "in_use",
        "key",
        "leaving",
        "principal",
        "quiet_since",
        "receiver",
        "stop_timer",
        "uses",
    )

    def __init__(
        self,
        client: HttpClient,
        receiver: Receiver,
        principal: Principal,
        in_use: InUse,
        key: str,
        events: bool,
    ) -> None:
        self.client = client
        self.receiver = receiver
        self.principal = principal
        self.in_use = in_use
        self.key = key
        self.events = events
        self.ended = False
        self.leaving: asyncio.Task[None] | None = None
        self.uses = 0
        self.quiet_since = 0.0
        self.stop_timer = _nothing


class Worlds:
    """All worlds of one front."""

    def __init__(
        self, door: ClientEntrance, turn: Turn, clock: Clock, most: int, quotas: Quotas, idle_seconds: float
    ) -> None:
        """At most `most` sessions at once, as many of one subject as `quotas` say, and besides them as many
        modern worlds, so that no sessions keep a modern client out. One that nothing was said to for
        `idle_seconds`, and that has no open request, no open stream and no call that waits for its client, is
        ended."""
        self._door = door
        self._turn = turn
        self._clock = clock
        self._most = most
        self._quotas = quotas
        self._idle_seconds = idle_seconds
        self._shared: dict[Principal, HttpWorld] = {}
        self._sessions: dict[str, HttpWorld] = {}
        self._background = Background("a session could not be ended")
        self._ending: dict[asyncio.Task[None], HttpWorld] = {}
        self.draining = False
        """Whether nothing is begun any more."""
        self.entered: Callable[[], None] = lambda: None
        """Called when a client has come."""

    def drain(self) -> None:
        """Begin nothing new: neither a world, nor a request in one."""
        self.draining = True

    def check_begin(self) -> None:
        """Raises HttpRefusal with 503 where nothing is begun any more."""
        if self.draining:
            raise HttpRefusal(503, STOPPING, jsonrpc.REFUSED, ((b"retry-after", b"5"), *CLOSE))

    def shared(self, principal: Principal) -> HttpWorld:
        """The modern world of `principal`, opened where it is missing. Raises OverQuotaError where its
        subject has too many, with other claims or groups, HttpRefusal (503) where all have."""
        world = self._shared.get(principal)
        if world is None:
            ending = sum(not other.key for other in self._ending.values())
            self.check_begin()
            in_use = self._quotas.of(principal)
            if sum(other.in_use is in_use for other in self._shared.values()) >= in_use.most["sessions"]:
                raise in_use.refusal("sessions")
            if len(self._shared) + ending >= self._most:
                raise self._full()
            world = self._shared[principal] = self._enter(principal, "", False)
        return world

    def unanswered(self) -> list[list[HttpAnswer]]:
        """The HTTP answers of the open requests of each world."""
        return [world.client.unanswered for world in (*self._shared.values(), *self._sessions.values())]

    async def begin(self, principal: Principal, events: bool = False) -> HttpWorld:
        """A new legacy world. Where there are too many, the one of this Principal that was quiet longest is
        ended for it. If nothing can be spared, raises OverQuotaError where this Principal has too many,
        HttpRefusal (503) where all have."""
        self.check_begin()
        in_use = self._quotas.of(principal)
        while not self._room(in_use):
            spare = self._spare(in_use)
            if spare is None:
                in_use.check("sessions")
                raise self._full()
            self.end(spare)
            if spare.leaving is not None:
                await asyncio.wait({spare.leaving})
        key = secrets.token_urlsafe(SESSION_BYTES)
        world = self._sessions[key] = self._enter(principal, key, events)
        return world

    def find(self, key: str, principal: Principal, events: bool = False) -> HttpWorld:
        """The legacy world of this session. Raises HttpRefusal with 404 if there is none, or it is
        another principal's, which must look the same."""
        world = self._sessions.get(key)
        if world is None or (world.principal, world.events) != (principal, events):
            raise HttpRefusal(404, "no such session; start a new one with initialize")
        return world

    def release(self, world: HttpWorld) -> None:
        """A use of this world is over: the idle time counts from the last one."""
        world.uses -= 1
        world.quiet_since = self._clock.seconds()

    def _room(self, in_use: InUse) -> bool:
        ending = sum(bool(world.key) for world in self._ending.values())
        return len(self._sessions) + ending < self._most and in_use.sessions < in_use.most["sessions"]

    def _spare(self, in_use: InUse) -> HttpWorld | None:
        since = self._clock.seconds() - SPARED_SECONDS
        quiet = [
            world
            for world in self._sessions.values()
            if world.in_use is in_use and world.quiet_since <= since
            # A call goes on while its client is away.
            if not (world.uses or world.client.asked or world.receiver.thinking)
        ]
        return min(quiet, key=lambda world: world.quiet_since, default=None)

    def _full(self) -> HttpRefusal:
        said = f"mcpguard serves {self._most} sessions at once (`http.max_sessions`), and all are in use"
        self._quotas.full("sessions", said)
        return HttpRefusal(503, said, jsonrpc.REFUSED, ((b"retry-after", b"60"),))

    def _enter(self, principal: Principal, key: str, events: bool) -> HttpWorld:
        in_use = self._quotas.of(principal)
        client = HttpClient(not key, in_use, resumable=bool(key) and not events)
        world = HttpWorld(client, self._door.enter(client, principal), principal, in_use, key, events)
        in_use.sessions += bool(key)
        world.quiet_since = self._clock.seconds()
        self._watch(world, self._idle_seconds)
        self.entered()
        return world

    def _watch(self, world: HttpWorld, seconds: float) -> None:
        world.stop_timer = self._clock.later(seconds, lambda: self._look(world))

    def _look(self, world: HttpWorld) -> None:
        # One timer a world that looks again, not one a request.
        if world.receiver.thinking:
            world.quiet_since = self._clock.seconds()
        left = world.quiet_since + self._idle_seconds - self._clock.seconds()
        if world.uses:
            self._watch(world, self._idle_seconds)
        elif left > 0:
            self._watch(world, left)
        else:
            self.end(world)

    def end(self, world: HttpWorld, gently: bool = True) -> None:
        """This world is gone from now on; its upstreams end soon. Nothing happens if it has ended."""
        if world.key:
            known = self._sessions.pop(world.key, None) is world
        else:
            known = self._shared.get(world.principal) is world and self._shared.pop(world.principal) is world
        if known:
            world.ended = True
            world.stop_timer()
            world.leaving = self._background.start(self._leave(world, gently))
            self._ending[world.leaving] = world
            world.leaving.add_done_callback(self._ending.pop)

    async def _leave(self, world: HttpWorld, gently: bool) -> None:
        try:
            await self._door.leave(world.receiver, gently)
        finally:
            world.client.close()
            world.in_use.sessions -= bool(world.key)
            self._turn.touch()

    async def close(self, gently: bool) -> None:
        """End every world, and wait until each has ended. None is opened any more."""
        self.draining = True
        for world in [*self._shared.values(), *self._sessions.values()]:
            self.end(world, gently)
        while self._ending:
            await asyncio.wait(self._ending)


def _nothing() -> None:
    """No timer to stop."""


Message = dict[str, Json]
Taken = Message | MessageError
"""A message of a batch, or why it is not one."""

IN_USE = "this id is in use by an earlier request"


def is_request(message: Message) -> bool:
    """Whether somebody waits for an answer to it."""
    return "id" in message and "method" in message


def tell(world: HttpWorld, turn: Turn, message: Message, request: HttpRequest) -> None:
    """Give a notification or an answer to the gateway. A cancellation goes by our number of the request;
    one of a request that is not open is dropped, as the specification has it."""
    client = world.client
    number = None
    if message.get("method") == "notifications/cancelled":
        params = message.get("params", {})
        number = None if client.modern else client.number_of(params.get("requestId"))
        if number is None:
            return
        params["requestId"] = number
    turn.inside = True
    try:
        world.receiver.receive(message, request.headers, request.token)
        if number is not None:
            client.cancelled(number)
    finally:
        turn.end()


def check_room(client: HttpClient, batch: list[Taken]) -> int:
    """How many messages of a batch are answered. Raises HttpRefusal if its world may not have that many."""
    answered = sum(isinstance(one, MessageError) or is_request(one) for one in batch)
    if client.room < answered:
        raise too_busy(None)
    if answered > client.in_use.most["requests"] - client.in_use.requests:
        raise client.in_use.refusal("requests")
    return answered


def number(client: HttpClient, outlet: HttpAnswer, batch: list[Taken]) -> list[tuple[int | None, Taken]]:
    """The messages of a batch in their order, each with its number if it is answered. The answers go out on
    one stream."""
    found: list[tuple[int | None, Taken]] = []
    first: int | None = None
    for each in batch:
        one, number = each, None
        if isinstance(one, dict) and is_request(one) and one["id"] in client.numbers:
            one = MessageError(jsonrpc.INVALID_REQUEST, IN_USE, one["id"])
        if isinstance(one, MessageError):
            number = client.expect(one.request_id, outlet, malformed=True, sharing=first)
            one.request_id = number
        elif is_request(one):
            number = one["id"] = client.expect(one["id"], outlet, sharing=first)
        first = number if first is None else first
        found.append((number, one))
    return found


def hand_in(world: HttpWorld, turn: Turn, one: Taken, request: HttpRequest) -> None:
    """Give one message of a batch to the gateway."""
    if isinstance(one, dict) and not is_request(one):
        tell(world, turn, one, request)
        return
    turn.inside = True
    try:
        if isinstance(one, MessageError):
            world.receiver.refuse_message(one)
        else:
            world.receiver.receive(one, request.headers, request.token)
    finally:
        turn.end()
