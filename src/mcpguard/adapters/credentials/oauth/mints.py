"""`oauth`: the access token of a login, renewed before its end and once an upstream refuses it; and
`client_credentials` and `token_exchange`: tokens that no person is asked for (RFC 6749, section 4.4; RFC
8693).

Law of this file: it never asks a person. What a login left is used for the MCP server, the issuer and the
client that the configuration names and for no others. What is exchanged is the subject that the configuration
names: a client's own token is never passed on or exchanged (MCP, Security Best Practices, Token Passthrough).
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256

from msgspec.structs import replace

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem, find_server, named_hosts
from mcpguard.adapters.credentials.oauth.clients import OAuthClient, method_for
from mcpguard.adapters.credentials.oauth.grants import (
    Grant,
    Grants,
    TokenEndpoint,
    Tokens,
    request_tokens,
    revoke_both,
    revoke_given,
)
from mcpguard.config.minted import ClientCredentialsEntry, OAuthEntry, TokenExchangeEntry
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
        # The configured one. The server of the login knows it too, so it is held even if it is not used.
        written = self._entry.client_secret
        own = None if written is None else self._secret(sole_reference(written))
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
            and grant.client_id == _client_id(entry, grant)
            and set(grant.scopes) == set(entry.scopes)
        )
        if not same:
            raise self._login("the login is for a different url, issuer, client or scopes")
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
            grant = self._kept_after(problem, grant)
            if self._is_wanted(grant) and grant.ends_at is not None and not self._is_over(grant):
                self._again = self._now() + AGAIN_SECONDS
                return grant
            gone = problem.code == "invalid_client" and self._entry.client_id is None
            if gone or problem.code == "invalid_grant":
                raise self._login(_EXPIRED) from None
            raise CredentialError(f"{self._ref}: {problem}") from None

    def _ask(self, grant: Grant, own: Secret | None) -> Grant:
        if grant.refresh is None:
            raise OAuthProblem("there is no refresh token", "invalid_grant")
        client = grant.client(own)
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh, "resource": grant.resource}
        began = self._now()

        def keep(tokens: Tokens) -> None:
            self._keep(grant.with_tokens(tokens, began), grant)

        tokens = asyncio.run(request_tokens(grant.endpoint, client, form, keep))
        return grant.with_tokens(tokens, began)

    def _kept_after(self, problem: OAuthProblem, grant: Grant) -> Grant:
        """What a renewal that failed leaves of the grant. Raises CredentialError, with the problem too."""
        # A token that is dead or used is not shown to the server again: it may end the whole grant for that.
        rotated = problem.given.refresh
        dead = problem.code == "invalid_grant" and grant.refresh is not None
        if rotated is None and not dead:
            return grant
        left = replace(grant, refresh=rotated)
        try:
            self._keep(left, grant)
        except CredentialError as fault:
            if rotated is not None:
                raise CredentialError(f"{self._ref}: {problem}; its refresh token: {fault}") from None
        return left

    def _keep(self, grant: Grant, before: Grant) -> None:
        self._unkept = grant, _digest(before.access)
        self._grants.write(self._name, grant)
        self._unkept = None

    def _login(self, why: str) -> WithdrawnError:
        return WithdrawnError(f"{self._ref}: {why}: run `mcpguard secret login {self._name}`")


_EXPIRED = (
    "the login has expired: it was revoked, not used for too long, or mcpguard was ended while it renewed it"
)


def _client_id(entry: OAuthEntry, grant: Grant) -> str:
    """The client that a login has to be for. One that was registered for it serves on beside a document: its
    server may not take that."""
    if entry.client_id is not None:
        return entry.client_id
    by_document = grant.client_id.startswith("https://")
    return entry.client_metadata_url or "" if by_document else grant.client_id


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_KIND = "urn:ietf:params:oauth:token-type:"


Entry = ClientCredentialsEntry | TokenExchangeEntry


class ServiceToken(Mint):
    """Implements `ports.Mint`: a token for mcpguard itself, or the configured subject token exchanged for one
    with less power or for another audience."""

    def __init__(self, name: str, entry: Entry, secret: Callable[[CredentialRef], Secret]) -> None:
        """`name` is that of the entry; `secret(ref)` resolves one that is in the entry."""
        self._ref = f"credential:{name}"
        self._entry = entry
        self._secret = secret
        self._found: tuple[TokenEndpoint, tuple[str, ...]] | None = None

    def lease(self) -> Lease:
        try:
            if self._found is None:
                self._found = _find(self._entry.token_url, self._entry.issuer)
            endpoint, methods = self._found
            client = _client(self._entry, methods, self._secret)
            tokens = asyncio.run(_issued(endpoint, client, _form(self._entry, self._secret)))
        except OAuthProblem as problem:
            self._found = None  # Metadata that no longer holds is asked for again.
            raise CredentialError(f"{self._ref}: {problem}") from None
        end = None if endpoint.revocation is None else partial(_end, self._ref, endpoint, client, tokens)
        parts = () if tokens.refresh is None else (Secret(tokens.refresh),)
        return Lease(Secret(tokens.access), tokens.seconds, end, parts)


async def _issued(endpoint: TokenEndpoint, client: OAuthClient, form: dict[str, str]) -> Tokens:
    """The tokens; those of an answer that is refused are revoked, if there is a place for that."""
    try:
        return await request_tokens(endpoint, client, form)
    except OAuthProblem as problem:
        if endpoint.revocation is not None:
            await revoke_given(endpoint, client, problem.given)
        raise


def _client(entry: Entry, methods: tuple[str, ...], secret: Callable[[CredentialRef], Secret]) -> OAuthClient:
    number = entry.client_id or ""
    if entry.private_key is not None:
        return OAuthClient(number, "private_key_jwt", secret(sole_reference(entry.private_key)), entry.key_id)
    if entry.client_secret is None:
        return OAuthClient(number)
    method = entry.client_auth or method_for(methods)
    return OAuthClient(number, method, secret(sole_reference(entry.client_secret)))


def _form(entry: Entry, secret: Callable[[CredentialRef], Secret]) -> dict[str, str]:
    more = {"scope": " ".join(entry.scopes), "resource": entry.resource}
    form = {"grant_type": "client_credentials"}
    if isinstance(entry, TokenExchangeEntry):
        more["audience"] = entry.audience
        form = {
            "grant_type": _EXCHANGE,
            "subject_token": secret(sole_reference(entry.subject)).reveal(),
            "subject_token_type": _KIND + entry.subject_type,
            "requested_token_type": _KIND + "access_token",
        }
    return form | {key: value for key, value in more.items() if value}


def _find(token_url: str | None, issuer: str | None) -> tuple[TokenEndpoint, tuple[str, ...]]:
    named = named_hosts(token_url, issuer)
    if token_url is not None:
        return TokenEndpoint(token_url, named, issuer or token_url), ("client_secret_basic",)
    server = asyncio.run(find_server(issuer or "", named))
    return TokenEndpoint(
        server.token_endpoint, named, server.issuer, server.revocation_endpoint
    ), server.methods


def _end(ref: str, endpoint: TokenEndpoint, client: OAuthClient, tokens: Tokens) -> None:
    problem = asyncio.run(revoke_both(endpoint, client, tokens.access, tokens.refresh))
    if problem:
        raise CredentialError(f"{ref}: the token could not be revoked: {problem}")
