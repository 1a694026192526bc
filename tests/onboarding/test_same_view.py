"""What the SDK's client gets through a client's own entries, before an import and after it, is the same."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcpguard.onboarding.discovery.reading import SearchPlaces, existing
from tests.wire import warm

pytestmark = pytest.mark.uncounted
DEADLINE = 60.0
SERVER = str(Path(__file__).parents[1] / "servers" / "offering.py")

Seen = dict[tuple[str, str], dict[str, str]]
"""(client, table of servers) -> tool -> what it answers."""


def offering(label: str, *tools: str, **env: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": [SERVER, label, *tools], **({"env": env} if env else {})}


class Desk:
    """A person with four clients, some of which have a server in common."""

    def __init__(self, folder: Path) -> None:
        self.home, self.project = folder / "home", folder / "shop"
        for one in (self.home, self.project):
            one.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }

    @property
    def places(self) -> SearchPlaces:
        return SearchPlaces(self.home, self.home / ".config", self.project)

    def has(self, path: str, data: dict[str, Any]) -> None:
        file = (self.project if path.startswith("./") else self.home) / path.removeprefix("./")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data, indent=2))

    def mcpguard(self, *words: str, code: int = 0) -> str:
        done = warm.command(
            *words, environment=self.environ, timeout=DEADLINE, modules=warm.SDK, cwd=self.project
        )
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout.decode())

    def seen(self) -> Seen:
        return anyio.run(self._seen)

    async def _seen(self) -> Seen:
        found: Seen = {}
        with anyio.fail_after(DEADLINE):
            for file in existing(self.places):
                for entry in file.entries:
                    answers = found.setdefault((file.client.name, str(entry.where[:-1])), {})
                    ours = Path(entry.command).name == "mcpguard"
                    command, *before = warm.python() if ours else [entry.command]
                    start = StdioServerParameters(
                        command=command,
                        args=[*before, *entry.args],
                        env={**self.environ, **entry.env},
                        cwd=self.project,
                    )
                    async with Client(stdio_client(start, errlog=sys.__stderr__)) as client:
                        for tool in (await client.list_tools()).tools:
                            said = (await client.call_tool(tool.name, {})).content[0]
                            answers[tool.name] = said.text  # type: ignore[union-attr]
        return found


def test_every_client_has_the_tools_that_it_had_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    notes = offering("notes", "read_note", "find_note", TOKEN="notes-7Hq2mZx81Lw")
    desk.has(".cursor/mcp.json", {"mcpServers": {"notes": notes, "mail": offering("mail", "read_mail")}})
    desk.has("./.cursor/mcp.json", {"mcpServers": {"shop": offering("shop", "orders", "customers")}})
    desk.has(".config/Code/User/mcp.json", {"servers": {"notes": notes}})
    desk.has(
        ".claude.json",
        {
            "mcpServers": {"notes": offering("notes", "read_note", TOKEN="another-notes-5Tn3")},
            "projects": {str(desk.project): {"mcpServers": {"db": offering("db", "query")}}},
        },
    )
    desk.has(".junie/mcp/mcp.json", {"mcpServers": {"mail": offering("mail", "read_mail")}})
    before = desk.seen()
    said = desk.mcpguard("import", "--yes", "--project", "--to", "file")
    assert "Cursor: 2 servers, 3 tools, as before" in said
    assert f"Cursor in {desk.project}: 1 server, 2 tools, as before" in said
    assert "VS Code: 1 server, 2 tools, as before" in said
    assert f"Claude Code in {desk.project}: 1 server, 1 tool, as before" in said
    after = desk.seen()
    assert after == before
    assert [len(one.entries) for one in existing(desk.places)] == [2, 1, 1, 1, 1]
    desk.mcpguard("undo")
    assert desk.seen() == before


def test_tools_of_one_name_get_that_of_their_server_and_no_others_do(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    servers = {"one": offering("one", "search", "read"), "two": offering("two", "search", "write")}
    desk.has(".cursor/mcp.json", {"mcpServers": servers})
    desk.mcpguard("import", "--yes", "--to", "file", "--no-start")
    ((_, answers),) = desk.seen().items()
    assert answers == {
        "one__search": "one.search 0",
        "two__search": "two.search 0",
        "read": "one.read 0",
        "write": "two.write 0",
    }


def test_a_server_that_does_not_start_is_named_and_the_others_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    broken = {"command": sys.executable, "args": ["-c", "import sys; sys.exit('no licence found')"]}
    off = {**offering("off", "x"), "disabled": True}
    servers = {"notes": offering("notes", "read_note"), "broken": broken, "switched-off": off}
    desk.has(".cursor/mcp.json", {"mcpServers": servers})
    said = desk.mcpguard("import", "--yes", "--to", "file")
    assert "Cursor: 1 of 2 servers (1 more disabled) answered: 1 tool, as before" in said
    (line,) = [line for line in said.splitlines() if line.startswith("no answer: ")]
    assert "broken" in line
    assert "`mcpguard status` shows the result" in said


def test_of_servers_that_come_later_only_these_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.has(".cursor/mcp.json", {"mcpServers": {"notes": offering("notes", "read_note")}})
    desk.mcpguard("import", "--yes", "--to", "file")
    path = desk.home / ".cursor" / "mcp.json"
    has = json.loads(path.read_text())
    has["mcpServers"]["more"] = offering("more", "a", "b")
    path.write_text(json.dumps(has))
    assert "Cursor: 1 new server, 2 tools, as before" in desk.mcpguard("import", "--yes", "--to", "file")


def program(desk: Desk, name: str) -> str:
    """The server of these tests under the name of a program that import knows, as one that is installed."""
    path = desk.home / "bin" / name
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {SERVER} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_what_a_policy_hides_is_counted_against_what_the_client_showed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tools = ["get_me", "list_issues", "fork_repository", "create_repository"]
    issues = {"command": program(desk, "github-mcp-server"), "args": ["issues", *tools]}
    shown = {"enabled_tools": tools[:2], "disabled_tools": ["get_me"]}
    desk.has(".cursor/mcp.json", {"mcpServers": {"issues": issues}})
    desk.has(".config/Code/User/mcp.json", {"servers": {"issues": {**issues, "disabledTools": tools[2:3]}}})
    desk.has(".junie/mcp/mcp.json", {"mcpServers": {"issues": {**issues, **shown}}})
    desk.has("./.cursor/mcp.json", {"mcpServers": {"issues": {**issues, "disabledTools": tools[1:2]}}})
    said = desk.mcpguard("import", "--yes", "--project", "--to", "file")
    # A policy knows the client, and not the project.
    assert (
        "Cursor: 1 server, 1 of 4 tools; policy hides create_repository, fork_repository, list_issues" in said
    )
    assert f"Cursor in {desk.project}: 1 server, 1 of 3 tools; policy hides create_repository, fork" in said
    assert "VS Code: 1 server, 2 of 3 tools; policy hides create_repository" in said
    assert "JetBrains Junie: 1 server, 1 tool, as before" in said


def test_what_a_client_had_switched_off_is_not_a_loss(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    notes = {**offering("notes", "read_note", "drop_notes"), "disabledTools": ["drop_notes"]}
    desk.has(".cursor/mcp.json", {"mcpServers": {"notes": notes}})
    desk.has(".gemini/settings.json", {"mcpServers": {"notes": {**notes, "includeTools": ["none"]}}})
    said = desk.mcpguard("import", "--yes", "--to", "file")
    assert "Cursor: 1 server, 1 tool, as before" in said
    assert "Gemini CLI: 1 server, 0 tools, as before" in said
    assert [list(answers) for answers in desk.seen().values()] == [["read_note"], []]
    desk.mcpguard("undo")
    said = desk.mcpguard("import", "--yes", "--to", "file", "--observe")
    back = "until policies are enforced, also drop_notes, switched off before"
    assert f"Cursor: 1 server, 1 tool, as before; {back}" in said


def test_the_tables_that_a_server_of_a_database_lists_may_be_read_and_joined(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    columns = {"orders": ("id", "customer_id"), "Customers": ("id", "homeTown", 7, "a.b")}
    schemas = {
        table: json.dumps([{"column_name": one, "data_type": "text"} for one in names])
        for table, names in columns.items()
    }
    schemas |= {"users": "", "notes": "no list", "a b": "[]"}
    uris = [f"postgres://db.example/shop/{name}/schema={text}" for name, text in schemas.items()]
    db = {"command": program(desk, "mcp-server-postgres"), "args": ["db", "query", *uris]}
    desk.has(".cursor/mcp.json", {"mcpServers": {"db": db}})
    before = (desk.home / ".cursor/mcp.json").read_bytes()
    said = desk.mcpguard("import", "--yes", "--to", "file")
    assert 'db: its tables may be read: "Customers", notes, orders, users' in said
    sets = "`mcpguard import --set db.columns=TABLE.COLUMN,TABLE.COLUMN`"
    assert (
        f"queries that write columns of notes, users as `t.c`, as joins do, are refused until {sets}" in said
    )
    assert "to do" not in said
    config = desk.home / ".config/mcpguard/mcpguard.yaml"
    params = yaml.safe_load(config.read_text())["policies"][0]["params"]
    assert params["tables"] == ['"Customers"', "notes", "orders", "users"]
    assert params["columns"] == {'"Customers"': ["id", '"homeTown"'], "orders": ["id", "customer_id"]}
    joined = 'SELECT c."homeTown" FROM orders o JOIN "Customers" c ON c.id = o.customer_id LIMIT 9'
    words = ("--server", "db", "--tool", "query", "--agent", "cursor")
    assert desk.mcpguard("explain", *words, "--args", json.dumps({"sql": joined})).startswith("allow: ")
    desk.mcpguard("undo")
    assert ((desk.home / ".cursor/mcp.json").read_bytes(), config.exists()) == (before, False)


def test_of_many_columns_those_of_some_tables_are_allowed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    columns = json.dumps([{"column_name": f"a_column_of_some_length_{number}"} for number in range(12)])
    uris = [f"postgres://db.example/shop/orders_{number}/schema={columns}" for number in range(40)]
    odd = [
        f"postgres://db.example/shop/odd_{at}/schema={text}" for at, text in enumerate(("[" * 9_999, "[7]"))
    ]
    db = {"command": program(desk, "mcp-server-postgres"), "args": ["db", "query", *uris, *odd]}
    desk.has(".cursor/mcp.json", {"mcpServers": {"db": db}})
    said = desk.mcpguard("import", "--yes", "--to", "file")
    params = yaml.safe_load((desk.home / ".config/mcpguard/mcpguard.yaml").read_text())["policies"][0][
        "params"
    ]
    assert len(params["tables"]) == 42
    assert 5 < len(params["columns"]) < 40
    assert {len(one) for one in params["columns"].values()} == {12}
    assert "as `t.c`, as joins do, are refused until" in said
