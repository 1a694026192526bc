"""What an import is about to do, written down before it is done, so that it can be finished or taken back.

Law of this file: no secret is in it in the clear. What files were before is sealed with a key that is where
the secrets are.
"""

import base64
import hmac
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from mcpguard.config.user_state import state_folder
from mcpguard.onboarding import disk
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.vault import Kind

Role = Literal["policy", "config", "client"]


class Edit(Struct):
    """The entries at `gone`, all in one table of a client's file, and the `entry` of mcpguard that is in
    their place."""

    gone: list[tuple[str | int, ...]]
    entry: dict[str, Any]


class AddedNames(Struct):
    """The names that a list or mapping at `where` got, each with its value (None in a list)."""

    where: list[str | int]
    names: dict[str, Any]


class Step(Struct, kw_only=True):
    """A file that changes: digests before and after (None: there is no such file). `sealed` is the name of
    what it was, "" where it was not there.

    For a client's file `client` is set, and `place` (the path of its File), and `edits`: for each table of
    servers the ways to the entries that are gone, and the one that is written for them. `added` is what
    its lists of names got. `back`: only these were put back, since the file had changed.
    """

    role: Role
    path: str
    before: str | None
    after: str
    sealed: str = ""
    client: str = ""
    place: str = ""
    edits: list[Edit] = []
    added: list[AddedNames] = []
    back: bool = False


class ImportMove(Struct, kw_only=True):
    """One import. `secrets` are the names that it stores, `marks` tell their values (see `mark`), `key` is
    the name of the key that seals, "" where nothing is sealed; `steps` are in the order in which they are
    taken. `state` is open until all of it is done."""

    version: Literal[1] = 1
    name: str
    state: Literal["open", "done", "undone"] = "open"
    vault: Kind
    vault_folder: str
    key: str
    secrets: list[str]
    steps: list[Step]
    marks: dict[str, str] = {}


def default_folder() -> Path:
    """`moves` in the user's state folder."""
    return state_folder("moves")


def mark(key: str, value: str) -> str:
    """What tells whether a secret is still the one that was stored, and tells nothing without `key`. Raises
    ValueError for an invalid key."""
    return hmac.new(base64.b64decode(key, validate=True), value.encode(), "sha256").hexdigest()


class MoveJournal:
    """The moves of this user, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def lock(self) -> Path:
        """The file whose lock a move holds."""
        return self.folder / "lock"

    def moves(self) -> list[ImportMove]:
        """All moves, oldest first. Raises MoveError for one that cannot be read."""
        found = []
        for path in sorted(self.folder.glob("*/move.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=ImportMove))
            except (OSError, msgspec.DecodeError):
                raise MoveError(
                    f"{path} cannot be read: it records what an import did, so nothing was done"
                ) from None
        return found

    @property
    def last_vault(self) -> Kind:
        """Where the last import that is in force keeps its secrets: a keychain, if there is none."""
        return next((one.vault for one in reversed(self.moves()) if one.state == "done"), "keyring")

    def next_name(self) -> str:
        """A name for the next move; names sort by age."""
        numbers = [int(path.name) for path in self.folder.glob("*") if path.name.isdecimal()]
        return f"{max(numbers, default=0) + 1:06d}"

    def keep(self, move: ImportMove) -> None:
        disk.make_folder(self.folder / move.name)
        disk.write(self.folder / move.name / "move.json", msgspec.json.format(msgspec.json.encode(move)))

    def seal(self, move: ImportMove, step: Step, data: bytes, key: str) -> None:
        """Keep what the file of `step` was."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        cipher = AESGCM(base64.b64decode(key))
        sealed = nonce + cipher.encrypt(nonce, data, step.path.encode())
        disk.write(self.folder / move.name / step.sealed, sealed)

    def has_sealed(self, move: ImportMove, step: Step) -> bool:
        """Whether what the file of `step` was is kept."""
        return (self.folder / move.name / step.sealed).exists()

    def unseal(self, move: ImportMove, step: Step, key: str | None) -> bytes:
        """What the file of `step` was. Raises MoveError."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        path = self.folder / move.name / step.sealed
        try:
            data = path.read_bytes()
            return AESGCM(base64.b64decode(key or "")).decrypt(data[:12], data[12:], step.path.encode())
        except (OSError, ValueError, InvalidTag):
            where = "the keychain" if move.vault == "keyring" else move.vault_folder
            raise MoveError(
                f"{step.path}: its original content cannot be decrypted: {path} or the key {move.key} in "
                f"{where} is missing: put it back from a backup, or take mcpguard's entry out of the file"
            ) from None

    def forget_sealed(self, move: ImportMove) -> None:
        """Remove what files were; the record of the move stays."""
        for step in move.steps:
            if step.sealed:
                disk.remove(self.folder / move.name / step.sealed)


def new_key() -> str:
    """A key for `MoveJournal.seal`: 32 random bytes in base64."""
    return base64.b64encode(os.urandom(32)).decode()
