"""Multi round trips (specification 2026-07-28: basic/patterns/mrtr), with a modern client, a modern upstream,
or both: a call that its upstream answers with a question first, and what is kept until its client comes back.

Law of this file: no question is asked without a decision, and an answer goes only to the upstream that asked.
A `requestState` that a client sees is a random key to state that is kept here. It reveals nothing, cannot be
forged, works only for the same request of the same client, and expires. The state is bounded.
"""

import os
from collections.abc import Callable, Collection

from msgspec import Struct

from mcpguard.core.errors import MessageError, UpstreamError
from mcpguard.core.evidence.records import PAUSED
from mcpguard.core.model import Json, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.tickets import Ticket
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Clock, Question, RawAnswer
from mcpguard.gateway.questions.relayed import Questions, RelayedQuestion, note_lack
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import eras, jsonrpc, refusals
from mcpguard.protocol.calls import Call

TOGETHER_SECONDS = 0.02
"""Questions of a legacy upstream that come within this time are put together, in one answer."""
MAX_ROUNDS = 16
"""How often a modern upstream may ask a legacy client in one call."""
MAX_PARKED = 1000
"""How many answers of one client may be outstanding."""
MAX_PARKED_BYTES = 64 * 1024 * 1024
"""What is kept for them, counted as JSON text; above it the oldest expire."""

_ELICIT = "elicitation/create"
_NOT_MCP = "the upstream's request for input is not valid MCP"
_RETRY = ("inputResponses", "requestState")
_UNKNOWN_STATE = (
    "`requestState` is unknown, has expired or belongs to another request: make the call again without "
    "`requestState` and `inputResponses`"
)

Resumed = Wait[tuple[Request, dict[str, Json]]]
"""The retry and its responses."""


class Parked(Struct, eq=False):
    """What a `requestState` of ours leads to. `credential` is the one that the call was made with, "" for
    none that a rule chose, and `ticket` that by which a person approved it. `state` is the modern upstream's
    own; for a legacy upstream `wait` resumes the flight of `request` with the retry and its responses.
    `asked` is what the client was shown; `size` is in bytes. `forget` stops the clock."""

    fingerprint: bytes
    asked: dict[str, RelayedQuestion]
    size: int
    forget: Callable[[], None]
    credential: str
    ticket: Ticket | None
    state: str | None = None
    request: Request | None = None
    wait: Resumed | None = None
    approval: Ticket | None = None
    """About which the client itself was asked, so that nothing was sent yet."""
    server: str = ""
    """Whose `state` it is, "" where it belongs to a suspended flight, or to nobody."""

    def give_up(self, reason: str) -> None:
        """End a suspended call: the retry that could resume it was refused or never came."""
        if self.request is not None:
            self.request.cancel(reason)


