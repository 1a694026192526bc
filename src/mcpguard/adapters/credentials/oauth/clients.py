"""Who we are to an authorization server, and the proof of it.

RFC 6749, section 2.3 (secrets); RFC 7523, section 2.2 (a signed assertion); RFC 7591 (registration).
"""

import time
from base64 import b64encode
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from mcpguard.adapters.credentials.oauth.asking import AuthorizationServer, OAuthProblem, ask
from mcpguard.core.secret import Secret

ASSERTION_SECONDS = 60
"""How long a signed assertion may be used."""
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class OAuthClient(Struct, frozen=True, eq=False):
    """`id` is "" for a client that has none. `method` is none, client_secret_basic, client_secret_post or
    private_key_jwt; `secret` is the secret or the private key (PEM), None for `none`. `registered`: by us, at
    a login."""

    id: str
    method: str = "none"
    secret: Secret | None = None
    key_id: str | None = None
    registered: bool = False

    @property
    def advice(self) -> str:
        """What to check where the server does not know this client, for the end of a sentence."""
        if self.registered:
            return ""
        if self.method == "private_key_jwt":
            return ": check `client_id`, `private_key`, `key_id` and the clock of this machine"
        return ": check `client_id`, `client_secret` and `client_auth`"

    @property
    def registered_secret(self) -> str | None:
        """The secret that a registration gave, to be kept with the grant."""
        return None if self.secret is None else self.secret.reveal()

    def prove(self, form: dict[str, str], audience: str) -> tuple[dict[str, str], dict[str, str]]:
        """The form and the headers of a request that this client makes; `audience` is whom an assertion is
        for. Raises OAuthProblem for a key that cannot sign."""
        whole = {**form, "client_id": self.id} if self.id else form
        if self.secret is None:
            return whole, {}
        value = self.secret.reveal()
        if self.method == "client_secret_basic":
            pair = f"{quote(self.id, safe='')}:{quote(value, safe='')}"
            # With the id in the form, without which servers of the MCP SDK know no client.
            return whole, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        if self.method == "client_secret_post":
            return {**whole, "client_secret": value}, {}
        signed = _assertion(self.id, value, self.key_id, audience)
        return {**whole, "client_assertion_type": _ASSERTION, "client_assertion": signed}, {}


_SECRETS = ("client_secret_basic", "client_secret_post")
"""How a secret is sent, in the order of preference, of a client that somebody registered: for the first
unless they said otherwise (RFC 7591, section 2)."""
_ASKED = ("none", "client_secret_post", "client_secret_basic")
"""The same for a client that we register: servers of the MCP SDK take a token back only from the second."""


def method_for(methods: tuple[str, ...], known: tuple[str, ...] = _SECRETS) -> str:
    """The first of `known` that the server takes. Raises OAuthProblem."""
    for method in known:
        if method in methods:
            return method
    raise OAuthProblem(f"the authorization server accepts none of {', '.join(known)} from a client")


def _assertion(client: str, key: str, key_id: str | None, audience: str) -> str:
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    now = int(time.time())
    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": token_urlsafe(24),
    }
    try:
        loaded = load_pem_private_key(key.encode(), None)
        headers = {"kid": key_id} if key_id else None
        return jwt.encode(claims, loaded, _algorithm(loaded), headers)  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm, jwt.PyJWTError):
        known = "RSA, P-256, P-384, P-521 or Ed25519"
        raise OAuthProblem(
            f"`private_key` is not a private key in PEM format without a password: {known}"
        ) from None


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise ValueError


async def register(
    server: AuthorizationServer, named: frozenset[str], redirect: str, scope: str
) -> OAuthClient:
    """Make a client of our own (RFC 7591, section 3). Raises OAuthProblem."""
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    uri = f"the redirect URI {redirect}"
    instead = f"register a client there, with {uri}, and set `client_id` and `redirect_port`"
    if server.registration_endpoint is None:
        raise OAuthProblem(f"the authorization server does not support dynamic registration: {instead}")
    method = method_for(server.methods, _ASKED)
    asked = OAuthClientMetadata(
        client_name="mcpguard",
        redirect_uris=[AnyUrl(redirect)],
        token_endpoint_auth_method=method,
        scope=scope or None,
    )
    headers = {"Content-Type": "application/json"}
    what = "the registration endpoint"
    body = asked.model_dump_json(exclude_none=True).encode()
    answer = await ask("POST", server.registration_endpoint, named, what, headers, body)
    if answer.status not in (200, 201) or answer.body is None:
        # Many servers register nobody whom their operator does not know.
        advice = f": {instead}" if 400 <= answer.status < 500 else ""
        raise OAuthProblem(f"{what} {answer.fault}{advice}", answer.code)
    return _registered(answer.body, method)


_REGISTERED = ("client_id", "client_secret", "token_endpoint_auth_method")


def _registered(body: dict[str, Any], asked: str) -> OAuthClient:
    """The server may have given a different method than the one that was asked for (section 3.2.1)."""
    from mcp.shared.auth import OAuthClientInformationFull
    from pydantic import ValidationError

    try:
        # Of what we use alone: what else a server echoes must not fail a login.
        said = OAuthClientInformationFull.model_validate({key: body.get(key) for key in _REGISTERED})
    except ValidationError as error:
        lacking = str(error.errors(include_input=False)[0]["loc"][0]).replace("_", " ")
        raise OAuthProblem(f"the registration endpoint returned no {lacking}") from None
    number, secret = said.client_id, said.client_secret
    method = said.token_endpoint_auth_method or asked
    if not number.isprintable() or len(number) > 2048:
        raise OAuthProblem("the registration endpoint returned no client id")
    if method == "none":
        return OAuthClient(number, registered=True)
    if method not in _SECRETS:
        raise OAuthProblem(
            "the registration endpoint returned an authentication method that was not requested"
        )
    if type(secret) is not str or not secret:
        raise OAuthProblem("the registration endpoint returned no client secret")
    return OAuthClient(number, method, Secret(secret), registered=True)
