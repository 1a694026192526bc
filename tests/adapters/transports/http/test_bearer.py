"""Bearer tokens with real keys: good ones, and every forgery that we know of."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from mcpguard.adapters.transports.http.bearer import (
    FIRST_RETRY_SECONDS,
    FRESH_SECONDS,
    LEEWAY_SECONDS,
    REMEMBERED_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    BearerError,
    TokenVerifier,
    bearer_of,
    metadata_urls,
)
from mcpguard.config.file import TokenEntry
from mcpguard.core.model import Principal
from tests.rows import each

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example/tenant"
AUDIENCE = "https://guard.example/mcp"
JWKS = "https://issuer.example/keys"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_2 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = jwt.algorithms.OKPAlgorithm
    found = {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}
    return {name: value for name, value in found.items() if value is not None and name != "key_ops"}


class Issuer:
    """An issuer that publishes `keys`, and counts how often it is asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys) or [jwk(RSA, "r1"), jwk(EC, "e1")]
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {}
        self.now = 1_000_000.0  # The clock of a machine that has been up for days.
        self.reports: list[str] = []
        self.changes = 0
        self.holds: asyncio.Event | None = None

    def report(self, _server: str, said: str, level: str) -> None:
        self.reports.append(f"{level}: {said}")

    def changed(self) -> None:
        self.changes += 1

    async def fetch(self, url: str) -> Any:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.holds is not None:
            await self.holds.wait()
        answer = self.answers.get(url, {"keys": self.keys} if url == JWKS else OSError("not there"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def verifier(self, **entry: Any) -> TokenVerifier:
        settings: dict[str, Any] = {"jwks_url": JWKS, **entry}
        return TokenVerifier(
            TokenEntry(issuer=ISSUER, audience=AUDIENCE).model_copy(update=settings),
            self.fetch,
            lambda: self.now,
            self.report,
            self.changed,
        )


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "azp": "desk",
        "exp": now + 600,
        "iat": now,
        **changed,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(key: Any = RSA, kid: str | None = "r1", algorithm: str = "RS256", **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm, {} if kid is None else {"kid": kid})


def forged(header: dict[str, Any], signature: Callable[[bytes], bytes], **changed: Any) -> str:
    parts = [json.dumps(part).encode() for part in (header, claims(**changed))]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (text + b"." + base64.urlsafe_b64encode(signature(text)).rstrip(b"=")).decode()


async def verify(verifier: TokenVerifier, text: str) -> Principal:
    return (await verifier.verify(text)).principal


async def refused(verifier: TokenVerifier, text: str) -> BearerError:
    with pytest.raises(BearerError) as caught:
        await verify(verifier, text)
    assert text not in str(caught.value)
    assert '"' not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("key", "kid", "algorithm"),
    [(RSA, "r1", "RS256"), (EC, "e1", "ES256"), (ED, "d1", "EdDSA"), (RSA, "r1", "PS384")],
)
async def test_a_good_token_gives_its_subject(key: Any, kid: str, algorithm: str) -> None:
    issuer = Issuer(jwk(RSA, "r1"), jwk(EC, "e1"), jwk(ED, "d1"))
    verifier = issuer.verifier(algorithms=("RS256", "ES256", "EdDSA", "PS384"))
    assert await verify(verifier, token(key, kid, algorithm)) == Principal("ada", ISSUER)


ENTRA = {"azp": "5f3c", "azpacr": "1", "oid": "a1", "tid": "b2", "uti": "c3", "ver": "2.0"}
"""Of an application, which has no scope: learn.microsoft.com, Access token claims reference."""
OKTA = {"ver": 1, "jti": "AT.0m", "cid": "0oa1", "uid": "00u1", "scp": ["openid"], "azp": None}
"""developer.okta.com, Access tokens: no type."""
NO_CLIENT = {"azp": None}
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def typed(typ: Any, /, **changed: Any) -> str:
    header = {"alg": "RS256", "kid": "r1", "typ": typ}
    return forged(
        {name: value for name, value in header.items() if value is not None},
        lambda text: RSA.sign(text, padding.PKCS1v15(), hashes.SHA256()),
        **changed,
    )


@pytest.mark.parametrize(
    ("typ", "changed"),
    [
        ("at+jwt", {"client_id": "desk", "jti": "1", **NO_CLIENT}),
        ("application/at+jwt", NO_CLIENT),
        ("AT+JWT", NO_CLIENT),
        ("JWT", ENTRA),
        ("JWT", {"scp": "mcp.use", "appid": "5f3c", "ver": "1.0", **NO_CLIENT}),
        (None, OKTA),
        ("JWT", {"scope": "mcp:use", **NO_CLIENT}),
        ("JWT", {"typ": "Bearer", "sid": "1"}),
        (None, {"token_use": "access", "client_id": "1"}),
    ],
)
async def test_access_tokens_of_many_issuers_are_accepted(typ: Any, changed: dict[str, Any]) -> None:
    assert (await verify(Issuer().verifier(), typed(typ, **changed))).id == "ada"


@pytest.mark.parametrize(
    ("typ", "changed", "why"),
    [
        ("JWT", {"nonce": "n"}, "not an access token"),
        ("JWT", {"at_hash": "x", "scope": "openid"}, "not an access token"),
        (None, {"c_hash": "x"}, "not an access token"),
        ("JWT", {"events": {EVENT: {}}}, "not an access token"),
        ("JWT", {"typ": "ID"}, "not an access token"),
        ("JWT", {"token_use": "id"}, "not an access token"),
        ("JWT", {"token_use": {}}, "not an access token"),
        ("JWT", {"name": "Ada", **NO_CLIENT}, "does not say that it is an access token"),
        ("logout+jwt", {}, "the type of the token"),
        ("secevent+jwt", {}, "the type of the token"),
        ("dpop+jwt", {}, "the type of the token"),
        ("token-introspection+jwt", {}, "the type of the token"),
        ("id+jwt", {}, "the type of the token"),
        ("", {}, "the type of the token"),
        (7, {}, "the type of the token"),
        (["at+jwt"], {}, "the type of the token"),
    ],
)
async def test_what_an_issuer_signs_for_something_else_is_refused(
    typ: Any, changed: dict[str, Any], why: str
) -> None:
    found = await refused(Issuer().verifier(), typed(typ, **changed))
    assert (found.status, why in str(found)) == (401, True)


@pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {}, ""])
@pytest.mark.parametrize("types", [(), ("at+jwt",)])
async def test_a_token_that_is_bound_to_a_key_proves_nothing_without_it(
    cnf: Any, types: tuple[str, ...]
) -> None:
    found = await refused(Issuer().verifier(types=types), typed("at+jwt", cnf=cnf))
    assert "bound to a key of its client" in str(found)


