"""Which of the values that mcpguard holds may go to which server.

Law of this file: a credential is sent only to servers that it is bound to, whatever a policy says
(law 3). A model has no reason to send one: if it does, it has learned a value that it should never have had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sys import maxsize

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Cause, Deny, Invocation, Json
from mcpguard.core.redaction.redactor import Redactor

ASTRAY = (
    "this contains a credential that is not for this server, so nothing was sent. Leave it out: mcpguard "
    "adds each server's own credentials. If it is not a credential, the owner of the configuration can write "
    "it there in plain text."
)
"""The message of a refusal. It says neither which value nor which credential."""
UNREADABLE = (
    "this could not be searched completely for credentials, so nothing was sent. Send less at a time."
)


class Egress:
    """What may leave for each server. `holds` says whether any held value is in a text that ends in PAD;
    `free` are the servers that may have all that is held: what goes to these is not searched."""

    def __init__(self, redactor: Redactor, bound: Mapping[str, frozenset[str]]) -> None:
        """`bound` are the names of the held values that each server may have; another one may have none."""
        self.holds: Callable[[bytes], bool] = redactor.holds
        self.free = frozenset(bound)
        self._redactor = redactor
        self.bound = bound
        redactor.tell(self._held)

    @property
    def state(self) -> object:
        """Changes whenever a value is added, or may go to other servers than before."""
        return self.bound, self._redactor.turns

    def _held(self, name: str) -> None:
        """A value is now held under this name. Any thread may call it; a server that is not free stays so."""
        self.free &= {server for server, names in self.bound.items() if name in names}

    def refused(self, invocation: Invocation, value: Json, most: int = maxsize) -> Deny | None:
        """The refusal of `value`, which is to go to the server of `invocation`; None where it may. Raises
        TooMuchAtOnce as `Redactor.foreign` does."""
        if invocation.server in self.free:
            return None
        try:
            names = self._redactor.foreign(value, self.bound.get(invocation.server, _NONE), most)
        except InspectionError:
            return Deny(invocation, Cause.CREDENTIAL, message=UNREADABLE)
        return Deny(invocation, Cause.CREDENTIAL, message=ASTRAY, credentials=names) if names else None


_NONE: frozenset[str] = frozenset()
