"""Bearer tokens of clients over HTTP, verified as an OAuth 2.1 resource server (basic/authorization).

Law of this file: the token chooses nothing but the key among the issuer's own. Which signature algorithms,
which issuer and which audience are right stands in our configuration, and no sentence holds a token.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from math import inf
from typing import Any, Literal
from urllib.parse import urlsplit

import jwt
import msgspec
from msgspec import Struct

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.transports.http.token_kinds import objection
from mcpguard.config.terms import ALGORITHMS, TokenTerms
from mcpguard.config.urls import metadata_urls
from mcpguard.core.errors import McpGuardError
from mcpguard.core.model import Json, Principal

FRESH_SECONDS = 3600.0
"""Keys older than this are fetched again."""
STALE_SECONDS = 86400.0
"""Keys older than this are used no more, also where no newer ones are available."""
PATIENCE_SECONDS = 1.0
"""A request whose key is known waits for newer keys until they have been asked for this long; a key that was
withdrawn is so refused at once where the issuer answers."""
RETRY_SECONDS = 60.0
"""An unknown key, or a signature that is not by the known one, makes us ask no more often than this."""
FIRST_RETRY_SECONDS = 5.0
"""The same while there are no keys at all."""
LEEWAY_SECONDS = 30
"""How far the issuer's clock and ours may differ."""
REMEMBERED_SECONDS = 60.0
"""How long a token that was verified is not verified again, but never beyond its `exp`."""
REMEMBERED = 1000
"""How many of them are remembered; the oldest go first."""
RSA_BITS = 2048
"""Shorter keys of RSA are not used (RFC 7518, sections 3.3 and 3.5)."""
TOKEN_BYTES = 16 * 1024
SUBJECT_CHARACTERS = 256

_UNKNOWN_KEY = (
    "the token's key is not among those of its issuer, which are fetched again at most once a minute"
)
_NO_KEYS = "no token can be verified, since the keys of the issuer are not available; try again later"
_PLAIN = re.compile(r"[A-Za-z0-9._:@/+=~-]{1,128}")
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
_NEEDED = ["exp", "iss", "aud", "sub"]
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_WRONG = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is from another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks a required claim (exp, iss, aud, sub)"),
    (
        jwt.InvalidSignatureError,
        "the signature of the token is not by the issuer's key of that name, which is fetched again at most "
        "once a minute",
    ),
)


class Verified(Struct, frozen=True):
    """Whom a good token was issued for, and until when it is accepted, in seconds since 1970. `token` is its
    `jti` (RFC 7519, section 4.1.7) if that is a plain word, else the beginning of its digest."""

    principal: Principal
    until: float = inf
    token: str = ""


class BearerError(McpGuardError):
    """A request that its token does not allow. `status` is that of HTTP, `error` the code of RFC 6750,
    section 3.1; the sentence is a fixed text of ours without quotation marks."""

    def __init__(self, sentence: str, status: int = 401, error: str = "invalid_token") -> None:
        super().__init__(sentence)
        self.status = status
        self.error = error


def bearer_of(authorization: str) -> str:
    """The token in an Authorization header (RFC 6750, section 2.1). Raises BearerError."""
    found = _BEARER.fullmatch(authorization) if len(authorization) <= TOKEN_BYTES else None
    if found is None:
        raise BearerError("the Authorization header contains no bearer token")
    return found[1]


