"""`mcpguard secret login` and `logout`: a person lets mcpguard use an MCP server, and takes that back.

The authorization code grant with PKCE (OAuth 2.1; RFC 7636, 8252, 8707, 9207) as MCP asks for it
(basic/authorization). Law of this file: an answer counts only with the `state` of this login and from the
issuer that was asked, and what comes of it goes to the keychain and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from mcpguard.adapters.credentials.oauth.asking import CODES, OAuthProblem, named_hosts
from mcpguard.adapters.credentials.oauth.clients import OAuthClient, method_for, register
from mcpguard.adapters.credentials.oauth.grants import Grant, Grants
from mcpguard.adapters.credentials.oauth.landing import Landing
from mcpguard.adapters.credentials.oauth.metadata import (
    AuthorizationServer,
    Resource,
    find_resource,
    find_server,
)
from mcpguard.adapters.credentials.oauth.tokens import TokenEndpoint, request_tokens, revoke
from mcpguard.config.oauth import OAuthEntry
from mcpguard.core.secret import Secret


class LoginTarget(Struct, frozen=True):
    """What a login is about: the resource, its authorization server, and the hosts that may be private."""

    resource: Resource
    server: AuthorizationServer
    named: frozenset[str]


async def login(
    name: str,
    entry: OAuthEntry,
    secret: Secret | None,
    show: Callable[[str], None],
    grants: Grants,
    seconds: float,
) -> Grant:
    """Log in and keep the grant. `secret` is the client's, if one is configured; `show(url)` leads the person
    to the page of the authorization server. Raises CredentialError; an OAuthProblem names no entry."""
    from mcp.client.auth import PKCEParameters

    grants.ready(name)
    found = await _discover(entry)
    pkce, state = PKCEParameters.generate(), token_urlsafe(32)
    landing = Landing(state)
    try:
        await landing.open(entry.redirect_port or 0)
        scope = _scope(entry, found)
        client = await _client(entry, secret, found, landing.redirect, scope)
        show(_url(found, client, landing.redirect, scope, pkce.code_challenge, state))
        code = _code(await landing.answer(seconds), found.server)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": landing.redirect,
            "code_verifier": pkce.code_verifier,
            "resource": found.resource.identifier,
        }
        server = found.server
        endpoint = TokenEndpoint(
            server.token_endpoint, found.named, server.issuer, server.revocation_endpoint
        )
        began = time.time()
        tokens = await request_tokens(endpoint, client, form)
    finally:
        await landing.close()
    grant = _blank(entry, found, client).with_tokens(tokens, began)
    with grants.held(name):
        grants.write(name, grant)
    return grant


async def logout(name: str, secret: Secret | None, grants: Grants) -> str:
    """Revoke the grant where that is possible, and forget it. Gives what could not be revoked and why, "" for
    nothing. Raises CredentialError where there is nothing to forget."""
    problem = ""
    with grants.held(name):
        grant = grants.read(name)
        if grant is not None:
            problem = await _revoke(grant, grant.client(secret))
        grants.forget(name)
    return problem


async def _revoke(grant: Grant, client: OAuthClient) -> str:
    # The refresh token first: with it, most servers take back all that came of it.
    for token, kind in ((grant.refresh, "refresh_token"), (grant.access, "access_token")):
        if token is not None:
            try:
                await revoke(grant.endpoint, client, token, kind)
            except OAuthProblem as problem:
                return str(problem)
    return ""


async def _discover(entry: OAuthEntry) -> LoginTarget:
    url = entry.url or ""
    named = named_hosts(url, entry.issuer)
    resource = await find_resource(url, named)
    issuer = entry.issuer or resource.issuers[0]
    if issuer not in resource.issuers:
        raise OAuthProblem("the MCP server does not list the configured `issuer`")
    server = await find_server(issuer, named, resource.issuers[1] if resource.guessed else None)
    if server.authorization_endpoint is None:
        raise OAuthProblem("the authorization server has no authorization endpoint")
    if "S256" not in server.challenges:
        raise OAuthProblem("the authorization server does not declare support for PKCE with S256")
    return LoginTarget(resource, server, named)


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
        method = method_for(server.methods)
        return OAuthClient(entry.client_id, method, secret)
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
    said: Any = {
        "issuer": server.issuer,
        "authorization_response_iss_parameter_supported": server.names_itself,
    }
    asked = OAuthMetadata.model_construct(**said)
    try:
        validate_authorization_response_iss(answer.get("iss"), asked)
    except OAuthFlowError:
        wrong = "the answer is not from the authorization server that was asked (`iss`, RFC 9207)"
        raise OAuthProblem(wrong) from None
    if "error" in answer:
        code = answer["error"] if answer["error"] in CODES else ""
        raise OAuthProblem(f"the authorization server refused{f': `{code}`' if code else ''}", code)
    if not answer.get("code"):
        raise OAuthProblem("the authorization server returned no code")
    return answer["code"]


def _blank(entry: OAuthEntry, found: LoginTarget, client: OAuthClient) -> Grant:
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
        access="",
    )
