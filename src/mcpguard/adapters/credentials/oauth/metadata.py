"""Which authorization server a resource trusts, and what that server can do.

RFC 9728 (protected resources), RFC 8414 and OpenID Connect Discovery (authorization servers), and how MCP
joins them (basic/authorization, Authorization Server Discovery).

Law of this file: metadata is believed only where its `issuer` or `resource` is the one that was asked for.
"""

import re
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem, ask, usable
from mcpguard.config.urls import is_plain_url, metadata_urls
from mcpguard.core.model import Json

_PARAMETER = re.compile(r'(?:^|[\s,])(resource_metadata|scope)\s*=\s*(?:"([^"\\]*)"|([^\s,"]+))')
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
_VERSION = "2025-11-25"
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": _VERSION,
        "capabilities": {},
        "clientInfo": {"name": "mcpguard", "version": "1"},
    },
}
_TO_MCP = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": _VERSION,
}


class Resource(Struct, frozen=True):
    """What an MCP server publishes about who may use it. `identifier` is what tokens are for. Where it names
    no issuer, `guessed` says that it is its own, with or without a slash at the end."""

    identifier: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    guessed: bool = False


class AuthorizationServer(Struct, frozen=True):
    """An authorization server. Every endpoint may be used (`asking.usable`)."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    methods: tuple[str, ...] = ("client_secret_basic",)
    """How clients authenticate at the token endpoint; the default is that of RFC 8414, section 2."""
    challenges: tuple[str, ...] = ()
    """`code_challenge_methods_supported`."""
    scopes: tuple[str, ...] = ()
    names_itself: bool = False
    """Whether it puts `iss` into each answer (RFC 9207)."""
    takes_documents: bool = False
    """Whether a client id may be the URL of the client's metadata (CIMD)."""


async def find_resource(url: str, named: frozenset[str]) -> Resource:
    """What the MCP server at `url` publishes about itself, requested without a token. One that says nothing
    is its own authorization server, as in revision 2025-03-26. Raises OAuthProblem."""
    from mcp.client.auth.utils import build_protected_resource_metadata_discovery_urls as places

    hello = msgspec.json.encode(_HELLO)
    answer = await ask("POST", url, named, "the MCP server", _TO_MCP, hello)
    said = {found[1]: found[2] or found[3] or "" for found in _PARAMETER.finditer(answer.challenge)}
    scopes = tuple(said.get("scope", "").split())
    for place in places(said.get("resource_metadata"), url):
        found = await ask("GET", place, named, "the metadata of the MCP server", {})
        if found.status == 200 and found.body is not None:
            return _resource(url, found.body, _acceptable(scopes))
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return Resource(url, (origin, f"{origin}/"), _acceptable(scopes), True)


def _resource(url: str, body: dict[str, Json], scopes: tuple[str, ...]) -> Resource:
    identifier = body.get("resource")
    if type(identifier) is not str or not _covers(identifier, url):
        raise OAuthProblem("the metadata of the MCP server is for another resource, so it is not trusted")
    issuers = tuple(one for one in _texts(body.get("authorization_servers")))
    if not issuers:
        raise OAuthProblem("the metadata of the MCP server lists no authorization server: set `issuer`")
    return Resource(identifier, issuers, scopes or _acceptable(_texts(body.get("scopes_supported"))))


def _covers(identifier: str, url: str) -> bool:
    """Whether the resource is `url` or stands above it on the same origin."""
    from mcp.shared.auth_utils import check_resource_allowed

    try:
        covers, parts = check_resource_allowed(url, identifier), urlsplit(identifier)
    except ValueError:
        return False
    return covers and not parts.fragment and parts.username is None and is_plain_url(identifier)


async def find_server(issuer: str, named: frozenset[str], also: str | None = None) -> AuthorizationServer:
    """The metadata of `issuer`, which may call itself `also`. Raises OAuthProblem."""
    if not usable(issuer, named):
        raise OAuthProblem("the authorization server is not at an https:// URL")
    for place in metadata_urls(issuer):
        found = await ask("GET", place, named, "the metadata of the authorization server", {})
        if found.status == 200 and found.body is not None:
            return _server((issuer, also), found.body, named)
    raise OAuthProblem("the authorization server publishes no metadata (RFC 8414), so it cannot be used")


def _server(
    issuers: tuple[str | None, ...], body: dict[str, Json], named: frozenset[str]
) -> AuthorizationServer:
    said = body.get("issuer")
    if type(said) is not str or said not in issuers:
        raise OAuthProblem(
            "the metadata is from a different issuer than the one that was asked, so it is not trusted"
        )
    methods = _texts(body.get("token_endpoint_auth_methods_supported"))
    token = _endpoint(body, "token_endpoint", named)
    if token is None:
        raise OAuthProblem("the metadata of the authorization server names no token endpoint")
    return AuthorizationServer(
        said,
        token,
        _endpoint(body, "authorization_endpoint", named),
        _endpoint(body, "registration_endpoint", named),
        _endpoint(body, "revocation_endpoint", named),
        methods or ("client_secret_basic",),
        _texts(body.get("code_challenge_methods_supported")),
        _acceptable(_texts(body.get("scopes_supported"))),
        body.get("authorization_response_iss_parameter_supported") is True,
        body.get("client_id_metadata_document_supported") is True,
    )


def _endpoint(body: dict[str, Json], key: str, named: frozenset[str]) -> str | None:
    url = body.get(key)
    if url is None:
        return None
    if type(url) is not str or not usable(url, named):
        raise OAuthProblem(f"`{key}` of the authorization server is not an https:// URL")
    return url


def _texts(found: Json) -> tuple[str, ...]:
    return tuple(one for one in found if type(one) is str) if type(found) is list else ()


def _acceptable(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are scopes (RFC 6749, section 3.3)."""
    return tuple(scope for scope in scopes if _SCOPE.fullmatch(scope))
