"""Whether lines that are read are those that were written: each by its own hash, and by the line before.

Law of this file: it costs one SHA-256 a line and proves less than `verify`, which reads the whole folder.
"""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from mcpguard.adapters.audit.following import FollowedLine, Following
from mcpguard.adapters.audit.reader import (
    NoChain,
    Removed,
    chain_name,
    first_line,
    line_at,
    packed,
    sound_lines,
)
from mcpguard.core.evidence.chain import GENESIS, SEAL, continues, decoded
from mcpguard.core.evidence.records import Checkpoint


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


class ChainExtent(Struct, frozen=True):
    """The hash that the first line of a chain states, and where its last whole line ends, with the hash of
    that."""

    begin: bytes
    end: int
    head: bytes


def extent(file: Path) -> ChainExtent:
    """That of a chain, as far as it can be read. Raises AuditError."""
    begin, end, head = b"", 0, b""
    for line in sound_lines(file, {}):
        if line.endswith(b"\n"):
            head = line[-67:-3]
            begin, end = begin or head, end + len(line)
    return ChainExtent(begin, end, head)


class ChainRow(Struct, frozen=True):
    """What is known of a chain: up to where it was `read`, the hash there, whether it is `over`, what its
    file looked like then, the hash of its first line, the first chain of its process, and the one before."""

    number: int
    name: str
    read: int = 0
    head: bytes = b""
    over: int = 0
    altered: int = 0
    stamp: str = ""
    begin: bytes = b""
    copy: int = 0
    origin: str = ""
    before: str = ""


def first_hash(file: Path) -> bytes:
    """The hash of the first line; b"" where it cannot be read."""
    return first_line(file)[-67:-3]


def is_read(file: Path, status: os.stat_result, row: ChainRow | None) -> bool:
    """Whether the index has all of it, and it has not changed since."""
    alone = file.suffix == ".gz" or not os.path.lexists(packed(file))
    return row is not None and has_ended(file, status, row) and alone and stamp_of(status) == row.stamp


def has_ended(file: Path, status: os.stat_result, row: ChainRow) -> bool:
    """Whether all that the file has was read."""
    return bool(row.over) if file.suffix == ".gz" else status.st_size == row.read


def stamp_of(status: os.stat_result) -> str:
    """A value that differs after each change of a file."""
    return f"{status.st_ino} {status.st_ctime_ns}"


def still_has(file: Path, read: int, head: bytes) -> bool:
    """Whether the file still has the line that was read last."""
    if not read:
        return True
    with suppress(NoChain):
        return line_at(file, read - SEAL) == b',"hash":"%b"}\n' % head
    return False


def intact_until(file: Path, read: int, head: bytes) -> bool:
    """Whether all of it up to there is as it was written, and ends with that hash."""
    at, before = 0, GENESIS.encode()
    broken: dict[str, None] = {}
    for line in sound_lines(file, broken):
        if at >= read:
            break
        if not continues(line, before):
            return False
        at, before = at + len(line), line[-67:-3]
    return at == read and before == head and not broken


def copies(extents: Mapping[Path, ChainExtent]) -> dict[Path, Path]:
    """Those of several chains that another of them begins with, each with that one: a copy has another name,
    and may have been made while its chain grew. Raises AuditError."""
    found: dict[Path, Path] = {}
    alike: dict[bytes, list[Path]] = {}
    for file, one in extents.items():
        if one.begin:
            alike.setdefault(one.begin, []).append(file)
    for files in alike.values():
        # The name of a copy is mostly the longer one.
        files.sort(key=lambda file: (-extents[file].end, len(file.name), file.name))
        whole, *others = files
        for file in others:
            with suppress(NoChain, Removed):
                if line_at(whole, extents[file].end - SEAL)[-67:-3] == extents[file].head:
                    found[file] = whole
    return found


