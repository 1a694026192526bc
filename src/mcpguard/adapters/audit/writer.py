"""Evidence in a file: one append-only chain a process, durable in groups.

Law of this file: what `commit` has acknowledged is in the file, in order and verifiable; what could not
be stored is cut off again and its waits fail. All records of one turn of the event loop share one write
(and one sync), so evidence costs a system call a turn and not a system call a record.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec.structs import replace

from mcpguard.adapters.audit.heads import Heads
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Closed, Noticed, Opened, Record
from mcpguard.gateway.flight import Wait

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Durability: TypeAlias = Literal["flush", "fsync"]
"""What a record survives: "flush" the end of the process, kill -9 included; "fsync" a power failure."""


class AuditFile:
    """Implements `ports.AuditSink` in a new file `folder/<UTC time>-<pid>-<random>.jsonl`, mode 0600.

    The owner calls `commit` at the end of each turn of the loop (`while sink.pending: sink.commit()`).
    `on_pending` is called when a batch gets its first record and, with "fsync", when a commit that
    needed a running loop and ended in a thread is over: the owner then sees to it that its turn ends.

    Raises AuditError, with a sentence that says what to do, where the file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        durability: Durability = "flush",
        on_pending: Callable[[], None] | None = None,
    ) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self.path = folder / name
        self.pending = False
        """Whether `commit` has something to do now."""
        self._sync = durability == "fsync"
        self._on_pending = on_pending
        self._chain = Chain()
        self._batch = _Batch(self._chain.mark())
        self._opened: Opened | None = None
        self._size = 0
        self._failed: AuditError | None = None
        self._closed = False
        self._flying: tuple[Future[None], _Batch] | None = None
        self._thread: ThreadPoolExecutor | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._anchors = Heads(folder).loose()
            self._file = _create(self.path, self._sync)
        except OSError as error:
            raise AuditError(
                f"the audit folder {folder} cannot be used ({error.strerror}): make it a folder that this "
                "user can write to, or name another one in the configuration (`audit: {path: …}`)"
            ) from None

    def write(self, record: Record) -> Wait[None]:
        """Append `record`. The wait is over, or fails with AuditError, in the commit that stores it.

        All records until the next commit share one wait. An `Opened` record gets its `anchors` here.
        """
        try:
            if self._failed is not None:
                raise self._failed
            if self._chain.seq == 0:
                record = self._first(record)
            line = self._chain.seal(record)
        except AuditError as error:
            refused: Wait[None] = Wait()
            refused.fail(error)
            return refused
        batch = self._batch
        batch.lines.append(line)
        self.pending = self._flying is None
        if len(batch.lines) == 1 and self._on_pending is not None:
            self._on_pending()
        return batch

    def settled(self) -> Wait[None]:
        """Over when all that was written so far is durable; at once if it is."""
        if self._batch.lines:
            return self._batch
        if self._flying is not None:
            return self._flying[1]
        return _DURABLE

    def commit(self) -> None:
        """Store what was written since the last commit, and resume who waits for it.

        Flights that are resumed may write again: that is the next batch, and `pending` says so. While a
        thread is syncing this does nothing: the end of that sync comes back through `on_pending`.
        """
        if not self.pending:
            return
        batch = self._next_batch()
        if not self._sync:
            if self._stored(batch):
                batch.set(None)
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            # A thread of its own: one that waits for a keychain must not delay evidence.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mcpguard-audit")
        loop = asyncio.get_running_loop()
        future = self._thread.submit(self._store, batch)
        self._flying = flying = (future, batch)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._synced, flying))

    def close(self, record: Closed) -> None:
        """Store what is pending, then `record` as the last one, and close the file.

        Blocks until it is durable. Raises AuditError where `record` could not be stored. What is written
        later fails. A second close does nothing.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._drain()
            last = self.write(record)
            self._drain()
        finally:
            self._failed = self._failed or AuditError("the audit log is closed")
            if self._thread is not None:
                self._thread.shutdown()
            os.close(self._file)
        next(last.__await__(), None)

    def discard(self) -> None:
        """Close the file after a start that failed, and remove it if it holds nothing. Nothing is written
        any more."""
        self._closed = True
        self._failed = self._failed or AuditError("the audit log is closed")
        if self._thread is not None:
            self._thread.shutdown()
        os.close(self._file)
        if not self._size:
            self.path.unlink(missing_ok=True)

    def _first(self, record: Record) -> Record:
        if isinstance(record, Opened):
            self._opened = replace(record, anchors=self._anchors)
            return self._opened
        # It could not be stored when it was written; a chain still begins with it.
        if self._opened is not None:
            self._batch.lines.append(self._chain.seal(self._opened))
        return record

    def _next_batch(self) -> _Batch:
        batch, self._batch = self._batch, _Batch(self._chain.mark())
        self.pending = False
        return batch

    def _drain(self) -> None:
        while True:
            if self._flying is not None:
                self._land(self._flying)
            elif self._batch.lines:
                batch = self._next_batch()
                if self._stored(batch):
                    batch.set(None)
            else:
                return

    def _stored(self, batch: _Batch) -> bool:
        """Store it now; False where that failed, and who waits for it knows."""
        try:
            self._store(batch)
        except Exception as error:
            self._undo(batch, error)
            return False
        return True

    def _store(self, batch: _Batch) -> None:
        data = b"".join(batch.lines)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        if self._sync:
            _sync_file(self._file)
        now = os.fstat(self._file)
        if not now.st_nlink or now.st_size != self._size + len(data):
            raise AuditError(
                f"the audit file {self.path} was removed or changed by something else: restart mcpguard"
            )
        self._size = now.st_size

    def _synced(self, flying: tuple[Future[None], _Batch]) -> None:
        if self._flying is flying:
            self._land(flying)
            (self._on_pending or self.commit)()

    def _land(self, flying: tuple[Future[None], _Batch]) -> None:
        future, batch = flying
        error = future.exception()
        self._flying = None
        self.pending = bool(self._batch.lines)
        if error is None:
            batch.set(None)
        else:
            self._undo(batch, error)

    def _undo(self, batch: _Batch, error: BaseException) -> None:
        """Cut `batch` off, and what was sealed on top of it while a thread tried to store it."""
        later = self._batch
        self._chain.rewind(batch.start)
        self._batch = _Batch(batch.start)
        self.pending = False
        if isinstance(error, AuditError):
            # Somebody else's bytes are in the file, or it lost its name: nothing here is ours to mend.
            self._failed = failure = error
        else:
            reason = getattr(error, "strerror", None) or type(error).__name__
            failure = AuditError(f"the audit file {self.path} cannot be written: {reason}")
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self._failed = failure
        batch.fail(failure)
        later.fail(failure)


def note(folder: Path, durability: Durability, opened: Opened, noticed: Noticed) -> None:
    """Leave evidence of what a person does outside of a serving process, as a chain of its own. Raises
    AuditError where it could not be stored."""
    audit = AuditFile(folder, durability)
    audit.write(opened)
    audit.write(noticed)
    audit.close(Closed(noticed.at, "done"))


_DURABLE: Wait[None] = Wait()
_DURABLE.set(None)


class _Batch(Wait[None]):
    """The lines of one commit, and where the chain was before them; it is over when they are durable."""

    def __init__(self, start: tuple[int, bytes]) -> None:
        self.lines: list[bytes] = []
        self.start = start


def _create(path: Path, sync: bool) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if sync:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file


def _sync_file(file: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # fsync(2) on macOS leaves the data in the drive's cache; only this asks the drive.
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)
