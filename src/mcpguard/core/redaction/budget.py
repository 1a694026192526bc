"""How much work one value may make, counted and never timed: the same value always passes, or never does.

Law of this file: each allowance is a number for small values, and grows with larger ones, so that the work is
linear whatever a server sends. A value that needs more is withheld, and the reason says what there was too
much of. Whatever costs time draws on one of them, `WORK`, for what it costs; the others bound memory.
"""

from array import array

from mcpguard.core.errors import InspectionError

WORK = 60_000, 0.42
"""What may be looked through, in units of 0.3 microseconds: a number for a small value, and so many for each
byte of a large one. A place at which something may begin is one, or more, and so is a piece of which a view
is made (a line, a run of letters, an escape)."""

READ = 4 * 1024 * 1024, 16
"""Bytes that are decoded or unpacked, in all. The styles of an office document unpack to half a
megabyte, which is read twice."""

HITS = 2_000, 1 / 56
"""Things that are found. Those that a small answer may be full of do not count as WORK."""

MASKING = 4
"""The patience where a rule masks further kinds: a table may have a mail address in each short row."""

UNPACKED = 16
"""Unpacked bytes that allow one more unit of WORK: they are text of the value too."""

COST_OF_A_VIEW = 64
COST_OF_A_HIT = 12
_FOR_ONE = 32
"""Bytes of a view that take as long to read as a unit of WORK."""

_LEAST_KNOWN, _MOST_KNOWN, _FOR_ONE_KNOWN = 8, 20, 16

Allowance = tuple[int, float]


class Known:
    """What was looked at, as hashes in bounded memory: what comes later may take the place of another."""

    __slots__ = ("_hashes", "_last")

    def __init__(self, size: int) -> None:
        """As much as a value of `size` bytes may need."""
        bits = (size // _FOR_ONE_KNOWN).bit_length()
        self._last = (1 << min(_MOST_KNOWN, max(_LEAST_KNOWN, bits))) - 1
        self._hashes = array("q")

    def __contains__(self, data: bytes) -> bool:
        if not self._hashes:
            return False
        known = hash(data)
        return self._hashes[known & self._last] == known or self._hashes[known >> 32 & self._last] == known

    def add(self, data: bytes) -> None:
        """From now on this is in it."""
        if not self._hashes:
            self._hashes.frombytes(bytes(8 * (self._last + 1)))
        known = hash(data)
        place = known & self._last
        self._hashes[known >> 32 & self._last if self._hashes[place] else place] = known


Loose = Known | set[bytes]
"""How runs begin that are not packed, of all texts of a value or of one."""


class Budget:
    """What may still be done for a value of `size` bytes of text. Each method raises InspectionError where
    that is used up. For one inspection in one thread."""

    __slots__ = (
        *("_free", "_haste", "_hits", "_patience", "_read", "_size"),
        *("coded", "harmless", "idle", "loose", "work"),
    )

    def __init__(self, size: int, patience: float = 1) -> None:
        """`patience`: so many times more may be looked through and found, where nobody waits for it; below 1
        where all wait, and then as much less may be unpacked."""
        self._size = size
        self._patience = patience
        self._haste = min(1, patience)
        self._read = int(_allowed(READ, size) * self._haste)
        self.work = int(_allowed(WORK, size) * patience)
        """How many more units of WORK are left."""
        self.idle, self.loose = Known(size), Known(size)
        """Runs of letters that say nothing, and how runs begin that are not packed: a value is read several
        times."""
        self.coded: dict[int, array[int] | None] = {}
        """By the hash of a text, where its runs say something: that is asked more than once."""
        self.harmless = set[bytes]()
        """What stands around values that are not secrets."""
        self._hits = int(_allowed(HITS, size) * patience)
        self._free = self._hits - int(HITS[0] * patience)

    def read(self, size: int) -> None:
        """This many bytes were decoded."""
        self._read -= size
        if self._read < 0:
            self._over(READ, "bytes of disguised or packed text", self._haste)

    def unpack(self, size: int) -> None:
        """This many bytes were unpacked."""
        self.read(size)
        self.work += size // UNPACKED

    def view(self, size: int) -> None:
        """A view of `size` bytes is about to be read."""
        self._spend(COST_OF_A_VIEW + size // _FOR_ONE, "disguises")

    def piece(self, count: int = 1) -> None:
        """A view is made of this many more pieces."""
        self._spend(count, "pieces of disguised text")

    def trigger(self, count: int = 1) -> None:
        """There are this many more places at which something may begin."""
        self._spend(count, "beginnings of secrets")

    def hit(self, count: int = 1) -> None:
        """This many more things were found."""
        self._hits -= count
        if self._hits < 0:
            self._over(HITS, "hits", self._patience)
        if self._hits < self._free:
            self._spend(count * COST_OF_A_HIT, "hits")

    def _spend(self, count: int, what: str) -> None:
        self.work -= count
        if self.work < 0:
            raise InspectionError(f"too much work in {self._size:,} bytes: {what}")

    def _over(self, allowance: Allowance, what: str, patience: float) -> None:
        allowed = int(_allowed(allowance, self._size) * patience)
        raise InspectionError(f"more than {allowed:,} {what} in {self._size:,} bytes")


def only(budgets: list[Budget], size: int) -> Budget:
    """The one budget of a value of `size` bytes, made when it is first needed: most values need none."""
    if not budgets:
        budgets.append(Budget(size))
    return budgets[0]


def _allowed(allowance: Allowance, size: int) -> int:
    least, each = allowance
    return max(least, int(size * each))
