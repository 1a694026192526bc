"""`mcpguard lock`: what a client may start is mcpguard and nothing else, and all of it can be taken back."""

from __future__ import annotations

import json
import os
import stat
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from mcpguard.cli import main
from mcpguard.cli.onboarding import lock as verb
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.locks.lockable import ELSEWHERE, LOCKABLE, SystemFolders, lockable, runs_mcpguard
from mcpguard.onboarding.locks.locking import LockKeeper
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.doctor.machine import OURS
from tests.onboarding.corpus import Person, tree
from tests.onboarding.published.obey import OBEYING, Server
from tests.onboarding.test_crash import left_by

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.timeout(300)]

FILES = {
    "claude-code": "etc/claude-code/managed-settings.json",
    "vscode": "etc/github-copilot/managed-settings.json",
    "codex": "etc/codex/requirements.toml",
    "gemini": "etc/gemini-cli/settings.json",
}
HOMES = {
    "claude-code": "home/.claude.json",
    "vscode": "home/.config/Code/User/mcp.json",
    "codex": "home/.codex/config.toml",
    "gemini": "home/.gemini/settings.json",
}
PROJECTS = {
    "claude-code": "project/.mcp.json",
    "vscode": "project/.vscode/mcp.json",
    "codex": "project/.codex/config.toml",
    "gemini": "project/.gemini/settings.json",
}
OTHERS = {
    "claude-code": '{\n  // ours\n  "cleanupPeriodDays": 20,\n  "permissions": {"deny": ["Read(./.env)"]}\n}\n',
    "vscode": '{"telemetry": {"enabled": true}, "model": "auto"}',
    "codex": '# ours\nallowed_sandbox_modes = ["read-only"] # all\n\n[features]\nplugins = true\n',
    "gemini": '{\r\n\t"ui": {"theme": "x"},\r\n\t"mcpServers": {"corp": {"command": "/bin/corp", "args": []}}\r\n}',
}
"""What an administrator has in these files already: comments, tabs, CRLF, no newline at the end."""


@pytest.fixture
def root(person: Person, monkeypatch: Patch) -> Path:
    """What stands for the root of the system."""
    folder = person.home.parent / "system"
    folder.mkdir()
    monkeypatch.setattr(verb, "system", lambda: SystemFolders(folder, "linux"))
    return folder


def entry(client: str, project: str = "") -> dict[str, Any]:
    args = ["run", "--config", "/etc/mcpguard.yaml", "--agent", client]
    return {"command": OURS, "args": [*args, *(["--project", project] if project else [])]}


def has(person: Person, name: str, servers: dict[str, Any]) -> Path:
    """A client's file with these servers."""
    path = person.home.parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".toml"):
        path.write_text(tomlkit.dumps({"mcp_servers": servers}))
    else:
        path.write_text(
            json.dumps({"servers" if "mcp.json" in name and ".mcp" not in name else "mcpServers": servers})
        )
    return path


def installed(person: Person, client: str) -> Server:
    has(person, HOMES[client], {"mcpguard": entry(client)})
    return Server("mcpguard", (OURS, *entry(client)["args"]))


def given(root: Path, client: str, text: str = "") -> Path:
    path = root / FILES[client]
    if text:
        path.parent.mkdir(parents=True)
        path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("client", FILES)
def test_a_locked_client_starts_mcpguard_and_nothing_else(
    client: str, others: bool, person: Person, root: Path
) -> None:
    ours = installed(person, client)
    path = given(root, client, OTHERS[client] if others else "")
    assert main(["lock", client]) == 0
    text = strict(path)
    starts = OBEYING[client]
    assert starts(text, ours)
    for other in (
        Server("github", ("npx", "server-github")),
        Server("mcpguard", ("npx", "server-github")),
        Server("mcpguard", (OURS, "wrap", "--", "npx", "server-github")),
        Server("mcpguard", (OURS, *ours.command[1:], "--agent", "other")),
        Server("mcpguard", url="https://mcp.example.com/mcp"),
        Server("github", url="https://mcp.example.com/mcp"),
        Server("tools", ("npx", "tools"), plugin="tools@market"),
    ):
        assert not starts(text, other), other


def test_without_a_client_those_that_can_be_locked_are_listed(root: Path, capsys: Capture) -> None:
    assert main(["lock"]) == 2
    said = capsys.readouterr().out
    assert all(client in said and str(root / file) in said for client, file in FILES.items())


