"""Servers that are known by the name of their program or package: their policy, and variables they take.

A policy is a file below `policies/`. `variables` are options whose value the server takes from a variable
too, as its own documentation says; "" stands for an argument without an option. `password` is the variable
from which it takes the password where the address of a database, as an argument, has none.
"""

import os
import re
from itertools import pairwise
from urllib.parse import urlsplit

from msgspec import Struct

from mcpguard.adapters.system.shipped import shipped
from mcpguard.core.document.reading import read
from mcpguard.core.functions.function import FunctionError
from mcpguard.core.policy.written import Policy
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


class ChosenPolicy(Struct, frozen=True):
    """The policy of a server: its text, the values of its params that its entry names, those that are left to
    set, and a sentence on what it is."""

    text: str
    said: str
    params: dict[str, list[str]] = {}
    unset: tuple[str, ...] = ()


def policy_for(name: str, entry: Entry) -> ChosenPolicy:
    """The policy for the server `name`."""
    program = known(entry)
    text = _shipped(program.policy) if program and program.policy else None
    if program is None or text is None:
        said = "only tools that declare themselves read-only: write a policy to allow more"
        return ChosenPolicy(_reading_only(name), said)
    pack = program.policy.partition("/")[0].removesuffix(".yaml")
    text = text.replace(f"server: {pack}\n", f"server: {name}\n")
    posture = program.policy.partition("/")[2].removesuffix(".yaml")
    text = text.replace(f"\npolicy: {pack}", f"\npolicy: {name}", 1)
    said = f"the pack {pack}, {posture}" if posture else f"the policy {pack}"
    folders = _folders(pack, entry)
    declared = read(text, program.policy, Policy).params
    params = {one: folders for one in declared if folders and one in ("folders", "repositories")}
    unset = tuple(one for one, param in declared.items() if not param.is_set and one not in params)
    said += f": set {', '.join(unset)}" if unset else ""
    return ChosenPolicy(text, said, params, unset)


def _folders(pack: str, entry: Entry) -> list[str]:
    """The folders that `entry` gives to its server, where its policy asks for them."""
    words = list(entry.args)
    if pack == "filesystem":
        found = [word for word in words[1:] if os.path.isabs(word) and _readable(word)]
    elif pack == "git":
        pairs = pairwise(words)
        named = [value for option, value in pairs if option in ("--repository", "-r")]
        found = [one for one in named if os.path.isabs(one)]
    else:
        return []
    return [one for one in found if one.isprintable() and not set(one) & set("'\"\\")]


def _readable(folder: str) -> bool:
    """Whether a policy can name the folder: it would not be loaded otherwise."""
    # Most clients have no server of files.
    from mcpguard.core.functions.paths.path_within import path_within

    try:
        return path_within(folder, folder)
    except FunctionError:
        return False


def _shipped(policy: str) -> str | None:
    """The text of a shipped policy; None if there is none."""
    path = shipped(f"policies/{policy}")
    return None if path is None else path.read_text("utf-8")


def _reading_only(name: str) -> str:
    from importlib import resources

    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    rules = text[text.index("version:") :].replace("policy: read-only", f"policy: {name}-read-only")
    for effect in ("allow", "deny"):
        rules = rules.replace(f"    effect: {effect}\n", f"    effect: {effect}\n    server: {name}\n")
    return (
        f"# For `{name}`, until you write a policy for it. A tool declares that it only reads: a\n"
        f"# claim of the server, not a proof.\n{rules}"
    )