async def test_the_types_that_are_named_are_accepted_as_they_are_and_no_others() -> None:
    """Such as the tokens of workloads, which name no client."""
    verifier = Issuer().verifier(types=("JWT", "application/Workload+jwt"))
    for typ in ("JWT", None, "workload+jwt"):
        assert (await verify(verifier, typed(typ, nonce="n", **NO_CLIENT))).id == "ada"
    assert "the type of the token" in str(await refused(verifier, typed("at+jwt")))
    assert "the type of the token" in str(await refused(Issuer().verifier(types=("at+jwt",)), typed("JWT")))


async def test_groups_and_the_claims_that_are_named_are_part_of_the_principal() -> None:
    verifier = Issuer().verifier(groups_claim="roles", claims=("tenant", "level"))
    given = token(roles=["ops", 7, "dev", "ops"], tenant={"id": 5}, jti="x1")
    found = await verify(verifier, given)
    assert found == Principal("ada", ISSUER, ("dev", "ops"), {"tenant": {"id": 5}})
    assert hash(found) == hash(Principal("ada", ISSUER))
    assert found != Principal("ada", ISSUER, ("dev",), {"tenant": {"id": 5}})
    assert await verify(verifier, token(roles="ops", jti="x2")) == Principal("ada", ISSUER)


async def test_a_token_is_told_from_others_by_its_jti_or_the_beginning_of_its_digest() -> None:
    verifier = Issuer().verifier()
    for name in ("AT.0m-x_Y:7", "urn:uuid:5f1e", "a" * 128):
        assert (await verifier.verify(token(jti=name))).token == name
    for odd in (None, 7, "", "a b", "a\u202e", "a\n", "a" * 129, ["a"]):
        given = token(jti=odd)
        try:
            found = await verifier.verify(given)
        except BearerError:  # The library asks for a text.
            assert type(odd) is not str
            continue
        assert found.token == f"sha256:{hashlib.sha256(given.encode()).hexdigest()[:16]}"


