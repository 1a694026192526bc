"""`vault`: secrets of HashiCorp Vault and OpenBao, through the `hvac` library over our own HTTP.

Law of this file: what was issued and is not handed out is revoked at once, and nothing of an answer is
quoted: Vault's errors may repeat what they were asked with.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from mcpguard.adapters.credentials import library_missing
from mcpguard.adapters.credentials.service import ServiceAnswer, ask
from mcpguard.config.minted import FIELD, VaultEntry
from mcpguard.core.errors import CredentialError, SourceError
from mcpguard.core.model import Json
from mcpguard.core.secret import CredentialRef, Lease, Secret, sole_reference
from mcpguard.gateway.ports import Mint

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_WORTH_RENEWING = 3
"""A renewal that gives less than this part of the first length is near the engine's `max_ttl`."""
_FOREVER = 10**9
_NAMES = frozenset({"user", "username", "user_name"})
"""Fields that are not secret by themselves: one such as `admin` would be redacted everywhere."""
_SAID = {
    400: "refused the request: check `path`, `version` and what it logs in with",
    403: "denied permission: the token is no longer valid, or its policy does not allow this path",
    404: "has nothing at this path: check `path`, `version` and `namespace`, and whether it was deleted",
    429: "gets too many requests, or is a standby that does not answer: try again later, or name the "
    "active one",
    472: "is a disaster recovery secondary, which does not answer: name the primary in `address`",
    473: "is a performance standby that does not answer this: name the active one in `address`",
    501: "is not initialized: its operator has to do that",
    503: "is sealed or under maintenance: its operator has to unseal it",
}

_REFUSED = (400, 403, 404)
"""What Vault says of the request itself; anything else may pass a moment later."""


class _Issued(Struct, eq=False):
    """One value that was handed out: what revokes and renews it. `first` is its length in seconds."""

    client: Any
    own_token: bool
    lease_id: str = ""
    first: int = 0
    secret: Secret | None = None
    ended: bool = False


