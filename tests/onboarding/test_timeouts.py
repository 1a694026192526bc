"""The timeouts of a client hold behind mcpguard as well, in its units, and its own entry waits long enough."""

from __future__ import annotations

import json
import os
import tomllib
from typing import Any

import pytest
import yaml

from mcpguard.cli import main
from mcpguard.config.loading import find_config
from tests.onboarding.corpus import Person
from tests.onboarding.test_conversion import converted
from tests.onboarding.test_views import has, outside_state, server
from tests.rows import each

pytestmark = pytest.mark.usefixtures("backend")
START, CALL = "start_timeout_seconds", "call_timeout_seconds"


@each(
    ("client", "has", "becomes"),
    [
        ("codex", {"startup_timeout_sec": 180, "tool_timeout_sec": 3600}, {START: 180, CALL: 3600}),
        ("codex", {"startup_timeout_ms": 90_000, "tool_timeout_sec": 2.5}, {START: 90, CALL: 3}),
        ("codex", {"startup_timeout_sec": 120, "startup_timeout_ms": 90_000}, {START: 120}),
        ("codex", {"startup_timeout_sec": 20}, {}),
        ("gemini", {"timeout": 900_000}, {START: 900, CALL: 900}),
        ("gemini", {"timeout": 15_000}, {CALL: 15}),
        ("qwen", {"timeout": 5000}, {CALL: 5}),
        ("kiro", {"timeout": 120_000}, {START: 120, CALL: 120}),
        ("amazon-q", {"timeout": 120_000}, {START: 120, CALL: 120}),
        ("crush", {"timeout": 120}, {START: 120}),
        ("goose", {"timeout": 300}, {START: 300, CALL: 300}),
        ("cline", {"timeout": 60}, {CALL: 60}),
        ("roo", {"timeout": 3600}, {CALL: 3600}),
        ("kilo-classic", {"timeout": 90}, {CALL: 90}),
        ("claude-code", {"timeout": 1_200_000}, {CALL: 1200}),
        ("copilot-cli", {"timeout": 90_000}, {CALL: 90}),
        ("continue", {"connectionTimeout": 90_000}, {START: 90}),
        ("opencode", {"timeout": 90_000}, {START: 90}),
        ("opencode", {"timeout": {"startup": 90_000, "request": 700_000}}, {START: 90, CALL: 700}),
        ("kilo", {"timeout": 5000}, {}),
        ("gemini", {"timeout": 10**9}, {START: 3600, CALL: 86400}),
    ],
)  # fmt: skip
def test_a_timeout_is_translated(client: str, has: dict[str, Any], becomes: dict[str, int]) -> None:
    command = ["sh"] if client in ("opencode", "kilo") else "sh"
    found = converted(client, {"cmd" if client == "goose" else "command": command, **has})
    assert {key: value for key, value in found.settings.items() if "timeout" in key} == becomes
    assert not [note for note in found.notes if "cannot translate" in note]


@each(
    ("client", "has"),
    [
        ("cursor", {"timeout": 60}),
        ("gemini", {"timeout": "15000"}),
        ("gemini", {"timeout": 60}),
        ("gemini", {"timeout": True}),
        ("gemini", {"timeout": -1}),
        ("opencode", {"timeout": {"startup": "5000"}}),
    ],
)
def test_a_timeout_that_cannot_be_translated_is_named_with_what_holds(
    client: str, has: dict[str, Any]
) -> None:
    said = converted(client, {"command": ["sh"] if client == "opencode" else "sh", **has}).notes[0]
    assert said == (
        "had timeout, which mcpguard cannot translate: a call may take 600 seconds, which "
        "`call_timeout_seconds` of the server changes"
    )


def test_a_timeout_above_the_longest_is_named() -> None:
    said = converted("claude-code", {"command": "sh", "timeout": 10**9}).notes[0]
    assert said == "had a longer timeout than mcpguard knows: a call may take 86400 seconds"


def test_the_documented_source_of_zed_is_not_reported() -> None:
    assert not [
        note for note in converted("zed", {"command": "sh", "source": "custom"}).notes if "had" in note
    ]


def servers() -> dict[str, Any]:
    return dict(yaml.safe_load(find_config(None, os.environ).read_text())["servers"])


def test_the_clients_entry_waits_for_the_longest_and_undo_restores_all(person: Person) -> None:
    codex = person.home / ".codex" / "config.toml"
    codex.parent.mkdir()
    codex.write_text(
        '[mcp_servers.slow]\ncommand = "node"\nargs = ["/opt/slow.js"]\n'
        "startup_timeout_sec = 180\ntool_timeout_sec = 3600\n"
        '[mcp_servers.plain]\ncommand = "node"\nargs = ["/opt/plain.js"]\n'
    )
    gemini = person.home / ".gemini" / "settings.json"
    gemini.parent.mkdir()
    gemini.write_text(
        json.dumps({"mcpServers": {"a": server("a", timeout=5000), "b": server("b", timeout=9500)}})
    )
    cursor = has(person.home / ".cursor/mcp.json", "c")
    goose = person.home / ".config" / "goose" / "config.yaml"
    goose.parent.mkdir(parents=True)
    goose.write_text(
        "extensions:\n  d:\n    type: stdio\n    cmd: node\n    args: [/opt/d.js]\n    timeout: 900\n"
    )
    before = outside_state(person)
    assert main(["import", "--yes"]) == 0
    found = servers()
    assert {key: found["slow"].get(key) for key in (START, CALL)} == {START: 180, CALL: 3600}
    assert CALL not in found["plain"]
    entry = tomllib.loads(codex.read_text())["mcp_servers"]["mcpguard"]
    assert (entry["startup_timeout_sec"], entry["tool_timeout_sec"]) == (180, 3600)
    # What it starts may take 60 seconds to start.
    assert json.loads(gemini.read_text())["mcpServers"]["mcpguard"]["timeout"] == 60_000
    assert yaml.safe_load(goose.read_text())["extensions"]["mcpguard"]["timeout"] == 900
    assert "timeout" not in json.loads(cursor.read_text())["mcpServers"]["mcpguard"]
    assert main(["check"]) == 0
    assert main(["undo"]) == 0
    assert outside_state(person) == before


def test_clients_with_different_timeouts_still_share_a_server(person: Person) -> None:
    has(person.home / ".cursor/mcp.json", "notes")
    path = person.home / ".gemini" / "settings.json"
    has(path, "notes")
    path.write_text(json.dumps({"mcpServers": {"notes": server("notes", timeout=900_000)}}))
    cline = person.home / ".cline" / "data" / "settings" / "cline_mcp_settings.json"
    has(cline)
    cline.write_text(json.dumps({"mcpServers": {"notes": server("notes", timeout=30)}}))
    assert main(["import", "--yes"]) == 0
    assert list(servers()) == ["notes"]
    assert {key: servers()["notes"][key] for key in (START, CALL)} == {START: 900, CALL: 900}
    (entry,) = json.loads(cline.read_text())["mcpServers"].values()
    assert entry["timeout"] == 900
    roo = person.project / ".roo" / "mcp.json"
    has(roo)
    roo.write_text(json.dumps({"mcpServers": {"notes": server("notes", timeout=3000, cwd="/")}}))
    assert main(["import", "--yes", "--project"]) == 0
    assert list(servers()) == ["notes", "notes-2"]
    junie = has(person.home / ".junie/mcp/mcp.json", "notes")
    assert main(["import", "--yes"]) == 0
    assert list(servers()) == ["notes", "notes-2"]
    assert list(json.loads(junie.read_text())["mcpServers"]) == ["mcpguard"]
