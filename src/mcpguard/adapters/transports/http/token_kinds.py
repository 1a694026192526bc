"""What kind a JSON Web Token is: an access token for whoever presents it, or one that an issuer signs for
something else.

Law of this file: what is not known to be an access token is refused. With the same keys an issuer signs who
has logged in (an ID token), that somebody has logged out, and what happened to an account.
Sources: RFC 9068, sections 2.1 and 4; RFC 7515, section 4.1.9; OpenID Connect Core 1.0, section 2, and
Back-Channel Logout 1.0, section 2.4; RFC 8417, section 2.2; RFC 7800, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpguard.core.model import Json

ACCESS = "at+jwt"
PLAIN = "jwt"
"""The type that leaves the kind open. Most issuers write it, or none, also into access tokens."""

_OTHERS = frozenset(("nonce", "at_hash", "c_hash", "s_hash", "events"))
"""Claims of ID tokens, logout tokens and security event tokens, and of no access token."""
_GRANTED = frozenset(("client_id", "azp", "appid", "cid", "scope", "scp"))
"""To which client it was issued, and for what: RFC 9068, Microsoft Entra ID and Okta."""
_ACCESS_BY = {"typ": "Bearer", "token_use": "access"}
"""The claims in which Keycloak and Amazon Cognito name the kind of a token, as access tokens have them."""

_TYPE = "the type of the token (`typ`) is not accepted (`http.token.types`)"
_OTHER = "the token is not an access token: its claims are those of an ID token or of a notice of its issuer"
_UNKNOWN = (
    "the token does not say that it is an access token: it has no type `at+jwt`, no client and no scope "
    "(`http.token.types: [JWT]` accepts it all the same)"
)
_BOUND = "the token is bound to a key of its client (`cnf`), which cannot be checked here"


def kind(typ: Json) -> str:
    """The type in a header, "" for no text: a media type or its second half, in any case."""
    return typ.lower().removeprefix("application/") if type(typ) is str else ""


def objection(header: Mapping[str, Json], claims: Mapping[str, Json], accepted: Collection[str]) -> str:
    """Why a token with this header and these claims is refused, a fixed sentence; "" where it is not.
    `accepted` are the types that are taken as they are; without any, access tokens are."""
    found = kind(header.get("typ", PLAIN))
    if "cnf" in claims:
        return _BOUND
    if found in (map(kind, accepted) if accepted else (ACCESS,)):
        return ""
    if accepted or found != PLAIN:
        return _TYPE
    if not _OTHERS.isdisjoint(claims) or any(
        claims.get(name, said) != said for name, said in _ACCESS_BY.items()
    ):
        return _OTHER
    return "" if not _GRANTED.isdisjoint(claims) else _UNKNOWN
