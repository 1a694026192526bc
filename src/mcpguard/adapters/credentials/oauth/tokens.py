"""What a token endpoint gives (RFC 6749, sections 5 and 6; RFC 8693), and how it is taken back (RFC 7009).

Law of this file: a token that is no bearer token, or says something impossible of its life, is refused.
"""

import re

from msgspec import Struct

from mcpguard.adapters.credentials.oauth.asking import Answer, OAuthProblem, post
from mcpguard.adapters.credentials.oauth.clients import OAuthClient
from mcpguard.core.model import Json
from mcpguard.core.secret import Unprinted

MARGIN_SECONDS = 120.0
"""From so long before its end a token is renewed when it is asked for, or in the last two fifths of its life
if that is shorter: sooner than who keeps it asks (`credentials/kept.py`)."""
LONGEST_SECONDS = 31_536_000
"""What is said to live longer is asked about again after this."""
_TOKEN = re.compile(r"[\x21-\x7e]{6,16384}")
_WHAT = "the token endpoint"


class Tokens(Unprinted, frozen=True, eq=False):
    """`seconds` is the life of `access` from now, None where it was not said."""

    access: str
    refresh: str | None = None
    seconds: float | None = None
    scope: str | None = None

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


async def request_tokens(endpoint: TokenEndpoint, client: OAuthClient, form: dict[str, str]) -> Tokens:
    """Ask with `form` (`grant_type` and what belongs to it). Raises OAuthProblem."""
    whole, headers = client.prove(form, endpoint.audience)
    return read_tokens(await post(endpoint.url, endpoint.named, _WHAT, whole, headers))


def read_tokens(answer: Answer) -> Tokens:
    """The tokens in an answer. Raises OAuthProblem."""
    body = answer.body
    if answer.status != 200 or (body is not None and "error" in body):
        raise OAuthProblem(f"{_WHAT} {answer.fault}", answer.code)
    if body is None:
        raise OAuthProblem(f"{_WHAT} answered with something that is not a JSON object")
    kind = body.get("token_type")
    if type(kind) is not str or kind.lower() != "bearer":
        raise OAuthProblem(f"{_WHAT} returned no bearer token")
    access = _token(body.get("access_token"))
    if access is None:
        raise OAuthProblem(f"{_WHAT} returned no access token of 6 to 16384 printable characters")
    refresh = body.get("refresh_token")
    if refresh is not None and _token(refresh) is None:
        raise OAuthProblem(f"{_WHAT} returned an invalid refresh token")
    scope = body.get("scope")
    return Tokens(access, refresh, _seconds(body.get("expires_in")), scope if type(scope) is str else None)


def _token(found: Json) -> str | None:
    return found if type(found) is str and _TOKEN.fullmatch(found) else None


def _seconds(found: Json) -> float | None:
    if found is None:
        return None
    if type(found) not in (int, float) or not found > 0:
        raise OAuthProblem(f"{_WHAT} returned a token whose `expires_in` is not a number above 0")
    return float(min(found, LONGEST_SECONDS))


async def revoke(endpoint: TokenEndpoint, client: OAuthClient, token: str, kind: str) -> None:
    """Take `token` back (RFC 7009); `kind` is access_token or refresh_token. Raises OAuthProblem, also where
    the server has no way to."""
    if endpoint.revocation is None:
        raise OAuthProblem("the authorization server names no revocation endpoint")
    whole, headers = client.prove({"token": token, "token_type_hint": kind}, endpoint.audience)
    answer = await post(endpoint.revocation, endpoint.named, "the revocation endpoint", whole, headers)
    if answer.status != 200:
        raise OAuthProblem(f"the revocation endpoint {answer.fault}", answer.code)