async def test_who_acts_for_the_subject_is_part_of_the_principal() -> None:
    act = {"sub": "bot-7", "act": {"sub": "another"}}
    found = await verify(Issuer().verifier(), token(act=act))
    assert found == Principal("ada", ISSUER, actor="bot-7")


@pytest.mark.parametrize("act", ["bot", {}, {"sub": 7}, {"sub": ""}, {"sub": "a\nb"}])
async def test_an_actor_that_is_no_name_is_refused(act: Any) -> None:
    with pytest.raises(BearerError, match="the actor of the token"):
        await verify(Issuer().verifier(), token(act=act))


async def test_a_claim_that_is_no_text_is_refused_where_it_would_be_read() -> None:
    given = token(tenant="half \ud800")
    assert await verify(Issuer().verifier(), given) == Principal("ada", ISSUER)
    assert "is not JSON" in str(await refused(Issuer().verifier(claims=("tenant",)), given))


async def test_a_token_may_be_for_any_of_our_audiences_and_none_need_be_a_url() -> None:
    verifier = Issuer().verifier(audience=("api://mcpguard", "5f3c0f2e"), resource=AUDIENCE)
    for audience in ("api://mcpguard", "5f3c0f2e", ["other", "5f3c0f2e"]):
        assert (await verify(verifier, token(aud=audience))).id == "ada"
    # The URL of the metadata is no audience unless it is one of these.
    for audience in (AUDIENCE, "api://", "5f3c0f2", ["other"]):
        assert "another audience" in str(await refused(verifier, token(aud=audience)))


async def test_our_audience_may_be_one_of_several() -> None:
    assert (await verify(Issuer().verifier(), token(aud=["https://other.example", AUDIENCE]))).id == "ada"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": None}, "lacks a required claim"),
        ({"aud": "https://other.example"}, "another audience"),
        ({"aud": AUDIENCE + "/"}, "another audience"),
        ({"aud": None}, ""),
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"exp": int(time.time()) - 40}, "expired"),
        ({"exp": None}, "lacks a required claim"),
        ({"exp": "soon"}, "not valid"),
        ({"nbf": int(time.time()) + 3600}, "not valid yet"),
        ({"sub": None}, "lacks a required claim"),
        ({"sub": ""}, "subject"),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": "a" * 257}, "subject"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, Any], said: str) -> None:
    problem = await refused(Issuer().verifier(), token(**changed))
    assert (problem.status, problem.error) == (401, "invalid_token")
    assert said in str(problem)


async def test_clocks_may_differ_a_little() -> None:
    now = int(time.time())
    assert (await verify(Issuer().verifier(), token(exp=now - 10, nbf=now + 10))).id == "ada"


async def test_a_token_whose_end_is_no_time_is_refused() -> None:
    assert (await refused(Issuer().verifier(), token(exp=10**400))).status == 401


async def test_it_says_until_when_a_token_is_accepted() -> None:
    verifier, end = Issuer().verifier(), int(time.time()) + 600
    for _ in range(2):
        assert (await verifier.verify(token(exp=end))).until == end + LEEWAY_SECONDS


async def test_a_subject_that_is_no_text_is_refused() -> None:
    key = forged({"alg": "RS256", "kid": "r1"}, _rsa_signature, sub=7)
    assert (await refused(Issuer().verifier(), key)).status == 401


def _rsa_signature(text: bytes) -> bytes:
    return jwt.get_algorithm_by_name("RS256").sign(text, RSA)


def _hmac_with_public_key(text: bytes) -> bytes:
    pem = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hmac.new(pem, text, hashlib.sha256).digest()


@pytest.mark.parametrize(
    ("header", "signature"),
    [
        ({"alg": "none", "kid": "r1"}, lambda _text: b""),
        ({"alg": "None", "kid": "r1"}, lambda _text: b""),
        ({"alg": "HS256", "kid": "r1"}, _hmac_with_public_key),
        ({"alg": "RS256", "kid": "r1"}, _hmac_with_public_key),
        ({"alg": "RS256", "kid": "r1"}, lambda _text: b""),
        ({"alg": "RS512", "kid": "r1"}, _rsa_signature),
        ({"alg": "ES256", "kid": "r1"}, _rsa_signature),
        ({"alg": ["RS256"], "kid": "r1"}, _rsa_signature),
        ({"alg": "RS256", "kid": 7}, _rsa_signature),
        ({"alg": "RS256", "kid": "r1", "crit": ["x"], "x": 1}, _rsa_signature),
        ({"kid": "r1"}, _rsa_signature),
    ],
)
async def test_a_forged_token_is_refused(header: dict[str, Any], signature: Callable[[bytes], bytes]) -> None:
    assert (await refused(Issuer().verifier(), forged(header, signature))).status == 401