def strict(path: Path) -> str:
    """The text of a file; of one in JSON without the comments that an administrator has in it."""
    return "\n".join(
        line
        for line in path.read_text().splitlines()
        if path.suffix != ".json" or not line.strip().startswith("//")
    )


@pytest.mark.parametrize("client", FILES)
def test_what_was_in_the_file_stays_and_undo_brings_every_byte_back(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, client)
    path = given(root, client, OTHERS[client])
    before = tree(root)
    assert main(["lock", client]) == 0
    now = path.read_bytes().decode()
    assert "mcpguard" in now
    for line in OTHERS[client].splitlines():
        kept = line.rstrip("}").rstrip()
        assert kept in now, kept
    assert main(["lock", client, "--undo"]) == 0
    assert f"restored: {path}, byte for byte" in capsys.readouterr().out
    assert {name: data for name, data in tree(root).items() if name.name != "lock"} == before


@pytest.mark.parametrize("client", FILES)
def test_a_file_that_was_not_there_is_gone_after_undo_with_its_folder(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, client)
    assert main(["lock", client]) == 0
    path = root / FILES[client]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert main(["lock", client, "--undo"]) == 0
    assert f"removed: {path}" in capsys.readouterr().out
    assert not path.parent.exists()
    assert main(["lock", client, "--undo"]) == 0
    assert "has no lock of mcpguard" in capsys.readouterr().out


