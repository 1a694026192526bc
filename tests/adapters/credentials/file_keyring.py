"""A `keyring` backend in files, so that several processes have the same keychain."""

import os
from pathlib import Path

import keyring.backend
from keyring.compat import properties


class FileKeyring(keyring.backend.KeyringBackend):
    """One entry a file. `$MCPGUARD_TEST_KEYRING` is the folder of one that a process makes for itself, with
    `PYTHON_KEYRING_BACKEND=tests.adapters.credentials.file_keyring.FileKeyring`."""

    @properties.classproperty
    def priority(cls):
        """Never found where the variable is not set."""
        os.environ["MCPGUARD_TEST_KEYRING"]
        return 1

    def __init__(self, folder=None):
        super().__init__()
        self.folder = Path(folder or os.environ["MCPGUARD_TEST_KEYRING"])

    def _path(self, service, username):
        return self.folder / f"{service}-{username}".replace("/", "-")

    def get_password(self, service, username):
        path = self._path(service, username)
        return path.read_text() if path.exists() else None

    def set_password(self, service, username, password):
        new = self.folder / f"new-{os.getpid()}"
        new.write_text(password)
        new.replace(self._path(service, username))

    def delete_password(self, service, username):
        self._path(service, username).unlink()
