"""Threat: what a login and its tokens are made of comes out somewhere (laws 2 and 3)."""

import json
from pathlib import Path

import pytest

from tests.adapters.credentials.oauth.oauth_command import keychain, run_login
from tests.attack.processes import needs_proc
from tests.attack.test_leaks import assert_clean, leaks
from tests.servers.forms import forms
from tests.servers.hosted import as_json, hosted
from tests.wire.session import write_config
from tests.wire.warm import command

MARK = "Zk9f8E7d6C5b4A3z2Y1x0Wq"
CLIENT = "c1ientS3cret-p0o9I8u7Y6t5R4e3W2q1"
CODE = "c0de-m9N8b7V6c5X4z3L2k1J0h"
ENTRY = {"linear": {"oauth": {}, "servers": ["web"]}}


@pytest.fixture
def serving():
    with hosted(token_endpoint_auth_methods_supported=["client_secret_post"]) as serving:
        serving.mark, serving.code = MARK, CODE
        serving.client = {
            "client_secret": CLIENT,
            "token_endpoint_auth_method": "client_secret_post",
        }
        yield serving


@pytest.fixture
def place(tmp_path, serving):
    return Place(tmp_path, serving)


class Place:
    """A configuration, a keychain, and all that the processes of a test say."""

    def __init__(self, folder, serving):
        self.folder = folder
        self.serving = serving
        headers = {"Authorization": "Bearer ${credential:linear}"}
        self.web = {"type": "http", "url": serving.url, "headers": headers}
        self.environment = keychain(folder / "keys")
        self.config = write_config(folder, {"web": self.web}, credentials=ENTRY)

    def log_in(self, during=None):
        """The code and the words of a login."""
        return run_login(self.config, self.environment, during=during)

    def secrets(self):
        """Everything that the server gave or was shown, by what it is."""
        found = {"code": CODE, "client secret": CLIENT}
        for n in range(1, self.serving.count + 1):
            found[f"access {n}"] = f"access-{n:04}{MARK}"
            found[f"refresh {n}"] = f"refresh-{n:04}{MARK}"
        for _, path, _, form in self.serving.heard:
            if path == "/token" and "code_verifier" in form:
                found["verifier"] = form["code_verifier"]
        return found

    def assert_silent(self, said):
        """Nothing of any secret in these bytes."""
        assert {name for name, value in self.secrets().items() if leaks(said.encode(), value)} == set()

    def command(self, *words):
        """All that a command says."""
        done = command(*words, "--config", str(self.config), environment=self.environment)
        return (done.stdout + done.stderr).decode()

    def written(self):
        """All that is on the disk besides the keychain."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join(
            path.read_bytes().decode(errors="replace")
            for path in files
            if path.parent != self.folder / "keys"
        )


@needs_proc
def test_a_login_shows_nothing_in_its_words_its_argv_its_environment_or_on_the_disk(place):
    seen = []

    def look(pid):
        for name in ("cmdline", "environ"):
            try:
                seen.append(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"))
            except PermissionError:
                pass  # mcpguard's own process is closed.

    code, said = place.log_in(look)
    assert code == 0
    assert place.secrets().keys() >= {"verifier", "access 1", "refresh 1"}
    place.assert_silent(said + "".join(seen) + place.written())


EVERYTHING = json.dumps({"error": "invalid_grant", "error_description": " ".join([MARK, CLIENT, CODE])})
BAD = {
    "a refusal that quotes": (400, {"Content-Type": "application/json"}, EVERYTHING.encode()),
    "a code that quotes": as_json({"error": f"x {CODE} {CLIENT}"}, 400),
    "a page that quotes": (500, {"Content-Type": "text/html"}, EVERYTHING.encode()),
    "a redirect that quotes": (302, {"Location": f"https://evil.example/{CODE}/{CLIENT}"}, b""),
    "headers that quote": (401, {"WWW-Authenticate": f'Bearer error="{CODE}"', "X-A": CLIENT}, b""),
    "a token type that quotes": as_json({"token_type": CODE, "access_token": f"access-9999{MARK}"}),
    "a life that quotes": as_json(
        {"token_type": "bearer", "access_token": f"access-9999{MARK}", "expires_in": CODE}
    ),
    "a token that no header carries": as_json({"token_type": "bearer", "access_token": f"{MARK}\n{CODE}"}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_server_that_quotes_secrets_in_its_refusals_is_not_quoted(place, case):
    place.serving.answers["/token"] = BAD[case]
    code, said = place.log_in()
    assert code == 2
    assert said.splitlines()[-1].startswith("mcpguard: credential:linear: the token endpoint")
    for value in (MARK, CODE, CLIENT):
        assert leaks(said.encode(), value) == set()


@pytest.mark.parametrize("case", BAD)
def test_a_renewal_that_fails_quotes_nothing_to_the_client_or_in_evidence(place, session, case):
    assert place.log_in()[0] == 0
    age(place)
    place.serving.answers["/token"] = BAD[case]
    guard = session({"web": place.web}, env=place.environment, credentials=ENTRY)
    assert "credential:linear" in guard.call("act")["error"]["message"]
    for value in (MARK, CODE, CLIENT, *place.secrets().values()):
        assert_clean(guard, value)


def age(place):
    """Make the token that is kept one that is over."""
    path = place.folder / "keys" / "mcpguard-oauth-linear"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"renew_at": 1, "ends_at": 2}))


@pytest.mark.parametrize("renewed", [False, True], ids=["as logged in", "renewed"])
def test_a_server_that_gives_its_tokens_away_gives_none_to_the_client(place, session, renewed):
    assert place.log_in()[0] == 0
    if renewed:
        age(place)
    n = 2 if renewed else 1
    held = [f"access-{n:04}{MARK}", f"refresh-{n:04}{MARK}", CLIENT]
    place.serving.say = lambda token: " ".join(form for value in held for form in forms(value))
    guard = session({"web": place.web}, env=place.environment, credentials=ENTRY)
    guard.call("act")
    for value in held:
        assert_clean(guard, value)
    assert place.serving.count == n
    assert held[0] in [headers.get("Authorization", "")[7:] for _, _, headers, _ in place.serving.heard]


def test_commands_that_look_at_a_credential_show_nothing_of_it(place):
    assert place.log_in()[0] == 0
    for words in (
        ("secret", "check"),
        ("secret", "check", "--json"),
        ("check",),
        ("secret", "logout", "linear"),
    ):
        place.assert_silent(place.command(*words))


def test_the_refresh_token_and_the_client_secret_never_go_to_the_mcp_server(place, session):
    assert place.log_in()[0] == 0
    age(place)
    guard = session({"web": place.web}, env=place.environment, credentials=ENTRY)
    guard.call("act")
    shown = [str(headers) for _, path, headers, _ in place.serving.heard if path == "/mcp"]
    assert shown
    for name, value in place.secrets().items():
        if not name.startswith("access"):
            assert not any(value in one for one in shown)
    assert not any(f"access-0001{MARK}" in one for one in shown)
