"""The placeholders of an imported policy are filled from what is on the machine, or asked for."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.system.shipped import SECRET_COLUMN
from mcpguard.cli import main
from mcpguard.config.loading import find_config, load_config
from tests.onboarding.corpus import Person
from tests.packs.packs import FOLDER, POSTURES

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("backend")

GITHUB = {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-github"]}
GIT = {"command": "uvx", "args": ["mcp-server-git"]}


def cursor(person: Person, **servers: Any) -> Path:
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def params(name: str) -> dict[str, Any]:
    files = {file.path.stem: file.params for file in load_config(find_config(None, os.environ)).policies}
    return files[name]


def repository(folder: Path, url: str, *, commits: bool = True, remote: str = "origin") -> Path:
    (folder / ".git" / "logs").mkdir(parents=True)
    (folder / ".git" / "config").write_text(
        f'[core]\n\tbare = false\n[remote "{remote}"]\n\turl = {url}\n\tfetch = x\n[branch "main"]\n'
    )
    said = "commit (initial): first" if commits else "clone: from somewhere"
    (folder / ".git" / "logs" / "HEAD").write_text(
        f"{'0' * 40} {'1' * 40} Ada <a@b.example> 1 +0000\t{said}\n"
    )
    return folder


@pytest.mark.parametrize(
    ("url", "owner"),
    [
        ("git@github.com:acme/shop.git", "acme"),
        ("https://github.com/Acme-Corp/shop", "Acme-Corp"),
        ("https://ada:token@github.com/acme/shop.git", "acme"),
        ("ssh://git@github.com/acme/shop.git", "acme"),
        ("ssh://git@github.com:22/acme/shop.git", "acme"),
        ("git@gitlab.com:other/shop.git", ""),
        ("https://github.com.evil.example/acme/shop", ""),
        ("https://github.com/a_b/shop", ""),
        ("https://[broken", ""),
        ("/srv/git/shop.git", ""),
    ],
)
def test_owners_are_those_of_repositories_in_which_the_person_commits(
    url: str, owner: str, person: Person
) -> None:
    repository(person.project, url)
    repository(person.project / "vendored", "git@github.com:stranger/library.git", commits=False)
    cursor(person, github=GITHUB)
    assert main(["import", "--yes"]) == 0
    assert params("github") == {"owners": [owner] if owner else []}


def test_a_pipe_in_the_place_of_a_file_holds_nothing_up(person: Person) -> None:
    (person.project / ".git" / "logs").mkdir(parents=True)
    os.mkfifo(person.project / ".git" / "logs" / "HEAD")
    os.mkfifo(person.project / "x.db")
    shop = {"command": "uvx", "args": ["mcp-server-sqlite", "--db-path", str(person.project / "x.db")]}
    cursor(person, github=GITHUB, shop=shop)
    assert main(["import", "--yes"]) == 0
    assert (params("github"), params("shop")) == ({"owners": []}, {"tables": []})


def test_a_fork_is_the_persons_and_what_it_came_from_is_not(person: Person) -> None:
    repository(person.project, "git@github.com:upstream/x.git", remote="upstream")
    mine = repository(person.home / "code" / "fork", "git@github.com:ada/x.git")
    (person.home / ".config" / "gh").mkdir(parents=True)
    (person.home / ".config" / "gh" / "hosts.yml").write_text(
        "github.com:\n    user: ada-l\n    git_protocol: ssh\n"
    )
    cursor(
        person,
        github=GITHUB,
        files={"command": "npx", "args": ["@modelcontextprotocol/server-filesystem", str(mine.parent)]},
    )
    assert main(["import", "--yes"]) == 0
    assert params("github") == {"owners": ["ada", "ada-l"]}
    assert params("files") == {"folders": [str(mine.parent)]}


def test_a_git_server_without_a_repository_gets_those_that_clients_know(person: Person) -> None:
    repository(person.project, "x")
    shop = repository(person.home / "shop", "x")
    path = person.home / ".claude.json"
    path.write_text(
        json.dumps({"mcpServers": {"git": GIT}, "projects": {str(shop): {}, str(person.home): {}}})
    )
    assert main(["import", "--yes"]) == 0
    assert params("git") == {"repositories": [str(person.project)]}
    path.write_text(json.dumps({"projects": {str(shop): {"mcpServers": {"here": GIT}}}}))
    assert main(["import", "--yes"]) == 0
    assert params("here") == {"repositories": [str(shop)]}


def test_tables_are_those_of_the_file(person: Person) -> None:
    path = person.home / "my shop?.db"
    database = sqlite3.connect(path)
    database.executescript(
        'CREATE TABLE orders (id, total); CREATE TABLE users (id, password_hash); CREATE TABLE "a b" (x);'
        "CREATE VIEW totals AS SELECT total FROM orders; CREATE VIEW people AS SELECT password_hash AS id FROM users;"
    )
    database.close()
    before = path.read_bytes()
    cursor(person, shop={"command": "uvx", "args": ["mcp-server-sqlite", "--db-path", str(path)]})
    assert main(["import", "--yes"]) == 0
    assert params("shop") == {"tables": ["orders", "people", "totals", "users"], "whole": ["orders"]}
    assert (path.read_bytes(), [one.name for one in path.parent.glob("my shop*")]) == (before, [path.name])


@pytest.mark.parametrize("content", [None, b"no database", b""])
def test_a_file_without_tables_allows_none_and_is_not_made(
    content: bytes | None, person: Person, capsys: Capture
) -> None:
    path = person.home / "x.db"
    if content is not None:
        path.write_bytes(content)
    cursor(person, shop={"command": "uvx", "args": ["mcp-server-sqlite", f"--db-path={path}"]})
    assert main(["import", "--yes"]) == 0
    assert params("shop")["tables"] == []
    assert path.exists() == (content is not None)
    said = "to do    shop: what needs tables is refused until `mcpguard import --set shop.tables=VALUE`"
    assert said in capsys.readouterr().out


def test_a_dry_run_names_what_is_to_be_set_and_the_command_that_makes_the_changes(
    person: Person, capsys: Capture
) -> None:
    cursor(person, github=GITHUB)
    assert main(["import", "--dry-run", "--to", "file"]) == 0
    unset, nothing = capsys.readouterr().out.splitlines()[-2:]
    assert unset.endswith("what needs owners is refused until `mcpguard import --set github.owners=VALUE`")
    assert nothing == "nothing was changed: the same command without `--dry-run` makes these changes"


def test_what_the_machine_does_not_say_is_asked_for(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    cursor(person, github=GITHUB, fetch={"command": "uvx", "args": ["mcp-server-fetch"]})
    terminal = io.StringIO("acme, octocat\ny\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["import"]) == 0
    said = capsys.readouterr().out
    assert "github needs `owners` for its policy: Organisations and users" in said
    assert "hosts of its policy" not in said
    assert (params("github"), params("fetch")) == ({"owners": ["acme", "octocat"]}, {"hosts": []})


def test_the_command_that_the_output_names_sets_what_is_missing(person: Person, capsys: Capture) -> None:
    cursor(person, github=GITHUB)
    assert main(["import", "--yes"]) == 0
    assert "until `mcpguard import --set github.owners=VALUE`" in capsys.readouterr().out
    assert main(["import", "--yes", "--set", "github.owners=acme,octocat"]) == 0
    config = find_config(None, os.environ)
    assert f"done     {config} is written: what is running uses it" in capsys.readouterr().out
    assert params("github") == {"owners": ["acme", "octocat"]}
    assert main(["import", "--yes", "--set", "github.owners=acme,more"]) == 0
    assert params("github") == {"owners": ["acme", "octocat", "more"]}
    assert main(["undo"]) == 0
    assert not find_config(None, os.environ).exists()


@pytest.mark.usefixtures("backend")
def test_a_folder_that_the_server_itself_would_refuse_is_named(person: Person, capsys: Capture) -> None:
    shop, other = person.home / "shop", person.home / "other"
    for folder in (shop / "src", other):
        folder.mkdir(parents=True)
    args = ["-y", "@modelcontextprotocol/server-filesystem", str(shop)]
    cursor(person, files={"command": "npx", "args": args})
    assert main(["import", "--yes", "--no-start"]) == 0
    capsys.readouterr()
    assert main(["import", "--yes", "--set", f"files.folders={shop / 'src'},{other}"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"files itself is started with other folders, so it may refuse {other}: add that" in said
    assert said.count("is started with other folders") == 1


def test_a_mapping_is_set_by_what_is_in_it(person: Person, capsys: Capture) -> None:
    database = "postgresql://ada@localhost/shop"
    server = {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-postgres", database]}
    cursor(person, db=server)
    assert main(["import", "--yes", "--no-start", "--set", "db.columns=orders.id,public.orders.id"]) == 0
    assert "  columns: orders.id, public.orders.id\n" in capsys.readouterr().out
    assert params("db")["columns"] == {"orders": ["id"], "public.orders": ["id"]}
    assert main(["import", "--yes", "--set", "db.columns=orders.id,orders.total,users.name"]) == 0
    assert params("db")["columns"] == {"orders": ["id", "total"], "public.orders": ["id"], "users": ["name"]}
    assert main(["import", "--yes", "--set", "db.columns=orders"]) == 2
    assert "expected a mapping of names to lists of texts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("owners=acme", "write a value as SERVER.PARAM=VALUE"),
        ("github.owners=,", "write a value as SERVER.PARAM=VALUE"),
        ("github.tables=x", "no policy for a server named github has a param tables"),
        ("nothing.owners=x", "no policy for a server named nothing has a param owners"),
    ],
)
def test_a_value_for_nothing_is_said_and_changes_nothing(
    option: str, said: str, person: Person, capsys: Capture
) -> None:
    cursor(person, github=GITHUB)
    assert main(["import", "--yes"]) == 0
    before = find_config(None, os.environ).read_text()
    assert main(["import", "--yes", "--set", option]) == 2
    assert said in capsys.readouterr().err
    assert find_config(None, os.environ).read_text() == before


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("github.tables=x", "no param tables for github, whose policy has owners; nothing was done"),
        ("nothing.owners=x", "no policy for a server named nothing has a param owners; nothing was done"),
    ],
)
def test_a_value_for_nothing_is_said_at_the_first_import_too(
    option: str, said: str, person: Person, capsys: Capture
) -> None:
    cursor(person, github=GITHUB)
    assert main(["import", "--yes", "--set", option]) == 2
    assert said in capsys.readouterr().err
    assert not find_config(None, os.environ).exists()


@pytest.mark.parametrize(
    "written",
    [
        'policies: ["policies/github.yaml"]',
        "policies: [ policies/github.yaml ]",
        "policies:\n  - policies/github.yaml  # mine",
        "policies:\n- 'policies/github.yaml'",
    ],
)
def test_a_policy_that_is_named_without_params_gets_them(written: str, person: Person) -> None:
    cursor(person, github=GITHUB)
    assert main(["import", "--yes"]) == 0
    made = find_config(None, os.environ)
    text = made.read_text()
    made.write_text(
        f"{text[: text.index('policies:')]}{written}\nclients: {{cursor: {{servers: [github]}}}}\n"
    )
    assert main(["import", "--yes", "--set", "github.owners=acme"]) == 0
    assert params("github") == {"owners": ["acme"]}
    assert ("# mine" in written) == ("# mine" in made.read_text())


def test_folders_that_an_import_did_not_find_can_be_set_as_it_says(person: Person, capsys: Capture) -> None:
    cursor(person, files={"command": "npx", "args": ["@modelcontextprotocol/server-filesystem", "gone"]})
    assert main(["import", "--yes"]) == 0
    assert "until `mcpguard import --set files.folders=VALUE`" in capsys.readouterr().out
    assert main(["import", "--yes", "--set", f"files.folders={person.project}"]) == 0
    assert params("files") == {"folders": [str(person.project)]}


@pytest.mark.parametrize("param", ["files.folders", "git.repositories"])
@pytest.mark.parametrize("folder", ["relative", "~/app", "/srv/../app"])
def test_a_folder_that_is_not_absolute_changes_nothing(
    param: str, folder: str, person: Person, capsys: Capture
) -> None:
    files = {"command": "npx", "args": ["@modelcontextprotocol/server-filesystem", "gone"]}
    cursor(person, files=files, git=GIT)
    assert main(["import", "--yes"]) == 0
    before = find_config(None, os.environ).read_text()
    assert main(["import", "--yes", "--set", f"{param}={folder}"]) == 2
    said = capsys.readouterr().err
    assert f"{folder} is not a value for {param}" in said
    assert "expected a list of absolute folders without `..`; nothing was done" in said
    assert find_config(None, os.environ).read_text() == before


def test_check_says_nothing_right_after_an_import(person: Person, capsys: Capture) -> None:
    repository(person.project, "git@github.com:acme/shop.git")
    cursor(
        person,
        github=GITHUB,
        git=GIT,
        files={"command": "npx", "args": ["@modelcontextprotocol/server-filesystem", str(person.project)]},
        fetch={"command": "uvx", "args": ["mcp-server-fetch"]},
        memory={"command": "npx", "args": ["@modelcontextprotocol/server-memory"]},
        time={"command": "uvx", "args": ["mcp-server-time"]},
        other={"command": "node", "args": ["/opt/other.js"], "disabledTools": ["rm"]},
        shop={"command": "uvx", "args": ["mcp-server-sqlite", "--db-path", str(person.home / "x.db")]},
    )
    assert main(["import", "--yes"]) == 0
    capsys.readouterr()
    assert main(["check", "--strict"]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if not line.startswith("ok ")] == ["all fine"]
    # A pack that somebody changed is theirs, and gets the notes that every policy gets.
    pack = find_config(None, os.environ).parent / "policies" / "git.yaml"
    pack.write_text(pack.read_text() + "# mine\n")
    assert main(["check"]) == 0
    assert "note " in capsys.readouterr().out


def test_what_a_client_had_switched_off_stays_off_for_this_client(person: Person) -> None:
    cursor(person, notes={"command": "node", "disabledTools": ["rm", "mv"]})
    gemini = person.home / ".gemini" / "settings.json"
    gemini.parent.mkdir()
    gemini.write_text(json.dumps({"mcpServers": {"notes": {"command": "node", "includeTools": ["read"]}}}))
    junie = person.home / ".junie" / "mcp" / "mcp.json"
    junie.parent.mkdir(parents=True)
    junie.write_text(json.dumps({"mcpServers": {"notes": {"command": "node"}}}))
    assert main(["import", "--yes"]) == 0
    config = load_config(find_config(None, os.environ))
    assert list(config.servers) == ["notes"]
    assert visible(config, "cursor") == ["read", "list"]
    assert visible(config, "gemini") == ["read"]
    assert visible(config, "junie") == ["rm", "mv", "read", "list"]


def visible(config: Any, agent: str) -> list[str]:
    from datetime import UTC, datetime

    from mcpguard.adapters.system.own_process import operating_system_user
    from mcpguard.authoring.snapshot import Offer, Snapshot
    from mcpguard.cli.onboarding.first_look import visible_tools
    from mcpguard.config.policies import load_policies
    from mcpguard.core.model import Invocation
    from mcpguard.core.redaction.redactor import OPT_IN

    tools = tuple(
        {"name": name, "annotations": {"readOnlyHint": True}} for name in ("rm", "mv", "read", "list")
    )
    offers = Snapshot(version=1, servers={"notes": Offer(tools=tools)})
    asking = Invocation("x", "", operating_system_user(), datetime.now(UTC), agent)
    return list(visible_tools(load_policies(config.policies, OPT_IN), asking, ["notes"], offers).shown)


def nested_views(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE v0 (x)")
    for number in range(1, 40):
        before = f"v{number - 1}"
        database.execute(f"CREATE VIEW v{number} AS SELECT a.x FROM {before} a, {before} b")


def misnamed_table(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE users (id)")
    database.execute("PRAGMA writable_schema=1")
    database.execute("UPDATE sqlite_master SET name = x'ff00'")


@pytest.mark.parametrize("hostile", [nested_views, misnamed_table])
def test_a_hostile_database_ends_no_import_and_holds_none_up(
    hostile: Callable[[sqlite3.Connection], None], person: Person
) -> None:
    path = person.home / "x.db"
    database = sqlite3.connect(path)
    hostile(database)
    database.commit()
    database.close()
    cursor(person, shop={"command": "uvx", "args": ["mcp-server-sqlite", f"--db-path={path}"]})
    assert main(["import", "--yes"]) == 0
    assert params("shop").get("whole", []) == (["v0"] if hostile is nested_views else [])


@pytest.mark.parametrize("name", ["logs/HEAD", "config"])
def test_a_pipe_in_a_repository_holds_no_import_up(name: str, person: Person) -> None:
    git = person.project / ".git"
    (git / "logs").mkdir(parents=True)
    (git / "logs" / "HEAD").write_text("0 1 Ada <a@b> 1 +0\tcommit: x\n")
    (git / name).unlink(missing_ok=True)
    os.mkfifo(git / name)
    cursor(person, hub=GITHUB)
    assert main(["import", "--yes"]) == 0
    assert params("hub") == {"owners": []}


def test_settings_of_a_repository_that_are_all_blank_hold_no_import_up(person: Person) -> None:
    git = person.project / ".git"
    (git / "logs").mkdir(parents=True)
    (git / "logs" / "HEAD").write_text("0 1 Ada <a@b> 1 +0\tcommit: x\n")
    (git / "config").write_text(
        "\n" * 500_000 + '[remote "origin"]\n' + " \n" * 200_000 + "url = git@github.com:a/b\n"
    )
    cursor(person, hub=GITHUB)
    assert main(["import", "--yes"]) == 0
    assert params("hub") == {"owners": ["a"]}


def test_a_projects_file_that_nobody_agreed_to_widens_nothing(person: Person) -> None:
    other = repository(person.home / "other", "git@github.com:other/x.git")
    words = {"mcpServers": {"x": {"command": "uvx", "args": ["x", str(other)]}}}
    (person.project / ".mcp.json").write_text(json.dumps(words))
    cursor(person, github=GITHUB, git=GIT)
    assert main(["import", "--yes"]) == 0
    assert (params("github"), params("git")) == ({"owners": []}, {"repositories": []})


def test_a_repository_inside_a_repository_names_no_owner(person: Person) -> None:
    repository(person.project, "git@github.com:acme/shop.git")
    repository(person.project / "planted", "git@github.com:stranger/x.git")
    cursor(person, github=GITHUB)
    assert main(["import", "--yes"]) == 0
    assert params("github") == {"owners": ["acme"]}


def test_the_columns_of_secrets_are_those_of_the_packs() -> None:
    for pack in ("postgres", "sqlite"):
        for posture in POSTURES:
            assert f'"{SECRET_COLUMN.pattern}"' in (FOLDER / pack / f"{posture}.yaml").read_text("utf-8")
