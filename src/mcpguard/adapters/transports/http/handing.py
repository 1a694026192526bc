"""How a message that was read goes to the gateway, whatever way it came over HTTP.

Law of this file: a request is known to the gateway by a number of ours, in place of its id.
"""

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.transports.http.client import HttpClient, too_busy
from mcpguard.adapters.transports.http.sessions import HttpWorld
from mcpguard.adapters.transports.http.stream import Outlet
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.protocol import jsonrpc

Message = dict[str, Json]
Taken = Message | MessageError
"""A message of a batch, or why it is none."""

IN_USE = "this id is in use by an earlier request"


def is_request(message: Message) -> bool:
    """Whether somebody waits for an answer to it."""
    return "id" in message and "method" in message


def tell(world: HttpWorld, turn: Turn, message: Message, headers: dict[str, str]) -> None:
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
        world.receiver.receive(message, headers)
        if number is not None:
            client.cancelled(number)
    finally:
        turn.end()


def check_room(client: HttpClient, batch: list[Taken]) -> int:
    """How many messages of a batch are answered. Raises HttpRefusal if its world may not have so many."""
    answered = sum(isinstance(one, MessageError) or is_request(one) for one in batch)
    if client.room < answered:
        raise too_busy(None)
    return answered


def number(client: HttpClient, outlet: Outlet, batch: list[Taken]) -> list[tuple[int | None, Taken]]:
    """The messages of a batch in their order, each with its number if it is answered. The answers go out on
    one stream."""
    found: list[tuple[int | None, Taken]] = []
    first: int | None = None
    for each in batch:
        one, number = each, None
        if isinstance(one, dict) and is_request(one) and one["id"] in client.numbers:
            one = MessageError(jsonrpc.INVALID_REQUEST, IN_USE, one["id"])
        if isinstance(one, MessageError):
            number = client.expect(one.request_id, outlet, malformed=True, beside=first)
            one.request_id = number
        elif is_request(one):
            number = one["id"] = client.expect(one["id"], outlet, beside=first)
        first = number if first is None else first
        found.append((number, one))
    return found


def hand_in(world: HttpWorld, turn: Turn, one: Taken, headers: dict[str, str]) -> None:
    """Give one message of a batch to the gateway."""
    if isinstance(one, dict) and not is_request(one):
        tell(world, turn, one, headers)
        return
    turn.inside = True
    try:
        if isinstance(one, MessageError):
            world.receiver.refuse_message(one)
        else:
            world.receiver.receive(one, headers)
    finally:
        turn.end()
