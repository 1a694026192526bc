"""Newline-delimited messages out of a byte stream (specification: basic/transports, stdio).

Law of this file: sans IO, linear in the bytes fed, and never more than `limit` bytes kept.
"""

from msgspec import Struct

HEAD = 512


class Oversize(Struct, frozen=True):
    """A line that was longer than the limit: dropped, all but its first and last bytes."""

    head: bytes
    tail: bytes = b""

    def __len__(self) -> int:
        """Bytes that are left of it."""
        return len(self.head) + len(self.tail)


class Framer:
    """Cuts a stream into lines of at most `limit` bytes; white space at their ends (a CR) and lines of
    nothing else vanish."""

    __slots__ = ("_dropping", "_limit", "_parts", "_tail", "kept")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.kept = 0
        """Bytes of the line that is not complete."""
        self._dropping = False
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes | Oversize]:
        """Take the next bytes; return the lines that they complete, without their newline."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes | Oversize] = []
        for piece in ended:
            line = self._end(piece) if self._parts or len(piece) > self._limit else piece.rstrip()
            if line:
                lines.append(line)
        if rest:
            self._keep(rest)
        return lines

    def finish(self) -> list[bytes | Oversize]:
        """The stream has ended: whatever stands without a newline is the last line."""
        return self.feed(b"\n") if self._parts or self._dropping else []

    def _end(self, piece: bytes) -> bytes | Oversize:
        self._keep(piece)
        whole = b"".join(self._parts)
        dropped, tail = self._dropping, self._tail
        self._parts, self.kept, self._dropping, self._tail = [], 0, False, b""
        return Oversize(whole, tail) if dropped else whole.rstrip()

    def _keep(self, piece: bytes) -> None:
        if self._dropping:
            self._tail = (self._tail + piece[-HEAD:])[-HEAD:]
            return
        self._parts.append(piece)
        self.kept += len(piece)
        if self.kept > self._limit:
            self._dropping = True
            whole = b"".join(self._parts)
            self._parts, self.kept, self._tail = [whole[:HEAD]], HEAD, whole[-HEAD:]
