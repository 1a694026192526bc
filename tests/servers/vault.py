"""A stand-in for HashiCorp Vault and OpenBao, as far as their published HTTP API says what we use: key-value
stores of both versions, a dynamic engine, leases, AppRole and Kubernetes logins, sealing and namespaces."""

from __future__ import annotations

from typing import Any

from tests.servers.answering import Asked, Reply

TOKEN = "hvs.root-of-the-tests"
ROLE_ID, SECRET_ID, JWT = "role-of-the-tests", "secret-id-of-the-tests", "eyJ.jwt-of-the-tests.x"
DENIED = Reply(403, {"errors": ["permission denied"]})
MISSING = Reply(404, {"errors": []})


class FakeVault:
    """Implements `answering.Service`. `kept` is path -> (version, data); `roles` are paths of the engine."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.tokens = {TOKEN}
        self.kept: dict[str, tuple[int, dict[str, Any]]] = {}
        self.roles = {"database/creds/reader"}
        self.leases: dict[str, str] = {}
        """lease id -> the token that has it."""
        self.revoked: list[str] = []
        self.sealed = False
        self.namespace: str | None = None
        self.lease_seconds: Any = 600
        self.renewed_seconds: Any = 600
        self.token_seconds: Any = 3600
        self.override: Reply | None = None
        self._count = 0

    def answer(self, asked: Asked) -> Reply:
        if self.override is not None:
            return self.override
        if self.sealed:
            return Reply(503, {"errors": ["Vault is sealed"]})
        if asked.headers.get("x-vault-request") != "true":
            return Reply(400, {"errors": ["missing header"]})
        if asked.headers.get("x-vault-namespace") != self.namespace:
            return MISSING
        path = asked.path.removeprefix("/v1/")
        if path.startswith("auth/") and path.endswith("/login"):
            return self._login(path, asked.body)
        token = asked.headers.get("x-vault-token", "")
        if token not in self.tokens:
            return DENIED
        return self._read(path, token) if asked.method == "GET" else self._act(path, token, asked.body)

    def _login(self, path: str, body: Any) -> Reply:
        good = {
            "auth/approle/login": {"role_id": ROLE_ID, "secret_id": SECRET_ID},
            "auth/kubernetes/login": {"role": ROLE_ID, "jwt": JWT},
        }
        if good.get(path) != body:
            return Reply(400, {"errors": [f"invalid role or secret ID {body}"]})
        token = f"hvs.login-{self._next()}"
        self.tokens.add(token)
        return Reply(
            200, {"auth": {"client_token": token, "lease_duration": self.token_seconds, "renewable": True}}
        )

    def _read(self, path: str, token: str) -> Reply:
        if path in self.roles:
            lease = f"{path}/{self._next()}"
            self.leases[lease] = token
            data = {"username": f"v-reader-{self._count}", "password": f"A1a/p@ss-{self._count}-word"}
            said = {"lease_id": lease, "lease_duration": self.lease_seconds, "renewable": True}
            return Reply(200, {**said, "data": data})
        version, data = self.kept.get(path, (0, {}))
        if version == 2:
            data = {"data": data, "metadata": {"version": 1, "deletion_time": ""}}
        elif not version:
            return MISSING
        return Reply(200, {"lease_id": "", "lease_duration": 2764800, "renewable": False, "data": data})

    def _act(self, path: str, token: str, body: Any) -> Reply:
        lease = (body or {}).get("lease_id")
        if path == "sys/leases/renew" and lease in self.leases:
            return Reply(200, {"lease_id": lease, "lease_duration": self.renewed_seconds, "renewable": True})
        if path == "sys/leases/revoke":
            self._revoke(lease)
            return Reply(204)
        if path == "auth/token/renew-self":
            return Reply(200, {"auth": {"client_token": token, "lease_duration": self.token_seconds}})
        if path == "auth/token/revoke-self":
            self.tokens.discard(token)
            for one in [one for one, owner in self.leases.items() if owner == token]:
                self._revoke(one)
            return Reply(204)
        return Reply(400, {"errors": ["lease not found"]})

    def _revoke(self, lease: str) -> None:
        if self.leases.pop(lease, None) is not None:
            self.revoked.append(lease)

    def _next(self) -> int:
        self._count += 1
        return self._count
