"""One chain, open for appending: a file of this process that nobody else may change, and how another chain
follows it: after evidence could not be written, or when it is long enough.

Law of this file: `size` is what is in the file and was sealed here. Whatever else is found in it, its name
gone, or another file under its name, is an error, after which nothing is appended to it any more.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from mcpguard.adapters.audit.heads import Heads
from mcpguard.adapters.system.files import private_file, sync_folder
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Anchor, Closed, Opened
from mcpguard.gateway.flight import Wait

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

DURABLE: Wait[None] = Wait()
"""Over, since nothing is to be stored."""
DURABLE.set(None)
RETRY_SECONDS = 0.5
"""Between two attempts to write evidence again."""
GATHER_SECONDS = 0.002
"""How long "group" gathers records for one sync."""
ENOUGH = 64
"""With "group", this many records or more are handed over at once: enough of them share a sync."""
STALL_SECONDS = 5.0
"""A write in a thread that takes longer counts as failed for those who wait for it."""
MANY = 8
"""With "flush", this many records or more are written in a thread."""
END_SECONDS = 3.0
"""How long the last records may take when the process ends."""
PLACE_SECONDS = 1.0
"""How old the last look may be at whether the file is still where its name says."""
MOST_BACK = timedelta(days=1)
"""A clock that was set back further was wrong for long, and names in the future would keep chains from being
removed."""
_PART = timedelta(microseconds=16)
"""What names tell apart."""


class ChainFile:
    """A new file `folder/<UTC time>-<pid>-<part of the second, random>.jsonl`, mode 0600; the folder is made
    where it is missing.

    Locked (flock) as long as this process has it open, so that others can tell that it is being written.
    Its name sorts behind that of `after`, the chain of this process before it, also where the clock was set
    back meanwhile, by up to `MOST_BACK`. Raises OSError where it cannot be made.
    """

    def __init__(self, folder: Path, sync: bool, after: ChainFile | None = None) -> None:
        self.begun = datetime.now(UTC)
        # A call may end in the next chain of its process, which readers must not read before this one.
        if after is not None and -MOST_BACK < self.begun - after.begun < _PART:
            self.begun = after.begun + _PART
        part = f"{(self.begun.microsecond << 16) // 1_000_000:04x}{os.urandom(2).hex()}"
        self.path = folder / f"{self.begun:%Y%m%dT%H%M%SZ}-{os.getpid()}-{part}.jsonl"
        self.chain = Chain()
        self.size = 0
        self.sound = True
        """Whether it ends where this process thinks, and more may be appended."""
        self.continues = ""
        """The chain of this process before it."""
        self.look_at = time.monotonic() + PLACE_SECONDS
        """When `append` is to look whether the file is in its place."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = _create(self.path, sync)

    @property
    def head(self) -> Anchor:
        """What was sealed last, whatever the file holds by now."""
        return Anchor(self.path.name, self.chain.head)

    @property
    def in_place(self) -> bool:
        """Whether the file is where readers look for it. Its folder may have been moved, and it with it."""
        try:
            there, ours = os.stat(self.path), os.fstat(self._file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # Nobody can tell: what is written says more.
            return True
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def append(self, lines: list[bytes], sync: bool, last: bool = False) -> None:
        """Store `lines`, and close the file where these are the last. Any thread may call it. Raises OSError,
        after which `cut` is to be called, or AuditError where something else changed the file."""
        if (now := time.monotonic()) >= self.look_at:
            self.look_at = now + PLACE_SECONDS
            if not self.in_place:
                raise self._harmed()
        data = b"".join(lines)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        if sync:
            sync_file(self._file)
        found = os.fstat(self._file)
        if not found.st_nlink or found.st_size != self.size + len(data):
            raise self._harmed()
        self.size = found.st_size
        if last:
            self.close()

    def _harmed(self) -> AuditError:
        self.sound = False
        folder = self.path.parent
        if os.path.exists(folder) and not os.path.isdir(folder):  # No failure where it is closed to us.
            return AuditError(f"a file is in place of the audit folder {folder}")
        return AuditError(f"the audit file {self.path} was moved, removed or changed by something else")

    def failure(self, reason: str) -> AuditError:
        """That it cannot be written, and why."""
        return AuditError(f"the audit file {self.path} cannot be written: {reason}")

    def cut(self) -> None:
        """Remove what a failed `append` left."""
        if self.sound:
            try:
                os.ftruncate(self._file, self.size)
                self.sound = os.fstat(self._file).st_nlink > 0
            except OSError:
                self.sound = False

    def finish(self, record: Closed, sync: bool) -> None:
        """Append `record` as the last one, if that is possible."""
        if self.sound and self.chain.seq:
            mark = self.chain.mark
            try:
                self.append([self.chain.seal(record)], sync)
            except (OSError, AuditError):
                self.chain.rewind(mark)
                self.cut()
            else:
                self.sound = False

    def close(self) -> None:
        """Close the file, and remove it if it is empty. Closing twice does nothing."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)
            if not self.size:
                self.path.unlink(missing_ok=True)


class GrowthLimit(Struct):
    """How far a chain may grow before `tell` is called, once. `length` counts records, `size` bytes."""

    tell: Callable[[], None]
    length: int
    size: int
    told: bool = False


class LineGroup(Wait[None]):
    """The lines of one commit to one file, and where its chain was before them; it is over when they are
    durable."""

    file: ChainFile
    start: tuple[int, bytes]
    end: tuple[int, bytes] = (0, b"")
    """Where the chain ends after these lines, once they are handed to a thread."""
    lines: list[bytes] = field(default_factory=list)
    ends_outage: bool = False
    is_last: bool = False
    """Whether the file is closed after this commit."""

    @property
    def decisions(self) -> int:
        """How many requests it decides."""
        return sum(line.startswith(b'{"kind":"decision"') for line in self.lines)


def _create(path: Path, sync: bool) -> int:
    file = private_file(path, os.O_WRONLY | os.O_EXCL | os.O_APPEND)
    with suppress(OSError):  # Some file systems have no locks.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if sync:
        sync_folder(path.parent)
    return file


def sync_file(file: int) -> None:
    """Have the drive store what was written."""
    if sys.platform == "darwin":
        # fsync(2) on macOS leaves the data in the drive's cache; only this asks the drive.
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


Flying: TypeAlias = "tuple[Future[None], LineGroup]"
"""What a thread stores."""


class Outage(Struct):
    """A time in which evidence could not be written. `since` is in seconds since 1970, `why` a sentence;
    `refused` counts requests."""

    since: float
    why: str
    refused: int = 0

    def said(self) -> str:
        """What the record of it says."""
        began = datetime.fromtimestamp(self.since, UTC)
        refused = "1 request" if self.refused == 1 else f"{self.refused} requests"
        return f"from {began:%Y-%m-%dT%H:%M:%SZ} to this record, {refused} refused: {self.why}"


def settle(future: Future[None], batch: LineGroup) -> None:
    """Wait for a write that hangs, and see what is in its file."""
    failed = future.exception() is not None
    batch.file.chain.rewind(batch.start if failed else batch.end)
    if failed:
        batch.file.cut()


def successor(old: ChainFile, opened: Opened, folder: Path, heads: Heads, sync: bool) -> ChainFile:
    """A new chain that begins with `opened` and holds the head of `old` as this process knows it. Raises
    OSError, AuditError."""
    new = ChainFile(folder, sync, old)
    new.continues = opened.continues
    try:
        mine = (old.head,) if old.chain.seq else ()
        others = (one for one in heads.take_unanchored(new.path.name) if one.file != old.path.name)
        new.append([new.chain.seal(replace(opened, anchors=(*mine, *others)))], sync)
    except (OSError, AuditError):
        new.cut()
        new.close()
        raise
    return new


def tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    """Call `what` in the loop, from any thread."""
    with suppress(RuntimeError):  # The loop has ended meanwhile.
        loop.call_soon_threadsafe(what)
