"""`client_credentials` and `token_exchange`: the form, the proof of the client, and what is given back."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from mcpguard.adapters.credentials.oauth.mints import ServiceToken
from mcpguard.config.minted import ClientCredentialsEntry, TokenExchangeEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret
from tests.servers.authority import authority
from tests.servers.hosted import as_json, hosted

REF = "credential:service"
SECRET = "client-secret-1234"
SUBJECT = "subject-token-1234"


@pytest.fixture
def serving():
    with hosted(token_endpoint_auth_methods_supported=["client_secret_post"]) as serving:
        yield serving


def mint(entry, **values):
    held = {"secret": SECRET, "subject": SUBJECT, **values}
    return ServiceToken("service", entry, lambda ref: Secret(held[ref.name]))


def credentials(**more):
    return ClientCredentialsEntry(client_id="ours", **{"client_secret": "${env:secret}", **more})


def refusal(entry, **values):
    with pytest.raises(CredentialError) as caught:
        mint(entry, **values).lease()
    assert str(caught.value).startswith(f"{REF}: ")
    assert SECRET not in str(caught.value)
    assert SUBJECT not in str(caught.value)
    return str(caught.value)


def asked(serving):
    return [(form, headers) for _, path, headers, form in serving.heard if path == "/token"]


def test_client_credentials_at_an_issuer_give_a_token_that_is_revoked_at_the_end(serving):
    maker = mint(credentials(issuer=serving.issuer, scopes=("a", "b"), resource="https://mcp.example/mcp"))
    lease = maker.lease()
    ((form, _),) = asked(serving)
    assert form == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "resource": "https://mcp.example/mcp",
        "client_id": "ours",
        "client_secret": SECRET,
    }
    assert (lease.seconds, maker.renew(lease)) == (3600, None)
    assert [one.reveal() for one in lease.parts] == ["refresh-0001"]
    lease.end()
    revoked = [form for _, path, _, form in serving.heard if path == "/revoke"]
    assert [(form["token"], form["token_type_hint"]) for form in revoked] == [
        ("refresh-0001", "refresh_token"),
        (lease.secret.reveal(), "access_token"),
    ]


def test_each_lease_is_a_new_token_and_the_metadata_is_read_once(serving):
    maker = mint(credentials(issuer=serving.issuer))
    first = maker.lease().secret.reveal()
    maker.refused()
    assert maker.lease().secret.reveal() != first
    assert sum("well-known" in path for _, path, _, _ in serving.heard) == 1


def test_client_credentials_at_a_token_url_use_basic_and_have_no_end(serving):
    lease = mint(credentials(token_url=f"{serving.origin}/token")).lease()
    ((form, headers),) = asked(serving)
    assert "client_secret" not in form
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"ours:{SECRET}"
    assert lease.end is None


@pytest.mark.parametrize("methods", [["client_secret_post", "none", "client_secret_basic"], None])
def test_a_secret_is_sent_as_basic_where_the_server_takes_that(serving, methods):
    serving.metadata["token_endpoint_auth_methods_supported"] = methods
    mint(credentials(issuer=serving.issuer)).lease()
    ((form, headers),) = asked(serving)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"ours:{SECRET}"
    assert form == {"grant_type": "client_credentials", "client_id": "ours"}


def test_the_way_to_send_the_secret_can_be_configured(serving):
    mint(credentials(token_url=f"{serving.origin}/token", client_auth="client_secret_post")).lease()
    assert asked(serving)[0][0]["client_secret"] == SECRET


KEYS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def pem(key, password=None):
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed).decode()


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_private_key_signs_a_short_assertion_for_the_issuer(serving, algorithm):
    key = KEYS[algorithm]()
    entry = ClientCredentialsEntry(
        client_id="ours", issuer=serving.issuer, private_key="${env:key}", key_id="one"
    )
    maker = mint(entry, key=pem(key))
    maker.lease()
    maker.lease()
    forms = [form for form, _ in asked(serving)]
    assert "client_secret" not in forms[0]
    signed = [form["client_assertion"] for form in forms]
    head = jwt.get_unverified_header(signed[0])
    assert (head["alg"], head["kid"]) == (algorithm, "one")
    claims = [
        jwt.decode(one, key.public_key(), [algorithm], audience=serving.issuer, issuer="ours")
        for one in signed
    ]
    assert claims[0]["exp"] - claims[0]["iat"] == 60
    assert claims[0]["jti"] != claims[1]["jti"]


@pytest.mark.parametrize(
    "made",
    [
        lambda: "no key",
        lambda: pem(rsa.generate_private_key(65537, 2048), b"password"),
        lambda: pem(ec.generate_private_key(ec.SECP256K1())),
        lambda: pem(dsa.generate_private_key(1024)),
    ],
    ids=["text", "sealed", "curve", "dsa"],
)
def test_a_key_that_cannot_sign_is_a_clear_error(serving, made):
    key = made()
    entry = ClientCredentialsEntry(client_id="ours", issuer=serving.issuer, private_key="${env:key}")
    said = refusal(entry, key=key)
    assert "`private_key` is not a private key in PEM" in said
    assert key not in said
    assert asked(serving) == []


def test_an_exchange_sends_the_configured_subject_and_what_it_is_for(serving):
    entry = TokenExchangeEntry(
        subject="${env:subject}",
        subject_type="jwt",
        token_url=f"{serving.origin}/token",
        audience="tools",
        resource="https://mcp.example/mcp",
        scopes=("read",),
    )
    lease = mint(entry).lease()
    ((form, headers),) = asked(serving)
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": SUBJECT,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "tools",
        "resource": "https://mcp.example/mcp",
        "scope": "read",
    }
    assert "Authorization" not in headers
    assert lease.secret.reveal() == "access-0001"


def test_an_exchange_by_a_client_proves_that_client(serving):
    more = {"client_id": "ours", "client_secret": "${env:secret}"}
    mint(TokenExchangeEntry(subject="${env:subject}", issuer=serving.issuer, **more)).lease()
    assert asked(serving)[0][0]["client_secret"] == SECRET


def test_a_no_names_the_entry_and_the_code_and_the_metadata_is_read_again(serving):
    serving.answers["/token"] = as_json({"error": "invalid_client", "error_description": SECRET}, 401)
    maker = mint(credentials(issuer=serving.issuer))
    for _ in range(2):
        with pytest.raises(CredentialError) as caught:
            maker.lease()
        assert str(caught.value) == (
            f"{REF}: the token endpoint answered HTTP 401, `invalid_client`: "
            "check `client_id`, `client_secret` and `client_auth`"
        )
    assert sum("well-known" in path for _, path, _, _ in serving.heard) == 2


def test_a_key_that_the_server_does_not_accept_may_be_the_clocks_fault(serving):
    serving.answers["/token"] = as_json({"error": "invalid_client"}, 401)
    entry = ClientCredentialsEntry(client_id="ours", issuer=serving.issuer, private_key="${env:key}")
    said = refusal(entry, key=pem(KEYS["EdDSA"]()))
    assert said.endswith(": check `client_id`, `private_key`, `key_id` and the clock of this machine")


def test_an_issuer_that_takes_no_secret_is_a_clear_error(serving):
    serving.metadata["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    assert "accepts none of client_secret_basic, client_secret_post" in refusal(
        credentials(issuer=serving.issuer)
    )


def test_a_token_that_cannot_be_revoked_says_so(serving):
    lease = mint(credentials(issuer=serving.issuer)).lease()
    serving.answers["/revoke"] = 503, {}, b"x-said-x"
    with pytest.raises(CredentialError) as caught:
        lease.end()
    assert str(caught.value) == (
        f"{REF}: the token could not be revoked: the revocation endpoint answered HTTP 503"
    )


def test_a_machine_token_beside_the_sdks_server():
    with authority() as serving:
        lease = mint(credentials(token_url=f"{serving.origin}/machine/token")).lease()
        assert lease.seconds == 600
        assert serving.machine_requests[0][0]["grant_type"] == "client_credentials"