async def test_a_shared_key_is_never_used_whatever_is_configured_and_published() -> None:
    shared = {"kty": "oct", "kid": "s1", "k": base64.urlsafe_b64encode(b"k" * 32).decode()}
    verifier = Issuer(shared).verifier(algorithms=("HS256", "none"))
    assert (await refused(verifier, token(b"k" * 32, "s1", "HS256"))).status == 401
    rs_only = Issuer({**shared, "alg": "RS256"}).verifier()
    assert (await refused(rs_only, token(RSA, "s1"))).status == 503


async def test_the_key_must_be_the_one_that_the_token_names() -> None:
    assert (await refused(Issuer().verifier(), token(RSA_2, "r1"))).status == 401
    assert (
        await refused(Issuer(jwk(RSA, "r1"), jwk(RSA_2, "r2")).verifier(), token(RSA, "r2"))
    ).status == 401


@pytest.mark.parametrize(
    "key",
    [
        jwk(RSA, "r1", use="enc"),
        jwk(RSA, "r1", alg="RS512"),
        {"kty": "RSA", "kid": "r1", "n": "!", "e": "AQAB"},
        jwk(ec.generate_private_key(ec.SECP384R1()), "r1"),
    ],
)
async def test_a_key_that_does_not_fit_is_not_used(key: dict[str, Any]) -> None:
    issuer = Issuer(key)
    verifier = issuer.verifier()
    assert (await refused(verifier, token())).status == 503
    said = f"{ISSUER} publishes no key for the algorithms that are accepted (RS256, ES256)"
    assert verifier.problem() == said
    issuer.keys.append(jwk(RSA_2, "r2"))
    issuer.now += RETRY_SECONDS
    assert (await refused(verifier, token())).status == 401
    assert verifier.problem() == ""


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
async def test_a_key_of_rsa_that_is_too_short_signs_nothing(algorithm: str) -> None:
    issuer = Issuer(jwk(RSA_SHORT, "r1"), jwk(RSA, "r2"))
    verifier = issuer.verifier(algorithms=(algorithm,))
    assert (await refused(verifier, token(RSA_SHORT, "r1", algorithm))).status == 401
    assert (await verify(verifier, token(RSA, "r2", algorithm))).id == "ada"
    issuer.keys.pop()
    alone = issuer.verifier(algorithms=(algorithm,))
    assert (await refused(alone, token(RSA_SHORT, None, algorithm))).status == 503
    assert alone.problem().startswith(f"{ISSUER} publishes no key")


async def test_without_a_kid_there_must_be_no_choice() -> None:
    assert (await verify(Issuer(jwk(RSA, "r1"), jwk(EC, "e1")).verifier(), token(kid=None))).id == "ada"
    assert (await refused(Issuer(jwk(RSA, "r1"), jwk(RSA_2, "r2")).verifier(), token(kid=None))).status == 401


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "é.b.c", "x" * 20_000, "...."])
async def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BearerError):
        await verify(Issuer().verifier(), text)


@pytest.mark.parametrize(
    "changed",
    [{"scope": "mcp:read"}, {"scope": ""}, {}, {"scp": ["mcp:read"]}, {"scope": 7}, {"scope": {"mcp:use": 1}},
     {"scope": "xmcp:use mcp:read"}],
)  # fmt: skip
async def test_a_token_without_the_scopes_is_good_and_not_enough(changed: dict[str, Any]) -> None:
    problem = await refused(Issuer().verifier(scopes=("mcp:use", "mcp:read")), token(**changed))
    assert (problem.status, problem.error) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "changed",
    [{"scope": "a mcp:use mcp:read"}, {"scp": ["mcp:read", "mcp:use"]}, {"scp": "mcp:use mcp:read"}],
)
async def test_scopes_may_be_a_text_or_a_list(changed: dict[str, Any]) -> None:
    assert (await verify(Issuer().verifier(scopes=("mcp:use", "mcp:read")), token(**changed))).id == "ada"


# --- keys ------------------------------------------------------------------------------------------


