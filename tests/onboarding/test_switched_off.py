"""What the user had switched off or rejected in a client, beside the entries, is started by nobody."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import find_config, load_config
from mcpguard.onboarding.discovery.reading import existing
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import Person

Capture = pytest.CaptureFixture[str]
GEMINI = "~/.gemini/settings.json"
SERVERS = {name: {"command": "node", "args": [f"/opt/{name}.js"]} for name in ("good", "bad")}


def has(person: Person, path: str, text: Any) -> Path:
    root, _, rest = path.partition("/")
    file = {"~": person.home, ".": person.project}[root] / rest
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
    return file


def started() -> set[str]:
    """The servers that mcpguard would start."""
    path = find_config(None, os.environ)
    servers = load_config(path).servers if path.exists() else {}
    return {name for name, server in servers.items() if not server.disabled}


OPENCODE = {name: {"type": "local", "command": ["node", f"/opt/{name}.js"]} for name in SERVERS}
SWITCHES: list[tuple[str, dict[str, Any]]] = [
    ("Gemini CLI", {GEMINI: {"mcpServers": SERVERS, "mcp": {"excluded": ["bad"]}}}),
    ("Gemini CLI", {GEMINI: {"mcpServers": SERVERS, "mcp": {"excluded": [" BAD"]}}}),
    ("Gemini CLI", {GEMINI: {"mcpServers": SERVERS, "mcp": {"allowed": ["good"]}}}),
    ("Gemini CLI", {GEMINI: {"mcpServers": SERVERS, "excludeMCPServers": ["bad"]}}),
    (
        "Gemini CLI",
        {
            GEMINI: {"mcpServers": SERVERS},
            "~/.gemini/mcp-server-enablement.json": {"bad": {"enabled": False}, "good": {"enabled": True}},
        },
    ),
    (
        "Gemini CLI",
        {
            "~/.gemini/settings.json": {"mcp": {"excluded": ["bad"]}},
            "./.gemini/settings.json": {"mcpServers": SERVERS},
        },
    ),
    (
        "Gemini CLI",
        {GEMINI: {"mcpServers": SERVERS, "tools": {"exclude": ["mcp_bad_*"]}}},
    ),
    (
        "Gemini CLI",
        {
            GEMINI: {"mcpServers": SERVERS},
            "~/.gemini/policies/a.toml": '[[rule]]\nmcpName = "bad"\ntoolName = "x"\ndecision = "deny"\n',
        },
    ),
    (
        "Gemini CLI",
        {
            GEMINI: {"mcpServers": SERVERS},
            "~/.gemini/policies/a.toml": """