class VaultMint(Mint):
    """Implements `ports.Mint`. A token of `auth` is for one lease; one of `token` stays the caller's."""

    def __init__(self, name: str, entry: VaultEntry, secret: Callable[[CredentialRef], Secret]) -> None:
        """`secret` gives what the entry itself refers to, and tells the redactor of it."""
        self._name = name
        self._entry = entry
        self._secret = secret
        self._issued: list[_Issued] = []

    def lease(self) -> Lease:
        """See `ports.Mint`. The length is that of the lease, or of the token if that ends before."""
        client, token_seconds = self._client()
        issued = _Issued(client, self._entry.token is None)
        try:
            answer = self._read(client)
            lease_id = answer.get("lease_id")
            issued.lease_id = lease_id if type(lease_id) is str else ""
            issued.secret, parts = self._value(answer)
            if issued.lease_id:
                issued.first = min(self._length(answer.get("lease_duration")), token_seconds)
        except CredentialError:
            self._quietly(issued)
            raise
        if not issued.lease_id:
            # A value from a store has no lease, and the token that read it has served.
            self._quietly(issued)
            return Lease(issued.secret, None, None, parts)
        self._issued.append(issued)
        return Lease(issued.secret, issued.first, lambda: self._end(issued), parts)

    def renew(self, lease: Lease) -> Lease | None:
        """See `ports.Mint`: None too where Vault refuses it, or gives much less than at first."""
        found = [issued for issued in self._issued if issued.secret is lease.secret and not issued.ended]
        if not found:
            return None
        issued = found[0]
        try:
            lengths = [self._renewed(issued)]
            if issued.own_token:
                auth = _mapping_at(self._body_of(issued.client.auth.token.renew_self), "auth")
                lengths.append(self._length(auth.get("lease_duration")))
        except SourceError:
            raise
        except CredentialError:
            return None
        if min(lengths) * _WORTH_RENEWING < issued.first:
            return None
        return Lease(lease.secret, min(lengths), lease.end, lease.parts)

    # --- asking ----------------------------------------------------------------------------------

    def _client(self) -> tuple[Any, int]:
        """A client with a token, and for how many seconds that is good as far as we know."""
        client = self._hvac()
        if self._entry.token is not None:
            client.token = self._reveal(self._entry.token)
            return client, _FOREVER
        auth = _mapping_at(self._body_of(lambda: self._login(client)), "auth")
        seconds = auth.get("lease_duration")
        try:
            # 0 means that the token does not expire.
            return client, _FOREVER if seconds == 0 else self._length(seconds)
        except CredentialError:
            self._quietly(_Issued(client, True))
            raise

    def _hvac(self) -> Any:
        try:
            import hvac
            from hvac.adapters import Adapter
        except ImportError:
            raise CredentialError(f"credential:{self._name}: {library_missing('vault')}") from None
        send, login_token = self._send, self._token

        class VaultSession(Adapter):  # type: ignore[misc]
            """What `hvac` sends with: its own redirects, proxies and errors are not used."""

            def get_login_token(self, response: ServiceAnswer) -> str:
                return login_token(response)

            def request(self, method: str, url: str, **more: Any) -> ServiceAnswer:
                return send(method.upper(), self.urljoin(self.base_uri, url), self.token, more.get("json"))

        return hvac.Client(url=self._entry.address, token="", adapter=VaultSession, verify=True)

    def _login(self, client: Any) -> Any:
        auth = self._entry.auth
        if auth is not None and auth.approle is not None:
            way = auth.approle
            secret_id = self._reveal(way.secret_id)
            return client.auth.approle.login(way.role_id, secret_id, mount_point=way.mount)
        if auth is not None and auth.kubernetes is not None:
            pod = auth.kubernetes
            jwt = self._reveal(pod.jwt)
            return client.auth.kubernetes.login(pod.role, jwt, mount_point=pod.mount)
        raise self._error("cannot be logged in to: `token` or `auth` is needed")

    def _token(self, answer: ServiceAnswer) -> str:
        token = _mapping_at(self._body_of(lambda: answer), "auth").get("client_token")
        if type(token) is not str or not token:
            raise self._error("did not issue a token: check how `auth` logs in")
        return token

    def _read(self, client: Any) -> dict[str, Json]:
        mount, _, path = self._entry.path.partition("/")
        if self._entry.version != 2:
            return self._body_of(lambda: client.read(self._entry.path))
        kv = client.secrets.kv.v2
        return self._body_of(
            lambda: kv.read_secret_version(path, mount_point=mount, raise_on_deleted_version=False)
        )

    def _body_of(self, question: Callable[[], Any]) -> dict[str, Json]:
        answer: ServiceAnswer = question()
        if 200 <= answer.status < 300:
            if answer.body:
                return answer.body
            raise SourceError(str(self._error("gave an answer that is not Vault's: check `address`")))
        said = _SAID.get(answer.status)
        problem = self._error(said or f"answered with HTTP {answer.status}: see its log")
        raise problem if answer.status in _REFUSED else SourceError(str(problem))

    def _send(self, method: str, url: str, token: str, content: Json | None) -> ServiceAnswer:
        entry = self._entry
        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token
        if entry.namespace is not None:
            headers["X-Vault-Namespace"] = entry.namespace
        ca_file = None if entry.ca_file is None else os.path.expanduser(entry.ca_file)
        try:
            return ask(method, url, headers, content, entry.timeout_seconds, ca_file)
        except CredentialError as problem:
            raise SourceError(f"credential:{self._name}: {problem}") from None

    # --- reading the answer ----------------------------------------------------------------------

    def _value(self, answer: dict[str, Json]) -> tuple[Secret, tuple[Secret, ...]]:
        data = _mapping_at(answer, "data")
        if self._entry.version == 2:
            data = _mapping_at(data, "data")
        elif type(data.get("metadata")) is dict and type(data.get("data")) is dict:
            raise self._error("has a key-value store of version 2 there: set `version: 2`")
        if self._entry.value is None:
            return Secret(self._field(data, self._entry.field or "")), ()
        found = {name: self._field(data, name) for name in FIELD.findall(self._entry.value)}
        plain = _URL.match(self._entry.value) is None
        filled = FIELD.sub(lambda m: found[m[1]] if plain else quote(found[m[1]], safe=""), self._entry.value)
        parts = [Secret(text) for name, text in found.items() if name not in _NAMES and len(text) >= 6]
        return Secret(filled), tuple(parts)

    def _field(self, data: dict[str, Json], name: str) -> str:
        value = data.get(name)
        if type(value) is not str or not value:
            raise self._error(f"has no string in the field `{name}` of this secret: check `field` or `value`")
        return value

    def _length(self, seconds: Json) -> int:
        if type(seconds) is not int or not 0 < seconds <= _FOREVER:
            raise self._error("issued a lease without a usable duration, so it was not used")
        return seconds

    def _renewed(self, issued: _Issued) -> int:
        said = self._body_of(lambda: issued.client.sys.renew_lease(issued.lease_id, issued.first))
        return self._length(said.get("lease_duration"))

    # --- taking back -----------------------------------------------------------------------------

    def _end(self, issued: _Issued) -> None:
        if issued.ended:
            return
        if issued.lease_id:
            self._revoked(issued, lambda: issued.client.sys.revoke_lease(issued.lease_id))
        if issued.own_token:
            self._revoked(issued, issued.client.auth.token.revoke_self)
        issued.ended = True
        issued.client.token = ""
        self._issued = [other for other in self._issued if other is not issued]

    def _revoked(self, issued: _Issued, question: Callable[[], Any]) -> None:
        status = question().status
        # Without its token, which ended, the lease has ended too.
        if status not in (200, 204, 404) and not (status == 403 and issued.own_token):
            said = _SAID.get(status) or f"answered with HTTP {status}"
            raise self._error(f"did not revoke the lease of this credential: it {said}")

    def _quietly(self, issued: _Issued) -> None:
        with suppress(CredentialError):
            self._end(issued)

    def _reveal(self, reference: str) -> str:
        return self._secret(sole_reference(reference)).reveal()

    def _error(self, said: str) -> CredentialError:
        return CredentialError(f"credential:{self._name}: Vault at {self._entry.address} {said}")


def _mapping_at(answer: dict[str, Json], key: str) -> dict[str, Json]:
    found = answer.get(key)
    return found if type(found) is dict else {}