@pytest.mark.parametrize("client", FILES)
def test_locking_twice_changes_nothing_and_a_new_entry_is_allowed_by_locking_again(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, client)
    path = given(root, client, OTHERS[client])
    before = path.read_bytes()
    assert main(["lock", client]) == 0
    once = path.read_bytes()
    assert main(["lock", client]) == 0
    assert path.read_bytes() == once
    assert "locked already" in capsys.readouterr().out
    moved = entry(client) | {"args": ["run", "--config", "/other.yaml", "--agent", client]}
    has(person, HOMES[client], {"mcpguard": moved})
    assert main(["lock", client]) == 0
    assert OBEYING[client](strict(path), Server("mcpguard", (OURS, *moved["args"])))
    assert not OBEYING[client](strict(path), Server("mcpguard", (OURS, *entry(client)["args"])))
    assert main(["lock", client, "--undo"]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("client", FILES)
def test_in_a_file_that_somebody_has_changed_since_only_what_the_lock_put_is_taken_out(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, client)
    path = given(root, client)
    assert main(["lock", client]) == 0
    added = "\n[features]\nnew = true\n" if client == "codex" else ""
    text = path.read_text()
    path.write_text(text + added if added else text.replace("{", '{\n  "new": true,', 1))
    assert main(["lock", client, "--undo"]) == 0
    assert f"unlocked: {path} has changed since" in capsys.readouterr().out
    said = tomlkit.parse(path.read_text()) if client == "codex" else json.loads(path.read_text())
    assert said == ({"features": {"new": True}} if client == "codex" else {"new": True})


def test_what_the_lock_put_and_somebody_changed_is_left_to_them(
    person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, "claude-code")
    path = given(root, "claude-code")
    assert main(["lock", "claude-code"]) == 0
    path.write_text('{"allowedMcpServers": []}')
    for words in (["--undo"], []):
        assert main(["lock", "claude-code", *words]) == 2
        assert "was changed since it was locked: edit it by hand" in capsys.readouterr().err
    assert path.read_text() == '{"allowedMcpServers": []}'


def test_a_file_that_somebody_has_removed_stays_removed(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "claude-code")
    path = given(root, "claude-code", "{}")
    assert main(["lock", "claude-code"]) == 0
    path.unlink()
    assert main(["lock", "claude-code", "--undo"]) == 0
    assert "was removed by somebody else" in capsys.readouterr().out
    assert main(["lock", "claude-code"]) == 0
    path.unlink()
    assert main(["lock", "claude-code"]) == 0
    assert path.exists()


@pytest.mark.parametrize("client", FILES)
def test_the_entries_that_an_import_wrote_are_allowed_those_of_projects_too(
    client: str, person: Person, root: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    server = {"command": "node", "args": ["/opt/a.js"]}
    has(person, HOMES[client], {"notes": server})
    has(person, PROJECTS[client], {"tickets": {"command": "node", "args": ["/opt/b.js"]}})
    assert main(["import", "--yes", "--project", "--client", client]) == 0
    monkeypatch.chdir(person.home)  # The configuration names the project.
    capsys.readouterr()
    assert main(["lock", client]) == 0
    said, text = capsys.readouterr().out, (root / FILES[client]).read_text()
    config = f"{person.home}/.config/mcpguard/mcpguard.yaml"
    user = (OURS, "run", "--config", config, "--agent", client)
    assert OBEYING[client](text, Server("mcpguard", user))
    project = Server("mcpguard-project", (*user, "--project", str(person.project)))
    if client == "gemini":
        assert "left out" in said
        assert f"is for the project {person.project} alone" in said
        assert not OBEYING[client](text, project)
    else:
        assert OBEYING[client](text, project)


def test_a_list_that_allows_more_is_kept_and_said_and_replace_ends_it(
    person: Person, root: Path, capsys: Capture
) -> None:
    ours = installed(person, "claude-code")
    listed = [
        {"serverUrl": "https://mcp.example.com/*"},
        {"serverCommand": ["npx", "x"]},
        {"serverName": "y"},
    ]
    path = given(root, "claude-code", json.dumps({"allowedMcpServers": listed}))
    before = path.read_bytes()
    assert main(["lock", "claude-code"]) == 1
    said = capsys.readouterr().out
    for one in ("serverUrl https://mcp.example.com/*", "npx x", "serverName y"):
        assert f"allowed as well, as before: {one} (`--replace` ends that)" in said
    assert json.loads(path.read_text())["allowedMcpServers"] == [
        *listed,
        {"serverCommand": list(ours.command)},
    ]
    assert main(["lock", "claude-code", "--replace"]) == 0
    assert json.loads(path.read_text())["allowedMcpServers"] == [{"serverCommand": list(ours.command)}]
    assert main(["lock", "claude-code", "--undo"]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("replace", [False, True])
def test_rules_and_names_that_were_there_are_kept_or_replaced(
    replace: bool, person: Person, root: Path
) -> None:
    old = (
        '[mcp_servers.docs.identity]\ncommand = "docs"\n\n[plugins.a.mcp_servers.b.identity]\ncommand = "b"\n'
    )
    installed(person, "codex")
    codex = given(root, "codex", old)
    installed(person, "gemini")
    gemini = given(root, "gemini", '{"mcp": {"allowed": ["corp"]}, "mcpServers": {"corp": {"command": "c"}}}')
    for client in ("codex", "gemini"):
        assert main(["lock", client, *(["--replace"] if replace else [])]) == (0 if replace else 1)
    assert OBEYING["codex"](codex.read_text(), Server("docs", ("docs",))) is not replace
    assert OBEYING["codex"](codex.read_text(), Server("b", ("b",), plugin="a")) is not replace
    assert json.loads(gemini.read_text())["mcp"]["allowed"] == [*([] if replace else ["corp"]), "mcpguard"]
    for client in ("codex", "gemini"):
        assert main(["lock", client, "--undo"]) == 0
    assert codex.read_text() == old


@pytest.mark.parametrize("client", FILES)
@pytest.mark.parametrize("text", [False, True])
def test_a_lock_that_ends_at_any_step_leaves_the_old_file_or_the_new_one(
    client: str, text: bool, person: Person, root: Path, backend: FakeKeyring, monkeypatch: Patch
) -> None:
    installed(person, client)
    path = given(root, client, OTHERS[client] if text else "")
    before = tree(root)
    assert main(["lock", client]) == 0
    after = path.read_bytes()
    assert main(["lock", client, "--undo"]) == 0

    def state() -> bytes | None:
        return path.read_bytes() if path.exists() else None

    def clean() -> dict[Path, bytes]:
        return {name: data for name, data in tree(root).items() if name.name != "lock"}

    for words, way_out in product((["lock", client], ["lock", client, "--undo"]), (["--undo"], [])):
        if "--undo" in words:
            assert main(["lock", client]) == 0
        for number in left_by(words, (*person, root), backend):
            assert state() in (before.get(path), after), number
            assert main(["lock", client, *way_out]) == 0, number
            assert state() == (before.get(path) if way_out else after), number
            assert way_out or main(["lock", client, "--undo"]) == 0
            assert clean() == before
        assert number > 5


def test_another_user_who_locks_keeps_the_entries_of_the_first(
    person: Person, root: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    first = {client: installed(person, client) for client in FILES}
    for client in FILES:
        assert main(["lock", client]) == 0
    locked = tree(root)
    other = Person(person.home.parent / "b" / "home", person.project)
    other.home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(other.home))
    for client in FILES:
        moved = {**entry(client), "args": ["run", "--config", "/b.yaml", "--agent", client]}
        has(other, HOMES[client], {"mcpguard": moved})
        second = Server("mcpguard", (OURS, *moved["args"]))
        path = root / FILES[client]
        if client in ("codex", "gemini"):
            assert main(["lock", client]) == 2
            assert "has one entry for each name" in capsys.readouterr().err
            continue
        assert main(["lock", client]) == 0
        assert OBEYING[client](path.read_text(), first[client])
        assert OBEYING[client](path.read_text(), second)
        (other.home.parent / HOMES[client]).unlink()
        has(other, HOMES[client], {"mcpguard": entry(client)})
        assert main(["lock", client]) == 0
        assert not OBEYING[client](path.read_text(), second)
        assert path.read_bytes() == locked[path]


def test_an_entry_of_a_project_stays_allowed_when_its_user_locks_again_elsewhere(
    person: Person, root: Path, monkeypatch: Patch
) -> None:
    installed(person, "codex")
    project = entry("codex", str(person.project))
    has(person, PROJECTS["codex"], {"mcpguard-project": project})
    server = Server("mcpguard-project", (OURS, *project["args"]))
    assert main(["lock", "codex"]) == 0
    monkeypatch.chdir(person.home)
    assert main(["lock", "codex"]) == 0
    assert codex_allows(root, server)
    (person.home.parent / PROJECTS["codex"]).unlink()
    assert main(["lock", "codex"]) == 0
    assert not codex_allows(root, server)


def test_of_two_entries_with_one_name_codex_can_be_allowed_one(
    person: Person, root: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    has(person, PROJECTS["codex"], {"mcpguard-shop": entry("codex", str(person.project))})
    assert main(["lock", "codex", "--config", "/etc/mcpguard.yaml"]) == 0
    other = person.home / "shop"
    path = other / ".codex" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(tomlkit.dumps({"mcp_servers": {"mcpguard-shop": entry("codex", str(other))}}))
    monkeypatch.chdir(other)
    capsys.readouterr()
    assert main(["lock", "codex", "--config", "/etc/mcpguard.yaml"]) == 0
    assert "left out: mcpguard-shop in" in (said := capsys.readouterr().out)
    assert "has the same name as another entry, and Codex keeps one entry for each name: rename it" in said


def codex_allows(root: Path, server: Server) -> bool:
    return OBEYING["codex"]((root / FILES["codex"]).read_text(), server)


def test_without_the_right_the_file_and_the_command_are_printed_and_nothing_is_done(
    person: Person, root: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    installed(person, "claude-code")
    monkeypatch.setattr(LockKeeper, "may_write", lambda self: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["lock", "claude-code", "--config", "a b.yaml"]) == 1
    said = capsys.readouterr().out
    assert (
        f'{root}/etc/claude-code/managed-settings.json would be:\n\n{{\n  "allowManagedMcpServersOnly": true,'
        in said
    )
    config = person.project / "a b.yaml"
    assert said.endswith(f"    sudo env HOME={person.home} {OURS} lock claude-code --config '{config}'\n")
    assert main(["lock", "claude-code", "--undo"]) == 1
    assert f"    sudo env HOME={person.home} {OURS} lock claude-code --undo\n" in capsys.readouterr().out
    assert tree(root) == {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["lock", "claude-code"]) == 2
    assert "cannot be written, even by the administrator" in capsys.readouterr().err


def test_the_status_names_locked_clients(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "codex")
    given(root, "gemini", "{")
    assert main(["status"]) == 0
    assert "locked:" not in capsys.readouterr().out
    assert main(["lock", "codex"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert said.endswith(f"locked: Codex, by {root}/{FILES['codex']}; `mcpguard doctor` checks it\n")
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"running": [], "last_failed": []}


def test_print_gives_the_file_alone(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "codex")
    assert main(["lock", "codex", "--print"]) == 0
    printed = capsys.readouterr().out
    assert tree(root) == {}
    assert main(["lock", "codex"]) == 0
    assert (root / FILES["codex"]).read_text() == printed
    capsys.readouterr()
    assert main(["lock", "codex", "--print"]) == 0
    assert capsys.readouterr().out == printed


def test_the_guide_shows_what_is_written(tmp_path: Path) -> None:
    from mcpguard.onboarding.locks.lockable import AllowedEntry
    from tests.docs.pages import ROOT, blocks

    [shown] = [one.text for one in blocks("text", "", [ROOT / "docs" / "guides" / "lock-a-client.md"])]
    written = shown[shown.index("{\n") : shown.index("\n}\n") + 3]
    (rule,) = json.loads(written)["allowedMcpServers"]
    keeper = LockKeeper(SystemFolders(tmp_path, "linux"), LOCKABLE[0], tmp_path)
    entries = [AllowedEntry("claude-code", "mcpguard", tuple(rule["serverCommand"]))]
    assert keeper.planned(entries, only=False) == written


def test_who_may_write_is_seen_before_anything_is_done(tmp_path: Path) -> None:
    keeper = LockKeeper(SystemFolders(tmp_path, "linux"), LOCKABLE[0], tmp_path)
    assert keeper.may_write()
    if os.geteuid():
        tmp_path.chmod(0o555)
        assert not keeper.may_write()
        tmp_path.chmod(0o755)


def test_a_client_without_mcpguard_is_not_locked(person: Person, root: Path, capsys: Capture) -> None:
    assert main(["lock", "claude-code"]) == 2
    assert (
        "would leave it without any server: run `mcpguard install claude-code` first"
        in capsys.readouterr().err
    )
    has(person, HOMES["claude-code"], {"a": {"command": "npx", "args": ["a"]}})
    assert main(["lock", "claude-code"]) == 2
    assert "run `mcpguard import --client claude-code` first" in capsys.readouterr().err
    (person.home / ".claude.json").write_text("{")
    assert main(["lock", "claude-code"]) == 2
    assert "a file could not be read" in capsys.readouterr().err
    has(person, HOMES["claude-code"], {"mcpguard": {**entry("claude-code"), "command": "mcpguard"}})
    os.environ["PATH"] = f"{Path(OURS).parent}:{os.environ['PATH']}"
    assert main(["lock", "claude-code"]) == 2
    assert "by a name that PATH decides: give its full path" in capsys.readouterr().err
    has(person, HOMES["claude-code"], {"mcpguard": {**entry("claude-code"), "disabled": True}})
    assert main(["lock", "claude-code"]) == 2
    assert tree(root) == {}


def test_servers_that_would_not_start_any_more_take_a_yes(
    person: Person, root: Path, capsys: Capture
) -> None:
    direct = {"command": "npx", "args": ["a"]}
    path = has(person, HOMES["claude-code"], {"mcpguard": entry("claude-code"), "github": direct})
    assert main(["lock", "claude-code"]) == 2
    assert (
        f"would no longer start: github in {path}. Move them with `mcpguard import" in capsys.readouterr().err
    )
    assert tree(root) == {}
    assert main(["lock", "claude-code", "--yes"]) == 0
    assert f"ended: github in {path}" in capsys.readouterr().out


def test_a_value_of_an_entry_does_not_go_where_everybody_can_read_it(
    person: Person, root: Path, capsys: Capture
) -> None:
    has(person, HOMES["gemini"], {"mcpguard": {**entry("gemini"), "env": {"A": "$A", "B": "b-value"}}})
    assert main(["lock", "gemini"]) == 2
    assert "sets B, which every user here could then read" in (said := capsys.readouterr().err)
    assert "b-value" not in said
    has(person, HOMES["gemini"], {"mcpguard": {**entry("gemini"), "env": {"A": "$A", "B": "${B}"}}})
    assert main(["lock", "gemini"]) == 0
    servers = json.loads((root / FILES["gemini"]).read_text())["mcpServers"]
    assert servers["mcpguard"]["env"] == {"A": "$A", "B": "${B}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "managed-settings.json:1:2: "),
        ("[]", "is not a mapping"),
    ],
)
def test_a_file_that_cannot_be_edited_is_left_alone(
    text: str, said: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, "claude-code")
    path = given(root, "claude-code", text)
    assert main(["lock", "claude-code"]) == 2
    assert said in capsys.readouterr().err
    assert path.read_text() == text


def test_a_key_that_is_not_a_mapping_is_left_alone(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "gemini")
    given(root, "gemini", '{"mcp": 3}')
    assert main(["lock", "gemini"]) == 2
    assert "`mcp` is not a mapping" in capsys.readouterr().err


def test_a_table_in_one_line_is_left_alone(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "codex")
    path = given(root, "codex", 'mcp_servers = { mcpguard = { identity = { command = "x" } } }\n')
    assert main(["lock", "codex"]) == 2
    assert "cannot be edited safely" in capsys.readouterr().err
    assert path.read_text().startswith("mcp_servers = {")


def test_a_file_that_is_no_text_or_a_link_is_left_alone(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "claude-code")
    path = given(root, "claude-code", "{}")
    path.write_bytes(b"\xff")
    assert main(["lock", "claude-code"]) == 2
    assert "is not UTF-8" in capsys.readouterr().err
    path.rename(path.with_name("other"))
    path.symlink_to("other")
    assert main(["lock", "claude-code"]) == 2
    assert "is a link, which clients may refuse" in capsys.readouterr().err
    path.unlink()
    path.mkdir()
    assert main(["lock", "claude-code"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_record_or_an_original_that_is_lost_is_said(person: Person, root: Path, capsys: Capture) -> None:
    installed(person, "claude-code")
    path = given(root, "claude-code", "{}")
    assert main(["lock", "claude-code"]) == 0
    records = root / "var/lib/mcpguard-locks"
    locked = path.read_bytes()
    (kept,) = records.glob("*.before")
    kept.write_text("{ }")
    assert main(["lock", "claude-code", "--undo"]) == 2
    assert "is missing or changed, so" in capsys.readouterr().err
    (records / "claude-code.json").write_text("{")
    assert main(["lock", "claude-code", "--undo"]) == 2
    assert "it notes what a lock has changed" in capsys.readouterr().err
    assert path.read_bytes() == locked


@pytest.mark.parametrize("client", [one.name for one in CLIENTS if lockable(one.name) is None])
def test_a_client_that_offers_no_lock_says_where_its_list_is(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    assert main(["lock", client]) == 2
    said = capsys.readouterr().err
    assert "cannot be locked: " in said
    assert ELSEWHERE.get(client, "no list of allowed servers") in said


def test_every_lock_is_of_a_known_client_and_says_what_it_does_not_lock() -> None:
    names = {one.name for one in CLIENTS}
    for one in LOCKABLE:
        assert names & set(one.clients), one.title
        assert one.limits
    assert not names & {*ELSEWHERE} & {name for one in LOCKABLE for name in one.clients}


def test_on_macos_the_files_are_where_macos_has_them(tmp_path: Path) -> None:
    system = SystemFolders(tmp_path, "darwin")
    assert {str(system.file(one).relative_to(tmp_path)) for one in LOCKABLE} == {
        "Library/Application Support/ClaudeCode/managed-settings.json",
        "Library/Application Support/GitHubCopilot/managed-settings.json",
        "Library/Application Support/GeminiCli/settings.json",
        "etc/codex/requirements.toml",
    }
    assert system.records == tmp_path / "Library/Application Support/mcpguard/locks"
    assert verb.system().root == Path("/")


@pytest.mark.parametrize("client", ["claude-code", "codex"])
def test_nothing_but_the_users_configuration_is_allowed_out_of_a_projects_file(
    client: str, person: Person, root: Path, capsys: Capture
) -> None:
    installed(person, client)
    run = entry(client)["args"]
    other = [*run[:2], f"{person.project}/mcpguard.yaml", *run[3:]]
    planted = {
        "wrap": ["wrap", "--", "sh", "-c", "run"],
        "other": other,
        "twice": [*run, "--config", other[2]],
        "joined": [*run, f"--config={other[2]}"],
        "default": ["run", "--agent", client],
    }
    has(person, PROJECTS[client], {name: {"command": OURS, "args": args} for name, args in planted.items()})
    assert main(["lock", client]) == 0
    said, text = capsys.readouterr().out, (root / FILES[client]).read_text()
    assert OBEYING[client](text, Server("mcpguard", (OURS, *run)))
    for name, args in planted.items():
        assert not OBEYING[client](text, Server(name, (OURS, *args)))
        assert f"{name} in {person.home.parent / PROJECTS[client]} does not serve your configuration" in said


def test_what_wraps_a_program_is_not_taken_for_mcpguard_in_a_locked_file(person: Person) -> None:
    assert runs_mcpguard([OURS, "run", "--config", "/a.yaml"])
    assert not runs_mcpguard([OURS, "wrap", "--", "sh", "-c", "run"])
    assert not runs_mcpguard([])
