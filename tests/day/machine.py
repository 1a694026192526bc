"""A developer's machine: a home, a project, a database, four clients, and eight servers that start as their documentation says."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from scripts import node
from tests.packs.real import git
from tests.wire.warm import program, sdk_server, server_apart

TOKEN = "ghp_m4deUpForTheTestsOfADay7Kq2Lw9Rt5Vb1"
CLIENTS = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "codex": ".codex/config.toml",
}
"""Where each has its servers, below the home."""
HAS = {
    "claude-desktop": ("time", "memory", "fetch", "sqlite", "everything"),
    "cursor": ("files", "git", "github", "fetch"),
    "vscode": ("github", "files", "git", "memory", "everything"),
    "codex": ("files", "git", "sqlite", "fetch", "time"),
}
"""Which servers each client has."""

NPM = ("filesystem", "memory", "github", "everything")
PAGINATION = '''"""Pages of rows."""


def page(rows, number, size=20):
    """The rows of a page, which are counted from 0."""
    first = number * size
    return rows[first : first + size + 1]
'''
FILES = {
    "README.md": "# Shop\n\nOrders and customers.\n",
    "src/pagination.py": PAGINATION,
    "src/app.py": "from pagination import page\n\nprint(page(list(range(100)), 0))\n",
    "tests/test_pagination.py": "from pagination import page\n\n\ndef test_first():\n    assert page([1], 0) == [1]\n",
    "docs/guide.md": "# Guide\n\nAsk for one page after the other.\n",
    "package.json": '{"name": "shop", "scripts": {"test": "pytest"}}\n',
    "Makefile": "test:\n\tpytest\n",
    ".gitignore": ".env\n",
    ".github/workflows/ci.yml": "on: push\n",
}


class Machine(NamedTuple):
    """`bin` has the programs that people start servers with; `authority` and `proxy` lead to the played web."""

    home: Path
    bin: Path
    proxy: str
    authority: Path

    @property
    def project(self) -> Path:
        """The repository that the developer works in."""
        return self.home / "work" / "shop"

    @property
    def database(self) -> Path:
        """The database of the shop."""
        return self.home / "work" / "shop.db"

    def furnish(self) -> None:
        """Put everything in its place."""
        for name, text in FILES.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._repository()
        (self.project / ".env").write_text("PASSWORD=canary-of-the-project\n")
        (self.home / ".ssh").mkdir()
        (self.home / ".ssh" / "id_ed25519").write_text("canary-of-ssh\n")
        other = self.home / "work" / "other"
        other.mkdir()
        git(other, "init", "-q", "-b", "main")
        self._tables()
        self._programs()
        for client, path in CLIENTS.items():
            file = self.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.of(client))

    def of(self, client: str) -> str:
        """The file of a client as the person wrote it."""
        return written(client, {name: self.entry(name) for name in HAS[client]})

    def as_furnished(self) -> list[str]:
        """The clients whose files are as they were in the morning."""
        return [
            client for client, path in CLIENTS.items() if (self.home / path).read_text() == self.of(client)
        ]

    def filled(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of the day, with what stands in braces in its place."""
        text = json.dumps(args)
        for name, value in {"project": self.project, "home": self.home, "token": TOKEN}.items():
            text = text.replace(f"{{{name}}}", str(value))
        filled: dict[str, Any] = json.loads(text)
        return filled

    def entry(self, server: str) -> dict[str, Any]:
        """What a client says of a server."""
        npx = {"command": "npx"}
        web = {
            "HTTPS_PROXY": self.proxy,
            "NODE_USE_ENV_PROXY": "1",
            "NODE_EXTRA_CA_CERTS": str(self.authority),
        }
        scope = "@modelcontextprotocol/server-"
        return {
            "files": {**npx, "args": ["-y", f"{scope}filesystem", str(self.project)]},
            "memory": {
                **npx,
                "args": ["-y", f"{scope}memory"],
                "env": {"MEMORY_FILE_PATH": str(self.home / "memory.jsonl")},
            },
            "github": {
                **npx,
                "args": ["-y", f"{scope}github"],
                "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": TOKEN, **web},
            },
            "everything": {**npx, "args": ["-y", f"{scope}everything"]},
            "git": {"command": "uvx", "args": ["mcp-server-git", "--repository", str(self.project)]},
            "fetch": {
                "command": "uvx",
                "args": ["mcp-server-fetch", "--proxy-url", self.proxy],
                "env": {"SSL_CERT_FILE": str(self.authority)},
            },
            "sqlite": {"command": "uvx", "args": ["mcp-server-sqlite", "--db-path", str(self.database)]},
            "time": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone", "Europe/Berlin"]},
        }[server]

    def _repository(self) -> None:
        git(self.project, "init", "-q", "-b", "main")
        git(self.project, "config", "user.name", "Ada")
        git(self.project, "config", "user.email", "ada@example.invalid")
        git(self.project, "remote", "add", "origin", "git@github.com:acme/shop.git")
        git(self.project, "add", ".")
        git(self.project, "commit", "-q", "-m", "Begin")

    def _tables(self) -> None:
        with closing(sqlite3.connect(self.database)) as database, database:
            database.executescript(
                """
                CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, email TEXT, password_hash TEXT);
                INSERT INTO customers VALUES (7, 'Jane', 'Bern', 'jane@example.com', 'canary-of-the-database');
                CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, total REAL, status TEXT, created TEXT);
                INSERT INTO orders VALUES (1, 7, 10.5, 'open', '2026-11-01'), (2, 7, 99.0, 'paid', '2026-11-20');
                CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
                INSERT INTO notes VALUES (7, 'Hello', 'World');
                """
            )

    def _programs(self) -> None:
        """`npx` and `uvx`, which start what the tests have installed."""
        self.bin.mkdir()
        folder = node.ready()
        npx = "".join(
            f'*/server-{name}) exec {" ".join(node.program(folder, f"mcp-server-{name}"))} "$@";;\n'
            for name in NPM
        )
        (self.bin / "npx").write_text(
            f'#!/bin/sh\n[ "$1" = -y ] && shift\nserver=$1\nshift\ncase "$server" in\n{npx}esac\n'
        )
        uvx = ""
        for name in ("fetch", "sqlite", "git", "time"):
            entry = server_apart(name) if name in ("fetch", "sqlite") else sdk_server(f"mcp_server_{name}")
            uvx += f'mcp-server-{name}) exec {shlex.join([entry["command"], *entry["args"]])} "$@";;\n'
        (self.bin / "uvx").write_text(f'#!/bin/sh\nserver=$1\nshift\ncase "$server" in\n{uvx}esac\n')
        # Where there is a node, mcp-server-fetch installs packages for it.
        (self.bin / "node").write_text("#!/bin/sh\nexit 1\n")
        for name in ("npx", "uvx", "node"):
            (self.bin / name).chmod(0o755)
        program(self.bin / "mcpguard")

    def started(self, client: str) -> dict[str, Any]:
        """The entry of mcpguard in a client's file: what the client starts."""
        text = (self.home / CLIENTS[client]).read_text()
        found = tomllib.loads(text) if client == "codex" else json.loads(text)
        servers = found[
            "mcp_servers" if client == "codex" else "servers" if client == "vscode" else "mcpServers"
        ]
        assert list(servers) == ["mcpguard"], servers
        return servers["mcpguard"]

    @property
    def variables(self) -> dict[str, str]:
        """What a desktop gives to its programs."""
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(self.bin), "/usr/local/bin", "/usr/bin", "/bin"]),
        }


def written(client: str, entries: dict[str, dict[str, Any]]) -> str:
    """The file of a client."""
    if client != "codex":
        typed = {name: {"type": "stdio", **entry} for name, entry in entries.items()}
        whole = {"servers": typed} if client == "vscode" else {"mcpServers": entries}
        return json.dumps(whole, indent=2)
    rows = []
    for name, entry in entries.items():
        rows += [
            f"[mcp_servers.{name}]",
            f"command = {json.dumps(entry['command'])}",
            f"args = {json.dumps(entry['args'])}",
        ]
        if "env" in entry:
            rows += [
                f"[mcp_servers.{name}.env]",
                *(f"{key} = {json.dumps(one)}" for key, one in entry["env"].items()),
            ]
    return "\n".join([*rows, ""])
