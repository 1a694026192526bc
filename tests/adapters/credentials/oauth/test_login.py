"""`mcpguard secret login` against an MCP server and an authorization server of the SDK's parts."""

import json
import socket
import threading
from asyncio import run
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import keyring.errors
import pytest
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
)
from mcp.shared.auth import OAuthClientInformationFull

from mcpguard.adapters.credentials.oauth.login import logout
from mcpguard.config.urls import metadata_urls
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Secret
from tests.adapters.credentials.oauth.oauth_stage import NAME, SECRETS, Stage
from tests.servers.authority import DEADLINE, authority, browse
from tests.servers.hosted import as_json, hosted
from tests.wire.session import free_port


@pytest.fixture(scope="module")
def server():
    with authority() as serving:
        yield serving


@pytest.fixture
def stage(server, backend, tmp_path):
    return Stage(backend, tmp_path, server.url)


def query_of(url):
    return {key: one for key, (one,) in parse_qs(urlsplit(url).query).items()}


def test_a_login_finds_registers_asks_and_keeps_the_tokens_in_the_keychain(stage, server):
    stage.log_in()
    kept = stage.kept()
    assert (kept["url"], kept["resource"], kept["issuer"]) == (server.url, server.url, server.issuer)
    assert kept["access"] in server.provider.access
    assert kept["refresh"] in server.provider.refresh
    made = server.provider.registered[-1]
    assert (made.client_id, made.application_type) == (kept["client_id"], "native")
    assert str(made.redirect_uris[0]).startswith("http://127.0.0.1:")


def test_the_authorization_request_has_pkce_state_and_the_resource(stage, server):
    stage.log_in()
    said = query_of(stage.shown[-1])
    assert (said["code_challenge_method"], said["response_type"]) == ("S256", "code")
    assert (said["resource"], said["scope"]) == (server.url, "tools")
    assert len(said["state"]) >= 32
    stage.log_in()
    assert query_of(stage.shown[-1])["state"] != said["state"]
    assert query_of(stage.shown[-1])["code_challenge"] != said["code_challenge"]


def test_nothing_of_a_login_is_on_the_disk(stage, tmp_path):
    stage.log_in()
    kept = stage.kept()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == b"", path
    assert kept["refresh"]


def test_scopes_that_are_configured_are_asked_for_instead_of_the_servers(server, backend, tmp_path):
    stage = Stage(backend, tmp_path, server.url, scopes=("tools", "more"))
    stage.log_in()
    assert query_of(stage.shown[0])["scope"] == "tools more"
    assert stage.kept()["scopes"] == ["tools", "more"]


@pytest.mark.parametrize("method", ["client_secret_post", "none"])
def test_a_client_that_was_made_by_hand_is_used_and_its_secret_is_not_kept(server, backend, tmp_path, method):
    port = free_port()
    secret = None if method == "none" else SECRETS["client"]
    server.provider.clients["ours"] = OAuthClientInformationFull(
        client_id="ours",
        client_secret=secret,
        token_endpoint_auth_method=method,
        redirect_uris=[f"http://127.0.0.1:{port}/callback"],
        grant_types=["authorization_code", "refresh_token"],
        scope="tools",
    )
    more = {"client_secret": "${env:client}", "client_auth": method} if secret else {}
    stage = Stage(backend, tmp_path, server.url, client_id="ours", redirect_port=port, **more)
    before = len(server.provider.registered)
    stage.log_in()
    assert len(server.provider.registered) == before
    assert SECRETS["client"] not in str(stage.kept())
    mint = stage.mint()
    first = mint.lease().secret.reveal()
    mint.refused()
    assert mint.lease().secret.reveal() != first