def written_until(path: Path) -> float:
    """After that no record of a chain was made, in seconds since 1970; infinite where that is not known.
    Whoever can write to a file sets its time, but not that of its last change (`ctime`)."""
    times: list[float] = []
    for look in (path.lstat, path.stat):
        with suppress(OSError):
            found = look()
            times.append(max(found.st_mtime, found.st_ctime))
    # The clock of a file system may be a moment behind.
    return max(times, default=math.inf) + 1


def last_lines(file: Path, most: int, check: LineCheck) -> list[bytes]:
    """The last lines of a chain, at most this many, once `check` has accepted them."""
    found = _last(file, most, check)
    _checked(((chain_name(file), start, line) for start, line in found), check)
    return [line for _, line in found]


def last_of_all(files: Iterable[Path], most: int, check: LineCheck, having: bytes = b"") -> list[bytes]:
    """As `last_lines`, of several chains in the order of time; lines of one chain stay in theirs. Only lines
    that contain `having` count."""
    found: list[tuple[bytes, str, int, bytes]] = []
    for written, file in sorted(((_written(file), file) for file in files), reverse=True):
        if len(found) == most and written < found[0][0]:
            break
        at = b""
        for start, line in _last(file, most, check, having):
            at = max(at, _time(line))
            found.append((at, chain_name(file), start, line))
        found = sorted(found)[-most:]
    _checked(((name, start, line) for _, name, start, line in found), check)
    return [line for *_, line in found]


def _last(file: Path, most: int, check: LineCheck, having: bytes = b"") -> deque[tuple[int, bytes]]:
    """Lines and where they begin."""
    at = 0
    found: deque[tuple[int, bytes]] = deque(maxlen=most)
    for line in sound_lines(file, check.altered):
        if having in line:
            found.append((at, line))
        at += len(line)
    return found


def _checked(found: Iterable[tuple[str, int, bytes]], check: LineCheck) -> None:
    for name, start, line in found:
        # One that is not whole is being written.
        if line.endswith(b"\n"):
            check.take(name, start, line)


def _time(line: bytes) -> bytes:
    """When a record was made, so that it sorts; b"" where it does not say."""
    found = _AT.search(line)
    return b"" if found is None else found[1]


def _written(file: Path) -> bytes:
    """After that no record of this chain was made, as `_time` has it."""
    # A planted file may have any time, even one outside the years of a calendar.
    with suppress(OverflowError, ValueError):
        last = datetime.fromtimestamp(written_until(file), UTC)
        return last.strftime("%Y-%m-%dT%H:%M:%S.%f").encode()
    return b"9999"


_CHECKPOINT = b'{"kind":"checkpoint"'
_checkpoint = msgspec.json.Decoder(Checkpoint).decode
_AT = re.compile(rb'"at":"([^"Z]*)')


class CheckedFollowing(Following):
    """Follows, and checks what it reads. `warn` hears the name of each chain that was altered, once."""

    def __init__(
        self,
        folder: Path,
        cursor: Path | None = None,
        *,
        from_start: bool = False,
        own: bool = True,
        alone: bool = False,
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(folder, cursor, from_start=from_start, own=own, alone=alone)
        self.check = LineCheck()
        self.removed: dict[str, None] = {}
        """Names of chains that were removed before they were read."""
        self._warn = warn
        self._warned: set[str] = set()

    def read(self, most: int) -> list[FollowedLine]:
        found = super().read(most)
        for line in found:
            self.check.take(line.file, line.start, line.data)
            if line.data.startswith(_CHECKPOINT) and (one := decoded(_checkpoint, line.data)) is not None:
                self._take_removed(one.removed_until)
        for name in self.check.altered.keys() - self._warned:
            self._warned.add(name)
            self._warn(name)
        return found

    def _take_removed(self, until: str) -> None:
        # Names begin with a time, and the oldest are removed first: what was listed before is gone.
        if until > self.listed_before and until not in self.listed:
            self.removed[until] = None

    def spoiled(self, name: str, problem: NoChain) -> None:
        """Count it as altered, and read no more of it."""
        self.check.altered[name] = None
        self.left.add(name)

    def passed(self, path: Path) -> None:
        """Count it as altered."""
        self.check.altered[chain_name(path)] = None
