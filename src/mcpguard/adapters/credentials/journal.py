"""A journal, in files, of what was minted and is still to be taken back.

Law of this file: a process holds the lock of each of its files for as long as it runs, however it ends, and
whoever can take the lock may take back what the file names. No file contains a secret.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from mcpguard.adapters.system.files import claimed
from mcpguard.config.user_state import state_folder

HANDLE = re.compile("[A-Za-z0-9_]+")


class HandleNote(Struct, frozen=True):
    """One file: what (`handle`) was minted by which kind of credential at which place."""

    kind: str
    place: str
    handle: str


def default_folder() -> Path:
    """`minted` in the user's state folder."""
    return state_folder("minted")


class HandleJournal:
    """The files of one kind of credential at one place. The folder is made, mode 0700, when it is needed."""

    def __init__(
        self, kind: str, place: str, folder: Path | None = None, form: re.Pattern[str] = HANDLE
    ) -> None:
        """`place` is what the handles are good for: a text that distinguishes one service from another, of
        which only a digest is kept. `folder` is `default_folder()` if it is None. A handle that does not
        have this `form` is not one of ours."""
        self._kind = kind
        self._place = sha256(place.encode()).hexdigest()
        self._form = form
        self._folder = folder
        self._mine: dict[str, int] = {}

    @property
    def folder(self) -> Path:
        return self._folder or default_folder()

    def note(self, handle: str) -> None:
        """Keep `handle` (letters, digits and `_`) until `forget`. Raises OSError."""
        folder = self.folder
        new = folder / f"{handle}.new"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Locked before it has its name, so that it is never seen without its owner.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(lock, msgspec.json.encode(HandleNote(self._kind, self._place, handle)))
            os.replace(new, folder / f"{handle}.json")
        except OSError:
            new.unlink(missing_ok=True)
            os.close(lock)
            raise
        self._mine[handle] = lock

    def forget(self, handle: str) -> None:
        (self.folder / f"{handle}.json").unlink(missing_ok=True)
        lock = self._mine.pop(handle, None)
        if lock is not None:
            os.close(lock)

    def left(self) -> bool:
        """Whether an ended process left something here that is to be taken back."""
        return next(self.inherit(), None) is not None

    def inherit(self) -> Iterator[str]:
        """Each handle that an ended process left here. It stays until `forget`; no other process gets it
        while the caller works on it."""
        for path in self._files():
            with _taken(path) as note:
                if note is not None and self._is_of_here(note, path):
                    yield note.handle

    def _is_of_here(self, note: HandleNote, path: Path) -> bool:
        # Whoever can write a file here must not choose what is taken back with our rights.
        ours = note.handle == path.stem and self._form.fullmatch(note.handle) is not None
        return ours and (note.kind, note.place) == (self._kind, self._place)

    def in_use(self) -> set[str]:
        """The handles of all running processes, this one included, of any kind and place."""
        found = set()
        for path in self._files():
            with _taken(path) as note:
                if note is None:
                    found.add(path.stem)
        return found

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))


@contextmanager
def _taken(path: Path) -> Iterator[HandleNote | None]:
    """The note of a file whose owner has ended, locked for the length of the block; None where it is
    running, or the file is gone or is not one of ours."""
    with claimed(path, os.O_NOFOLLOW) as file:
        note = None
        if file is not None:
            with suppress(OSError, msgspec.DecodeError, UnicodeError):
                note = msgspec.json.decode(os.read(file, 4096), type=HandleNote)
        yield note
