"""Threat: somebody without a good token, or with the token or the session of another, uses the HTTP front."""

import json
import os
import resource
import signal
import socket
from hashlib import sha256

import pytest

from mcpguard.adapters.transports.http.unverified import SAID
from tests.attack.issuer import Issuer, key_of
from tests.attack.test_bridge_attacks import ALLOW, CAN, QUESTION
from tests.attack.test_http_front import WAYS, untouched
from tests.servers.web import text
from tests.wire.http_session import META
from tests.wire.session import eventually, puppet
from tests.wire.warm import command


@pytest.fixture
def issuer():
    one = Issuer()
    yield one
    one.close()


@pytest.fixture
def guarded(serve, issuer):
    """A guard with two upstreams that wants tokens."""

    def begin(rules=None, **http):
        return serve({"a": puppet(), "b": puppet()}, rules, http={"token": issuer.entry, **http})

    return begin


def test_a_wrong_key_under_a_name_is_gone_at_a_sighup(guarded, issuer):
    """The examination's case (exam6a, 2): a restored backup of the issuer published another key for a moment."""
    key_of("another")
    issuer.owner = "another"
    guard = guarded()

    def status():
        return guard.post({}, authorization=issuer.bearer()).status

    eventually(lambda: status() == 401, "the wrong key")
    issuer.owner = "issuer"
    assert status() == 401
    guard.signal(signal.SIGHUP)
    eventually(lambda: status() == 400, "the right key")


# --- connections ---------------------------------------------------------------------------------

SILENT = int(os.environ.get("MCPGUARD_SILENT_CONNECTIONS", "150"))
"""So many silent connections are there at once, and twice as many are renewed."""


def test_silent_connections_keep_nobody_with_a_token_out(serve, issuer):
    """The examination's case (G3): silent connections without a token, renewed; then a good token comes."""
    few = {resource.RLIMIT_NOFILE: 200} if SILENT <= 200 else None
    guard = serve({"a": puppet()}, http={"token": issuer.entry}, ulimits=few)
    client = guard.modern(authorization=issuer.bearer("ada"))
    silent = []
    for turn in range(3):
        silent += [socket.create_connection(("127.0.0.1", guard.port)) for _ in range(SILENT)]
        for n in range(7):
            assert client.text("echo", text=f"{turn}.{n}") == f"{turn}.{n}"  # Each on a new connection.
        assert guard.open("GET", "/livez").body() == b"ok"
        for one in silent[:-SILENT]:
            one.close()
        del silent[:-SILENT]
    for one in silent:
        one.close()
    assert guard.stderr.count(SAID.encode()) == 1
    assert b"too many open files" not in guard.stderr


# --- tokens --------------------------------------------------------------------------------------


def test_refused_tokens_are_seen_in_every_place_where_an_operator_looks(serve, issuer):
    guard = serve({"a": puppet()}, http={"token": issuer.entry}, telemetry={"metrics": True})
    good = {"authorization": issuer.bearer("ada")}
    forged = {kind: value for kind, value in issuer.forged().items() if value is not None}
    for value in forged.values():
        assert WAYS["POST /mcp"](guard, authorization=value).status == 401
    guard.wait_stderr("1 request with a bearer token was refused: ")
    (noticed,) = eventually(
        lambda: [one for one in guard.records("notice") if one["what"] == "tokens-refused"],
        "the record of it",
    )
    assert noticed["detail"].endswith("; from 127.0.0.1 (1)")
    told = guard.open("GET", "/readyz", **good).json()["needs"]["tokens"]
    assert told["ok"]
    assert told["warning"] == "requests with bearer tokens that are not accepted come in"
    page = guard.open("GET", "/metrics", **good).body().decode().splitlines()
    assert f"mcpguard_refused_tokens_total {len(forged)}" in page
    guard.signal(signal.SIGTERM)
    guard.wait_stderr(f"{len(forged) - 1} requests with bearer tokens were refused in the last minute: ")


