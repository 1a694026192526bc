"""Authorization servers and MCP servers that lie, lead elsewhere, say too much or answer anything."""

import pytest

from mcpguard.adapters.credentials.oauth.asking import (
    LIMIT,
    OAuthProblem,
    find_resource,
    find_server,
    named_hosts,
    usable,
)
from mcpguard.adapters.credentials.oauth.grants import LONGEST_SECONDS
from tests.adapters.credentials.oauth.oauth_stage import Stage
from tests.rows import each
from tests.servers.hosted import as_json, hosted

RESOURCE = "/.well-known/oauth-protected-resource/mcp"
SERVER = "/.well-known/oauth-authorization-server"
EVIL = "https://evil.example"
NO_METADATA = "the authorization server gives no usable metadata (RFC 8414):"


def paths(serving):
    return [path for _, path, _, _ in serving.heard]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"issuer": EVIL}, "the metadata is from a different issuer"),
        ({"issuer": None}, "the metadata is from a different issuer"),
        ({"issuer": "ORIGIN/"}, "the metadata is from a different issuer"),
        ({"issuer": "ORIGIN:80"}, "the metadata is from a different issuer"),
        ({"issuer": 1}, "the metadata is from a different issuer"),
        ({"token_endpoint": None}, "names no token endpoint"),
        (
            {"token_endpoint": "http://evil.example/token"},
            "`token_endpoint` of the authorization server is not",
        ),
        ({"token_endpoint": "file:///etc/passwd"}, "`token_endpoint` of the authorization server is not"),
        (
            {"token_endpoint": "https://a@evil.example/"},
            "`token_endpoint` of the authorization server is not",
        ),
        ({"token_endpoint": ["x"]}, "`token_endpoint` of the authorization server is not"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "`authorization_endpoint` of the authorization"),
        ({"authorization_endpoint": "https://x/\x1b[2J"}, "`authorization_endpoint` of the authorization"),
        ({"authorization_endpoint": None}, "has no authorization endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE with S256"),
        ({"code_challenge_methods_supported": None}, "PKCE with S256"),
        (
            {"token_endpoint_auth_methods_supported": ["tls_client_auth"]},
            "accepts none of none, client_secret",
        ),
    ],
)
def test_metadata_of_an_authorization_server_that_cannot_be_right_is_refused(stage, serving, changed, why):
    placed = changed.get("issuer")
    text = isinstance(placed, str)
    serving.metadata |= changed | ({"issuer": placed.replace("ORIGIN", serving.origin)} if text else {})
    said = stage.refusal()
    assert why in said
    assert "evil" not in said.replace(EVIL, "")
    assert "\x1b" not in said
    assert stage.shown == []
    assert "/token" not in paths(serving)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"resource": EVIL}, "is for another resource"),
        ({"resource": None}, "is for another resource"),
        ({"resource": "http://127.0.0.1:1/mcp"}, "is for another resource"),
        ({"resource": "http://[/"}, "is for another resource"),
        ({"resource": "ORIGIN/mcp?\x1b[2J"}, "is for another resource"),
        ({"resource": "ORIGIN/mc"}, "is for another resource"),
        ({"resource": "ORIGIN/mcp/more"}, "is for another resource"),
        ({"authorization_servers": []}, "lists no authorization server"),
        ({"authorization_servers": [1]}, "lists no authorization server"),
        ({"authorization_servers": ["http://evil.example"]}, "not at an https:// URL"),
        ({"authorization_servers": ["https://127.0.0.2"]}, "resolves to a private address"),
        ({"authorization_servers": ["https://169.254.169.254"]}, "resolves to a private address"),
        ({"authorization_servers": ["https://[::ffff:10.0.0.1]"]}, "resolves to a private address"),
        ({"authorization_servers": ["ftp://evil.example"]}, "not at an https:// URL"),
    ],
)
def test_metadata_of_an_mcp_server_that_leads_elsewhere_is_refused(stage, serving, changed, why):
    placed = changed.get("resource")
    serving.resource |= changed | ({"resource": placed.replace("ORIGIN", serving.origin)} if placed else {})
    said = stage.refusal()
    assert why in said
    assert "evil" not in said.replace(EVIL, "")
    assert "\x1b" not in said
    assert stage.shown == []
    assert "/register" not in paths(serving)


INSIDE = "https://169.254.169.254/x"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")


@pytest.mark.parametrize("key", ENDPOINTS)
@pytest.mark.parametrize("url", [INSIDE, "https://localhost/x", "https://[::ffff:10.0.0.1]/x"])
def test_an_endpoint_at_a_private_address_is_refused_before_the_browser_opens(stage, serving, key, url):
    serving.metadata[key] = url
    assert stage.refusal() == (
        f"the authorization server has a private address for `{key}` ({url}): only the hosts of `url` and "
        "`issuer` in the configuration may have one"
    )
    assert stage.shown == []
    assert "/register" not in paths(serving)


