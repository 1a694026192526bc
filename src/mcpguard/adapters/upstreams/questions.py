"""What a legacy upstream has asked of the client and not been answered yet.

Law of this file: each is answered once or withdrawn once, and an upstream cannot have many open.
"""

from __future__ import annotations

from mcpguard.adapters.upstreams.open_requests import OpenRequests
from mcpguard.core.model import Json
from mcpguard.ports import Listener, Question, RequestId

MOST_OPEN = 64
"""Questions of one upstream that may be open; what comes then is refused."""

ASKABLE = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""What may be asked of a client (specification 2025-11-25: client/*)."""


class Questions:
    """The open questions of one wire. While one is open, the request that it belongs to is not late."""

    def __init__(self, listener: Listener, requests: OpenRequests) -> None:
        self._listener = listener
        self._requests = requests
        self._open: dict[RequestId, Question] = {}

    def problem(self, question_id: RequestId) -> str:
        """Why one with this id cannot be taken, "" if it can."""
        if question_id in self._open:
            return "this id is in use"
        return "too many open requests" if len(self._open) >= MOST_OPEN else ""

    def ask(self, question: Question) -> None:
        """Hand it to the listener."""
        self._open[question.id] = question
        self._requests.pause(question.related)
        self._listener.asked(question)

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
