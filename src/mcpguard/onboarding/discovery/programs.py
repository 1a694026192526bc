"""Servers that are known by the name of their program or package: their policy, and variables they take, into
which secrets in arguments go.

A policy is a file below `policies/`. `variables` are options whose value the server takes from a variable
too, as its own documentation says; "" stands for an argument without an option. `password` is the variable
from which it takes the password where the address of a database, as an argument, has none. One that is
`remote` writes no file on this machine, as its documentation says.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from mcpguard.core.secret import Unprinted
from mcpguard.onboarding.discovery.entry import Entry, NotMoved, Place


class Program(Struct, frozen=True):
    """`names` are programs, packages (npm, PyPI), images and hosts."""

    names: tuple[str, ...]
    policy: str = ""
    variables: dict[str, str] = {}
    password: str = ""
    remote: bool = False

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
        remote=True,
    ),
    Program(
        ("@modelcontextprotocol/server-postgres", "mcp-server-postgres"),
        "postgres/careful.yaml",
        password="PGPASSWORD",  # noqa: S106
        remote=True,
    ),
    Program(("mcp-server-sqlite",), "sqlite/careful.yaml"),
    Program(("mcp-server-fetch",), "fetch/careful.yaml", remote=True),
    Program(("@modelcontextprotocol/server-memory", "mcp-server-memory"), "memory/careful.yaml"),
    Program(("mcp-server-commands",), "shell/careful.yaml"),
    Program(("mcp-server-time",), "time.yaml", remote=True),
    Program(("mcp-remote",), remote=True),
    Program(("@stripe/mcp",), variables={"--api-key": "STRIPE_SECRET_KEY"}, remote=True),
    Program(("@upstash/context7-mcp",), variables={"--api-key": "CONTEXT7_API_KEY"}, remote=True),
    Program(
        ("@supabase/mcp-server-supabase",), variables={"--access-token": "SUPABASE_ACCESS_TOKEN"}, remote=True
    ),
    Program(("figma-developer-mcp",), variables={"--figma-api-key": "FIGMA_API_KEY"}),
    Program(("@sentry/mcp-server",), variables={"--access-token": "SENTRY_ACCESS_TOKEN"}, remote=True),
    Program(("@brave/brave-search-mcp-server",), variables={"--brave-api-key": "BRAVE_API_KEY"}, remote=True),
    Program(("postgres-mcp",), variables={"": "DATABASE_URI"}, remote=True),
    Program(("@bytebase/dbhub",), variables={"--dsn": "DSN"}, remote=True),
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


_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_JOINED = re.compile(r"(-e|--env=)([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)=(.*)", re.DOTALL)
_SHELLS = ("docker", "podman", "nerdctl")


class SecretText(Unprinted, frozen=True):
    """A text of which parts are secret: (part, whether it is one), in order."""

    parts: tuple[tuple[str, bool], ...]

    @classmethod
    def plain(cls, text: str) -> "SecretText":
        """A text without a secret."""
        return cls(((text, False),))

    def said(self, say: Callable[[str], str]) -> "SecretText":
        """With `say` done to what is not secret."""
        return SecretText(tuple((text if hidden else say(text), hidden) for text, hidden in self.parts))

    def shown(self) -> str:
        """With the secrets left out."""
        return "".join("" if hidden else text for text, hidden in self.parts)


def text_of(entry: Entry, place: Place, value: str, offset: int = 0) -> SecretText:
    """`value`, which stands at `place` of `entry` from `offset` on, in parts."""
    parts: list[tuple[str, bool]] = []
    at = 0
    for one in sorted(one for one in entry.secrets if one.place == place and one.start >= offset):
        parts.append((value[at : one.start - offset], False))
        parts.append((value[one.start - offset : one.end - offset], True))
        at = one.end - offset
    parts.append((value[at:], False))
    return SecretText(tuple((text, hidden) for text, hidden in parts if text or not hidden))


def environment_of(entry: Entry) -> tuple[list[str], dict[str, SecretText]]:
    """The arguments of `entry` without secrets, and its variables with those. Raises NotMoved."""
    env = {name: text_of(entry, ("env", name), value) for name, value in entry.env.items()}
    secret = {one.place[1] for one in entry.secrets if one.place[0] == "args"}
    program = known(entry)
    words: list[str] = []
    before = ""
    for index, word in enumerate(entry.args):
        if index not in secret:
            words.append(word)
        elif program is not None and program.password and (split := _without_password(entry, index)):
            address, password = split
            if env.setdefault(program.password, password) != password:
                raise NotMoved(f"has {program.password} twice with different values")
            words.append(address)
        else:
            name, left, start = _moved(entry, program, before, index, words)
            text = text_of(entry, ("args", index), word[start:], start)
            if env.setdefault(name, text) != text:
                raise NotMoved(f"has {name} twice with different values")
            words = left
        before = word
    return words, env


def _without_password(entry: Entry, index: int) -> tuple[str, SecretText] | None:
    """The address of a database in an argument, and its password; None where that is not its only secret."""
    found = [one for one in entry.secrets if one.place == ("args", index)]
    word = entry.args[index]
    start, end = found[0].start, found[0].end
    if len(found) > 1 or word[start - 1 : start] != ":" or word[end : end + 1] != "@":
        return None
    return word[: start - 1] + word[end:], SecretText(((unquote(word[start:end]), True),))


def _moved(
    entry: Entry, program: Program | None, before: str, index: int, words: list[str]
) -> tuple[str, list[str], int]:
    """The variable for the secret in argument `index`, the words before it that stay, and where it begins."""
    word, command = entry.args[index], os.path.basename(entry.command)
    pair = _PAIR.fullmatch(word)
    joined = _JOINED.fullmatch(word)
    if joined and command in _SHELLS:
        return joined[2], [*words, joined[1] + joined[2]], joined.start(3)
    if pair and command in _SHELLS and before in ("-e", "--env"):
        return pair[1], [*words, pair[1]], pair.start(2)
    if pair and command == "env" and all(_PAIR.fullmatch(one) for one in entry.args[:index]):
        return pair[1], words, pair.start(2)
    variables = {} if program is None else program.variables
    option = _OPTION.fullmatch(word)
    if option and option[1] in variables:
        return variables[option[1]], words, option.start(2)
    if before in variables and before.startswith("-"):
        return variables[before], words[:-1], 0
    if "" in variables and not option and not before.startswith("--"):
        return variables[""], words, 0
    raise NotMoved(
        f"has a secret in argument {index + 1} (args.{index}), which every process on this machine can read: "
        "give it to the server in a variable or a file, if it takes one, and import again"
    )
