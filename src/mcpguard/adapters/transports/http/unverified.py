"""Connections whose clients have not shown yet who they are.

Law of this file: these keep nobody out. They share a part of the connections, and where that is used up, the
address that holds most of them loses its oldest one. A connection with a good token is one of them until the
token has been verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Protocol

QUIET_SECONDS = 60.0
"""How long the warning is not repeated."""
SAID = (
    "many connections have not shown a good token yet; the oldest of them are closed, first those of the "
    "address that has most"
)


class UnverifiedConnection(Protocol):
    """One of them; `peer` is the address that it comes from."""

    peer: str

    def give_way(self) -> None:
        """End it now, and leave its place at once."""
        ...


class UnverifiedConnections:
    """Those that are open. At most `most` of them are kept."""

    def __init__(self, most: int, report: Callable[[str], None]) -> None:
        """`report(sentence)` tells the operator, once in a while, that some are closed."""
        self.most = most
        self._report = report
        self._count = 0
        self._of: dict[bytes | str, dict[UnverifiedConnection, None]] = {}
        self._quiet_until = 0.0

    def add(self, one: UnverifiedConnection) -> None:
        """A new one; an older one may be closed for it."""
        if self._count >= self.most:
            self.spare()
        self._of.setdefault(network_of(one.peer), {})[one] = None
        self._count += 1

    def discard(self, one: UnverifiedConnection) -> None:
        """It is closed, or its client has been verified."""
        network = network_of(one.peer)
        of = self._of.get(network)
        if of is not None and one in of:
            del of[one]
            self._count -= 1
            if not of:
                del self._of[network]

    def spare(self) -> bool:
        """Close the oldest connection of the network with the most of them; False if there are none."""
        if not self._of:
            return False
        oldest = next(iter(self._of[max(self._of, key=lambda network: len(self._of[network]))]))
        self.discard(oldest)
        oldest.give_way()
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            self._report(SAID)
        return True


def network_of(peer: str) -> bytes | str:
    """What one party holds of addresses: an address of IPv4, the first half of one of IPv6."""
    if ":" not in peer:
        return peer
    address = IPv6Address(peer.partition("%")[0])
    return address.packed[:8] if address.ipv4_mapped is None else str(address.ipv4_mapped)
