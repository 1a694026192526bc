"""A ticket: the question to a person whether one call may be made, and the answer.

Law of this file: a ticket approves what its fingerprint is made of, and nothing else: who asks with which
agent, for what as it was listed, with which arguments, under which policies and by which rules.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct

TicketState = Literal["waiting", "approved", "denied", "used"]


class Ticket(Struct, frozen=True):
    """One question. `created` and `expires` are seconds since 1970 (UTC). `args` is the sha256 (hex) of the
    arguments, `definition` that of what the server listed, `policies` the digest of the policies; `rules`
    ask. `message` is what their author says, `shown` the inspected arguments as JSON, for the person. `by` is
    who answered, with `reason`."""

    id: str
    created: float
    expires: float
    principal: str
    agent: str | None
    server: str
    method: str
    target: str
    args: str
    definition: str
    policies: str
    rules: tuple[str, ...]
    message: str
    shown: str
    state: TicketState = "waiting"
    by: str = ""
    reason: str = ""

    @property
    def fingerprint(self) -> str:
        """The sha256 (hex) of what the answer is about."""
        parts = (
            *(self.principal, self.agent, self.server, self.method, self.target),
            *(self.args, self.definition, self.policies, self.rules),
        )
        return sha256(msgspec.json.encode(parts)).hexdigest()
