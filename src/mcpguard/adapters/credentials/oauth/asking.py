"""One request to an authorization server or to the metadata of a resource, bounded in every way.

Law of this file: https, or http to a loopback host that the configuration names; no redirect is followed; an
answer has at most 1 MiB and comes in time; and of what it says a sentence holds a known `error` code at most.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from mcpguard.adapters.network import Exchange, Outbound, json_object, plain
from mcpguard.config.urls import LOOPBACK, is_plain_url
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.model import Json
from mcpguard.core.secret import Unprinted

SECONDS = 15.0
"""How long one request may take."""
LIMIT = 1 << 20
"""The largest answer, in bytes."""
CODES = frozenset(
    {
        "access_denied", "consent_required", "interaction_required", "invalid_client",
        "invalid_client_metadata", "invalid_grant", "invalid_redirect_uri", "invalid_request",
        "invalid_scope", "invalid_target", "login_required",
        "server_error", "temporarily_unavailable", "unauthorized_client", "unsupported_grant_type",
        "unsupported_response_type", "unsupported_token_type",
    }
)  # fmt: skip
"""The values of `error` that are known: RFC 6749 (4.1.2.1, 5.2), 7009, 7591, 8707, and OpenID Connect."""


class OAuthProblem(CredentialError):
    """What went wrong, in a sentence that names no entry. `code` is a known OAuth `error`, or ""."""

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class Answer(Unprinted, frozen=True):
    """`body` is the JSON object of an answer of that media type, None for anything else. `challenge` is
    `WWW-Authenticate`, "" without one."""

    status: int
    challenge: str = ""
    body: dict[str, Json] | None = None

    @property
    def code(self) -> str:
        """Its `error`, if that is a known one, else ""."""
        said = (self.body or {}).get("error")
        return said if type(said) is str and said in CODES else ""

    @property
    def fault(self) -> str:
        """What is wrong with it, in words that are ours but for a known code."""
        if 300 <= self.status < 400:
            return f"answered with a redirect (HTTP {self.status}), which is not followed"
        return f"answered HTTP {self.status}" + (f", `{self.code}`" if self.code else "")


def named_hosts(*urls: str | None) -> frozenset[str]:
    """The hosts of URLs that a configuration holds: these may have private addresses."""
    return frozenset(plain(urlsplit(url).hostname or "") for url in urls if url)


def usable(url: Json, named: frozenset[str]) -> bool:
    """Whether a credential may be sent to `url`: https, or http to a loopback host that is `named`."""
    if type(url) is not str or len(url) > 4096 or not is_plain_url(url):
        return False
    try:
        parts = urlsplit(url)
        host, _port = plain(parts.hostname or ""), parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK and host in named)


async def post(
    url: str, named: frozenset[str], what: str, form: Mapping[str, str], headers: Mapping[str, str]
) -> Answer:
    """Send a form (RFC 6749, appendix B)."""
    more = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return await ask("POST", url, named, what, more, urlencode(form).encode())


async def ask(
    method: str,
    url: str,
    named: frozenset[str],
    what: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Answer:
    """Send one request and read its answer. Raises OAuthProblem; its sentence begins with `what`."""
    if not usable(url, named):
        raise OAuthProblem(f"{what} is not at an https:// URL")
    outbound = Outbound(named)
    try:
        async with asyncio.timeout(SECONDS):
            whole = {"Accept": "application/json", **headers}
            exchange = await outbound.request(method, url, whole, body, redirects=False)
            try:
                return await _answer(exchange)
            finally:
                exchange.close()
    except TimeoutError:
        raise OAuthProblem(f"{what} did not answer within {SECONDS:g} seconds") from None
    except UpstreamError as problem:
        raise OAuthProblem(f"{what} {problem}") from None
    finally:
        await outbound.close()


async def _answer(exchange: Exchange) -> Answer:
    challenge = exchange.joined("WWW-Authenticate")[:LIMIT]
    # What is not JSON is not needed: a web page, or the stream of an MCP server that is open to all.
    kind = exchange.media_type
    if kind != "application/json" and not kind.endswith("+json"):
        return Answer(exchange.status, challenge)
    data = await exchange.body(LIMIT)
    if data is None:
        raise UpstreamError(f"answered with more than {LIMIT} bytes")
    return Answer(exchange.status, challenge, json_object(data))