class ParkedCalls:
    """What the `requestState`s of one client lead to, the oldest first."""

    def __init__(self, clock: Clock, seconds: Callable[[], float]) -> None:
        """Each is kept for this many `seconds`."""
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
        asked: dict[str, RelayedQuestion],
        state: str | None,
        credential: str,
        ticket: Ticket | None,
        request: Request | None = None,
        wait: Resumed | None = None,
    ) -> str:
        """Keep what the retry of `call` continues with; gives its `requestState`. `asked` are the questions
        to the client, `credential` and `ticket` are what the call was made with; `request` and `wait` are
        there where its flight is suspended."""
        # Of a call that its upstream has answered nothing else is needed: its arguments come with the retry.
        shown = [one.shown for one in asked.values()]
        kept = [state, list(asked), shown] if request is None else [request.params, list(asked), shown]
        size = len(jsonrpc.encode(kept))
        while self._parked and (len(self._parked) >= MAX_PARKED or self._bytes + size > MAX_PARKED_BYTES):
            self._expire(next(iter(self._parked)), "expired")
        # In hexadecimal, which no format of a secret is: it goes through the inspection of the answer.
        token = os.urandom(32).hex()
        stop = self._clock.later(self._seconds(), lambda: self._expire(token, "expired"))
        self._parked[token] = Parked(
            call.fingerprint(), asked, size, stop, credential, ticket, state, request, wait
        )
        self._bytes += size
        return token

    def keep_approval(self, call: Call, ticket: Ticket) -> str:
        """Keep that the client was asked about `ticket` before `call` is made; gives its `requestState`."""
        token = self.keep(call, {}, None, "", None)
        self._parked[token].approval = ticket
        return token

    def claim_approval(self, call: Call) -> Ticket | None:
        """About which the client was asked before the call was made that `call` makes again; once."""
        parked = None if call.state is None else self._parked.get(call.state)
        if call.state is None or parked is None or parked.fingerprint != call.fingerprint():
            return None
        return None if parked.approval is None else self._taken(call.state).approval

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
        """As `known`, and from now on the retry `call` continues it."""
        parked = self.known(call, state)
        if parked.wait is not None or parked.ticket is not None:
            # What is suspended or approved goes on once; else a modern upstream's state may be used again, as
            # directly.
            self._taken(state)
        return parked

    def suspended(self, call: Call) -> bool:
        """Whether `call` is the retry that continues a suspended call."""
        parked = None if call.state is None else self._parked.get(call.state)
        return parked is not None and parked.wait is not None and parked.fingerprint == call.fingerprint()

    def ticket(self, call: Call) -> Ticket | None:
        """By which a person approved what the retry `call` continues."""
        parked = None if call.state is None else self._parked.get(call.state)
        return None if parked is None or parked.fingerprint != call.fingerprint() else parked.ticket

    def belongs(self, token: str, server: str) -> None:
        """What `token` leads to is the state of that server, and of no other one of its name."""
        self._parked[token].server = server

    def forget(self, kept: Collection[str]) -> None:
        """Only the servers in `kept` are those that they were."""
        for token in [one for one, parked in self._parked.items() if parked.server not in ("", *kept)]:
            self._expire(token, "expired")

    def refuse(self, call: Call) -> None:
        """Policy denies the retry `call`: what only it could have resumed is over."""
        if call.state is not None and self.suspended(call):
            self._expire(call.state, "denied")

    def abandon(self, reason: str) -> None:
        """End every call that waits for the client."""
        for token in list(self._parked):
            self._expire(token, reason)


