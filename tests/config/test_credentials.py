"""`credentials`: entries with a source and a binding, and every mistake in them at its place."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mcpguard.config.credentials import CommandEntry, JsonEntry
from mcpguard.config.loading import Config, Credential
from mcpguard.core.secret import CredentialRef
from mcpguard.serve import handover
from mcpguard.serve.app import loaded
from mcpguard.serve.settings import variables_of
from tests.config.test_loading import load, mistakes
from tests.rows import each

HEAD = """\
version: 1
servers:
  git: {command: git-server}
  far: {url: "https://API.example/mcp"}
  other: {url: "https://b\u00fccher.example:8443/mcp"}
  open: {url: "http://open.example/mcp"}
  made: {url: "https://${env:HOST}/mcp"}
credentials:
"""


def entry(text: str) -> str:
    return f"{HEAD}  key: {{{text}}}\n"


def read(folder: Path, text: str) -> Credential:
    return load(folder, entry(text)).credentials["key"]


def test_an_entry_comes_back_with_its_binding(tmp_path: Path) -> None:
    one = read(
        tmp_path,
        "value: '${keyring:github/write}', servers: [git, far], hosts: [Api.Example, '10.0.0.1', '::1'], "
        "principals: [ada, 'group:dev'], cache_seconds: 0, env: {TOKEN: '${credential:key}'}, "
        "headers: {Authorization: 'Bearer ${credential:key} ${env:BESIDE}'}",
    )
    assert (one.name, one.kind, one.made) == ("key", "value", "${keyring:github/write}")
    assert one.servers == {"git", "far"}
    assert one.hosts == {"api.example", "10.0.0.1", "::1"}
    assert one.principals == ("ada", "group:dev")
    assert one.cache_seconds == 0
    assert one.sources == {CredentialRef("keyring", "github/write")}
    assert one.surrounding == {CredentialRef("credential", "key"), CredentialRef("env", "BESIDE")}


def test_without_hosts_it_is_for_the_literal_hosts_of_its_servers(tmp_path: Path) -> None:
    one = read(tmp_path, "value: '${env:A}', servers: [git, far, other]")
    assert one.hosts == {"api.example", "xn--bcher-kva.example"}
    assert one.variables == {"A"}


def test_a_command_has_a_short_form_and_a_long_one(tmp_path: Path) -> None:
    assert read(tmp_path, "command: [op, read, x], servers: [git]").made == ("op", "read", "x")
    one = read(
        tmp_path,
        "command: {argv: [gcloud, x], timeout_seconds: 5, ttl_seconds: 60, env: [A, B], "
        "json: {value: a.b, expires: c}}, servers: [git]",
    )
    assert one.made == CommandEntry(
        argv=("gcloud", "x"),
        timeout_seconds=5.0,
        ttl_seconds=60.0,
        env=("A", "B"),
        json=JsonEntry(value="a.b", expires="c"),
    )
    assert one.variables == {"A", "B"}


def test_a_server_may_refer_to_an_entry_that_is_for_it(tmp_path: Path) -> None:
    config: Config = load(
        tmp_path,
        "version: 1\nservers:\n  s: {command: x, env: {A: '${credential:team/key}'}}\n"
        "credentials:\n  team/key: {value: '${env:A}', servers: [s]}\n",
    )
    assert config.servers["s"].credentials == (CredentialRef("credential", "team/key"),)


@each(
    ("text", "told"),
    [
        ("servers: [git]", "; it has none"),
        ("value: '${env:A}', command: [x], servers: [git]", "; it has 2: value, command"),
        ("value: plain, servers: [git]", "a value must not be in this file"),
        ("value: '${credential:key}', servers: [git]", "a credential cannot be built from another entry"),
        ("value: '${what:x}', servers: [git]", "unknown source of a reference"),
        ("value: '${file:pass}', servers: [git]", "${file:pass} must be an absolute path or begin with ~/"),
        ("value: '${env:A} ${', servers: [git]", "a value must not be in this file"),
        ("command: [], servers: [git]", "the first word must be a program"),
        ("command: [./x], servers: [git]", "one in the working folder is never run"),
        ("command: {argv: [bin/x]}, servers: [git]", "one in the working folder is never run"),
        ("command: [x, '${env:A}'], servers: [git]", "every process on this machine can read an argv"),
        (
            "command: {argv: [x], timeout_seconds: 601}, servers: [git]",
            "must be above 0 and at most 600 seconds",
        ),
        ("command: {argv: [x], ttl_seconds: 0}, servers: [git]", "must be above 0 and at most 86400 seconds"),
        ("command: {argv: [x], env: ['A=b']}, servers: [git]", "the name of a variable has only"),
        ("value: '${env:A}', servers: []", "at least one server is needed"),
        (
            "value: '${env:A}', servers: [gone]",
            "there is no server of this name; the known ones are git, far, other",
        ),
        ("value: '${env:A}', servers: [git], principals: ['group:']", "must be a name, or `group:NAME`"),
        ("value: '${env:A}', servers: [git], cache_seconds: 3601", "must be from 0 to 3600 seconds"),
        (
            "value: '${env:A}', servers: [far], hosts: ['https://api.example']",
            "must be one host name or address",
        ),
        ("value: '${env:A}', servers: [far], hosts: ['api.example:443']", "must be one host name or address"),
        ("value: '${env:A}', servers: [far], hosts: ['*.example']", "must be one host name or address"),
        ("value: '${env:A}', servers: [far], hosts: ['']", "must be one host name or address"),
        ("value: '${env:A}', servers: [git], hosts: [api.example]", "only a server with a `url` has a host"),
        (
            "value: '${env:A}', servers: [far], hosts: [x.example]",
            "`far` is at api.example, which is not among",
        ),
        ("value: '${env:A}', servers: [made]", "the host of `made` is a reference: list in `hosts`"),
        ("value: '${env:A}', servers: [far], env: {A: x}", "variables are for servers with a `command`"),
        ("value: '${env:A}', servers: [git], headers: {A: x}", "headers are for servers with a `url`"),
        ("value: '${env:A}', servers: [open], headers: {A: x}", "must not leave this machine over http://"),
        ("value: '${env:A}', servers: [far, open]", "must not leave this machine over http://"),
        ("value: '${env:A}', servers: [git], env: {'A B': x}", "the name of a variable has only"),
        ("value: '${env:A}', servers: [far], headers: {Host: x}", "not a header that can be set here"),
        ("value: '${env:A}', servers: [git], env: {A: '${credential:no}'}", "there is no entry of this name"),
    ],
)
def test_a_mistake_in_an_entry_is_told_at_its_place(tmp_path: Path, text: str, told: str) -> None:
    found = mistakes(tmp_path, entry(text))
    assert any(told in one for one in found), found
    assert all(one.startswith("9:") for one in found)


def test_a_host_that_no_binding_can_be_compared_with_is_a_mistake(tmp_path: Path) -> None:
    text = HEAD.replace("https://API.example/mcp", "https://api.example./mcp")
    entry = "  key: {value: '${env:A}', servers: [far], hosts: [api.example]}\n"
    (found,) = mistakes(tmp_path, text + entry)
    assert found.startswith("9:")
    assert "the host of `far` can be read in two ways" in found


def test_an_entry_that_is_for_another_server_is_a_mistake_where_it_is_referred_to(tmp_path: Path) -> None:
    text = (
        "version: 1\nservers:\n  a: {command: x, env: {A: '${credential:key}', B: '${credential:no}'}}\n"
        "  b: {url: 'https://${credential:key}.example/', headers: {A: '${credential:key}'}}\n"
        "credentials:\n  key: {value: '${env:A}', servers: [b], hosts: [x.example]}\n  Bad Name: {value: '${env:A}', servers: [b], hosts: [x.example]}\n"
    )
    found = mistakes(tmp_path, text)
    assert [one.partition(" ")[2][:40] for one in found] == [
        "`key` is not for the server `a`: name it",
        "there is no entry of this name in `crede",
        "an entry of `credentials` is bound to ho",
        "the name of a credential has 1 to 128 of",
    ]


def test_no_message_shows_a_line_of_credentials(tmp_path: Path) -> None:
    from mcpguard.core.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, entry("value: hunter2-hunter2, servers: [git]"))
    assert "hunter2" not in str(caught.value)


def test_variables_that_credentials_are_made_of_are_taken_out_of_our_environment(tmp_path: Path) -> None:
    text = (
        "version: 1\nservers:\n  s: {command: x, env: {A: '${env:PLAIN}', B: '${credential:made}'}}\n"
        "credentials:\n"
        "  made: {command: {argv: [op], env: [OP_SERVICE_ACCOUNT_TOKEN, VAULT_ADDR, HOME]}, servers: [s]}\n"
        "  value: {value: '${env:INNER}', servers: [s], env: {C: '${env:BESIDE}', D: '${credential:value}'}}\n"
    )
    (path := tmp_path / "mcpguard.yaml").write_text(text, "utf-8")
    taken, _others = variables_of(loaded(handover.read(path), partial(handover.read, path)))
    assert taken == {"PLAIN", "INNER", "BESIDE", "OP_SERVICE_ACCOUNT_TOKEN"}
