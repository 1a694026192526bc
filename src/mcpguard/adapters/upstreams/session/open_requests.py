"""The open requests on one wire, the clock of each, and how long the client waits for an upstream that takes
and answers nothing (laws 5 and 8).

Law of this file: each is resolved once, by the first answer with its id or by its deadline: an answer that
cannot be used is a clear error, never a caller who waits for ever. Whatever belongs to no open request
changes nothing. One timer watches all of them, since nearly every request is answered long before. The client
is held back while a full upstream moves, so that memory stays small; one that has stopped holds the client
back no longer than `STALL_SECONDS`, and then takes a bounded amount more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol

from msgspec import Struct

from mcpguard.adapters.upstreams.session.life import lasting
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json, Permit
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import RawAnswer, RequestId
from mcpguard.protocol import jsonrpc
from mcpguard.protocol.jsonrpc import Oversize

STALL_SECONDS = 2.0
"""A full upstream that has neither answered nor taken a byte for this long has stopped."""
FULL_OPEN = 256
"""Open requests above which an upstream is full."""
FULL_BYTES = 256 * 1024
"""Unsent bytes above which an upstream is full."""
MOST = 16
"""An upstream that has stopped takes this many times as much as a full one; what comes then is refused."""

LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
"""Methods whose answers everybody waits for, so they may not take as long as a call."""


class UpstreamLoad:
    """How many requests are open at one upstream, and how many bytes are unsent."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` lets flow control look again."""
        self._wake = wake
        self._last = (0, 0)
        self._moved: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def holds(self, opened: int, unsent: int) -> bool:
        """Whether the client should wait for this upstream."""
        if not crowded(opened, unsent):
            self._moved = None
            return False
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._moved is None or opened < self._last[0] or unsent < self._last[1]:
            self._moved = now
        self._last = (opened, unsent)
        if now - self._moved >= STALL_SECONDS:
            return False
        if self._timer is None:
            self._timer = loop.call_later(STALL_SECONDS, self._on_timer)
        return True

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()


def crowded(opened: int, unsent: int) -> bool:
    """Whether an upstream is full."""
    return opened >= FULL_OPEN or unsent > FULL_BYTES


def exhausted(opened: int, unsent: int) -> bool:
    """Whether an upstream can take no more requests."""
    return opened >= MOST * FULL_OPEN or unsent > MOST * FULL_BYTES


Progress = Callable[[Json], None]

STRETCH = 6
"""Progress restarts a deadline; a request may take at most this many times the deadline."""


class RequestHolder(Protocol):
    """Who has a request at the moment."""

    def let_go(self, call: OpenRequest, reason: str) -> None:
        """Nobody waits for its answer any more; an upstream that was asked already is told."""


class OpenRequest(Wait[RawAnswer]):
    """One request, and the wait for its answer. `seconds` is its deadline, 0 if there is none. `permit` is
    None for a request of mcpguard's own; `values` are those of the placeholders in it. `holder` has it now;
    `number` is its id on the wire, and `session` the one that it was sent in; `again` says that it was sent
    once before, in one that had expired; `sent` and `sent_at` are as in `RawAnswer`; `answers` is how many
    there were when it was sent, -1 once it has made progress. The rest is its clock, in seconds of the event
    loop."""

    method: str
    permit: Permit | None = None
    progress: Progress | None = None
    seconds: float = 0.0
    values: Mapping[CredentialRef, Secret] = {}
    holder: RequestHolder | None = None
    number: int = 0
    again: bool = False
    session: int = 0
    sent: int = 0
    sent_at: float = 0.0
    due: float = inf
    latest: float = inf
    pauses: int = 0
    paused_at: float = 0.0
    answers: int = 0

    @property
    def credential(self) -> str:
        """The one that a rule chose for it, "" for none."""
        return "" if self.permit is None else self.permit.credential

    def cancel(self, reason: str) -> None:
        """Nobody waits for the answer any more."""
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.let_go(self, reason)
        self.fail(UpstreamError(f"this answer is no longer awaited: {reason}"))


class RequestFailures(Struct, frozen=True):
    """Requests fail on their way `since` then, in seconds since 1970. `problem` is the last one."""

    since: float
    problem: str


