"""The configuration of remote servers, extensions and the HTTP front: right, or refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.config.loading import load_config
from mcpguard.core.errors import ConfigError
from mcpguard.core.secret import CredentialRef, Template
from tests.config.test_loading import load, mistakes, server
from tests.rows import each

COMMAND = server("command: x")


def test_a_remote_server_comes_back_with_parsed_references(tmp_path: Path) -> None:
    text = server('url: "https://h/${env:KEY}", type: sse, headers: {A: "Bearer ${keyring:a/b}", B: plain}')
    (found,) = load(tmp_path, text).servers.values()
    assert (found.command, found.type) == ("", "sse")
    assert found.url == Template(("https://h/", ""), (CredentialRef("env", "KEY"),))
    assert found.headers["B"] == Template(("plain",), ())
    assert found.credentials == (CredentialRef("env", "KEY"), CredentialRef("keyring", "a/b"))


def test_the_least_remote_server_has_its_type_found_out(tmp_path: Path) -> None:
    (found,) = load(tmp_path, server('url: "http://127.0.0.1:1/mcp"')).servers.values()
    assert (found.type, found.headers, found.credentials) == (None, {}, ())


def test_extensions_and_the_front_come_back_as_written(tmp_path: Path) -> None:
    text = server("command: x, extensions: {com.example/skills: [skills/list, skills/get]}")
    text += (
        "http:\n  allowed_hosts: [h:1]\n  allowed_origins: ['https://o']\n  max_sessions: 1\n"
        "  session_idle_seconds: 1\n  token: {issuer: 'https://i', audience: 'https://a'}\n"
    )
    config = load(tmp_path, text)
    assert config.servers["s"].extensions == {"com.example/skills": ("skills/list", "skills/get")}
    assert (config.http.allowed_hosts, config.http.allowed_origins) == (("h:1",), ("https://o",))
    assert config.http.token is not None
    assert config.http.token.algorithms == ("RS256", "ES256")
    assert load(tmp_path, COMMAND).http.token is None


@each(
    ("token", "audiences", "public"),
    [
        ("audience: 'https://a/mcp'", ("https://a/mcp",), "https://a/mcp"),
        ("audience: [id, 'https://a', 'https://b']", ("id", "https://a", "https://b"), "https://a"),
        ("audience: id, resource: 'https://a'", ("id",), "https://a"),
        ("audience: 'https://a', resource: 'https://b'", ("https://a",), "https://b"),
    ],
)
def test_what_tokens_call_us_need_not_be_our_public_url(
    tmp_path: Path, token: str, audiences: tuple[str, ...], public: str
) -> None:
    terms = load(tmp_path, f"{COMMAND}http: {{token: {{issuer: 'https://i', {token}}}}}\n").http.token
    assert terms is not None
    assert (terms.audiences, terms.public_url) == (audiences, public)


def test_a_credential_may_go_to_loopback_without_tls(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        load(tmp_path, server(f'url: "http://{host}:1/", headers: {{A: "${{env:T}}"}}'))


URL = "3:12 must be an http:// or https:// URL with a host"


@each(
    ("entry", "expected"),
    [
        ('url: ""', URL),
        ('url: "ftp://h/"', URL),
        ('url: "https://"', URL),
        ('url: "http://[x"', URL),
        ('url: "${env:URL}"', URL),
        ('url: "http://h:99999/"', "3:12 must have a port from 1 to 65535"),
        ('url: "http://h:0/"', "3:12 must have a port from 1 to 65535"),
        ('url: "http://h:http/"', "3:12 must have a port from 1 to 65535"),
        ('url: "https://u@h/"', "3:12 must have neither a user name nor a fragment"),
        ('url: "https://h/#f"', "3:12 must have neither a user name nor a fragment"),
        ('url: "http://h/${env:K}"', "3:12 a credential must not leave this machine over http://"),
        ('url: "http://h/", headers: {A: "${env:K}"}', "3:12 a credential must not leave this machine"),
        ('url: "https://h/${vault:x}"', "3:12 unknown source of a reference"),
        ('url: "https://h/", headers: {A: "${vault:x}"}', "3:39 unknown source of a reference"),
        ('url: "https://h/", headers: {A: "${x"}', "3:39 `${` must start a reference"),
        ('url: "https://h/", headers: {"a b": x}', "3:36 not a header that can be set here"),
        ('url: "https://h/", headers: {Host: x}', "3:36 not a header that can be set here"),
        (
            'url: "https://h/", headers: {A: x, a: y}',
            "3:45 this header is set twice: its case makes no difference",
        ),
        ('url: "https://h/", headers: {MCP-Method: x}', "3:36 not a header that can be set here"),
        ('url: "https://h/", headers: {A: "x\\ny"}', "3:39 a header value must be one line"),
        ('url: "https://h/", command: x', "3:35 `command` cannot be combined with `url`: remove one"),
        ('url: "https://h/", type: stdio', "3:32 a server with a `url` is of type http or sse"),
        ("command: x, type: carrier-pigeon", "3:25 expected one of stdio, http, sse"),
        ("command: x, call_timeout_seconds: 0", "3:41 must be above 0 and at most 86400 seconds"),
        ("command: x, extensions: {a/e: [tools/call]}", "3:38 must be a method of the extension"),
        ("command: x, extensions: {a/e: [roots/list]}", "3:38 must be a method of the extension"),
        ("command: x, extensions: {a/e: [notamethod]}", "3:38 must be a method of the extension"),
    ],
)
def test_a_mistake_in_a_server_has_its_place(tmp_path: Path, entry: str, expected: str) -> None:
    assert mistakes(tmp_path, server(entry))[0].startswith(expected)


@each(
    ("http", "expected"),
    [
        ("max_sessions: 0", "4:22 must be from 1 to 10000"),
        ("max_sessions: 10001", "4:22 must be from 1 to 10000"),
        ("session_idle_seconds: 0", "4:30 must be from 1 to 86400 seconds"),
        ("token: {issuer: x, audience: 'https://a'}", "4:24 must be an http:// or https:// URL"),
        ("token: {issuer: 'https://[', audience: 'https://a'}", "4:24 must be an http:// or https:// URL"),
        (
            "token: {issuer: 'https://i', audience: a}",
            "4:47 no audience is a URL: write the public URL of the endpoint, which clients look for, as "
            "`resource`",
        ),
        ("token: {issuer: 'https://i', audience: []}", "4:47 at least one audience is needed"),
        ("token: {issuer: 'https://i', audience: ['https://a', '']}", "4:61 must not be empty"),
        ("token: {issuer: 'https://i', audience: {a: b}}", "4:47 expected text or a list, found a mapping"),
        (
            "token: {issuer: 'https://i', audience: a, resource: b}",
            "4:60 must be an http:// or https:// URL",
        ),
        ("token: {issuer: 'https://i'}", "4:15 `audience` is missing"),
        (
            "token: {issuer: 'https://i', audience: 'https://a', jwks_url: 'file:///k'}",
            "4:70 must be an http:// or https:// URL",
        ),
        (
            "token: {issuer: 'https://i', audience: 'https://a', algorithms: [HS256]}",
            "4:73 expected one of RS256, ",
        ),
        (
            "token: {issuer: 'https://i', audience: 'https://a', algorithms: []}",
            "4:72 at least one algorithm is needed",
        ),
        ("token: '${env:TOKEN}'", "4:15 expected a mapping with `issuer` and `audience`: clients present "),
        ("token: [a]", "4:15 expected a mapping with `issuer` and `audience`, found a list"),
        ("per_principal: {requests: 5}", "4:23 it has an effect only with `token`: without one, all clients"),
        (
            "token: {issuer: 'https://i', audience: 'https://a'}, per_principal: {sessions: 0}",
            "4:87 must be from 1 to 10000",
        ),
        ("port: 1", "4:8 unknown key `port`"),
    ],
)
def test_a_mistake_in_the_front_has_its_place(tmp_path: Path, http: str, expected: str) -> None:
    assert mistakes(tmp_path, COMMAND + f"http: {{{http}}}\n")[0].startswith(expected)


def test_no_message_shows_a_credential_that_stands_in_a_header_or_an_address(tmp_path: Path) -> None:
    for entry in (
        'url: "ftp://hunter2/"',
        'url: "https://hunter2@h/", headers: {"a b": hunter2}',
        'url: "https://h/", headers: {A: "hunter2\\n"}',
        'url: "https://h/hunter2#f", command: x',
    ):
        (tmp_path / "mcpguard.yaml").write_text(server(entry), encoding="utf-8")
        with pytest.raises(Exception, match="mcpguard") as caught:
            load_config(tmp_path / "mcpguard.yaml")
        assert "hunter2" not in str(caught.value)


def test_a_method_that_two_servers_declare_could_not_be_routed(tmp_path: Path) -> None:
    entry = "{command: x, extensions: {com.example/skills: [skills/list]}}"
    path = tmp_path / "mcpguard.yaml"
    path.write_text(f"version: 1\nservers:\n  one: {entry}\n  two: {entry}\n")
    with pytest.raises(ConfigError, match=r"4:\d+: this method is declared for another server too"):
        load_config(path)


@each("name", ["skills", "/skills", "com.example/", "1.com/x", "com.example/-x"])
def test_an_extension_has_a_name_with_a_prefix(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text(server(f'command: x, extensions: {{"{name}": [skills/list]}}'))
    with pytest.raises(ConfigError, match="the name of an extension has a prefix"):
        load_config(path)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("allowed_hosts: ['http://guard.example']", "must be a host, or HOST:PORT"),
        ("allowed_hosts: [guard.example/mcp]", "must be a host, or HOST:PORT"),
        ("allowed_origins: [foo]", "must be an origin, such as"),
        ("allowed_origins: ['https://app.example/']", "must be an origin, such as"),
    ],
)
def test_a_host_or_an_origin_that_could_never_match_is_a_mistake(
    tmp_path: Path, entry: str, said: str
) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text(f"{COMMAND}http: {{{entry}}}\n")
    with pytest.raises(ConfigError, match=said):
        load_config(path)


def test_a_token_that_somebody_wrote_there_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "mcpguard.yaml").write_text(COMMAND + "http:\n  token: aB3kQ9xZ7mT2pL5wvN4c\n")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "mcpguard.yaml")
    assert "is not supported" in str(error.value)
    assert "aB3kQ9" not in str(error.value)