class TokenVerifier:
    """Verifies access tokens in the form of JSON Web Tokens with the keys that their issuer publishes."""

    def __init__(
        self,
        entry: TokenTerms,
        fetch: Callable[[str], Awaitable[Json]],
        seconds: Callable[[], float],
        report: Callable[[str, str, Literal["info", "warning", "error"]], None],
        changed: Callable[[], None],
    ) -> None:
        """`fetch(url)` gives the JSON at a URL and raises OSError, ValueError or McpGuardError where it
        cannot; `seconds` is a monotonic clock that goes on while the machine sleeps, as tokens and keys do;
        `report("", sentence, level)` tells the operator; `changed()` is called when `problem` or `warning`
        may be another."""
        self._failed = ""
        self._changed = changed
        self._report = report
        self._entry = entry
        self._fetch = fetch
        self._seconds = seconds
        # Asymmetric ones whatever was configured: with a shared key, a public key would make tokens.
        self._algorithms = frozenset(entry.algorithms) & ALGORITHMS
        self._keys: list[dict[str, Json]] = []
        self._fetched: float | None = None
        self._tried: float | None = None
        self._background = Background("the keys of an issuer could not be renewed")
        self._fetching: asyncio.Task[None] | None = None
        self._verified: dict[bytes, tuple[Verified, float]] = {}

    def problem(self) -> str:
        """Why no token can be verified now, "" where tokens can. A look has keys fetched that are missing or
        old, since where nobody is sent no request would."""
        self._renew(FRESH_SECONDS)
        return self._lack()

    def fetch_again(self) -> None:
        """Fetch the keys now, whenever they were fetched last."""
        self._tried = None
        self._renew(0)

    def warning(self) -> str:
        """Why newer keys could not be fetched, while earlier ones serve; "" for nothing."""
        return "" if self._lack() else self._failed

    def _lack(self) -> str:
        if self._fetched is None or self._seconds() - self._fetched > STALE_SECONDS:
            return self._failed or f"the keys of {self._entry.issuer} have not been fetched yet"
        if any(_made(key, algorithm) for key in self._keys for algorithm in self._algorithms):
            return ""
        accepted = ", ".join(self._entry.algorithms)
        return f"{self._entry.issuer} publishes no key for the algorithms that are accepted ({accepted})"

    async def verify(self, token: str) -> Verified:
        """Whom `token` was issued for: its `sub`, within its issuer. A token that was verified is remembered
        for a moment (REMEMBERED_SECONDS), and while the issuer's keys are fresh.

        Raises BearerError: 401 for a token that is not good, 403 for one that lacks a scope, 503 where no
        token can be verified.
        """
        digest = sha256(token.encode()).digest()
        verified = self._remembered(digest)
        if verified is None:
            claims = await self._claims(token)
            jti = claims.get("jti")
            name = jti if type(jti) is str and _PLAIN.fullmatch(jti) else f"sha256:{digest.hex()[:16]}"
            verified = Verified(self._principal(claims), self._end_of(claims), name)
            self._remember(digest, verified)
        return verified

    def _remembered(self, digest: bytes) -> Verified | None:
        now = self._seconds()
        verified, ends = self._verified.get(digest, (None, 0.0))
        fresh = self._fetched is not None and now - self._fetched < FRESH_SECONDS
        return verified if fresh and now < ends else None

    def _remember(self, digest: bytes, verified: Verified) -> None:
        left = verified.until - LEEWAY_SECONDS - time.time()
        if left > 0:
            self._verified.pop(digest, None)
            self._verified[digest] = verified, self._seconds() + min(left, REMEMBERED_SECONDS)
            if len(self._verified) > REMEMBERED:
                del self._verified[next(iter(self._verified))]

    async def _claims(self, token: str) -> dict[str, Json]:
        header = self._header(token)
        claims = await self._signed(token, header["alg"], header.get("kid"))
        against = objection(header, claims, self._entry.types)
        if against:
            raise BearerError(against)
        return claims

    async def _signed(self, token: str, algorithm: str, kid: str | None) -> dict[str, Json]:
        key = await self._key(algorithm, kid)
        try:
            try:
                return self._decoded(token, key)
            except jwt.InvalidSignatureError:
                # The issuer may have another key of that name by now.
                fetching = self._renew(0)
                if fetching is None:
                    raise
                await self._wait(fetching, None)
                return self._decoded(token, await self._key(algorithm, kid))
        except jwt.PyJWTError as problem:
            raise BearerError(_sentence(problem)) from None

    @staticmethod
    def _end_of(claims: dict[str, Any]) -> float:
        try:
            return float(int(claims["exp"])) + LEEWAY_SECONDS
        except OverflowError:
            raise BearerError("the token is not valid") from None

    def _decoded(self, token: str, key: jwt.PyJWK) -> dict[str, Json]:
        claims: dict[str, Json] = jwt.decode(
            token,
            # A PyJWK stands for one algorithm: a token of any other is refused.
            key,
            audience=self._entry.audiences,
            issuer=self._entry.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": _NEEDED},
        )
        return claims

    def _principal(self, claims: dict[str, Json]) -> Principal:
        self._check_scopes(claims)
        subject = claims["sub"]
        if not _is_name(subject):
            raise BearerError("the subject of the token is not a printable name of up to 256 characters")
        kept = {name: claims[name] for name in self._entry.claims if name in claims}
        try:
            msgspec.json.encode(kept)
        except (ValueError, RecursionError):
            # Half of a surrogate pair is not text that a condition could read, or that can be compared.
            raise BearerError("a claim of the token is not JSON") from None
        return Principal(subject, self._entry.issuer, self._groups_of(claims), kept, _actor_of(claims))

    def _header(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_BYTES:
            raise BearerError("the token is too large")
        try:
            header: dict[str, Any] = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise BearerError("the token is not a JSON Web Token") from None
        algorithm = header.get("alg")
        if type(algorithm) is not str or algorithm not in self._algorithms:
            raise BearerError("the signature algorithm of the token is not accepted")
        if "crit" in header:
            raise BearerError("the token requires an unknown extension")
        return header

    def _groups_of(self, claims: dict[str, Json]) -> tuple[str, ...]:
        found = claims.get(self._entry.groups_claim)
        return tuple(sorted({one for one in found if type(one) is str})) if type(found) is list else ()

    def _check_scopes(self, claims: dict[str, Json]) -> None:
        said = claims.get("scope", claims.get("scp", ""))
        has = said.split() if type(said) is str else said
        if type(has) is not list or not all(scope in has for scope in self._entry.scopes):
            raise BearerError("the token lacks a required scope", 403, "insufficient_scope")

    # --- the issuer's keys -----------------------------------------------------------------------

    async def _key(self, algorithm: str, kid: str | None) -> jwt.PyJWK:
        fetching = self._renew(FRESH_SECONDS)
        if fetching is not None:
            known = self._find(algorithm, kid) is not None
            await self._wait(fetching, PATIENCE_SECONDS if known else None)
        key = self._find(algorithm, kid)
        if key is None:
            fetching = self._renew(0)
            if fetching is not None:
                await self._wait(fetching, None)
            key = self._find(algorithm, kid)
        if key is None:
            if self._lack():
                raise BearerError(_NO_KEYS, 503, "")
            raise BearerError(_UNKNOWN_KEY)
        return key

    def _find(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        if self._fetched is None or self._seconds() - self._fetched > STALE_SECONDS:
            return None
        fitting = [key for key in self._keys if _fits(key, algorithm, kid)]
        # Without a `kid` there must be no choice.
        if not fitting or (kid is None and len(fitting) > 1):
            return None
        return _made(fitting[0], algorithm)

    def _renew(self, older: float) -> asyncio.Task[None] | None:
        """The fetch of newer keys, if these are `older` seconds old: the one that runs, or one that begins
        now. None if they are not, or that was tried a moment ago."""
        now = self._seconds()
        if self._fetched is not None and now - self._fetched < older:
            return None
        if self._fetching is None or self._fetching.done():
            pause = FIRST_RETRY_SECONDS if self._fetched is None else RETRY_SECONDS
            if self._tried is not None and now - self._tried < pause:
                return None
            self._tried = now
            self._fetching = self._background.start(self._refresh())
        return self._fetching

    async def _wait(self, fetching: asyncio.Task[None], seconds: float | None) -> None:
        """Wait for a fetch, but no longer than until it has taken `seconds`."""
        if seconds is not None and self._tried is not None:
            seconds = max(0.0, self._tried + seconds - self._seconds())
        await asyncio.wait({fetching}, timeout=seconds)
        if fetching.done():
            fetching.result()  # A defect is reported where all others are.

    async def _refresh(self) -> None:
        began = self._seconds()
        try:
            self._keys = _keys_of(await self._fetch(await self._jwks_url()))
        except (OSError, ValueError, McpGuardError) as problem:
            again, said = bool(self._failed), f"the keys of {self._entry.issuer} cannot be fetched: {problem}"
            self._failed = said
            if not again:
                self._report("", said, "warning" if self._fetched else "error")
            self._changed()
            return  # The earlier keys serve on, for a day at most.
        if self._failed:
            self._report("", f"the keys of {self._entry.issuer} can be fetched again", "info")
        self._fetched, self._failed = began, ""
        self._changed()
        # Whatever the earlier keys had signed is verified again.
        self._verified.clear()

    async def _jwks_url(self) -> str:
        """Raises ValueError where the issuer's metadata is not its own."""
        if self._entry.jwks_url is not None:
            return self._entry.jwks_url
        problem: Exception = ValueError("no metadata")
        for place in metadata_urls(self._entry.issuer):
            try:
                about = await self._fetch(place)
            except (OSError, ValueError, McpGuardError) as failed:
                problem = failed
                continue
            if type(about) is not dict or about.get("issuer") != self._entry.issuer:
                raise ValueError("the metadata is of another issuer")
            url = about.get("jwks_uri")
            if type(url) is not str or urlsplit(url).scheme not in ("http", "https"):
                raise ValueError("the metadata names no keys")
            return url
        raise problem


def _keys_of(found: Json) -> list[dict[str, Json]]:
    keys = found.get("keys") if type(found) is dict else None
    if type(keys) is not list:
        raise ValueError("not a set of keys")
    return [key for key in keys if type(key) is dict]


def _made(key: dict[str, Json], algorithm: str) -> jwt.PyJWK | None:
    """This key for that algorithm; None where it is not one for it, or too short."""
    try:
        made = jwt.PyJWK(key, algorithm) if _fits(key, algorithm, None) else None
    except jwt.PyJWTError:
        return None
    short = made is not None and key.get("kty") == "RSA" and made.key.key_size < RSA_BITS
    return None if short else made


def _fits(key: dict[str, Json], algorithm: str, kid: str | None) -> bool:
    if kid is not None and key.get("kid") != kid:
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    kind = key.get("kty")
    if algorithm in _CURVES:
        return kind == "EC" and key.get("crv") == _CURVES[algorithm]
    return kind == ("OKP" if algorithm == "EdDSA" else "RSA")


def _sentence(problem: jwt.PyJWTError) -> str:
    return next((said for kind, said in _WRONG if isinstance(problem, kind)), "the token is not valid")


def _is_name(subject: str) -> bool:
    return 1 <= len(subject) <= SUBJECT_CHARACTERS and subject.isprintable()


def _actor_of(claims: dict[str, Json]) -> str:
    """Who acts for the subject (RFC 8693, section 4.1): the last one, "" for nobody else."""
    if "act" not in claims:
        return ""
    act = claims["act"]
    actor = act.get("sub") if type(act) is dict else None
    if type(actor) is not str or not _is_name(actor):
        raise BearerError("the actor of the token is not a printable name of up to 256 characters")
    return actor
