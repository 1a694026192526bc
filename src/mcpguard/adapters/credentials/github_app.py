"""`github_app`: tokens of a GitHub App's installation, for named repositories and permissions.

Law of this file: a token that can do more than was asked for is revoked and not handed out, and nothing of an
answer is quoted. GitHub's REST API: "Create an installation access token for an app".
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mcpguard.adapters.credentials.service import ServiceAnswer, ask
from mcpguard.config.minted import LEVELS, GithubAppEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Json
from mcpguard.core.secret import CredentialRef, Lease, Secret, sole_reference
from mcpguard.gateway.ports import Mint

_VERSION = "2022-11-28"
_EARLIER_SECONDS = 60
"""Seconds by which a JWT is dated back, since GitHub accepts none from the future."""
_JWT_SECONDS = 540
_SKEW_SECONDS = 30
"""From this difference on, the clock of this machine may be why GitHub does not accept a JWT."""
_LONGEST_SECONDS = 3600
_IMPLIED = {"metadata": "read"}
"""What GitHub adds to each permission of a repository."""
_SAID = {
    401: "does not accept the app's JWT: check `client_id` or `app_id`, `private_key` and the clock",
    403: "refused: the installation is suspended, or there were too many requests",
    404: "has no such installation of this app: check `installation_id` or `account`",
    422: "refused: the installation does not have all of these repositories or permissions",
}


class GithubAppMint(Mint):
    """Implements `ports.Mint`. A token cannot be renewed; each `lease` gets a new one."""

    def __init__(
        self,
        name: str,
        entry: GithubAppEntry,
        secret: Callable[[CredentialRef], Secret],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`secret` gives what `private_key` refers to; `now` is the wall clock, in seconds since 1970."""
        self._name = name
        self._entry = entry
        self._secret = secret
        self._now = now
        self._ahead = 0.0
        """How far GitHub's clock is ahead of ours, once that mattered."""
        self._installation = entry.installation_id

    def lease(self) -> Lease:
        """See `ports.Mint`. The length is counted on GitHub's clock."""
        entry = self._entry
        asked: dict[str, Json] = {"permissions": dict(entry.permissions)}
        if entry.repositories:
            asked["repositories"] = list(entry.repositories)
        installation = self._found()
        answer = self._as_app("POST", f"/app/installations/{installation}/access_tokens", asked)
        if answer.status != 201:
            self._installation = entry.installation_id
            raise self._refusal(answer)
        token = answer.body.get("token")
        if type(token) is not str or not token or not (token.isascii() and token.isprintable()):
            raise self._error("issued no token")
        secret = Secret(token)
        try:
            self._check(answer.body)
            seconds = self._seconds(answer)
        except CredentialError:
            with suppress(CredentialError):
                self._revoke(secret)
            raise
        return Lease(secret, seconds, lambda: self._revoke(secret))

    # --- what is asked ---------------------------------------------------------------------------

    def _found(self) -> int:
        """The id of the installation. An account is an organisation or a user."""
        if self._installation is None:
            for kind in ("orgs", "users"):
                answer = self._as_app("GET", f"/{kind}/{self._entry.account}/installation", None)
                if answer.status != 404:
                    break
            number = answer.body.get("id")
            if answer.status != 200 or type(number) is not int:
                raise self._refusal(answer)
            self._installation = number
        return self._installation

    def _as_app(self, method: str, path: str, content: Json) -> ServiceAnswer:
        answer = self._ask(method, path, self._jwt(), content)
        if answer.status == 401:
            ahead = self._difference(answer)
            if ahead is not None and abs(ahead - self._ahead) > _SKEW_SECONDS:
                self._ahead = ahead
                answer = self._ask(method, path, self._jwt(), content)
        return answer

    def _jwt(self) -> str:
        import jwt

        entry, ref = self._entry, sole_reference(self._entry.private_key)
        now = int(self._now() + self._ahead)
        issuer = entry.client_id if entry.client_id is not None else str(entry.app_id)
        claims = {"iat": now - _EARLIER_SECONDS, "exp": now + _JWT_SECONDS, "iss": issuer}
        try:
            return jwt.encode(claims, _key(self._secret(ref)), algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise CredentialError(
                f"credential:{self._name}: {ref} is not an RSA private key in PEM without a passphrase"
            ) from None

    def _ask(self, method: str, path: str, token: str, content: Json) -> ServiceAnswer:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": _VERSION,
        }
        url = self._entry.api_url.rstrip("/") + path
        try:
            return ask(method, url, headers, content, self._entry.timeout_seconds)
        except CredentialError as problem:
            raise CredentialError(f"credential:{self._name}: {problem}") from None

    def _revoke(self, secret: Secret) -> None:
        status = self._ask("DELETE", "/installation/token", secret.reveal(), None).status
        # 401 and 404: there is no such token any more.
        if status not in (204, 401, 404):
            raise self._error(f"did not revoke the token (HTTP {status}); it expires within an hour")

    # --- what is answered ------------------------------------------------------------------------

    def _check(self, said: dict[str, Json]) -> None:
        if not _within(said.get("permissions"), self._entry.permissions):
            raise self._error("issued a token with different permissions than requested, so it was not used")
        if self._entry.all_repositories:
            return
        found = said.get("repositories")
        listed = found if type(found) is list else []
        names = [one.get("name") if type(one) is dict else None for one in listed]
        if said.get("repository_selection") != "selected" or not _same(names, self._entry.repositories):
            raise self._error("issued a token for different repositories than requested, so it was not used")

    def _seconds(self, answer: ServiceAnswer) -> float:
        written = answer.body.get("expires_at")
        try:
            ends = datetime.fromisoformat(written) if type(written) is str else None
        except ValueError:
            ends = None
        if ends is None or ends.tzinfo is None:
            raise self._error("did not say when the token expires, so it was not used")
        ahead = self._difference(answer)
        seconds = ends.timestamp() - self._now() - (self._ahead if ahead is None else ahead)
        if seconds <= 0:
            raise self._error("issued a token that has already expired, so it was not used")
        return min(seconds, _LONGEST_SECONDS)

    def _difference(self, answer: ServiceAnswer) -> float | None:
        """How far the clock of the answer is ahead of ours; None if it does not say."""
        try:
            date = parsedate_to_datetime(answer.date or "")
        except (ValueError, OverflowError):
            return None
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return date.timestamp() - self._now()

    def _refusal(self, answer: ServiceAnswer) -> CredentialError:
        return self._error(_SAID.get(answer.status) or f"answered with HTTP {answer.status}")

    def _error(self, said: str) -> CredentialError:
        return CredentialError(f"credential:{self._name}: GitHub at {self._entry.api_url} {said}")


def _key(secret: Secret) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(secret.reveal().encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError
    return key


def _within(found: Json, asked: dict[str, Any]) -> bool:
    """Whether each permission is one that was asked for, at that level or below."""
    if type(found) is not dict or not found:
        return False
    allowed = {**_IMPLIED, **asked}
    return all(
        name in allowed and level in LEVELS and LEVELS.index(level) <= LEVELS.index(allowed[name])
        for name, level in found.items()
    )


def _same(found: Iterable[object], asked: Iterable[str]) -> bool:
    """GitHub's names of repositories do not differ by case."""
    listed = [name.lower() if type(name) is str else "" for name in found]
    return bool(listed) and set(listed) <= {name.lower() for name in asked}
