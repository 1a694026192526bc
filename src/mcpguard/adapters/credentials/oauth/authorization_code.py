"""`oauth`: the access token of a login, renewed before its end and once an upstream refuses it.

Law of this file: it never asks a person. What a login left is used for the MCP server, the issuer and the
client that the configuration names and for no others.
"""

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256

from msgspec.structs import replace

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem
from mcpguard.adapters.credentials.oauth.grants import Grant, Grants, request_tokens
from mcpguard.config.oauth import OAuthEntry
from mcpguard.core.errors import CredentialError, WithdrawnError
from mcpguard.core.secret import CredentialRef, Lease, Secret, sole_reference
from mcpguard.gateway.ports import Mint

AGAIN_SECONDS = 10.0
"""How long a token that could not be renewed, and is not over yet, is given before that is tried again."""


class AuthorizationCode(Mint):
    """Implements `ports.Mint`."""

    def __init__(
        self,
        name: str,
        entry: OAuthEntry,
        secret: Callable[[CredentialRef], Secret],
        grants: Grants | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`name` is that of the entry; `entry.url` is there; `now` gives seconds since 1970."""
        self._ref = f"credential:{name}"
        self._name = name
        self._entry = entry
        self._secret = secret
        self._grants = grants or Grants()
        self._now = now
        self._last = Secret("")
        self._given = b""
        self._refused = b""
        self._unkept: tuple[Grant, bytes] | None = None
        """What the keychain did not take, and a digest of the access token that it had then."""
        self._again = 0.0

    def lease(self) -> Lease:
        """The access token. Raises CredentialError, and WithdrawnError where nothing but a login helps."""
        own = self._own_secret()
        grant = self._read()
        if self._unkept is not None or not self._is_good(grant):
            # Another process may have renewed it until we hold the lock.
            with self._grants.held(self._name):
                grant = self._renewed(self._read(), own)
        if _digest(grant.access) != self._given:
            self._last, self._given = Secret(grant.access), _digest(grant.access)
        seconds = None if grant.ends_at is None else max(0.0, grant.ends_at - self._now())
        held = [text for text in (grant.refresh, grant.client_secret) if text is not None]
        return Lease(self._last, seconds, parts=tuple(map(Secret, held)))

    def refused(self) -> None:
        """The token that was given last is renewed before the next is given, unless another process did."""
        self._refused = self._given

    def _own_secret(self) -> Secret | None:
        """The configured one. The server of the login knows it too, so it is held even if it is not used."""
        written = self._entry.client_secret
        return None if written is None else self._secret(sole_reference(written))

    def _is_good(self, grant: Grant) -> bool:
        fresh = grant.renew_at is None or self._now() < max(grant.renew_at, self._again)
        return fresh and self._is_wanted(grant) and not self._is_over(grant)

    def _is_over(self, grant: Grant) -> bool:
        return grant.ends_at is not None and self._now() >= grant.ends_at

    def _is_wanted(self, grant: Grant) -> bool:
        return _digest(grant.access) != self._refused

    def _read(self) -> Grant:
        grant = self._grants.read(self._name)
        if grant is None:
            raise self._login("nobody has logged in yet")
        entry = self._entry
        same = (
            grant.url == entry.url
            and (entry.issuer is None or grant.issuer == entry.issuer)
            and (entry.client_id is None or grant.client_id == entry.client_id)
            and set(grant.scopes) == set(entry.scopes)
        )
        if not same:
            raise self._login("the login is for a different url, issuer, client_id or scopes")
        return grant

    def _renewed(self, grant: Grant, own: Secret | None) -> Grant:
        unkept, self._unkept = self._unkept, None
        if unkept is not None and unkept[1] == _digest(grant.access):
            # The server has rotated what the keychain holds. After another login it has not.
            self._keep(unkept[0], grant)
            grant = unkept[0]
        if self._is_good(grant):
            return grant
        try:
            return self._ask(grant, own)
        except OAuthProblem as problem:
            if self._is_wanted(grant) and grant.ends_at is not None and not self._is_over(grant):
                self._again = self._now() + AGAIN_SECONDS
                return grant
            gone = problem.code == "invalid_client" and self._entry.client_id is None
            if gone or problem.code == "invalid_grant":
                raise self._login("the login has expired: it was revoked or not used for too long") from None
            raise CredentialError(f"{self._ref}: {problem}") from None

    def _ask(self, grant: Grant, own: Secret | None) -> Grant:
        if grant.refresh is None:
            raise OAuthProblem("there is no refresh token", "invalid_grant")
        client = grant.client(own)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": grant.refresh,
            "resource": grant.resource,
        }
        began = self._now()
        try:
            tokens = asyncio.run(request_tokens(grant.endpoint, client, form))
        except OAuthProblem as problem:
            if problem.code == "invalid_grant":
                # So that a dead token is not shown to the server again with each call.
                self._keep(replace(grant, refresh=None), grant)
            raise
        fresh = grant.with_tokens(tokens, began)
        self._keep(fresh, grant)
        return fresh

    def _keep(self, grant: Grant, before: Grant) -> None:
        self._unkept = grant, _digest(before.access)
        self._grants.write(self._name, grant)
        self._unkept = None

    def _login(self, why: str) -> WithdrawnError:
        return WithdrawnError(f"{self._ref}: {why}: run `mcpguard secret login {self._name}`")


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
