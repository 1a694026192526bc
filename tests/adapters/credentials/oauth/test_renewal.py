"""`oauth`: the token of a login, renewed before its end and once it was refused."""

import json
import subprocess
import sys
from pathlib import Path

import keyring.errors
import pytest

from mcpguard.adapters.credentials import MINTS
from mcpguard.adapters.credentials.kept import KeptCredential
from mcpguard.adapters.credentials.oauth import grants
from mcpguard.core.errors import CredentialError
from tests.adapters.credentials.fake_credentials import FakeGuard
from tests.adapters.credentials.file_keyring import FileKeyring
from tests.adapters.credentials.oauth.oauth_stage import NAME, SECRETS, Stage, unusable
from tests.servers.authority import DEADLINE, authority
from tests.servers.hosted import as_json, hosted

LOGIN = f"run `mcpguard secret login {NAME}`"
ROOT = Path(__file__).parents[4]


@pytest.fixture
def server():
    with authority() as serving:
        yield serving


@pytest.fixture
def stage(server, backend, tmp_path):
    stage = Stage(backend, tmp_path, server.url)
    stage.log_in()
    return stage


@pytest.fixture
def small(backend, tmp_path):
    """The same in front of a server whose answers a test can change."""
    with hosted() as serving:
        stage = Stage(backend, tmp_path, serving.url)
        stage.log_in()
        yield stage, serving


def renewals(serving):
    return [form for _, path, _, form in serving.heard if path == "/token" and "refresh_token" in form]


def test_without_a_login_the_sentence_says_to_log_in(backend, tmp_path):
    stage = Stage(backend, tmp_path, "https://mcp.example/mcp")
    assert unusable(stage.mint()) == f"credential:{NAME}: nobody has logged in yet: {LOGIN}"


def test_the_token_of_the_login_is_given_until_shortly_before_its_end(stage, server):
    mint = stage.mint()
    lease = mint.lease()
    assert lease.secret.reveal() == stage.kept()["access"]
    assert 3500 < lease.seconds < 3610
    stage.clock.at += 3400
    assert mint.lease().secret.reveal() == stage.kept()["access"]
    assert mint.renew(lease) is None
    assert lease.end is None


def test_it_is_renewed_before_its_end_and_the_rotated_refresh_token_is_kept_first(stage, server):
    before = stage.kept()
    stage.clock.at += 3500
    lease = stage.mint().lease()
    after = stage.kept()
    assert lease.secret.reveal() == after["access"] != before["access"]
    assert after["refresh"] != before["refresh"]
    assert [one.reveal() for one in lease.parts] == [after["refresh"], after["client_secret"]]
    assert server.provider.reused == 0


def test_a_refused_token_is_renewed_once_and_the_next_one_is_good(stage, server):
    mint = stage.mint()
    first = mint.lease().secret.reveal()
    mint.refused()
    second = mint.lease().secret.reveal()
    assert second != first
    assert second in server.provider.access
    assert mint.lease().secret.reveal() == second


def test_a_token_that_another_process_renewed_is_taken_as_it_is(stage, server):
    ours, theirs = stage.mint(), stage.mint()
    ours.lease()
    theirs.lease()
    ours.refused()
    theirs.refused()
    renewed = theirs.lease().secret.reveal()
    assert ours.lease().secret.reveal() == renewed
    assert len(server.provider.spent) == 1


