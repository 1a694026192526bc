"""The bodies that are being read or wait to be handed in, of all connections together.

Law of this file: what they take in memory is bounded, however many there are; a body of `SMALL_BYTES` always
fits, so that large ones keep nobody from an ordinary request.
"""

from __future__ import annotations

from msgspec import Struct

SMALL_BYTES = 64 * 1024
"""So much of each body does not count."""
BODIES = 4
"""All that counts is at most so many times the largest message."""


class Intake:
    """What is being read. `message_bytes` is the most that one body may have, `seconds` how long it may
    take to come and again how long it may wait to be handed in, `most` how many bytes of all bodies are kept;
    `kept` is how many are now, and a whole body of `small` bytes does not count."""

    __slots__ = ("kept", "message_bytes", "most", "seconds", "small")

    def __init__(self, message_bytes: int, seconds: float) -> None:
        self.message_bytes = message_bytes
        self.seconds = seconds
        self.most = BODIES * message_bytes
        self.kept = 0
        self.small = min(SMALL_BYTES, message_bytes)


class Body(Struct, eq=False):
    """One body that is being read. `size` is what came of it; one that is `dropped` did not fit, and
    nothing of it is kept. Whoever made it calls `close`."""

    _intake: Intake
    size: int = 0
    dropped: bool = False
    _counted: int = 0
    _parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Take the next bytes."""
        self.size += len(part)
        if self.dropped:
            return
        counted = max(0, self.size - SMALL_BYTES)
        more = counted - self._counted
        if more and self._intake.kept + more > self._intake.most:
            self.dropped = True
            self.close()
            return
        self._intake.kept += more
        self._counted = counted
        self._parts.append(part)

    def whole(self) -> bytes:
        """All of it, once. It counts until `close`."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of it."""
        self._intake.kept -= self._counted
        self._counted = 0
        self._parts = []