def test_a_port_that_is_in_use_is_a_clear_error(server, backend, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        stage = Stage(backend, tmp_path, server.url, redirect_port=port)
        assert "set a different `redirect_port`" in stage.refusal()


def test_a_locked_keychain_is_told_before_anybody_is_asked_to_log_in(stage):
    stage.backend.error = keyring.errors.KeyringLocked("x")
    assert "the keychain is locked" in stage.refusal()
    assert stage.shown == []


def test_a_login_mends_a_damaged_entry(stage, server):
    stage.backend.set_password("mcpguard", f"oauth/{NAME}", "{")
    stage.log_in()
    assert stage.kept()["access"] in server.provider.access


def test_nobody_who_logs_in_is_a_clear_error(stage):
    assert "nobody logged in within" in stage.refusal(look=lambda url: None, seconds=0.05)


def test_a_no_of_the_person_is_said_with_its_code_only(stage, server):
    server.provider.changed = {"code": None, "error": "access_denied", "error_description": "said-by-them"}
    try:
        said = stage.refusal()
    finally:
        server.provider.changed = {}
    assert said == "the authorization server refused: `access_denied`"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"iss": "https://evil.example"},
            "not from the authorization server that was asked: `iss` (RFC 9207) is https://evil.example, and not",
        ),
        ({"code": None}, "returned no code"),
        ({"error": "<script>", "code": None}, "the authorization server refused"),
    ],
)
def test_an_answer_that_is_not_to_this_login_is_not_taken(stage, server, changed, why):
    server.provider.changed = changed
    try:
        said = stage.refusal()
    finally:
        server.provider.changed = {}
    assert why in said
    assert "script" not in said


@pytest.mark.parametrize("state", ["another", None, "ä"])
def test_an_answer_to_another_login_is_not_taken(stage, server, state):
    server.provider.changed = {"state": state}
    try:
        said = stage.refusal(seconds=0.5)
    finally:
        server.provider.changed = {}
    assert said == (
        "nobody logged in within 0.5 seconds; an answer that does not belong to this login was ignored"
    )


def landing_of(url):
    return query_of(url)["redirect_uri"]


def test_the_landing_answers_one_path_of_one_name_and_takes_one_answer(stage):
    heard = []

    def look(url):
        def visit():
            place = landing_of(url)
            state = query_of(url)["state"]
            heard.append(status(place.replace("/callback", "/"), {}))
            heard.append(status(f"{place}?code=a&state={state}", {"Host": "evil.example"}))
            heard.append(status(place, {}))
            heard.append(status(f"{place}?code=a&state=another", {}))
            heard.append(status(f"{place}?error=access_denied", {}))
            heard.append(status(place + "?" + "&".join(["code=a"] * 21), {}))
            heard.append(status(f"{place}?code=a&code=b&state={state}", {}))
            heard.append(status(f"{place}?code=a&state={state}", {}, "POST"))
            browse(url)

        threading.Thread(target=visit, daemon=True).start()

    stage.log_in(look)
    assert heard == [404, 404, 400, 400, 400, 400, 400, 405]


def status(url, headers, method="GET"):

    try:
        with urlopen(Request(url, headers=headers, method=method), timeout=DEADLINE) as page:
            return page.status
    except HTTPError as problem:
        problem.close()
        return problem.code


def test_a_document_of_ours_is_the_client_id_where_the_server_takes_that(backend, tmp_path):
    with hosted(client_id_metadata_document_supported=True) as serving:
        stage = Stage(backend, tmp_path, serving.url, client_metadata_url="https://guard.example/client.json")
        stage.log_in()
        assert stage.kept()["client_id"] == "https://guard.example/client.json"
        assert serving.registered == []


def test_a_document_of_ours_is_no_use_where_the_server_does_not_take_it(stage, server):
    stage.entry = type(stage.entry)(url=server.url, client_metadata_url="https://guard.example/client.json")
    stage.log_in()
    assert stage.kept()["client_id"] == server.provider.registered[-1].client_id


def test_offline_access_is_asked_for_where_the_server_has_it(backend, tmp_path):
    with hosted(scopes_supported=["tools", "offline_access"]) as serving:
        stage = Stage(backend, tmp_path, serving.url)
        stage.log_in()
        said = query_of(stage.shown[0])
        assert (said["scope"], said["prompt"]) == ("tools offline_access", "consent")


