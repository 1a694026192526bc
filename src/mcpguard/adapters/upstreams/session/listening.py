"""What a modern upstream tells without being asked: one `subscriptions/listen` stream, kept open.

Law of this file: a change of what is subscribed opens the new stream, waits until the upstream has
acknowledged it, and only then lets the old one go, so that no event falls between the two. Frames that
belong to no stream of ours are ignored.

Source: specification 2026-07-28, basic/patterns/subscriptions.
"""

import asyncio
from typing import Protocol

from msgspec import Struct

from mcpguard import __version__
from mcpguard.adapters.upstreams.session.greeting import Greeting
from mcpguard.adapters.upstreams.session.life import MOST_SECONDS, Backoff, Terms, lasting
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.ports import RawAnswer
from mcpguard.protocol import eras, jsonrpc

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIBE = "resources/subscribe"
UNSUBSCRIBE = "resources/unsubscribe"
SUBSCRIPTIONS = frozenset({SUBSCRIBE, UNSUBSCRIBE})

_LIST_CHANGED = {
    "tools": "toolsListChanged",
    "prompts": "promptsListChanged",
    "resources": "resourcesListChanged",
}


class StreamOwner(Protocol):
    """What opens and closes streams, and who hears what comes on them."""

    def listen(self, params: dict[str, Json]) -> OpenRequest:
        """Send `subscriptions/listen`; gives the request, whose answer ends it."""

    def unlisten(self, stream: int) -> None:
        """Cancel a stream; its wait is never over."""

    def tell_on(self, method: str, params: dict[str, Json]) -> None:
        """Hand on a notification, now without the id of its stream."""


class _Change(Struct, eq=False):
    wait: Wait[RawAnswer]
    uri: str
    subscribe: bool
    new: bool = False
    """Whether no other client is subscribed to it."""