async def test_keys_are_fetched_once_and_again_after_an_hour() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await asyncio.gather(*(verifier.verify(token()) for _ in range(5)))
    issuer.now += FRESH_SECONDS - 1
    await verifier.verify(token())
    assert issuer.asked == [JWKS]
    issuer.now += 2
    await verifier.verify(token())
    assert issuer.asked == [JWKS] * 2


async def test_keys_that_cannot_be_fetched_are_told_to_the_operator() -> None:
    issuer = Issuer()
    issuer.answers[JWKS] = OSError("nobody listens")
    verifier = issuer.verifier()
    assert (await refused(verifier, token())).status == 503
    said = f"the keys of {ISSUER} cannot be fetched: nobody listens"
    assert (issuer.reports, verifier.problem(), verifier.warning()) == ([f"error: {said}"], said, "")
    issuer.now += FIRST_RETRY_SECONDS + 1
    assert (await refused(verifier, token())).status == 503
    assert (len(issuer.asked), issuer.reports) == (2, [f"error: {said}"])
    del issuer.answers[JWKS]
    issuer.now += FIRST_RETRY_SECONDS + 1
    assert (await verifier.verify(token())).principal.id == "ada"
    assert (verifier.problem(), verifier.warning()) == ("", "")
    assert issuer.reports[1:] == [f"info: the keys of {ISSUER} can be fetched again"]
    assert issuer.changes == 3


async def test_a_look_fetches_keys_and_where_they_are_away_again_though_nobody_asks() -> None:
    issuer = Issuer()
    issuer.answers[JWKS] = OSError("away")
    verifier = issuer.verifier()
    assert verifier.problem() == f"the keys of {ISSUER} have not been fetched yet"
    while not issuer.changes:
        await asyncio.sleep(0)
    assert verifier.problem() == f"the keys of {ISSUER} cannot be fetched: away"
    del issuer.answers[JWKS]
    issuer.now += FIRST_RETRY_SECONDS
    verifier.problem()
    while issuer.changes < 2:
        await asyncio.sleep(0)
    assert verifier.problem() == ""
    issuer.answers[JWKS] = OSError("away")
    issuer.now += FRESH_SECONDS
    verifier.problem()
    while issuer.changes < 3:
        await asyncio.sleep(0)
    # Earlier keys serve, so that is a warning.
    said = f"the keys of {ISSUER} cannot be fetched: away"
    assert (verifier.problem(), verifier.warning(), issuer.reports[-1]) == ("", said, f"warning: {said}")
    issuer.now += STALE_SECONDS
    assert (verifier.problem(), verifier.warning()) == (said, "")


async def test_an_unknown_key_is_asked_for_at_most_once_a_minute() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify(token())
    issuer.keys.append(jwk(RSA_2, "r2"))
    for _ in range(3):
        with pytest.raises(BearerError):
            await verifier.verify(token(RSA_2, "r2"))
    assert len(issuer.asked) == 1
    issuer.now += RETRY_SECONDS
    assert (await verifier.verify(token(RSA_2, "r2"))).principal.id == "ada"
    for _ in range(3):
        with pytest.raises(BearerError):
            await verifier.verify(token(RSA_2, "r3"))
    assert len(issuer.asked) == 2


async def test_a_key_that_was_replaced_under_its_name_is_asked_for_at_most_once_a_minute() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify(token())
    issuer.keys = [jwk(RSA_2, "r1")]
    said = "not by the issuer's key of that name, which is fetched again at most once a minute"
    assert said in str(await refused(verifier, token(RSA_2)))
    assert len(issuer.asked) == 1
    issuer.now += RETRY_SECONDS
    assert (await verifier.verify(token(RSA_2))).principal.id == "ada"
    assert said in str(await refused(verifier, token()))
    assert len(issuer.asked) == 2
    issuer.now += RETRY_SECONDS
    assert said in str(await refused(verifier, token()))
    assert len(issuer.asked) == 3


async def test_keys_are_fetched_again_at_once_where_an_operator_asks_for_it() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify(token())
    issuer.keys = [jwk(RSA_2, "r1")]
    verifier.fetch_again()
    while issuer.changes < 2:
        await asyncio.sleep(0)
    assert (await verifier.verify(token(RSA_2))).principal.id == "ada"
    assert len(issuer.asked) == 2


