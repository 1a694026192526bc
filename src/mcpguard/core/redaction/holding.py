"""All values that are held, over the life of a process in which they come and go.

Law of this file: `hold` returns when the value is searched for, and not before. What it takes to prepare that
is done by whoever holds, so that who inspects never waits for it. The values of long ago and the newest few
are two sets, and only the small one is rebuilt for each new value.
"""

from __future__ import annotations

from threading import Lock

from mcpguard.core.redaction.held import Held, HeldSet, held
from mcpguard.core.redaction.matching import Span
from mcpguard.core.secret import Secret

RECENT = 16
"""So many new values are a set of their own; then all are one. Preparing takes some 2.5 ms for each."""
FORMER = 256
"""So many values that are in use no more stay held; an older one could come back only from who kept it for
longer than all of those lasted."""

Key = tuple[str, bytes]
"""The name of a value and its mark."""


class Holding:
    """Any number of threads may use it at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._preparing = Lock()
        self._values: dict[Key, Held] = {}
        self._former: dict[Key, None] = {}
        self._settled: dict[Key, Held] = {}
        self._sets = (HeldSet(()), HeldSet(()))
        self._searched: frozenset[Key] = frozenset()

    def has(self, key: Key) -> bool:
        """Whether it is searched for; if it was let go of, it is in use again."""
        if key not in self._searched:
            return False
        with self._lock:
            self._former.pop(key, None)
            return key in self._values

    def hold(self, key: Key, kind: str, secret: Secret) -> None:
        """Search for this value from now on. Raises CredentialError for one that cannot be guarded."""
        value = held(key[0], kind, secret, key[1])
        with self._lock:
            self._values[key] = value
            self._former.pop(key, None)
        with self._preparing:
            if key not in self._searched:
                self._prepare()

    def release(self, key: Key) -> None:
        """It is in use no more. It stays held, until there are FORMER newer ones like it."""
        with self._lock:
            if key in self._values:
                self._former.pop(key, None)
                self._former[key] = None
            while len(self._former) > FORMER:
                oldest = next(iter(self._former))
                del self._former[oldest], self._values[oldest]
                self._searched -= {oldest}

    def found(self, padded: bytes) -> bool:
        """Whether any held value is in `padded` (which ends in PAD) in any form."""
        for one in self._sets:  # noqa: SIM110 - a generator costs each inspection as much as the search
            if one.found(padded):
                return True
        return False

    def spans(self, padded: bytes) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order."""
        settled, recent = (one.spans(padded) for one in self._sets)
        return sorted(settled + recent)

    def _prepare(self) -> None:
        with self._lock:
            values = dict(self._values)
        recent = {key: value for key, value in values.items() if key not in self._settled}
        settled, searching = self._sets[0], self._settled
        if len(recent) > RECENT:
            settled, searching, recent = HeldSet(values.values()), values, {}
            settled.prepare()
        newest = HeldSet(recent.values())
        newest.prepare()
        self._sets = settled, newest
        self._settled = searching
        with self._lock:
            self._searched = frozenset(values.keys() & self._values.keys())
