"""`mcpguard install`: mcpguard in a client that has no server, and out of it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.onboarding import installing
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.reading import existing
from mcpguard.onboarding.journal import default_folder
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import CASES, Person, tree

pytestmark = pytest.mark.usefixtures("backend")

PLAIN = {file.path for client in CLIENTS for file in client.files if file.scope == "user"}
"""The files of users, without those of which there can be many, such as one for each profile."""


@pytest.fixture
def config(person: Person) -> Path:
    path = person.home / "guard" / "mcpguard.yaml"
    path.parent.mkdir()
    path.write_text("version: 1\nservers:\n  a: {command: node}\n")
    return path


@pytest.mark.parametrize("name", [client.name for client in CLIENTS])
def test_a_client_without_a_file_gets_one_and_loses_it_again(name: str, person: Person, config: Path) -> None:
    before = tree(*person)
    assert main(["install", name, "--config", str(config)]) == 0
    (found,) = existing(person.places)
    assert (found.client.name, [entry.guarded for entry in found.entries]) == (name, [True])
    assert found.entries[0].args[-4:] == ("--config", str(config), "--agent", name)
    assert main(["undo"]) == 0
    assert {
        path: data for path, data in tree(*person).items() if default_folder() not in path.parents
    } == before


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.path in PLAIN and case.client != "continue"],
    ids=lambda case: case.name,
)
def test_servers_that_are_there_stay_beside_it(case: object, person: Person, config: Path) -> None:
    path = person.has(case)  # type: ignore[arg-type]
    before = path.read_bytes()
    count = len(next(existing(person.places)).entries)
    client = next(existing(person.places)).client.name
    assert main(["install", client, "--config", str(config)]) == 0
    found = next(existing(person.places))
    assert len(found.entries) == count + 1
    assert main(["undo"]) == 0
    assert path.read_bytes() == before


def test_twice_is_once(person: Person, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "cursor", "--config", str(config)]) == 0
    before = tree(*person)
    assert main(["install", "cursor", "--config", str(config)]) == 0
    assert "already has mcpguard" in capsys.readouterr().out
    assert tree(*person) == before


def test_the_servers_that_the_client_still_reaches_itself_are_named(
    person: Person, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"a": {"command": "node"}, "b": {"command": "node"}}}')
    assert main(["install", "cursor", "--config", str(config)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "note: Cursor still reaches a, b without mcpguard: "
        f"`mcpguard import --client cursor --config {config}` moves what is there"
    ]


def test_without_a_keychain_it_says_how_to_do_without(
    person: Person, config: Path, backend: FakeKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.error = RuntimeError("no keychain")
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {}}')
    before = tree(*person)
    assert main(["install", "cursor", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert "`mcpguard install cursor --to file --config " in said
    assert said.endswith("Nothing was changed\n")
    assert {path: data for path, data in tree(*person).items() if path.name != "lock"} == before
    assert main(["install", "cursor", "--config", str(config), "--to", "file"]) == 0


def test_where_nothing_is_to_be_encrypted_no_keychain_is_needed(
    person: Person, config: Path, backend: FakeKeyring
) -> None:
    backend.error = RuntimeError("no keychain")
    assert main(["install", "cursor", "--config", str(config)]) == 0
    path = person.home / ".cursor" / "mcp.json"
    path.write_text(path.read_text().replace('"mcpServers"', '"more": 1, "mcpServers"'))
    assert main(["undo"]) == 0
    assert json.loads(path.read_text()) == {"more": 1, "mcpServers": {}}
    assert backend.entries == {}


def test_an_undo_says_that_a_client_has_nothing_to_undo(
    person: Person, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "cursor", "--config", str(config)]) == 0
    capsys.readouterr()
    assert main(["undo", "--client", "zed"]) == 0
    assert capsys.readouterr().out == "there is nothing to undo for zed\n"
    assert main(["undo", "--client", "cursor"]) == 0
    assert capsys.readouterr().out.startswith("removed  ")
    assert main(["undo", "--client", "cursor"]) == 0
    assert capsys.readouterr().out == "there is nothing to undo for cursor\n"


def test_what_cannot_be_served_or_read_is_not_touched(
    person: Person, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "cursor"]) == 2
    assert "does not exist: create it with `mcpguard import`" in capsys.readouterr().err
    path = person.has(CASES[3])
    path.write_text("{")
    assert main(["install", "cursor", "--config", str(config)]) == 2
    assert "mcp.json:1:2:" in capsys.readouterr().err
    assert path.read_text() == "{"


def test_a_client_starts_mcpguard_by_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert installing.launcher(Path("/c"))["args"] == ["-P", "-m", "mcpguard", "run", "--config", "/c"]
    for folder in (tmp_path / "bin", tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / "mcpguard").write_text("#!/bin/sh\n")
        (folder / "mcpguard").chmod(0o755)
        assert installing.launcher(Path("/c"))["command"] == str(folder / "mcpguard")
