"""A lock set and taken back, with a record of it.

Law of this file: what a file was is kept before it is changed, and where a lock stands is seen from what the
file is: a crash at any step leaves the old file or the new one, and either can be taken back byte for byte.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from mcpguard.onboarding import disk
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.formats import Unreadable
from mcpguard.onboarding.locks.forms import KeyEdit, edited, puts, says
from mcpguard.onboarding.locks.lockable import AllowedEntry, Lockable, SystemFolders

READABLE = 0o755
"""The mode of folders: clients read there."""


class LockReplacement(Struct, frozen=True):
    """What a lock has put at a place, and what stood there before: with `was.gone` nothing, from the end of
    `was.path` on."""

    now: KeyEdit
    was: KeyEdit


class Record(Struct, kw_only=True):
    """What a lock has changed. Digests: `before` (None: there was no file), `last` (what it was when the file
    was written last), `after`. `kept` is the name of the file that has the bytes from before. `folders` were
    made for it, `changes` are what it has put. `users` are the entries that it allows, by the home of whose
    they are: one file is for all of them."""

    version: Literal[1] = 1
    path: str
    before: str | None
    last: str | None
    after: str
    kept: str = ""
    folders: list[str] = []
    changes: list[LockReplacement] = []
    users: dict[str, list[AllowedEntry]] = {}

    def is_ours(self, digest: str | None) -> bool:
        """Whether a file with this digest is as a lock wrote it."""
        return digest is not None and digest in (self.after, self.last) and digest != self.before


class LockKeeper:
    """The lock of one file of this system, with its record, for the user whose home is `home`."""

    def __init__(self, system: SystemFolders, one: Lockable, home: Path) -> None:
        self._one = one
        self._home = str(home)
        self.path = system.file(one)
        self._folder = system.records
        self._note = self._folder / f"{one.clients[0]}.json"

    @property
    def lock_file(self) -> Path:
        """The file whose lock is held while a lock is set or taken back."""
        return self._folder / "lock"

    def may_write(self) -> bool:
        """Whether this process may set a lock: change the file, and note that it did."""
        return all(_may_write(path) for path in (self.path, self._note))

    def text(self) -> str:
        """The text of the file now, "" if there is none. Raises Unreadable and MoveError."""
        data = self._bytes(self.path)
        try:
            return "" if data is None else data.decode()
        except UnicodeDecodeError:
            raise Unreadable(f"{self.path} is not UTF-8") from None

    def record(self) -> Record | None:
        """What is noted, None for nothing. Raises MoveError."""
        data = self._bytes(self._note)
        try:
            return None if data is None else msgspec.json.decode(data, type=Record)
        except msgspec.DecodeError:
            raise MoveError(f"{self._note} cannot be read: it notes what a lock has changed") from None

    def projects(self) -> list[Path]:
        """The projects whose entries of this user an earlier lock allows. Raises MoveError."""
        record = self.record()
        every = [] if record is None else record.users.get(self._home, [])
        return [Path(one.project) for one in every if one.project]

    def planned(self, entries: list[AllowedEntry], *, only: bool) -> str:
        """What the file would be if the lock allowed `entries` of this user; `only`: nothing that is not of a
        lock. Raises Unreadable and MoveError."""
        record = self.record()
        return self._with(self._without(record), self._users(record, entries), only)[0]

    def _users(self, record: Record | None, entries: list[AllowedEntry]) -> dict[str, list[AllowedEntry]]:
        """All entries that are to be allowed, by the homes of their users. Raises MoveError."""
        users = {} if record is None else {**record.users}
        users[self._home] = entries
        seen: dict[str, AllowedEntry] = {}
        for each in (one for every in users.values() for one in every):
            if self._one.form != "allowlist" and seen.setdefault(each.name, each).command != each.command:
                raise MoveError(
                    f"{self._one.title} has one entry for each name, and another user of this machine has "
                    f"locked it with an entry {each.name} of theirs: give yours another name"
                )
        return users

    def _with(
        self, text: str, users: dict[str, list[AllowedEntry]], only: bool
    ) -> tuple[str, list[LockReplacement]]:
        there = self._says(text)
        todo = puts(self._one, [one for every in users.values() for one in every], there, only=only)
        changes = [LockReplacement(put, _standing(there, put.path)) for put in todo]
        return edited(text, self._one.format, todo, str(self.path)), changes

    def _without(self, record: Record | None) -> str:
        """The text without an earlier lock. Raises Unreadable where somebody changed what the lock put."""
        text = self.text()
        if not text or record is None or disk.digest(self.path) == record.before:
            return text
        there = self._says(text)
        for change in record.changes:
            if _standing(there, change.now.path) != change.now:
                where = ".".join(change.now.path)
                raise Unreadable(f"{self.path}: `{where}` was changed since it was locked: edit it by hand")
        for change in reversed(record.changes):
            back = KeyEdit(change.now.path, gone=True) if change.was.gone else change.was
            text = edited(text, self._one.format, [back], str(self.path))
        for change in record.changes:
            if change.was.gone and _standing(self._says(text), change.was.path).value == {}:
                text = edited(text, self._one.format, [change.was], str(self.path))
        return "" if self._says(text) == {} and record.before is None else text

    def _says(self, text: str) -> dict[str, Any]:
        return says(text, self._one.format, str(self.path))

    def set(self, entries: list[AllowedEntry], *, only: bool) -> bool:
        """Set the lock as it is `planned`; False where it is set already. Raises MoveError and Unreadable."""
        record = self._recovered()
        now = disk.digest(self.path)
        users = self._users(record, entries)
        if record is not None and record.is_ours(now):
            before = self._bytes(self._folder / record.kept) if record.kept else None
        else:
            before = self._bytes(self.path) if record is None else self._without(record).encode() or None
        text, changes = self._with("" if before is None else before.decode(), users, only)
        data = text.encode()
        if now == disk.digest_of(data):
            return False
        was = None if before is None else disk.digest_of(before)
        kept = "" if was is None else f"{self._note.stem}.{was[:16]}.before"
        if before is not None:
            disk.write(self._folder / kept, before, mode=0o600)
        folders = [] if record is None else record.folders
        made = [*folders, *map(str, disk.missing(self.path.parent))]
        note = Record(
            path=str(self.path),
            before=was,
            last=now,
            after=disk.digest_of(data),
            kept=kept,
            folders=list(dict.fromkeys(made)),
            changes=changes,
            users=users,
        )
        disk.write(self._note, msgspec.json.format(msgspec.json.encode(note)), mode=0o644)
        disk.make_folder(self.path.parent, READABLE)
        disk.write(self.path, data, mode=0o644, expected=now)
        return True

    def take_back(self) -> str:
        """Take the lock back. "removed", "restored" (byte for byte), "unlocked" (the file has changed since,
        and only what the lock had put is gone), "gone" (somebody removed the file) or "" where there is no
        lock. Raises MoveError and Unreadable."""
        record = self._recovered()
        if record is None:
            return ""
        now = disk.digest(self.path)
        if now is None:
            self._forget(record)
            return "gone"
        if not record.is_ours(now):
            data = self._without(record).encode()
            if data or record.before is not None:
                disk.write(self.path, data, expected=now)
            else:
                disk.remove(self.path)
            self._forget(record)
            return "unlocked"
        if record.before is None:
            disk.remove(self.path)
            self._forget(record)
            return "removed"
        before = self._bytes(self._folder / record.kept)
        if before is None or disk.digest_of(before) != record.before:
            raise MoveError(
                f"{self._folder / record.kept} is missing or changed, so {self.path} was left alone"
            )
        disk.write(self.path, before, expected=now)
        self._forget(record)
        return "restored"

    def _recovered(self) -> Record | None:
        """The record as it stands after a crash: one whose file is as it was before counts for nothing."""
        disk.make_folder(self._folder, READABLE)
        disk.sweep(self.path)
        for aside in self._folder.glob(f".{self._note.stem}.*.mcpguard"):
            disk.remove(aside)
        record = self.record()
        if record is not None and disk.digest(self.path) == record.before and record.before != record.after:
            self._forget(record)
            return None
        self._drop_kept("" if record is None else record.kept)
        return record

    def _forget(self, record: Record) -> None:
        for folder in reversed(record.folders):
            with suppress(OSError):
                os.rmdir(folder)
        disk.remove(self._note)
        self._drop_kept("")

    def _drop_kept(self, but: str) -> None:
        for path in self._folder.glob(f"{self._note.stem}.*.before"):
            if path.name != but:
                disk.remove(path)

    def _bytes(self, path: Path) -> bytes | None:
        try:
            if path.is_symlink():
                raise MoveError(f"{path} is a link, which clients may refuse: replace it by the file itself")
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MoveError(f"{path} cannot be read: {error.strerror}") from None


def _may_write(path: Path) -> bool:
    folder = next(one for one in path.parents if one.exists())
    return os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _standing(there: Any, path: tuple[str, ...]) -> KeyEdit:
    """What stands at `path`; where nothing does, `gone` at the end of its shortest part that is missing."""
    inner = there
    for depth, step in enumerate(path, 1):
        if not isinstance(inner, dict) or step not in inner:
            return KeyEdit(path[:depth], gone=True)
        inner = inner[step]
    return KeyEdit(path, inner)
