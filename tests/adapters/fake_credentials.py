"""A credential source in memory, for tests of what stands above it."""

from __future__ import annotations

from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret


class FakeSource:
    """Implements `ports.CredentialSource`; `values` may be changed at any time."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, ref: CredentialRef) -> Secret:
        """The value now."""
        if ref.name not in self.values:
            raise CredentialError(f"{ref} is not among the values of this test")
        return Secret(self.values[ref.name])

    def has(self, ref: CredentialRef) -> bool:
        """Whether there is one."""
        return ref.name in self.values
