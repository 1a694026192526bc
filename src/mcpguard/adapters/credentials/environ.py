"""`${env:NAME}`: from mcpguard's own environment, which no child process inherits."""

from __future__ import annotations

import os

from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret


class Environ:
    """Implements `ports.CredentialSource`. An empty variable counts as missing."""

    example = "${env:GITHUB_TOKEN}"

    def get(self, ref: CredentialRef) -> Secret:
        """The variable's value now; CredentialError where it is unset or empty."""
        value = os.environ.get(ref.name)
        if not value:
            raise CredentialError(
                f"{ref} is not set: export {ref.name} where mcpguard is started, or keep the value in the "
                f"keychain (`mcpguard secret set {ref.name}`) and refer to it as ${{keyring:{ref.name}}}"
            )
        return Secret(value)

    def has(self, ref: CredentialRef) -> bool:
        """Whether the variable is set and not empty."""
        return bool(os.environ.get(ref.name))
