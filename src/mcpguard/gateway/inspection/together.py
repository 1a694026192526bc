"""What came in one turn is inspected together: nearly always there is nothing in any of it.

Law of this file: whoever waits is resumed at the end of the same turn, in the order of asking, and what is
not certainly clean is left to them to inspect.
"""

from __future__ import annotations

from mcpguard.core.model import Json, Redacted
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.gateway.flight import Wait


class InspectionBatch:
    """One per process. The turn sets `several`, and calls `settle` while something is `pending`."""

    def __init__(self, redactor: Redactor) -> None:
        self.several = False
        """Whether this message is small, and enough came in its turn to inspect them together."""
        self.pending: list[tuple[Json, bool, Wait[Redacted | None]]] = []
        self._redactor = redactor

    def clean(self, value: Json, sent: bool = True) -> Wait[Redacted | None]:
        """What `Redactor.inspect` gives for `value` if it is certainly clean, else None; `sent` as there."""
        wait: Wait[Redacted | None] = Wait()
        self.pending.append((value, sent, wait))
        return wait

    def settle(self) -> None:
        """Inspect what is pending, and resume whoever waits."""
        pending, self.pending = self.pending, []
        found = self._redactor.inspect_several([(value, sent) for value, sent, _ in pending])
        for (_, _, wait), one in zip(pending, found, strict=True):
            wait.set(one)
