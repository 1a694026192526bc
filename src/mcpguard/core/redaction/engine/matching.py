"""Many literals in one pass: the seam over the multi-pattern engine.

Law of this file: both engines call `visit` for the same (literal, end) pairs; one contract suite runs on
both. What is scanned always has `PAD` behind it, which is never looked at: Vectorscan 5.4.12 may read up
to one vector past the end of its input (VectorCamp/vectorscan pull request 381).
"""

from collections.abc import Callable, Container, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

PAD = b"\xff" * 64
"""Must follow everything that is scanned. 0xFF never occurs in UTF-8, so no literal reaches into it."""

_BODY = slice(-len(PAD))

Visit = Callable[[int, int, int, int, bytes], object]
"""`visit(index of the literal, 0, end, 0, padded)`; a true answer ends the scan. Must not scan itself."""


class Span(NamedTuple):
    """A stretch of bytes that must not leave: `start` to `end`, which is exclusive.

    `mark` identifies the removed value without telling it: equal values have equal marks.
    """

    start: int
    end: int
    kind: str
    mark: bytes


def stop(_index: int, _from: int, _end: int, _flags: int, _text: bytes) -> bool:
    """A Visit: one match is enough."""
    return True


class Matcher(Protocol):
    """A compiled set of literals; any number of threads may search with it at once."""

    in_order: bool
    """Whether it reports what ends at a place before all that ends behind it."""

    def search(self, padded: bytes, visit: Visit, start: int = 0) -> bool:
        """Call `visit` for every match, overlapping ones too, in `padded` without its last 64 bytes, that
        begins at `start` or behind it: not of a pattern that asks what stands before it.

        Answers whether a visit ended the scan. What `visit` raises leaves unchanged.
        """


class Tables(Protocol):
    """Where compiled tables of the program stay from one process to the next (decision 0056)."""

    def take(self, table: str, source: bytes) -> bytes | None:
        """What was put there for this `table`, if it was made from what has the digest `source`."""

    def put(self, table: str, source: bytes, compiled: bytes) -> None:
        """Keep `compiled`, if possible."""


_tables: list[Tables] = []
"""None or one."""


def keep_on(*places: Tables) -> None:
    """From now on take tables that have a name from this place, and put there what had to be compiled."""
    _tables[:] = places


def tables() -> Tables | None:
    """The place where they stay, if there is one."""
    return _tables[0] if _tables else None


class HyperscanMatcher:
    """Hyperscan (Vectorscan) in block mode. Raises ImportError where there is no wheel."""

    __slots__ = ("_database", "_scan", "_scratch", "_spare", "_terminated")
    in_order = True

    def __init__(
        self, literals: Sequence[bytes], any_case: Container[int] = (), table: str = "", first: int = 0
    ) -> None:
        import hyperscan

        flags = [hyperscan.HS_FLAG_CASELESS if one in any_case else 0 for one in range(len(literals))]
        # The literal compiler is the faster one, but it takes bytes outside ASCII for code points.
        if all(literal.isascii() and 0 not in literal for literal in literals):
            self._compile(hyperscan, table, list(literals), flags, literal=True, first=first)
        else:
            self._compile(hyperscan, table, [_escaped(one) for one in literals], flags, first=first)

    def _compile(
        self,
        hyperscan: Any,
        table: str,
        expressions: list[bytes],
        flags: list[int],
        *,
        literal: bool = False,
        first: int = 0,
    ) -> None:
        place = tables() if table else None
        source = sha256(repr((expressions, flags, literal, first)).encode()).digest() if place else b""
        if place and (compiled := place.take(table, source)):
            try:
                self._use(hyperscan, hyperscan.loadb(compiled, hyperscan.HS_MODE_BLOCK))
                return
            except hyperscan.error:
                pass  # Of another version, or for another processor.
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(
            expressions=expressions,
            ids=_ids(first + len(expressions))[first:],
            elements=len(expressions),
            flags=flags,
            literal=literal,
        )
        self._use(hyperscan, database)
        if place:
            place.put(table, source, hyperscan.dumpb(database))

    def _use(self, hyperscan: Any, database: Any) -> None:
        self._database: Any = database
        self._scan: Any = database.scan
        self._scratch: Any = hyperscan.Scratch
        self._terminated: type[Exception] = hyperscan.ScanTerminated
        self._spare: list[Any] = []

    def search(self, padded: bytes, visit: Visit, start: int = 0) -> bool:
        """See Matcher."""
        whole, body = visit, _BODY
        if start:
            body = slice(start, -len(PAD))

            def visit(index: int, begin: int, end: int, flags: int, padded: bytes) -> object:
                return whole(index, begin, end + start, flags, padded)

        # A scratch serves one scan at a time; list.pop and list.append are atomic.
        try:
            scratch = self._spare.pop()
        except IndexError:
            scratch = self._scratch(self._database)
        try:
            self._scan(memoryview(padded)[body], visit, 0, padded, scratch)
        except self._terminated:
            return True
        finally:
            self._spare.append(scratch)
        return False


_numbers: list[int] = []


def _ids(count: int) -> list[int]:
    """The indices of this many literals. Hyperscan 0.9.1 keeps a reference to each integer it is given, so
    all compiles share theirs: else each rotation of a credential would leave some behind."""
    while len(_numbers) < count:
        _numbers.append(len(_numbers))
    return _numbers[:count]


def _escaped(literal: bytes) -> bytes:
    return rb"\x" + literal.hex(" ").replace(" ", r"\x").encode()


class PlainMatcher:
    """The same from the standard library, for machines without a wheel; slower, but linear too."""

    __slots__ = ("_literals",)
    in_order = False

    def __init__(self, literals: Sequence[bytes], any_case: Container[int] = (), first: int = 0) -> None:
        self._literals = tuple((first + index, one, index in any_case) for index, one in enumerate(literals))

    def search(self, padded: bytes, visit: Visit, start: int = 0) -> bool:
        """See Matcher."""
        stop = len(padded) - len(PAD)
        lower = padded.lower() if any(one[-1] for one in self._literals) else padded
        for index, literal, any_case in self._literals:
            text = lower if any_case else padded
            at = text.find(literal, start, stop)
            while at >= 0:
                if visit(index, 0, at + len(literal), 0, padded):
                    return True
                at = text.find(literal, at + 1, stop)
        return False


def compile_literals(
    literals: Sequence[bytes], any_case: Container[int] = (), table: str = "", first: int = 0
) -> Matcher:
    """The best matcher that this machine has. Takes about a millisecond for fifty literals. Those that
    have an index in `any_case` are in lower case and found in any. A Visit gets the index and `first`.

    Only what is the same in each process has a `table`, the name under which it is kept: never a value.
    """
    try:
        return HyperscanMatcher(literals, any_case, table, first)
    except ImportError:
        return PlainMatcher(literals, any_case, first)
