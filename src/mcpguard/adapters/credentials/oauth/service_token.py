"""`client_credentials` and `token_exchange`: tokens that no person is asked for.

RFC 6749, section 4.4; RFC 8693. Law of this file: what is exchanged is the subject that the configuration
names. A client's own token is never passed on or exchanged (MCP, Security Best Practices, Token Passthrough).
"""

import asyncio
from collections.abc import Callable
from functools import partial

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem, named_hosts
from mcpguard.adapters.credentials.oauth.clients import OAuthClient, method_for
from mcpguard.adapters.credentials.oauth.grants import TokenEndpoint, request_tokens, revoke
from mcpguard.adapters.credentials.oauth.metadata import find_server
from mcpguard.config.oauth import ClientCredentialsEntry, TokenExchangeEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Lease, Secret, sole_reference
from mcpguard.gateway.ports import Mint

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
            tokens = asyncio.run(request_tokens(endpoint, client, _form(self._entry, self._secret)))
        except OAuthProblem as problem:
            self._found = None  # Metadata that no longer holds is asked for again.
            raise CredentialError(f"{self._ref}: {problem}") from None
        end = (
            None if endpoint.revocation is None else partial(_end, self._ref, endpoint, client, tokens.access)
        )
        parts = () if tokens.refresh is None else (Secret(tokens.refresh),)
        return Lease(Secret(tokens.access), tokens.seconds, end, parts)


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


def _end(ref: str, endpoint: TokenEndpoint, client: OAuthClient, token: str) -> None:
    try:
        asyncio.run(revoke(endpoint, client, token, "access_token"))
    except OAuthProblem as problem:
        raise CredentialError(f"{ref}: the token could not be revoked: {problem}") from None