def test_no_token_but_a_good_one_opens_anything_and_none_is_quoted(guarded, issuer):
    guard = guarded()
    for kind, value in issuer.forged().items():
        answer = WAYS["POST /mcp"](guard, authorization=value)
        assert answer.status == 401, kind
        challenge = answer.header("www-authenticate")
        assert challenge.startswith("Bearer resource_metadata="), kind
        said = challenge + answer.body().decode() + guard.stderr.decode()
        assert value is None or value.split()[-1] not in said or value == "Bearer", kind
    assert untouched(guard)
    for way in ("GET /mcp", "DELETE /mcp", "GET /sse", "POST /messages"):
        assert WAYS[way](guard).status == 401, way


def test_a_good_token_gives_the_principal_on_record(guarded, issuer):
    guard = guarded()
    claims = {"name": "admin", "version": "1", "sub": "root"}
    client = guard.modern(authorization=issuer.bearer("ada"))
    answer = client.open("tools/call", _meta={META + "clientInfo": claims, "sub": "root"},
                         name="a__echo", arguments={"text": "x", "principal": "root"}).answer()  # fmt: skip
    assert answer["result"]["content"][0]["text"] == "x"
    assert guard.legacy(authorization=issuer.bearer("bob")).text("b__echo", text="y") == "y"
    assert {one["principal"] for one in guard.records("decision")} == {
        f"{issuer.url}:ada",
        f"{issuer.url}:bob",
    }


def test_who_acts_for_whom_is_on_record_as_the_token_says_and_claims_stand_apart(guarded, issuer):
    guard = guarded()
    token = f"Bearer {issuer.token(sub='ada', act={'sub': 'bot-7'})}"
    meta = {META + "clientInfo": {"name": "admin", "version": "1"}, "act": {"sub": "root"}, "human": "root"}
    client = guard.modern(authorization=token)
    client.open("tools/call", _meta=meta, name="a__echo", arguments={"text": "x"}).answer()
    (one,) = [one for one in guard.records("decision") if one.get("tool") == "echo"]
    assert (one["human"], one["actor"], one["client"]) == (f"{issuer.url}:ada", "bot-7", "admin/1")
    assert "root" not in {one.get(key) for one in guard.records("decision") for key in ("human", "actor")}


def test_it_is_on_record_which_token_a_call_came_with(guarded, issuer):
    guard = guarded()
    tokens = [issuer.token(sub="ada", jti=name) for name in ("t-1", None)]
    client = guard.legacy(authorization=f"Bearer {tokens[0]}")
    assert client.text("a__echo", text="x") == "x"
    client.headers["authorization"] = f"Bearer {tokens[1]}"
    assert client.text("a__echo", text="y") == "y"
    calls = [one for one in guard.records("decision") if one.get("tool") == "echo"]
    digest = f"sha256:{sha256(tokens[1].encode()).hexdigest()[:16]}"
    assert [one["token"] for one in calls] == ["t-1", digest]
    assert {one["session"] for one in calls} == {calls[0]["session"]}
    for one in calls:
        found = command(
            "audit", "query", f'token == "{one["token"]}"', "--json", "--config", str(guard.config)
        )
        asked = json.loads(found.stdout)["calls"]
        tools = [call["id"] for call in asked if call["tool"]["name"]]
        assert tools == [one["id"]]
    story = command("audit", "show", calls[0]["id"], "--config", str(guard.config)).stdout.decode()
    assert "asked for it: the verified token t-1 says who that is." in " ".join(story.split())


def test_rules_decide_by_the_subject_of_the_token_alone(guarded, issuer):
    rules = [{"id": "ada", "effect": "allow", "tools": ["*"], "when": 'principal.id == "ada"'}]
    guard = guarded(rules)
    assert guard.modern(authorization=issuer.bearer("ada")).text("a__echo", text="x") == "x"
    eve = guard.modern(
        authorization=issuer.bearer("eve"), **{"x-principal": "ada", "x-forwarded-user": "ada"}
    )
    assert eve.call("a__echo", text="x")["error"]["message"] == "Unknown tool: a__echo"


def test_a_scope_that_is_missing_is_403_with_its_name(serve, issuer):
    guard = serve({"a": puppet()}, http={"token": {**issuer.entry, "scopes": ["mcp:use"]}})
    answer = WAYS["POST /mcp"](guard, authorization=issuer.bearer())
    assert answer.status == 403
    assert 'scope="mcp:use"' in answer.header("www-authenticate")
    good = "Bearer " + issuer.token(scope="other mcp:use")
    assert WAYS["POST /mcp"](guard, authorization=good).status == 200


