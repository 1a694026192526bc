"""`oauth`, `client_credentials` and `token_exchange` of `credentials`: every mistake at its place."""

from __future__ import annotations

from pathlib import Path

from mcpguard.config.minted import ClientCredentialsEntry, OAuthEntry, TokenExchangeEntry
from tests.config.test_credentials import entry, read
from tests.config.test_loading import load, mistakes
from tests.rows import each


def test_the_url_of_the_only_server_is_what_a_token_is_for(tmp_path: Path) -> None:
    one = read(tmp_path, "oauth: {}, servers: [git, far]")
    assert one.made == OAuthEntry(url="https://API.example/mcp")
    own = read(tmp_path, "oauth: {url: 'https://api.example/other'}, servers: [far]")
    assert own.made.url == "https://api.example/other"


def test_every_key_comes_back(tmp_path: Path) -> None:
    one = read(
        tmp_path,
        "oauth: {url: 'https://a.example/mcp', issuer: 'https://b.example', scopes: [x, y], client_id: c, "
        "client_secret: '${keyring:k}', redirect_port: 8123}, servers: [git]",
    )
    expected = OAuthEntry(
        url="https://a.example/mcp",
        issuer="https://b.example",
        scopes=("x", "y"),
        client_id="c",
        client_secret="${keyring:k}",
        client_metadata_url=None,
        redirect_port=8123,
    )
    assert one.made == expected
    assert {str(ref) for ref in one.sources} == {"keyring:k"}


def test_tokens_of_services_have_an_issuer_or_an_endpoint(tmp_path: Path) -> None:
    one = read(
        tmp_path,
        "client_credentials: {client_id: c, token_url: 'https://a.example/t', private_key: '${file:/k}', "
        "client_auth: client_secret_post}, servers: [git]",
    )
    assert one.made == ClientCredentialsEntry(
        client_id="c",
        token_url="https://a.example/t",
        private_key="${file:/k}",
        client_auth="client_secret_post",
    )
    two = read(
        tmp_path,
        "token_exchange: {subject: '${env:S}', issuer: 'http://127.0.0.1:8/', audience: x}, servers: [git]",
    )
    assert two.made == TokenExchangeEntry(subject="${env:S}", issuer="http://127.0.0.1:8/", audience="x")


URL = "must be an https:// URL with a host"
OPEN = "must not leave this machine over http://"
NEITHER = "must have neither a user name nor a fragment"
MACHINE = "client_id: c, client_secret: '${env:A}'"


@each(
    ("text", "told"),
    [
        ("oauth: {}, servers: [git]", "`url` is missing: it can be left out where `servers` has exactly one"),
        ("oauth: {}, servers: [far, other]", "`url` is missing"),
        ("oauth: {}, servers: [made], hosts: [x.example]", "the URL of its server is made of a reference"),
        ("oauth: {}, servers: [open]", "the `url` of its server: a credential must not leave this machine"),
        ("oauth: {url: 'https://x.example'}, servers: [far]", "`far` is at a different host from `url`"),
        ("oauth: {url: 'http://x.example'}, servers: [git]", OPEN),
        ("oauth: {url: 'https://a:b@x.example'}, servers: [git]", NEITHER),
        ("oauth: {url: 'https://x.example/#a'}, servers: [git]", NEITHER),
        ("oauth: {url: 'https://['}, servers: [git]", URL),
        ("oauth: {url: 'https://['}, servers: [far]", "`far` is at a different host from `url`"),
        ("oauth: {url: 'https://x:0/'}, servers: [git]", URL),
        ("oauth: {issuer: x}, servers: [far]", URL),
        ("oauth: {scopes: ['a b']}, servers: [far]", "a scope is one word"),
        ("oauth: {client_secret: '${env:A}'}, servers: [far]", "belongs to a `client_id`"),
        ("oauth: {client_auth: client_secret_post}, servers: [far]", "belongs to a `client_secret`"),
        ("oauth: {client_id: c}, servers: [far]", "name it in `issuer`"),
        ("oauth: {client_id: c, client_secret: plain}, servers: [far]", "must be one reference"),
        ("oauth: {client_id: c, client_secret: 'x${env:A}'}, servers: [far]", "must be one reference"),
        ("oauth: {client_id: c, client_secret: '${credential:a}'}, servers: [far]", "must be a reference to"),
        (
            "oauth: {client_id: c, client_metadata_url: 'https://x.example/a'}, servers: [far]",
            "cannot be combined with `client_id`",
        ),
        ("oauth: {client_metadata_url: 'https://x.example/'}, servers: [far]", "an https:// URL with a path"),
        ("oauth: {client_metadata_url: 'http://localhost/a'}, servers: [far]", "an https:// URL with a path"),
        ("oauth: {redirect_port: 80}, servers: [far]", "must be from 1024 to 65535"),
        (f"client_credentials: {{{MACHINE}}}, servers: [git]", "`token_url` or `issuer` is missing"),
        ("client_credentials: {client_id: c, issuer: 'https://x.example'}, servers: [git]", "`client_secret` or"),
        (
            f"client_credentials: {{{MACHINE}, private_key: '${{env:B}}', issuer: 'https://x'}}, servers: [git]",
            "cannot be combined with `client_secret`",
        ),
        (f"client_credentials: {{{MACHINE}, token_url: 'ftp://x'}}, servers: [git]", URL),
        (
            "client_credentials: {client_id: '', client_secret: '${env:A}', issuer: 'https://x'}, servers: [git]",
            "`client_id` is missing",
        ),
        (f"client_credentials: {{{MACHINE}, client_auth: x}}, servers: [git]", "client_secret_basic"),
        ("token_exchange: {subject: plain, issuer: 'https://x.example'}, servers: [git]", "must be one reference"),
        (
            "token_exchange: {subject: '${env:A}', client_secret: '${env:B}', issuer: 'https://x'}, servers: [git]",
            "`client_id` is missing",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_oauth_is_told_at_its_place(tmp_path: Path, text: str, told: str) -> None:
    found = mistakes(tmp_path, entry(text))
    assert any(told in one for one in found), found
    assert all(one.startswith("9:") for one in found)


def test_an_entry_for_a_program_alone_names_its_url(tmp_path: Path) -> None:
    text = "version: 1\nservers:\n  s: {command: x, env: {T: '${credential:key}'}}\ncredentials:\n"
    config = load(tmp_path, f"{text}  key: {{oauth: {{url: 'https://x.example/mcp'}}, servers: [s]}}\n")
    assert config.credentials["key"].made.url == "https://x.example/mcp"
