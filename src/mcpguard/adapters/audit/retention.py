"""Chains that nobody writes any more: compressed, and removed when they are older than they have to be kept.

Law of this file: a chain is touched only where its process is gone or done with it, and where its last head
is on record in another chain; and its age is what is on record, not only what the file system says.
"""

import math
import os
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mcpguard.adapters.audit.reader import Removed, lines
from mcpguard.adapters.system.files import claimed, private_file
from mcpguard.core.evidence.chain import MAX_LINE
from mcpguard.core.expressions import expression

KEEP_SECONDS = 86_400.0
"""What is younger is never removed for its size: a flood must not push out what happened before it."""
HELD_SECONDS = 7 * 86_400.0
"""For this much longer a chain stays that has not arrived where it is sent."""
_DAY = 86_400.0
_NAME = expression(r"(\d{8}T\d{6}Z)-.*\.jsonl(?:\.gz)?")
_AT = expression(rb'\{"kind":"[a-z]+","at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"')


def over(path: Path) -> bool:
    """Whether no process writes this chain, or compresses it."""
    with claimed(path) as file:
        return file is not None


def compress(path: Path) -> Path:
    """Put its packed form (`.gz`) in its place, with the same times, unless it is still written, or another
    process does it or has removed it. Raises OSError, and leaves it then."""
    packed = path.with_name(f"{path.name}.gz")
    with claimed(path) as file, suppress(FileNotFoundError):
        if file is not None:
            _compress(path, packed)
    return packed


def _compress(path: Path, packed: Path) -> None:
    import gzip
    import shutil

    fresh = path.with_name(f"{path.name}.gz.new")
    fresh.unlink(missing_ok=True)
    try:
        file = private_file(fresh, os.O_WRONLY | os.O_EXCL)
        with (
            path.open("rb") as whole,
            open(file, "wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as into,
        ):
            shutil.copyfileobj(whole, into, 1 << 20)
            into.close()
            raw.flush()
            os.fsync(raw.fileno())
        now = path.stat()
        os.utime(fresh, ns=(now.st_atime_ns, now.st_mtime_ns))
        fresh.replace(packed)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


class Expired(NamedTuple):
    """Chains to remove, the oldest first, and how many bytes are too many still when they are gone. `held` is
    the next one, if it stays only because it has not arrived where it is sent."""

    chains: list[Path]
    surplus: int
    held: Path | None = None


def expired(
    folder: Path,
    settled: Collection[str],
    now: float,
    days: float,
    most: int = 0,
    unsent: Callable[[Path], bool] = lambda _path: False,
    longer: float = HELD_SECONDS,
) -> Expired:
    """The oldest chains that were last written more than `days` before `now` (in seconds since 1970; 0 for no
    limit), or that have to go so that all are `most` bytes together (0 for no limit), by their names: up to
    the first that has to be kept, so that one name says which were removed. `settled` are those whose last
    head another chain holds; a compressed one is. One that is `unsent` stays `longer` seconds more. Raises
    OSError and AuditError."""
    found: list[Path] = []
    held: Path | None = None
    chains = [(path, size) for path in sorted(folder.iterdir()) if (size := _size(path, now)) >= 0]
    surplus = max(0, sum(size for _, size in chains) - most) if most else 0
    for path, size in chains:
        is_settled = path.name.endswith(".gz") or path.name in settled
        seconds = min(days * _DAY or math.inf, KEEP_SECONDS if surplus else math.inf)
        try:
            if not is_settled or _since(path, now - seconds) or not over(path):
                break
            if unsent(path) and _since(path, now - seconds - longer):
                held = path
                break
        except (FileNotFoundError, Removed):
            break  # Another process compressed or removed it just now.
        surplus = max(0, surplus - size)
        found.append(path)
    return Expired(found, surplus, held)


def _size(path: Path, now: float) -> int:
    """The bytes on disk of a chain that began before `now`; -1 for anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:  # Another process compressed or removed it.
        return -1
    if not stat.S_ISREG(found.st_mode) or not -math.inf < _begun(path.name) <= now:
        return -1
    # Of a file with holes only what is there counts.
    return min(found.st_size, found.st_blocks * 512)


def _begun(name: str) -> float:
    """The time in the name of a chain, in seconds since 1970; -inf if the name has no time."""
    found = _NAME.fullmatch(name)
    try:
        return datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%SZ%z").timestamp() if found else -math.inf
    except ValueError:
        return -math.inf


def _since(path: Path, time: float) -> bool:
    """Whether anything was written to a chain after `time`: by its name, by the time of the file, which
    whoever can write there sets, and by its last record."""
    if _begun(path.name) >= time or path.lstat().st_mtime >= time:
        return True
    last = b""
    for line in lines(path, 0 if path.suffix == ".gz" else max(0, path.stat().st_size - 2 * MAX_LINE)):
        last = line if line.endswith(b"\n") else last
    said = _AT.match(last)
    return said is None or datetime.fromisoformat(said[1].decode()).timestamp() >= time
