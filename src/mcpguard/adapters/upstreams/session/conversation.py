"""One conversation with an upstream over one wire: who waits for what, in the upstream's own era.

Law of this file: a request is sent for a `Permit`, or is one of mcpguard's own of the protocol itself (the
greeting, the stream of events, the level of logs). The value of a placeholder is revealed only into the
message that goes to the upstream, after the decision is on record, and a request that a rule chose a
credential for is never sent with another one (law 3). What the upstream says is handed on raw; the gateway
inspects it.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

from mcpguard.adapters.upstreams.session.doubt import Doubt
from mcpguard.adapters.upstreams.session.greeting import Changed, Greeting, WireEnded, another
from mcpguard.adapters.upstreams.session.life import SHOWN, SessionMemory, Terms
from mcpguard.adapters.upstreams.session.listening import (
    SUBSCRIBE,
    SUBSCRIPTIONS,
    UNSUBSCRIBE,
    ListeningStream,
    remember,
    stream_of,
)
from mcpguard.adapters.upstreams.session.open_requests import (
    LISTS,
    OpenRequest,
    OpenRequests,
    RequestFailures,
    exhausted,
)
from mcpguard.adapters.upstreams.session.questions import OpenQuestions
from mcpguard.adapters.upstreams.wires.wire import Wire, WireListener
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.model import Json, Permit
from mcpguard.core.policy.placeholders import filled
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.flight import Flight, as_future
from mcpguard.gateway.ports import Question, RawAnswer, RequestId
from mcpguard.protocol.eras import SERVER_INFO_KEY, SET_LEVEL, legacy_params, modern_params
from mcpguard.protocol.jsonrpc import Oversize


class Conversation:
    """Implements `wire.WireListener`, `greeting.Ask`, `listening.StreamOwner` and
    `open_requests.RequestHolder`."""

    def __init__(
        self,
        terms: Terms,
        make: Callable[[WireListener], Wire],
        memory: SessionMemory,
        expired: Callable[[OpenRequest], None],
    ) -> None:
        """`expired(call)` takes a request whose session has expired: a new one is to begin, and what has
        no answer yet is sent in it."""
        self.over = False
        """Whether the wire has ended."""
        self.how = "has ended"
        """How it did: what follows the name of the upstream."""
        self.changed: Changed | None = None
        """Set when an answer showed that this is another server: the conversation must end."""
        self.greeting: Greeting | None = None
        self.session = 0
        """Counts the greetings on this wire."""
        self.stirred = asyncio.Event()
        """Set when the wire has ended or the session has."""
        self._terms = terms
        self._memory = memory
        self._expired = expired
        self._open = OpenRequests(
            terms.name, terms.message_bytes, self._late, terms.changed, terms.turn.strain
        )
        self.wire = make(self)
        self._doubt = Doubt(terms, self._open, self.wire, self._own, self._end)
        self._questions = OpenQuestions(terms.listener, self._open, self.wire.send)
        self._listening: ListeningStream | None = None
        self._asking: tuple[int, str] | None = None
        self._level: str | None = None
        self._before = 0

    @property
    def unanswered(self) -> int:
        """How many requests have no answer yet; streams of events do not count."""
        return len(self._open) if self._listening is None else len(self._open) - self._listening.streams

    @property
    def answers(self) -> int:
        """How many requests were answered since the greeting."""
        return self._open.answers - self._before

    @property
    def trouble(self) -> RequestFailures | None:
        """Since when and why requests fail, though the wire goes on; None while they do not."""
        return self._open.trouble

    # --- what we say -----------------------------------------------------------------------------

    def send(self, call: OpenRequest) -> None:
        """Send a permitted request; the conversation has been greeted."""
        permit, greeting = call.permit, self.greeting
        if permit is None or greeting is None:
            raise UpstreamError("a request needs a permit and a greeting")
        invocation, terms = permit.invocation, self._terms
        params: dict[str, Json] | None = invocation.params or {}
        if permit.placeholders or permit.credential != (terms.lane or ""):
            params = _params_of(call, permit, terms.lane)
        if params is None or (call.method in SUBSCRIPTIONS and self._subscribes(call, params)):
            return
        call.seconds = terms.start_seconds if call.method in LISTS else terms.call_seconds
        call.session, call.holder = self.session, self
        caller = invocation.caller
        if not greeting.modern and caller.modern and caller.log_level is not None:
            memory = self._memory
            memory.want(caller.log_level)
            if memory.wanted != self._level and "logging" in greeting.capabilities:
                self._level = memory.wanted
                self._own(OpenRequest(SET_LEVEL, seconds=self._terms.start_seconds), {"level": memory.wanted})
        request_id = self._open.add(call)
        token = None if call.progress is None else request_id
        if greeting.modern:
            level = None if caller.modern else self._memory.level
            params = modern_params(params, token, caller, greeting.version, level)
        elif token is not None or "_meta" in params:
            params = legacy_params(params, token)
        message = {"jsonrpc": "2.0", "id": request_id, "method": call.method, "params": params}
        call.sent_at = perf_counter()
        call.sent = self.wire.send(message, invocation.target, permit.credential)

    async def ask(self, method: str, params: dict[str, Json], seconds: float | None = None) -> Json:
        if self.over:
            raise WireEnded(method)
        call = OpenRequest(method)
        request_id = self._own(call, params)
        self._asking = (request_id, method)
        try:
            async with asyncio.timeout(seconds):
                return (await as_future(call)).message
        except TimeoutError:
            self._open.take(request_id)
            self.wire.forget(request_id)
            return None
        finally:
            self._asking = None

    def begin(self, greeting: Greeting) -> None:
        """The greeting is done: from now on `send` may be called."""
        self.greeting = greeting
        self.session += 1
        self._before = self._open.answers
        self._level = None
        self.wire.greeted(greeting.version, greeting.modern)
        if greeting.modern:
            self._listening = ListeningStream(self._terms, greeting, self._memory.uris, self)
            self._listening.start()
            return
        self.notify("notifications/initialized", {})
        for uri in self._memory.uris:
            self._own(OpenRequest(SUBSCRIBE, seconds=self._terms.start_seconds), {"uri": uri})

    def notify(self, method: str, params: dict[str, Json], credential: str = "") -> None:
        message: dict[str, Json] = {"jsonrpc": "2.0", "method": method}
        self.wire.send({**message, "params": params} if params else message, None, credential)

    def let_go(self, call: OpenRequest, reason: str) -> None:
        if self._open.find(call.number) is call:
            self._retract(call.number, reason, call.credential)
            self._open.take(call.number)

    def leave(self) -> None:
        """End it from our side."""
        if self._listening is not None:
            # Some servers complain on standard error if they cannot end a stream themselves.
            self._listening.leave()
        self.ended()

    def expire(self) -> None:
        """The session is gone, and with it what was asked in it."""
        self._questions.withdraw_all()
        self.stirred.set()

    def stop(self, problem: str) -> None:
        """The conversation is over: whoever waits learns `problem`."""
        if self._listening is not None:
            self._listening.stop(problem)
        self._questions.withdraw_all()
        self._open.fail_all(problem)

    def _own(self, call: OpenRequest, params: dict[str, Json]) -> int:
        """Send a request of mcpguard's own; gives its id."""
        request_id = self._open.add(call)
        self.wire.send({"jsonrpc": "2.0", "id": request_id, "method": call.method, "params": params})
        return request_id

    def _late(self, request_id: int, call: OpenRequest) -> None:
        self._retract(request_id, "it took too long", call.credential)
        if call.permit is not None and self.greeting is not None:
            self._doubt.late(self.greeting)
        self._terms.turn.touch()

    def _retract(self, request_id: int, reason: str, credential: str = "") -> None:
        if not self.wire.forget(request_id):
            params: dict[str, Json] = {"requestId": request_id, "reason": reason}
            self.notify("notifications/cancelled", params, credential)

    # --- levels and subscriptions ----------------------------------------------------------------

    def _subscribes(self, call: OpenRequest, params: dict[str, Json]) -> bool:
        """Whether nothing more is to be sent for this call."""
        uri = params.get("uri")
        if type(uri) is not str:
            return False
        if self._listening is None:
            Flight(remember(call, uri, call.method == SUBSCRIBE, self._memory.uris))
            return False
        self._listening.change(call, uri, call.method == SUBSCRIBE)
        return True

    def listen(self, params: dict[str, Json]) -> OpenRequest:
        call = OpenRequest("subscriptions/listen")
        self._own(call, params)
        return call

    def unlisten(self, stream: int) -> None:
        if self._open.take(stream) is not None:
            self._retract(stream, "it was replaced")

    def tell_on(self, method: str, params: dict[str, Json]) -> None:
        self._terms.listener.notified(self._terms.name, method, params)

    # --- what it says ----------------------------------------------------------------------------

    def received(self, message: dict[str, Json], size: int, related: int | None = None) -> None:
        """See `wire.WireListener`. A defect of ours behind a message is reported, and costs that message."""
        try:
            if "method" in message:
                self._heard(message, related)
                return
            greeting = self.greeting
            if greeting is not None and greeting.modern:
                self.changed = self.changed or self._change_in(message, greeting)
            if self.changed is not None:
                self.stirred.set()
            elif (call := self._open.answered(message)) is not None:
                call.set(RawAnswer(message, size, call.sent, call.sent_at))
            else:
                self._doubt.spoke = True  # Late, but alive.
        except Exception as defect:  # It would end the HTTP stream on which the other messages come.
            said = f"internal error ({type(defect).__name__}); a message of it was dropped"
            self._terms.report(self._terms.name, said)

    def _change_in(self, message: dict[str, Json], greeting: Greeting) -> Changed | None:
        """What is to be said where an answer bears another name than the greeting did: over HTTP no session
        would reveal another server (2026-07-28, basic/index, `_meta`)."""
        result, known = message.get("result"), greeting.server_info.get("name")
        meta = result.get("_meta") if type(result) is dict else None
        info = meta.get(SERVER_INFO_KEY) if type(meta) is dict else None
        name = info.get("name") if type(info) is dict else None
        if name == known or type(name) is not str or type(known) is not str:
            return None
        return another(self._terms, known, name)

    def _heard(self, message: dict[str, Json], related: int | None) -> None:
        method, params = message["method"], message.get("params", {})
        self._doubt.spoke = True
        if "id" in message:
            self._asked(message["id"], method, params, related)
        else:
            self._notified(method, params, related)

    def broken(self, request_id: RequestId | None, sentence: str, shown: str, why: str = "") -> None:
        self._open.broken(request_id, why)
        if why and request_id is not None:  # Other lines are chatter, such as a greeting.
            sentence = f"{sentence} ({why})"
        # Inspected before it is cut: half a secret is not found.
        clean = self._terms.clean(shown)[:SHOWN] if shown else ""
        self._terms.report(self._terms.name, f"{sentence}: {clean}" if clean else sentence)

    def oversize(self, line: Oversize) -> None:
        self._terms.report(self._terms.name, "a message over the limit was dropped")
        self._open.oversize(line)

    def failed(self, request_id: int, sentence: str, lost: bool = False) -> None:
        self._open.fail(request_id, sentence, lost)

    def expired(
        self, request_id: int, said: dict[str, Json] | None = None, size: int = 0, sure: bool = True
    ) -> None:
        call = self._open.take(request_id)
        if call is None:
            return
        if call.permit is None or sure or call.session != self.session:
            self._lapsed(call)
            return
        # What knows the session answers this, and nothing is done twice.
        probe = OpenRequest("ping", seconds=self._terms.start_seconds)
        probe.then(lambda _: self._answered_otherwise(call, probe, said, size))
        self._own(probe, {})

    def _answered_otherwise(
        self, call: OpenRequest, probe: OpenRequest, said: dict[str, Json] | None, size: int
    ) -> None:
        if probe.again:
            self._lapsed(call)
        elif said is not None:
            call.set(RawAnswer(said, size, call.sent, call.sent_at))
        else:
            call.fail(UpstreamError(f"upstream '{self._terms.name}' answered HTTP 400 to {call.method}"))

    def _lapsed(self, call: OpenRequest) -> None:
        """Its session is gone. What a rule allowed was for one request, which has left: only what has no
        effect is sent again."""
        before, call.again = call.again, True
        if before or call.permit is None:
            call.fail(UpstreamError(f"upstream '{self._terms.name}' does not keep its sessions"))
            return
        if call.method not in _REPEATED:
            call.fail(UpstreamError(_LAPSED.format(self._terms.name)))
        self._expired(call)

    def parted(self, request_id: int) -> None:
        self._terms.listener.parted(self._open.find(request_id))

    def left(self, failed: bool) -> None:
        if not self.over:
            self._doubt.left(self.greeting, failed)

    def _end(self, how: str) -> None:
        if not self.over:
            self.how = how
            self.ended()

    def ended(self) -> None:
        self.over = True
        self.stirred.set()
        if self._asking is not None:
            request_id, method = self._asking
            call = self._open.take(request_id)
            if call is not None:
                call.fail(WireEnded(method))

    def _asked(self, its_id: RequestId, method: str, params: dict[str, Json], related: int | None) -> None:
        if exhausted(0, self.wire.unsent):
            return  # It asks and does not read.
        wait, lane = self._open.find(related), self._terms.lane
        question = Question(self._terms.name, its_id, method, params, self._questions.answer, wait, lane)
        self._questions.take(question, None if self.greeting is None else self.greeting.modern)

    def _cancelled(self, request_id: Json) -> None:
        if self._listening is not None and self._listening.has(request_id):
            self._open.fail(request_id, "ended the stream")
        else:
            self._questions.withdraw(request_id)

    def _notified(self, method: str, params: dict[str, Json], related: int | None) -> None:
        if method == "notifications/progress":
            self._open.progressed(params)
        elif method == "notifications/cancelled":
            self._cancelled(params.get("requestId"))
        elif self._listening is not None and (stream := stream_of(params)) is not None:
            self._listening.heard(stream, method, params)
        else:
            self._terms.listener.notified(self._terms.name, method, params, self._open.find(related))


