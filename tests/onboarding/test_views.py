"""After an import each client sees what it had, and nothing of another client or project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import find_config, load_config
from mcpguard.core.errors import ConfigError
from mcpguard.onboarding.journal import default_folder
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import Person, tree

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("backend")


def server(name: str, **more: Any) -> dict[str, Any]:
    return {"command": "node", "args": [f"/opt/{name}.js"], **more}


def has(path: Path, *names: str, key: str = "mcpServers", **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: {name: server(name) for name in names}, **more}, indent=2))
    return path


def seen(agent: str, project: str | Path | None = None) -> list[str]:
    view = load_config(find_config(None, os.environ)).view(agent, None if project is None else str(project))
    return list(view.servers)


def entries(path: Path, *way: str) -> dict[str, list[str]]:
    data = json.loads(path.read_text())
    for step in way or ("mcpServers",):
        data = data[step]
    return {name: entry["args"] for name, entry in data.items()}


def outside_state(person: Person) -> dict[Path, bytes]:
    return {path: data for path, data in tree(*person).items() if default_folder() not in path.parents}


def test_each_client_sees_its_own_servers_and_no_other(person: Person) -> None:
    cursor = has(person.home / ".cursor/mcp.json", "notes", "issues")
    junie = has(person.home / ".junie/mcp/mcp.json", "issues", "mail")
    before = outside_state(person)
    assert main(["import", "--yes"]) == 0
    assert (seen("cursor"), seen("junie")) == (["notes", "issues"], ["issues", "mail"])
    assert list(entries(cursor)) == list(entries(junie)) == ["mcpguard"]
    with pytest.raises(ConfigError, match="there is no client `zed`"):
        seen("zed")
    assert main(["check"]) == 0
    assert main(["undo"]) == 0
    assert outside_state(person) == before


def test_servers_of_one_name_that_differ_are_two_and_the_output_says_so(
    person: Person, capsys: Capture
) -> None:
    for path, token in (
        (".cursor/mcp.json", "tok-first-9f8e7d6c5b"),
        (".junie/mcp/mcp.json", "tok-second-1a2b3c4d"),
    ):
        file = has(person.home / path, "db")
        data = json.loads(file.read_text())
        data["mcpServers"]["db"]["env"] = {"DB_TOKEN": token}
        file.write_text(json.dumps(data))
    assert main(["import", "--yes"]) == 0
    assert (seen("cursor"), seen("junie")) == (["db"], ["db-2"])
    said = capsys.readouterr().out
    assert (
        "db: Cursor and JetBrains Junie have 2 different servers for this name, each with a process and a policy "
        "of its own: db, db-2"
    ) in said
    cursor = load_config(find_config(None, os.environ)).view("cursor")
    assert [ref.name for one in cursor.servers.values() for ref in one.credentials] == ["db/DB_TOKEN"]


def test_names_of_one_client_that_become_one_name_are_said(person: Person, capsys: Capture) -> None:
    has(person.home / ".cursor/mcp.json", "my db", "My.DB")
    assert main(["import", "--yes"]) == 0
    assert (
        "my-db: Cursor has 2 different servers for this name, each with a process and a policy of its own: my-db, "
        "my-db-2"
    ) in capsys.readouterr().out


def test_a_projects_servers_are_for_that_project_alone(person: Person) -> None:
    user = has(person.home / ".cursor/mcp.json", "notes")
    project = has(person.project / ".cursor/mcp.json", "shop")
    before = outside_state(person)
    assert main(["import", "--yes", "--project"]) == 0
    assert (seen("cursor"), seen("cursor", person.project)) == (["notes"], ["shop"])
    assert list(entries(user)) == ["mcpguard"]
    ((name, args),) = entries(project).items()
    # Of two entries of one name most clients take the project's and leave the user's out.
    assert (name, args[-4:]) == ("mcpguard-project", ["--agent", "cursor", "--project", str(person.project)])
    assert main(["undo"]) == 0
    assert outside_state(person) == before


def test_the_projects_in_a_file_of_the_user_are_projects(person: Person, tmp_path: Path) -> None:
    shop, blog = tmp_path / "My Shop", tmp_path / "blog"
    shop.mkdir()
    (shop / "tool.js").write_text("")
    path = has(
        person.home / ".claude.json",
        "notes",
        projects={
            str(shop): {"mcpServers": {"shop": {"command": "node", "args": ["./tool.js"]}}, "history": [1]},
            str(blog): {"mcpServers": {"blog": server("blog")}},
        },
    )
    before = outside_state(person)
    assert main(["import", "--yes"]) == 0
    assert seen("claude-code") == ["notes"]
    assert (seen("claude-code", shop), seen("claude-code", blog)) == (["shop"], ["blog"])
    assert list(entries(path)) == ["mcpguard"]
    assert list(entries(path, "projects", str(shop), "mcpServers")) == ["mcpguard-my-shop"]
    # A client starts a project's server in the project.
    assert load_config(find_config(None, os.environ)).servers["shop"].args == (str(shop / "tool.js"),)
    path.write_text(path.read_text().replace("[\n        1\n      ]", "[1, 2]"))
    assert main(["undo"]) == 0
    after = json.loads(path.read_text())
    assert after["projects"][str(shop)]["history"] == [1, 2]
    after["projects"][str(shop)]["history"] = [1]
    assert after == json.loads(before[path])


def test_a_second_file_of_a_client_keeps_its_own_servers(person: Person) -> None:
    first = has(person.home / ".config/Code/User/mcp.json", "notes", key="servers")
    second = person.home / ".config/Code/User/settings.json"
    second.write_text(json.dumps({"mcp": {"servers": {"old": server("old")}}}))
    before = outside_state(person)
    assert main(["import", "--yes"]) == 0
    assert (seen("vscode"), seen("vscode", second)) == (["notes"], ["old"])
    assert list(entries(first, "servers")) == ["mcpguard"]
    assert list(entries(second, "mcp", "servers")) == ["mcpguard-settings-json"]
    assert main(["undo"]) == 0
    assert outside_state(person) == before


def test_a_later_import_adds_to_what_a_client_sees(person: Person) -> None:
    path = has(person.home / ".cursor/mcp.json", "notes")
    assert main(["import", "--yes"]) == 0
    data = json.loads(path.read_text())
    data["mcpServers"]["mail"] = server("mail")
    path.write_text(json.dumps(data, indent=2))
    has(person.home / ".junie/mcp/mcp.json", "notes")
    assert main(["import", "--yes"]) == 0
    assert (seen("cursor"), seen("junie")) == (["notes", "mail"], ["notes"])
    assert list(entries(path)) == ["mcpguard"]
    before = tree(*person)
    assert main(["import", "--yes"]) == 0
    assert tree(*person) == before


ADDED = [
    "version: 1\nservers:\n  a: {command: node}\n",
    "version: 1\nservers: {a: {command: node}}\npolicies: [mine.yaml]\n",
    'version: 1\npolicies: [ mine.yaml, ] # mine\nservers: { a: { command: "node" }, }',
    "version: 1\npolicies:\n- {file: mine.yaml}\nservers:\n    a:\n        command: node\nclients: {junie: {servers: [a]}}\n",
    "version: 1\npolicies: []\nservers:\n  a: {command: node}\nclients:\n  cursor:\n    servers:\n    - a\n",
    '{"version": 1, "servers": {"a": {"command": "node"}}}',
    "version: 1\nservers:\n  a: {command: node}\nclients:\n  cursor: {projects: {/x: [a]}}\n\n# the end\n",
    "version: 1\nservers:\n  a: {command: node}\nclients: {cursor: {servers: [a], projects: {/x: [a]}}}",
]


@pytest.mark.parametrize("text", ADDED)
def test_a_configuration_that_a_person_wrote_in_any_form_is_added_to(text: str, person: Person) -> None:
    made = find_config(None, os.environ)
    made.parent.mkdir(parents=True)
    made.write_text(text)
    (made.parent / "mine.yaml").write_text(
        "version: 1\npolicy: mine\nrules:\n  - {id: a, effect: allow, server: a}\n"
    )
    has(person.home / ".cursor/mcp.json", "notes")
    has(person.project / ".cursor/mcp.json", "shop")
    assert main(["import", "--yes", "--project"]) == 0
    assert set(load_config(made).servers) == {"a", "notes", "shop"}
    assert "notes" in seen("cursor")
    assert seen("cursor", person.project) == ["shop"]
    assert ("a" in seen("cursor")) == ("servers" in text.partition("cursor")[2] and "cursor" in text)
    lines = [line for line in text.splitlines() if "{" not in line and "[" not in line]
    assert [line for line in lines if line not in made.read_text()] == []
    assert main(["undo"]) == 0
    assert made.read_text() == text


def test_a_client_that_sees_all_goes_on_seeing_what_there_was(person: Person) -> None:
    made = find_config(None, os.environ)
    made.parent.mkdir(parents=True)
    made.write_text("version: 1\nservers:\n  a: {command: node}\n  b: {command: node}\n")
    assert main(["install", "zed"]) == 0
    has(person.home / ".cursor/mcp.json", "notes")
    assert main(["import", "--yes", "--client", "cursor"]) == 0
    assert (seen("zed"), seen("cursor")) == (["a", "b"], ["notes"])


def test_a_client_that_does_not_say_who_it_is_is_not_shut_out(person: Person, capsys: Capture) -> None:
    made = find_config(None, os.environ)
    made.parent.mkdir(parents=True)
    made.write_text("version: 1\nservers:\n  a: {command: node}\n")
    assert main(["install", "junie"]) == 0
    path = person.home / ".junie/mcp/mcp.json"
    data = json.loads(path.read_text())
    data["mcpServers"]["mcpguard"]["args"] = data["mcpServers"]["mcpguard"]["args"][:-2]
    path.write_text(json.dumps(data))
    has(person.home / ".cursor/mcp.json", "notes")
    before = outside_state(person)
    assert main(["import", "--yes"]) == 2
    assert f"{path} starts mcpguard without saying which client it is" in capsys.readouterr().err
    assert outside_state(person) == before


def test_install_says_which_servers_a_client_can_be_given(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    has(person.home / ".cursor/mcp.json", "notes", "mail")
    assert main(["import", "--yes"]) == 0
    before = outside_state(person)
    assert main(["install", "junie"]) == 2
    said = capsys.readouterr().err
    assert (
        "`clients` does not name junie: say what it sees, as in `mcpguard install junie --server notes`"
        in said
    )
    assert main(["install", "junie", "--server", "nothing"]) == 2
    assert outside_state(person) == before
    assert main(["install", "junie", "--server", "mail"]) == 0
    assert seen("junie") == ["mail"]
    assert main(["undo", "--client", "junie"]) == 0
    assert main(["undo"]) == 0
    assert not [key for key in backend.entries if key[0] == "mcpguard"]


def test_where_all_of_a_clients_servers_are_disabled_they_stay(person: Person, capsys: Capture) -> None:
    cursor = person.home / ".cursor/mcp.json"
    cursor.parent.mkdir()
    cursor.write_text(json.dumps({"mcpServers": {name: server(name, disabled=True) for name in ("a", "b")}}))
    has(person.home / ".junie/mcp/mcp.json", "notes")
    before = cursor.read_bytes()
    assert main(["import", "--yes"]) == 1
    assert (
        "a (Cursor), b (Cursor): is disabled, and no enabled server beside it moves"
        in capsys.readouterr().out
    )
    assert cursor.read_bytes() == before
    cursor.write_text(json.dumps({"mcpServers": {"a": server("a", disabled=True), "b": server("b")}}))
    assert main(["import", "--yes"]) == 0
    config = load_config(find_config(None, os.environ))
    assert {name: one.disabled for name, one in config.view("cursor").servers.items()} == {
        "a": True,
        "b": False,
    }