def test_a_server_that_names_itself_must_do_so(backend, tmp_path):
    with hosted(authorization_response_iss_parameter_supported=True) as serving:
        assert "RFC 9207" in Stage(backend, tmp_path, serving.url).refusal()


def test_a_client_that_the_server_does_not_know_is_to_be_checked_unless_we_have_just_registered_it(small):
    stage, serving = small
    serving.answers["/token"] = as_json({"error": "invalid_client"}, 401)
    assert stage.refusal() == "the token endpoint answered HTTP 401, `invalid_client`"
    stage.entry = type(stage.entry)(url=serving.url, issuer=serving.issuer, client_id="ours")
    assert stage.refusal().endswith("check `client_id`, `client_secret` and `client_auth`")


def test_where_no_client_is_registered_the_sentence_says_what_to_make(backend, tmp_path):
    with hosted(registration_endpoint=None) as serving:
        said = Stage(backend, tmp_path, serving.url).refusal()
    assert "set `client_id` and `redirect_port`" in said
    assert "http://127.0.0.1:" in said


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "", "HTTP 403: register a client there, with the redirect URI http://127.0.0.1:"),
        (400, "invalid_redirect_uri", "HTTP 400, `invalid_redirect_uri`: register a client there, with the"),
        (503, "", "HTTP 503"),
    ],
)
def test_where_a_registration_is_refused_the_sentence_says_what_to_make(small, status, code, said):
    stage, serving = small
    serving.answers["/register"] = as_json({"error": code}, status)
    told = stage.refusal()
    assert f"the registration endpoint answered {said}" in told
    assert ("set `client_id` and `redirect_port`" in told) is (status < 500)


def test_a_logout_revokes_and_forgets(stage, server):

    stage.log_in()
    kept = stage.kept()
    assert run(logout(NAME, None, stage.grants)) == ""
    assert kept["refresh"] in server.provider.revoked
    assert ("mcpguard", f"oauth/{NAME}") not in stage.backend.entries
    with pytest.raises(CredentialError, match="nothing to remove"):
        run(logout(NAME, Secret("x"), stage.grants))


def test_a_logout_that_cannot_revoke_forgets_and_says_so(backend, tmp_path):

    with hosted(revocation_endpoint=None) as serving:
        stage = Stage(backend, tmp_path, serving.url)
        stage.log_in()
    said = run(logout(NAME, None, stage.grants))
    assert said == "the authorization server names no revocation endpoint"
    assert ("mcpguard", f"oauth/{NAME}") not in backend.entries


def revoked(serving):
    return {
        (form["token"], form["token_type_hint"]) for _, path, _, form in serving.heard if path == "/revoke"
    }


def both_of(kept):
    return {(kept["refresh"], "refresh_token"), (kept["access"], "access_token")}


@pytest.fixture
def small(backend, tmp_path):
    """A stage in front of a server whose answers a test can change."""
    with hosted() as serving:
        yield Stage(backend, tmp_path, serving.url), serving


@pytest.mark.parametrize("again", ["the same client", "another client"])
def test_another_login_revokes_both_tokens_of_the_one_before(small, again):
    stage, serving = small
    stage.log_in()
    first = stage.kept()
    assert revoked(serving) == set()
    if again == "another client":
        serving.client = {"client_id": "registered-again"}
    stage.log_in()
    assert revoked(serving) == both_of(first)
    assert stage.unrevoked == ""
    asked = [path for _, path, _, _ in serving.heard if path in ("/token", "/revoke")]
    # A server may revoke all that a client has, so what it has just issued must not be there yet.
    before = again == "the same client"
    assert asked[1:] == ["/revoke", "/revoke", "/token"] if before else ["/token", "/revoke", "/revoke"]
    assert stage.kept()["access"] in serving.issued


