"""A server of a client as one of mcpguard's configuration: what it becomes, and when it stays."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from mcpguard.onboarding.conversion import ConvertedServer, convert, corrected
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.entry import Entry, NotMoved
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, read_entry
from mcpguard.onboarding.policies import MachineFacts, pack_of, policy_for, values_for
from tests.rows import each

V = "s3cr3t-vAlue-0001"
ENVIRON = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "B_TOKEN": V}
PLACES = SearchPlaces(Path("/home/u"), Path("/home/u/.config"), Path("/srv/p"))


def entry_of(client: str, data: dict[str, Any]) -> Entry:
    from msgspec.structs import replace

    entry = read_entry(next(one for one in CLIENTS if one.name == client), "s", ("mcpServers", "s"), 1, data)
    return replace(entry, secrets=secrets_of(entry))


def converted(client: str, data: dict[str, Any], scope: str = "user") -> ConvertedServer:
    one = next(one for one in CLIENTS if one.name == client)
    file = next(file for file in one.files if file.scope == scope)
    found = ClientFile(client=one, file=file, path=Path("/x"), target=Path("/x"))
    return convert(found, entry_of(client, data), PLACES, ENVIRON)


def shown(settings: Any) -> Any:
    """Settings with `<SECRET>` for each secret."""
    if isinstance(settings, dict):
        return {key: shown(value) for key, value in settings.items()}
    if hasattr(settings, "parts"):
        return "".join(f"<{text}>" if hidden else text for text, hidden in settings.parts)
    return settings


@each(
    ("client", "data", "settings"),
    [
        ("cursor", {"command": "sh"}, {"command": "/usr/bin/sh"}),
        ("cursor", {"command": "sh", "args": ["${userHome}/x"], "cwd": "/srv", "disabled": True}, {"command": "/usr/bin/sh", "args": ["/home/u/x"], "cwd": "/srv", "disabled": True}),
        ("cursor", {"command": "sh", "env": {"A_TOKEN": V, "B": "${env:B}"}}, {"command": "/usr/bin/sh", "env": {"A_TOKEN": f"<{V}>", "B": "${env:B}"}}),
        ("warp", {"command": "sh", "working_directory": "/srv"}, {"command": "/usr/bin/sh", "cwd": "/srv"}),
        ("crush", {"type": "stdio", "command": "sh", "env": {"B": "$B", "C": "${C}"}}, {"command": "/usr/bin/sh", "env": {"B": "${env:B}", "C": "${env:C}"}}),
        ("claude-code", {"command": "sh", "env": {"B": "x${B}"}}, {"command": "/usr/bin/sh", "env": {"B": "x${env:B}"}}),
        ("gemini", {"command": "sh", "env": {"B": "$B", "C": "${C}"}}, {"command": "/usr/bin/sh", "env": {"B": "${env:B}", "C": "${env:C}"}}),
        ("cursor", {"command": "sh", "env": {"PRICE": "$5", "B": "$B"}}, {"command": "/usr/bin/sh", "env": {"PRICE": "$5", "B": "$B"}}),
        ("cursor", {"command": "sh", "args": ["@stripe/mcp@1.2", f"--api-key={V}", "-v"]}, {"command": "/usr/bin/sh", "args": ["@stripe/mcp@1.2", "-v"], "env": {"STRIPE_SECRET_KEY": f"<{V}>"}}),
        ("cursor", {"command": "sh", "args": ["@supabase/mcp-server-supabase", "--access-token", V]}, {"command": "/usr/bin/sh", "args": ["@supabase/mcp-server-supabase"], "env": {"SUPABASE_ACCESS_TOKEN": f"<{V}>"}}),
        ("cursor", {"command": "sh", "args": ["postgres-mcp", f"postgresql://a:{V}@db/x"]}, {"command": "/usr/bin/sh", "args": ["postgres-mcp"], "env": {"DATABASE_URI": f"postgresql://a:<{V}>@db/x"}}),
        ("cursor", {"command": "sh", "args": ["mongodb-mcp-server", "--connectionString", f"mongodb://a:{V}@db/x"]}, {"command": "/usr/bin/sh", "args": ["mongodb-mcp-server"], "env": {"MDB_MCP_CONNECTION_STRING": f"mongodb://a:<{V}>@db/x"}}),
        ("cursor", {"command": "sh", "args": ["@bytebase/dbhub", f"--dsn=mysql://a:{V}@db/x"]}, {"command": "/usr/bin/sh", "args": ["@bytebase/dbhub"], "env": {"DSN": f"mysql://a:<{V}>@db/x"}}),
        ("codex", {"command": "sh", "env_vars": ["A"], "env": {"B": "b"}}, {"command": "/usr/bin/sh", "env": {"A": "${env:A}", "B": "b"}}),
        ("cursor", {"command": "env", "args": [f"A_TOKEN={V}", "node", "x.js"]}, {"command": "/usr/bin/env", "args": ["node", "x.js"], "env": {"A_TOKEN": f"<{V}>"}}),
        ("cursor", {"url": f"https://h.example/mcp?api_key={V}&x=1", "type": "streamableHttp"}, {"url": f"https://h.example/mcp?api_key=<{V}>&x=1", "type": "http"}),
        ("cursor", {"url": "https://h.example/mcp?token=a%2Fbcdefg"}, {"url": "https://h.example/mcp?token=<a/bcdefg>"}),
        ("cursor", {"url": f"https://bob:{V}@h.example/mcp?token={V}"}, {"url": f"https://h.example/mcp?token=<{V}>", "headers": {"Authorization": f"Basic <{base64.b64encode(f'bob:{V}'.encode()).decode()}>"}}),
        ("cursor", {"url": "https://h.example/mcp", "headers": {"Authorization": f"Bearer {V}", "Accept": "x/y", "X-Team": "core"}}, {"url": "https://h.example/mcp", "headers": {"Authorization": f"Bearer <{V}>", "X-Team": "core"}}),
        ("cursor", {"command": "sh", "args": ["${userHome}${pathSeparator}x${/}y"]}, {"command": "/usr/bin/sh", "args": ["/home/u/x/y"]}),
        ("gemini", {"command": "sh", "args": ["$HOME/x", "${LANG}"]}, {"command": "/usr/bin/sh", "args": ["/home/u/x", "C.UTF-8"]}),
        ("claude-code", {"command": "sh", "env": {"K": "${K:-default}", "L": "a${LANG:-de}"}}, {"command": "/usr/bin/sh", "env": {"K": "default", "L": "a${env:LANG}"}}),
        ("claude-code", {"command": "sh", "env": {"A_TOKEN": f"${{A_TOKEN:-{V}}}"}}, {"command": "/usr/bin/sh", "env": {"A_TOKEN": f"<{V}>"}}),
        ("cursor", {"command": "mcp-remote", "args": ["http://127.0.0.1:9000/mcp", "3334", "--allow-http", "--transport=sse-only", f"--header=X-Api-Key: {V}", "--debug", "--host", "localhost"]}, {"url": "http://127.0.0.1:9000/mcp", "type": "sse", "headers": {"X-Api-Key": f"<{V}>"}}),
        ("cursor", {"command": "pnpm", "args": ["dlx", "mcp-remote@0.1.37", f"https://h.example/mcp?api_key={V}"]}, {"url": f"https://h.example/mcp?api_key=<{V}>"}),
        ("cursor", {"command": "npx", "args": ["-y", "supergateway", "--streamableHttp", "https://h.example/mcp", "--oauth2Bearer", V, "--header", "X-Team: core", "--logLevel", "none"]}, {"url": "https://h.example/mcp", "type": "http", "headers": {"X-Team": "core", "Authorization": f"Bearer <{V}>"}}),
        ("cursor", {"command": "uvx", "args": ["mcp-proxy", "-H", "X-Api-Key", V, "--transport", "streamablehttp", "https://h.example/mcp"]}, {"url": "https://h.example/mcp", "type": "http", "headers": {"X-Api-Key": f"<{V}>"}}),
        ("cursor", {"command": "mcp-proxy", "args": ["https://h.example/sse"], "env": {"API_ACCESS_TOKEN": V}}, {"url": "https://h.example/sse", "type": "sse", "headers": {"Authorization": f"Bearer <{V}>"}}),
        ("claude-desktop", {"command": "npx", "args": ["-y", "mcp-remote@latest", "https://h.example/sse", "--header", "Authorization:${AUTH}"], "env": {"AUTH": f"Bearer {V}"}}, {"url": "https://h.example/sse", "headers": {"Authorization": f"Bearer <{V}>"}}),
    ],
)  # fmt: skip
def test_what_a_server_becomes(client: str, data: dict[str, Any], settings: dict[str, Any]) -> None:
    assert shown(converted(client, data).settings) == settings


@each(
    ("client", "data", "why"),
    [
        ("cursor", {"command": "sh", "args": ["--x", f"--api-key={V}"]}, "has a secret in argument 2 (args.1), which every process on this machine can read"),
        ("cursor", {"command": "sh", "args": ["some-server", f"postgres://a:{V}@db/x"]}, "has a secret in argument 2"),
        ("cursor", {"command": f"/opt/x?token=ghp_{'aZ3kQ9xB7mT2' * 3}"}, "has a secret in its command"),
        ("cursor", {"command": "sh", "args": ["${env:X}"]}, "refers to a variable in its arguments"),
        ("vscode", {"command": "sh", "env": {"K": "${input:k}"}}, "asks for a value when it starts"),
        ("cursor", {"command": "sh", "args": ["${workspaceFolder}"]}, "has no equivalent"),
        ("claude-code", {"command": "sh", "env": {"K": "${K:-${L}}"}}, "has no equivalent"),
        ("cursor", {"command": "sh", "env": {"K": "${K:-default}"}}, "has no equivalent"),
        ("cursor", {"command": "sh", "envFile": ".env"}, "whose place depends on where its client is started"),
        ("cursor", {"command": "sh", "envFile": "/not/there/.env"}, "reads variables from /not/there/.env, which cannot be read"),
        ("cursor", {"command": "sh", "args": ["--pass", V]}, "has a secret in argument 2"),
        ("cursor", {"command": "npx", "args": ["-y", "acme-mcp", f"--api-key={V}"]}, "has a secret in argument 3"),
        ("cursor", {"command": "npx", "args": ["mcp-remote", "https://h.example/mcp", "--header", f"X-Api-Key:{V}", "--ignore-tool", "x"]}, "has a secret in argument 4"),
        ("cursor", {"command": "npx", "args": ["mcp-remote", "https://h.example/mcp", "--static-oauth-client-info", f'{{"client_secret":"{V}"}}']}, "has a secret in argument 4"),
        ("gemini", {"command": "sh", "args": ["$B_TOKEN"]}, "refers to a variable in its arguments"),
        ("claude-desktop", {"command": "sh", "env": {"K": "${keyring:other/secret}"}}, "has no equivalent"),
        ("continue", {"command": "sh", "env": {"K": "${{ secrets.K }}"}}, "refers to a secret that only its client can resolve"),
        ("cursor", {"command": "/bin/sh", "args": ["/tmp/evil/mcpguard"]}, "looks like mcpguard, but does not start"),
        ("cursor", {"command": "npx", "args": ["-y", "mcpguard"]}, "looks like mcpguard, but does not start"),
        ("crush", {"type": "http", "url": "https://h.example/mcp", "headers": {"A": "$(op read x)"}}, "has a value that a command prints"),
        ("cursor", {"command": "not-to-be-found"}, "starts `not-to-be-found`, which is not in PATH"),
        ("cursor", {"command": "no-such -y foo"}, "cannot be started: the command is 'no-such' and its arguments"),
        ("cursor", {"command": "https://a.example/mcp"}, "cannot be started: the command is the address of"),
        ("cursor", {"command": "./server"}, "starts a program by a path that depends"),
        ("cursor", {"command": "sh", "cwd": "here"}, "works in a folder that depends"),
        ("cursor", {"command": "sh", "env": {"PASSWORD": "abc"}}, "has a secret with fewer than 6"),
        ("cursor", {"command": "sh", "env": {"PASSWORD": "a1" * 8193}}, "or more than 16384 characters"),
        ("cursor", {"url": f"https://a:{V}@h.example/", "headers": {"Authorization": "Bearer abcdefg"}}, "only one of them can be used"),
        ("cursor", {"url": "https://[broken"}, "has an invalid URL"),
        ("cursor", {"command": "env", "args": [f"A_TOKEN={V}", "x"], "env": {"A_TOKEN": "another-value"}}, "has A_TOKEN twice"),
    ],
)  # fmt: skip
def test_what_stays_and_why(client: str, data: dict[str, Any], why: str) -> None:
    with pytest.raises(NotMoved) as stays:
        converted(client, data)
    assert str(stays.value).startswith(why) or why in str(stays.value)
    assert V not in str(stays.value)


def test_a_server_of_a_project_works_in_its_folder() -> None:
    with pytest.raises(NotMoved, match="starts `x` by a path where there is no program: correct it"):
        converted("cursor", {"command": "./x", "cwd": "sub"}, "project")
    settings = converted(
        "cursor", {"command": "sh", "args": ["${workspaceFolder}/a"], "cwd": "sub"}, "project"
    ).settings
    assert (settings["args"], settings["cwd"]) == (["/srv/p/a"], "/srv/p/sub")


def test_what_a_project_names_by_relative_paths_is_named_by_full_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tool", "data/x.py", "server.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setattr("tests.onboarding.test_conversion.PLACES", SearchPlaces(tmp_path, tmp_path, tmp_path))
    words = ["server.py", ".", "--root=./data", "./gone", "data", "gone.py", "../x", "-m"]
    made = converted("cursor", {"command": "./tool", "args": words}, "project")
    root = str(tmp_path)
    assert made.settings["command"] == f"{root}/tool"
    assert made.settings["args"] == [
        f"{root}/server.py", root, f"--root={root}/data", f"{root}/gone", "data", "gone.py",
        f"{tmp_path.parent}/x", "-m",
    ]  # fmt: skip
    assert "cwd" not in made.settings
    assert made.notes[0].startswith("'gone.py' depends on the folder that the server starts in")
    assert made.notes[1].startswith("has 'data' among its arguments, which may be a path: if it is one,")


@each(
    ("words", "full", "doubtful"),
    [
        (["--config=conf/x.json", "conf/x.json", "notes.db"], ["--config={}/conf/x.json", "{}/conf/x.json", "{}/notes.db"], ""),
        (["conf/y.json", "--db=old/z.db"], None, "has 'conf/y.json' and '--db=old/z.db' among its arguments, which may be paths"),
        (["conf", "other"], None, "has 'conf' among its arguments, which may be a path"),
        (["acme/site", "@acme/server.json", "https://h/x.js", "1.5", "~/x.db", "/srv/a.db", "img:1.2", ""], None, ""),
    ],
)  # fmt: skip
def test_what_may_be_a_path_of_a_project_becomes_full_where_it_is_there_and_is_named_otherwise(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    full: list[str] | None,
    doubtful: str,
) -> None:
    for name in ("tool", "conf/x.json", "notes.db"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setattr("tests.onboarding.test_conversion.PLACES", SearchPlaces(tmp_path, tmp_path, tmp_path))
    made = converted("cursor", {"command": "./tool", "args": words}, "project")
    assert made.settings["args"] == [one.format(tmp_path) for one in full or words]
    assert [one[: len(doubtful)] for one in made.notes] == [doubtful] * bool(doubtful)


@pytest.mark.parametrize(
    ("command", "args", "there", "stays"),
    [
        ("python3", ["-m", "shop.server"], "shop/server.py", True),
        ("python3", ["-m", "shop"], "shop/__main__.py", True),
        ("python3", ["-m", "shop"], "other/__main__.py", False),
        ("npx", ["-y", "@acme/mcp@1.2"], "node_modules/@acme/mcp/package.json", True),
        ("npx", ["-y", "acme-mcp"], "node_modules/.bin/acme-mcp", True),
        ("npx", ["-y", "acme-mcp"], "node_modules/other/package.json", False),
    ],
)
def test_a_server_that_its_project_has_installed_starts_there_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, args: list[str], there: str, stays: bool
) -> None:
    for name in (there, command):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr("tests.onboarding.test_conversion.PLACES", SearchPlaces(tmp_path, tmp_path, tmp_path))
    made = converted("cursor", {"command": f"./{command}", "args": args}, "project")
    assert made.settings.get("cwd") == (str(tmp_path) if stays else None)
    assert made.settings["args"] == args
    assert any("so it starts there" in note for note in made.notes) is stays


def test_a_server_of_the_user_with_relative_paths_is_told_what_to_write() -> None:
    for words, lost in ((["."], "'.'"), (["server.py"], "'server.py'")):
        (note,) = converted("cursor", {"command": "sh", "args": words}).notes
        assert note.startswith(f"{lost} depends on the folder that the server starts in")
        assert note.endswith("in the configuration of mcpguard")
    assert converted("cursor", {"command": "sh", "args": ["."], "cwd": "/srv"}).notes == ()


def test_a_program_outside_of_the_systems_folders_finds_what_it_starts(tmp_path: Path) -> None:
    program = tmp_path / "npx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    settings = shown(converted("cursor", {"command": str(program)}).settings)
    assert settings["env"] == {"PATH": os.pathsep.join([str(tmp_path), "/usr/local/bin", "/usr/bin", "/bin"])}
    settings = shown(converted("cursor", {"command": str(program), "env": {"PATH": "/x"}}).settings)
    assert settings["env"] == {"PATH": "/x"}


def test_notes_say_what_a_person_has_to_know() -> None:
    assert (
        "B from the environment" in converted("cursor", {"command": "sh", "env": {"B": "${env:B}"}}).notes[0]
    )
    said = converted("gemini", {"command": "sh", "excludeTools": "rm"}).notes[0]
    assert said == "had excludeTools in an unknown form: express it in the policy"
    said = converted("codex", {"command": "sh", "env_vars": ["A"], "auth": {"k": "v"}, "timeout": 0}).notes[0]
    assert said == "had auth, which mcpguard does not know and ignores"
    assert "has no credential here" in converted("cursor", {"url": "https://h.example/mcp"}).notes[0]


def test_a_header_that_refers_to_a_file_or_a_variable_is_a_credential() -> None:
    for reference in ("{file:/run/tok}", "{file:~/tok}", "{env:TOK}"):
        headers = {"Authorization": f"Bearer {reference}"}
        notes = converted("opencode", {"url": "https://h.example/mcp", "headers": headers}).notes
        assert "has no credential here" not in " ".join(notes)


def test_a_key_of_continue_is_a_bearer_token() -> None:
    found = converted("continue", {"url": "https://h.example/mcp", "apiKey": "tok-9f8e7d6c5b4a3210"})
    assert shown(found.settings)["headers"] == {"Authorization": "Bearer <tok-9f8e7d6c5b4a3210>"}
    assert found.notes == ()
    with pytest.raises(NotMoved, match="only its client can resolve"):
        converted("continue", {"url": "https://h.example/mcp", "apiKey": "${{ secrets.KEY }}"})


def test_a_transport_of_cline_has_the_command() -> None:
    entry = {"transport": {"type": "stdio", "command": "sh", "args": ["x"]}, "disabled": True}
    settings = converted("cline", entry).settings
    assert (settings["args"], settings["disabled"]) == (["x"], True)
    entry = {"transport": {"type": "streamableHttp", "url": "https://h.example/mcp"}}
    assert converted("cline", entry).settings["type"] == "http"


def test_a_list_of_no_tools_hides_all_of_them_from_copilot_and_none_from_goose() -> None:
    assert entry_of("copilot-cli", {"command": "sh", "tools": []}).only == ()
    assert entry_of("copilot-cli", {"command": "sh", "tools": ["*"]}).only is None
    assert entry_of("goose", {"cmd": "sh", "available_tools": []}).only is None


def test_a_place_that_is_not_there_is_no_secret() -> None:
    entry = entry_of("cursor", {"command": "sh"})
    for place in (("env", "X"), ("args", 3), ("nothing",)):
        with pytest.raises(NotMoved, match="has no"):
            corrected(entry, {place}, set())


NOWHERE = MachineFacts((), (), Path("/nowhere"))


@each(
    ("data", "said", "params"),
    [
        ({"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem@2026.1", "/a", "/b c"]}, "the pack filesystem, careful", {"folders": ["/a", "/b c"]}),
        ({"command": "mcp-server-filesystem", "args": ["x", "/a$b"]}, "the pack filesystem, careful", {}),
        ({"command": "/opt/bin/mcp-server-filesystem", "args": ["/a"]}, "the pack filesystem, careful", {"folders": ["/a"]}),
        ({"command": "mcp-server-filesystem", "args": ["/a", "/b"]}, "the pack filesystem, careful", {"folders": ["/a", "/b"]}),
        ({"command": "node", "args": ["/n/node_modules/.bin/mcp-server-filesystem", "/a"]}, "the pack filesystem, careful", {"folders": ["/a"]}),
        ({"command": "node", "args": ["--no-warnings", "/n/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js", "/a"]}, "the pack filesystem, careful", {"folders": ["/a"]}),
        ({"command": "npx", "args": ["--prefix", "/n", "@modelcontextprotocol/server-filesystem", "/a"]}, "the pack filesystem, careful", {"folders": ["/a"]}),
        ({"command": "python", "args": ["-m", "mcp_server_git", "--repository", "/r"]}, "the pack git, careful", {"repositories": ["/r"]}),
        ({"command": "python", "args": ["/venv/bin/mcp-server-git"]}, "the pack git, careful", {"repositories": []}),
        ({"command": "other", "args": ["x", "/src/mcp-server-git"]}, "tools that declare themselves read-only pass, you are asked", {}),
        ({"command": "other", "args": ["mcp_server_git"]}, "tools that declare themselves read-only pass, you are asked", {}),
        ({"command": "uvx", "args": ["mcp-server-git", "--repository", "/r"]}, "the pack git, careful", {"repositories": ["/r"]}),
        ({"command": "uvx", "args": ["mcp-server-git"]}, "the pack git, careful", {"repositories": []}),
        ({"command": "docker", "args": ["run", "ghcr.io/github/github-mcp-server:v1"]}, "the pack github, careful", {"owners": []}),
        ({"url": "https://api.githubcopilot.com/mcp/"}, "the pack github, careful", {"owners": []}),
        ({"command": "mcp-server-sqlite"}, "the pack sqlite, careful", {"tables": []}),
        ({"command": "npx", "args": ["@modelcontextprotocol/server-memory"]}, "the pack memory, careful", {}),
        ({"command": "uvx", "args": ["mcp-server-time"]}, "the policy time", {}),
        ({"command": "other"}, "tools that declare themselves read-only pass, you are asked", {}),
        ({"url": "https://[broken"}, "tools that declare themselves read-only pass, you are asked", {}),
    ],
)  # fmt: skip
def test_a_server_gets_the_policy_of_its_pack(
    data: dict[str, Any], said: str, params: dict[str, list[str]]
) -> None:
    entry = entry_of("cursor", data)
    chosen = policy_for("mine", entry, values_for(pack_of(entry).partition("/")[0], entry, None, NOWHERE))
    assert chosen.said.startswith(said)
    assert chosen.params == params
    assert "server: mine\n" in chosen.text
    assert "\npolicy: mine" in chosen.text
    assert "server: " not in chosen.text.replace("server: mine\n", "")


def test_the_policy_of_an_unknown_server_is_about_that_server_alone() -> None:
    text = policy_for("mine", entry_of("cursor", {"command": "other"}), {}).text
    assert text.count("    effect: ") == text.count("    server: mine\n") > 1


def test_without_the_packs_reading_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.adapters.system.shipped.shipped", lambda name: None)
    assert policy_for("mine", entry_of("cursor", {"command": "mcp-server-git"}), {}).said.startswith(
        "tools that declare themselves read-only pass, you are asked"
    )


@pytest.mark.parametrize(
    ("folder", "text"),
    [("/tmp/${keyring:a}", "${workspaceFolder}"), ("/tmp/{keyring:a}", "$${workspaceFolderBasename}")],
)
def test_the_name_of_a_projects_folder_is_no_reference(folder: str, text: str) -> None:
    client = next(one for one in CLIENTS if one.name == "vscode")
    file = next(file for file in client.files if file.scope == "project")
    found = ClientFile(client=client, file=file, path=Path("/x"), target=Path("/x"))
    places = SearchPlaces(Path("/home/u"), Path("/home/u/.config"), Path(folder))
    with pytest.raises(NotMoved, match="looks like a reference"):
        convert(found, entry_of("vscode", {"command": "sh", "env": {"X": text}}), places, ENVIRON)


def test_the_folder_of_a_program_is_no_reference_in_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "${keyring:a}"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    client = next(one for one in CLIENTS if one.name == "vscode")
    file = next(file for file in client.files if file.scope == "project")
    found = ClientFile(client=client, file=file, path=Path("/x"), target=Path("/x"))
    places = SearchPlaces(Path("/home/u"), Path("/home/u/.config"), folder)
    with pytest.raises(NotMoved, match="looks like a reference"):
        convert(found, entry_of("vscode", {"command": "./tool"}), places, ENVIRON)
