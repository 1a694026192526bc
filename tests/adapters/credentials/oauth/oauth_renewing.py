"""Two processes that use one login at once: `python -m tests.adapters.credentials.oauth.oauth_renewing FOLDER URL` (see
test_renewal.py). The keychain is a file, so that both have the same; each waits for the other to begin."""

import sys
from pathlib import Path

import keyring

from mcpguard.adapters.credentials.oauth.grants import Grants
from mcpguard.adapters.credentials.oauth.mints import AuthorizationCode
from mcpguard.config.minted import OAuthEntry
from tests.adapters.credentials.file_keyring import FileKeyring


def main(folder, url):
    """Ask for a token that is not the one in the keychain, again and again."""
    keyring.set_keyring(FileKeyring(folder))
    mint = AuthorizationCode(
        "linear", OAuthEntry(url=url), lambda ref: None, Grants(folder=Path(folder) / "locks")
    )
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        print(mint.lease().secret.reveal(), flush=True)
        mint.refused()


if __name__ == "__main__":
    main(*sys.argv[1:])
