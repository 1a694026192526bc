"""What each principal with each agent has done, in a file of its own: a new process, and another one at the
same time, go on with the same session.

Law of this file: who decides holds the lock of the session's file, and what is not stored is not decided. A
file that cannot be read is never taken for a new session.
"""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from mcpguard.adapters.system.files import state_folder, take_lock
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Principal
from mcpguard.core.policy.session import PARTS, Session, StoredSession
from mcpguard.core.policy.written import MAX_WINDOW

LOCK_SECONDS = 1.0
"""How long another process may hold a session before the decision is refused."""
KEPT_SECONDS = MAX_WINDOW + MAX_WINDOW // PARTS
"""How long the file of a session that ended stays at most: a limit may still count what it holds."""

_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_LOCKED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredSession).decode


def default_folder() -> Path:
    """Where sessions are kept if the configuration does not say: `sessions` in the user's state folder."""
    return state_folder("sessions")


class SessionFiles:
    """Implements `ports.Sessions`. The folder is made, mode 0700, when it is first needed."""

    def __init__(self, folder: Path, idle_seconds: float) -> None:
        """A session ends when it was not used for `idle_seconds` and no connection that used it is left."""
        self._folder = folder
        self._idle = idle_seconds
        self._ready = False
        self._connections: Counter[str] = Counter()
        """How many there are of ours, by the name of their session."""
        self._held: dict[str, int] = {}
        """The descriptors that keep the sessions which these used from ending."""

    def enter(self, principal: Principal, agent: str | None) -> None:
        """A client connects: while it stays, the clock does not end a session that it used."""
        self._connections[_name_of(principal, agent)] += 1

    def leave(self, principal: Principal, agent: str | None) -> None:
        """It is gone."""
        name = _name_of(principal, agent)
        self._connections[name] -= 1
        if not self._connections[name]:
            del self._connections[name]
            if name in self._held:
                os.close(self._held.pop(name))

    @contextmanager
    def open(self, invocation: Invocation) -> Iterator[Session]:
        now = invocation.now.timestamp()
        name = _name_of(invocation.principal, invocation.agent)
        try:
            lock = self._lock(name)
        except OSError as problem:
            raise SessionError(f"the session's state is unavailable: {problem.strerror}") from None
        try:
            session = Session(self._read(name, now))
            self._hold(name)
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
        return kept if now - kept.seen <= self._idle or self._in_use(name) else kept.ended(now)

    def _hold(self, name: str) -> None:
        """Keep the session from ending while the connection lives; with the process that ends too."""
        if name in self._held or name not in self._connections:
            return
        try:
            held = os.open(self._folder / f"{name}.used", _LOCKED, 0o600)
        except OSError as problem:
            raise SessionError(f"the session's state is unavailable: {problem.strerror}") from None
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # Another process looks whether it is in use; the next decision tries again.
            os.close(held)
            return
        self._held[name] = held

    def _in_use(self, name: str) -> bool:
        """Whether a connection that used the session is left, here or in another process. The model may
        still hold what its labels stand for."""
        if name in self._held:
            return True
        try:
            held = os.open(self._folder / f"{name}.used", _LOCKED, 0o600)
        except OSError:
            return True  # Not known, so it goes on.
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(held)
        return False

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
                if path.stat().st_mtime < oldest and not self._in_use(path.stem):
                    path.unlink()


def _name_of(principal: Principal, agent: str | None) -> str:
    key = msgspec.json.encode([principal.source, principal.id, agent])
    return sha256(key).hexdigest()[:32]
