"""An authorization server on loopback with a real key, and its tokens, good and forged."""

import base64
import hashlib
import hmac
import json
import time
from functools import cache

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.web import web

AUDIENCE = "https://guard.example/mcp"


@cache
def key_of(_owner):
    """The key of an owner, made once in a process: that takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public():
    """The public half of the issuer's key in PEM."""
    return (
        key_of("issuer")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


class Issuer:
    """Publishes its metadata and its key. `entry` is the `http.token` of a configuration; `owner` is whose
    key it publishes."""

    def __init__(self):
        self.owner = "issuer"
        key_of("issuer")  # Before two threads ask for it, and each makes one.
        self._web = web(on_any=self._publish)
        stage = self._web.__enter__()
        self.url = stage.url.removesuffix("/mcp")
        self.entry = {"issuer": self.url, "audience": AUDIENCE}

    def close(self):
        """Publish no more."""
        self._web.__exit__(None, None, None)

    def _publish(self, heard, reply):
        if heard.path == "/.well-known/oauth-authorization-server":
            reply.json({"issuer": self.url, "jwks_uri": self.url + "/keys"})
        elif heard.path == "/keys":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key_of(self.owner).public_key()))
            reply.json(
                {"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "n": public["n"], "e": public["e"]}]}
            )
        else:
            reply.nothing(404)
        return True

    def claims(self, **changed):
        """The claims of a good token, changed."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ada",
            "client_id": "desk",
            "iat": now,
            "exp": now + 600,
            **changed,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, key=None, kid="one", **changed):
        """A signed token; good if nothing is changed."""
        return jwt.encode(self.claims(**changed), key or key_of("issuer"), "RS256", {"kid": kid})

    def bearer(self, subject="ada"):
        """The value of a good `Authorization`."""
        return "Bearer " + self.token(sub=subject)

    def forged(self):
        """Values of `Authorization` that must not be believed, by what is wrong with them."""
        good = self.token()
        head, body, signature = good.split(".")
        return {
            "none": None,
            "no token": "Bearer",
            "no bearer": f"Basic {good}",
            "no JWT": "Bearer abc",
            "expired": "Bearer " + self.token(exp=int(time.time()) - 600),
            "not yet": "Bearer " + self.token(nbf=int(time.time()) + 600),
            "for another": "Bearer " + self.token(aud="https://other.example"),
            "of another": "Bearer " + self.token(iss="https://other.example"),
            "without audience": "Bearer " + self.token(aud=None),
            "without end": "Bearer " + self.token(exp=None),
            "without subject": "Bearer " + self.token(sub=None),
            "without client and scope": "Bearer " + self.token(client_id=None),
            "an ID token": "Bearer " + self.token(at_hash="x"),
            "a logout token": "Bearer " + self.token(events={}),
            "bound to a key": "Bearer " + self.token(cnf={"jkt": "x"}),
            "another key": "Bearer " + self.token(key=key_of("another")),
            "an unknown key": "Bearer " + self.token(key=key_of("another"), kid="two"),
            "alg none": f"Bearer {_part({'alg': 'none', 'kid': 'one'})}.{body}.",
            "alg none with the signature": f"Bearer {_part({'alg': 'none', 'kid': 'one'})}.{body}.{signature}",
            "the public key as a shared one": "Bearer " + _shared(body),
            "another body": f"Bearer {head}.{_part(self.claims(sub='eve'))}.{signature}",
            "cut": f"Bearer {good[:-10]}",
            "two": f"Bearer {good}, Bearer {good}",
        }


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _shared(body):
    text = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{body}"
    signature = hmac.digest(public(), text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