[[rule]]
toolName = ["mcp_bad_rm", "mcp_bad_mv"]
decision = "deny"
[[rule]]
mcpName = "good"
decision = "allow"
[[rule]]
mcpName = "*"
toolName = "wipe"
decision = "deny"
""",
        },
    ),
    ("Qwen Code", {"~/.qwen/settings.json": {"mcpServers": SERVERS, "mcp": {"excluded": ["b?d"]}}}),
    ("Qwen Code", {"~/.qwen/settings.json": {"mcpServers": SERVERS, "mcp": {"allowed": ["g*"]}}}),
    (
        "Qwen Code",
        {
            "~/.qwen/settings.json": {"mcpServers": SERVERS},
            "./.qwen/settings.local.json": {"mcp": {"excluded": ["bad"]}},
        },
    ),
    (
        "Claude Code",
        {
            "./.mcp.json": {"mcpServers": SERVERS},
            "./.claude/settings.local.json": {"disabledMcpjsonServers": ["bad"]},
        },
    ),
    (
        "Claude Code",
        {
            "./.mcp.json": {"mcpServers": SERVERS},
            "~/.claude/settings.json": {"disabledMcpjsonServers": ["bad"]},
        },
    ),
    (
        "Claude Code",
        {
            "~/.claude.json": {"mcpServers": SERVERS},
            "~/.claude/settings.json": {"permissions": {"deny": ["mcp__bad"]}},
        },
    ),
    (
        "Claude Code",
        {
            "~/.claude.json": {"mcpServers": SERVERS},
            "./.claude/settings.json": {"permissions": {"deny": ["mcp__bad__rm_*"]}},
        },
    ),
    (
        "Claude Code",
        {
            "~/.claude.json": {"mcpServers": SERVERS},
            "~/.claude/settings.json": {"deniedMcpServers": [{"serverName": "bad"}, 7, {"x": 1}]},
        },
    ),
    (
        "Claude Code",
        {
            "~/.claude.json": {"mcpServers": SERVERS},
            "~/.claude/settings.json": {"deniedMcpServers": [{"serverCommand": ["node", "/opt/bad.js"]}]},
        },
    ),
    (
        "Claude Code",
        {
            "./.mcp.json": {"mcpServers": {"good": SERVERS["good"], "bad": {"url": "https://b.example/mcp"}}},
            "./.claude/settings.json": {"deniedMcpServers": [{"serverUrl": "https://*.example/*"}]},
        },
    ),
    (
        "Claude Code",
        {
            "./.mcp.json": {"mcpServers": SERVERS},
            "./.claude/settings.json": {"enabledMcpjsonServers": ["good"]},
        },
    ),
    (
        "GitHub Copilot CLI",
        {
            "~/.copilot/mcp-config.json": {"mcpServers": SERVERS},
            "~/.copilot/settings.json": {"disabledMcpServers": ["bad"]},
        },
    ),
    (
        "GitHub Copilot CLI",
        {"./.mcp.json": {"mcpServers": SERVERS}, "~/.copilot/settings.json": {"disabledMcpServers": ["bad"]}},
    ),
    (
        "Qwen Code",
        {"./.mcp.json": {"mcpServers": SERVERS}, "~/.qwen/settings.json": {"mcp": {"excluded": ["bad"]}}},
    ),
    ("opencode", {"~/.config/opencode/opencode.json": {"mcp": OPENCODE, "tools": {"bad*": False}}}),
    ("opencode", {"~/.config/opencode/opencode.json": {"mcp": OPENCODE, "permission": {"bad_*": "deny"}}}),
    (
        "opencode",
        {
            "~/.config/opencode/opencode.json": {"mcp": OPENCODE},
            "./opencode.json": {"mcp": {"bad": {"enabled": False}}},
        },
    ),
    (
        "Amazon Q Developer",
        {"~/.aws/amazonq/cli-agents/a.json": {"mcpServers": SERVERS, "tools": ["fs_read", "@good"]}},
    ),
    (
        "Amazon Q Developer",
        {"~/.aws/amazonq/cli-agents/a.json": {"mcpServers": SERVERS, "tools": ["@good/x", "@bad/r_*"]}},
    ),
    (
        "Cursor",
        {
            "~/.cursor/mcp.json": {"mcpServers": SERVERS},
            "~/.cursor/cli-config.json": {"permissions": {"deny": ["Mcp(bad:*)"]}},
        },
    ),
]


@pytest.mark.parametrize(("client", "files"), SWITCHES, ids=range(len(SWITCHES)))
def test_what_a_list_of_the_client_switches_off_is_not_started(
    client: str, files: dict[str, Any], person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    written = {has(person, path, text): text for path, text in files.items()}
    before = {path: path.read_bytes() for path in written}
    assert main(["import", "--yes", "--project"]) in (0, 1)
    assert started() == {"good"}, capsys.readouterr()
    capsys.readouterr()
    assert main(["undo"]) == 0
    assert {path: path.read_bytes() for path in written} == before


def test_a_server_that_is_off_in_a_project_stays_and_the_sentence_says_where(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    project = {"disabledMcpServers": ["bad", "own"], "mcpServers": {"own": SERVERS["good"]}}
    path = has(person, "~/.claude.json", {"mcpServers": SERVERS, "projects": {"/srv/p": project}})
    assert main(["import", "--yes"]) == 1
    said = capsys.readouterr().out
    assert (
        f"bad (Claude Code) is switched off by `projects./srv/p.disabledMcpServers` in {path}, and would be switched "
        "on behind mcpguard: correct that, or remove the server, and import again"
    ) in said
    assert started() == {"good"}
    assert "bad" in json.loads(path.read_text())["mcpServers"]


def test_what_only_another_project_rejects_is_on_here(person: Person, backend: FakeKeyring) -> None:
    has(person, "./.mcp.json", {"mcpServers": SERVERS})
    project = {"disabledMcpjsonServers": ["good"], "disabledMcpServers": ["bad"]}
    has(person, "~/.claude.json", {"projects": {"/srv/p": project}})
    assert main(["import", "--yes", "--project"]) == 0
    assert started() == {"good", "bad"}


def test_where_every_server_of_a_project_is_approved_all_are_on(person: Person, backend: FakeKeyring) -> None:
    has(person, "./.mcp.json", {"mcpServers": SERVERS})
    settings = {"enabledMcpjsonServers": ["good"], "enableAllProjectMcpServers": True}
    path = has(person, "./.claude/settings.local.json", settings)
    assert main(["import", "--yes", "--project"]) == 0
    assert started() == {"good", "bad"}
    assert json.loads(path.read_text()) == settings


def test_a_rejected_server_of_a_strangers_project_is_not_started(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, "./.mcp.json", {"mcpServers": SERVERS})
    has(person, "~/.claude.json", {"projects": {str(person.project): {"disabledMcpjsonServers": ["bad"]}}})
    assert main(["import", "--yes", "--project"]) == 0
    assert started() == {"good"}


def test_where_the_lists_cannot_be_read_nothing_is_taken_for_on(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, "~/.claude.json", {"mcpServers": SERVERS})
    broken = has(person, "~/.claude/settings.json", '{"permissions": ')
    assert main(["import", "--yes"]) == 1
    said = capsys.readouterr().out
    assert (
        f"may be switched off by {broken}, which cannot be read, and would be switched on behind mcpguard"
        in said
    )
    assert started() == set()


def test_of_an_agent_only_the_tools_that_it_names_are_shown(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, "~/.aws/amazonq/cli-agents/a.json", {"mcpServers": SERVERS, "tools": ["@good", "@bad/x"]})
    (found,) = existing(person.places)
    assert [entry.only for entry in found.entries] == [None, ("x",)]


@pytest.mark.parametrize(
    "text", ['{"mcp": {"excluded": "bad"}}', '{"mcp": {"excluded": [7, null, {}]}}', "[]"]
)
def test_a_list_in_another_form_names_nothing(text: str, person: Person) -> None:
    has(person, "~/.gemini/settings.json", {"mcpServers": SERVERS})
    has(person, "./.gemini/settings.json", text)
    found = next(one for one in existing(person.places) if one.entries)
    assert [(entry.disabled, entry.problem) for entry in found.entries] == [(False, "")] * 2


def test_a_file_with_more_names_than_anybody_writes_holds_nothing_up(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, GEMINI, {"mcpServers": SERVERS})
    path = has(
        person, "./.gemini/settings.json", {"mcp": {"excluded": [f"x{number}" for number in range(2001)]}}
    )
    assert main(["import", "--yes", "--project"]) == 1
    assert f"left out {path}: more than 2000 names in lists\n" in capsys.readouterr().out
    assert started() == set()


def test_a_disabled_server_does_not_move_alone(person: Person, backend: FakeKeyring, capsys: Capture) -> None:
    has(person, GEMINI, {"mcpServers": SERVERS, "mcp": {"excluded": ["bad"]}})
    has(person, "~/.gemini/policies/a.toml", '[[rule]]\nmcpName = "good"\ndecision = "deny"\n')
    has(person, "~/.cursor/mcp.json", {"mcpServers": {"off": {**SERVERS["bad"], "disabled": True}}})
    assert main(["import", "--yes"]) == 1
    said = capsys.readouterr().out
    assert "bad (Gemini CLI), off (Cursor)" in said or "off (Cursor), bad (Gemini CLI)" in said
    assert "is disabled, and no enabled server beside it moves: enable it, and import again" in said
    assert "good (Gemini CLI) has tools that are switched off by `rule` in " in said
    assert not find_config(None, os.environ).exists()
