"""Clients whose entries have a form of their own: a command as a list, other keys, tables in two places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpguard.cli import main
from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.entry import NotMoved
from mcpguard.onboarding.discovery.reading import existing, read_entry
from tests.onboarding.corpus import CASES, Case, Person
from tests.onboarding.test_conversion import converted, shown

pytestmark = pytest.mark.usefixtures("backend")
OPENCODE, SECOND, GOOSE = (
    next(case for case in CASES if case.name == name)
    for name in ("opencode.json", "opencode-second.jsonc", "goose.yaml")
)


def client(name: str) -> Any:
    return next(one for one in CLIENTS if one.name == name)


def test_what_is_no_server_of_opencode_and_goose_is_none(person: Person) -> None:
    for case in (OPENCODE, SECOND, GOOSE):
        person.has(case)
    names = {(found.client.name, entry.name) for found in existing(person.places) for entry in found.entries}
    assert names == {
        ("opencode", "everything"),
        ("opencode", "issues"),
        ("opencode", "shop"),
        ("goose", "jira"),
        ("goose", "notes"),
    }


def test_the_entry_of_mcpguard_is_in_the_form_of_its_client(person: Person) -> None:
    opencode, goose = person.has(OPENCODE), person.has(GOOSE)
    assert main(["import", "--yes"]) == 0
    ours = json.loads(opencode.read_text())["mcp"]["mcpguard"]
    assert (ours["type"], ours["environment"]) == ("local", {"LOG_KEY": "{env:LOG_KEY}"})
    assert ours["command"][-2:] == ["--agent", "opencode"]
    extensions = yaml.safe_load(goose.read_text())["extensions"]
    assert list(extensions) == ["developer", "mcpguard"]
    ours = extensions["mcpguard"]
    assert (ours["type"], ours["enabled"], ours["args"][-2:]) == ("stdio", True, ["--agent", "goose"])
    assert Path(ours["cmd"]).is_absolute()
    assert "  # of the team\n  mcpguard:\n" in goose.read_text()
    assert "\n\nGOOSE_MODE: smart_approve\n" in goose.read_text()


@pytest.mark.parametrize(
    ("case", "way"), [(OPENCODE, ("mcp", "mcpguard")), (SECOND, ("mcp", "servers", "mcpguard"))]
)
def test_a_server_is_added_where_the_others_are(case: Case, way: tuple[str, ...], person: Person) -> None:
    config = person.home / "c.yaml"
    config.write_text("version: 1\nservers:\n  a: {command: node}\n")
    path = person.home / ".config" / "opencode" / "opencode.json"
    path.parent.mkdir(parents=True)
    path.write_text((person.has(case)).read_text())
    assert main(["install", "opencode", "--config", str(config)]) == 0
    (found,) = [one for one in existing(person.places) if one.path == path]
    assert [entry.where for entry in found.entries if entry.guarded] == [way]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "extensions:\n  mcpguard:\n"),
        ("A: 1", "A: 1\nextensions:\n  mcpguard:\n"),
        ("extensions:\n    a: {cmd: x}  # c", "    a: {cmd: x}  # c\n    mcpguard:\n      enabled: true\n"),
        (
            "extensions:\r\n  a:\r\n    cmd: x\r\nZ: 1\r\n",
            "    cmd: x\r\n  mcpguard:\r\n    enabled: true\r\n",
        ),
    ],
)
def test_goose_gets_an_entry_beside_what_it_has(before: str, after: str, person: Person) -> None:
    config = person.home / "c.yaml"
    config.write_text("version: 1\nservers:\n  a: {command: node}\n")
    path = person.home / ".config" / "goose" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(before.encode())
    assert main(["install", "goose", "--config", str(config)]) == 0
    assert after in path.read_bytes().decode()
    assert main(["undo"]) == 0
    assert path.read_bytes() == before.encode()


@pytest.mark.parametrize(
    "text", ["extensions: {a: {cmd: node}}\n", "extensions: {}\n", "{extensions: {a: {cmd: node}}}\n"]
)
def test_goose_in_brackets_is_left_alone(
    text: str, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    config = person.home / "c.yaml"
    config.write_text("version: 1\nservers:\n  a: {command: node}\n")
    path = person.home / ".config" / "goose" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert main(["install", "goose", "--config", str(config)]) == 2
    assert "a list in brackets cannot be edited" in capsys.readouterr().err
    assert main(["import", "--yes"]) == int("node" in text)
    assert path.read_text() == text


def test_what_goose_takes_from_its_own_store_stays() -> None:
    data = {"cmd": "npx", "env_keys": ["A_TOKEN", "B"], "envs": {"B": "x"}}
    entry = read_entry(client("goose"), "a", ("extensions", "a"), 1, data)
    assert entry.problem == (
        "takes A_TOKEN from a store of its client, which mcpguard cannot read: insert the value first"
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("opencode", {"type": "local", "command": ["npx", "-y", "mcpguard", "run"]}),
        ("kilo", {"type": "local", "command": ["/bin/sh", "/tmp/evil/mcpguard"]}),
        ("goose", {"type": "stdio", "cmd": "/tmp/evil/mcpguard", "args": ["run"]}),
    ],
)
def test_what_only_looks_like_mcpguard_is_not_guarded(name: str, data: dict[str, Any]) -> None:
    entry = read_entry(client(name), "mcpguard", ("x", "mcpguard"), 1, data)
    assert (entry.claims, entry.guarded) == (True, False)


def test_all_tools_are_no_choice() -> None:
    for name, key in (("copilot-cli", "tools"), ("goose", "available_tools")):
        for value, only in ((["*"], None), (["read"], ("read",))):
            entry = read_entry(client(name), "a", ("x", "a"), 1, {"command": "x", "cmd": "x", key: value})
            assert entry.only == only


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"K": "{env:K}-1"}, "${env:K}-1"),
        ({"K": "{file:~/.k}"}, "${file:/home/u/.k}"),
        ({"K": "{file:/run/k}"}, "${file:/run/k}"),
        ({"K": "{other:k}"}, "{other:k}"),
    ],
)
def test_references_in_curly_brackets(env: dict[str, str], said: str) -> None:
    made = converted("opencode", {"command": ["sh", "-v"], "environment": env})
    assert shown(made.settings) == {"command": "/usr/bin/sh", "args": ["-v"], "env": {"K": said}}


def test_a_file_beside_the_configuration_of_the_client_has_no_equivalent() -> None:
    with pytest.raises(NotMoved, match="that has no equivalent in mcpguard"):
        converted("opencode", {"command": ["sh"], "environment": {"K": "{file:./k}"}})
