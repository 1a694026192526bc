"""Compiled tables of the program, beside its compiled modules.

Law of this file: a table is believed only where whoever can write it could write the program too, and no
failure here is more than a slower start (decision 0056).
"""

import os
import stat
import sys
from hashlib import sha256
from pathlib import Path

_DIGEST = sha256().digest_size
_MOST = 8 * 1024 * 1024
"""Bytes of a file; the largest is a quarter of a megabyte."""


class BesideTheCode:
    """A place of Tables: the folder in which Python keeps the compiled form of the module at `code`."""

    def __init__(self, code: str, cached: str) -> None:
        self._code = Path(code).parent
        self._folder = Path(cached).parent

    def take(self, table: str, source: bytes) -> bytes | None:
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                data = self._read(folder, table)
            finally:
                os.close(folder)
        except OSError:
            return None
        body = data[_DIGEST:]
        return body if data[:_DIGEST] == sha256(source + body).digest() else None

    def put(self, table: str, source: bytes, compiled: bytes) -> None:
        if sys.dont_write_bytecode:
            return
        path = self._folder / _name(table)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            return
        try:
            with open(file, "wb") as new:
                new.write(sha256(source + compiled).digest() + compiled)
            os.replace(aside, path)
        except OSError:
            aside.unlink(missing_ok=True)

    def _read(self, folder: int, table: str) -> bytes:
        """Nothing, where it cannot be believed."""
        code = self._code.stat()
        # Neither a FIFO nor a link to somewhere else is waited for or followed.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(_name(table), flags, dir_fd=folder), "rb") as file:
            own = os.fstat(file.fileno())
            believed = stat.S_ISREG(own.st_mode) and all(
                _as_safe(one, code) for one in (os.fstat(folder), own)
            )
            return file.read(min(own.st_size, _MOST)) if believed else b""


def _name(table: str) -> str:
    return f"{table}.{sys.implementation.cache_tag}.table"


def _as_safe(one: os.stat_result, code: os.stat_result) -> bool:
    """Whether nobody can write `one` who cannot write the folder of the code."""
    if one.st_uid not in (os.geteuid(), code.st_uid) or one.st_mode & stat.S_IWOTH:
        return False
    return not one.st_mode & stat.S_IWGRP or (code.st_mode & stat.S_IWGRP > 0 and one.st_gid == code.st_gid)


def keep_tables() -> None:
    """Keep what takes long to compile from one process to the next."""
    from mcpguard.core.redaction.engine import matching

    cached = matching.__spec__ and matching.__spec__.cached
    if cached:
        matching.keep_on(BesideTheCode(matching.__file__, cached))
