"""`oauth`, `client_credentials` and `token_exchange` of an entry of `credentials`: what may be written, and
what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from mcpguard.config_file import LOOPBACK
from mcpguard.core.secret import CredentialRef, parse_template

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class OAuthEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.oauth`: the access token of a person who ran `mcpguard secret login NAME`."""

    url: str | None = None
    """The MCP server that the token is for. Default: the `url` of the one server in `servers`."""
    issuer: str | None = None
    """The only authorization server that is accepted; needed where it has a private address. Default: the
    first one that the MCP server names."""
    scopes: tuple[str, ...] = ()
    """What to ask for. Default: what the MCP server says is needed."""
    client_id: str | None = None
    """A client that was made at the authorization server by hand. Default: one is registered at the login."""
    client_secret: str | None = None
    """Its secret, as one reference; with `client_id`."""
    client_metadata_url: str | None = None
    """An https URL with the metadata of a client, which is its id where the server takes that (CIMD)."""
    redirect_port: int | None = None
    """The port of 127.0.0.1 that the browser comes back to (path `/callback`); from 1024 to 65535. Default: a
    free one."""


class ClientCredentialsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.client_credentials`: a token for mcpguard itself (RFC 6749, section 4.4)."""

    client_id: str
    """The client that was made at the authorization server."""
    token_url: str | None = None
    """Its token endpoint. This or `issuer` is needed."""
    issuer: str | None = None
    """The authorization server; its endpoints are found in its metadata, and tokens are revoked at the end.
    Beside `token_url`: whom the assertion of `private_key` is for."""
    client_secret: str | None = None
    """The secret of the client, as one reference. This or `private_key`."""
    client_auth: Literal["client_secret_basic", "client_secret_post"] | None = None
    """How the secret is sent. Default: the first of these that the server takes."""
    private_key: str | None = None
    """The key of the client in PEM, as one reference; it signs an assertion for each request (RFC 7523)."""
    key_id: str | None = None
    """The `kid` of that key."""
    scopes: tuple[str, ...] = ()
    """What to ask for."""
    resource: str | None = None
    """What the token is for (RFC 8707), such as the URL of the MCP server."""


class TokenExchangeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.token_exchange`: another token in exchange for a configured one (RFC 8693)."""

    subject: str
    """The token to exchange, as one reference. A client's own token is never exchanged."""
    subject_type: Literal["access_token", "id_token", "jwt", "refresh_token"] = "access_token"
    """What kind of token it is."""
    token_url: str | None = None
    """The token endpoint. This or `issuer` is needed."""
    issuer: str | None = None
    """The authorization server; its metadata names the endpoints, and tokens are revoked at the end."""
    client_id: str | None = None
    """The client that asks, where the server wants one."""
    client_secret: str | None = None
    """Its secret, as one reference."""
    client_auth: Literal["client_secret_basic", "client_secret_post"] | None = None
    """How the secret is sent. Default: the first of these that the server takes."""
    private_key: str | None = None
    """The key of the client in PEM, as one reference (RFC 7523)."""
    key_id: str | None = None
    """The `kid` of that key."""
    audience: str | None = None
    """The name of the service that the new token is for."""
    resource: str | None = None
    """The URL of the service that the new token is for."""
    scopes: tuple[str, ...] = ()
    """What to ask for."""


Fault = tuple[str, str]
"""A key of an entry, and what is wrong with its value."""
_REFERENCE = "must be one reference such as ${keyring:linear/client}, and nothing else"
_SECURE = "must be an https:// URL (http:// on loopback), without a user name or a fragment"


def reference(text: str) -> CredentialRef:
    """The one reference that `text` is. Raises ValueError where it is something else."""
    template = parse_template(text)
    if len(template.refs) != 1 or any(template.texts):
        raise ValueError(_REFERENCE)
    return template.refs[0]


def oauth_faults(entry: OAuthEntry) -> Iterator[Fault]:
    """What is wrong in `oauth`."""
    yield from _urls(entry, "url", "issuer", "client_metadata_url")
    yield from _references(entry, "client_secret")
    yield from _scopes(entry.scopes)
    if entry.client_secret is not None and entry.client_id is None:
        yield "client_secret", "belongs to a `client_id`"
    if entry.client_id is not None and entry.client_metadata_url is not None:
        yield "client_metadata_url", "cannot stand beside `client_id`: take one of the two out"
    document = urlsplit(entry.client_metadata_url or "https://-/-")
    if document.scheme != "https" or document.path in ("", "/"):
        yield "client_metadata_url", "must be an https:// URL with a path"
    if entry.redirect_port is not None and not 1024 <= entry.redirect_port <= 65535:
        yield "redirect_port", "must be from 1024 to 65535"


def machine_faults(entry: ClientCredentialsEntry | TokenExchangeEntry) -> Iterator[Fault]:
    """What is wrong in `client_credentials` or `token_exchange`."""
    yield from _urls(entry, "token_url", "issuer")
    yield from _references(entry, "client_secret", "private_key", "subject")
    yield from _scopes(entry.scopes)
    if entry.token_url is None and entry.issuer is None:
        yield "token_url", "`token_url` or `issuer` is missing"
    if entry.client_secret is not None and entry.private_key is not None:
        yield "private_key", "cannot stand beside `client_secret`: take one of the two out"
    proof = entry.client_secret or entry.private_key
    if proof is None and isinstance(entry, ClientCredentialsEntry):
        yield "client_secret", "`client_secret` or `private_key` is missing"
    if proof is not None and not entry.client_id:
        yield "client_id", "`client_id` is missing"


def _urls(entry: Struct, *keys: str) -> Iterator[Fault]:
    for key in keys:
        value = getattr(entry, key)
        if value is not None and not _is_secure(value):
            yield key, _SECURE


def _is_secure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        whole = bool(parts.hostname) and parts.username is None and "#" not in url and parts.port != 0
    except ValueError:
        return False
    return whole and (parts.scheme == "https" or local) and url.isascii() and url.isprintable()


def _references(entry: Struct, *keys: str) -> Iterator[Fault]:
    for key in keys:
        value = getattr(entry, key, None)
        if value is not None:
            try:
                reference(value)
            except ValueError:
                yield key, _REFERENCE


def _scopes(scopes: tuple[str, ...]) -> Iterator[Fault]:
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        yield "scopes", "a scope is one word"
