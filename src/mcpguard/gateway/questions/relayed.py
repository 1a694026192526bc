"""What upstreams ask of the client (sampling, elicitation, roots), and how a client is asked.

    upstream  client   what happens
    legacy    legacy   the request goes to the client, its answer comes back
    legacy    modern   the call is parked and answered with `input_required`; the retry brings the answers
    modern    modern   `input_required` goes on, its `requestState` stays here
    modern    legacy   each of `inputRequests` goes to the client; then the call is made once more

The last three are in `gateway/questions/round_trips.py`.

Law of this file: no question reaches a client that policy did not allow, that was not inspected, or that the
client did not say it can answer; an answer goes to the upstream that asked and to no other, and only if
policy would still allow the question: what the client has read meanwhile may be in it.

A legacy upstream learns of capabilities once a connection, a modern client declares them in each request.
So the upstream may ask what the request's client did not declare. It is told so; where it then fails, the
call needed that capability, and the client is told which (2026-07-28: basic/index, `_meta`).
"""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec import Struct, structs

from mcpguard.core.errors import InspectionError, McpGuardError, UpstreamError
from mcpguard.core.model import Caller, Deny, Invocation, Json, Permit, Redacted
from mcpguard.core.policy.visibility import reachable
from mcpguard.core.redaction.redactor import AT_ONCE, TooMuchAtOnce
from mcpguard.gateway.flight import Cancelled, Flight, Wait
from mcpguard.gateway.inspection.handles import usable
from mcpguard.gateway.ports import Question, RawAnswer, RequestId
from mcpguard.gateway.scope import WOULD_REFUSE, ClientScope, Request
from mcpguard.protocol import eras, jsonrpc, origins, refusals

MAX_VISITS = 1000
"""How many ids of questions of mode `url` are kept; the oldest are forgotten."""

_WITHDRAWN = "withdrawn"


class RelayedQuestion(Struct, frozen=True):
    """A question that may be put to the client: as it was decided, and its inspected params."""

    invocation: Invocation
    params: Redacted

    @property
    def shown(self) -> dict[str, Json]:
        """As one of `inputRequests`."""
        return {"method": self.invocation.method, "params": self.params.value}


