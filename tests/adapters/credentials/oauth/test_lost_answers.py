"""Tokens in an answer that is refused, cut or stored too late: kept or revoked, and never left alive unknown."""

import json

import pytest

from mcpguard.adapters.credentials.oauth.asking import LIMIT, given_in
from mcpguard.adapters.credentials.oauth.mints import ServiceToken
from mcpguard.adapters.network import Outbound
from mcpguard.config.minted import ClientCredentialsEntry, TokenExchangeEntry
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret
from tests.adapters.credentials.oauth.oauth_stage import NAME, Stage, unusable
from tests.rows import each
from tests.servers.authority import authority
from tests.servers.hosted import as_json, hosted

LOGIN = f"run `mcpguard secret login {NAME}`"
JSON = {"Content-Type": "application/json"}


def over(stage):
    """A mint whose token has to be renewed now."""
    stage.clock.at += 4000
    return stage.mint()


def renewed_with(serving):
    return [form["refresh_token"] for _, path, _, form in serving.heard if "refresh_token" in form]


def revoked(serving):
    return [
        (form["token"], form["token_type_hint"]) for _, path, _, form in serving.heard if path == "/revoke"
    ]


def odd(tokens):
    """Answers with tokens that cannot be read as an answer, by what is odd."""
    text = json.dumps(tokens).encode()
    return {
        "another media type": (200, {"Content-Type": "text/plain"}, text),
        "a page's media type": (200, {"Content-Type": "text/html; charset=utf-8"}, text),
        "no media type": (200, {}, text),
        "another status": (201, JSON, text),
        "a byte order mark": (200, JSON, b"\xef\xbb\xbf" + text),
        "a number without measure": (200, JSON, text[:-1] + b', "x": 1e999}'),
        "something behind": (200, JSON, text + b"\n<!-- served by -->"),
        "escapes": (200, JSON, text.replace(b"refresh-", b"refresh\\u002d")[:-1]),
        "more than is read": (200, JSON, text[:-1] + b', "x": "' + b"x" * LIMIT + b'"}'),
    }


@pytest.mark.parametrize("what", odd({}))
def test_a_rotated_refresh_token_in_an_answer_that_cannot_be_read_is_kept(stage, serving, what):
    stage.log_in()
    before = stage.kept()
    serving.answers["/token"] = lambda: odd(serving.tokens())[what]
    assert "the token endpoint answered" in unusable(over(stage))
    assert stage.kept() == before | {"refresh": "refresh-0002"}
    del serving.answers["/token"]
    stage.mint().lease()
    assert renewed_with(serving) == ["refresh-0001", "refresh-0002"]


def test_a_rotated_refresh_token_in_an_answer_that_is_cut_is_kept(stage, serving):
    stage.log_in()
    text = json.dumps(serving.tokens()).encode()
    serving.answers["/token"] = 200, JSON | {"Content-Length": str(len(text) + 1)}, text
    assert "closed the connection before its answer was complete" in unusable(over(stage))
    assert stage.kept()["refresh"] == "refresh-0002"


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b'<script>{"refresh_token": "refresh-of-a-page"}</script>'),
        (200, JSON, b'{"refresh_token": "refresh-one", "more": [{"refresh_token": "refresh-two"}], }'),
        (400, JSON, b'{"refresh_token": "refresh-of-an-error"}'),
        (302, {"Location": "/", **JSON}, b'{"refresh_token": "refresh-of-a-redirect"}'),
        (200, JSON, b'{"error": "server_error", "refresh_token": "refresh-of-an-error"}'),
        (200, JSON, b'{"refresh_token": "\\ud800\\udc00"'),
        (200, JSON, b'{"refresh_token": "\xff\xff\xff\xff\xff\xff"'),
    ],
)
def test_what_may_be_no_refresh_token_replaces_none(stage, serving, answer):
    stage.log_in()
    before = stage.kept()
    serving.answers["/token"] = answer
    unusable(over(stage))
    assert stage.kept() == before


@each(
    "heard",
    [b"", b"[]", b'"refresh_token": "refresh-1234"', b'{"refresh_token": 7, "access_token": "short"}'],
)
def test_an_answer_in_which_no_token_is_found(heard):
    assert given_in(heard) == given_in(b"{}")


