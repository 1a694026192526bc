"""What a client fills in when it starts a server: files of variables, inputs, variables in arguments."""

from __future__ import annotations

import getpass
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.onboarding.conversion import ConvertedServer, convert, corrected
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.completing import FILE_LIMIT, dotenv, no_answer
from mcpguard.onboarding.discovery.entry import NotMoved
from mcpguard.onboarding.discovery.reading import ClientFile, SearchPlaces, parsed
from tests.onboarding.corpus import Person
from tests.onboarding.test_conversion import V, shown
from tests.rows import each

SET = {
    "MODE": "fast",
    "OPAQUE": "q7Xk2LmW9vR4tZ",
    "WORK": "/srv/work",
    "ODD": "/srv/${env:MODE}",
    "DB_PASS": "swordfish",
    "PIN": "123",
    "SHORT_PASSWORD": "abc",
    "USER": "ada",
}
"""The variables of the person."""


def converted(
    folder: Path, data: dict[str, Any], answer: Any = no_answer, scope: str = "project", **more: Any
) -> ConvertedServer:
    for name in ("docker", "run"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    vscode = next(client for client in CLIENTS if client.name == "vscode")
    file = next(file for file in vscode.files if file.scope == scope)
    path = folder / "mcp.json"
    found = ClientFile(client=vscode, file=file, path=path, target=path)
    found = parsed(found, json.dumps({"servers": {"s": data}, **more}).encode())
    entry = corrected(found.entries[0], set(), {("env", "NO_SECRET")})
    places = SearchPlaces(folder, folder, folder)
    return convert(found, entry, places, {"PATH": str(folder), **SET}, answer)


@pytest.mark.parametrize("name", [".env", "${workspaceFolder}/.env", "~/.env"])
def test_a_file_of_variables_moves_in_with_its_secrets(name: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# mine\nDB_PASS={V}\nDB_HOST=db.example\nPORT=1\n")
    made = converted(tmp_path, {"command": "run", "envFile": name, "env": {"PORT": "2"}})
    env = shown(made.settings)["env"]
    assert {key: env[key] for key in ("DB_PASS", "DB_HOST", "PORT")} == {
        "DB_PASS": f"<{V}>",
        "DB_HOST": "db.example",
        "PORT": "2",
    }
    assert f"had its variables from {tmp_path}/.env, which still contains them" in made.notes


def test_a_file_of_a_container_becomes_variables(tmp_path: Path) -> None:
    (tmp_path / "db.env").write_text(f"# mine\nDB_PASS={V}\n\nMODE\nHOST=db\n")
    args = [
        "run",
        "--env-file",
        "db.env",
        "--rm",
        f"--env-file={tmp_path}/db.env",
        "-eA=b",
        f"-eA_TOKEN={V}2",
    ]
    made = shown(converted(tmp_path, {"command": "docker", "args": args}).settings)
    variables = ["-e", "DB_PASS", "-e", "MODE", "-e", "HOST=db"]
    assert made["args"] == [
        "run",
        *variables,
        "--rm",
        *variables,
        "-eA=b",
        "-eA_TOKEN",
    ]
    assert (made["env"]["DB_PASS"], made["env"]["A_TOKEN"]) == (f"<{V}>", f"<{V}2>")
    made = shown(
        converted(tmp_path, {"command": "docker", "args": ["run", f"--env=DB_PASS={V}", "i"]}).settings
    )
    assert (made["args"], made["env"]["DB_PASS"]) == (["run", "--env=DB_PASS", "i"], f"<{V}>")


@pytest.mark.parametrize("words", [["-e", "OPAQUE"], ["--env", "OPAQUE"], ["--env=OPAQUE"], ["-eOPAQUE"]])
def test_a_variable_that_a_container_takes_from_its_client_is_passed_on(
    words: list[str], tmp_path: Path
) -> None:
    data = {"command": "docker", "args": ["run", *words, "-e", "NONE", "img"]}
    made = shown(converted(tmp_path, data).settings)
    assert {key: value for key, value in made["env"].items() if key != "PATH"} == {"OPAQUE": "${env:OPAQUE}"}
    made = shown(converted(tmp_path, {**data, "env": {"OPAQUE": "slow"}}).settings)
    assert made["env"]["OPAQUE"] == "slow"


def test_a_file_that_no_one_can_read_leaves_the_server(tmp_path: Path) -> None:
    huge, binary, pipe = tmp_path / "huge", tmp_path / "binary", tmp_path / "pipe"
    os.mkfifo(pipe)
    huge.write_text("A=b\n" * (FILE_LIMIT // 4 + 1))
    binary.write_bytes(b"A=\xff\n")
    for path in (huge, binary, pipe, tmp_path / "none", "/nul\0"):
        with pytest.raises(NotMoved, match="which cannot be read"):
            converted(tmp_path, {"command": "run", "envFile": str(path)})
    args = ["run", "--env-file", "x.env", "i"]
    assert (
        shown(converted(tmp_path, {"command": "docker", "args": args}, scope="user").settings)["args"] == args
    )


@each(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  export A = b c # d", "b c"),
        ("A='b # c'", "b # c"),
        ('A="b\\nc"', "b\nc"),
        ("A='b\\nc'", "b\\nc"),
        ("A=`b'c`", "b'c"),
        ('A="b\nc"', "b\nc"),
        ("A: b", "b"),
        ("A=", ""),
        ("A=b\nA=c", "c"),
        ("# A=b\nA=c", "c"),
    ],
)
def test_a_file_of_variables_is_read_as_dotenv_does(line: str, value: str) -> None:
    assert dotenv(f"{line}\nZ=1\n") == {"A": value, "Z": "1"}


@each("piece", ["A='", 'A="', "A=`\\", "A = ", "export "])
def test_a_large_file_of_variables_is_read_in_bounded_time(piece: str) -> None:
    assert len(dotenv(piece * (100_000 // len(piece)))) <= 1


def test_a_person_says_what_the_client_would_ask_for(tmp_path: Path) -> None:
    inputs = [
        {"type": "promptString", "id": "key", "description": "Key of the search", "password": True},
        {"type": "promptString", "id": "team"},
        {"type": "promptString"},
    ]
    data = {"command": "run", "env": {"A": "x ${input:key}/${input:team}", "B": "${input:team}"}}
    asked = []

    def answer(_found: ClientFile, one: Any) -> str:
        asked.append((one.name, one.description, one.password))
        return {"key": "plain words", "team": "core"}[one.name]

    made = shown(converted(tmp_path, data, answer, inputs=inputs).settings)
    assert (made["env"]["A"], made["env"]["B"]) == ("x <plain words>/core", "core")
    assert ("key", "Key of the search", True) in asked
    for known in (inputs, []):
        with pytest.raises(NotMoved, match="asks for a value when it starts"):
            converted(tmp_path, data, inputs=known)


def test_what_a_person_said_of_a_value_counts_where_it_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=b\n")
    data = {"command": "run", "envFile": ".env", "env": {"NO_SECRET": V, "A_TOKEN": V + "1"}}
    env = shown(converted(tmp_path, data).settings)["env"]
    assert (env["NO_SECRET"], env["A_TOKEN"]) == (V, f"<{V}1>")


def test_a_variable_in_an_argument_is_filled_in_as_it_is_now(tmp_path: Path) -> None:
    made = converted(tmp_path, {"command": "run", "args": ["--mode=${env:MODE}", "${env:HOME}/x"]})
    assert made.settings["args"] == ["--mode=fast", f"{tmp_path}/x"]
    assert "has the value that MODE has now in its arguments" in made.notes
    with pytest.raises(NotMoved, match="refers to a variable in its arguments"):
        converted(tmp_path, {"command": "run", "args": ["${env:NONE}"]})


@each(
    ("key", "written", "made"),
    [
        ("ROOT", "${env:WORK}/a", "/srv/work/a"),
        ("A", "${env:PIN}", "123"),
        ("A", "${env:MODE}", "fast"),
        ("A", "${env:OPAQUE}", "${env:OPAQUE}"),  # It may be a secret under a name that does not say so.
        ("A", "${env:DB_PASS}", "${env:DB_PASS}"),
        ("API_TOKEN", "${env:WORK}", "/srv/work"),
        ("A", "${env:ODD}", "${env:ODD}"),
        ("A", "${env:NONE}", "${env:NONE}"),
        ("A", "${env:USER} in ${env:HOME}", "${env:USER} in ${env:HOME}"),  # They are not held.
        ("DSN", "postgres://${env:MODE}:${env:OPAQUE}@h/d", "postgres://fast:${env:OPAQUE}@h/d"),
        ("DSN", "postgres://ada:${env:WORD}@h/d", "postgres://ada:${env:WORD}@h/d"),
    ],
)
def test_a_variable_that_is_no_secret_is_filled_in(key: str, written: str, made: str, tmp_path: Path) -> None:
    assert shown(converted(tmp_path, {"command": "run", "env": {key: written}}).settings)["env"][key] == made


def test_what_is_filled_in_is_said_once_and_may_be_an_address(tmp_path: Path) -> None:
    data = {"url": "https://h.example/${env:MODE}", "headers": {"X-A": "${env:MODE}", "X-B": "${env:WORK}"}}
    made = converted(tmp_path, data)
    assert shown(made.settings) == {
        "url": "https://h.example/fast",
        "headers": {"X-A": "fast", "X-B": "/srv/work"},
    }
    assert "has the value that MODE, WORK has now, since it is not a secret" in made.notes


@pytest.mark.parametrize("settings", [{"A": "${env:SHORT_PASSWORD}"}, {"DB_PASSWORD": "${env:MODE}"}])
def test_a_variable_with_a_secret_that_cannot_be_held_leaves_the_server(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(NotMoved, match=r"whose value is too short .* could not be redacted from results"):
        converted(tmp_path, {"command": "run", "env": settings})


@pytest.mark.usefixtures("backend")
def test_the_import_asks_as_vs_code_does(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["a", {"label": "B!", "value": "b"}, 3]
    inputs = [
        {"id": "lvl", "type": "pickString", "options": options, "default": "a"},
        {"id": "odd", "type": "pickString", "options": ["x", "y"], "default": "z"},
        {"id": "team", "type": "promptString", "default": "core"},
        {"id": "pin", "type": "promptString", "password": True, "default": "d3f4ult-V4lue"},
        {"id": "none", "type": "promptString", "options": "no list"},
    ]
    env = {"LEVEL": "${input:lvl}", "ODD": "${input:odd}", "TEAM": "${input:team}", "PIN": "${input:pin}"}
    servers = {"s": {"command": "node", "env": env}, "n": {"command": "node", "env": {"N": "${input:none}"}}}
    path = person.home / ".config" / "Code" / "User" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"inputs": inputs, "servers": servers}))
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda said: asked.append(said) or "")
    terminal = io.StringIO("debug\n b \nz\ny\n\n\ny\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["import", "--no-start"]) == 1
    said = capsys.readouterr().out
    assert said.count("VS Code would ask for: lvl (a, b; Enter for a): ") == 2
    assert said.count("VS Code would ask for: odd (x, y; empty to skip the servers that need it): ") == 2
    assert said.count("VS Code would ask for: team (Enter for core): ") == 1
    assert asked == ["VS Code would ask for: pin (Enter for the default): "]
    assert "asks for a value when it starts (${input:none}), which you left empty: run" in said
    made = (person.home / ".config" / "mcpguard" / "mcpguard.yaml").read_text()
    assert all(one in made for one in ('"LEVEL": "b"', '"ODD": "y"', '"TEAM": "core"', "${keyring:s/PIN}"))


@pytest.mark.usefixtures("backend")
def test_the_import_asks_each_question_once(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [
        {"id": "key", "type": "promptString", "description": "Key of the search", "password": True},
        {"id": "team", "type": "promptString"},
        {"id": "none", "type": "promptString"},
    ]
    servers = {
        "a": {"command": "node", "env": {"A_KEY": "${input:key}", "TEAM": "${input:team}"}},
        "b": {"command": "node", "args": ["b"], "env": {"B_KEY": "${input:key}"}},
        "c": {"command": "node", "env": {"C": "${input:none}"}},
    }
    path = person.home / ".config" / "Code" / "User" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"inputs": inputs, "servers": servers}))
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda said: asked.append(said) or "a secret word")
    terminal = io.StringIO("core\n\ny\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["import"]) == 1
    assert asked == ["VS Code would ask for: Key of the search (empty to skip the servers that need it): "]
    made = (person.home / ".config" / "mcpguard" / "mcpguard.yaml").read_text()
    assert '"TEAM": "core"' in made
    assert made.count("${keyring:a/A_KEY}") == made.count("${keyring:b/B_KEY}") == 1
    assert "a secret word" not in made
    assert list(json.loads(path.read_text())["servers"]) == ["mcpguard", "c"]