class Questions:
    """The questions to one client."""

    def __init__(self, scope: ClientScope) -> None:
        self._scope = scope
        self._asked: dict[RequestId, Wait[dict[str, Json]]] = {}
        self._relays: dict[Question, Flight] = {}
        self._count = 0
        self._visits: dict[tuple[str, str], None] = {}

    @property
    def open(self) -> bool:
        """Whether an answer of a legacy client is outstanding."""
        return bool(self._asked)

    def declared(self, server: str, caller: Caller) -> Caller:
        """`caller` without the capabilities for questions of `server` that policy is sure to refuse."""
        scope = self._scope
        declared = {
            name: value
            for name, value in caller.capabilities.items()
            if name not in eras.QUESTIONS
            or reachable(
                scope.judge.policies, scope.recorder.invocation(eras.QUESTIONS[name], server, caller=caller)
            )
        }
        return structs.replace(caller, capabilities=declared)

    def relay(self, question: Question, caller: Caller, request: Request | None) -> None:
        """Put a legacy upstream's question to the legacy client `caller`; `request` is what it is about."""
        flight = Flight(self._relay(question, caller, request))
        if not flight.over:
            self._relays[question] = flight

    def withdraw(self, question: Question) -> None:
        """The upstream does not want the answer any more."""
        flight = self._relays.get(question)
        if flight is not None:
            flight.cancel(_WITHDRAWN)

    def abandon(self, reason: str) -> None:
        """Withdraw every question."""
        for flight in list(self._relays.values()):
            flight.cancel(reason)

    def cannot(self, question: Question, why: str) -> None:
        """Tell the upstream that its question cannot be put to the client."""
        question.answer({"error": refusals.error(jsonrpc.METHOD_NOT_FOUND, f"mcpguard: {why}")})

    async def _relay(self, question: Question, caller: Caller, request: Request | None) -> None:
        try:
            about = self._scope.about(question.server, question.related)
            asked = await self.judge(question.server, question.method, question.params, caller, about)
            body = asked if isinstance(asked, dict) else await self.put(asked, request)
            question.answer(body)
        except Cancelled as why:
            if str(why) != _WITHDRAWN:
                question.answer({"error": refusals.error(jsonrpc.REFUSED, "the client is gone")})
        except McpGuardError as problem:
            question.answer({"error": refusals.error(jsonrpc.REFUSED, str(problem))})
        finally:
            self._relays.pop(question, None)

    async def judge(
        self, server: str, method: str, params: Json, caller: Caller, about: Sequence[Request]
    ) -> RelayedQuestion | dict[str, Json]:
        """What to put to the client if it may be asked, else the body that refuses it. `about` are the calls
        that it may be about, whose kinds are removed from it and whose sessions it labels."""
        scope = self._scope
        if type(params) is not dict or not eras.capability(method):
            return {"error": refusals.error(jsonrpc.INVALID_PARAMS, "mcpguard: no question to a client")}
        if not eras.can_answer(caller.capabilities, method, params):
            said = f"mcpguard: the client did not declare {eras.lacking(caller.capabilities, method, params)}"
            return {"error": refusals.error(jsonrpc.METHOD_NOT_FOUND, said)}
        invocation = scope.recorder.invocation(method, server, args=params, caller=caller)
        verdict = await scope.judge.decide(invocation)
        started = scope.recorder.seconds()
        if isinstance(verdict, Deny):
            await scope.audit.write(scope.recorder.decided(verdict))
            scope.report_refusal(verdict)
            return {"error": refusals.denied_error(verdict)}
        await scope.admit(verdict, started)
        if verdict.observed is not None:
            scope.report_refusal(verdict.observed, WOULD_REFUSE)
        also = verdict.redact + tuple(kind for one in about for kind in one.redact)
        shown = origins.question(server, method, params) if scope.several else params
        then = partial(usable, scope.handles, server, scope.inspector.redactor, shown, also)
        try:
            await scope.foresee(about)
            sealed, digest = await scope.inspector.seal(shown, 0, also, then, server=invocation.server)
        except InspectionError as problem:
            said = str(problem)
            await scope.audit.write(scope.recorder.outcome(invocation, "withheld", started, error=said))
            scope.report_failed(invocation, "withheld", said)
            return {"error": refusals.error(jsonrpc.REFUSED, f"mcpguard: {said}")}
        except Cancelled as why:
            await scope.audit.write(scope.recorder.outcome(invocation, str(why), started))
            raise
        self._remember(server, params)
        noted = scope.recorder.outcome(
            invocation, "asked", started, digest, sealed.findings, neutralised=sealed.neutralised
        )
        await scope.audit.write(noted)
        return RelayedQuestion(invocation, sealed)

    async def kept_back(self, asked: RelayedQuestion, answer: Json) -> str:
        """Why this answer may not go to whoever asked, "" where it may: policy would refuse the question now,
        or there is a credential in it that is not for that server."""
        scope, before = self._scope, asked.invocation
        method, server = before.method, before.server
        invocation = scope.recorder.invocation(method, server, args=before.args, caller=before.caller)
        verdict: Permit | Deny | None = await scope.judge.decide_again(invocation)
        if isinstance(verdict, Permit):
            verdict = await self._astray(invocation, answer)
        if verdict is None:
            return ""
        await scope.audit.write(scope.recorder.decided(verdict))
        scope.report_refusal(verdict, "withheld the answer to")
        said = refusals.denied_error(verdict)["message"]
        return f"the answer to {method} was withheld: {said}"

    async def kept_back_of(
        self, asked: Mapping[str, RelayedQuestion], answers: Mapping[str, Json]
    ) -> dict[str, str]:
        """The same for answers that go to one server at once, by their keys: a credential may be cut up over
        them."""
        whys = {key: await self.kept_back(asked[key], answer) for key, answer in answers.items()}
        passed = [key for key, why in whys.items() if not why]
        if len(passed) > 1:
            why = await self.kept_back(asked[passed[0]], [answers[key] for key in passed])
            whys |= dict.fromkeys(passed, why)
        return whys

    async def _astray(self, invocation: Invocation, answer: Json) -> Deny | None:
        keeps_back = self._scope.judge.keeps_back
        try:
            return keeps_back(invocation, answer, AT_ONCE)
        except TooMuchAtOnce:
            work = partial(keeps_back, invocation, answer)
            return await self._scope.inspector.elsewhere(work, len(jsonrpc.encode(answer)))

    def _remember(self, server: str, params: dict[str, Json]) -> None:
        visit = params.get("elicitationId")
        if type(visit) is str:
            if len(self._visits) >= MAX_VISITS:
                del self._visits[next(iter(self._visits))]
            self._visits[server, visit] = None

    def asked_to_visit(self, server: str, elicitation_id: Json) -> bool:
        """Whether that server asked this client to visit a URL under that id (client/elicitation, url)."""
        return type(elicitation_id) is str and (server, elicitation_id) in self._visits

    async def put(self, asked: RelayedQuestion, request: Request | None) -> dict[str, Json]:
        """Ask a legacy client; gives {"result": …} or {"error": …} as it answered. Raises UpstreamError where
        it does not, or where its answer is kept back."""
        answer = await self.answer_of(asked.invocation.method, asked.params, request)
        why = await self.kept_back(asked, answer)
        if why:
            raise UpstreamError(why)
        return answer

    async def answer_of(self, method: str, params: Redacted, request: Request | None) -> dict[str, Json]:
        """What a legacy client answers, {"result": …} or {"error": …}. Raises UpstreamError where it does not
        in time; then, and where the flight is cancelled, the question is withdrawn."""
        self._count += 1
        question_id = f"mcpguard-{self._count}"
        wait: Wait[dict[str, Json]] = Wait()
        self._asked[question_id] = wait
        seconds = self._scope.think_seconds
        late = UpstreamError(f"the client did not answer {method} within {seconds:g} seconds")
        stop = self._scope.clock.later(seconds, lambda: wait.fail(late))
        related = None if request is None else request.id
        self._scope.client.ask(question_id, method, params, related)
        try:
            return await wait
        except (Cancelled, UpstreamError):
            withdrawn = self._scope.inspector.ours({"requestId": question_id})
            self._scope.client.notify("notifications/cancelled", withdrawn, related)
            raise
        finally:
            stop()
            self._asked.pop(question_id, None)

    def answered(self, message: dict[str, Json]) -> None:
        """Take an answer of a legacy client; one to no question changes nothing."""
        wait = self._asked.get(message["id"])
        if wait is not None:
            key = "result" if "result" in message else "error"
            wait.set({key: message[key]})


def note_lack(request: Request, question: Question) -> None:
    """Remember what the question needed and the request's client did not declare, if that is so."""
    params = question.params
    if type(params) is dict and not eras.can_answer(request.caller.capabilities, question.method, params):
        name, part = eras.required(question.method, params)
        if name:
            request.lacked.setdefault(name, {}).update(part)


def with_lack(request: Request, raw: RawAnswer) -> RawAnswer:
    """The upstream's final answer; where it failed and something was lacking, the error that names this. What
    the upstream said itself is then `answer` in its `data`."""
    if not request.lacked or raw.status == "ok":
        return raw
    parts = [f"{name}.{one}" for name, part in request.lacked.items() for one in part or ("",)]
    names = " and ".join(one.removesuffix(".") for one in parts)
    said = f"the server asked for {names}, which the client did not declare, and then failed"
    data: dict[str, Json] = {"requiredCapabilities": {**request.lacked}, "answer": raw.body}
    return RawAnswer({"id": 0, "error": refusals.error(eras.MISSING_CAPABILITY, said, data)}, raw.size)
