"""A stand-in for GitHub's REST API, as far as its published pages say what a GitHub App uses: installations,
installation tokens and their end. It verifies the app's JWT as GitHub does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.servers.answering import Asked, Reply

CLIENT_ID, APP_ID, INSTALLATION = "Iv23lixyz", 12345, 777
ORGANISATION, USER = "acme", "ada"
MAX_JWT_SECONDS = 600


@cache
def private_key(_owner: str = "the app") -> rsa.RSAPrivateKey:
    """The key of an owner, made once in a process: that takes long."""
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> str:
    """A private key as GitHub gives it out."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class FakeGithub:
    """Implements `answering.Service`. The installation has `has` and `permissions`; `change` is laid over
    what the next answers say, and `skew` is how far its clock is ahead."""

    def __init__(self, public_key: Any) -> None:
        self.asked: list[Asked] = []
        self.public_key = public_key
        self.has = {"app", "docs", "secret-plans"}
        self.permissions = {"contents": "write", "issues": "write"}
        self.tokens: list[str] = []
        self.change: dict[str, Any] = {}
        self.override: Reply | None = None
        self.skew = 0.0
        self.dated = True
        self._count = 0

    def answer(self, asked: Asked) -> Reply:
        reply = self.override or self._route(asked)
        date = (
            format_datetime(datetime.fromtimestamp(self._now(), UTC), usegmt=True) if self.dated else "soon"
        )
        return reply._replace(headers={"Date": date, **reply.headers})

    def _now(self) -> float:
        return time.time() + self.skew

    def _route(self, asked: Asked) -> Reply:
        if asked.headers.get("accept") != "application/vnd.github+json":
            return Reply(415)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if (asked.method, asked.path) == ("DELETE", "/installation/token"):
            if token not in self.tokens:
                return Reply(401, {"message": "Bad credentials"})
            self.tokens.remove(token)
            return Reply(204)
        if not self._is_app(token):
            return Reply(401, {"message": f"could not be decoded: {token}"})
        if asked.path in (f"/orgs/{ORGANISATION}/installation", f"/users/{USER}/installation"):
            return Reply(200, {"id": INSTALLATION})
        if (asked.method, asked.path) == ("POST", f"/app/installations/{INSTALLATION}/access_tokens"):
            return self._token(asked.body)
        return Reply(404, {"message": "Not Found"})

    def _is_app(self, token: str) -> bool:
        try:
            claims = jwt.decode(
                token, self.public_key, ["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.PyJWTError:
            return False
        now = self._now()
        fresh = claims["iat"] <= now < claims["exp"] <= now + MAX_JWT_SECONDS
        return claims["iss"] in (CLIENT_ID, str(APP_ID)) and fresh

    def _token(self, body: dict[str, Any]) -> Reply:
        permissions = body.get("permissions") or self.permissions
        names = body.get("repositories")
        order = ("read", "write", "admin")
        if any(order.index(level) > order.index(self.permissions.get(name, "read")) or name not in self.permissions
               for name, level in permissions.items()) or not set(names or ()) <= self.has:  # fmt: skip
            return Reply(422, {"message": "not granted to this installation"})
        self._count += 1
        token = f"ghs_token{self._count}of-the-tests0000000000000000"
        self.tokens.append(token)
        ends = datetime.fromtimestamp(self._now() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"token": token, "expires_at": ends, "permissions": {**permissions, "metadata": "read"}}
        if names:
            said |= {"repository_selection": "selected", "repositories": [{"name": name} for name in names]}
        else:
            said |= {"repository_selection": "all"}
        return Reply(201, {**said, **self.change})