_REPEATED = LISTS | {"ping", SET_LEVEL}
"""What may be sent twice: no rule decides on it, and nothing comes of it."""
_LAPSED = (
    "upstream '{}' has lost its session, so a new one is started; this request was not sent again, since it "
    "may have been carried out: call again if it was not"
)
_ANYWHERE = frozenset({SET_LEVEL, UNSUBSCRIBE})
"""What every process of a server is told, whatever credential it has."""


def _params_of(call: OpenRequest, permit: Permit, lane: str | None) -> dict[str, Json] | None:
    """The params of `call` as they are sent. None where it is not for `lane` or a value is not there: then
    it has failed with CredentialError."""
    try:
        return _filled(call, permit, lane)
    except CredentialError as problem:
        call.fail(problem)
        return None


def _filled(call: OpenRequest, permit: Permit, lane: str | None) -> dict[str, Json]:
    if lane is not None and permit.credential != lane and call.method not in _ANYWHERE:
        raise CredentialError(f"this process does not have the credential '{permit.credential}'")
    params = permit.invocation.params or {}
    if not permit.placeholders:
        return params

    def value(ref: CredentialRef) -> str:
        secret = call.values.get(ref)
        if secret is None:
            raise CredentialError(f"there is not a value for {ref}")
        return secret.reveal()

    return {**params, "arguments": filled(params.get("arguments") or {}, permit.placeholders, value)}