def test_all_endpoints_at_private_addresses_are_named_in_one_sentence(stage, serving):
    serving.metadata |= dict.fromkeys(ENDPOINTS, INSIDE)
    said = stage.refusal()
    assert ", ".join(f"`{key}` ({INSIDE})" for key in ENDPOINTS) in said


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..invalid", f"{'a' * 64}.invalid"])
def test_an_endpoint_whose_name_has_no_address_is_not_called_private(stage, serving, host):
    serving.metadata["revocation_endpoint"] = f"https://{host}/x"
    stage.log_in()


def never(_url):
    """A person who reads and does not log in."""


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"authorization_endpoint": f"{EVIL}/x"}, "evil.example, and the result goes to 127.0.0.1"),
        ({"token_endpoint": f"{EVIL}/x"}, "127.0.0.1, and the result goes to evil.example"),
        (
            {"authorization_endpoint": "https://Page.Example./", "token_endpoint": f"{EVIL}/x"},
            "page.example, and the result goes to 127.0.0.1 and evil.example",
        ),
    ],
)
def test_a_page_of_another_host_than_gets_the_answer_is_told_with_the_page(stage, serving, changed, where):
    serving.metadata |= changed
    stage.refusal(never, seconds=0.01)
    assert stage.cautions == [f"the login page is at {where}: log in only if these belong together"]


def test_nothing_is_told_of_a_server_at_one_host_or_that_must_name_itself(stage, serving):
    stage.log_in()
    more = {"authorization_endpoint": f"{EVIL}/x", "authorization_response_iss_parameter_supported": True}
    serving.metadata |= more
    stage.refusal(never, seconds=0.01)
    assert stage.cautions == ["", ""]


@pytest.mark.parametrize("host", ["a..invalid", f"{'a' * 64}.invalid"])
def test_an_endpoint_whose_host_cannot_be_looked_up_is_a_clear_error(stage, serving, host):
    serving.metadata["registration_endpoint"] = f"https://{host}/x"
    assert stage.refusal() == "the registration endpoint cannot be reached: its URL is not valid"


@pytest.mark.parametrize("place", ["http://evil.example/x", "https://10.0.0.1/x", "file:///x", "gopher://x"])
def test_a_challenge_that_leads_to_a_private_or_plain_place_is_not_followed(stage, serving, place):
    serving.answers["/mcp"] = 401, {"WWW-Authenticate": f'Bearer resource_metadata="{place}"'}, b""
    assert "the metadata of the MCP server" in stage.refusal()
    assert paths(serving) == ["/mcp"]


def test_the_configured_issuer_must_be_one_of_the_mcp_servers_own(backend, tmp_path, serving):
    stage = Stage(backend, tmp_path, serving.url, issuer="http://127.0.0.1:9")
    assert stage.refusal() == (
        "the MCP server does not list the configured `issuer` (http://127.0.0.1:9); "
        f"it lists {serving.issuer}"
    )


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (EVIL, EVIL),
        (None, "none stated"),
        (1, "not a URL"),
        ("Log in again", "not a URL"),
        (f"{EVIL}/{'a' * 200}", "not a URL"),
    ],
)
def test_what_does_not_match_is_named_beside_what_was_expected(stage, serving, found, named):
    serving.metadata["issuer"] = found
    assert (
        f"from a different issuer ({named}) than the one that was asked ({serving.issuer})" in stage.refusal()
    )
    serving.resource["resource"] = found
    said = f"for another resource ({named}) than the configured URL ({serving.url}), so"
    assert said in stage.refusal()


def test_the_configured_issuer_is_taken_among_several(backend, tmp_path, serving):
    serving.resource["authorization_servers"] = [EVIL, serving.issuer]
    Stage(backend, tmp_path, serving.url, issuer=serving.issuer).log_in()


def test_a_server_of_the_first_revision_is_its_own_authorization_server(stage, serving):
    serving.answers["/mcp"] = 401, {}, b""
    serving.answers[RESOURCE] = 404, {}, b""
    serving.metadata["issuer"] += "/"
    stage.log_in()
    assert stage.kept()["issuer"] == f"{serving.issuer}/"


def test_the_scope_of_a_challenge_is_asked_for(stage, serving):
    serving.answers["/mcp"] = (
        401,
        {"WWW-Authenticate": ["Negotiate", 'Basic x="y", Bearer scope="a b\x01 c"']},
        b"",
    )
    stage.log_in()
    assert "scope=a+c" in stage.shown[0]


