"""`mcpguard secret login` and `logout`: what a person sees."""

import pytest

from mcpguard.cli import main
from tests.adapters.credentials.oauth.oauth_command import keychain, run_login
from tests.servers.authority import authority
from tests.servers.hosted import hosted
from tests.wire import warm
from tests.wire.session import write_config


@pytest.fixture(scope="module")
def server():
    with authority() as serving:
        yield serving


def entry(**oauth):
    return {"linear": {"oauth": oauth, "servers": ["web"]}}


def configured(folder, url, credentials=None):
    headers = {"Authorization": "Bearer ${credential:linear}"}
    web = {"type": "http", "url": url, "headers": headers}
    return write_config(folder, {"web": web}, credentials=credentials or entry())


def command(config, environment, *words):
    done = warm.command("secret", *words, "--config", str(config), environment=environment)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_login_prints_the_page_and_ends_with_whose_token_it_has(server, tmp_path):
    config, environment = configured(tmp_path, server.url), keychain(tmp_path / "keys")
    code, said = run_login(config, environment)
    assert code == 0, said
    last = said.splitlines()[-1]
    whose = f"credential:linear has a token from {server.issuer} for {server.url}"
    assert last == f"logged in: {whose}, with the scopes tools"
    assert command(config, environment, "list")[0] == 2  # It takes no configuration.
    code, said = command(config, environment, "logout", "linear")
    assert (code, said) == (0, "logged out: credential:linear\n")
    code, said = command(config, environment, "logout", "linear")
    assert (code, "nothing to remove" in said) == (2, True)


def test_a_browser_is_opened_unless_it_is_not_wanted(server, tmp_path):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new\nmv {opened}.new {opened}\n')
    browser.chmod(0o700)
    environment = {**keychain(tmp_path / "keys"), "BROWSER": f"{browser} %s"}
    config = configured(tmp_path, server.url)

    def look(url):
        from tests.servers.authority import browse
        from tests.wire.session import eventually

        assert eventually(opened.exists, "the browser")
        assert opened.read_text().strip() == url
        browse(url)

    code, said = run_login(config, environment, look=look, words=())
    assert code == 0, said


def test_a_login_whose_answer_goes_to_another_host_says_so_before_the_page(tmp_path):
    with hosted(token_endpoint="https://evil.example/token") as serving:
        config, environment = configured(tmp_path, serving.url), keychain(tmp_path / "keys")
        words = ("--no-browser", "--timeout", "1")
        code, said = run_login(config, environment, look=lambda url: None, words=words)
    assert code == 2
    caution, page = said.index("before you log in: the login page is at 127.0.0.1,"), said.index("/authorize")
    assert caution < page


def test_a_logout_that_could_not_revoke_says_what_to_do(tmp_path):
    with hosted(revocation_endpoint=None) as serving:
        config, environment = configured(tmp_path, serving.url), keychain(tmp_path / "keys")
        assert run_login(config, environment)[0] == 0
    code, said = command(config, environment, "logout", "linear")
    assert code == 0
    assert "the token could not be revoked (the authorization server names no revocation endpoint)" in said


def test_another_login_says_where_the_one_before_could_not_be_revoked(tmp_path):
    with hosted(revocation_endpoint=None) as serving:
        config, environment = configured(tmp_path, serving.url), keychain(tmp_path / "keys")
        assert "revoke" not in run_login(config, environment)[1]
        code, said = run_login(config, environment)
    assert code == 0
    assert said.splitlines()[-3] == (
        "the earlier login could not be revoked (the authorization server names no revocation endpoint): "
        "revoke it in your account there"
    )


def test_a_logout_needs_no_configuration(tmp_path):
    with hosted() as serving:
        config, environment = configured(tmp_path, serving.url), keychain(tmp_path / "keys")
        assert run_login(config, environment)[0] == 0
        home = {**environment, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "none")}
        done = warm.command("secret", "logout", "linear", environment=home)
        assert (done.returncode, done.stdout) == (0, b"logged out: credential:linear\n"), done.stderr
        assert serving.issued == set()


def test_a_login_is_neither_removed_nor_replaced_as_a_value_and_what_is_damaged_is(server, tmp_path):
    config, environment = configured(tmp_path, server.url), keychain(tmp_path / "keys")
    assert run_login(config, environment)[0] == 0
    for words in (["rm", "oauth/linear"], ["set", "oauth/linear"]):
        done = warm.command("secret", *words, environment=environment)
        said = done.stderr.decode()
        assert (done.returncode, "run" in said) == (2, False)
        assert "`mcpguard secret logout linear` revokes and deletes it" in " ".join(said.split())
    (kept,) = (tmp_path / "keys").glob("*oauth-linear")
    kept.write_text("{")
    assert warm.command("secret", "rm", "oauth/linear", environment=environment).returncode == 0
    assert not kept.exists()


def test_a_login_that_fails_names_the_entry(tmp_path):
    with hosted(code_challenge_methods_supported=[]) as serving:
        config = configured(tmp_path, serving.url)
        code, said = run_login(config, keychain(tmp_path / "keys"))
    assert code == 2
    assert said.startswith(
        "mcpguard: credential:linear: the authorization server does not declare support for PKCE"
    )


def test_a_name_that_is_no_entry_with_oauth_is_said(server, tmp_path, capsys):
    other = {"linear": {"value": "${env:A}", "servers": ["web"]}}
    config = configured(tmp_path, server.url, other)
    for name in ("linear", "gone"):
        assert main(["secret", "login", name, "--config", str(config)]) == 2
        said = capsys.readouterr().err
        assert f"credential:{name} is not an entry with `oauth`" in said
        assert f"{config}: name another one with --config" in said


def test_a_time_that_is_none_is_refused(server, tmp_path, capsys):
    config = configured(tmp_path, server.url)
    for number in ("0", "-1", "nan", "soon"):
        assert main(["secret", "login", "linear", "--config", str(config), "--timeout", number]) == 2
        assert "must be a whole number from 1 to 86400" in capsys.readouterr().err


def test_a_configured_client_secret_is_used_and_a_missing_one_named(tmp_path):
    with hosted(token_endpoint_auth_methods_supported=["client_secret_post"]) as serving:
        own = {"issuer": serving.issuer, "client_id": "ours", "client_secret": "${env:LINEAR_CLIENT}"}
        config = configured(tmp_path, serving.url, entry(**own))
        environment = keychain(tmp_path / "keys")
        code, said = run_login(config, environment)
        assert (code, "env:LINEAR_CLIENT is not set" in said) == (2, True)
        code, said = run_login(config, {**environment, "LINEAR_CLIENT": "client-secret-1234"})
        assert code == 0, said
        (form,) = [form for _, path, _, form in serving.heard if path == "/token"]
    assert form["client_secret"] == "client-secret-1234"
