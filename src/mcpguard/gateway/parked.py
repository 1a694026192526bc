"""The calls of one client that wait for its answer to a question, each under a `requestState` of ours.

Law of this file: a `requestState` that a client sees is a random key to what is kept here. It says nothing,
cannot be made up, leads only to the same request of the same client, and expires. What is kept is bounded.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from msgspec import Struct

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Clock
from mcpguard.gateway.questions import Asked
from mcpguard.gateway.request import Request
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.calls import Call

MAX_PARKED = 1000
"""How many answers of one client may be outstanding."""
MAX_PARKED_BYTES = 64 * 1024 * 1024
"""What is kept for them, counted as JSON text; above it the oldest expire."""

Resumed = Wait[tuple[Request, dict[str, Json]]]
"""The retry and its responses."""

_UNKNOWN_STATE = "`requestState` is unknown, has expired or belongs to another request"


class Parked(Struct, eq=False):
    """What a `requestState` of ours leads to. `credential` is the one that the call was made with, "" for
    none that a rule chose. `state` is the modern upstream's own; for a legacy upstream `wait` resumes the
    flight of `request` with the retry and its responses. `asked` is what the client was shown; `size` is in
    bytes. `forget` stops the clock."""

    fingerprint: bytes
    asked: dict[str, Asked]
    size: int
    forget: Callable[[], None]
    credential: str
    state: str | None = None
    request: Request | None = None
    wait: Resumed | None = None

    def give_up(self, reason: str) -> None:
        """End a suspended call: the retry that could resume it was refused or never came."""
        if self.request is not None:
            self.request.cancel(reason)


class ParkedCalls:
    """What the `requestState`s of one client lead to, the oldest first."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Each is kept for so many `seconds`."""
        self._clock = clock
        self._seconds = seconds
        self._parked: dict[str, Parked] = {}
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether one more costs the oldest its place."""
        return len(self._parked) >= MAX_PARKED

    @property
    def any(self) -> bool:
        """Whether a retry of the client could still go on with something."""
        return bool(self._parked)

    def requests(self) -> list[Request]:
        """Those whose flights are suspended."""
        return [one.request for one in self._parked.values() if one.request is not None]

    def keep(
        self,
        call: Call,
        asked: dict[str, Asked],
        state: str | None,
        credential: str,
        request: Request | None = None,
        wait: Resumed | None = None,
    ) -> str:
        """Keep what the retry of `call` goes on with; gives its `requestState`. `asked` are the questions
        to the client, `credential` is what the call was made with; `request` and `wait` are there where its
        flight is suspended."""
        # Of a call that its upstream has answered nothing else is needed: its arguments come with the retry.
        shown = [one.shown for one in asked.values()]
        kept = [state, list(asked), shown] if request is None else [request.params, list(asked), shown]
        size = len(jsonrpc.encode(kept))
        while self._parked and (len(self._parked) >= MAX_PARKED or self._bytes + size > MAX_PARKED_BYTES):
            self._expire(next(iter(self._parked)), "expired")
        token = secrets.token_urlsafe(32)
        stop = self._clock.later(self._seconds, lambda: self._expire(token, "expired"))
        self._parked[token] = Parked(call.fingerprint(), asked, size, stop, credential, state, request, wait)
        self._bytes += size
        return token

    def _taken(self, token: str) -> Parked:
        parked = self._parked.pop(token)
        self._bytes -= parked.size
        parked.forget()
        return parked

    def _expire(self, token: str, reason: str) -> None:
        self._taken(token).give_up(reason)

    def known(self, call: Call, state: str) -> Parked:
        """What the retry `call` would go on with. Raises MessageError where its `requestState`, `state`,
        leads to nothing."""
        parked = self._parked.get(state)
        if parked is None or parked.fingerprint != call.fingerprint():
            raise MessageError(jsonrpc.INVALID_PARAMS, _UNKNOWN_STATE)
        return parked

    def claim(self, call: Call, state: str) -> Parked:
        """As `known`, and from now on the retry `call` goes on with it."""
        parked = self.known(call, state)
        if parked.wait is not None:
            # The suspended call goes on once; a modern upstream's state may be used again, as directly.
            self._taken(state)
        return parked

    def suspended(self, call: Call) -> bool:
        """Whether `call` is the retry that goes on with a suspended call."""
        parked = None if call.state is None else self._parked.get(call.state)
        return parked is not None and parked.wait is not None and parked.fingerprint == call.fingerprint()

    def refuse(self, call: Call) -> None:
        """Policy denies the retry `call`: what only it could have resumed is over."""
        if call.state is not None and self.suspended(call):
            self._expire(call.state, "denied")

    def abandon(self, reason: str) -> None:
        """End every call that waits for the client."""
        for token in list(self._parked):
            self._expire(token, reason)