def test_two_processes_at_once_never_use_a_refresh_token_twice(server, backend, tmp_path):
    shared = Stage(FileKeyring(tmp_path), tmp_path, server.url)
    keyring.set_keyring(shared.backend)  # The fixture puts the former one back.
    shared.log_in()
    command = [
        sys.executable,
        "-m",
        "tests.adapters.credentials.oauth.oauth_renewing",
        str(tmp_path),
        server.url,
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        given = []
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            said, _ = process.communicate(timeout=3 * DEADLINE)
            assert process.returncode == 0
            given += said.split()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(given) == 20
    assert server.provider.reused == 0
    assert server.provider.dead == set()
    assert set(given) <= server.provider.access.keys()


def test_a_grant_that_was_revoked_says_to_log_in_and_the_server_is_left_alone_then(small):
    stage, serving = small
    serving.answers["/token"] = as_json({"error": "invalid_grant", "error_description": "x-said-x"}, 400)
    mint = stage.mint()
    mint.lease()
    mint.refused()
    for _ in range(3):
        said = unusable(mint)
        assert LOGIN in said
        assert "x-said-x" not in said
    assert len(renewals(serving)) == 1
    assert LOGIN in unusable(stage_after(stage, 4000))
    assert len(renewals(serving)) == 1


def stage_after(stage, seconds):
    stage.clock.at += seconds
    return stage.mint()


def test_a_grant_that_the_sdks_server_took_back_says_to_log_in(stage, server):
    server.provider.end_everything()
    mint = stage.mint()
    mint.lease()
    mint.refused()
    assert LOGIN in unusable(mint)
    stage.log_in()
    assert mint.lease().secret.reveal() == stage.kept()["access"]


def test_a_client_that_the_server_forgot_says_to_log_in_and_that_makes_a_new_one(stage, server):
    server.provider.clients.clear()
    assert LOGIN in unusable(stage_after(stage, 4000))
    stage.log_in()
    stage.mint().lease()


@pytest.mark.parametrize(
    "answer",
    [
        (503, {}, b""),
        (302, {"Location": "https://evil.example/"}, b""),
        as_json({"error": "temporarily_unavailable"}, 400),
    ],
)
def test_a_token_that_cannot_be_renewed_serves_until_its_end_and_then_no_longer(small, answer):
    stage, serving = small
    serving.answers["/token"] = answer
    old = stage.kept()["access"]
    stage.clock.at += 3500
    lease = stage.mint().lease()
    assert lease.secret.reveal() == old
    assert 0 < lease.seconds <= 100
    said = unusable(stage_after(stage, 200))
    assert (
        f"the token endpoint answered{' with a redirect (' if answer[0] == 302 else ' '}HTTP {answer[0]}"
        in said
    )
    assert "evil" not in said
    assert stage.kept()["access"] == old


def test_a_refused_token_that_cannot_be_renewed_is_not_given_again(small):
    stage, serving = small
    mint = stage.mint()
    mint.lease()
    serving.answers["/token"] = (503, {}, b"")
    mint.refused()
    assert "HTTP 503" in unusable(mint)


def test_without_a_new_refresh_token_the_old_one_serves_on(small):
    stage, serving = small
    kept = stage.kept()["refresh"]
    serving.answers["/token"] = lambda: as_json(
        {key: value for key, value in serving.tokens().items() if key != "refresh_token"}
    )
    stage_after(stage, 3500).lease()
    stage_after(stage, 3500).lease()
    assert [form["refresh_token"] for form in renewals(serving)] == [kept, kept]
    assert stage.kept()["refresh"] == kept


UNUSABLE = [
    {"expires_in": 0},
    {"expires_in": [1]},
    {"token_type": None},
    {"token_type": "mac"},
    {"access_token": None},
    {"access_token": "a b c d e f"},
]


@pytest.mark.parametrize("changed", UNUSABLE)
def test_a_refresh_token_beside_an_unusable_access_token_is_kept_and_used_next(small, changed):
    stage, serving = small
    before = stage.kept()
    serving.answers["/token"] = lambda: as_json(serving.tokens() | changed)
    assert "the token endpoint returned" in unusable(stage_after(stage, 4000))
    rotated = stage.kept()["refresh"]
    assert stage.kept() == before | {"refresh": rotated}
    del serving.answers["/token"]
    stage.mint().lease()
    assert [form["refresh_token"] for form in renewals(serving)] == [before["refresh"], rotated]
    assert rotated != before["refresh"]


def test_a_refresh_token_beside_an_unusable_access_token_is_held_while_the_old_one_serves(small):
    stage, serving = small
    old = stage.kept()["access"]
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"expires_in": 0})
    lease = stage_after(stage, 3500).lease()
    assert lease.secret.reveal() == old
    assert [one.reveal() for one in lease.parts] == [stage.kept()["refresh"]]


def test_a_refresh_token_that_the_keychain_did_not_keep_is_still_the_one_that_is_used(small):
    stage, serving = small
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"expires_in": 0})
    mint = stage_after(stage, 4000)
    stage.backend.drops = True
    with pytest.raises(CredentialError, match="was not stored by the keychain"):
        mint.lease()
    stage.backend.drops = False
    del serving.answers["/token"]
    mint.lease()
    first, second = (form["refresh_token"] for form in renewals(serving))
    assert first != second


@pytest.mark.parametrize(
    "changed", [{"error": "server_error"}, {"refresh_token": "a b c d e f"}, {"refresh_token": None}]
)
def test_an_answer_that_gives_no_refresh_token_leaves_the_one_that_is_kept(small, changed):
    stage, serving = small
    before = stage.kept()
    serving.answers["/token"] = lambda: as_json(serving.tokens() | {"expires_in": 0} | changed)
    unusable(stage_after(stage, 4000))
    assert stage.kept() == before


def test_without_any_refresh_token_the_end_says_to_log_in(small):
    stage, serving = small
    serving.answers["/token"] = as_json({"access_token": "access-alone", "token_type": "bearer"})
    stage.log_in()
    lease = stage.mint().lease()
    assert (lease.seconds, lease.parts) == (None, ())
    mint = stage.mint()
    mint.lease()
    mint.refused()
    assert LOGIN in unusable(mint)


def test_a_renewal_goes_to_the_issuer_of_the_login_with_its_resource(small):
    stage, serving = small
    serving.metadata["token_endpoint"] = "https://evil.example/token"
    stage_after(stage, 3500).lease()
    (form,) = renewals(serving)
    assert form["resource"] == serving.url
    assert form["client_id"] == "registered"


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "https://other.example/mcp"},
        {"issuer": "https://other.example"},
        {"client_id": "another"},
        {"scopes": ("more",)},
    ],
)
def test_a_login_for_something_else_is_not_used(stage, changed):
    said = unusable(stage.mint(**changed))
    assert "the login is for a different url, issuer, client or scopes" in said
    assert LOGIN in said