async def test_earlier_keys_serve_for_a_day_where_no_newer_ones_can_be_had() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify(token())
    issuer.answers[JWKS] = OSError("away")
    issuer.now += STALE_SECONDS
    assert (await verifier.verify(token())).principal.id == "ada"
    issuer.now += 1
    with pytest.raises(BearerError):
        await verifier.verify(token())
    del issuer.answers[JWKS]
    issuer.now += RETRY_SECONDS
    assert (await verifier.verify(token())).principal.id == "ada"


async def test_an_issuer_that_does_not_answer_holds_up_nobody_whose_key_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mcpguard.adapters.transports.http.bearer.PATIENCE_SECONDS", 0.01)
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify(token())
    answers = asyncio.Event()
    issuer.holds = answers
    issuer.now += FRESH_SECONDS
    for name in ("eve", "joe"):
        async with asyncio.timeout(10):
            assert (await verifier.verify(token(sub=name))).principal.id == name
    issuer.now += 10 * RETRY_SECONDS
    assert (await verifier.verify(token(sub="ann"))).principal.id == "ann"
    assert len(issuer.asked) == 2
    # One whose key is not known has to wait, and gets in with the newer ones.
    issuer.keys = [jwk(RSA_2, "r2")]
    unknown = asyncio.create_task(verifier.verify(token(RSA_2, "r2")))
    await asyncio.sleep(0)
    assert not unknown.done()
    answers.set()
    assert (await unknown).principal.id == "ada"
    with pytest.raises(BearerError):
        await verifier.verify(token(sub="eve"))


async def test_a_client_that_leaves_does_not_end_the_fetch_that_others_wait_for() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    issuer.holds = asyncio.Event()
    first, second = (asyncio.create_task(verifier.verify(token())) for _ in range(2))
    while not issuer.asked:
        await asyncio.sleep(0)
    first.cancel()
    issuer.holds.set()
    assert (await second).principal.id == "ada"
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("answer", [OSError("x"), ValueError("x"), [], {"keys": 7}, {}, {"keys": [7]}])
async def test_without_keys_nobody_gets_in(answer: Any) -> None:
    issuer = Issuer()
    issuer.answers[JWKS] = answer
    assert (await refused(issuer.verifier(), token())).status == 503


