"""Lines of chains by their places, compressed or not.

Law of this file: of what is compressed, no more is unpacked than somebody asks for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from mcpguard.adapters.audit.reader import NoChain, blocks, open_chain, unread
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import MAX_LINE


class LineReader:
    """Reads lines of chains by their places. Keeps the last chains open, and of each the block that was read
    last, since what is asked next often stands before it."""

    def __init__(self) -> None:
        self._open: dict[Path, tuple[_ChainBytes, int, bytes]] = {}

    def close(self) -> None:
        for chain, *_ in self._open.values():
            chain.close()
        self._open.clear()

    def line(self, path: Path, start: int) -> bytes:
        """The line that begins at `start`, or what is left of it; b"" at the end. Raises AuditError."""
        known = self._open.pop(path, None)
        chain, begin, block = self._open[path] = (_ChainBytes(path), 0, b"") if known is None else known
        end = block.find(b"\n", start - begin) if start >= begin else -1
        if end < 0:
            begin = max(0, start - _BEFORE)
            block = chain.piece(_BEFORE + _AFTER, begin)
            end = block.find(b"\n", start - begin)
        self._open[path] = chain, begin, block
        if len(self._open) > _MOST_OPEN:
            self._open.pop(next(iter(self._open)))[0].close()
        if end >= 0:
            return block[start - begin : end + 1]
        whole = chain.piece(MAX_LINE, start)
        return whole[: whole.find(b"\n") + 1] or whole

    def piece(self, path: Path, start: int, size: int) -> bytes:
        """These bytes of a chain. Raises AuditError."""
        if path not in self._open:
            self.line(path, start)
        return self._open[path][0].piece(size, start)


_BEFORE, _AFTER = 96 << 10, 32 << 10
_MOST_OPEN = 8


class _ChainBytes:
    """The bytes of a chain at any place, as far as it can be read. A compressed one is unpacked into a file
    that has no name, as far as somebody asks: what was planted may be of any size. Raises AuditError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest: Iterator[bytes] | None = None
        self._size = 0
        if path.suffix != ".gz":
            try:
                found, self._file = open_chain(path)
            except OSError as error:
                raise unread(path, error) from None
            if found == path:
                return
            self._file.close()  # It was compressed a moment ago.
        import tempfile

        with self._unpacking():
            self._file = cast("BinaryIO", tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - `close` closes it
        self._rest = blocks(path)
        try:
            self._unpack()
        except AuditError:
            self.close()
            raise

    def close(self) -> None:
        self._rest = None
        self._file.close()

    def piece(self, size: int, start: int) -> bytes:
        """Some bytes from `start` on."""
        while self._rest is not None and self._size < start + size:
            self._unpack()
        try:
            return os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise AuditError(f"the audit file {self._path} cannot be read: {error.strerror}") from None

    def _unpack(self) -> None:
        """The next block."""
        block = b""
        with suppress(NoChain):
            block = next(self._rest or iter(()), b"")
        if not block:
            self._rest = None
        left = memoryview(block)
        with self._unpacking():
            while left:
                left = left[self._file.write(left) :]
        self._size += len(block)

    @contextmanager
    def _unpacking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AuditError(
                f"the compressed chain {self._path} cannot be unpacked for reading: {error.strerror}; set "
                "TMPDIR to a folder with enough free space"
            ) from None