@pytest.mark.parametrize("text", ["{", "{}", '"x"', json.dumps({"version": 2})])
def test_a_damaged_entry_says_to_log_in(stage, text):
    stage.backend.entries["mcpguard", f"oauth/{NAME}"] = text
    assert f"damaged: run `mcpguard secret login {NAME}`" in unusable(stage.mint())


def test_a_locked_keychain_is_its_own_error_and_nothing_is_renewed(small):
    stage, serving = small
    stage.backend.error = keyring.errors.KeyringLocked("x")
    with pytest.raises(Exception, match="the keychain is locked") as caught:
        stage_after(stage, 3500).lease()
    assert "login" not in str(caught.value)
    assert renewals(serving) == []


def test_a_keychain_that_does_not_keep_the_new_token_is_asked_again_before_the_token_is_given(small):
    stage, serving = small
    mint = stage_after(stage, 3500)
    stage.backend.drops = True
    with pytest.raises(Exception, match="was not stored by the keychain"):
        mint.lease()
    stage.backend.drops = False
    given = mint.lease()
    assert given.secret.reveal() == stage.kept()["access"]
    assert len(renewals(serving)) == 1


def test_what_the_keychain_did_not_keep_never_replaces_another_login(small):
    stage, _ = small
    mint = stage_after(stage, 3500)
    stage.backend.drops = True
    with pytest.raises(Exception, match="was not stored by the keychain"):
        mint.lease()
    stage.backend.drops = False
    stage.log_in()
    again = stage.kept()
    assert mint.lease().secret.reveal() == again["access"]
    assert stage.kept() == again


def over(stage):
    """A mint as the broker keeps it."""
    kind = MINTS["oauth"]
    return KeptCredential(
        f"credential:{NAME}", stage.mint(), kind.keep, 1.0, stage.clock, FakeGuard(), False, kind.look
    )


def test_a_logout_and_another_login_bite_on_the_next_use(small):
    stage, _ = small
    kept = over(stage)
    first = kept.get()
    stage.clock.at += 2
    assert kept.get() is first
    stage.log_in()
    stage.clock.at += 10
    assert kept.get().reveal() == stage.kept()["access"] != first.reveal()
    stage.grants.forget(NAME)
    stage.clock.at += 2
    with pytest.raises(CredentialError, match="nobody has logged in yet"):
        kept.get()
    assert kept.known is None


def test_a_keychain_that_is_locked_meanwhile_takes_no_token_away(small):
    stage, _ = small
    kept = over(stage)
    first = kept.get()
    stage.backend.error = keyring.errors.KeyringLocked("x")
    stage.clock.at += 3000
    assert kept.get() is first


def test_a_server_that_renews_nothing_is_not_asked_with_each_call_while_the_token_lasts(small):
    stage, serving = small
    kept = over(stage)
    first = kept.get()
    serving.answers["/token"] = as_json({"error": "temporarily_unavailable"}, 503)
    stage.clock.at += 3500
    for _ in range(5):
        assert kept.get().reveal() == first.reveal()
        stage.clock.at += 2
    assert len(renewals(serving)) == 1


def test_a_lock_that_another_process_keeps_is_a_clear_error(stage, monkeypatch):
    monkeypatch.setattr(grants, "LOCK_SECONDS", 0.0)
    with stage.grants.held(NAME):
        assert "the lock of its login is unavailable" in unusable(stage_after(stage, 3500))


def test_a_configured_client_secret_is_read_again_at_each_renewal(backend, tmp_path):
    with hosted(token_endpoint_auth_methods_supported=["client_secret_basic"]) as serving:
        stage = Stage(backend, tmp_path, serving.url, client_id="ours", client_secret="${env:client}")
        stage.log_in()
        stage_after(stage, 3500).lease()
    tokens = [headers for _, path, headers, _ in serving.heard if path == "/token"]
    assert len(tokens) == 2
    assert all(headers["Authorization"].startswith("Basic ") for headers in tokens)
    assert SECRETS["client"] not in json.dumps(stage.kept())


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_way_to_send_the_secret_of_a_login_can_be_configured(backend, tmp_path, method):
    more = {"client_id": "ours", "client_secret": "${env:client}", "client_auth": method}
    with hosted() as serving:
        stage = Stage(backend, tmp_path, serving.url, **more)
        stage.log_in()
        stage_after(stage, 3500).lease()
    tokens = [(headers, form) for _, path, headers, form in serving.heard if path == "/token"]
    assert len(tokens) == 2
    for headers, form in tokens:
        assert ("client_secret" in form) is (method == "client_secret_post")
        assert ("Authorization" in headers) is (method == "client_secret_basic")
