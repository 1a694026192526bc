"""Reads what comes over HTTP: bodies and event streams become messages for the listener of a wire.

Law of this file: each call of the listener is within one turn of work; what is not a JSON-RPC message, is too
long, or answers something else than what was asked never counts as the answer.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mcpguard.adapters.network import Exchange, json_object
from mcpguard.adapters.relay.room import WaitingReader
from mcpguard.adapters.relay.turn import BYTES_A_TURN, MESSAGES_A_TURN, Turn
from mcpguard.adapters.upstreams.process.stderr import LINE_BYTES
from mcpguard.adapters.upstreams.wires.event_stream import Event, EventStream
from mcpguard.adapters.upstreams.wires.wire import WireListener, too_many_values
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.core.redaction.redactor import AT_ONCE
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import Oversize

_METHOD = re.compile(rb'"method"\s*:')


class HttpReader:
    """Reads for one wire. `limit` is that of a message, in bytes; `other` takes
    events that are not messages."""

    def __init__(
        self, turn: Turn, listener: WireListener, limit: int, other: Callable[[Event], None] | None = None
    ) -> None:
        self.limit = limit
        self.batches = False
        """Whether the revision has batches (2025-03-26, basic/index, batching)."""
        self.too_long = f"answered with more than {limit} bytes (`limits.message_bytes`); it was dropped"
        self._turn = turn
        self._listener = listener
        self._other = other
        self._go = asyncio.Event()
        self._go.set()

    def hold(self, on: bool) -> None:
        """Bring nothing more, or again; the sender feels it by TCP."""
        if on:
            self._go.clear()
        else:
            self._go.set()

    @property
    def held(self) -> bool:
        return not self._go.is_set()

    async def stream(self, exchange: Exchange, events: EventStream, asked: int | None) -> bool:
        """Read an event stream. Returns True once the request `asked` is dealt with, False if the stream
        ended before. Raises UpstreamError if it broke off. With None every message is brought."""
        standing = WaitingReader(self._turn.room)
        try:
            while chunk := await exchange.read():
                await self._go.wait()
                if await self._brought(events.feed(chunk), asked):
                    return True
                if asked is not None and _answers(events.overlong, asked):
                    # Its end may never come.
                    self.failed(asked, self.too_long)
                    return True
                await standing.keeps(events.kept)
            return False
        finally:
            standing.leaves()

    async def _brought(self, found: list[Event | Oversize], asked: int | None) -> bool:
        """Handle these, in one turn no more than a turn may. Returns whether `asked` is answered."""
        answered, at = False, 0
        while at < len(found):
            last, left = at + MESSAGES_A_TURN, BYTES_A_TURN
            with self._one_turn():
                while at < min(last, len(found)) and left > 0:
                    one = found[at]
                    answered |= self._event(one, asked)
                    size = len(one.data if isinstance(one, Event) else one)
                    left -= size if size <= AT_ONCE else 0
                    at += 1
            if at < len(found):
                await asyncio.sleep(0)
                await self._go.wait()
        return answered

    @contextmanager
    def _one_turn(self) -> Iterator[None]:
        self._turn.inside = True
        try:
            yield
        finally:
            self._turn.end()

    def _event(self, event: Event | Oversize, asked: int | None) -> bool:
        if isinstance(event, Event):
            if event.kind == "message":
                return self._message(event.data, asked)
            if self._other is not None:
                self._other(event)
            return False
        if asked is not None and jsonrpc.id_of_dropped(event.head, event.tail) == asked:
            self._listener.failed(asked, self.too_long)
            return True
        self._listener.oversize(event)
        return False

    def _message(self, data: bytes, asked: int | None, alone: bool = True) -> bool:
        try:
            message = jsonrpc.parse(data)
        except MessageError as problem:
            texts = problem.texts() if isinstance(problem, jsonrpc.Batch) and self.batches and alone else []
            if texts:
                return any([self._message(text, asked, alone=False) for text in texts])
            if isinstance(problem, jsonrpc.TooManyValues):
                too_many_values(self._listener, problem)
            else:
                shown = data.decode("utf-8", "replace") if len(data) <= LINE_BYTES else f"{len(data)} bytes"
                said = "not a JSON-RPC message over HTTP"
                self._listener.broken(problem.request_id, said, shown, str(problem))
            return asked is not None and problem.request_id == asked
        answer = "method" not in message
        if answer and asked is not None and message["id"] != asked:
            self._listener.broken(None, "a response to another request on the stream of a request", "")
            return False
        self._listener.received(message, len(data), asked)
        return answer and asked is not None

    async def whole(self, exchange: Exchange, asked: int, method: str) -> None:
        """Read a JSON body that must be the answer to `asked`. Raises UpstreamError if it broke off."""
        await self._go.wait()
        standing = WaitingReader(self._turn.room)
        try:
            body = await exchange.body(self.limit, standing.keeps)
        finally:
            standing.leaves()
        await self._go.wait()
        if body is None:
            self.failed(asked, self.too_long)
            return
        with self._one_turn():
            if not self._message(body, asked):
                self._listener.failed(asked, f"answered {method} with something that is not a response to it")

    async def refusal(
        self, exchange: Exchange, asked: int, doubtful: bool = False, words: bool = False
    ) -> bool:
        """Read the body of an HTTP error. True if it was a JSON-RPC error, which is the answer then, whatever
        id it has: one request is one exchange. With `words` another text is taken for one, too. Where it is
        `doubtful`, whatever has not the id of `asked` may say that the session is gone. Raises UpstreamError
        if it broke off."""
        body = await exchange.body(self.limit) or b""
        answer = _error_in(body) if exchange.media_type == "application/json" else None
        said = None if answer is None else {**answer, "id": asked}
        if said is None and words and body.strip():
            # Whole, since half a secret is not found when it is inspected.
            text = f"HTTP {exchange.status}: {body.decode('utf-8', 'replace')}"
            error: Json = {"code": jsonrpc.INVALID_REQUEST, "message": text}
            said = {"jsonrpc": "2.0", "id": asked, "error": error}
        if doubtful and (said is None or said != answer):
            self.expired(asked, said, len(body), sure=False)
        elif said is None:
            return False
        else:
            with self._one_turn():
                self._listener.received(said, len(body), asked)
        return True

    def expired(
        self, request_id: int, said: dict[str, Json] | None = None, size: int = 0, sure: bool = True
    ) -> None:
        """Tell it that the session is gone, or may be."""
        with self._one_turn():
            self._listener.expired(request_id, said, size, sure)

    def failed(self, request_id: int | None, sentence: str, lost: bool = False) -> None:
        """Tell it of a request that will have no answer; None for what needs none."""
        if request_id is not None:
            with self._one_turn():
                self._listener.failed(request_id, sentence, lost)

    def parted(self, request_id: int) -> None:
        """Tell it that the stream of this request was closed to go on later."""
        with self._one_turn():
            self._listener.parted(request_id)

    def ended(self) -> None:
        """Tell it that the wire is over."""
        with self._one_turn():
            self._listener.ended()


def _answers(head: bytes | None, asked: int) -> bool:
    """Whether a message that is too long is taken for the answer to `asked`, by its first bytes: it names
    no method, and no other id. What is not taken for it here may turn out to be it at its end."""
    if head is None or _METHOD.search(head):
        return False
    return jsonrpc.id_of_dropped(head, b"") in (None, asked)


def _error_in(body: bytes) -> dict[str, Json] | None:
    """The body as a JSON-RPC error response, None if it is not one."""
    message = json_object(body)
    if message is None or message.get("jsonrpc") != "2.0":
        return None
    error = message.get("error")
    if type(error) is dict and type(error.get("code")) is int and type(error.get("message")) is str:
        return {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
    return None
