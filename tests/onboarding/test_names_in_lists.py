"""Lists in which a client names servers or their tools name mcpguard after an import, and no more of it than
they named."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.cli.onboarding import first_look
from mcpguard.onboarding.discovery.reading import PARSERS
from mcpguard.onboarding.locks.lockable import SystemFolders
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import Person
from tests.onboarding.test_switched_off import OPENCODE, SERVERS, has

Capture = pytest.CaptureFixture[str]
GEMINI, CLAUDE = "~/.gemini/settings.json", "~/.claude.json"
TWO = {"mcpServers": SERVERS}


def said(path: Path) -> Any:
    form = {".yaml": "yaml", ".toml": "toml"}.get(path.suffix, "jsonc")
    return PARSERS[form](path.read_text()).plain()


def at(data: Any, *way: str) -> Any:
    for step in way:
        data = data[step]
    return data


FORMS: list[tuple[str, dict[str, Any], str, tuple[str, ...], Any]] = [
    # files, the one with the list, the way to it, what it says afterwards
    (
        "servers that alone are started",
        {GEMINI: TWO | {"mcp": {"allowed": ["good", "bad"]}}},
        GEMINI,
        ("mcp", "allowed"),
        ["good", "bad", "mcpguard"],
    ),
    (
        "servers that alone are started, by a pattern",
        {"~/.qwen/settings.json": TWO | {"mcp": {"allowed": ["*"]}}},
        "~/.qwen/settings.json",
        ("mcp", "allowed"),
        ["*", "mcpguard"],
    ),
    (
        "servers of another client's file that alone are started",
        {"./.mcp.json": TWO, "~/.qwen/settings.json": {"mcp": {"allowed": ["good", "bad"]}}},
        "~/.qwen/settings.json",
        ("mcp", "allowed"),
        ["good", "bad", "mcpguard-project"],
    ),
    (
        "servers that alone are started in a project",
        {GEMINI: TWO, "./.gemini/settings.json": {"mcp": {"allowed": ["bad", "good"]}}},
        "./.gemini/settings.json",
        ("mcp", "allowed"),
        ["bad", "good", "mcpguard"],
    ),
    (
        "approved servers of a project",
        {"./.mcp.json": TWO, "./.claude/settings.local.json": {"enabledMcpjsonServers": ["good", "bad"]}},
        "./.claude/settings.local.json",
        ("enabledMcpjsonServers",),
        ["good", "bad", "mcpguard-project"],
    ),
    (
        "tools that need no question",
        {CLAUDE: TWO, "~/.claude/settings.json": {"permissions": {"allow": ["mcp__good__read", "Bash(ls)"]}}},
        "~/.claude/settings.json",
        ("permissions", "allow"),
        ["mcp__good__read", "Bash(ls)", "mcp__mcpguard__read"],
    ),
    (
        "tools that need no question, as a pattern or all of a server",
        {CLAUDE: TWO, "~/.claude/settings.json": {"permissions": {"allow": ["mcp__good", "mcp__bad__r*"]}}},
        "~/.claude/settings.json",
        ("permissions", "allow"),
        ["mcp__good", "mcp__bad__r*"],
    ),
    (
        "tools that are refused",
        {CLAUDE: TWO, "./.claude/settings.json": {"permissions": {"deny": ["mcp__bad__rm"]}}},
        "./.claude/settings.json",
        ("permissions", "deny"),
        ["mcp__bad__rm", "mcp__mcpguard__rm", "mcp__mcpguard__bad__rm"],
    ),
    (
        "tools of Cursor's command line",
        {
            "~/.cursor/mcp.json": TWO,
            "~/.cursor/cli-config.json": {"permissions": {"allow": ["Mcp(good:a)", "Mcp(bad, b)"]}},
        },
        "~/.cursor/cli-config.json",
        ("permissions", "allow"),
        ["Mcp(good:a)", "Mcp(bad, b)", "Mcp(mcpguard:a)", "Mcp(mcpguard, b)"],
    ),
    (
        "tools of Cursor",
        {"~/.cursor/mcp.json": TWO, "~/.cursor/permissions.json": {"mcpAllowlist": ["good:a"]}},
        "~/.cursor/permissions.json",
        ("mcpAllowlist",),
        ["good:a", "mcpguard:a"],
    ),
    (
        "a set of tools",
        {
            "~/.config/Code/User/mcp.json": {"servers": SERVERS},
            "~/.config/Code/User/prompts/my.toolsets.jsonc": {"mine": {"tools": ["good/*", "bad/*", "edit"]}},
        },
        "~/.config/Code/User/prompts/my.toolsets.jsonc",
        ("mine", "tools"),
        ["good/*", "bad/*", "edit", "mcpguard/*"],
    ),
    (
        "the tools of an agent",
        {"~/.aws/amazonq/cli-agents/a.json": TWO | {"tools": ["fs_read", "@good", "@bad/x"]}},
        "~/.aws/amazonq/cli-agents/a.json",
        ("tools",),
        ["fs_read", "@good", "@bad/x", "@mcpguard-a-json", "@mcpguard-a-json/x"],
    ),
    (
        "the tools of an agent for servers of another file",
        {
            "~/.aws/amazonq/mcp.json": TWO,
            "~/.aws/amazonq/cli-agents/a.json": {"mcpServers": {}, "tools": ["@good", "@bad/x"]},
        },
        "~/.aws/amazonq/cli-agents/a.json",
        ("tools",),
        ["@good", "@bad/x", "@mcpguard/x"],
    ),
    (
        "the tools of an agent of Kiro",
        {"~/.kiro/settings/mcp.json": TWO, "~/.kiro/agents/a.json": {"tools": ["@good", "@bad"]}},
        "~/.kiro/agents/a.json",
        ("tools",),
        ["@good", "@bad", "@mcpguard"],
    ),
    (
        "a mapping of tools",
        {
            "~/.config/opencode/opencode.json": {
                "mcp": OPENCODE,
                "permission": {"good_x": "ask", "edit": "deny"},
            }
        },
        "~/.config/opencode/opencode.json",
        ("permission",),
        {"good_x": "ask", "edit": "deny", "mcpguard_x": "ask", "mcpguard_good__x": "ask"},
    ),
    (
        "a profile",
        {
            "~/.config/zed/settings.json": {
                "context_servers": SERVERS,
                "agent": {
                    "profiles": {
                        "p": {
                            "context_servers": {"good": {"tools": {"a": True}}, "bad": {"tools": {"b": True}}}
                        }
                    }
                },
            }
        },
        "~/.config/zed/settings.json",
        ("agent", "profiles", "p", "context_servers", "mcpguard"),
        {"tools": {"a": True, "b": True}},
    ),
    (
        "a list in YAML",
        {
            "~/.config/goose/config.yaml": "extensions:\n  good:\n    cmd: node\n    type: stdio\n    name: good\n",
            "~/.config/goose/permission.yaml": "user:\n  always_allow:\n  - good__a\n  - other__b\n",
        },
        "~/.config/goose/permission.yaml",
        ("user", "always_allow"),
        ["good__a", "other__b", "mcpguard__a"],
    ),
]


@pytest.mark.parametrize(
    ("files", "path", "way", "after"), [form[1:] for form in FORMS], ids=[f[0] for f in FORMS]
)
def test_a_list_names_mcpguard_and_undo_is_byte_exact(
    files: dict[str, Any],
    path: str,
    way: tuple[str, ...],
    after: Any,
    person: Person,
    backend: FakeKeyring,
    capsys: Capture,
) -> None:
    written = {name: has(person, name, text) for name, text in files.items()}
    before = {one: one.read_bytes() for one in written.values()}
    assert main(["import", "--yes", "--project"]) == 0
    assert at(said(written[path]), *way) == after, capsys.readouterr()
    assert main(["undo"]) == 0
    assert {one: one.read_bytes() for one in written.values()} == before


@pytest.mark.parametrize(
    ("files", "path", "way", "after"), [form[1:] for form in FORMS], ids=[f[0] for f in FORMS]
)
def test_from_a_file_that_changed_only_the_names_of_mcpguard_go(
    files: dict[str, Any], path: str, way: tuple[str, ...], after: Any, person: Person, backend: FakeKeyring
) -> None:
    written = {name: has(person, name, text) for name, text in files.items()}
    before = said(written[path])
    assert main(["import", "--yes", "--project"]) == 0
    file = written[path]
    file.write_text(file.read_text() + ("# later\n" if file.suffix == ".yaml" else "\n"))
    assert main(["undo"]) == 0
    assert said(file) == before
    assert "mcpguard" not in file.read_text()


def test_what_a_list_cannot_say_of_mcpguard_is_said(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, CLAUDE, TWO)
    path = has(person, "~/.claude/settings.json", {"permissions": {"allow": ["mcp__good", "mcp__bad__r*"]}})
    assert main(["import", "--yes"]) == 0
    said = capsys.readouterr().out
    assert (
        f"note: `permissions.allow` in {path} no longer applies to `mcp__good`, `mcp__bad__r*`, whose tools are "
        "those of mcpguard now: name there the ones that you want\n"
    ) in said


def test_agents_in_markdown_that_name_a_tool_are_said(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, CLAUDE, TWO)
    text = "---\nname: a\ntools: Read, mcp__good__x, mcp__good__y, xmcp__bad__z\n---\nuse mcp__bad__z\n"
    path = has(person, "~/.claude/agents/a.md", text)
    has(person, "./.claude/agents/b.md", "no front matter: mcp__good__x")
    (person.project / ".claude/agents/c.md").mkdir()
    assert main(["import", "--yes"]) == 0
    said = capsys.readouterr().out
    assert (
        f"note: {path} names `mcp__good__x`, `mcp__good__y`: write `mcp__mcpguard__` in place of `mcp__good__` "
        "there\n"
    ) in said
    assert said.count("in place of") == 1
    assert path.read_text() == text


def test_what_is_added_to_lists_is_shown_before(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, GEMINI, TWO | {"mcp": {"allowed": ["good", "bad"]}})
    assert main(["import", "--dry-run"]) == 0
    assert "\n+   mcp.allowed: mcpguard\n" in capsys.readouterr().out


def test_where_the_list_is_in_a_file_that_is_left_alone_the_server_stays(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, GEMINI, TWO)
    path = has(person, "./.gemini/settings.json", {"mcp": {"allowed": ["good", "bad"]}})
    assert main(["import", "--yes"]) == 1
    assert (
        f"would not be started behind mcpguard, since `mcp.allowed` in {path} does not name mcpguard, and that "
        "file is left alone: add mcpguard there, and import again"
    ) in capsys.readouterr().out
    path.write_text('{"mcp": {"allowed": ["good", "bad", "mcpguard"]}}')
    assert main(["import", "--yes"]) == 0


def test_where_a_list_switches_mcpguard_off_the_server_stays(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = has(person, "~/.qwen/settings.json", TWO | {"mcp": {"excluded": ["mcp*"]}})
    assert main(["import", "--yes"]) == 1
    assert (
        f"would not be started behind mcpguard, since `mcp.excluded` in {path} matches mcpguard: correct that "
        "list, and import again"
    ) in capsys.readouterr().out


def test_a_second_import_does_not_widen_what_a_list_names(person: Person, backend: FakeKeyring) -> None:
    path = has(person, "~/.kiro/settings/mcp.json", TWO)
    agent = has(person, "~/.kiro/agents/a.json", {"tools": ["@good"]})
    assert main(["import", "--yes", "--server", "bad"]) == 0
    assert main(["import", "--yes"]) == 0
    assert said(agent) == {"tools": ["@good"]}
    assert list(said(path)["mcpServers"]) == ["mcpguard"]


def test_an_installed_mcpguard_is_in_the_list_of_what_alone_is_started(
    person: Person, backend: FakeKeyring
) -> None:
    for text in ('{"mcp": {"allowed": []}}', '{"mcp": {"allowed": ["other"]}}'):
        has(person, CLAUDE, TWO)
        assert main(["import", "--yes", "--client", "claude-code"]) == 0
        path = has(person, GEMINI, text)
        assert main(["install", "gemini", "--server", "good"]) == 0
        assert said(path)["mcp"]["allowed"][-1] == "mcpguard"
        assert main(["undo"]) == 0
        assert path.read_text() == text


def test_mcpguard_is_not_installed_where_a_list_switches_it_off(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person, CLAUDE, TWO)
    assert main(["import", "--yes"]) == 0
    path = has(person, GEMINI, {"mcpServers": {}})
    switches = has(person, "~/.gemini/mcp-server-enablement.json", {"mcpguard": {"enabled": False}})
    assert main(["install", "gemini", "--server", "good"]) == 2
    assert (
        f"Gemini CLI would not start mcpguard, since {switches} names it: correct that list; nothing was done"
    ) in capsys.readouterr().err
    assert said(path) == {"mcpServers": {}}


def test_a_list_of_the_system_that_does_not_allow_mcpguard_is_said(
    tmp_path: Path, person: Person, backend: FakeKeyring, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "system", lambda: SystemFolders(tmp_path, "linux"))
    path = tmp_path / "etc/claude-code/managed-settings.json"
    path.parent.mkdir(parents=True)
    for text in ("{", "{}", '{"allowedMcpServers": [{"serverCommand": ["node", "/opt/good.js"]}]}'):
        path.write_text(text)
        has(person, CLAUDE, TWO)
        assert main(["import", "--yes"]) == 0
        out = capsys.readouterr().out
        assert main(["undo"]) == 0
        capsys.readouterr()
        said = f"to do    {path} does not let Claude Code start mcpguard: `sudo env HOME="
        assert (said in out) == ("serverCommand" in text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('["good", "bad",]', '["good", "bad", "mcpguard",]'),
        ('[\n  "good",\n  "bad" // last\n]', '[\n  "good",\n  "bad",\n  "mcpguard" // last\n]'),
        ('["bad", /* x */ "good"]', '["bad", /* x */ "good", "mcpguard"]'),
        ('[ 7, "bad",\r\n\t"good"\r\n]', '[ 7, "bad",\r\n\t"good",\r\n\t"mcpguard"\r\n]'),
    ],
)
def test_a_list_keeps_its_form(before: str, after: str, person: Person, backend: FakeKeyring) -> None:
    whole = '{"mcp": {"allowed": %s}, "mcpServers": ' + f"{json.dumps(SERVERS)}}}"
    path = has(person, GEMINI, "")
    path.write_bytes((whole % before).encode())
    assert main(["import", "--yes"]) == 0
    assert f'{{"mcp": {{"allowed": {after}}}, "mcpServers"'.encode() in path.read_bytes()
    path.write_bytes(path.read_bytes() + b" ")
    assert main(["undo"]) == 0
    assert f'{{"mcp": {{"allowed": {before}}}, "mcpServers"'.encode() in path.read_bytes()
