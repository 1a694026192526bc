"""How long credentials last, and what keeps them, as `mcpguard doctor` sees it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import keyring
import pytest
from msgspec import structs

from mcpguard.adapters.credentials import keychain
from mcpguard.adapters.credentials.oauth.grants import Grant, Grants
from mcpguard.authoring.findings import Finding
from mcpguard.cli.help import topics
from mcpguard.config.loading import Credential, Server
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import parse_template
from mcpguard.doctor import lifetime
from mcpguard.doctor.lifetime import SHORT_LIVED, source_for
from mcpguard.doctor.surroundings import CheckSubject, examined
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.doctor.machine import PHRASE, Machine, machine
from tests.doctor.scenes import jwt

Patch = pytest.MonkeyPatch
STATIC = "env: {A: '${env:A}'}"
MINTED = "\ncredentials:\n  c: {servers: [git], command: [mint]}\n"


@pytest.fixture
def made(backend: FakeKeyring) -> Iterator[Machine]:
    backend.set_password("mcpguard", "k", PHRASE)
    with machine() as one:
        yield one


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        ("{command: npx, args: [-y, '@modelcontextprotocol/server-github'], " + STATIC + "}", "github_app"),
        ("{command: sudo, env: {GITHUB_TOKEN: '${env:A}'}}", "github_app"),
        ("{url: 'https://api.githubcopilot.com/mcp/', headers: {Authorization: '${env:A}'}}", "github_app"),
        ("{command: uvx, args: [postgres-mcp], " + STATIC + "}", "postgres"),
        ("{url: 'https://mcp.linear.app/mcp', headers: {Authorization: 'Bearer ${env:A}'}}", "oauth"),
        ("{url: 'https://docs.mcp.cloudflare.com/sse', headers: {Authorization: '${env:A}'}}", "oauth"),
        ("{command: sudo, env: {AWS_SECRET_ACCESS_KEY: '${env:A}'}}", "command"),
    ],
)
def test_a_static_key_is_told_where_a_short_lived_one_can_be_had(
    server: str, kind: str, made: Machine
) -> None:
    made.configured(f"git: {server}")
    [told] = [one for one in made.diagnosed().findings if one.code == "D301"]
    assert (f"`{kind}`" in told.message, told.line) == (True, 3)
    pages, topic = topics(), re.findall(r"mcpguard help ([a-z-]+)", told.fix)[0]
    assert f"{kind}:" in pages[topic].read_text()


@pytest.mark.parametrize(
    "server",
    [
        "{command: sudo, " + STATIC + "}",
        "{command: npx, args: [server-github]}",
        "{url: 'https://mcp.linear.app.evil.example/mcp', headers: {Authorization: '${env:A}'}}",
        "{url: 'https://xmcp.cloudflare.com/mcp', headers: {Authorization: '${env:A}'}}",
        "{url: 'https://${env:A}/mcp', headers: {Authorization: '${env:A}'}}",
        "{command: npx, args: [server-github], disabled: true, " + STATIC + "}",
    ],
)
def test_a_server_for_which_nothing_better_is_known_is_not_told(server: str, made: Machine) -> None:
    made.configured(f"a: {server}\n  b: {{command: b}}")
    assert "D301" not in made.codes()


def test_a_server_at_an_address_that_is_none_is_not_told() -> None:
    url = parse_template("https://[${env:A}/mcp")
    assert source_for(Server(name="a", url=url), {}) is None


def test_vault_is_told_where_it_is_at_hand(made: Machine) -> None:
    made.configured("git: {command: sudo, " + STATIC + "}")
    made.replaced(environ={"VAULT_ADDR": "https://vault.example.com"})
    assert made.codes() == {"D301"}


def test_a_credential_that_is_made_for_its_use_is_not_told(made: Machine) -> None:
    server = "git: {command: npx, args: ['@modelcontextprotocol/server-github'], env: {GITHUB_TOKEN: '${credential:c}'}}"
    made.configured(server, MINTED)
    assert made.codes() == set()
    made.configured(server, MINTED.replace("command: [mint]", "value: '${keyring:k}'"))
    assert made.codes() == {"D301", "D401"}


def test_what_a_rule_may_choose_is_looked_at_too(made: Machine) -> None:
    entry = "c: {servers: [git], value: '${keyring:k}', env: {GITHUB_TOKEN: 'x-${credential:c}'}}"
    made.configured(
        "git: {command: npx, args: ['@modelcontextprotocol/server-github']}", f"\ncredentials:\n  {entry}\n"
    )
    assert [(one.code, one.line) for one in made.diagnosed().findings] == [("D301", 3)]


def test_every_source_that_is_told_of_is_a_kind_of_credentials() -> None:
    from mcpguard.config.credentials import KINDS

    assert {one.kind for one in SHORT_LIVED} <= {*KINDS}


def test_what_an_entry_is_made_of_must_be_there(made: Machine) -> None:
    entry = "c: {servers: [git], value: '${keyring:missing}'}"
    made.configured("git: {command: sudo, env: {A: '${credential:c}'}}", f"\ncredentials:\n  {entry}\n")
    [told] = made.diagnosed().findings
    assert (told.code, told.line) == ("D304", 7)
    assert told.message.startswith("credentials.c: keyring:missing is not in the keychain")


def test_a_token_in_the_keychain_that_ends_is_told_without_its_value(
    made: Machine, backend: FakeKeyring
) -> None:
    token = jwt(time.time() - 60)
    backend.set_password("mcpguard", "old", token)
    made.configured("git: {command: sudo, env: {A: 'Bearer ${keyring:old}'}}")
    [told] = made.diagnosed().findings
    assert told.code == "D302"
    assert told.message.startswith("servers.git: keyring:old expired at 20")
    assert token not in repr(told)


def test_a_token_with_an_end_that_is_no_time_is_not_told(made: Machine, backend: FakeKeyring) -> None:
    backend.set_password("mcpguard", "old", jwt(1e18))
    made.configured("git: {command: sudo, env: {A: '${keyring:old}'}}")
    assert made.codes() == set()


@pytest.mark.parametrize(
    ("tokens", "codes"),
    [
        (None, ["D304"]),
        ({"access": PHRASE}, []),
        ({"access": PHRASE, "ends_at": 1.0, "refresh": PHRASE}, []),
        ({"access": PHRASE, "ends_at": 1.0}, ["D302"]),
        ({"access": PHRASE, "ends_at": time.time() + 86400}, ["D303"]),
    ],
)
def test_a_login_that_ends_and_cannot_be_renewed_is_told(
    tokens: dict[str, Any] | None, codes: list[str], made: Machine, backend: FakeKeyring
) -> None:
    if tokens is not None:
        url = "https://mcp.example.com"
        rest = {"url": url, "resource": url, "issuer": url, "token_endpoint": url, "client_id": "me"}
        Grants().write("c", Grant(**rest, **tokens))
    found = list(lifetime.check(with_login(made)))
    assert [one.code for one in found if isinstance(one, Finding)] == codes
    login = f"mcpguard secret login c --config {made.path}"
    assert {one.fix for one in found if isinstance(one, Finding)} <= {login}
    backend.error = RuntimeError(PHRASE)
    [told] = lifetime.check(with_login(made))
    assert isinstance(told, Finding)
    assert (told.code, PHRASE in told.message) == ("D304", False)


def with_login(made: Machine) -> CheckSubject:
    """A subject with an entry that needs a login, and one for a server that is not served."""
    made.configured("git: {url: 'https://mcp.example.com'}")
    subject = examined(made.at, made.path, Redactor(b"key"), named=True)
    assert subject.config
    entries = {
        name: Credential(name=name, kind="oauth", made=None, servers=frozenset({server}))
        for name, server in (("c", "git"), ("d", "other"))
    }
    config = structs.replace(subject.config, credentials=entries)
    return structs.replace(subject, config=config)


def test_a_policy_that_is_not_right_could_not_be_looked_at(made: Machine) -> None:
    made.configured()
    path = made.write(made.path.with_name("p.yaml"), "version: 7\n")
    assert [one.what for one in made.diagnosed().unchecked] == [str(path)]


@pytest.mark.parametrize(
    ("servers", "more"),
    [
        ("git: {command: sudo, env: {A: '${keyring:k}'}}", ""),
        (
            "git: {command: sudo, env: {A: '${credential:c}'}}",
            "\ncredentials:\n  c: {servers: [git], value: '${keyring:k}'}\n",
        ),
        ("git: {command: sudo}", "\naudit: {key: '${keyring:k}'}\n"),
    ],
)
def test_a_keychain_is_looked_at_where_one_is_needed(
    servers: str, more: str, made: Machine, monkeypatch: Patch
) -> None:
    class Chain:
        backends = (FakeKeyring(),)

    made.configured(servers, more)
    monkeypatch.setattr(keyring, "get_keyring", Chain)
    about = {"D305", "D306"}
    monkeypatch.setattr(keychain, "_ENCRYPTING", ())
    assert made.codes() & about == {"D305"}
    monkeypatch.setattr(keychain, "_ENCRYPTING", (f"{FakeKeyring.__module__}.FakeKeyring",))
    assert made.codes() & about == set()
    monkeypatch.setattr(keychain, "_NOWHERE", (f"{FakeKeyring.__module__}.FakeKeyring",))
    assert made.codes() & about == {"D306"}
    monkeypatch.setattr(keyring, "get_keyring", lambda: 1 / 0)
    assert made.codes() & about == {"D306"}


@pytest.mark.parametrize(
    ("servers", "more"),
    [
        (
            "git: {command: sudo, disabled: true, env: {A: '${keyring:k}'}}\n  b: {command: mcp-server-time}",
            "",
        ),
        ("git: {command: sudo, env: {A: '${credential:c}'}}", MINTED),
    ],
)
def test_without_a_keychain_nothing_is_told_where_none_is_needed(
    servers: str, more: str, made: Machine, monkeypatch: Patch
) -> None:
    def never() -> None:
        raise AssertionError

    monkeypatch.setattr(keyring, "get_keyring", never)
    made.configured(servers, more)
    report = made.diagnosed()
    assert (report.findings, report.unchecked) == ((), ())
