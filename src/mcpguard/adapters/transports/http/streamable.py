"""Streamable HTTP, one endpoint for both eras (basic/transports/streamable-http of 2026-07-28, and
basic/transports of 2025-03-26 to 2025-11-25).

Law of this file: a message reaches a gateway only after it was read in exactly one way (law 4), under a
number of ours in place of its id.
"""

from msgspec import Struct

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http import guard
from mcpguard.adapters.transports.http.load import Share
from mcpguard.adapters.transports.http.request import (
    EVERYTHING,
    Headers,
    HttpRefusal,
    HttpRequest,
    RequestIntake,
)
from mcpguard.adapters.transports.http.sessions import (
    IN_USE,
    HttpWorld,
    Message,
    Taken,
    Worlds,
    check_room,
    hand_in,
    number,
    tell,
)
from mcpguard.adapters.transports.http.stream import HttpAnswer, StreamTimer
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Principal
from mcpguard.gateway.ports import Clock
from mcpguard.protocol import eras, jsonrpc
from mcpguard.protocol.eras import LEGACY_VERSIONS

VERSION = "mcp-protocol-version"
SESSION = "mcp-session-id"
LAST_EVENT = "last-event-id"
LISTEN = "subscriptions/listen"
PRIMED = frozenset({"2025-11-25"})
"""Legacy revisions whose clients know an event without data (SEP-1699); it breaks older ones."""
_NO_SESSION = "the Mcp-Session-Id header is missing; start a session with initialize"
_ONLY_POST: Headers = ((b"allow", b"POST"),)


class _Exchange(Struct, eq=False):
    """A request that was handed in, until its answer is out or its client is gone."""

    _clock: Clock
    _turn: Turn
    _world: HttpWorld
    _outlet: HttpAnswer
    _number: int

    def over(self) -> None:
        # As `Worlds.release` does, on the road of every call.
        self._world.uses -= 1
        if self._outlet.standing:
            self._world.in_use.streams -= 1
        self._world.quiet_since = self._clock.seconds()
        if self._outlet.done:
            return
        self._outlet.drop()
        if self._world.client.disconnected(self._number, self._outlet):
            self._turn.inside = True
            self._world.receiver.cancel(self._number, "disconnected")
            self._turn.end()


