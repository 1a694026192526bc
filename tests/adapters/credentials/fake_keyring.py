"""A `keyring` backend in memory; the live one is in test_keychain_live.py."""

from __future__ import annotations

import keyring.backend
import keyring.errors


class FakeKeyring(keyring.backend.KeyringBackend):
    """Keeps what it is given, unless `drops`; raises `error`, when set, at every question."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.drops = False

    def _asked(self) -> None:
        if self.error is not None:
            raise self.error

    def get_password(self, service: str, username: str) -> str | None:
        self._asked()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._asked()
        if not self.drops:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._asked()
        if (service, username) not in self.entries:
            raise keyring.errors.PasswordDeleteError("not found")
        del self.entries[service, username]
