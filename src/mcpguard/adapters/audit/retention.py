"""Chains that nobody writes any more: compressed, and removed when they are older than they have to be kept.

Law of this file: a chain is touched only where its process is gone or done with it, and where its last head
is on record in another chain.
"""

import fcntl
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


def over(path: Path) -> bool:
    """Whether no process writes this chain: a writer keeps it locked."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def compress(path: Path) -> Path:
    """Put its packed form (`.gz`) in its place, with the same times. Raises OSError, and leaves it then."""
    import gzip
    import shutil

    packed, fresh = path.with_name(f"{path.name}.gz"), path.with_name(f"{path.name}.gz.new")
    fresh.unlink(missing_ok=True)
    try:
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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
    path.unlink()
    return packed


def expired(folder: Path, settled: Collection[str], before: float, most: int = 0) -> list[Path]:
    """The oldest chains that were last written before that time (in seconds since 1970), or that have to go
    so that all are `most` bytes together (0 for no limit), by their names: up to the first that has to be
    kept, so that one name says which were removed. `settled` are those whose last head another chain holds;
    a compressed one is. Raises OSError."""
    names = sorted(name for name in os.listdir(folder) if name.endswith((".jsonl", ".jsonl.gz")))
    found = []
    surplus = sum((folder / name).stat().st_size for name in names) - most if most else 0
    for name in names:
        path = folder / name
        is_settled = name.endswith(".gz") or name in settled
        is_wanted = path.stat().st_mtime >= before and surplus <= 0
        if not is_settled or is_wanted or not over(path):
            break
        surplus -= path.stat().st_size
        found.append(path)
    return found
