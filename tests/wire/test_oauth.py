"""A client, `mcpguard run`, and an MCP server that wants an OAuth token, all real: the server is the SDK's."""

import json
import signal
import threading

import pytest

from tests.adapters.credentials.oauth.oauth_command import keychain, run_login
from tests.servers.authority import authority
from tests.servers.hosted import DEADLINE, as_json, hosted
from tests.wire.session import eventually, write_config

ENTRY = {"linear": {"oauth": {}, "servers": ["web"]}}
KEPT = "mcpguard-oauth-linear"


def entry_of(server, credential="linear"):
    """A server of the configuration that gets a token."""
    headers = {"Authorization": f"Bearer ${{credential:{credential}}}"}
    return {"type": "http", "url": server.url, "headers": headers}


@pytest.fixture
def server():
    with authority() as serving:
        yield serving


@pytest.fixture
def guarded(session, tmp_path, server):
    """`guarded(login=True, ...)`: somebody logged in, and mcpguard serves with it."""

    def begin(login=True, kept=None, entry=ENTRY):
        web = entry_of(server)
        environment = keychain(tmp_path / "keys")
        if login:
            config = write_config(tmp_path, {"web": web}, credentials=entry)
            code, said = run_login(config, environment)
            assert code == 0, said
        if kept is not None:
            path = tmp_path / "keys" / KEPT
            path.write_text(json.dumps(json.loads(path.read_text()) | kept))
        return session({"web": web}, env=environment, credentials=entry)

    return begin


def of_keychain(tmp_path):
    return json.loads((tmp_path / "keys" / KEPT).read_text())


def test_a_call_goes_out_with_the_token_of_the_login(guarded, server, tmp_path):
    guard = guarded()
    assert guard.text("whoami") == "ada"
    kept = of_keychain(tmp_path)
    assert server.provider.access.keys() == {kept["access"]}
    assert guard.records("decision")[0]["credentials"] == ["credential:linear"]


def test_a_token_that_is_nearly_over_is_renewed_before_it_goes_out(guarded, server, tmp_path):
    guard = guarded(kept={"renew_at": 1, "ends_at": 2})
    assert guard.text("whoami") == "ada"
    assert len(server.provider.spent) == 1
    assert of_keychain(tmp_path)["refresh"] in server.provider.refresh


def test_without_a_login_the_call_is_refused_and_says_what_to_run(guarded, tmp_path):
    guard = guarded(login=False)
    error = guard.call("whoami")["error"]
    advice = f"run `mcpguard secret login linear --config {tmp_path / 'mcpguard.yaml'}`"
    assert advice in error["message"]
    assert (guard.decided()["effect"], guard.decided()["cause"]) == ("deny", "unavailable")


def test_a_grant_that_was_taken_back_is_refused_and_says_what_to_run(guarded, server):
    server.provider.seconds = 60
    guard = guarded(kept={"renew_at": 1, "ends_at": 2})
    server.provider.end_everything()
    assert "run `mcpguard secret login linear --config " in guard.call("whoami")["error"]["message"]


def test_a_token_that_the_server_refuses_is_renewed_once_and_the_call_made(guarded, server, tmp_path):
    guard = guarded()
    assert guard.text("whoami") == "ada"
    before = of_keychain(tmp_path)
    server.provider.forget_access()
    assert guard.text("whoami") == "ada"
    after = of_keychain(tmp_path)
    assert after["access"] != before["access"]
    assert after["refresh"] != before["refresh"]
    assert (len(server.provider.spent), server.provider.reused) == (1, 0)


def test_a_login_that_is_ended_while_serving_refuses_the_next_call_and_a_new_one_serves_again(
    guarded, server, tmp_path
):
    guard = guarded()
    assert guard.text("whoami") == "ada"
    server.provider.end_everything()
    assert "run `mcpguard secret login linear --config " in str(guard.call("whoami"))
    code, said = run_login(guard.config, keychain(tmp_path / "keys"))
    assert code == 0, said

    def answered():
        return "ada" in str(guard.call("whoami"))

    assert eventually(answered, "the new login")


def test_a_server_that_takes_no_token_at_all_costs_one_renewal_a_call_at_most(session, tmp_path):
    with hosted() as serving:
        web = entry_of(serving)
        environment = keychain(tmp_path / "keys")
        config = write_config(tmp_path, {"web": web}, credentials=ENTRY)
        assert run_login(config, environment)[0] == 0
        guard = session({"web": web}, env=environment, credentials=ENTRY)
        assert guard.text("act") == "hello"
        serving.issued.clear()
        serving.tokens = lambda: {**refused_tokens(), "refresh_token": "refresh-stays"}
        for _ in range(3):
            assert "HTTP 401" in str(guard.call("act"))
        renewals = [form for _, path, _, form in serving.heard if form.get("grant_type") == "refresh_token"]
    assert 1 <= len(renewals) <= 3  # And one in ten seconds: KeptCredential.refused.


@pytest.mark.parametrize("ends", ["its client goes", "a signal"])
def test_a_rotated_refresh_token_that_arrives_while_mcpguard_ends_is_kept(session, tmp_path, ends):
    came, go = threading.Event(), threading.Event()
    with hosted() as serving:
        web = entry_of(serving)
        environment = keychain(tmp_path / "keys")
        config = write_config(tmp_path, {"web": web}, credentials=ENTRY)
        assert run_login(config, environment)[0] == 0
        before = of_keychain(tmp_path)
        (tmp_path / "keys" / KEPT).write_text(json.dumps(before | {"renew_at": 1, "ends_at": 2}))

        def slow():
            came.set()
            assert go.wait(DEADLINE)
            return as_json(serving.tokens())

        serving.answers["/token"] = slow
        guard = session({"web": web}, env=environment, credentials=ENTRY)
        guard.request("tools/call", {"name": "act", "arguments": {}})
        assert came.wait(DEADLINE)
        if ends == "a signal":
            guard.signal(signal.SIGTERM)
        else:
            guard.process.stdin.close()
        assert eventually(lambda: guard.records("outcome"), "the end of the call")
        go.set()
        guard.wait()
        after = of_keychain(tmp_path)
    assert after["refresh"] != before["refresh"]


def refused_tokens():
    return {"access_token": "access-refused", "token_type": "Bearer", "expires_in": 3600}


def test_a_service_gets_its_own_token_and_it_is_asked_for_once(session, tmp_path, server, monkeypatch):
    secret = tmp_path / "client"
    secret.write_text("client-secret-1234")
    secret.chmod(0o600)
    made = {
        "token_url": f"{server.origin}/machine/token",
        "client_id": "ours",
        "client_secret": f"${{file:{secret}}}",
    }
    entry = {"warehouse": {"client_credentials": made, "servers": ["web"]}}
    web = entry_of(server, "warehouse")
    guard = session({"web": web}, credentials=entry)
    guard.call("whoami")  # The SDK's server does not know tokens of services, and says so.
    assert [form["grant_type"] for form, _ in server.machine_requests][:1] == ["client_credentials"]
