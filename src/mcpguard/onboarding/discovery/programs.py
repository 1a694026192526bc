"""Servers that are known by the name of their program or package: their policy, and variables they take.

A policy is a file below `policies/`. `variables` are options whose value the server takes from a variable
too, as its own documentation says; "" stands for an argument without an option. `password` is the variable
from which it takes the password where the address of a database, as an argument, has none.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
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
_INSTALLED = re.compile(r".*/node_modules/((?:@[^/]+/)?[^/.@][^/]*)/.")
_BY_NAME = {name: program for program in PROGRAMS for name in program.names}


def known(entry: Entry) -> Program | None:
    """What `entry` starts or connects to, None for nothing that is known."""
    return _found(entry)[0]


def own_arguments(entry: Entry) -> tuple[str, ...]:
    """What the known program that `entry` starts gets itself, without what its launcher gets."""
    return entry.args[_found(entry)[1] :]


def _found(entry: Entry) -> tuple[Program | None, int]:
    """What is known, and the index of its own first argument."""
    said = ((_BY_NAME.get(name), index) for name, index in _names(entry))
    return next((one for one in said if one[0]), (None, len(entry.args)))


def _names(entry: Entry) -> Iterator[tuple[str, int]]:
    """What may be the name of a program, with the index of the first argument after it."""
    if entry.url:
        with suppress(ValueError):
            yield urlsplit(entry.url).hostname or "", len(entry.args)
        return
    yield os.path.basename(entry.command), 0
    words = [(word, index) for index, word in enumerate(entry.args, 1) if not word.startswith("-")]
    for word, index in words:
        yield _VERSION.sub("", word), index
        if entry.args[index - 2 : index - 1] == ("-m",):  # Of python, which names the module of a package.
            yield word.replace("_", "-"), index
    for word, index in words[:1]:  # What node or python starts.
        installed = _INSTALLED.match(word)
        yield installed[1] if installed else os.path.basename(word), index
