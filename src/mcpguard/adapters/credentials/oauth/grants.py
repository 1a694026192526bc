"""What a login left: tokens and the client that they belong to, as one entry of the keychain.

Law of this file: who asks for new tokens holds the lock of the grant, and new tokens are kept before they are
used; so a refresh token that the server rotates is never used twice (RFC 9700, section 4.14.2).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.oauth.asking import named_hosts
from mcpguard.adapters.credentials.oauth.clients import OAuthClient
from mcpguard.adapters.credentials.oauth.tokens import TokenEndpoint, Tokens
from mcpguard.adapters.system.files import state_folder, take_lock
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret, Unprinted

LOCK_SECONDS = 60.0
"""How long another process may ask for new tokens before we give up."""


class Grant(Unprinted, frozen=True, eq=False, kw_only=True):
    """`url` is the MCP server that the login was for. Times are in seconds since 1970: the access token is
    renewed from `renew_at` on and is over at `ends_at`; None where the server did not say. `client_secret` is
    that of a client that was registered for this login."""

    version: Literal[1] = 1
    url: str
    resource: str
    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    client_id: str
    client_method: str = "none"
    client_secret: str | None = None
    scopes: tuple[str, ...] = ()
    """What the configuration asked for."""
    access: str
    refresh: str | None = None
    renew_at: float | None = None
    ends_at: float | None = None

    def with_tokens(self, tokens: Tokens, now: float) -> Grant:
        """The same grant with tokens that were asked for at `now`; without a new refresh token the old one
        stays (RFC 6749, section 6)."""
        renew = tokens.renew_seconds
        return msgspec.structs.replace(
            self,
            access=tokens.access,
            refresh=tokens.refresh or self.refresh,
            renew_at=None if renew is None else now + renew,
            ends_at=None if tokens.seconds is None else now + tokens.seconds,
        )

    def client(self, secret: Secret | None) -> OAuthClient:
        """The client that these tokens belong to; `secret` is the configured one, if there is one."""
        own = Secret(self.client_secret) if self.client_secret is not None else secret
        return OAuthClient(self.client_id, self.client_method, own)

    @property
    def endpoint(self) -> TokenEndpoint:
        """Where its tokens are renewed."""
        named = named_hosts(self.url, self.issuer)
        return TokenEndpoint(self.token_endpoint, named, self.issuer, self.revocation_endpoint)


_decode = msgspec.json.Decoder(Grant).decode


class Grants:
    """The grants of this user. All methods raise CredentialError where the keychain cannot be asked."""

    def __init__(self, keychain: Keychain | None = None, folder: Path | None = None) -> None:
        """`folder` has the locks, `locks` in the user's state folder by default."""
        self._keychain = keychain or Keychain()
        self._folder = folder

    def read(self, name: str) -> Grant | None:
        """The grant of the entry NAME, None where nobody logged in."""
        text = self._keychain.find(_entry(name))
        if text is None:
            return None
        try:
            return _decode(text)
        except ValueError:
            said = f"the stored login is damaged: run `mcpguard secret login {name}` again"
            raise CredentialError(f"credential:{name}: {said}") from None

    def ready(self, name: str) -> None:
        """Ask the keychain, whatever it has: before a person is sent to a page for nothing."""
        self._keychain.find(_entry(name))

    def write(self, name: str, grant: Grant) -> None:
        """Keep it in place of an older one."""
        self._keychain.put(_entry(name), msgspec.json.encode(grant).decode())

    def forget(self, name: str) -> None:
        """Remove it; CredentialError where there is none."""
        self._keychain.remove(_entry(name))

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Nobody else of this user asks for tokens of NAME until the block ends."""
        try:
            lock = self._lock(name)
        except OSError as problem:
            said = f"the lock of its login is unavailable: {problem.strerror}"
            raise CredentialError(f"credential:{name}: {said}") from None
        try:
            yield
        finally:
            os.close(lock)

    def _lock(self, name: str) -> int:
        folder = self._folder or state_folder("locks")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return take_lock(folder / f"oauth-{sha256(name.encode()).hexdigest()[:32]}.lock", LOCK_SECONDS, 0.02)


def _entry(name: str) -> str:
    return f"oauth/{name}"
