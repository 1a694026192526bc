"""`mcpguard explain` where the configuration says who sees which servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main

Capture = pytest.CaptureFixture[str]
CLIENTS = (
    "clients: {desk: {servers: [git]}, phone: {servers: [web], projects: {/home/me/shop: [git, web]}}}\n"
)
POLICY = "version: 1\npolicy: p\nrules:\n  - {id: all, effect: allow, tools: [log, get]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCPGUARD_CONFIG", "mcpguard.yaml")
    (tmp_path / "p.yaml").write_text(POLICY)
    return tmp_path


def written(folder: Path, more: str = CLIENTS) -> None:
    servers = "servers: {git: {command: git-mcp}, web: {command: web-mcp}, old: {command: old}}\n"
    (folder / "mcpguard.yaml").write_text(
        f"version: 1\n{servers}policies: [p.yaml]\naudit: {{path: audit}}\n{more}"
    )


def explained(capsys: Capture, *words: str) -> Any:
    assert main(["explain", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *words: str) -> str:
    assert main(["explain", *words]) == 2
    return capsys.readouterr().err.strip().partition("mcpguard.yaml: ")[2]


def test_a_client_is_told_of_servers_that_it_sees_only(folder: Path, capsys: Capture) -> None:
    written(folder)
    log = ("--server", "git", "--tool", "log")
    assert explained(capsys, *log, "--agent", "desk")["effect"] == "allow"
    assert explained(capsys, *log, "--agent", "phone", "--project", "/home/me/shop")["effect"] == "allow"
    assert refused(capsys, *log, "--agent", "phone") == (
        "there is no server `git` for the client `phone`; it has web"
    )
    assert refused(capsys, *log, "--agent", "laptop") == (
        "there is no client `laptop`; `clients` has desk, phone"
    )
    assert refused(capsys, *log, "--agent", "desk", "--project", "/p") == (
        "the client `desk` has no project /p; it has none: leave out `--project`"
    )


@pytest.mark.parametrize(
    ("clients", "name"),
    [
        ("{desk: {servers: [git, web]}}", "push"),
        ("{desk: {servers: [git, web], prefix: always}}", "git__push"),
        ("{desk: {servers: [git], prefix: always}}", "git__push"),
    ],
)
def test_a_hidden_tool_is_named_as_the_client_would_call_it(
    folder: Path, capsys: Capture, clients: str, name: str
) -> None:
    (folder / "p.yaml").write_text(f"{POLICY}  - {{id: no, effect: deny, tools: [push]}}\n")
    written(folder, f"clients: {clients}\n")
    found = explained(capsys, "--server", "git", "--tool", "push", "--agent", "desk")
    assert found["message"] == f"Unknown tool: {name}"


def test_reach_is_that_of_the_client(folder: Path, capsys: Capture) -> None:
    written(folder)
    found = explained(capsys, "--reach", "--agent", "phone")
    assert {one["server"] for one in found["reach"]} == {"web"}
    written(folder, CLIENTS + "agent: desk\n")
    assert {one["server"] for one in explained(capsys, "--reach")["reach"]} == {"git"}


def test_who_the_client_is_is_assumed_where_nobody_says_it(folder: Path, capsys: Capture) -> None:
    written(folder)

    def assumed(server: str, *words: str) -> list[str]:
        found = explained(capsys, "--server", server, "--tool", "log", *words)
        assert found["effect"] == "allow"
        return [one for one in found.get("assumed", []) if "client" in one]

    either = "the client is desk or phone in /home/me/shop: others do not see the server `git` (--agent NAME)"
    assert assumed("git") == [either]
    assert assumed("old") == ["the client sees the server `old`, which `clients` shows to nobody"]
    assert assumed("git", "--agent", "desk") == []
    written(folder, "clients: {a: {servers: [git]}, b: {servers: [git, web], projects: {/p: [git]}}}\n")
    assert assumed("git") == []
    assert assumed("web") == ["the client is b: others do not see the server `web` (--agent NAME)"]


def test_without_clients_any_agent_may_be_named(folder: Path, capsys: Capture) -> None:
    written(folder, "")
    assert explained(capsys, "--server", "web", "--tool", "get", "--agent", "any")["effect"] == "allow"
    assert explained(capsys, "--server", "web", "--tool", "get").get("assumed", []) == [
        "the server lists this tool, and the arguments match its schema (--snapshot FILE)"
    ]
