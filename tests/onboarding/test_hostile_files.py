"""What a file of a project says stops neither an import nor mcpguard afterwards, for nobody's servers."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import Config, find_config, load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.redaction.redactor import OPT_IN
from tests.onboarding.corpus import Person

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("backend")

NAMES = [
    "null",
    "~",
    "true",
    "no",
    "123",
    "0x1f",
    "1e3",
    "2026-01-01",
    "<<",
    "a: b",
    "a\nb",
    "${env:HOME}",
    "",
]


def server(number: int, **more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-c", f"pass # {number}"], **more}


def imported(person: Person, **servers: Any) -> Config:
    """The configuration after an import of these servers of the project and one of the user."""
    (person.home / ".cursor").mkdir(exist_ok=True)
    mine = {"mcpServers": {"mine": server(-1)}}
    (person.home / ".cursor" / "mcp.json").write_text(json.dumps(mine))
    (person.project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    main(["import", "--yes", "--project", "--no-start"])
    config = load_config(find_config(None, os.environ))
    load_policies(config.policies, OPT_IN)
    return config


def test_a_name_that_is_no_text_in_yaml_gets_another_one(person: Person) -> None:
    config = imported(person, **{name: server(number) for number, name in enumerate(NAMES)})
    assert len(config.servers) == len(NAMES) + 1
    assert {"server-null", "server-123", "server-2026-01-01", "mine"} <= config.servers.keys()


@pytest.mark.parametrize("key", ["disabledTools", "includeTools"])
def test_names_of_tools_are_text_in_conditions(key: str, person: Person) -> None:
    names = ["\U0001f600", '"] || true || ["', "\\", "\u2028", "\0", "\x7f", "{params.x}", "it's"]
    config = imported(person, a=server(1, **{key: names}))
    assert "a-switched-off.yaml" in [path.name for path in config.policy_paths]


def test_a_server_with_more_switched_off_tools_than_a_policy_holds_stays(
    person: Person, capsys: Capture
) -> None:
    config = imported(person, a=server(1, disabledTools=[f"tool-{number}" for number in range(5000)]))
    assert list(config.servers) == ["mine"]
    assert "has switched-off tools that no policy can hide" in capsys.readouterr().out


def test_no_policy_takes_the_place_or_the_name_of_another(person: Person) -> None:
    servers = {"a": server(1, disabledTools=["x"]), "a-switched-off": server(2), "mine-declared": server(3)}
    config = imported(person, **servers)
    assert {"a", "a-switched-off", "mine", "mine-declared"} == config.servers.keys()
    assert len([one for one in config.policies if not one.written_later]) == 5


def test_a_name_that_would_give_two_policies_one_name_is_changed(person: Person) -> None:
    git = {"command": "uvx", "args": ["mcp-server-git"]}
    config = imported(person, git=git, **{"git-careful": {"command": "uvx", "args": ["mcp-server-fetch"]}})
    assert config.servers.keys() == {"git", "git-careful", "mine"}


def test_a_file_of_the_project_that_leads_to_one_of_the_user_is_left_alone(
    person: Person, capsys: Capture
) -> None:
    (person.project / ".kilo").mkdir()
    file = person.home / ".cursor" / "mcp.json"
    for name in (".mcp.json", ".kilo/kilo.json"):
        (person.project / name).symlink_to(file)
    file.parent.mkdir()
    file.write_text(json.dumps({"mcpServers": {"mine": server(1)}}))
    main(["import", "--yes", "--project", "--no-start"])
    assert load_config(find_config(None, os.environ)).clients.keys() == {"cursor"}
    assert f".mcp.json: leads out of the project to {file}" in capsys.readouterr().out
    assert (person.project / ".mcp.json").is_symlink()


def test_two_clients_with_one_file_move_in_once(person: Person, capsys: Capture) -> None:
    file = person.home / ".cursor" / "mcp.json"
    for folder in (".cursor", ".lmstudio"):
        (person.home / folder).mkdir()
    (person.home / ".lmstudio" / "mcp.json").symlink_to(file)
    before = json.dumps({"mcpServers": {"mine": server(1)}})
    file.write_text(before)
    main(["import", "--yes", "--no-start"])
    assert f"mcp.json: is the same file as {file}, and moves in with it" in capsys.readouterr().out
    assert main(["undo"]) == 0
    assert file.read_text() == before


def test_a_project_whose_name_is_no_text_is_left_alone(
    person: Person, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = person.home / "shop\udcff"
    folder.mkdir()
    (folder / ".mcp.json").write_text(json.dumps({"mcpServers": {"a": server(1)}}))
    monkeypatch.chdir(folder)
    assert main(["import", "--yes", "--project", "--no-start"]) == 1
    assert "is in a folder whose name is not UTF-8" in capsys.readouterr().out
