"""What each principal with each agent has done, in a file of its own: a new process, and another one at the
same time, go on with the same session.

Law of this file: who decides holds the lock of the session's file, and what is not stored is not decided. A
file that cannot be read is never taken for a new session.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from mcpguard.adapters.system.files import state_folder, take_lock
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation
from mcpguard.core.policy.session import PARTS, Session, StoredSession
from mcpguard.core.policy.written import MAX_WINDOW

LOCK_SECONDS = 1.0
"""How long another process may hold a session before the decision is refused."""
KEPT_SECONDS = MAX_WINDOW + MAX_WINDOW // PARTS
"""How long the file of a session that ended stays at most: a limit may still count what it holds."""

_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredSession).decode


def default_folder() -> Path:
    """Where sessions are kept if the configuration does not say: `sessions` in the user's state folder."""
    return state_folder("sessions")


class SessionFiles:
    """Implements `ports.Sessions`. The folder is made, mode 0700, when it is first needed."""

    def __init__(self, folder: Path, idle_seconds: float) -> None:
        """A session ends when it was not used for `idle_seconds`."""
        self._folder = folder
        self._idle = idle_seconds
        self._ready = False

    @contextmanager
    def open(self, invocation: Invocation) -> Iterator[Session]:
        now = invocation.now.timestamp()
        name = _name_of(invocation)
        try:
            lock = self._lock(name)
        except OSError as problem:
            raise SessionError(f"the session's state is unavailable: {problem.strerror}") from None
        try:
            session = Session(self._read(name, now))
            yield session
            session.kept.seen = max(now, session.kept.seen)
            self._write(name, session.kept)
        finally:
            os.close(lock)

    def _lock(self, name: str) -> int:
        if not self._ready:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            self._ready = True
        return take_lock(self._folder / f"{name}.lock", LOCK_SECONDS, 0.0005)

    def _read(self, name: str, now: float) -> StoredSession:
        path = self._folder / f"{name}.json"
        try:
            kept = _decode(path.read_bytes())
        except FileNotFoundError:
            return StoredSession()
        except OSError as problem:
            raise SessionError(f"{path} cannot be read: {problem.strerror}") from None
        except (ValueError, RecursionError):
            raise SessionError(f"{path} is damaged: remove it to start the session over") from None
        return kept if now - kept.seen <= self._idle else kept.ended(now)

    def _write(self, name: str, kept: StoredSession) -> None:
        path, new = self._folder / f"{name}.json", self._folder / f"{name}.new"
        try:
            # Unbuffered, it would write what there is room for, and say nothing.
            with open(os.open(new, _ANEW, 0o600), "wb") as file:
                file.write(_encode(kept))
            os.replace(new, path)
        except OSError as problem:
            raise SessionError(f"{path} cannot be written: {problem.strerror}") from None

    def _sweep(self) -> None:
        oldest = time.time() - max(self._idle, KEPT_SECONDS)
        for path in self._folder.glob("*.json"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _name_of(invocation: Invocation) -> str:
    principal = invocation.principal
    key = msgspec.json.encode([principal.source, principal.id, invocation.agent])
    return sha256(key).hexdigest()[:32]