class RoundTrips:
    """The calls of one client that wait for an answer of that client."""

    def __init__(self, scope: ClientScope, questions: Questions) -> None:
        self._scope = scope
        self.questions = questions
        self.parked = ParkedCalls(scope.clock, lambda: scope.think_seconds)

    # --- a legacy upstream asks ------------------------------------------------------------------

    async def park(self, request: Request, permit: Permit, call: Call, started: float) -> None:
        """Put what the legacy upstream asked to the modern client, until all is answered; the request
        goes on under the id of the retry. Raises Cancelled when the client never comes back."""
        while request.questions:
            await self._scope.pause(TOGETHER_SECONDS)
            keys = {f"question-{index}": one for index, one in enumerate(request.questions, 1)}
            shown: dict[str, RelayedQuestion] = {}
            for key, question in keys.items():
                about = [request, *self._scope.about(question.server, question.related)]
                asked = await self.questions.judge(
                    question.server, question.method, question.params, request.caller, about
                )
                if isinstance(asked, dict):
                    note_lack(request, question)
                    self._answer(request, question, asked)
                else:
                    shown[key] = asked
            if not shown:
                continue
            wait = Resumed()
            token = self.parked.keep(call, shown, None, permit.credential, request.ticket, request, wait)
            await self._reply(request, permit, _requests(shown), token, started)
            self._scope.requests.pop(request.id, None)
            retry, responses = await wait
            request.adopt(retry)
            self._scope.requests[request.id] = request
            # What is not a result is asked for again, like what is missing.
            given = {key: responses[key] for key in shown if type(responses.get(key)) is dict}
            for key, why in (await self.questions.kept_back_of(shown, given)).items():
                refused = {"error": refusals.error(jsonrpc.REFUSED, f"mcpguard: {why}")}
                self._answer(request, keys[key], refused if why else {"result": given[key]})

    async def _reply(
        self, request: Request, permit: Permit, shown: dict[str, Json], token: str, started: float
    ) -> None:
        scope, method = self._scope, permit.invocation.method
        body = {"resultType": eras.INPUT_REQUIRED, "inputRequests": shown, "requestState": token}
        result = scope.result_for(request.caller, method, body)
        sealed, digest = await scope.inspector.seal(
            result, 0, request.redact, server=permit.invocation.server
        )
        outcome = scope.recorder.outcome(permit.invocation, PAUSED, started, digest, times=request.times)
        await scope.audit.write(outcome)
        scope.client.reply(request.id, sealed)

    def _answer(self, request: Request, question: Question, body: dict[str, Json]) -> None:
        if question in request.questions:
            request.questions.remove(question)
            question.answer(body)

    def drop(self, request: Request) -> None:
        """The request is over: what its upstream asked is not answered any more."""
        for question in list(request.questions):
            self._answer(request, question, {"error": refusals.error(jsonrpc.REFUSED, "the call has ended")})

    # --- a modern upstream asks ------------------------------------------------------------------

    async def with_input(
        self, request: Request, permit: Permit, call: Call, raw: RawAnswer
    ) -> Permit | RawAnswer:
        """The Permit to call again with the input that an upstream asks for in `raw`; or what a modern client
        gets, which asks it. Raises UpstreamError where it asks what it may not."""
        if call.method not in eras.MAY_ASK:
            said = (
                f"upstream '{permit.invocation.server}' asks for input, which {call.method} does not support"
            )
            raise UpstreamError(said)
        result = raw.message["result"]
        if not result.get("inputRequests") and type(result.get("requestState")) is not str:
            raise UpstreamError(f"{_NOT_MCP}: with neither `inputRequests` nor `requestState`")
        if not request.caller.modern:
            return await self._collect(request, permit, raw)
        again = await self._volunteered(request, permit, call, raw)
        return await self._forward(request, permit, call, raw) if again is None else again

    async def _forward(self, request: Request, permit: Permit, call: Call, raw: RawAnswer) -> RawAnswer:
        result = raw.message["result"]
        shown = await self._asked(request, permit, result)
        state = result.get("requestState")
        known = state if type(state) is str else None
        token = self.parked.keep(call, shown, known, permit.credential, request.ticket)
        self.parked.belongs(token, permit.invocation.server)
        # Nothing else of it goes on: no rule on results sees what asks.
        body: dict[str, Json] = {"resultType": eras.INPUT_REQUIRED, "requestState": token}
        if "inputRequests" in result:
            body["inputRequests"] = _requests(shown)
        return RawAnswer({"id": 0, "result": body}, raw.size)

    async def screened(self, request: Request, permit: Permit, call: Call, raw: RawAnswer) -> RawAnswer:
        """Any other answer in which an upstream may ask the client something: a task that needs input
        (extension io.modelcontextprotocol/tasks), or the error that a URL must be visited first
        (2025-11-25, client/elicitation), which for a modern client is a result that asks. Raises
        UpstreamError where it asks what it may not."""
        body = raw.body
        if type(body) is not dict:
            return raw
        if "result" in raw.message:
            shown = await self._asked(request, permit, body)
            return RawAnswer({"id": 0, "result": {**body, "inputRequests": _requests(shown)}}, raw.size)
        if body.get("code") == eras.URL_REQUIRED:
            visits = {f"visit-{n}": one for n, one in enumerate(_visits(body.get("data")), 1)}
            asking = {key: {"method": _ELICIT, "params": one} for key, one in visits.items()}
            result: dict[str, Json] = {"resultType": eras.INPUT_REQUIRED, "inputRequests": asking}
            if asking and request.caller.modern and call.method in eras.MAY_ASK:
                return await self._forward(
                    request, permit, call, RawAnswer({"id": 0, "result": result}, raw.size)
                )
            shown = await self._asked(request, permit, result)
            if shown:
                data = {**body["data"], "elicitations": [one.params.value for one in shown.values()]}
                return RawAnswer({"id": 0, "error": {**body, "data": data}}, raw.size)
        return raw

    async def continued(self, parked: Parked, call: Call) -> dict[str, Json]:
        """What a retry brings to the modern upstream that asked."""
        more: dict[str, Json] = {}
        if call.responses is not None:
            given = {key: call.responses[key] for key in parked.asked if key in call.responses}
            whys = await self.questions.kept_back_of(parked.asked, given)
            more["inputResponses"] = {key: answer for key, answer in given.items() if not whys[key]}
        if parked.state is not None:
            more["requestState"] = parked.state
        return more

    async def _asked(
        self, request: Request, permit: Permit, result: dict[str, Json]
    ) -> dict[str, RelayedQuestion]:
        return {
            key: _granted(await self._judge(request, permit, method, params), method)
            for key, method, params in _input_requests(result)
        }

    async def _judge(
        self, request: Request, permit: Permit, method: str, params: Json
    ) -> RelayedQuestion | dict[str, Json]:
        server, caller = permit.invocation.server, request.caller
        return await self.questions.judge(server, method, params, caller, [request])

    async def _collect(self, request: Request, permit: Permit, raw: RawAnswer) -> Permit:
        """Ask a legacy client what a modern upstream wants to know."""
        result = raw.message["result"]
        responses: dict[str, Json] = {}
        shown = await self._asked(request, permit, result)  # All, before anybody is asked in vain.
        for key, asked in shown.items():
            method, body = asked.invocation.method, await self.questions.put(asked, request)
            if "result" not in body:
                raise UpstreamError(f"the client refused {method}, which the upstream requires for this call")
            responses[key] = body["result"]
        if len(responses) > 1:
            await self._check(shown, responses)
        return _answering(permit, result, responses)

    async def _volunteered(
        self, request: Request, permit: Permit, call: Call, raw: RawAnswer
    ) -> Permit | None:
        """The permit to call again where the modern client sent all the answers before it was asked; None
        where it did not. Only what is asked, and may be asked, reaches the upstream."""
        result = raw.message["result"]
        asked = _input_requests(result)
        if (
            call.state is not None
            or not call.responses
            or not {key for key, *_ in asked} <= call.responses.keys()
        ):
            return None
        shown = {
            key: _granted(await self._judge(request, permit, method, params), method)
            for key, method, params in asked
        }
        responses = {key: call.responses[key] for key in shown}
        await self._check(shown, responses)
        return _answering(permit, result, responses)

    async def _check(self, shown: dict[str, RelayedQuestion], responses: dict[str, Json]) -> None:
        """Raise UpstreamError where one of the responses is kept back."""
        for why in (await self.questions.kept_back_of(shown, responses)).values():
            if why:
                raise UpstreamError(why)


