"""Whether lines that are read are those that were written: each by its own hash, and by the line before.

Law of this file: it costs one SHA-256 a line and proves less than `verify`, which reads the whole folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from mcpguard.adapters.audit.following import FollowedLine, Following
from mcpguard.adapters.audit.reader import chain_name, lines
from mcpguard.core.evidence.chain import GENESIS, continues


class LineCheck:
    """`altered` are the names of chains in which a line was found that is not as it was written, in the order
    in which they were found."""

    def __init__(self) -> None:
        self.altered: dict[str, None] = {}
        self._ends: dict[str, tuple[int, bytes]] = {}

    def take(self, name: str, start: int, line: bytes) -> None:
        """A whole line of the chain `name` that begins at byte `start`; the one before need not have been
        taken."""
        end, head = self._ends.get(name, (0, b"")) if start else (0, GENESIS.encode())
        if not continues(line, head if end == start else None):
            self.altered[name] = None
        self._ends[name] = (start + len(line), line[-67:-3])


def last_lines(file: Path, most: int, check: LineCheck, having: bytes = b"") -> list[bytes]:
    """The last lines of a chain that have `having` in them, at most so many, after `check` has taken them."""
    at = 0
    found: deque[tuple[int, bytes]] = deque(maxlen=most)
    for line in lines(file):
        if having in line:
            found.append((at, line))
        at += len(line)
    for start, line in found:
        # One that is not whole is being written.
        if line.endswith(b"\n"):
            check.take(chain_name(file), start, line)
    return [line for _, line in found]


class CheckedFollowing(Following):
    """Follows, and checks what it reads. `warn` hears the name of each chain that was altered, once."""

    def __init__(
        self,
        folder: Path,
        cursor: Path | None = None,
        *,
        from_start: bool = False,
        own: bool = True,
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(folder, cursor, from_start=from_start, own=own)
        self.check = LineCheck()
        self._warn = warn

    def read(self, most: int) -> list[FollowedLine]:
        """As it is said of `Following`."""
        found = super().read(most)
        known = set(self.check.altered)
        for line in found:
            self.check.take(line.file, line.start, line.data)
        for name in self.check.altered.keys() - known:
            self._warn(name)
        return found
