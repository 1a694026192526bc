"""One request of a client on its way: who answers it under which id, and what its upstream asks meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mcpguard.core.model import Caller, Json
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.ports import Question, Raw, RequestId

NONE = PolicySet()
"""The policies of a request that needs no decision."""


class Questioned(Exception):
    """Thrown into a flight that waits for its upstream: the upstream asks something first."""


class Request(Struct, eq=False):
    """`id`, `caller`, `progress_token` and `redact` change when a modern client sends the request again with
    answers (specification 2026-07-28: basic/patterns/mrtr); the flight goes on under the new id."""

    id: RequestId
    method: str
    params: dict[str, Json]
    caller: Caller
    headers: Mapping[str, str] | None
    flight: Flight | None = None
    policies: PolicySet = NONE
    """Under which it was decided; what comes back is reviewed under them."""
    credential: str = ""
    """The credential that a rule chose for it, "" for none."""
    server: str = ""
    """The upstream that it waits for, "" before it is sent."""
    wait: Wait[Raw] | None = None
    """Of the upstream's answer, once it is sent."""
    listening: bool = False
    """Whether the flight waits for that and for nothing else, so that it can be interrupted."""
    progress_token: RequestId | None = None
    redact: tuple[str, ...] = ()
    """What the rule that allows it wants taken out of whatever leaves because of it."""
    questions: list[Question] = []
    """What the upstream asked that has no answer yet."""
    lacked: dict[str, dict[str, Json]] = {}
    """The ClientCapabilities that a question needed and the request's client did not declare."""

    def cancel(self, reason: str) -> None:
        """End its flight with `Cancelled(reason)`; nothing happens while that is being started."""
        if self.flight is not None:
            self.flight.cancel(reason)

    def adopt(self, retry: Request) -> None:
        """Go on as `retry`, under its id."""
        self.id = retry.id
        self.caller = retry.caller
        self.headers = retry.headers
        self.policies = retry.policies
        self.progress_token = retry.progress_token
        self.redact = tuple(dict.fromkeys(self.redact + retry.redact))