def test_an_authorization_server_without_metadata_is_refused(stage, serving):
    serving.answers[SERVER] = 404, {}, b""
    assert stage.refusal() == (
        "the authorization server publishes no metadata (RFC 8414), so it cannot be used"
    )


def test_an_authorization_server_that_is_out_of_order_says_so(stage, serving):
    serving.answers[SERVER] = 503, {}, b""
    assert stage.refusal() == f"{NO_METADATA} it answered HTTP 503"


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        ("text/html; charset=utf-8", b"<html>", "an HTML page"),
        ("application/json", b"[]", "something else"),
        ("text/plain", b"{}", "something else"),
    ],
)
def test_metadata_that_is_not_json_is_told_from_none(stage, serving, kind, body, what):
    serving.answers[SERVER] = 200, {"Content-Type": kind}, body
    assert stage.refusal() == f"{NO_METADATA} it answered with {what} instead of a JSON object"


@pytest.mark.parametrize("changed", [{"issuer": "ORIGIN/other"}, {"code_challenge_methods_supported": None}])
def test_another_authorization_server_of_the_mcp_server_is_named_where_the_first_cannot_be_used(
    stage, serving, changed
):
    serving.resource["authorization_servers"] = [serving.issuer, "https://other.example", "\x1b[2J"]
    serving.metadata |= changed
    said = stage.refusal()
    assert said.endswith("; the MCP server also lists https://other.example: name one in `issuer`")
    stage.entry = type(stage.entry)(url=serving.url, issuer=serving.issuer)
    assert "also lists" not in stage.refusal()


@pytest.mark.parametrize("path", [RESOURCE, SERVER, "/register", "/token"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(stage, serving, path, status):
    serving.answers[path] = status, {"Location": f"{serving.origin}/stolen"}, b""
    serving.answers["/.well-known/openid-configuration"] = (
        status,
        {"Location": f"{serving.origin}/stolen"},
        b"",
    )
    if path == RESOURCE:
        serving.resource["authorization_servers"] = []
        stage.log_in()  # As if there were none: the server is its own.
    else:
        assert "stolen" not in stage.refusal()
    assert "/stolen" not in paths(serving)


@pytest.mark.parametrize("path", ["/register", "/token"])
@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "application/json"}, b"x" * (LIMIT + 1)),
        (200, {"Content-Type": "application/json"}, b"[" * 100_000),
        (200, {"Content-Type": "application/json"}, b'{"a": 1e999}'),
        (200, {"Content-Type": "application/json"}, b"\xff"),
        (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        (200, {"Content-Type": "text/html"}, b'{"access_token": "stolen-1234", "client_id": "stolen-1234"}'),
        as_json([]),
        as_json({}),
        as_json({"error": "stolen-1234"}, 400),
        as_json({"error": {"stolen-1234": 1}, "error_description": "stolen-1234"}, 400),
        as_json({"error": "invalid_grant", "error_description": "stolen-1234"}),
        (500, {}, b"stolen-1234"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_never_quoted(stage, serving, path, answer):
    serving.answers[path] = answer
    said = stage.refusal()
    assert path.strip("/").replace("register", "registration") + " endpoint" in said
    assert "stolen" not in said
    assert len(said) < 200


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"token_type": "mac"}, "returned no bearer token"),
        ({"token_type": None}, "returned no bearer token"),
        ({"token_type": "N_A"}, "returned no bearer token"),
        ({"access_token": None}, "returned no access token"),
        ({"access_token": ""}, "returned no access token"),
        ({"access_token": "short"}, "returned no access token"),
        ({"access_token": "a b c d e f"}, "returned no access token"),
        ({"access_token": "x\r\nX-Evil: 1"}, "returned no access token"),
        ({"access_token": "x" * 16385}, "returned no access token"),
        ({"refresh_token": "a\nb\nc\nd"}, "returned an invalid refresh token"),
        ({"refresh_token": 1}, "returned an invalid refresh token"),
        ({"expires_in": -1}, "`expires_in` is not a number above 0"),
        ({"expires_in": 0}, "`expires_in` is not a number above 0"),
        ({"expires_in": "0"}, "`expires_in` is not a number above 0"),
        ({"expires_in": "3600s"}, "`expires_in` is not a number above 0"),
        ({"expires_in": "٣"}, "`expires_in` is not a number above 0"),
        ({"expires_in": ""}, "`expires_in` is not a number above 0"),
        ({"expires_in": True}, "`expires_in` is not a number above 0"),
        ({"expires_in": [1]}, "`expires_in` is not a number above 0"),
    ],
)
def test_tokens_that_cannot_be_right_are_refused(stage, serving, changed, why):
    serving.answers["/token"] = lambda: as_json(serving.tokens() | changed)
    assert why in stage.refusal()


