"""`clients`: who sees which servers, and what a process that serves one of them knows of the others."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from mcpguard.config.loading import Config, load_config
from mcpguard.core.errors import ConfigError
from mcpguard.serve.app import loaded
from mcpguard.serve.handover import read
from mcpguard.serve.settings import variables_of
from tests.rows import each

SERVERS = """\
version: 1
servers:
  github: {command: x, env: {TOKEN: "${env:GITHUB_TOKEN}", SHARED: "${env:SHARED}"}}
  files: {command: x}
  shop-db: {command: x, env: {URL: "${env:SHOP_URL}", SHARED: "${env:SHARED}"}}
  old: {command: x, disabled: true}
credentials:
  both: {value: "${env:BOTH}", servers: [github, shop-db], env: {X: "${credential:both}"}}
  shop: {command: {argv: [y], env: [VAULT_KEY]}, servers: [shop-db], env: {Y: "${credential:shop}", Z: "${env:Z}"}}
"""
CLIENTS = """\
clients:
  cursor:
    servers: [files, github]
  claude-code:
    servers: [github]
    projects:
      /home/me/shop: [shop-db, old]
      ~/other/: [files]
    prefix: always
  only: {projects: {/p: [files], /q: [old]}}
"""


def load(folder: Path, text: str = SERVERS + CLIENTS) -> Config:
    path = folder / "mcpguard.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def refusal(config: Config, agent: str | None, project: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        config.view(agent, project)
    assert [(p.source, p.line) for p in caught.value.problems] == [(str(config.path), 0)]
    return caught.value.problems[0].message


def test_without_clients_everybody_sees_everything(tmp_path: Path) -> None:
    config = load(tmp_path, SERVERS)
    view = config.view("anybody")
    assert (view.servers, view.credentials, view.agent) == (config.servers, config.credentials, "anybody")
    assert (view.prefix, view.project, view.withheld) == (None, None, frozenset())


def test_a_client_has_its_servers_in_the_order_of_the_file_and_the_credentials_that_they_may_use(
    tmp_path: Path,
) -> None:
    view = load(tmp_path).view("cursor")
    assert list(view.servers) == ["github", "files"]
    assert {name: entry.servers for name, entry in view.credentials.items()} == {"both": {"github"}}
    assert (view.agent, view.project, view.prefix) == ("cursor", None, "when-needed")


def test_a_project_has_its_own_servers_and_no_others(tmp_path: Path) -> None:
    view = load(tmp_path).view("claude-code", "/home/me/shop")
    assert list(view.servers) == ["shop-db", "old"]
    assert list(view.credentials) == ["both", "shop"]
    assert (view.agent, view.project, view.prefix) == ("claude-code", "/home/me/shop", "always")
    assert list(load(tmp_path).view("claude-code").servers) == ["github"]


def test_the_variables_that_hold_credentials_of_others_are_withheld_and_shared_ones_are_not(
    tmp_path: Path,
) -> None:
    config = load(tmp_path)
    assert config.view("cursor").withheld == {"SHOP_URL", "VAULT_KEY", "Z"}
    assert config.view("claude-code", "/home/me/shop").withheld == {"GITHUB_TOKEN"}
    assert config.view("claude-code", "~/other").withheld == config.variables


def test_a_view_names_the_references_that_are_not_for_it(tmp_path: Path) -> None:
    config = load(tmp_path)
    view = config.view("cursor")
    assert view.elsewhere == config.plain_references - view.plain_references
    assert "SHOP_URL" in {ref.name for ref in view.elsewhere}
    assert not config.elsewhere


def test_what_a_process_still_needs_of_them_is_not_dropped(tmp_path: Path) -> None:
    text = (
        "version: 1\nservers:\n  a: {command: x, env: {T: '${env:A}'}}\n"
        "  b: {command: x, env: {T: '${env:B}', P: '${env:PATH}', N: '${env:CHAT}'}}\n"
        "approvals: {notify: ['${env:CHAT}']}\nclients: {c: {servers: [a]}}\n"
    )
    (path := tmp_path / "mcpguard.yaml").write_text(text, "utf-8")
    settings = loaded(read(path, "c"), partial(read, path, "c"))
    assert variables_of(settings) == ({"A", "CHAT"}, {"B"})


@pytest.mark.parametrize("written", ["/home/me/shop/", "/home/me/../me//shop", "."])
def test_a_project_is_compared_as_a_folder(
    tmp_path: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(tmp_path)
    monkeypatch.setattr(os, "getcwd", lambda: "/home/me/shop")
    assert "shop-db" in config.view("claude-code", written).servers


def test_a_project_below_the_home_folder_is_found_by_either_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    config = load(tmp_path)
    assert list(config.view("claude-code", "/home/ada/other").servers) == ["files"]
    assert config.view("claude-code", "~/other").project == "/home/ada/other"


def test_the_agent_of_the_file_is_the_client_where_no_other_is_given(tmp_path: Path) -> None:
    config = load(tmp_path, SERVERS + CLIENTS + "agent: cursor\n")
    assert list(config.view(None).servers) == ["github", "files"]
    assert list(config.view("claude-code").servers) == ["github"]


def test_who_is_not_named_is_refused_with_what_there_is(tmp_path: Path) -> None:
    config = load(tmp_path)
    names = "`clients` has cursor, claude-code, only"
    assert refusal(config, None) == f"name the client with `--agent NAME`; {names}"
    assert refusal(config, "Cursor") == f"there is no client `Cursor`; {names}"
    assert refusal(config, "") == f"there is no client ``; {names}"
    assert refusal(config, "claude-code", "/home/me") == (
        "the client `claude-code` has no project /home/me; its projects are /home/me/shop, ~/other/"
    )
    assert refusal(config, "cursor", "/home/me/shop") == (
        "the client `cursor` has no project /home/me/shop; it has none: leave out `--project`"
    )
    assert refusal(config, "only") == (
        "the client `only` has servers in projects only: choose one with `--project FOLDER`; "
        "its projects are /p, /q"
    )
    assert refusal(load(tmp_path, SERVERS), "x", "/p") == (
        "there are no `clients`, so there are no projects: leave out `--project`"
    )


def test_a_view_whose_servers_are_all_disabled_is_refused(tmp_path: Path) -> None:
    said = "every server of the client `only` is disabled: enable old"
    assert refusal(load(tmp_path), "only", "/q") == said


@each(
    ("entry", "expected"),
    [
        ("{}", ["8:10 name at least one client, or leave it out"]),
        ("{c: {}}", ["8:14 `servers` or `projects` is missing"]),
        ("{c: {servers: []}}", ["8:24 name at least one server, or leave it out"]),
        ("{'': {servers: [s]}}", ["8:11 a client needs a name"]),
        ("{c: {servers: [s, t, s]}}", ["8:31 this server is already in the list"]),
        ("{c: {servers: [s, x]}}", ["8:28 there is no server of this name; the known ones are s, t"]),
        ("{c: {projects: {}}}", ["8:25 name at least one project, or leave it out"]),
        ("{c: {projects: {/p: []}}}", ["8:30 name at least one server, or leave it out"]),
        ("{c: {projects: {/p: [x]}}}", ["8:31 there is no server of this name; the known ones are s, t"]),
        (
            "{c: {projects: {p: [s]}}}",
            ["8:26 a project is an absolute folder, such as /home/ada/shop or ~/shop"],
        ),
        (
            "{c: {projects: {/p: [s], /p/: [t]}}}",
            ["8:40 this project is already listed, written differently"],
        ),
        ("{c: {servers: [s], prefix: never}}", ["8:37 expected one of when-needed, always"]),
        ("{c: {servers: s}}", ["8:24 expected a list, found text; put it in brackets"]),
        ("{c: {server: [s]}}", ["8:15 unknown key `server`; did you mean `servers`?"]),
    ],
)
def test_each_mistake_has_its_place(tmp_path: Path, entry: str, expected: list[str]) -> None:
    text = "version: 1\nservers:\n  s: {command: x}\n  t:\n    command: x\n    disabled: true\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{text}# who sees what\nclients: {entry}\n")
    assert [f"{p.line}:{p.column} {p.message}" for p in caught.value.problems] == expected
