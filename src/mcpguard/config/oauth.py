"""`oauth`, `client_credentials` and `token_exchange` of an entry of `credentials`: what may be written, and
what can be wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from mcpguard.config.references import Reference
from mcpguard.config.urls import ServiceUrl, host_of, wrong_url
from mcpguard.core.document.must import Mistake, Must, between, filled, matching
from mcpguard.core.document.written import Items, Written

_BESIDE = "cannot stand beside `{}`: take one of the two out"


def _wrong_document(url: str) -> str:
    parts = urlsplit(url)
    right = parts.scheme == "https" and parts.path not in ("", "/")
    return "" if right else "must be an https:// URL with a path"


Scope = Annotated[str, matching(r"[\x21\x23-\x5b\x5d-\x7e]+", "a scope is one word")]


class OAuthEntry(Written):
    """`credentials.NAME.oauth`: the access token of a person who ran `mcpguard secret login NAME`."""

    url: ServiceUrl | None = Field(
        None,
        description="The MCP server that the token is for. Default: the `url` of the one server in "
        "`servers`.",
    )
    issuer: ServiceUrl | None = Field(
        None,
        description="The only authorization server that is accepted; needed with `client_id`, and where it "
        "has a private address. Default: the first one that the MCP server names.",
    )
    scopes: Items[Scope] = Field(
        (),
        description="What to ask for. Default: what the MCP server says is needed.",
    )
    client_id: str | None = Field(
        None,
        description="A client that was made at the authorization server by hand. Default: one is registered "
        "at the login.",
    )
    client_secret: Reference | None = Field(
        None, description="Its secret, as one reference; with `client_id`."
    )
    client_metadata_url: Annotated[ServiceUrl, Must(_wrong_document)] | None = Field(
        None,
        description="An https URL with the metadata of a client, which is its id where the server takes that "
        "(CIMD).",
    )
    redirect_port: Annotated[int, between(1024, 65535)] | None = Field(
        None,
        description="The port of 127.0.0.1 that the browser comes back to (path `/callback`). Default: a "
        "free one.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.client_secret is not None and self.client_id is None:
            yield ("client_secret",), "belongs to a `client_id`"
        if self.client_id is not None and self.issuer is None:
            yield ("client_id",), "a client is registered at one authorization server: name it in `issuer`"
        if self.client_id is not None and self.client_metadata_url is not None:
            yield ("client_metadata_url",), _BESIDE.format("client_id")


class _ServiceEntry(Written):
    """What is asked with no person there."""

    token_url: ServiceUrl | None = Field(None, description="The token endpoint. This or `issuer` is needed.")
    issuer: ServiceUrl | None = Field(
        None,
        description="The authorization server; its metadata names the endpoints, and tokens are revoked at "
        "the end. Beside `token_url`: whom the assertion of `private_key` is for.",
    )
    client_secret: Reference | None = Field(
        None,
        description="The secret of the client, as one reference. This or `private_key`.",
    )
    client_auth: Literal["client_secret_basic", "client_secret_post"] | None = Field(
        None,
        description="How the secret is sent. Default: the first of these that the server takes.",
    )
    private_key: Reference | None = Field(
        None,
        description="The key of the client in PEM, as one reference; it signs an assertion for each request "
        "(RFC 7523).",
    )
    key_id: str | None = Field(None, description="The `kid` of that key.")
    scopes: Items[Scope] = Field((), description="What to ask for.")
    resource: str | None = Field(
        None,
        description="What the token is for (RFC 8707): the URL of a service, such as the MCP server.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.token_url is None and self.issuer is None:
            yield (), "`token_url` or `issuer` is missing"
        if self.client_secret is not None and self.private_key is not None:
            yield ("private_key",), _BESIDE.format("client_secret")


class ClientCredentialsEntry(_ServiceEntry):
    """`credentials.NAME.client_credentials`: a token for mcpguard itself (RFC 6749, section 4.4)."""

    client_id: Annotated[str, filled("`client_id` is missing", minLength=1)] = Field(
        description="The client that was made at the authorization server.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        yield from super().mistakes()
        if self.client_secret is None and self.private_key is None:
            yield (), "`client_secret` or `private_key` is missing"


class TokenExchangeEntry(_ServiceEntry):
    """`credentials.NAME.token_exchange`: another token in exchange for a configured one (RFC 8693)."""

    subject: Reference = Field(
        description="The token to exchange, as one reference. A client's own token is never exchanged.",
    )
    subject_type: Literal["access_token", "id_token", "jwt", "refresh_token"] = Field(
        "access_token",
        description="What kind of token it is.",
    )
    client_id: str | None = Field(None, description="The client that asks, where the server wants one.")
    audience: str | None = Field(None, description="The name of the service that the new token is for.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from super().mistakes()
        if (self.client_secret or self.private_key) and not self.client_id:
            yield (), "`client_id` is missing"


OAUTH: tuple[type[Written], ...] = (OAuthEntry, ClientCredentialsEntry, TokenExchangeEntry)
"""The models of this file, for the reference."""


def with_url(entry: OAuthEntry, urls: Sequence[str]) -> OAuthEntry:
    """`entry` with the `url` of its only server, if it names none; `urls` are those of its servers."""
    return entry if entry.url is not None or len(urls) != 1 else entry.model_copy(update={"url": urls[0]})


def server_mistakes(entry: OAuthEntry, urls: Mapping[str, str]) -> Iterator[str]:
    """Whether the token of `oauth` is for its servers; `urls` are theirs, of those that have one, by name."""
    whole = with_url(entry, tuple(urls.values()))
    if whole.url is None:
        yield "`url` is missing: it can be left out where `servers` has exactly one with a `url`"
    elif "${" in whole.url:
        yield "the URL of its server is made of a reference: say in `url` which it is"
    elif entry.url is None and (said := wrong_url(whole.url)):
        yield f"the `url` of its server: {said}"
    for name, url in urls.items():
        if whole.url is not None and "${" not in url and host_of(url) != host_of(whole.url):
            yield f"a token is for one server (RFC 8707), and `{name}` is at a different host from `url`"
