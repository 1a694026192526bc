"""Servers that are known by the name of their program or package: their policy, and variables they take.

A policy is a file below `policies/`. `variables` are options whose value the server takes from a variable
too, as its own documentation says; "" stands for an argument without an option. `password` is the variable
from which it takes the password where the address of a database, as an argument, has none.
"""

import os
import re
from urllib.parse import urlsplit

from msgspec import Struct

from mcpguard.onboarding.discovery.entry import Entry


class Program(Struct, frozen=True):
    """`names` are programs, packages (npm, PyPI), images and hosts."""

    names: tuple[str, ...]
    policy: str = ""
    variables: dict[str, str] = {}
    password: str = ""

    @property
    def takes(self) -> frozenset[str]:
        """The options and variables that are known to take a secret."""
        named = {*self.variables, *(name for option, name in self.variables.items() if option)}
        return frozenset(one for one in (*named, self.password) if one)


PROGRAMS: tuple[Program, ...] = (
    Program(("@modelcontextprotocol/server-filesystem", "mcp-server-filesystem"), "filesystem/careful.yaml"),
    Program(("mcp-server-git",), "git/careful.yaml"),
    Program(
        (
            "@modelcontextprotocol/server-github",
            "github-mcp-server",
            "ghcr.io/github/github-mcp-server",
            "api.githubcopilot.com",
        ),
        "github/careful.yaml",
    ),
    Program(
        ("@modelcontextprotocol/server-postgres", "mcp-server-postgres"),
        "postgres/careful.yaml",
        password="PGPASSWORD",  # noqa: S106
    ),
    Program(("mcp-server-sqlite",), "sqlite/careful.yaml"),
    Program(("mcp-server-fetch",), "fetch/careful.yaml"),
    Program(("@modelcontextprotocol/server-memory", "mcp-server-memory"), "memory/careful.yaml"),
    Program(("mcp-server-commands",), "shell/careful.yaml"),
    Program(("mcp-server-time",), "time.yaml"),
    Program(("@stripe/mcp",), variables={"--api-key": "STRIPE_SECRET_KEY"}),
    Program(("@upstash/context7-mcp",), variables={"--api-key": "CONTEXT7_API_KEY"}),
    Program(("@supabase/mcp-server-supabase",), variables={"--access-token": "SUPABASE_ACCESS_TOKEN"}),
    Program(("figma-developer-mcp",), variables={"--figma-api-key": "FIGMA_API_KEY"}),
    Program(("@sentry/mcp-server",), variables={"--access-token": "SENTRY_ACCESS_TOKEN"}),
    Program(("@brave/brave-search-mcp-server",), variables={"--brave-api-key": "BRAVE_API_KEY"}),
    Program(("postgres-mcp",), variables={"": "DATABASE_URI"}),
    Program(("@bytebase/dbhub",), variables={"--dsn": "DSN"}),
    Program(
        ("mongodb-mcp-server",),
        variables={
            "--connectionString": "MDB_MCP_CONNECTION_STRING",
            "--apiClientSecret": "MDB_MCP_API_CLIENT_SECRET",
        },
    ),
    Program(
        ("@browserbasehq/mcp", "@browserbasehq/mcp-server-browserbase"),
        variables={"--browserbaseApiKey": "BROWSERBASE_API_KEY"},
    ),
)
"""Every server that is known."""

_VERSION = re.compile(r"(?<=.)(?:@[^/@]*|==.*|:[\w.-]+)$")


def known(entry: Entry) -> Program | None:
    """What `entry` starts or connects to, None for nothing that is known."""
    words = {os.path.basename(entry.command)}
    words |= {_VERSION.sub("", word) for word in entry.args if not word.startswith("-")}
    if entry.url:
        try:
            words = {urlsplit(entry.url).hostname or ""}
        except ValueError:
            words = set()
    return next((one for one in PROGRAMS if words & set(one.names)), None)