def test_new_tokens_are_stored_before_anything_else_is_done_with_the_answer(stage, serving, monkeypatch):
    stage.log_in()
    seen, close = [], Outbound.close

    async def closing(outbound):
        seen.append(stage.kept()["refresh"])
        await close(outbound)

    monkeypatch.setattr(Outbound, "close", closing)
    over(stage).lease()
    assert seen == ["refresh-0002"]


def test_a_login_stores_its_tokens_before_the_connection_is_let_go(stage, serving, monkeypatch):
    seen, close = [], Outbound.close

    async def closing(outbound):
        seen.append(dict(stage.backend.entries) != {})
        await close(outbound)

    monkeypatch.setattr(Outbound, "close", closing)
    stage.log_in()
    assert seen[-1]


def test_a_renewal_whose_result_was_lost_says_once_to_log_in_and_that_mends_it(backend, tmp_path):
    with authority() as serving:
        stage = Stage(backend, tmp_path, serving.url)
        stage.log_in()
        entries = dict(backend.entries)
        stage.clock.at += 3500
        stage.mint().lease()
        backend.entries = entries  # As if the process had been killed before it stored.
        said = unusable(over(stage))
        assert said.count(LOGIN) == 1
        assert "the login has expired: it was revoked, not used for too long, or mcpguard was ended" in said
        stage.log_in()
        stage.mint().lease()


@pytest.mark.parametrize("what", odd({}))
def test_tokens_that_a_login_refuses_are_revoked(stage, serving, what):
    serving.answers["/token"] = lambda: odd(serving.tokens())[what]
    assert "could not be revoked" not in stage.refusal()
    assert ("refresh-0001", "refresh_token") in revoked(serving)
    assert ("access-0001", "access_token") in revoked(serving)


@pytest.mark.parametrize("changed", [{"expires_in": 0}, {"token_type": "mac"}, {"refresh_token": 7}])
def test_tokens_that_a_login_refuses_and_cannot_revoke_are_said(stage, serving, changed):
    serving.answers["/token"] = lambda: as_json(serving.tokens() | changed)
    serving.answers["/revoke"] = 503, {}, b""
    assert stage.refusal().endswith(
        "; what was issued could not be revoked (the revocation endpoint answered HTTP 503): revoke it in your "
        "account there"
    )


def service(serving, kind):
    if kind == "client_credentials":
        entry = ClientCredentialsEntry(issuer=serving.issuer, client_id="ours", client_secret="${env:secret}")
    else:
        entry = TokenExchangeEntry(issuer=serving.issuer, subject="${env:subject}")
    return ServiceToken("service", entry, lambda ref: Secret(f"{ref.name}-of-a-service"))


@pytest.mark.parametrize("kind", ["client_credentials", "token_exchange"])
@pytest.mark.parametrize("what", odd({}))
def test_tokens_of_a_service_that_are_refused_are_revoked(serving, kind, what):
    serving.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    serving.answers["/token"] = lambda: odd(serving.tokens())[what]
    with pytest.raises(CredentialError, match="the token endpoint answered"):
        service(serving, kind).lease()
    assert revoked(serving) == [("refresh-0001", "refresh_token"), ("access-0001", "access_token")]


def test_a_keychain_that_fails_hides_no_error_of_the_server(stage, serving):
    stage.log_in()
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"token_type": "mac"})
    mint = over(stage)
    stage.backend.drops = True
    with pytest.raises(CredentialError) as caught:
        mint.lease()
    assert str(caught.value).startswith(
        f"credential:{NAME}: the token endpoint returned no bearer token; its refresh token: "
        f"keyring:oauth/{NAME} was not stored by the keychain"
    )


def test_a_keychain_that_fails_hides_no_end_of_a_login(stage, serving):
    stage.log_in()
    serving.answers["/token"] = as_json({"error": "invalid_grant"}, 400)
    mint = over(stage)
    stage.backend.drops = True
    assert LOGIN in unusable(mint)


def test_a_login_with_another_document_of_ours_is_not_used(backend, tmp_path):
    with hosted(client_id_metadata_document_supported=True) as serving:
        stage = Stage(backend, tmp_path, serving.url, client_metadata_url="https://guard.example/client.json")
        stage.log_in()
        stage.mint().lease()
        for other in ("https://guard.example/other.json", None):
            said = unusable(stage.mint(client_metadata_url=other))
            assert "the login is for a different url, issuer, client or scopes" in said
            assert LOGIN in said


def test_a_login_with_a_registered_client_serves_on_beside_a_document(stage, serving):
    stage.log_in()
    stage.mint(client_metadata_url="https://guard.example/client.json").lease()