def test_where_the_keys_cannot_be_fetched_nobody_gets_in(serve, issuer):
    good = issuer.bearer()
    issuer.close()
    guard = serve({"a": puppet()}, http={"token": issuer.entry})
    assert WAYS["POST /mcp"](guard, authorization=good).status == 503
    assert guard.open("GET", "/readyz").status == 503
    assert untouched(guard)


# --- the sessions of others ----------------------------------------------------------------------


def test_the_session_id_of_one_principal_is_of_no_use_to_another_or_to_nobody(guarded, issuer):
    guard = guarded()
    ada = guard.legacy(authorization=issuer.bearer("ada"))
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for who, status in ((issuer.bearer("bob"), 404), (None, 401)):
        about = {"mcp-session-id": ada.key, "authorization": who}
        assert guard.post(message, **about).status == status
        assert guard.open("GET", accept="text/event-stream", **about).status == status
        assert guard.open("DELETE", **about).status == status
    assert ada.text("a__echo", text="still mine") == "still mine"
    assert {one["principal"] for one in guard.records("decision")} == {f"{issuer.url}:ada"}


def test_an_sse_session_of_one_principal_takes_no_message_of_another(guarded, issuer):
    guard = guarded()
    stream = guard.open("GET", "/sse", accept="text/event-stream", authorization=issuer.bearer("ada"))
    stream.response.readline()
    path = stream.response.readline().split(b"data: ")[1].strip().decode()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    for who, status in ((issuer.bearer("bob"), 404), (None, 401), (issuer.bearer("ada"), 202)):
        about = {"content-type": "application/json", "authorization": who}
        assert guard.open("POST", path, body, **about).status == status


def test_two_principals_share_no_upstream_and_no_state_of_a_suspended_call(guarded, issuer):
    guard = guarded(ALLOW)
    ada, bob = (guard.modern(capabilities=CAN, authorization=issuer.bearer(name)) for name in ("ada", "bob"))
    pids = {client.text("a__act", code="answer = text(str(os.getpid()))") for client in (ada, bob)}
    assert len(pids) == 2
    code = f"got = ask('elicitation/create', **{QUESTION!r}); answer = text(json.dumps(got['result']))"
    asked = ada.call("a__act", code=code)["result"]
    given = {key: {"action": "decline"} for key in asked["inputRequests"]}
    back = {
        "inputResponses": given,
        "requestState": asked["requestState"],
        "name": "a__act",
        "arguments": {"code": code},
    }
    assert bob.ask("tools/call", **back)["error"]["code"] == -32602
    assert json.loads(ada.ask("tools/call", **back)["result"]["content"][0]["text"]) == {"action": "decline"}


# --- what goes no further ------------------------------------------------------------------------


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])
def test_the_clients_authorization_never_reaches_an_upstream(
    guarded, serve, issuer, upstream, tmp_path, modern
):
    stage = upstream(
        lambda heard, reply: reply.json(heard.answer({"resultType": "complete", **text("x")})), modern=modern
    )
    log = tmp_path / "seen"
    servers = {"web": stage.entry(), "stdio": puppet("--log", str(log))}
    guard = serve(servers, http={"token": issuer.entry})
    good = issuer.bearer()
    about = {"authorization": good, "cookie": "c=1", "x-api-key": "k-1", "forwarded": "for=me"}
    for client in (guard.modern(**about), guard.legacy(**about)):
        assert client.text("web__act") == "x"
        assert client.text("stdio__echo", text="x") == "x"
        assert good.split()[1] not in client.text("stdio__act", code="answer = text(json.dumps(environ))")
    mine = {"authorization", "cookie", "x-api-key", "forwarded", "origin"}
    assert stage.heard
    assert [one.headers for one in stage.heard if mine & one.headers.keys()] == []
    seen = log.read_bytes() + guard.audit_bytes + guard.stderr
    assert good.split()[1].encode() not in seen