def test_a_life_that_is_a_number_in_quotes_is_taken(stage, serving):
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"expires_in": "600"})
    stage.log_in()
    assert 590 < stage.mint().lease().seconds <= 600


def test_a_life_without_measure_is_cut(stage, serving):
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"expires_in": 10**30, "scope": 7})
    stage.log_in()
    assert stage.mint().lease().seconds < LONGEST_SECONDS + 60


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"client_id": ""}, "returned no client id"),
        ({"client_id": 7}, "returned no client id"),
        ({"client_id": "a\nb"}, "returned no client id"),
        ({"client_id": "a", "client_secret": 7}, "returned no client secret"),
        (
            {"client_id": "a", "token_endpoint_auth_method": "client_secret_basic"},
            "returned no client secret",
        ),
        ({"client_id": "a", "token_endpoint_auth_method": "private_key_jwt"}, "was not requested"),
    ],
)
def test_a_registration_that_cannot_be_used_is_refused(stage, serving, body, why):
    serving.answers["/register"] = as_json(body, 201)
    assert why in stage.refusal()


def test_another_way_to_authenticate_than_was_asked_for_is_taken(stage, serving):
    method = {"token_endpoint_auth_method": "client_secret_basic", "client_secret": "s3cr:t/1234"}
    serving.answers["/register"] = as_json({"client_id": "a", **method}, 201)
    stage.log_in()
    headers = next(headers for _, path, headers, _ in serving.heard if path == "/token")
    assert headers["Authorization"] == "Basic YTpzM2NyJTNBdCUyRjEyMzQ="


def test_a_server_that_takes_no_connection_or_does_not_answer_is_a_clear_error(
    backend, tmp_path, monkeypatch
):
    with hosted() as serving:
        url = serving.url
    assert "the MCP server cannot be reached" in Stage(backend, tmp_path, url).refusal()


def test_a_server_that_does_not_answer_in_time_is_a_clear_error(stage, serving, monkeypatch):
    monkeypatch.setattr("mcpguard.adapters.credentials.oauth.asking.SECONDS", 0.05)
    import threading

    over = threading.Event()
    serving.answers["/mcp"] = lambda: (over.wait(20), (200, {}, b""))[1]
    assert "the MCP server did not answer within" in stage.refusal()
    over.set()


@each(
    "url",
    [
        None, 7, "", "x", "http://a.example/", "http://localhost/", "https://", "https://a:b@c/", "https://a/#f", "https://a:99999/",
        "https://[/", "https://ä.example/", "https://a/ b", "https://a/\n", "//a.example/", "https://" + "a" * 4097, "https://" + "a." * 128,
    ],
)  # fmt: skip
def test_a_url_that_no_credential_may_go_to(url):
    assert not usable(url, named_hosts("http://127.0.0.1/"))


@pytest.mark.parametrize(
    "url", ["https://a.example/x?y=z", "http://127.0.0.1:8/x", "https://127.0.0.1/", "http://[::1]/x"]
)
def test_a_url_that_a_credential_may_go_to(url):
    assert usable(url, named_hosts("http://127.0.0.1:8/", "http://[::1]:80/", None))


ANOTHER_PORT = (
    "is not at an https:// URL, and 127.0.0.1:9 is not that of `url` or `issuer` in the configuration"
)


@pytest.mark.parametrize("key", ENDPOINTS)
def test_what_listens_at_another_port_of_this_machine_is_not_asked(stage, serving, key):
    serving.metadata[key] = "http://127.0.0.1:9/x"
    assert stage.refusal() == f"`{key}` of the authorization server {ANOTHER_PORT}"
    serving.resource["authorization_servers"] = ["http://127.0.0.1:9"]
    assert stage.refusal() == f"the authorization server {ANOTHER_PORT}"
    told = 'Bearer resource_metadata="http://127.0.0.1:9/x"'
    serving.answers["/mcp"] = 401, {"WWW-Authenticate": told}, b""
    assert stage.refusal() == f"the metadata of the MCP server {ANOTHER_PORT}"


def test_an_authorization_server_at_another_port_is_used_where_the_configuration_names_it(
    backend, tmp_path, serving
):
    with hosted() as other:
        serving.resource["authorization_servers"] = [other.issuer]
        assert "is not that of `url` or `issuer`" in Stage(backend, tmp_path, serving.url).refusal()
        Stage(backend, tmp_path, serving.url, issuer=other.issuer).log_in()


@pytest.mark.anyio
async def test_a_loopback_server_that_the_configuration_does_not_name_is_not_asked():
    with pytest.raises(OAuthProblem, match="not at an https:// URL"):
        await find_server("http://127.0.0.1:1", frozenset({"mcp.example"}))
    with pytest.raises(OAuthProblem, match="not at an https:// URL"):
        await find_resource("http://127.0.0.1:1/mcp", frozenset())
