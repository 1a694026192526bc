"""`oauth`, `client_credentials` and `token_exchange` of an entry of `credentials`: what may be written, and
what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, structs

from mcpguard.core.document.reading import Document
from mcpguard.core.document.reading import Path as Place
from mcpguard.core.errors import Problem
from mcpguard.core.secret import sole_reference

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SOURCES = ("env", "file", "keyring")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class OAuthEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.oauth`: the access token of a person who ran `mcpguard secret login NAME`."""

    url: str | None = None
    """The MCP server that the token is for. Default: the `url` of the one server in `servers`."""
    issuer: str | None = None
    """The only authorization server that is accepted; needed with `client_id`, and where it has a private
    address. Default: the first one that the MCP server names."""
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


OAUTH: tuple[type[Struct], ...] = (OAuthEntry, ClientCredentialsEntry, TokenExchangeEntry)
"""The Structs of this file, for the reference."""

_SECURE = "must be an https:// URL (http:// on loopback), without a user name or a fragment"
_BESIDE = "cannot stand beside `{}`: take one of the two out"


def oauth_problems(document: Document, at: Place, entry: OAuthEntry) -> Iterator[Problem]:
    """What is wrong in `oauth`, at its place."""
    yield from _common_problems(document, at, entry)
    if entry.client_secret is not None and entry.client_id is None:
        yield document.problem((*at, "client_secret"), "belongs to a `client_id`")
    if entry.client_id is not None and entry.issuer is None:
        said = "a client was made at one authorization server: say in `issuer` which, lest another gets it"
        yield document.problem((*at, "client_id"), said)
    if entry.client_id is not None and entry.client_metadata_url is not None:
        yield document.problem((*at, "client_metadata_url"), _BESIDE.format("client_id"))
    document_url = urlsplit(entry.client_metadata_url or "https://-/-")
    if document_url.scheme != "https" or document_url.path in ("", "/"):
        yield document.problem((*at, "client_metadata_url"), "must be an https:// URL with a path")
    if entry.redirect_port is not None and not 1024 <= entry.redirect_port <= 65535:
        yield document.problem((*at, "redirect_port"), "must be from 1024 to 65535")


def service_problems(
    document: Document, at: Place, entry: ClientCredentialsEntry | TokenExchangeEntry
) -> Iterator[Problem]:
    """What is wrong in `client_credentials` or `token_exchange`, at its place."""
    yield from _common_problems(document, at, entry)
    if entry.token_url is None and entry.issuer is None:
        yield document.problem(at, "`token_url` or `issuer` is missing")
    if entry.client_secret is not None and entry.private_key is not None:
        yield document.problem((*at, "private_key"), _BESIDE.format("client_secret"))
    proof = entry.client_secret or entry.private_key
    if proof is None and isinstance(entry, ClientCredentialsEntry):
        yield document.problem(at, "`client_secret` or `private_key` is missing")
    if proof is not None and not entry.client_id:
        yield document.problem(at, "`client_id` is missing")


def with_url(entry: OAuthEntry, urls: Sequence[str]) -> OAuthEntry:
    """`entry` with the `url` of its only server, if it names none; `urls` are those of its servers."""
    return entry if entry.url is not None or len(urls) != 1 else structs.replace(entry, url=urls[0])


def server_problems(
    document: Document, at: Place, entry: OAuthEntry, urls: Mapping[str, str]
) -> Iterator[Problem]:
    """Whether the token of `oauth` is for its servers; `urls` are theirs, of those that have one, by name."""
    whole = with_url(entry, tuple(urls.values()))
    if whole.url is None:
        said = "`url` is missing: it can be left out where `servers` has exactly one with a `url`"
        yield document.problem(at, said)
    elif "${" in whole.url:
        yield document.problem(at, "the URL of its server is made of a reference: say in `url` which it is")
    elif not _is_secure(whole.url):
        yield document.problem(at, f"the `url` of its server {_SECURE}")
    for name, url in urls.items():
        if whole.url is not None and "${" not in url and _host(url) != _host(whole.url):
            said = f"a token is for one server (RFC 8707), and `{name}` is at another host than `url`"
            yield document.problem(at, said)


def _common_problems(
    document: Document, at: Place, entry: OAuthEntry | ClientCredentialsEntry | TokenExchangeEntry
) -> Iterator[Problem]:
    for key in ("url", "issuer", "client_metadata_url", "token_url"):
        value = getattr(entry, key, None)
        if value is not None and not _is_secure(value):
            yield document.problem((*at, key), _SECURE)
    for key in ("client_secret", "private_key", "subject"):
        value = getattr(entry, key, None)
        if value is not None:
            yield from _reference_problems(document, (*at, key), value)
    for index, scope in enumerate(entry.scopes):
        if not _SCOPE.fullmatch(scope):
            yield document.problem((*at, "scopes", index), "a scope is one word")


def _reference_problems(document: Document, at: Place, value: str) -> Iterator[Problem]:
    try:
        ref = sole_reference(value)
    except ValueError as error:
        yield document.problem(at, str(error))
        return
    if ref.source not in _SOURCES:
        yield document.problem(at, f"must be a reference to one of {', '.join(_SOURCES)}")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_secure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        whole = bool(parts.hostname) and parts.username is None and "#" not in url and parts.port != 0
    except ValueError:
        return False
    return whole and (parts.scheme == "https" or local) and url.isascii() and url.isprintable()