class Streamable:
    """The MCP endpoint."""

    def __init__(
        self, worlds: Worlds, turn: Turn, clock: Clock, intake: RequestIntake, beats: StreamTimer
    ) -> None:
        self._worlds = worlds
        self._beats = beats
        self._turn = turn
        self._clock = clock
        self._intake = intake
        self._latest: HttpWorld | None = None
        """The modern world that was asked for last."""

    # --- POST ------------------------------------------------------------------------------------

    async def post(self, request: HttpRequest) -> None:
        """Take one message. Raises HttpRefusal where no world can take it."""
        headers = request.headers
        guard.check_content(headers.get("content-type", ""), headers.get("content-encoding", ""))
        guard.check_accept(headers.get("accept", EVERYTHING), "application/json", "text/event-stream")
        modern = headers.get(VERSION) in eras.MODERN_VERSIONS
        try:
            # The text is not kept beside the message.
            message = jsonrpc.parse_strict((await request.body(self._intake)).strip())
        except MessageError as problem:
            if isinstance(problem, jsonrpc.Batch) and not modern and SESSION in headers:
                await self._several(request, problem)
            else:
                await self._malformed(request, modern, problem)
            return
        if self._worlds.draining and "id" in message and "method" in message:
            self._worlds.check_begin()
        params = message.get("params", {})
        if modern or ("_meta" in params and eras.is_enveloped(params)):
            if "method" not in message:
                raise HttpRefusal(400, "in this protocol version clients do not send responses")
            world = self._shared(request.principal)
        elif SESSION not in headers and message.get("method") == "initialize" and "id" in message:
            await self._initialize(request, message)
            return
        else:
            world = self._session(request)
        if "id" in message and "method" in message:
            await self._exchange(request, world, message)
        else:
            self._told(request, world, message)

    def _shared(self, principal: Principal) -> HttpWorld:
        """See `Worlds.shared`; a client that goes on has the world that was asked for last."""
        latest = self._latest
        if latest is None or latest.principal is not principal or latest.ended:
            latest = self._latest = self._worlds.shared(principal)
        return latest

    def _session(self, request: HttpRequest) -> HttpWorld:
        """The legacy world that a request names. Raises HttpRefusal where it names none that there is."""
        version = request.headers.get(VERSION)
        if version is not None and version not in LEGACY_VERSIONS:
            problem = eras.unsupported(version)
            raise HttpRefusal(400, str(problem), problem.code, data=problem.data)
        key = request.headers.get(SESSION)
        if key is None:
            raise HttpRefusal(400, _NO_SESSION)
        return self._worlds.find(key, request.principal)

    async def _initialize(self, request: HttpRequest, message: Message) -> None:
        world = await self._worlds.begin(request.principal)
        granted = ((SESSION.encode(), world.key.encode()),)
        outlet = HttpAnswer(request, self._turn, self._beats, world.client.load, granted)
        await self._exchange(request, world, message, outlet)
        request.let_go()
        await request.over()
        if not outlet.granted_it:
            # The client never learns the id of this session: nobody can come back to it.
            self._worlds.end(world)

    async def _malformed(self, request: HttpRequest, modern: bool, problem: MessageError) -> None:
        """Let the gateway refuse it, which leaves evidence; without a world, refuse it here."""
        if modern:
            world = self._worlds.shared(request.principal)
        elif SESSION in request.headers:
            world = self._session(request)
        else:
            raise HttpRefusal(400, str(problem), problem.code, (), problem.request_id, problem.data)
        await self._exchange(request, world, problem)

    async def _several(self, request: HttpRequest, text: jsonrpc.Batch) -> None:
        world = self._session(request)
        if not world.receiver.batches:
            await self._malformed(request, False, text)
            return
        batch = jsonrpc.take_apart(text)
        answered = check_room(world.client, batch)
        world.uses += 1
        try:
            if answered:
                await self._batch(request, world, batch)
            else:
                for one in batch:
                    hand_in(world, self._turn, one, request)
                request.respond(202)
        finally:
            self._worlds.release(world)

    async def _batch(self, request: HttpRequest, world: HttpWorld, batch: list[Taken]) -> None:
        """Hand the messages of a batch in, in order, and wait as `_exchange` does."""
        client = world.client
        outlet = HttpAnswer(request, self._turn, self._beats, client.load)
        numbered = number(client, outlet, batch)
        numbers = [one for one, _ in numbered if one is not None]
        try:
            await client.admitted(numbers, self._intake.seconds)
            for one, message in numbered:
                if not world.ended and (one is None or client.awaits(one)):
                    hand_in(world, self._turn, message, request)
            request.let_go()
            await request.over()
        finally:
            outlet.drop()
            for one in numbers:
                client.disconnected(one, outlet)

    async def _exchange(
        self, request: HttpRequest, world: HttpWorld, message: Taken, outlet: HttpAnswer | None = None
    ) -> None:
        """Hand a request in, or what is wrong with it. Its answer goes out when it is there."""
        client, turn = world.client, self._turn
        if isinstance(message, dict) and message["id"] in client.numbers:
            message = MessageError(jsonrpc.INVALID_REQUEST, IN_USE, message["id"])
        # The answer to `initialize` is what tells the client its session: it cannot come back before.
        primed = outlet is None and client.resumable and request.headers.get(VERSION) in PRIMED
        if outlet is None:
            load = client.load
            if client.modern:
                load = Share(load, client.holding, request.connection, self._clock, turn.strain)
            standing = isinstance(message, dict) and message["method"] == LISTEN
            if standing:
                world.in_use.check("streams")
            outlet = HttpAnswer(request, turn, self._beats, load, standing=standing)
        held = client.held is not None
        turn.inside = True
        try:
            if isinstance(message, MessageError):
                message.request_id = number = client.expect(message.request_id, outlet, malformed=True)
            else:
                message["id"] = number = client.expect(message["id"], outlet, primed=primed)
            world.uses += 1
            world.in_use.streams += outlet.standing
            request.then = _Exchange(self._clock, turn, world, outlet, number).over
            if held:
                pass
            elif isinstance(message, MessageError):
                world.receiver.refuse_message(message)
            else:
                world.receiver.receive(message, request.headers, request.token)
        finally:
            turn.end()
        if held:
            await self._hand_in_later(request, world, number, message)
        request.unwanted = True
        if request.lost:
            request.end()

    async def _hand_in_later(
        self, request: HttpRequest, world: HttpWorld, number: int, message: Taken
    ) -> None:
        """Hand a request in once its client takes again what it is given."""
        await world.client.admitted([number], self._intake.seconds)
        if world.client.awaits(number) and not world.ended:
            hand_in(world, self._turn, message, request)

    def _told(self, request: HttpRequest, world: HttpWorld, message: Message) -> None:
        world.uses += 1
        tell(world, self._turn, message, request)
        self._worlds.release(world)
        request.respond(202)

    # --- GET and DELETE, legacy only -------------------------------------------------------------

    async def get(self, request: HttpRequest) -> None:
        """Open the standing stream of a session, of which there is one at most; with `Last-Event-ID`, go on
        with the stream of that event, also where its earlier connection is not known to be gone."""
        self._worlds.check_begin()
        world = self._standing_world(request)
        guard.check_accept(request.headers.get("accept", EVERYTHING), "text/event-stream")
        client = world.client
        place = client.place(request.headers.get(LAST_EVENT, ""))
        if place is not None and place[0].said_all(place[1]):
            # What tells a client of server-sent events not to come back (HTML, section 9.2.3).
            request.respond(204)
            return
        if place is None and client.stands:
            raise HttpRefusal(409, "this session already has an open stream")
        world.in_use.check("streams")
        stream, after = place or (client.standing, None)
        outlet = HttpAnswer(request, self._turn, self._beats, client.load, standing=True)
        world.uses += 1
        world.in_use.streams += 1
        try:
            stream.resume(outlet, after)
            if stream is client.standing and request.headers.get(VERSION) in PRIMED:
                stream.prime()
            await request.over()
        finally:
            stream.leave(outlet)
            outlet.drop()
            world.in_use.streams -= 1
            self._worlds.release(world)

    async def delete(self, request: HttpRequest) -> None:
        """End a session."""
        world = self._standing_world(request)
        self._worlds.end(world)
        request.respond(204)

    def _standing_world(self, request: HttpRequest) -> HttpWorld:
        if request.headers.get(VERSION) in eras.MODERN_VERSIONS:
            raise HttpRefusal(
                405, "in this protocol version the endpoint accepts POST only", headers=_ONLY_POST
            )
        return self._session(request)
