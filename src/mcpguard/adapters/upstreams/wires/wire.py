"""What carries messages to one upstream and back: a process, an HTTP session, an SSE stream.

Law of this file: a wire knows bytes, processes and HTTP; it knows no ids, no eras and no policy. The
session above it (`session/instance.py`) is the same for all wires.
"""

from typing import Protocol

from mcpguard.core.model import Json, Listed
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import Oversize


class WireListener(Protocol):
    """Who hears a wire. Each call is one turn of work: the wire wraps it in `turn.inside` and `turn.end`."""

    def received(self, message: dict[str, Json], size: int, related: int | None = None) -> None:
        """A message in JSON-RPC shape of `size` bytes. `related` is the id of our request on whose
        response stream it came, None where the wire does not tell."""

    def broken(self, request_id: int | str | None, sentence: str, shown: str, why: str = "") -> None:
        """Something that is not a JSON-RPC message; `request_id` where it could be read. `sentence` says
        what it is, `shown` is its uninspected beginning for the operator, "" for none; `why` says what is
        wrong with it."""

    def oversize(self, line: Oversize) -> None:
        """A message over the limit, dropped."""

    def failed(self, request_id: int, sentence: str, lost: bool = False) -> None:
        """This request will have no answer; the wire itself goes on. `sentence` follows the words
        "upstream 'NAME' ". `lost`: its HTTP exchange failed, so that the next one may fail as well."""

    def expired(
        self, request_id: int, said: dict[str, Json] | None = None, size: int = 0, sure: bool = True
    ) -> None:
        """The upstream no longer knows our session (HTTP 404, specification 2025-11-25, basic/transports,
        session management): initialize again. Unless `sure`, it may mean something else (HTTP 400): then
        `said`, of `size` bytes, is its answer, None for nothing."""

    def parted(self, request_id: int) -> None:
        """The upstream closed the connection of this request on purpose: its stream goes on later."""

    def left(self, failed: bool) -> None:
        """The process that was started has ended, `failed` or not, and something that it started keeps the
        wire open. Some launchers do that on purpose."""

    def ended(self) -> None:
        """The wire is over: the process has ended, the stream is closed. Told once."""


class Wire(Protocol):
    """One connection. Made for one life of the upstream; a restart makes a new one."""

    @property
    def last_status(self) -> int | None:
        """The HTTP status of the last answer to a request, 0 before the first; None for a wire without
        HTTP."""

    @property
    def one_stream(self) -> bool:
        """Whether all that the upstream says comes one after the other, so that silence is that of all."""

    @property
    def held(self) -> bool:
        """Whether nothing is read at present."""

    @property
    def unsent(self) -> int:
        """Bytes that were given and not yet taken by the other side."""

    async def open(self) -> None:
        """Connect, or start the process. Raises UpstreamError or CredentialError with a sentence for the
        operator and the client, or OSError."""

    def send(self, message: dict[str, Json], target: Listed | None = None, credential: str = "") -> int:
        """Send one whole JSON-RPC message, which leaves at the end of the turn; gives its bytes. `target` is
        what a request is for, so that HTTP can mirror parameters in headers (2026-07-28, streamable-http);
        `credential` is what a rule chose to send it with, "" for the server's own. A process has one all its
        life."""

    def greeted(self, version: str, modern: bool) -> None:
        """The protocol revision is known from now on. A legacy HTTP wire opens its GET stream."""

    def forget(self, request_id: int) -> bool:
        """Nobody waits for this request. True where closing its stream is itself the cancellation
        (modern HTTP); False where the session must send `notifications/cancelled`."""

    def hold(self, on: bool) -> None:
        """Read nothing more, or read again."""

    async def last_words(self) -> str:
        """What the operator should know of the end, "" for nothing: exit status, last line of stderr."""

    async def close(self, gently: bool) -> None:
        """End it: afterwards no process and no connection of it is alive."""


def too_many_values(listener: WireListener, problem: jsonrpc.TooManyValues) -> None:
    """Tell `listener` of a message that was dropped, and its request where there is one."""
    most = f"{jsonrpc.MOST_VALUES:,}"
    listener.broken(None, f"a message of more than {most} values was dropped", "")
    if type(problem.request_id) is int:
        said = f"answered with more than {most} values, which is too many to inspect; ask it for less at once"
        listener.failed(problem.request_id, said)
