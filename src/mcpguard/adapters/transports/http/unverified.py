"""Connections whose clients have not shown yet who they are, and those that are idle between two requests;
and who shows tokens that are refused.

Law of this file: these keep nobody out. The first share a part of the connections, and where that is used up,
the address that holds most of them loses its oldest one. A connection is one of them until the token of the
request that comes has been verified, whatever it has shown before. Where all connections are used up, one
that has been silent ends, else the one that has been idle longest, and only then one that has just come.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address
from math import inf
from operator import itemgetter
from typing import Protocol

from mcpguard.gateway.ports import Clock

SILENT_SECONDS = 1.0
"""Whoever has not shown a token for this long is silent."""
QUIET_SECONDS = 60.0
"""How long the warning is not repeated, and refused tokens are only counted after some were reported."""
MOST_PEERS, MOST_NAMED = 64, 3
"""How many addresses that sent refused tokens are counted, and how many of these are named."""
_SINCE = " in the last minute"
IDLE_SAID = (
    "as many connections are open as mcpguard serves at once: for each new one, the one that has been idle "
    "longest is closed"
)
_CLOSED = "the oldest of them are closed, starting with the address that has the most"
SAID = f"many connections have not presented a valid token yet; {_CLOSED}"
UNUSED_SAID = f"many connections have not sent a request yet; {_CLOSED}"
"""The same where no tokens are configured."""


class UnverifiedConnection(Protocol):
    """One of them; `peer` is the address that it comes from."""

    peer: str

    def give_way(self) -> None:
        """End it now, and leave its place at once."""


class UnverifiedConnections:
    """Those that are open. At most `most` of them are kept."""

    def __init__(
        self,
        most: int,
        report: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        said: str = SAID,
    ) -> None:
        """`report(sentence)` tells the operator, once in a while, that some are closed, and why: `said` where
        these have not shown who their client is. `seconds()` is a monotonic clock."""
        self.most = most
        self._report = report
        self._said = {"idle": IDLE_SAID, "unverified": said}
        self._seconds = seconds
        self._count = 0
        self.idle: dict[UnverifiedConnection, None] = {}
        """Those whose clients have all that they asked for, the longest first."""
        self._of: dict[bytes | str, dict[UnverifiedConnection, float]] = {}
        """Since when each is one of them, by the network that it comes from."""
        self.closed = {"idle": 0, "unverified": 0}
        """How many were closed for others, by what they were."""
        self._quiet_until = dict.fromkeys(self.closed, 0.0)

    def add(self, one: UnverifiedConnection) -> None:
        """A new one; an older one may be closed for it."""
        if self._count >= self.most:
            self._close(self._oldest())
        self._of.setdefault(network_of(one.peer), {})[one] = self._seconds()
        self._count += 1

    def discard(self, one: UnverifiedConnection) -> None:
        """It is closed, or its client has been verified."""
        self.idle.pop(one, None)
        network = network_of(one.peer)
        of = self._of.get(network)
        if of is not None and one in of:
            del of[one]
            self._count -= 1
            if not of:
                del self._of[network]

    def spare(self) -> bool:
        """Close one connection; False if all have requests in progress. Of the networks with a silent one,
        that with the most connections loses its oldest; else the longest idle one goes; else the oldest."""
        since = self._seconds() - SILENT_SECONDS
        silent = self._oldest(since)
        if self.idle and silent is None:
            return self._close(next(iter(self.idle)), "idle")
        return self._close(silent or self._oldest())

    def _oldest(self, since: float = inf) -> UnverifiedConnection | None:
        """That of the network with the most of them, of those whose oldest is there since then or earlier."""
        firsts = ((len(of), *next(iter(of.items()))) for of in self._of.values())
        most = max(
            ((count, one) for count, one, at in firsts if at <= since), key=itemgetter(0), default=None
        )
        return None if most is None else most[1]

    def _close(self, one: UnverifiedConnection | None, what: str = "unverified") -> bool:
        if one is None:
            return False
        self.discard(one)
        one.give_way()
        self.closed[what] += 1
        now = self._seconds()
        if now >= self._quiet_until[what]:
            self._quiet_until[what] = now + QUIET_SECONDS
            self._report(self._said[what])
        return True


def network_of(peer: str) -> bytes | str:
    """What one party holds of addresses: an address of IPv4, the first half of one of IPv6."""
    if ":" not in peer:
        return peer
    address = IPv6Address(peer.partition("%")[0])
    return address.packed[:8] if address.ipv4_mapped is None else str(address.ipv4_mapped)


class RefusedTokens:
    """Reports requests whose tokens were refused: the first one at once, then once a minute how many."""

    def __init__(self, clock: Clock, told: Callable[[str], None]) -> None:
        """`told(sentence)` takes each report."""
        self.count = 0
        """How many there were."""
        self._clock = clock
        self._told = told
        self._why: Counter[str] = Counter()
        self._peers: Counter[str] = Counter()
        self._stop: Callable[[], None] | None = None

    def add(self, why: str, peer: str) -> None:
        """One from the address `peer`; `why` is a fixed text of ours."""
        self.count += 1
        self._why[why] += 1
        self._peers[peer if peer in self._peers or len(self._peers) < MOST_PEERS else "others"] += 1
        if self._stop is None:
            self._tell("")
            self._stop = self._clock.later(QUIET_SECONDS, self._minute)

    def close(self) -> None:
        """Report those that are only counted so far."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        self._tell(_SINCE)

    def warning(self) -> str:
        """That there were some a moment ago, "" if not."""
        return "requests with bearer tokens that are not accepted come in" if self._stop is not None else ""

    def _minute(self) -> None:
        self._stop = self._clock.later(QUIET_SECONDS, self._minute) if self._why else None
        self._tell(_SINCE)

    def _tell(self, since: str) -> None:
        number = self._why.total()
        if not number:
            return
        were = (
            "1 request with a bearer token was"
            if number == 1
            else f"{number} requests with bearer tokens were"
        )
        why = ", ".join(f"{one} ({of})" for one, of in self._why.most_common())
        peers = ", ".join(f"{one} ({of})" for one, of in self._peers.most_common(MOST_NAMED))
        self._why.clear()
        self._peers.clear()
        self._told(f"{were} refused{since}: {why}; from {peers}")
