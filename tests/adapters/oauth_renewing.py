"""Two processes that use one login at once: `python -m tests.adapters.oauth_renewing FOLDER URL` (see
test_oauth_lease.py). The keychain is a file, so that both have the same; each waits for the other to begin."""

import sys
from pathlib import Path

import keyring
import keyring.backend

from mcpguard.adapters.credentials.oauth.authorization_code import AuthorizationCode
from mcpguard.adapters.credentials.oauth.grants import Grants
from mcpguard.config_oauth import OAuthEntry


class Files(keyring.backend.KeyringBackend):
    """One entry a file."""

    priority = 1

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def _path(self, service, username):
        return self.folder / f"{service}-{username}".replace("/", "-")

    def get_password(self, service, username):
        path = self._path(service, username)
        return path.read_text() if path.exists() else None

    def set_password(self, service, username, password):
        new = self.folder / "new"
        new.write_text(password)
        new.replace(self._path(service, username))

    def delete_password(self, service, username):
        self._path(service, username).unlink()


def main(folder, url):
    """Ask for a token that is not the one in the keychain, again and again."""
    keyring.set_keyring(Files(folder))
    mint = AuthorizationCode(
        "credential:linear", OAuthEntry(url=url), lambda ref: None, Grants(folder=Path(folder) / "locks")
    )
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        print(mint.lease().secret.reveal(), flush=True)
        mint.refused()


if __name__ == "__main__":
    main(*sys.argv[1:])
