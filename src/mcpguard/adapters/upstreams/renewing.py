"""The leases that a lane uses are renewed before their end, so that none ends under an open call.

Law of this file: a lease is renewed only while something uses it. What cannot be renewed is left alone: the
next call takes what there is then, or is refused.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.core.secret import CredentialRef

LEAST_SECONDS = 0.1
"""From one renewal to the next at least."""


class LeaseRenewal:
    """Renews what one lane uses, from `look` on until nothing is used."""

    def __init__(self, supply: CredentialSupply, in_use: Callable[[], Iterable[CredentialRef]]) -> None:
        """`in_use()` names the credentials that something uses now."""
        self._supply = supply
        self._in_use = in_use
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf
        """When the next look is, in seconds of the event loop."""
        self._background = Background("a lease could not be renewed")

    def look(self, refs: Iterable[CredentialRef]) -> None:
        """See to it that these, which something has begun to use, are renewed in time."""
        due = self._supply.due(refs)
        if due is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(due, LEAST_SECONDS)
        if at < self._at:
            self._stop()
            self._at = at
            self._timer = loop.call_at(at, self._begin)

    def _begin(self) -> None:
        self._at = inf
        self._background.start(self._renew())

    async def _renew(self) -> None:
        await self._supply.renew(self._in_use())
        self.look(self._in_use())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Renew nothing any more; waits for a renewal that is under way."""
        self._stop()
        await self._background.close()
