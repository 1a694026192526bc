"""One request to an authorization server or to the metadata of a resource, bounded in every way; and which
authorization server a resource trusts, and what that server can do.

RFC 9728 (protected resources), RFC 8414 and OpenID Connect Discovery (authorization servers), and how MCP
joins them (basic/authorization, Authorization Server Discovery).

Law of this file: https, or http to a loopback host and port that the configuration names, since what listens
at the others did not expect what a server has us send; no redirect is followed; an
answer has at most 1 MiB and comes in time; and of what it says a sentence holds a known `error` code at most.
Metadata is believed only where its `issuer` or `resource` is the one that was asked for.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from typing import TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec
from msgspec import Struct

from mcpguard.adapters.network import SCOPE, Exchange, Outbound, is_inside, json_object, plain
from mcpguard.config.urls import LOOPBACK, is_plain_url, metadata_urls
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.model import Json
from mcpguard.core.secret import Unprinted

SECONDS = 15.0
"""How long one request may take."""
LIMIT = 1 << 20
"""The largest answer, in bytes."""
CODES = frozenset(
    {
        "access_denied", "consent_required", "interaction_required", "invalid_client",
        "invalid_client_metadata", "invalid_grant", "invalid_redirect_uri", "invalid_request",
        "invalid_scope", "invalid_target", "login_required",
        "server_error", "temporarily_unavailable", "unauthorized_client", "unsupported_grant_type",
        "unsupported_response_type", "unsupported_token_type",
    }
)  # fmt: skip
"""The values of `error` that are known: RFC 6749 (4.1.2.1, 5.2), 7009, 7591, 8707, and OpenID Connect."""


T = TypeVar("T")
_TOKEN = re.compile(r"[\x21-\x7e]{6,16384}")


def token(found: Json) -> str | None:
    """A token that a header can carry; None for anything else."""
    return found if type(found) is str and _TOKEN.fullmatch(found) else None


class GivenTokens(Unprinted, frozen=True):
    """What a successful answer gave that is of no use otherwise; None for what it does not say, or not in one
    way. The server knows these tokens, so they are kept or revoked."""

    access: str | None = None
    refresh: str | None = None


class OAuthProblem(CredentialError):
    """What went wrong, in a sentence that names no entry. `code` is a known OAuth `error`, or ""."""

    def __init__(self, sentence: str, code: str = "", given: GivenTokens | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.given = given or GivenTokens()


_MEMBER = re.compile(rb'"(access|refresh)_token"\s*+:\s*+("(?:[^"\\]|\\.)*+")')


def given_in(heard: bytes) -> GivenTokens:
    """The tokens in an answer that begins as a JSON object does: it may be cut, too large, not quite JSON, or
    of another media type."""
    if not heard.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return GivenTokens()
    said: dict[bytes, set[str | None]] = {b"access": set(), b"refresh": set()}
    for kind, text in _MEMBER.findall(heard):
        with suppress(msgspec.DecodeError, UnicodeError):
            said[kind].add(token(msgspec.json.decode(text)))
    access, refresh = (one.pop() if len(one) == 1 else None for one in said.values())
    return GivenTokens(access, refresh)


class Answer(Unprinted, frozen=True):
    """`body` is the JSON object of an answer of that media type, None for anything else; `page` is whether
    that is an HTML page. `challenge` is as that of `Exchange`; `heard` is what was read of a successful
    answer."""

    status: int
    challenge: dict[str, str]
    body: dict[str, Json] | None = None
    page: bool = False
    heard: bytes = b""

    @property
    def code(self) -> str:
        """Its `error`, if that is a known one, else ""."""
        said = (self.body or {}).get("error")
        return said if type(said) is str and said in CODES else ""

    @property
    def fault(self) -> str:
        """What is wrong with it, in words that are ours but for a known code."""
        if 300 <= self.status < 400:
            return f"answered with a redirect (HTTP {self.status}), which is not followed"
        if self.status == 200 and self.body is None:
            return (
                f"answered with {'an HTML page' if self.page else 'something else'} instead of a JSON object"
            )
        return f"answered HTTP {self.status}" + (f", `{self.code}`" if self.code else "")


_LONGEST_HOST = 253
"""Of characters in a name (RFC 1123, section 2.1): what is longer could not be shown whole either."""


def named_hosts(*urls: str | None) -> frozenset[str]:
    """The hosts of URLs that a configuration holds, which may have private addresses; of plain http also each
    with its port, as HOST:PORT."""
    parts = [urlsplit(url) for url in urls if url]
    hosts = {plain(one.hostname or "") for one in parts}
    return frozenset(hosts | {_at(one) for one in parts if one.scheme == "http"})


def _at(parts: SplitResult) -> str:
    """HOST:PORT. Raises ValueError for a port that is not a number up to 65535."""
    return f"{plain(parts.hostname or '')}:{80 if parts.port is None else parts.port}"


def usable(url: Json, named: frozenset[str]) -> bool:
    """Whether a credential may be sent to `url`: https, or http to a loopback host and port that are
    `named`."""
    if type(url) is not str or len(url) > 4096 or not is_plain_url(url):
        return False
    try:
        parts = urlsplit(url)
        host, at = plain(parts.hostname or ""), _at(parts)
    except ValueError:
        return False
    if not 0 < len(host) <= _LONGEST_HOST or parts.username is not None or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK and at in named)


def _not_usable(what: str, url: Json) -> OAuthProblem:
    said = f"{what} is not at an https:// URL"
    with suppress(ValueError):
        parts = urlsplit(url) if type(url) is str else None
        if parts is not None and parts.scheme == "http" and plain(parts.hostname or "") in LOOPBACK:
            said = f"{said}, and {_at(parts)} is not that of `url` or `issuer` in the configuration"
    return OAuthProblem(said)


async def post(
    url: str,
    named: frozenset[str],
    what: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    take: Callable[[Answer], T],
) -> T:
    """Send a form (RFC 6749, appendix B), and give what `take` makes of the answer: nothing is done between
    the last byte and that, and what `take` raises is raised here. Raises as `ask`."""
    more = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return await _exchanged("POST", url, named, what, more, urlencode(form).encode(), take, True)


async def ask(
    method: str,
    url: str,
    named: frozenset[str],
    what: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Answer:
    """Send one request and read its answer. Raises OAuthProblem; its sentence begins with `what`."""
    return await _exchanged(method, url, named, what, headers, body, lambda answer: answer, False)


async def _exchanged(
    method: str,
    url: str,
    named: frozenset[str],
    what: str,
    headers: Mapping[str, str],
    body: bytes | None,
    take: Callable[[Answer], T],
    whole: bool,
) -> T:
    """`whole`: read a successful answer also where its media type is wrong."""
    if not usable(url, named):
        raise _not_usable(what, url)
    outbound = Outbound(named)
    heard = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            accepting = {"Accept": "application/json", **headers}
            with closing(await outbound.request(method, url, accepting, body, redirects=False)) as exchange:
                return take(await _answer(exchange, heard, whole))
    except TimeoutError:
        said = f"{what} did not answer within {SECONDS:g} seconds"
        raise OAuthProblem(said, given=given_in(bytes(heard))) from None
    except UpstreamError as problem:
        raise OAuthProblem(f"{what} {problem}", given=given_in(bytes(heard))) from None
    finally:
        await outbound.close()


async def _answer(exchange: Exchange, heard: bytearray, whole: bool) -> Answer:
    """`heard` gets what is read of a successful answer."""
    status, kind = exchange.status, exchange.media_type
    is_json = kind == "application/json" or kind.endswith("+json")
    page = kind in ("text/html", "application/xhtml+xml")
    succeeded = 200 <= status < 300
    if not is_json and not (whole and succeeded):
        # It is not needed: a web page, or the stream of an MCP server that is open to all.
        return Answer(status, exchange.challenge, page=page)
    data = heard if succeeded else bytearray()
    while piece := await exchange.read():
        data += piece
        if len(data) > LIMIT:
            raise UpstreamError(f"answered with more than {LIMIT} bytes")
    body = json_object(bytes(data)) if is_json else None
    return Answer(status, exchange.challenge, body, page, bytes(heard))


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


_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")


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
    said = answer.challenge
    scopes = tuple(said.get("scope", "").split())
    for place in places(said.get("resource_metadata"), url):
        found = await ask("GET", place, named, "the metadata of the MCP server", {})
        if found.status == 200 and found.body is not None:
            return _resource(url, found.body, acceptable(scopes))
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return Resource(url, (origin, f"{origin}/"), acceptable(scopes), True)


def _resource(url: str, body: dict[str, Json], scopes: tuple[str, ...]) -> Resource:
    identifier = body.get("resource")
    if type(identifier) is not str or not _covers(identifier, url):
        raise OAuthProblem(
            f"the metadata of the MCP server is for another resource ({named_url(identifier)}) than the "
            f"configured URL ({url}), so it is not trusted"
        )
    issuers = tuple(one for one in _texts(body.get("authorization_servers")))
    if not issuers:
        raise OAuthProblem("the metadata of the MCP server lists no authorization server: set `issuer`")
    return Resource(identifier, issuers, scopes or acceptable(_texts(body.get("scopes_supported"))))


_MOST_NAMED = 200


def named_url(said: Json) -> str:
    """A URL that another party stated, for a person: as it stands, or in words that it is not one."""
    plain = type(said) is str and is_plain_url(said) and "://" in said and len(said) <= _MOST_NAMED
    return said if plain else "not a URL" if said else "none stated"


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
        raise _not_usable("the authorization server", issuer)
    fault = ""
    for place in metadata_urls(issuer):
        found = await ask("GET", place, named, "the metadata of the authorization server", {})
        if found.status == 200 and found.body is not None:
            return _server((issuer, also), found.body, named)
        if found.status != 404:
            fault = fault or found.fault
    if fault:
        raise OAuthProblem(f"the authorization server gives no usable metadata (RFC 8414): it {fault}")
    raise OAuthProblem("the authorization server publishes no metadata (RFC 8414), so it cannot be used")


def _server(
    issuers: tuple[str | None, ...], body: dict[str, Json], named: frozenset[str]
) -> AuthorizationServer:
    said = body.get("issuer")
    if type(said) is not str or said not in issuers:
        raise OAuthProblem(
            f"the metadata is from a different issuer ({named_url(said)}) than the one that was asked "
            f"({issuers[0]}), so it is not trusted"
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
        acceptable(_texts(body.get("scopes_supported"))),
        body.get("authorization_response_iss_parameter_supported") is True,
        body.get("client_id_metadata_document_supported") is True,
    )


def _endpoint(body: dict[str, Json], key: str, named: frozenset[str]) -> str | None:
    url = body.get(key)
    if url is None:
        return None
    if type(url) is not str or not usable(url, named):
        raise _not_usable(f"`{key}` of the authorization server", url)
    return url


async def refuse_private(server: AuthorizationServer, named: frozenset[str]) -> None:
    """Raises OAuthProblem where an endpoint has a private address. A request to it is refused anyway, but not
    before the person has logged in; so what cannot be looked up, or not in time, is left to that."""
    private = []
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            for key in _ENDPOINTS:
                url = getattr(server, key)
                host = plain(urlsplit(url or "").hostname or "")
                if host and host not in named and await is_inside(host):
                    private.append(f"`{key}` ({named_url(url)})")
    if private:
        raise OAuthProblem(
            f"the authorization server has a private address for {', '.join(private)}: only the hosts of "
            "`url` and `issuer` in the configuration may have one"
        )


def _texts(found: Json) -> tuple[str, ...]:
    return tuple(one for one in found if type(one) is str) if type(found) is list else ()


def acceptable(scopes: Iterable[str]) -> tuple[str, ...]:
    """Those that are scopes (RFC 6749, section 3.3)."""
    return tuple(scope for scope in scopes if SCOPE.fullmatch(scope))
