"""`mcpguard secret login` and `logout`: a person lets mcpguard use an MCP server, and takes that back.

The authorization code grant with PKCE (OAuth 2.1; RFC 7636, 8252, 8707, 9207) as MCP asks for it
(basic/authorization). Law of this file: an answer counts only with the `state` of this login and from the
issuer that was asked, and its tokens go to the keychain and nowhere else; no token is forgotten before the
server was asked to revoke it. The browser comes back to
one page on 127.0.0.1 (RFC 8252, section 7.3), which answers one path of one host name, takes one answer with
that `state`, since any web page can send a browser here with another one, and says nothing about it.
"""

import asyncio
import hmac
import socket
import time
from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct

from mcpguard.adapters.credentials.oauth.asking import (
    CODES,
    AuthorizationServer,
    GivenTokens,
    OAuthProblem,
    Resource,
    find_resource,
    find_server,
    named_hosts,
    named_url,
    refuse_private,
    usable,
)
from mcpguard.adapters.credentials.oauth.clients import OAuthClient, method_for, register
from mcpguard.adapters.credentials.oauth.grants import (
    DamagedGrantError,
    Grant,
    Grants,
    TokenEndpoint,
    Tokens,
    request_tokens,
    revoke_both,
    revoke_given,
)
from mcpguard.adapters.network import plain
from mcpguard.config.minted import OAuthEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret

_SHOWN = 3
"""How many other authorization servers are named."""


class LoginTarget(Struct, frozen=True):
    """What a login is about: the resource, its authorization server, and the hosts that may be private."""

    resource: Resource
    server: AuthorizationServer
    named: frozenset[str]


async def login(
    name: str,
    entry: OAuthEntry,
    secret: Secret | None,
    show: Callable[[str, str], None],
    grants: Grants,
    seconds: float,
) -> tuple[Grant, str]:
    """Log in and keep the grant in place of an earlier one, which is revoked. `secret` is the client's, if
    one is configured; `show(url, caution)` leads the person to the page of the authorization server, and says
    what to look at before logging in, "" for nothing. Gives the grant, and why the earlier one could not be
    revoked, "" for no reason. Raises CredentialError; an OAuthProblem names no entry."""
    from mcp.client.auth import PKCEParameters

    grants.ready(name)
    found = await _discover(entry)
    pkce, state = PKCEParameters.generate(), token_urlsafe(32)
    landing = RedirectListener(state)
    try:
        await landing.open(entry.redirect_port or 0)
        scope = _scope(entry, found)
        client = await _client(entry, secret, found, landing.redirect, scope)
        show(_url(found, client, landing.redirect, scope, pkce.code_challenge, state), _caution(found.server))
        code = _code(await landing.answer(seconds), found.server)
    finally:
        await landing.close()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": landing.redirect,
        "code_verifier": pkce.code_verifier,
        "resource": found.resource.identifier,
    }
    blank = _blank(entry, found, client, scope)
    with grants.held(name):
        earlier, problem = _earlier(name, grants)
        begin = partial(_begin, name, blank, client, found, form, grants)
        if earlier is None:
            return await begin(), problem
        # Some servers revoke all that a client has of a person: then not what has just been issued. The grant
        # of another client stays until there is a new one.
        if (earlier.issuer, earlier.client_id) == (blank.issuer, blank.client_id):
            problem = await _revoke(earlier, secret)
            return await begin(), problem
        return await begin(), await _revoke(earlier, secret)


async def logout(name: str, secret: Secret | None, grants: Grants) -> str:
    """Revoke the grant where that is possible, and forget it. Gives why it could not be revoked, "" for no
    reason. Raises CredentialError where there is nothing to forget."""
    with grants.held(name):
        earlier, problem = _earlier(name, grants)
        if earlier is not None:
            problem = await _revoke(earlier, secret)
        grants.forget(name)
    return problem


async def _begin(
    name: str, blank: Grant, client: OAuthClient, found: LoginTarget, form: dict[str, str], grants: Grants
) -> Grant:
    """Get the tokens for `form` and keep them, in `blank`."""
    server = found.server
    endpoint = TokenEndpoint(server.token_endpoint, found.named, server.issuer, server.revocation_endpoint)
    began = time.time()
    given = GivenTokens()

    def keep(tokens: Tokens) -> None:
        nonlocal given
        given = GivenTokens(tokens.access, tokens.refresh)
        grants.write(name, blank.with_tokens(tokens, began))

    try:
        return blank.with_tokens(await request_tokens(endpoint, client, form, keep), began)
    except CredentialError as problem:
        if isinstance(problem, OAuthProblem):
            given = problem.given
        if said := await revoke_given(endpoint, client, given):
            more = f"what was issued could not be revoked ({said}): revoke it in your account there"
            kind = OAuthProblem if isinstance(problem, OAuthProblem) else CredentialError
            raise kind(f"{problem}; {more}") from None
        raise


