"""Where `mcpguard doctor` looks, and what may lie there without stopping it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mcpguard.core.redaction import budget
from mcpguard.doctor import clients, operation, plain_text, surroundings
from mcpguard.onboarding.discovery import reading
from tests.doctor.machine import OURS, PHRASE, TOKEN, Machine, machine
from tests.doctor.scenes import CURSOR, mounted_by

ENTRY = {"command": "cat", "env": {"GIT_TOKEN": TOKEN}}


pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine() as one:
        yield one


@pytest.mark.parametrize(
    "line",
    [
        f"export A_TOKEN={PHRASE}",
        f'  export A_TOKEN="{PHRASE}"; echo',
        f"A_TOKEN='{PHRASE}' command",
        f"EDITOR=vi DB_PASSWORD={PHRASE}",
        f"set -gx A_API_KEY {PHRASE}",
        f"set --global --export A_SECRET '{PHRASE}'",
        f"setenv A_TOKEN {PHRASE}",
        f"SETUVAR --export A_TOKEN:{PHRASE}",
        f"# export A={TOKEN}",
        f"curl -H 'Authorization: Bearer {TOKEN}'",
        "export A=postgres://app:" + PHRASE + "@db/x",
    ],
)
def test_a_line_of_a_profile_with_a_credential_is_found(line: str, made: Machine) -> None:
    made.write("home/.bashrc", f"# mine\n\n{line}\n")
    assert [(one.code, one.line) for one in made.diagnosed().findings] == [("D102", 3)]


@pytest.mark.parametrize(
    "line",
    [
        "export A_TOKEN=$(pass show a)",
        "export A_TOKEN=`pass show a`",
        "export A_TOKEN=${OTHER_TOKEN_HERE}",
        "export A_TOKEN_FILE=/run/secrets/token",
        "export A_TOKEN=/run/secrets/token",
        "export A_TOKEN=op://vault/item/field",
        "export A_TOKEN=your-token-goes-here",
        "export A_TOKEN=<paste it here>",
        "export A_TOKEN=",
        "export A_TOKEN=short",
        f"# export A_TOKEN={PHRASE}",
        "export A=postgres://app:$DB_PASSWORD@db/x",
        "unset A_TOKEN",
    ],
)
def test_a_reference_or_a_sample_is_none(line: str, made: Machine) -> None:
    made.write("home/.bashrc", f"{line}\n")
    assert made.codes() == set()


@pytest.mark.parametrize(
    "name",
    [
        "home/.zshenv",
        "home/.config/fish/conf.d/mine.fish",
        "home/.config/environment.d/10-mine.conf",
        "zsh/.zshrc",
        "project/.env",
        "project/.envrc",
    ],
)
def test_a_file_of_variables_is_looked_into(name: str, made: Machine) -> None:
    made.replaced(environ={"ZDOTDIR": str(made.root / "zsh")})
    path = made.write(name, f"A_TOKEN={PHRASE}\n")
    assert [one.file for one in made.diagnosed().findings] == [str(path)]


def test_a_profile_with_a_credential_that_others_can_read_is_told_twice(made: Machine) -> None:
    made.write("home/.bashrc", f"A_TOKEN={PHRASE}\n", 0o644)
    assert made.codes() == {"D102", "D502"}
    made.home.chmod(0o700)
    assert made.codes() == {"D102"}


def test_every_client_is_looked_at(made: Machine) -> None:
    made.write("project/.mcp.json", json.dumps({"mcpServers": {"a": ENTRY}}))
    made.write("home/.codex/config.toml", f'[mcp_servers.b]\ncommand = "cat"\nenv = {{ B = "{TOKEN}" }}\n')
    made.write("home/.continue/config.yaml", f"mcpServers:\n  - name: c\n    url: https://c/?key={PHRASE}\n")
    report = made.diagnosed()
    assert [(one.code, one.fix.split()[-1]) for one in report.findings] == [
        ("D101", "codex"),
        ("D101", "continue"),
        ("D101", "claude-code"),
        ("D201", "codex"),
        ("D201", "continue"),
        ("D201", "claude-code"),
    ]


def test_an_entry_that_cannot_be_imported_is_looked_at_all_the_same(made: Machine) -> None:
    made.write(CURSOR, json.dumps({"mcpServers": {"a": {**ENTRY, "envFile": ".env"}}}))
    assert made.codes() == {"D101", "D201"}


def test_a_server_that_a_list_of_its_client_rejects_passes_nothing_by(made: Machine) -> None:
    made.write("project/.mcp.json", json.dumps({"mcpServers": {"a": {"url": "https://a.example/mcp"}}}))
    assert made.codes() == {"D201"}
    made.write("project/.claude/settings.local.json", json.dumps({"disabledMcpjsonServers": ["a"]}))
    assert made.codes() == set()


def test_a_server_of_the_same_name_that_is_another_one_is_not_the_same(made: Machine) -> None:
    made.configured()
    made.write(CURSOR, json.dumps({"mcpServers": {"git": {"url": "https://git.example.com/mcp"}}}))
    assert made.codes() == {"D201"}


def test_a_server_that_is_guarded_and_reached_directly_too_is_told_as_such(made: Machine) -> None:
    made.configured("git: {url: 'https://mcp.example.com/mcp?key=${env:K}'}")
    entries = {
        "x": {"url": "https://MCP.example.com/mcp/"},
        "y": {"url": "https://mcp.example.com/"},
        "z": {"command": "z"},
    }
    made.write(CURSOR, json.dumps({"mcpServers": entries}))
    found = made.diagnosed().findings
    assert [(one.code, one.message) for one in found] == [
        ("D202", "Cursor reaches x, which is guarded as git"),
        ("D201", "Cursor connects to y directly"),
        ("D201", "Cursor connects to z directly"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "mcp.json.bak",
        "mcp.json~",
        "mcp.json.backup.1",
        "mcp (copy).json",
        "mcp.old.json",
        "#mcp.json#",
        "mcp.json.before-mcpguard",
    ],
)
def test_an_old_copy_of_a_clients_file_is_looked_into(name: str, made: Machine) -> None:
    for text in (json.dumps({"mcpServers": {"a": ENTRY}}), f"{{ broken {TOKEN}"):
        made.write(f"home/.cursor/{name}", text)
        assert [(one.code, one.line) for one in made.diagnosed().findings] == [("D104", 1)]


def test_a_token_in_no_servers_settings_is_found_too(made: Machine) -> None:
    text = json.dumps({"mcpServers": {"guarded": {"command": OURS, "args": ["run"]}}})
    made.write(CURSOR, f"// {TOKEN}\n{text}")
    [told] = made.diagnosed().findings
    assert (told.code, told.line) == ("D101", 1)
    assert told.message == "looks like a credential, outside the servers' entries: github-token"
    assert told.fix.startswith("delete it there")


def test_an_argument_that_import_may_leave_is_not_promised_to_move(made: Machine) -> None:
    made.write(CURSOR, json.dumps({"mcpServers": {"a": {"command": "cat", "args": ["--api-key", PHRASE]}}}))
    [told] = [one for one in made.diagnosed().findings if one.code == "D101"]
    assert told.fix.startswith("`mcpguard import` leaves it alone, since it has a secret in argument 2")
    assert not told.is_command


def test_what_only_its_name_betrays_is_found_in_mcpguards_own_configuration(made: Machine) -> None:
    env = f"{{A_TOKEN: {PHRASE}, B_TOKEN: 'x-${{env:B}}', C: '{TOKEN}'}}"
    made.configured(f"git:\n    command: sudo\n    env: {env}\n    args: [--key, {PHRASE}-2]")
    assert [(one.code, one.line, one.message) for one in made.diagnosed().findings] == [
        ("D103", 5, "the server git has it in env.A_TOKEN"),
        ("D103", 5, "the server git has it in env.C (github-token)"),
        ("D103", 6, "the server git has it in args.1"),
    ]


def test_the_backups_of_claude_code_are_looked_into(made: Machine) -> None:
    copy = made.write("home/.claude/backups/.claude.json.backup.17", json.dumps({"mcpServers": {"a": ENTRY}}))
    assert [(one.code, one.file) for one in made.diagnosed().findings] == [("D104", str(copy))]


def test_a_copy_whose_name_is_no_text_is_told_by_its_bytes(made: Machine) -> None:
    copy = made.write(f"{CURSOR}.bak", json.dumps({"mcpServers": {"a": ENTRY}}))
    os.rename(copy, os.fsencode(copy) + b"\xff")
    assert [(one.code, one.file) for one in made.diagnosed().findings] == [("D104", f"{copy}\\xff")]


def test_the_local_history_of_an_editor_is_looked_into(made: Machine) -> None:
    folder = "home/.config/Code/User/History/-6f2/"
    resource = (made.home / ".cursor/mcp.json").as_uri()
    history = {"version": 1, "resource": resource, "entries": [{"id": "a.json"}, {"id": "../b.json"}]}
    made.write(folder + "entries.json", json.dumps(history))
    copy = made.write(folder + "a.json", json.dumps({"mcpServers": {"a": ENTRY}}))
    made.write("home/.config/Code/User/History/b.json", json.dumps({"mcpServers": {"a": ENTRY}}))
    assert [(one.code, one.file) for one in made.diagnosed().findings] == [("D104", str(copy))]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"resource": "file://[", "entries": []}', "[" * 5000])
def test_a_history_of_something_else_is_none(text: str, made: Machine) -> None:
    made.write("home/.config/Cursor/User/History/1/entries.json", text)
    report = made.diagnosed()
    assert (report.findings, report.unchecked) == ((), ())


def test_a_copy_that_cannot_be_looked_into_is_said(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError

    made.write(CURSOR + ".bak", "{}")
    monkeypatch.setattr(reading, "read", fails)
    assert [one.why for one in made.diagnosed().unchecked] == ["it cannot be read"]


def odd(made: Machine, name: str) -> Path:
    path = made.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("name", [CURSOR, "home/.bashrc", "home/.config/fish/config.fish"])
def test_nothing_that_lies_there_stops_it(name: str, made: Machine) -> None:
    path = odd(made, name)
    os.mkfifo(path)
    assert made.diagnosed().findings == ()
    path.unlink()
    path.symlink_to(path)
    assert [one.what for one in made.diagnosed().unchecked] == [str(path)]
    path.unlink()
    path.symlink_to("/dev/zero")
    assert made.diagnosed().findings == ()
    path.unlink()
    path.mkdir()
    assert made.diagnosed().findings == ()
    path.rmdir()
    path.symlink_to(made.root / "nowhere")
    assert made.diagnosed().findings == ()
    path.unlink()
    path.write_bytes(b"\xff\xfe\x00" + Random(1).randbytes(1000))
    assert made.diagnosed().findings == ()


def test_what_is_too_large_or_holds_too_much_is_said(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made.write("home/.bashrc", "A=b\n" * 1000)
    monkeypatch.setattr(surroundings, "SIZE_LIMIT", 3999)
    assert [(one.what, one.why) for one in made.diagnosed().unchecked] == [
        (str(path), "larger than 3999 bytes")
    ]
    monkeypatch.undo()
    monkeypatch.setattr(budget, "HITS", (1 / 16, 0))
    made.write("home/.bashrc", f"{TOKEN}\n" * 2)
    made.write(CURSOR, "{" + f"// {TOKEN}\n" * 2 + "}")
    said = [one.why for one in made.diagnosed().unchecked]
    assert said == ["it contains too much that looks like a credential"] * 2


def test_only_so_many_lines_of_a_file_are_told(made: Machine) -> None:
    made.write("home/.bashrc", f"A_TOKEN={PHRASE}\nB={TOKEN}\n" * 2000)
    found = made.diagnosed().findings
    assert len(found) == plain_text.TOLD
    assert found[-1].message.endswith("; the lines after it were not checked")


def test_a_value_that_is_too_long_to_be_held_is_told_all_the_same(made: Machine) -> None:
    entry = {"command": OURS, "env": {"A_TOKEN": "a1" * 10_000, "B_TOKEN": "short"}}
    made.write(CURSOR, json.dumps({"mcpServers": {"a": entry}}))
    assert [one.message[-11:] for one in made.diagnosed().findings] == ["env.A_TOKEN", "env.B_TOKEN"]


def test_a_folder_that_cannot_be_listed_hides_nothing_else(
    made: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: Path, _pattern: str) -> list[Path]:
        raise PermissionError

    made.write("home/.bashrc", f"A_TOKEN={PHRASE}\n")
    monkeypatch.setattr(plain_text.Path, "glob", fails)
    assert [one.what for one in made.diagnosed().unchecked] == ["the clients", "the locks of clients"]
    assert "D102" in made.codes()


def test_only_so_many_names_of_a_folder_are_looked_at(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "NAMES_LIMIT", 0)
    monkeypatch.setattr(plain_text, "FILES_LIMIT", 0)
    made.write(CURSOR + ".bak", json.dumps({"mcpServers": {"a": ENTRY}}))
    made.write("home/.config/environment.d/a.conf", f"A_TOKEN={PHRASE}\n")
    assert made.codes() == set()


def test_only_the_newest_evidence_is_verified(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    made.configured()
    for number in (1, 2):
        made.write(f"state/audit/2026010{number}T000000Z-1-00000000.jsonl", '{"kind":"opened"}\n')
    assert len(made.diagnosed().findings) == 2
    monkeypatch.setattr(operation, "VERIFIED_BYTES", 20)
    assert [Path(one.file).name[:8] for one in made.diagnosed().findings] == ["20260102"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("9p", True),
        ("virtiofs", True),
        ("fuse.gcsfuse", True),
        ("gfs2", True),
        ("one-of-tomorrow", True),
        ("overlay", False),
        ("btrfs", False),
    ],
)
def test_a_file_system_of_the_sessions_that_is_not_known_to_be_local_is_named(
    made: Machine, monkeypatch: pytest.MonkeyPatch, kind: str, said: bool
) -> None:
    mounted_by(kind)(made, monkeypatch)
    told = [one.message for one in made.diagnosed().findings if one.code == "D606"]
    assert told == [f"its file system is {kind}"] * said
