"""Where secrets go when they move in: the system's keychain, or files of this user.

Law of this file: a value is read back only to be compared, or to open what was sealed with it.
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Literal

from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.config.user_state import state_folder
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import sole_reference
from mcpguard.onboarding import disk

Kind = Literal["keyring", "file"]

REMOVED = "removed"
"""What stands for a moment where a removal that was cut short is finished."""


class Keyring:
    """Keeps values by name in the system's keychain: what `${keyring:NAME}` refers to. All methods raise
    CredentialError, which says what to do."""

    kind: Kind = "keyring"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keychain = Keychain()

    def reference(self, name: str) -> str:
        """What a configuration says for `name`."""
        return f"${{keyring:{name}}}"

    def place(self, name: str) -> str:
        """Where `name` is kept, for people."""
        return f"{name} in the keychain"

    def ready(self) -> None:
        """Raises CredentialError if nothing could be kept."""
        self._keychain.names()

    def get(self, name: str) -> str | None:
        """The value, or None if it is not stored."""
        keychain = self._keychain
        keychain.names()  # A locked keychain is told, and not taken for an empty one.
        return keychain.find(name)

    def put(self, name: str, value: str) -> None:
        """Keep a value; it is read back."""
        self._keychain.put(name, value)

    def remove(self, name: str) -> None:
        """Forget a value; nothing happens if it is not stored."""
        keychain = self._keychain
        if self.get(name) is None and name in keychain.names():
            keychain.put(name, REMOVED)  # A removal that was cut short has left the name in the list.
        if self.get(name) is not None:
            keychain.remove(name)


class SecretFiles:
    """A vault of files of mode 0600 in a folder of mode 0700: weaker than a keychain, since every program of
    this user can read them."""

    kind: Kind = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        # Two names never share a file, whatever is replaced in them.
        plain = re.sub(r"[^A-Za-z0-9._-]", "-", name)
        return self.folder / f"{plain}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def reference(self, name: str) -> str:
        """`${file:/…}`."""
        written = f"${{file:{self._path(name)}}}"
        try:
            sole_reference(written)
        except ValueError:
            raise CredentialError(
                f"{self.folder}: a reference cannot name a folder that has `$`, `{{`, `}}` or a tab in its "
                "name: use the keychain, or name a file in another folder with --config"
            ) from None
        return written

    def place(self, name: str) -> str:
        return str(self._path(name))

    def ready(self) -> None:
        """Refuses a folder that others can read."""
        if self.folder.exists() and self.folder.stat().st_mode & 0o077:
            raise CredentialError(f"{self.folder} is open to others: `chmod 700 {quote(str(self.folder))}`")

    def get(self, name: str) -> str | None:
        try:
            return self._path(name).read_text("utf-8").removesuffix("\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CredentialError(f"{self._path(name)} cannot be read: {error.strerror}") from None

    def put(self, name: str, value: str) -> None:
        disk.make_folder(self.folder)
        disk.write(self._path(name), f"{value}\n".encode())

    def remove(self, name: str) -> None:
        disk.sweep(self._path(name))
        disk.remove(self._path(name))
        for folder in (self.folder, self.folder.parent):
            try:
                os.rmdir(folder)
            except OSError:
                return  # Something else is in it.


_REPOSITORIES = (".git", ".hg", ".svn", ".jj")


def secrets_folder(config: Path) -> Path:
    """Where `SecretFiles` belong for the configuration at `config`: beside it, but never in a repository,
    whose content is published sooner or later. Raises CredentialError where every place is in one."""
    from platformdirs import user_config_path

    own = user_config_path("mcpguard", appauthor=False) / "secrets"
    places = [config.parent / "secrets", own, state_folder("secrets")]
    for folder in places:
        real = Path(os.path.realpath(folder))
        if not any((above / name).exists() for above in real.parents for name in _REPOSITORIES):
            return folder
    raise CredentialError(
        f"{places[-1]} is in a repository, as is every place where files with secrets could be kept: use the "
        "keychain, or set XDG_STATE_HOME to a folder outside of it"
    )


Vault = Keyring | SecretFiles


def vault_of(kind: str, folder: Path) -> Vault:
    """The vault of this kind; `folder` is for files."""
    return Keyring(folder) if kind == "keyring" else SecretFiles(folder)


def vault_for(kind: str, config: Path) -> Vault:
    """The same for the configuration at `config`."""
    return vault_of(kind, secrets_folder(config) if kind == "file" else config.parent / "secrets")


def in_files(vault: Vault, command: str) -> str:
    """How `mcpguard COMMAND` does without this vault, after why it is not available."""
    if vault.kind == "file":
        return ""
    return f". `mcpguard {command} --to file` stores secrets in files that only you can read"


def tolerant(stored: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """`stored` for a look only: what cannot be asked is taken for missing."""

    def look(name: str) -> str | None:
        try:
            return stored(name)
        except CredentialError:
            return None

    return look
