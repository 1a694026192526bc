"""How much work one value may make, counted and never timed: the same value always passes, or never does.

Law of this file: each allowance is a fixed part and a part that grows with the value, so that the work is
linear whatever a server sends. A value that needs more is withheld, and the reason says what there was too
much of.
"""

from mcpguard.core.errors import InspectionError

READ = 512 * 1024, 16
"""Bytes read in views, in all: a fixed number, and so many more for each byte of the value."""

VIEWS = 256, 1 / 1024
"""Views, views of views too."""

TRIGGERS = 12_000, 1 / 2
"""Places at which something may begin, in units of which each costs at most 0.3 microseconds."""

PIECES = 2_000, 1 / 2
"""Pieces of which views are made: lines, runs of letters, escapes."""

HITS = 2_000, 1 / 64
"""Things that are found. Each costs some twenty microseconds until it is replaced."""

MASKING = 4
"""The patience where a rule masks further kinds: a table may have a mail address in each short row."""

Allowance = tuple[int, float]


class Budget:
    """What may still be done for a value of `size` bytes of text. Each method raises InspectionError where
    that is used up. For one inspection in one thread."""

    __slots__ = ("_hits", "_patience", "_pieces", "_read", "_size", "_views", "idle", "triggers")

    def __init__(self, size: int, patience: float = 1, idle: set[int] | None = None) -> None:
        """`patience`: so many times more may begin or be found, where nobody waits for it; below 1 where all
        wait. `idle` is that of another budget for the same value."""
        self._size = size
        self._patience = patience
        self._read = _allowed(READ, size)
        self._views = _allowed(VIEWS, size)
        self.triggers = int(_allowed(TRIGGERS, size) * patience)
        """At how many more places something may begin."""
        self.idle = set[int]() if idle is None else idle
        """The hashes of runs of letters that say nothing: a value is read several times."""
        self._pieces = int(_allowed(PIECES, size) * patience)
        self._hits = int(_allowed(HITS, size) * patience)

    def read(self, size: int) -> None:
        """This many bytes are about to be read once more, or were unpacked."""
        self._read -= size
        if self._read < 0:
            self._over(READ, "bytes of disguised or packed text")

    def view(self, size: int) -> None:
        """A view of `size` bytes is about to be read."""
        self._views -= 1
        if self._views < 0:
            self._over(VIEWS, "disguises")
        self.read(size)

    def piece(self, count: int = 1) -> None:
        """A view is made of this many more pieces."""
        self._pieces -= count
        if self._pieces < 0:
            self._over(PIECES, "pieces of disguised text", self._patience)

    def trigger(self, count: int = 1) -> None:
        """There are this many more places at which something may begin."""
        self.triggers -= count
        if self.triggers < 0:
            self._over(TRIGGERS, "beginnings of secrets", self._patience)

    def hit(self, count: int = 1) -> None:
        """This many more things were found."""
        self._hits -= count
        if self._hits < 0:
            self._over(HITS, "hits", self._patience)

    def _over(self, allowance: Allowance, what: str, patience: float = 1) -> None:
        allowed = int(_allowed(allowance, self._size) * patience)
        raise InspectionError(f"more than {allowed:,} {what} in {self._size:,} bytes")


def _allowed(allowance: Allowance, size: int) -> int:
    fixed, each = allowance
    return fixed + int(size * each)
