"""What a login left: tokens and the client that they belong to, as one entry of the keychain; and what a
token endpoint gives (RFC 6749, sections 5 and 6; RFC 8693) and takes back (RFC 7009).

Law of this file: whoever asks for new tokens holds the lock of the grant, and new tokens are kept before they
are used; so a refresh token that the server rotates is never used twice (RFC 9700, section 4.14.2). A token
that is not a bearer token, or that states an impossible lifetime, is refused; the refresh token beside it is
not lost with it, since the server has put it in place of the one that was sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.oauth.asking import (
    Answer,
    GivenTokens,
    OAuthProblem,
    acceptable,
    given_in,
    named_hosts,
    post,
    token,
)
from mcpguard.adapters.credentials.oauth.clients import OAuthClient
from mcpguard.adapters.system.files import take_lock
from mcpguard.config.user_state import state_folder
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Json
from mcpguard.core.secret import Secret, Unprinted

LOCK_SECONDS = 60.0
"""How long another process may ask for new tokens before we give up."""


class Grant(Unprinted, frozen=True, eq=False, kw_only=True):
    """`url` is the MCP server that the login was for. Times are in seconds since 1970: the access token is
    renewed from `renew_at` on and is over at `ends_at`; None where the server did not say. `client_secret` is
    that of a client that was registered for this login."""

    version: Literal[1] = 1
    url: str
    resource: str
    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    client_id: str
    client_method: str = "none"
    client_secret: str | None = None
    scopes: tuple[str, ...] = ()
    """What the configuration asked for."""
    granted: tuple[str, ...] = ()
    """What the server says that `access` is for, or else what was asked for."""
    access: str
    refresh: str | None = None
    renew_at: float | None = None
    ends_at: float | None = None

    def with_tokens(self, tokens: Tokens, now: float) -> Grant:
        """The same grant with tokens that were asked for at `now`; without a new refresh token the old one
        stays (RFC 6749, section 6)."""
        renew = tokens.renew_seconds
        return msgspec.structs.replace(
            self,
            access=tokens.access,
            refresh=tokens.refresh or self.refresh,
            granted=tokens.scopes or self.granted,
            renew_at=None if renew is None else now + renew,
            ends_at=None if tokens.seconds is None else now + tokens.seconds,
        )

    def client(self, secret: Secret | None) -> OAuthClient:
        """The client that these tokens belong to; `secret` is the configured one, if there is one."""
        own = Secret(self.client_secret) if self.client_secret is not None else secret
        return OAuthClient(self.client_id, self.client_method, own)

    @property
    def endpoint(self) -> TokenEndpoint:
        """Where its tokens are renewed."""
        named = named_hosts(self.url, self.issuer)
        return TokenEndpoint(self.token_endpoint, named, self.issuer, self.revocation_endpoint)


_decode = msgspec.json.Decoder(Grant).decode


class DamagedGrantError(CredentialError):
    """What the keychain has is not a grant that this version can read."""


class Grants:
    """The grants of this user. All methods raise CredentialError where the keychain cannot be asked."""

    def __init__(self, keychain: Keychain | None = None, folder: Path | None = None) -> None:
        """`folder` has the locks, `locks` in the user's state folder by default."""
        self._keychain = keychain or Keychain()
        self._folder = folder

    def read(self, name: str) -> Grant | None:
        """The grant of the entry NAME, None where nobody logged in. Raises DamagedGrantError."""
        text = self._keychain.find(_entry(name))
        if text is None:
            return None
        try:
            return _decode(text)
        except ValueError:
            said = f"the stored login is damaged: run `mcpguard secret login {name}` again"
            raise DamagedGrantError(f"credential:{name}: {said}") from None

    def ready(self, name: str) -> None:
        """Ask the keychain, whatever it has: before a person is sent to a page for nothing."""
        self._keychain.find(_entry(name))

    def write(self, name: str, grant: Grant) -> None:
        """Keep it in place of an older one."""
        self._keychain.put(_entry(name), msgspec.json.encode(grant).decode())

    def forget(self, name: str) -> None:
        """Remove it; CredentialError if there is none."""
        self._keychain.remove(_entry(name))

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Nobody else of this user asks for tokens of NAME until the block ends."""
        try:
            lock = self._lock(name)
        except OSError as problem:
            said = f"the lock of its login is unavailable: {problem.strerror}"
            raise CredentialError(f"credential:{name}: {said}") from None
        try:
            yield
        finally:
            os.close(lock)

    def _lock(self, name: str) -> int:
        folder = self._folder or state_folder("locks")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return take_lock(folder / f"oauth-{sha256(name.encode()).hexdigest()[:32]}.lock", LOCK_SECONDS, 0.02)


def _entry(name: str) -> str:
    return f"oauth/{name}"


MARGIN_SECONDS = 120.0
"""From this long before its end a token is renewed when it is asked for, or in the last two fifths of its
life if that is shorter: sooner than its keeper asks for it (`credentials/kept.py`)."""
LONGEST_SECONDS = 31_536_000
"""What is said to live longer is asked about again after this."""
_WHAT = "the token endpoint"


class Tokens(Unprinted, frozen=True, eq=False):
    """`seconds` is the life of `access` from now, None where it was not said."""

    access: str
    refresh: str | None = None
    seconds: float | None = None
    scopes: tuple[str, ...] = ()
    """What `access` is for; nothing where that was not said."""

    @property
    def renew_seconds(self) -> float | None:
        """`seconds` less the margin."""
        return None if self.seconds is None else self.seconds - min(MARGIN_SECONDS, self.seconds * 0.4)


class TokenEndpoint(Struct, frozen=True):
    """Where tokens are issued. `audience` is whom a signed assertion is for: the issuer, or this URL."""

    url: str
    named: frozenset[str]
    audience: str
    revocation: str | None = None


async def request_tokens(
    endpoint: TokenEndpoint,
    client: OAuthClient,
    form: dict[str, str],
    keep: Callable[[Tokens], None] = lambda _tokens: None,
) -> Tokens:
    """Ask with `form` (`grant_type` and what belongs to it); `keep` is called with the tokens before anything
    else is done. Raises OAuthProblem, with the tokens of an answer that is refused; `keep` may raise."""

    def take(answer: Answer) -> Tokens:
        tokens = read_tokens(answer)
        keep(tokens)
        return tokens

    whole, headers = client.prove(form, endpoint.audience)
    try:
        return await post(endpoint.url, endpoint.named, _WHAT, whole, headers, take)
    except OAuthProblem as problem:
        if problem.code != "invalid_client":
            raise
        raise OAuthProblem(f"{problem}{client.advice}", problem.code) from None


def read_tokens(answer: Answer) -> Tokens:
    """The tokens in an answer. Raises OAuthProblem."""
    body = answer.body
    if "error" in (body or {}):
        raise OAuthProblem(f"{_WHAT} {answer.fault}", answer.code)
    given = given_in(answer.heard)
    if answer.status != 200 or body is None:
        raise OAuthProblem(f"{_WHAT} {answer.fault}", answer.code, given)
    try:
        return _tokens(body)
    except OAuthProblem as problem:
        raise OAuthProblem(str(problem), given=given) from None


def _tokens(body: dict[str, Json]) -> Tokens:
    kind = body.get("token_type")
    if type(kind) is not str or kind.lower() != "bearer":
        raise OAuthProblem(f"{_WHAT} returned no bearer token")
    access = token(body.get("access_token"))
    if access is None:
        raise OAuthProblem(f"{_WHAT} returned no access token of 6 to 16384 printable characters")
    refresh = body.get("refresh_token")
    if refresh is not None and token(refresh) is None:
        raise OAuthProblem(f"{_WHAT} returned an invalid refresh token")
    scope = body.get("scope")
    scopes = acceptable(scope.split()) if type(scope) is str else ()
    return Tokens(access, refresh, _seconds(body.get("expires_in")), scopes)


def _seconds(found: Json) -> float | None:
    if found is None:
        return None
    if type(found) is str and found.isascii() and found.isdigit():
        found = float(found)  # As some servers say it.
    if type(found) not in (int, float) or not found > 0:
        raise OAuthProblem(f"{_WHAT} returned a token whose `expires_in` is not a number above 0")
    return float(min(found, LONGEST_SECONDS))


async def revoke_both(
    endpoint: TokenEndpoint, client: OAuthClient, access: str | None, refresh: str | None
) -> str:
    """Take tokens back (RFC 7009). Gives why the first that is not could not be, "" for no reason."""
    problems = []
    # Both, since a server may revoke one kind only, or one token and not the other (RFC 7009, section 2.1);
    # the refresh token first, since most servers revoke the others with it.
    for one, kind in ((refresh, "refresh_token"), (access, "access_token")):
        if one is not None:
            try:
                await _revoke(endpoint, client, one, kind)
            except OAuthProblem as problem:
                problems.append(str(problem))
    return problems[0] if problems else ""


async def revoke_given(endpoint: TokenEndpoint, client: OAuthClient, given: GivenTokens) -> str:
    """The same for what an answer gave that is refused."""
    return await revoke_both(endpoint, client, given.access, given.refresh)


async def _revoke(endpoint: TokenEndpoint, client: OAuthClient, one: str, kind: str) -> None:
    """`kind` is access_token or refresh_token. Raises OAuthProblem, also where the server has no way to."""
    if endpoint.revocation is None:
        raise OAuthProblem("the authorization server names no revocation endpoint")
    whole, headers = client.prove({"token": one, "token_type_hint": kind}, endpoint.audience)
    what = "the revocation endpoint"
    answer = await post(endpoint.revocation, endpoint.named, what, whole, headers, lambda answer: answer)
    if answer.status != 200:
        raise OAuthProblem(f"{what} {answer.fault}", answer.code)