def _earlier(name: str, grants: Grants) -> tuple[Grant | None, str]:
    """The grant that is kept, and why there is something that cannot be revoked."""
    try:
        return grants.read(name), ""
    except DamagedGrantError:
        return None, "what was stored of it is damaged"


async def _revoke(grant: Grant, secret: Secret | None) -> str:
    over = grant.ends_at is not None and time.time() >= grant.ends_at
    access = None if over else grant.access
    return await revoke_both(grant.endpoint, grant.client(secret), access, grant.refresh)


async def _discover(entry: OAuthEntry) -> LoginTarget:
    url = entry.url or ""
    named = named_hosts(url, entry.issuer)
    resource = await find_resource(url, named)
    issuer = entry.issuer or resource.issuers[0]
    if issuer not in resource.issuers:
        listed = ", ".join(map(named_url, resource.issuers[:_SHOWN]))
        raise OAuthProblem(
            f"the MCP server does not list the configured `issuer` ({issuer}); it lists {listed}"
        )
    try:
        server = await _suitable(issuer, named, resource.issuers[1] if resource.guessed else None)
    except OAuthProblem as problem:
        others = [one for one in resource.issuers if one != issuer and usable(one, named)][:_SHOWN]
        if entry.issuer is not None or resource.guessed or not others:
            raise
        told = f"the MCP server also lists {', '.join(others)}: name one in `issuer`"
        raise OAuthProblem(f"{problem}; {told}", problem.code) from None
    return LoginTarget(resource, server, named)


async def _suitable(issuer: str, named: frozenset[str], also: str | None) -> AuthorizationServer:
    """The authorization server, if it is one that a person can log in to."""
    server = await find_server(issuer, named, also)
    if server.authorization_endpoint is None:
        raise OAuthProblem("the authorization server has no authorization endpoint")
    if "S256" not in server.challenges:
        raise OAuthProblem("the authorization server does not declare support for PKCE with S256")
    await refuse_private(server, named)
    return server


def _caution(server: AuthorizationServer) -> str:
    """What the person alone can tell: whether the page is of those who get the answer. A hostile server may
    name the page of an honest one, to get its code (mix-up; RFC 9700, section 4.4). Where `iss` must be in
    the answer, it settles that (RFC 9207)."""
    page, issuer, token = (
        plain(urlsplit(url or "").hostname or "")
        for url in (server.authorization_endpoint, server.issuer, server.token_endpoint)
    )
    others = [host for host in dict.fromkeys((issuer, token)) if host != page]
    if server.names_itself or not others:
        return ""
    return (
        f"the login page is at {page}, and the result goes to {' and '.join(others)}: log in only if these "
        "belong together"
    )


def _scope(entry: OAuthEntry, found: LoginTarget) -> str:
    """Scope selection (basic/authorization): what is configured, else what the server asks for."""
    if entry.scopes:
        return " ".join(entry.scopes)
    scopes = found.resource.scopes
    if "offline_access" in found.server.scopes and "offline_access" not in scopes:
        scopes = (*scopes, "offline_access")
    return " ".join(scopes)


async def _client(
    entry: OAuthEntry, secret: Secret | None, found: LoginTarget, redirect: str, scope: str
) -> OAuthClient:
    """Who we are there: a client registered by hand, a document that the server reads, or one that it makes
    for us now. One that it made for an earlier login may be forgotten there, so it is not used again."""
    server = found.server
    if entry.client_id is not None:
        if secret is None:
            return OAuthClient(entry.client_id)
        return OAuthClient(entry.client_id, entry.client_auth or method_for(server.methods), secret)
    if entry.client_metadata_url is not None and server.takes_documents:
        return OAuthClient(entry.client_metadata_url)
    return await register(server, found.named, redirect, scope)


def _url(
    found: LoginTarget, client: OAuthClient, redirect: str, scope: str, challenge: str, state: str
) -> str:
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": found.resource.identifier,
    }
    if scope:
        query["scope"] = scope
    if "offline_access" in scope.split():
        query["prompt"] = "consent"  # OpenID Connect Core, section 11
    place = found.server.authorization_endpoint or ""
    return f"{place}{'&' if '?' in place else '?'}{urlencode(query)}"


def _code(answer: dict[str, str], server: AuthorizationServer) -> str:
    """The code of an answer to this login, if it is from the server that was asked. Raises OAuthProblem."""
    from mcp.client.auth import OAuthFlowError
    from mcp.client.auth.utils import validate_authorization_response_iss
    from mcp.shared.auth import OAuthMetadata

    # Constructed, not validated: the issuer is compared as it is written.
    metadata: Any = {
        "issuer": server.issuer,
        "authorization_response_iss_parameter_supported": server.names_itself,
    }
    asked = OAuthMetadata.model_construct(**metadata)
    try:
        validate_authorization_response_iss(answer.get("iss"), asked)
    except OAuthFlowError:
        said = named_url(answer.get("iss"))
        raise OAuthProblem(
            f"the answer is not from the authorization server that was asked: `iss` (RFC 9207) is {said}, "
            f"and not {server.issuer}"
        ) from None
    if "error" in answer:
        code = answer["error"] if answer["error"] in CODES else ""
        raise OAuthProblem(f"the authorization server refused{f': `{code}`' if code else ''}", code)
    if not answer.get("code"):
        raise OAuthProblem("the authorization server returned no code")
    return answer["code"]


