"""Files that are written whole or not at all, and what they were before.

Law of this file: nobody sees half a file; a file that has changed since it was read is never overwritten.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcpguard.adapters.system.files import read_regular, sync_folder
from mcpguard.core.errors import McpGuardError


class MoveError(McpGuardError):
    """A step that cannot be taken. The sentence names the file and says what to do."""


IRREGULAR = "no regular file"
"""Stands for the digest of what is not a file: it differs from that of each file."""


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str | None:
    """SHA-256 of the file in hex, or None. Raises MoveError."""
    try:
        data = read_regular(path)
        return IRREGULAR if data is None else digest_of(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MoveError(f"{path} cannot be read: {error.strerror}") from None


def missing(path: Path) -> list[Path]:
    """Which of `path` and the folders above it are not there, the lowest last."""
    return [one for one in (*reversed(path.parents), path) if not one.exists()]


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make `path` and what is missing above it. Raises MoveError."""
    try:
        # `parents=True` would give those above what the umask leaves open.
        for one in missing(path):
            one.mkdir(mode, exist_ok=True)
            one.chmod(mode)
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise MoveError(f"{path} cannot be created: {error.strerror}") from None


def write(path: Path, data: bytes, *, mode: int = 0o600, expected: str | None = "") -> None:
    """Put `data` at `path` at once: a file beside it, stored, then renamed. Raises MoveError.

    A file that is there keeps its mode and owner; a new one gets `mode`. `expected` is the digest that the
    file must still have (None: it must not be there; "": anything).
    """
    aside = _aside(path)
    try:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            _like(path, descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if expected != "" and digest(path) != expected:
            os.unlink(aside)
            raise MoveError(
                f"{path} was changed by another program in the meantime: nothing was written; try again"
            )
        os.replace(aside, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            os.unlink(aside)  # What is in it may be secret.
        raise MoveError(f"{path} cannot be written: {error.strerror}") from None


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.mcpguard")


def sweep(path: Path) -> None:
    """Remove what a write to `path` that was cut short has left. Raises MoveError."""
    remove(_aside(path))


def _like(path: Path, descriptor: int, mode: int) -> None:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    mine = os.fstat(descriptor)
    if (facts.st_uid, facts.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, facts.st_uid, facts.st_gid)
    os.fchmod(descriptor, facts.st_mode & 0o7777)


def remove(path: Path) -> None:
    """Remove a file, if it is there. Raises MoveError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise MoveError(f"{path} cannot be removed: {error.strerror}") from None


def refuse_irreplaceable(path: Path) -> None:
    """Raises MoveError where `path` is there and may not be written, or its folder may not; and where it has
    another name, under which what it was would stay."""
    if path.exists() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
        raise MoveError(f"{path} is read-only and was left alone (`chmod u+w` makes it writable)")
    if path.is_file() and path.stat().st_nlink > 1:
        raise MoveError(f"{path} has another hard link, which would keep the old content: remove that link")
    folder = next(one for one in path.parents if one.exists())
    if not os.access(folder, os.W_OK):
        raise MoveError(f"{path}: its folder is read-only, so it cannot be replaced and was left alone")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of all moves. Raises MoveError where somebody else holds it."""
    make_folder(path.parent)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MoveError("another import, undo or lock is running: wait until it has finished") from None
        yield