class ListeningStream:
    """The stream of one conversation."""

    def __init__(
        self,
        terms: Terms,
        greeting: Greeting,
        uris: dict[str, None],
        speaker: StreamOwner,
    ) -> None:
        """`greeting` is the upstream's; `uris` is what is subscribed, and it is changed here. An
        acknowledgement may take as long as a start."""
        self._terms = terms
        self._version = greeting.version
        self._types: dict[str, Json] = {
            wanted: True
            for what, wanted in _LIST_CHANGED.items()
            if declares(greeting.capabilities, what, "listChanged")
        }
        self._uris = uris
        self._speaker = speaker
        self._current: int | None = None
        self._opening: int | None = None
        self._asked: list[_Change] = []
        self._waiting: list[_Change] = []
        self._timer: asyncio.TimerHandle | None = None
        self._backoff = Backoff()
        self._since = 0.0
        self._stopped = False

    @property
    def streams(self) -> int:
        """How many streams are open now."""
        return (self._current is not None) + (self._opening is not None)

    def has(self, stream: Json) -> bool:
        """Whether this is the id of a stream that is open or opens."""
        return type(stream) is int and stream in (self._current, self._opening)

    def start(self) -> None:
        """Open the stream, if there is anything to hear."""
        if self._types or self._uris:
            self._open()

    def stop(self, problem: str) -> None:
        """The wire is over."""
        self._stopped = True
        self._cancel_timer()
        changes, self._asked, self._waiting = [*self._asked, *self._waiting], [], []
        for change in changes:
            change.wait.fail(UpstreamError(problem))

    def leave(self) -> None:
        """Cancel the stream: no client listens any more."""
        self._cancel_timer()
        self._let_go(None)
        if self._opening is not None:
            self._speaker.unlisten(self._opening)

    def change(self, wait: OpenRequest, uri: str, subscribe: bool) -> None:
        """Subscribe a resource, or take it back. `wait` gets an empty result once the upstream has agreed;
        it fails with UpstreamError otherwise, at the deadline of a call at the latest."""
        change = _Change(wait, uri, subscribe, subscribe and uri not in self._uris)
        if self._opening is None and (uri in self._uris) == subscribe:
            _agree(change)
            return
        if subscribe:
            self._uris[uri] = None
        else:
            self._uris.pop(uri, None)
        self._waiting.append(change)
        wait.holder = self
        late = asyncio.get_running_loop().call_later(self._terms.call_seconds, self._overdue, change)
        wait.then(lambda _: late.cancel())
        if self._opening is None:
            self._open()

    def let_go(self, call: OpenRequest, _reason: str) -> None:
        """See `open_requests.RequestHolder`; nothing happens if the change is settled."""
        for change in [one for one in (*self._asked, *self._waiting) if one.wait is call]:
            self._end(change, "took too long")

    def heard(self, stream: Json, method: str, params: dict[str, Json]) -> None:
        """Take a notification that carries the id of a stream."""
        if not self.has(stream):
            return
        if method == ACKNOWLEDGED:
            self._acknowledged(stream, params.get("notifications"))
            return
        meta = {key: value for key, value in params["_meta"].items() if key != eras.SUBSCRIPTION_KEY}
        rest = {key: value for key, value in params.items() if key != "_meta"}
        self._speaker.tell_on(method, {**rest, "_meta": meta} if meta else rest)

    # --- the stream ------------------------------------------------------------------------------

    def _open(self) -> None:
        self._cancel_timer()
        self._asked, self._waiting = self._waiting, []
        wanted = dict(self._types)
        if self._uris:
            wanted["resourceSubscriptions"] = list(self._uris)
        if not wanted:
            self._let_go(None)
            self._settle(None)
            return
        meta = eras.envelope(
            self._terms.listener.declared_to(self._terms.name), self._version, "mcpguard", __version__
        )
        stream = self._speaker.listen({"notifications": wanted, "_meta": meta})
        self._opening = stream.number
        self._timer = asyncio.get_running_loop().call_later(self._terms.start_seconds, self._late)
        Flight(self._watch(stream))

    def _let_go(self, current: int | None) -> None:
        old, self._current = self._current, current
        if old is not None:
            self._speaker.unlisten(old)

    def _acknowledged(self, stream: int, agreed: Json) -> None:
        if stream != self._opening:
            return
        self._cancel_timer()
        self._opening = None
        self._since = asyncio.get_running_loop().time()
        self._let_go(stream)
        self._settle(agreed)
        if self._waiting:
            self._open()

    def _settle(self, agreed: Json) -> None:
        """Answer whoever waited for this stream."""
        taken = agreed.get("resourceSubscriptions") if type(agreed) is dict else list(self._uris)
        taken = taken if type(taken) is list else []
        changes, self._asked = self._asked, []
        for change in changes:
            if change.subscribe and change.uri in self._uris and change.uri not in taken:
                self._refuse(change, "did not agree to this subscription")
            else:
                _agree(change)

    def _refuse(self, change: _Change, why: str) -> None:
        if change.subscribe:
            self._uris.pop(change.uri, None)
        change.wait.fail(UpstreamError(f"upstream '{self._terms.name}' {why}"))

    def _overdue(self, change: _Change) -> None:
        method = SUBSCRIBE if change.subscribe else UNSUBSCRIBE
        within = lasting(self._terms.call_seconds)
        self._end(change, f"did not answer {method} within {within} (`call_timeout_seconds`)")

    def _end(self, change: _Change, why: str) -> None:
        """Give it up before the upstream has answered: what it alone subscribed to is taken back."""
        if change.subscribe:
            (self._asked if change in self._asked else self._waiting).remove(change)
            others = [one for one in (*self._asked, *self._waiting) if one.uri == change.uri]
            for other in others:
                other.new |= change.new
            if change.new and not others:
                self._uris.pop(change.uri, None)
                self._waiting.append(_Change(Wait(), change.uri, False))  # The stream that opens may have it.
        change.wait.fail(UpstreamError(f"upstream '{self._terms.name}' {why}"))

    async def _watch(self, stream: OpenRequest) -> None:
        """Wait for the end of a stream."""
        code: Json = None
        try:
            raw = await stream
            code = raw.message["error"]["code"] if "error" in raw.message else None
        except UpstreamError:
            pass  # The exchange failed, or the wire is over.
        if not self._stopped:
            self._ended(stream.number, code)

    def _late(self) -> None:
        stream, self._timer = self._opening, None
        if stream is not None:
            self._speaker.unlisten(stream)
            self._ended(stream, None)

    def _ended(self, stream: int, code: Json) -> None:
        if stream == self._opening:
            self._cancel_timer()
            self._opening = None
            changes, self._asked = self._asked, []
            for change in changes:
                self._refuse(change, "did not open the subscription")
        elif stream == self._current:
            self._current = None
        if self._opening is not None:
            return
        if self._waiting:
            self._open()
        elif self._current is None and code != jsonrpc.METHOD_NOT_FOUND:
            loop = asyncio.get_running_loop()
            lived = loop.time() - self._since if self._since else 0.0
            self._since = 0.0
            pause = self._backoff.failed(loop.time(), lived >= MOST_SECONDS)
            self._timer = loop.call_later(pause, self.start)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def declares(capabilities: dict[str, Json], what: str, feature: str) -> bool:
    """Whether a server's capability `what` has `feature`."""
    declared = capabilities.get(what)
    return type(declared) is dict and declared.get(feature) is True


def _agree(change: _Change) -> None:
    change.wait.set(RawAnswer({"jsonrpc": "2.0", "id": 0, "result": {}}, 2))


def stream_of(params: dict[str, Json]) -> Json:
    """The id of the stream that a notification came on, None for none."""
    meta = params.get("_meta")
    return meta.get(eras.SUBSCRIPTION_KEY) if type(meta) is dict else None


async def remember(answer: Wait[RawAnswer], uri: str, subscribe: bool, uris: dict[str, None]) -> None:
    """Keep in `uris` what a legacy upstream has agreed to, so that its next life can be told."""
    try:
        raw = await answer
    except UpstreamError:
        return
    if raw.status == "error":
        return
    if subscribe:
        uris[uri] = None
    else:
        uris.pop(uri, None)
