"""What outlives a process: where it is kept if the configuration does not say, and a lock that processes
share, as an open file: whoever ends without letting go has let go (flock(2)). And files of
others, read without trusting them."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_regular(path: Path, limit: int | None = None) -> bytes | None:
    """A regular file, at most its first `limit` + 1 bytes; None where it is something else, such as a FIFO or
    a terminal, which would be waited for. A link is followed. Raises OSError, also where no file can have
    this name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:
        raise OSError(errno.EINVAL, "not a valid path") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(-1 if limit is None else limit + 1)


def failure_of(error: OSError) -> str:
    """Why the system refused something, and what to do where that is known."""
    said = error.strerror or "unknown error"
    return f"{said}: raise the limit of open files (`ulimit -n`)" if error.errno == errno.EMFILE else said


_REMEDIES = {
    errno.ENOSPC: "free up space or inodes there (`df -h`, `df -i`)",
    errno.EDQUOT: "free up space there, or raise the quota",
    errno.EROFS: "mount its file system writable",
}


def remedy(error: OSError) -> str:
    """What makes a folder usable that the system refuses."""
    return _REMEDIES.get(error.errno or 0, "make it a folder that this user can write to")


def without_waiting(path: str, flags: int) -> int:
    """The `opener` for a file of others: a planted FIFO must not hang who opens it."""
    return os.open(path, flags | os.O_NONBLOCK)


def private_file(path: Path, flags: int) -> int:
    """A descriptor of a file that only its owner may read, which is made where it is missing; `flags` as for
    open(2). What root makes belongs to the owner of the folder, since a service has to read what a person
    leaves in its folder. Raises OSError."""
    flags |= os.O_CREAT | os.O_CLOEXEC
    try:
        # Only what did not exist, or a link would give away another file.
        file = os.open(path, flags | os.O_EXCL, 0o600)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags, 0o600)
    folder = os.stat(path.parent)
    if os.geteuid() == 0 != folder.st_uid:
        os.fchown(file, folder.st_uid, folder.st_gid)
    return file


def take_lock(path: Path, patience: float, pause: float) -> int:
    """The descriptor that holds the lock until it is closed; the file is made where it is missing. Blocks
    for `patience` seconds at most, and looks again after each `pause`. Raises OSError, BlockingIOError where
    another has it for this long."""
    file = private_file(path, os.O_RDWR)
    ends = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError as problem:
            # Whoever has it may have been stopped, which must not stop us.
            if not isinstance(problem, BlockingIOError) or time.monotonic() > ends:
                os.close(file)
                raise
            time.sleep(pause)


@contextmanager
def claimed(path: Path, flags: int = 0) -> Iterator[int | None]:
    """The descriptor of a file that nobody had locked, and that is locked meanwhile; None where another has
    it, or where it is not there any more. `flags` are more of open(2)."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        is_there = False
    try:
        yield file if is_there else None
    finally:
        os.close(file)


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path` at once: nobody sees half of it, and it is stored when this returns. A link is
    followed; a file that is there keeps its mode, a new one gets `mode`; a device or a pipe is written to.
    Raises OSError."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        kept = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        kept = mode
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "wb") as new:
            os.fchmod(file, kept)
            new.write(data)
            new.flush()
            os.fsync(file)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was made or renamed in `folder` outlives a lost machine. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
