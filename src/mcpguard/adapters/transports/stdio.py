"""The client over our own standard input and output (specification: basic/transports, stdio).

Law of this file: nothing is written but a `Redacted` (laws 2 and 6), and a line that cannot be read in
one way never reaches the gateway (law 4).
"""

from collections.abc import Callable

from mcpguard.adapters.relay.turn import Link, Turn, own_descriptor
from mcpguard.core.errors import MessageError
from mcpguard.core.model import Redacted
from mcpguard.gateway.ports import Receiver, RequestId
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import Oversize


class StdioClient:
    """The one client of a stdio session; implements `ports.Client`."""

    def __init__(self, turn: Turn, message_bytes: int) -> None:
        """`message_bytes` bounds one message."""
        self._turn = turn
        self._message_bytes = message_bytes
        self._link: Link | None = None
        self._send: Callable[..., None] = _nowhere

    def connect(
        self,
        receiver: Receiver,
        ended: Callable[[], None],
        fds: tuple[int, int] = (0, 1),
    ) -> None:
        """Start reading: `receiver` gets what comes, message by message, `ended` the end."""

        def line_came(line: bytes | Oversize) -> None:
            if not isinstance(line, bytes):
                said = f"message is larger than {self._message_bytes} bytes"
                receiver.refuse_message(MessageError(jsonrpc.INVALID_REQUEST, said))
                return
            try:
                message = jsonrpc.parse_strict(line)
            except MessageError as problem:
                _refused(receiver, problem)
                return
            receiver.receive(message)

        reading, writing = own_descriptor(fds[0], False), own_descriptor(fds[1], True)
        self._link = Link(self._turn, reading, writing, self._message_bytes, line_came, ended)
        self._send = self._link.send

    def reply(self, request_id: RequestId, result: Redacted) -> None:
        self._send(*jsonrpc.result_line(request_id, result.payload))

    def refuse(self, request_id: RequestId | None, error: Redacted) -> None:
        self._send(jsonrpc.error_line(request_id, error.payload))

    def notify(self, method: str, params: Redacted, related: RequestId | None = None) -> None:
        """See `ports.Client.notify`; one stream carries everything."""
        self._send(jsonrpc.notification_line(method, params.payload))

    def ask(
        self, question_id: RequestId, method: str, params: Redacted, related: RequestId | None = None
    ) -> None:
        self._send(jsonrpc.question_line(question_id, method, params.payload))

    def part(self, request_id: RequestId) -> None:
        """See `ports.Client.part`: there is one connection, which stays."""

    def shown(self, request_id: RequestId) -> RequestId:
        return request_id

    @property
    def full(self) -> bool:
        """Whether the client takes less than it is given."""
        return self._link is not None and self._link.full

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken yet."""
        return 0 if self._link is None else self._link.unsent

    @property
    def drained(self) -> bool:
        """Whether everything was handed to the system, or the client is gone."""
        return self._link is None or not self._link.open or not self._link.unsent

    def hold(self, on: bool) -> None:
        """Read nothing more from the client, or read again."""
        if self._link is not None:
            self._link.hold(on)

    def close(self) -> None:
        """Release the descriptors."""
        if self._link is not None:
            self._link.close()


def _nowhere(*_parts: bytes) -> None:
    """Nobody is connected yet."""


def _refused(receiver: Receiver, problem: MessageError) -> None:
    if not isinstance(problem, jsonrpc.Batch) or not receiver.batches:
        receiver.refuse_message(problem)
        return
    for one in jsonrpc.take_apart(problem):
        if isinstance(one, MessageError):
            receiver.refuse_message(one)
        else:
            receiver.receive(one)