def test_a_login_that_gets_no_tokens_leaves_the_one_of_another_client(small):
    stage, serving = small
    stage.log_in()
    serving.client = {"client_id": "registered-again"}
    serving.answers["/token"] = 503, {}, b""
    assert "HTTP 503" in stage.refusal()
    assert revoked(serving) == set()


def test_another_login_at_the_sdks_server_ends_the_grant_before_and_not_its_own(stage, server):
    stage.log_in()
    first = stage.kept()
    stage.log_in()
    assert first["refresh"] in server.provider.revoked
    mint = stage.mint()
    mint.lease()
    mint.refused()
    assert mint.lease().secret.reveal() in server.provider.access


def test_another_login_succeeds_where_the_one_before_cannot_be_revoked_and_says_so(small):
    stage, serving = small
    stage.log_in()
    serving.answers["/revoke"] = 503, {}, b""
    first = stage.kept()
    stage.log_in()
    assert stage.kept()["access"] != first["access"]
    assert stage.unrevoked == "the revocation endpoint answered HTTP 503"


def test_of_a_login_that_is_over_nothing_is_left_to_revoke(small):
    stage, serving = small
    stage.log_in()
    ended = stage.kept() | {"refresh": None, "ends_at": 1.0}
    stage.backend.entries["mcpguard", f"oauth/{NAME}"] = json.dumps(ended)
    serving.metadata["revocation_endpoint"] = None
    stage.log_in()
    assert (stage.unrevoked, revoked(serving)) == ("", set())


def test_a_login_that_is_abandoned_revokes_nothing(small):
    stage, serving = small
    stage.log_in()
    assert "nobody logged in" in stage.refusal(look=lambda url: None, seconds=0.05)
    assert revoked(serving) == set()


def test_tokens_that_the_keychain_does_not_keep_are_revoked(small):
    stage, serving = small
    stage.backend.drops = True
    assert "was not stored by the keychain" in stage.refusal()
    assert revoked(serving) == {("refresh-0001", "refresh_token"), ("access-0001", "access_token")}


def test_a_logout_revokes_each_token_also_where_the_server_refuses_the_other(small):
    stage, serving = small
    stage.log_in()
    kept = stage.kept()
    serving.answers["/revoke"] = as_json({"error": "unsupported_token_type"}, 400)
    said = run(logout(NAME, None, stage.grants))
    assert said == "the revocation endpoint answered HTTP 400, `unsupported_token_type`"
    assert revoked(serving) == both_of(kept)


def test_a_damaged_login_can_be_logged_out(stage):
    stage.backend.set_password("mcpguard", f"oauth/{NAME}", "{")
    assert run(logout(NAME, None, stage.grants)) == "what was stored of it is damaged"
    assert ("mcpguard", f"oauth/{NAME}") not in stage.backend.entries


@pytest.mark.parametrize("issuer", ["https://a.example", "https://a.example/tenant", "https://a.example/b/c"])
def test_metadata_is_looked_for_where_the_sdk_looks(issuer):
    theirs = build_oauth_authorization_server_metadata_discovery_urls(issuer, "https://mcp.example/mcp")
    assert list(metadata_urls(issuer)[: len(theirs)]) == theirs


def test_the_metadata_of_a_resource_is_looked_for_where_the_sdk_looks(backend, tmp_path):
    places = [f"/.well-known/oauth-protected-resource{path}" for path in ("/told", "/mcp", "")]
    with hosted() as serving:
        told = f'Bearer resource_metadata="{serving.origin}{places[0]}"'
        serving.answers["/mcp"] = 401, {"WWW-Authenticate": told}, b""
        serving.answers |= {place: (404, {}, b"") for place in places}
        Stage(backend, tmp_path, serving.url).log_in()
        asked = [path for _, path, _, _ in serving.heard if "protected-resource" in path]
    assert asked == places
    assert build_protected_resource_metadata_discovery_urls(f"{serving.origin}{places[0]}", serving.url) == [
        f"{serving.origin}{place}" for place in places
    ]
