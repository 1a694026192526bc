"""What a legacy upstream has asked of the client and not been answered yet.

Law of this file: each is answered once or withdrawn once, and an upstream cannot have many open.
"""

from collections.abc import Callable

from mcpguard.adapters.upstreams.session.open_requests import OpenRequests
from mcpguard.core.model import Json
from mcpguard.gateway.ports import Listener, Question, RequestId
from mcpguard.protocol import jsonrpc

MOST_OPEN = 64
"""Questions of one upstream that may be open; what comes then is refused."""

ASKABLE = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""What may be asked of a client (specification 2025-11-25: client/*)."""


class OpenQuestions:
    """The open questions of one wire. While one is open, the request that it belongs to is not late."""

    def __init__(
        self, listener: Listener, requests: OpenRequests, send: Callable[[dict[str, Json], None, str], object]
    ) -> None:
        """`send(message, None, credential)` says something to the upstream, with the credential of the
        request that it is about."""
        self._listener = listener
        self._send = send
        self._requests = requests
        self._open: dict[RequestId, Question] = {}

    def take(self, question: Question, modern: bool | None) -> None:
        """Hand it to the listener, or answer it here. `modern` is the era of the upstream, None before its
        greeting."""
        if question.method == "ping" and not modern:
            self._send_answer(question, {"result": {}})
        elif modern is not False or question.method not in ASKABLE:
            self._decline(question, jsonrpc.METHOD_NOT_FOUND, "not served by mcpguard")
        elif question.id in self._open:
            self._decline(question, jsonrpc.INVALID_REQUEST, "this id is in use")
        elif len(self._open) >= MOST_OPEN:
            self._decline(question, jsonrpc.INVALID_REQUEST, "too many open requests")
        else:
            self._open[question.id] = question
            self._requests.pause(question.related)
            self._listener.asked(question)

    def answer(self, question: Question, body: dict[str, Json]) -> None:
        """Answer it, if it is still open."""
        if self.close(question):
            self._send_answer(question, body)

    def _decline(self, question: Question, code: int, why: str) -> None:
        self._send_answer(question, {"error": {"code": code, "message": why}})

    def _send_answer(self, question: Question, body: dict[str, Json]) -> None:
        credential = self._requests.credential_of(question.related)
        self._send({"jsonrpc": "2.0", "id": question.id, **body}, None, credential)

    def close(self, question: Question) -> bool:
        """It has its answer; False if it is not open."""
        if self._open.get(question.id) is not question:
            return False
        del self._open[question.id]
        self._requests.resume(question.related)
        return True

    def withdraw(self, question_id: Json) -> None:
        """The upstream does not want the answer any more; nothing happens if it is not open."""
        question = self._open.get(question_id) if type(question_id) in (int, str) else None
        if question is not None and self.close(question):
            self._listener.withdrawn(question)

    def withdraw_all(self) -> None:
        """The upstream is gone."""
        for question_id in list(self._open):
            self.withdraw(question_id)
