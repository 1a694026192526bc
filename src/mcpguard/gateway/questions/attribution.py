"""Which request a question of a legacy upstream is about. Over stdio that is not stated.

Law of this file: over HTTP, where the requests of one principal may come from several agents, a question
is attributed to a request only if no other open request could have caused it. Otherwise it waits until the
other requests have finished, for a bounded time, and is then refused: no agent sees another one's question.
"""

from functools import partial

from mcpguard.core.errors import UpstreamError
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.ports import Question, RawAnswer
from mcpguard.gateway.questions.relayed import Questions
from mcpguard.gateway.questions.round_trips import ParkedCalls
from mcpguard.gateway.scope import ClientScope, Questioned, Request
from mcpguard.protocol import eras, jsonrpc, refusals

HOLD_SECONDS = 15.0
"""How long a question waits until only one request is left that it can be about."""

_UNSTATED = (
    "this server has several open calls and does not say which one its question is about, so nobody was "
    "asked: make the call again when the others have finished. Agents of the same principal share a server; "
    "to separate them, give each its own token with another `sub` or `act`"
)


class Attribution:
    """Finds, of one client's requests, the one that a question is about, and lets it carry the question."""

    def __init__(self, scope: ClientScope, questions: Questions, parked: ParkedCalls) -> None:
        self._scope = scope
        self._questions = questions
        self._parked = parked
        self._held: dict[Question, Wait[None]] = {}
        """Those that could be about several requests; the wait is over when one of these is."""

    def asker(self, question: Question) -> Request | None:
        """The request that a question to a legacy client is about; the oldest where that is not stated."""
        return next(iter(self._about(question)), None)

    def interrupt(self, question: Question) -> None:
        """Let the modern client's request that the question is about carry it."""
        about = [one for one in self._about(question) if one.method in eras.MAY_ASK]
        # One that waits for a person is in the middle of a question. Many a client never comes back to it.
        about = [one for one in about if one in self._scope.requests.values()] or about
        if len(about) > 1 and about[0].headers is not None:
            Flight(self._hold(question, about))
        else:  # Over stdio all requests are of one client.
            self._carry(question, about)

    def withdraw(self, question: Question) -> None:
        """The upstream does not want the answer any more."""
        changed = self._held.pop(question, None)
        if changed is not None:
            changed.set(None)
        for request in self._requests():
            if question in request.questions:
                request.questions.remove(question)

    def _requests(self) -> list[Request]:
        return [*self._scope.requests.values(), *self._parked.requests()]

    def _about(self, question: Question) -> list[Request]:
        """The requests that it may be about, the oldest first: where it is not stated, all that wait for an
        answer of that process."""
        open_ones = [one for one in self._requests() if _is_open(one)]
        if question.related is not None:
            return [one for one in open_ones if one.wait is question.related]
        own = (one for one in open_ones if question.credential in (None, one.credential))
        return [one for one in own if one.server == question.server]

    def _carry(self, question: Question, about: list[Request]) -> None:
        if not about:
            self._questions.cannot(question, "the client has no open request that can carry this question")
        elif self._parked.full:
            self._questions.cannot(question, "too many questions are open")
        else:
            request = next((one for one in about if _can_be_asked(one, question)), about[0])
            request.questions.append(question)
            if request.listening and request.flight is not None:
                request.flight.interrupt(Questioned())

    async def _hold(self, question: Question, about: list[Request]) -> None:
        if not any(_can_be_asked(one, question) for one in about):
            self._questions.cannot(question, "no client with an open call declared that it can answer this")
            return
        scope, server = self._scope, question.server
        try:
            about = await self._left(question, about)
        except UpstreamError as problem:
            noted = scope.recorder.noticed("message-refused", server, f"{question.method}: {problem}")
            await scope.audit.write(noted)
            scope.report(server, f"refused {question.method}: {problem}")
            question.answer({"error": refusals.error(jsonrpc.REFUSED, f"mcpguard: {problem}")})
        else:
            self._carry(question, about)

    async def _left(self, question: Question, about: list[Request]) -> list[Request]:
        """The one of `about` that is open when the others are over; none where all are over or the question
        was withdrawn. Raises UpstreamError where several stay open."""
        clock, until = self._scope.clock, self._scope.clock.seconds() + HOLD_SECONDS
        self._held[question] = Wait()
        try:
            while len(about) > 1 and question in self._held:
                # Where as many questions wait as requests, each of these may be waiting for its own.
                if self._held_beside(question) >= len(about):
                    raise UpstreamError(_UNSTATED)
                changed = self._held[question] = Wait()
                for wait in [one.wait for one in about if one.wait is not None]:
                    wait.then(partial(_has_changed, changed))
                if not await self._scope.within(until - clock.seconds(), changed):
                    raise UpstreamError(_UNSTATED)
                about = [one for one in about if _is_open(one)]
            return about if question in self._held else []
        finally:
            self._held.pop(question, None)

    def _held_beside(self, question: Question) -> int:
        process = question.server, question.credential
        return sum((one.server, one.credential) == process for one in self._held)


def _has_changed(changed: Wait[None], _answer: Wait[RawAnswer]) -> None:
    changed.set(None)


def _is_open(request: Request) -> bool:
    return request.wait is not None and not request.wait.done


def _can_be_asked(request: Request, question: Question) -> bool:
    params = question.params
    return type(params) is dict and eras.can_answer(request.caller.capabilities, question.method, params)