def _answering(permit: Permit, result: dict[str, Json], responses: dict[str, Json]) -> Permit:
    params = {key: v for key, v in (permit.invocation.params or {}).items() if key not in _RETRY}
    if responses:
        params["inputResponses"] = responses
    if type(result.get("requestState")) is str:
        params["requestState"] = result["requestState"]
    return pdp.again(permit, params)


def _requests(asked: dict[str, RelayedQuestion]) -> dict[str, Json]:
    return {key: one.shown for key, one in asked.items()}


def _granted(asked: RelayedQuestion | dict[str, Json], method: str) -> RelayedQuestion:
    if isinstance(asked, dict):
        why = asked["error"]["message"]
        raise UpstreamError(f"the upstream requires {method} for this call, which is not possible: {why}")
    return asked


def _visits(data: Json) -> list[Json]:
    visits = data.get("elicitations", []) if type(data) is dict else []
    if type(visits) is not list:
        raise UpstreamError(_NOT_MCP)
    return visits


def _input_requests(result: dict[str, Json]) -> list[tuple[str, str, Json]]:
    requests = result.get("inputRequests", {})
    if type(requests) is not dict:
        raise UpstreamError(_NOT_MCP)
    found = []
    for key, one in requests.items():
        if type(one) is not dict or not eras.capability(str(one.get("method"))):
            raise UpstreamError(_NOT_MCP)
        found.append((key, one["method"], one.get("params", {})))
    return found