def _blank(entry: OAuthEntry, found: LoginTarget, client: OAuthClient, scope: str) -> Grant:
    return Grant(
        url=entry.url or "",
        resource=found.resource.identifier,
        issuer=found.server.issuer,
        token_endpoint=found.server.token_endpoint,
        revocation_endpoint=found.server.revocation_endpoint,
        client_id=client.id,
        client_method=client.method,
        client_secret=client.registered_secret if entry.client_id is None else None,
        scopes=entry.scopes,
        granted=tuple(scope.split()),
        access="",
    )


PATH = "/callback"
REQUEST_SECONDS = 10.0
"""How long one request may take."""
MOST_OPEN = 200
"""How many connections are served at a time; the oldest gives way to another one."""
_AT_ONCE = 50
"""How many are accepted at once: few beside MOST_OPEN, so that a request is read before many others come."""
_WAITING = 256
"""How many may wait for that: beyond it, the system has browsers try again after seconds."""
_MOST_BYTES = 16 * 1024
"""Of the head of a request."""
_PAGE = b"mcpguard has the answer. The terminal says how it went; this page can be closed.\n"
_PARAMETERS = frozenset({"code", "state", "iss", "error"})
_STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_HEADERS = (
    "Content-Type: text/plain; charset=utf-8",
    "Cache-Control: no-store",
    "Content-Security-Policy: default-src 'none'",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "Allow: GET",
    "Connection: close",
)


class RedirectListener:
    """Listens from `open` to `close` for the answer with `state`. Any program of this machine can connect:
    none of them holds up the browser."""

    def __init__(self, state: str) -> None:
        self.redirect = ""
        self._state = state.encode()
        self._strange = False
        self._host = ""
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._came: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def open(self, port: int) -> None:
        """Listen on `port`; on a free one if that is 0. Raises OAuthProblem."""
        try:
            opened = socket.create_server(("127.0.0.1", port))
        except OSError:
            said = f"port {port} of 127.0.0.1 is in use: set a different `redirect_port`, or remove it"
            raise OAuthProblem(said) from None
        self._server = await asyncio.start_server(
            self._serve, sock=opened, limit=_MOST_BYTES, backlog=_AT_ONCE
        )
        opened.listen(_WAITING)
        self._host = f"127.0.0.1:{opened.getsockname()[1]}"
        self.redirect = f"http://{self._host}{PATH}"

    async def answer(self, seconds: float) -> dict[str, str]:
        """The parameters that the browser brought, each once. Raises OAuthProblem where it does not come."""
        try:
            async with asyncio.timeout(seconds):
                return await self._came
        except TimeoutError:
            also = "; an answer that does not belong to this login was ignored"
            raise OAuthProblem(
                f"nobody logged in within {seconds:g} seconds{also if self._strange else ''}"
            ) from None

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            serving = set(filter(None, self._open.values()))
            for writer in self._open:
                writer.transport.abort()
            if serving:
                await asyncio.wait(serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and end its connection."""
        self._open[writer] = asyncio.current_task()
        if len(self._open) > MOST_OPEN:
            oldest = next(iter(self._open))
            self._open[oldest] = self._open.pop(oldest)  # It ends soon, and is not the oldest until then.
            oldest.transport.abort()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status, found = self._read(await reader.readuntil(b"\r\n\r\n"))
                page = _PAGE if status == 200 else b""
                about = (f"HTTP/1.1 {status} {_STATUS[status]}", *_HEADERS, f"Content-Length: {len(page)}")
                writer.write("\r\n".join((*about, "", "")).encode() + page)
                await writer.drain()
            if status == 200 and not self._came.done():
                self._came.set_result(found)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # It is gone, too slow or too large: the browser is another one.
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _read(self, head: bytes) -> tuple[int, dict[str, str]]:
        """The status of the answer to a request, and what it brought if that is 200."""
        line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target = (*line.split(" "), "")[:2]
        path, _, query = target.partition("?")
        named = (field.partition(":") for field in fields)
        # A name that leads here by DNS is not ours.
        if path != PATH or [value.strip() for key, _, value in named if key.lower() == "host"] != [
            self._host
        ]:
            return 404, {}
        if method != "GET":
            return 405, {}
        try:
            said = [pair for pair in parse_qsl(query, max_num_fields=20) if pair[0] in _PARAMETERS]
        except ValueError:
            said = []
        found = dict(said)
        if not said or len(found) != len(said):
            return 400, {}
        ours = hmac.compare_digest(found.get("state", "").encode(), self._state)
        self._strange = self._strange or not ours
        return (200, found) if ours else (400, {})
