"""Where credentials come from. To add a source: one module here and one line in `SOURCES`."""

from __future__ import annotations

from mcpguard.adapters.credentials.environ import Environ
from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.mounted import Mounted
from mcpguard.ports import CredentialSource

SOURCES: dict[str, type[CredentialSource]] = {
    "keyring": Keychain,
    "env": Environ,
    "file": Mounted,
}
"""The SOURCE of a `${SOURCE:NAME}` reference -> its class, which takes no arguments."""
