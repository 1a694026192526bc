"""HTTP+SSE, the deprecated transport of revision 2024-11-05 (basic/transports): messages come by POST, and
everything goes out on one stream, with which the session ends."""

from urllib.parse import parse_qs

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http import guard
from mcpguard.adapters.transports.http.request import EVERYTHING, HttpRefusal, HttpRequest, RequestIntake
from mcpguard.adapters.transports.http.sessions import (
    IN_USE,
    HttpWorld,
    Message,
    Worlds,
    check_room,
    hand_in,
    is_request,
    tell,
)
from mcpguard.adapters.transports.http.stream import HttpAnswer, StreamTimer
from mcpguard.core.errors import MessageError
from mcpguard.gateway.ports import RequestId
from mcpguard.protocol import jsonrpc

MESSAGES = "/messages"


class Events:
    """Both endpoints of HTTP+SSE."""

    def __init__(self, worlds: Worlds, turn: Turn, intake: RequestIntake, beats: StreamTimer) -> None:
        self._worlds = worlds
        self._turn = turn
        self._beats = beats
        self._intake = intake

    async def get(self, request: HttpRequest) -> None:
        """Open a session: its first event says where its messages go."""
        guard.check_accept(request.headers.get("accept", EVERYTHING), "text/event-stream")
        request.in_use.check("streams")
        world = await self._worlds.begin(request.principal, events=True)
        outlet = HttpAnswer(request, self._turn, self._beats, world.client.load, standing=True)
        world.uses += 1
        world.in_use.streams += 1
        try:
            outlet.write(f"event: endpoint\ndata: {MESSAGES}?session_id={world.key}\n\n".encode())
            world.client.standing.resume(outlet)
            await request.over()
        finally:
            world.client.standing.leave(outlet)
            outlet.drop()
            world.in_use.streams -= 1
            self._worlds.release(world)
            self._worlds.end(world)

    async def post(self, request: HttpRequest) -> None:
        """Take one message for an open session. Raises HttpRefusal where there is no such session."""
        self._world(request)
        headers = request.headers
        guard.check_content(headers.get("content-type", ""), headers.get("content-encoding", ""))
        try:
            message = jsonrpc.parse_strict((await request.body(self._intake)).strip())
        except MessageError as problem:
            await self._refused(request, problem)
        else:
            await self._take(request, message)
        request.respond(202)

    def _world(self, request: HttpRequest) -> HttpWorld:
        # Asked again after each wait: the session ends with its stream at any time.
        key = parse_qs(request.query.decode("latin-1")).get("session_id", [""])[0]
        return self._worlds.find(key, request.principal, events=True)

    async def _take(self, request: HttpRequest, message: Message) -> None:
        world = self._world(request)
        client = world.client
        if not is_request(message):
            tell(world, self._turn, message, request)
        elif message["id"] in client.numbers:
            self._refuse(world, request, MessageError(jsonrpc.INVALID_REQUEST, IN_USE, message["id"]))
        else:
            original, message["id"] = message["id"], client.expect(message["id"], None)
            await client.admitted([message["id"]], self._intake.seconds)
            self._world(request)
            if not client.awaits(message["id"]):
                raise _not_taken(original)
            hand_in(world, self._turn, message, request)

    async def _refused(self, request: HttpRequest, problem: MessageError) -> None:
        world = self._world(request)
        if not isinstance(problem, jsonrpc.Batch) or not world.receiver.batches:
            self._refuse(world, request, problem)
            return
        batch = jsonrpc.take_apart(problem)
        check_room(world.client, batch)
        for one in batch:
            if isinstance(one, MessageError):
                self._refuse(self._world(request), request, one)
            else:
                await self._take(request, one)

    def _refuse(self, world: HttpWorld, request: HttpRequest, problem: MessageError) -> None:
        # What is refused comes without limit, so it waits for nobody and nothing of it waits.
        if world.client.full:
            raise _not_taken(problem.request_id)
        problem.request_id = world.client.expect(problem.request_id, None, malformed=True)
        hand_in(world, self._turn, problem, request)


def _not_taken(request_id: RequestId | None) -> HttpRefusal:
    said = "the stream of this session is not being read; send this message again later"
    return HttpRefusal(503, said, jsonrpc.REFUSED, ((b"retry-after", b"5"),), request_id)