class OpenRequests:
    """A table from our own ids, which count up, to whoever waits."""

    def __init__(
        self,
        server: str,
        limit: int,
        late: Callable[[int, OpenRequest], None],
        changed: Callable[[], None] = lambda: None,
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        """`server` is named in errors; `limit` is that of a message, in bytes; `late(id, call)` is called
        after a request has failed at its deadline; `changed()` when there is a `trouble` or no more, and
        `crowded()` when enough are open that flow control has to look."""
        self.answers = 0
        """How many were answered with a JSON-RPC response."""
        self.trouble: RequestFailures | None = None
        """Why the server counts as failing: the last permitted request was lost, or two in a row timed out
        and nothing was answered in between. None once one is answered again."""
        self._server = server
        self._limit = limit
        self._late = late
        self._changed = changed
        self._crowded = crowded
        self._last = 0
        self._open: dict[int, OpenRequest] = {}
        self._clock = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next = inf
        self._standing = 0
        self._silent = -1
        """How many answers there had been when the last request timed out."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, call: OpenRequest) -> int:
        """A new request; gives its id, and its clock starts."""
        self._last += 1
        call.number = self._last
        self._open[self._last] = call
        if len(self._open) >= FULL_OPEN:
            self._crowded()
        if call.seconds:
            now = self._clock.time()
            call.due, call.latest = now + call.seconds, now + STRETCH * call.seconds
            call.pauses, call.paused_at, call.answers = self._standing, now, self.answers
            if call.due < self._next:
                self._look_at(call.due)
        return self._last

    # --- answers ---------------------------------------------------------------------------------

    def answered(self, message: dict[str, Json]) -> OpenRequest | None:
        """The request that this JSON-RPC response answers; it is open no more. None for none, also where the
        response has not the shape that MCP gives it."""
        if type(message.get("result")) is not dict and not _is_error(message):
            self.broken(message["id"])
            return None
        request_id = message["id"]
        call = self._open.pop(request_id, None) if type(request_id) is int else None
        if call is not None:
            self.answers += 1
            if self.trouble is not None:
                self._recovered()
        return call

    def _recovered(self) -> None:
        self.trouble = None
        self._changed()

    def broken(self, request_id: RequestId | None, why: str = "") -> None:
        """Take what has this id and is not a response; `why` says what is wrong with it."""
        what = "answered with something that is not a JSON-RPC response"
        self.fail(request_id, f"{what} ({why})" if why else what)

    def oversize(self, line: Oversize) -> None:
        """Take a message that was too long to be kept."""
        request_id = jsonrpc.id_of_dropped(line.head, line.tail)
        self.fail(
            request_id,
            f"answered with more than {self._limit} bytes (`limits.message_bytes`); it was dropped",
        )

    def progressed(self, params: dict[str, Json]) -> None:
        token = params.get("progressToken")
        call = self._open.get(token) if type(token) is int else None
        if call is not None and call.progress is not None:
            if call.seconds:
                call.due, call.answers = min(self._clock.time() + call.seconds, call.latest), -1
            call.progress(params)

    def fail(self, request_id: RequestId | None, what: str, lost: bool = False) -> None:
        """There will be no answer to it; `what` follows the name of the upstream. For `lost` see
        `wire.WireListener`."""
        call = self._pop(request_id)
        if call is None:
            return
        problem = f"upstream '{self._server}' {what}"
        if lost and call.permit is not None:  # What mcpguard asks by itself, it asks again.
            before = self.trouble
            self.trouble = RequestFailures(time.time() if before is None else before.since, problem)
            if before is None:
                self._changed()
        call.fail(UpstreamError(problem))

    def fail_all(self, problem: str) -> None:
        """There will be no more answers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._next = None, inf
        for request_id in list(self._open):
            call = self._pop(request_id)
            if call is not None:
                call.fail(UpstreamError(problem))

    # --- who waits -------------------------------------------------------------------------------

    def find(self, request_id: int | None) -> OpenRequest | None:
        """The request of this id; None if it is not open."""
        return self._open.get(request_id) if request_id is not None else None

    def credential_of(self, wait: Wait[RawAnswer] | None) -> str:
        """The credential of the request that `wait` is, "" for none and if it is not open."""
        is_open = isinstance(wait, OpenRequest) and self._open.get(wait.number) is wait
        return wait.credential if isinstance(wait, OpenRequest) and is_open else ""

    def take(self, request_id: int) -> OpenRequest | None:
        """Take a request out; it is open no more. None if it is not open."""
        return self._pop(request_id)

    def _pop(self, request_id: RequestId | None) -> OpenRequest | None:
        return self._open.pop(request_id, None) if type(request_id) is int else None

    # --- deadlines -------------------------------------------------------------------------------

    def pause(self, wait: Wait[RawAnswer] | None) -> None:
        """The clock of this request stands still; that of every one if `wait` is None."""
        now = self._clock.time()
        self._standing += wait is None
        for call in self._open.values():
            if wait is None or call is wait:
                if not call.pauses:
                    call.paused_at = now
                call.pauses += 1

    def resume(self, wait: Wait[RawAnswer] | None) -> None:
        """Takes back one `pause` with the same argument."""
        now = self._clock.time()
        self._standing -= wait is None
        for call in self._open.values():
            if wait is None or call is wait:
                call.pauses -= 1
                if not call.pauses:
                    stood = now - call.paused_at
                    call.due += stood
                    call.latest += stood
        self._on_timer()

    def overdue(self, call: OpenRequest) -> bool:
        """Whether its deadline is over."""
        return call.due <= self._clock.time()

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = moment
        self._timer = self._clock.call_at(moment, self._on_timer)

    def _on_timer(self) -> None:
        """Fail what is late, and look again when the next one may be."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._next = None, inf
        now = self._clock.time()
        ticking = [(call.due, request_id) for request_id, call in self._open.items() if not call.pauses]
        upcoming = min((due for due, _ in ticking if due > now), default=inf)
        if upcoming < inf:
            self._look_at(upcoming)
        for due, request_id in ticking:
            if due <= now:
                self._expire(request_id)

    def _expire(self, request_id: int) -> None:
        call = self._open.get(request_id)
        if call is not None:
            setting = "start_timeout_seconds" if call.method in LISTS else "call_timeout_seconds"
            seconds, setting = call.seconds, f"`{setting}`"
            if call.due >= call.latest:
                seconds, setting = STRETCH * seconds, f"{STRETCH} times {setting}"
            lost = self._silent == self.answers == call.answers
            self._silent = self.answers
            self.fail(request_id, f"did not answer {call.method} within {lasting(seconds)} ({setting})", lost)
            self._late(request_id, call)


def _is_error(message: dict[str, Json]) -> bool:
    """Whether its error has the shape that MCP gives it."""
    error = message.get("error")
    return type(error) is dict and type(error.get("code")) is int and type(error.get("message")) is str