# --- tokens that were verified a moment ago --------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature is checked from now on."""
    checked: list[str] = []
    decode = jwt.decode

    def counting(text: str, *more: Any, **options: Any) -> Any:
        checked.append(text)
        return decode(text, *more, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


async def test_a_token_is_verified_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, checked, text = Issuer(), counted(monkeypatch), token()
    verifier = issuer.verifier()
    for seconds in (0, 30, 29.9):
        issuer.now += seconds
        assert await verify(verifier, text) == Principal("ada", ISSUER)
    assert checked == [text]
    issuer.now += 0.2
    assert (await verify(verifier, text)).id == "ada"
    assert len(checked) == 2


async def test_a_token_that_expires_sooner_is_remembered_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    verifier, text = issuer.verifier(), token(exp=int(time.time()) + 20, iat=None)
    assert (await verify(verifier, text)).id == "ada"
    monkeypatch.setattr(
        "mcpguard.adapters.transports.http.bearer.LEEWAY_SECONDS", -3600
    )  # For PyJWT it has expired.
    assert (await verify(verifier, text)).id == "ada"
    issuer.now += 20
    assert "expired" in str(await refused(verifier, text))


async def test_a_token_within_the_leeway_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, checked, text = Issuer(), counted(monkeypatch), token(exp=int(time.time()) - 5)
    verifier = issuer.verifier()
    for _ in range(2):
        assert (await verify(verifier, text)).id == "ada"
    assert len(checked) == 2


async def test_a_token_whose_key_was_withdrawn_is_refused_once_the_keys_are_fetched_again() -> None:
    issuer = Issuer()
    verifier, text = issuer.verifier(), token()
    assert (await verify(verifier, text)).id == "ada"
    issuer.now += FRESH_SECONDS - 10
    assert (await verify(verifier, text)).id == "ada"
    issuer.keys = [jwk(RSA_2, "r2")]
    issuer.now += 10  # It was verified ten seconds ago, with keys that are an hour old by now.
    assert (await refused(verifier, text)).status == 401


async def test_keys_that_come_for_another_token_end_what_the_earlier_ones_had_signed() -> None:
    issuer = Issuer()
    verifier, text = issuer.verifier(), token()
    assert (await verify(verifier, text)).id == "ada"
    issuer.now += RETRY_SECONDS
    assert (await verify(verifier, text)).id == "ada"
    issuer.keys = [jwk(RSA_2, "r2")]
    assert (await verify(verifier, token(RSA_2, "r2", sub="eve"))).id == "eve"
    assert (await refused(verifier, text)).status == 401


async def test_a_token_that_was_refused_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, checked = Issuer(), counted(monkeypatch)
    verifier, text = issuer.verifier(), token(aud="https://other.example")
    for _ in range(2):
        assert (await refused(verifier, text)).status == 401
    assert len(checked) == 2
    poor, text = issuer.verifier(scopes=("mcp:use",)), token()
    for _ in range(2):
        assert (await refused(poor, text)).status == 403


async def test_so_many_tokens_are_remembered_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.adapters.transports.http.bearer.REMEMBERED", 2)
    issuer, checked = Issuer(), counted(monkeypatch)
    verifier = issuer.verifier()
    ada, eve, joe = (token(sub=name) for name in ("ada", "eve", "joe"))
    for text in (ada, eve, joe, eve, joe, ada):
        await verify(verifier, text)
    assert checked == [ada, eve, joe, ada]


async def test_a_token_that_is_verified_again_is_the_newest_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.adapters.transports.http.bearer.REMEMBERED", 2)
    issuer, checked = Issuer(), counted(monkeypatch)
    verifier = issuer.verifier()
    ada, eve, joe = (token(sub=name) for name in ("ada", "eve", "joe"))
    for text in (ada, eve):
        await verify(verifier, text)
    issuer.now += REMEMBERED_SECONDS
    for text in (ada, joe, ada):
        await verify(verifier, text)
    assert checked == [ada, eve, ada, joe]


async def test_a_token_within_the_leeway_costs_no_other_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.adapters.transports.http.bearer.REMEMBERED", 1)
    issuer, checked = Issuer(), counted(monkeypatch)
    verifier = issuer.verifier()
    good, late = token(), token(exp=int(time.time()) - 5)
    for text in (good, late, good):
        await verify(verifier, text)
    assert checked == [good, late]


# --- where the keys are ----------------------------------------------------------------------------

AS = "https://issuer.example/.well-known/oauth-authorization-server/tenant"
OIDC = "https://issuer.example/.well-known/openid-configuration/tenant"
OIDC_TAIL = "https://issuer.example/tenant/.well-known/openid-configuration"


def test_the_places_of_metadata_are_those_of_the_standards() -> None:
    assert metadata_urls(ISSUER) == (AS, OIDC, OIDC_TAIL)
    assert metadata_urls("https://issuer.example/") == (
        "https://issuer.example/.well-known/oauth-authorization-server",
        "https://issuer.example/.well-known/openid-configuration",
    )


@pytest.mark.parametrize("place", [AS, OIDC, OIDC_TAIL])
async def test_the_keys_are_found_through_the_issuers_metadata(place: str) -> None:
    issuer = Issuer()
    issuer.answers[place] = {"issuer": ISSUER, "jwks_uri": JWKS}
    assert (await verify(issuer.verifier(jwks_url=None), token())).id == "ada"


@pytest.mark.parametrize(
    "about",
    [{"issuer": "https://evil.example", "jwks_uri": JWKS}, {"jwks_uri": JWKS}, {"issuer": ISSUER}, [],
     {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}, {"issuer": ISSUER, "jwks_uri": 7}],
)  # fmt: skip
async def test_metadata_that_is_not_the_issuers_own_gives_no_keys(about: Any) -> None:
    issuer = Issuer()
    issuer.answers[AS] = about
    assert (await refused(issuer.verifier(jwks_url=None), token())).status == 503
    assert JWKS not in issuer.asked


async def test_without_metadata_there_are_no_keys() -> None:
    assert (await refused(Issuer().verifier(jwks_url=None), token())).status == 503


# --- the header ------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Bearer a.b-c_d", "bearer  a.b-c_d", "BEARER a.b-c_d"])
def test_the_token_is_read_from_the_header(header: str) -> None:
    assert bearer_of(header) == "a.b-c_d"


@each("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer a\n", "Bearer a,b",
                                    "Bearer " + "a" * 20_000])  # fmt: skip
def test_a_header_without_a_token_is_refused(header: str) -> None:
    with pytest.raises(BearerError):
        bearer_of(header)
