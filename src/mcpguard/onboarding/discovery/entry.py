"""A server as a client has it, the secrets among its values, and its references -> as mcpguard writes them.

Law of this file: nothing becomes a reference of mcpguard that was not one of the client; where there is no
equivalent, the server stays as it is.
"""

import os
import re
from pathlib import Path

from msgspec import Struct

from mcpguard.core.errors import McpGuardError
from mcpguard.onboarding.discovery.clients import ClientTimeout, KnownClient
from mcpguard.onboarding.discovery.ourselves import claims_mcpguard, starts_mcpguard
from mcpguard.onboarding.formats import Step

Place = tuple[Step, ...]


class Plaintext(Struct, frozen=True, order=True):
    """A secret in the clear: `text[start:end]` of the value at `place` in the entry, such as ("env", "TOKEN")
    or ("args", 2). `why` says how it was known: "name", "url", "again" for one that stands elsewhere in the
    entry too, "you" for what a person said, or a token format."""

    place: Place
    start: int
    end: int
    why: str


class Entry(Struct, frozen=True, kw_only=True):
    """One server of a client. `where` is the way to it in the document, `line` counts from 1.

    `problem` says why it cannot be guarded as it stands, "" for nothing; `guarded`: it starts mcpguard.
    `hidden` are tools that the client does not show, `only` the ones that it shows (None: no such list);
    `filters` are keys of that kind that have another form, `unread` others that nobody reads.
    `timeouts` are in seconds. `env_file` is a file with more variables. Values may be secrets: `secrets`
    says which.
    """

    name: str
    where: tuple[Step, ...]
    line: int
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str = ""
    headers: dict[str, str] = {}
    type: str = ""
    cwd: str = ""
    env_file: str = ""
    disabled: bool = False
    filters: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    timeouts: dict[ClientTimeout, float] = {}
    unread: tuple[str, ...] = ()
    problem: str = ""
    secrets: tuple[Plaintext, ...] = ()

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"

    @property
    def texts(self) -> dict[Place, str]:
        """Every text in which a secret can stand."""
        texts: dict[Place, str] = {("args", index): word for index, word in enumerate(self.args)}
        texts |= {("env", name): value for name, value in self.env.items()}
        texts |= {("headers", name): value for name, value in self.headers.items()}
        return texts | {("url",): self.url, ("command",): self.command}

    def value_of(self, secret: Plaintext) -> str:
        return self.texts[secret.place][secret.start : secret.end]

    @property
    def guarded(self) -> bool:
        """Whether it starts mcpguard, as far as its program is an installed one. Reads files."""
        return starts_mcpguard(self.command, self.args, self.env)

    @property
    def claims(self) -> bool:
        """Whether it looks as if it started mcpguard, whatever it starts."""
        return claims_mcpguard(self.command, self.args)


_REFERENCE = re.compile(r"\$\{\{[^}]*\}\}|\$\{([^}]*)\}?|\$([A-Za-z_][A-Za-z0-9_]*)")
_CURLY = re.compile(r"\{(env|file):([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NotMoved(McpGuardError):
    """A server that stays with its client. The message continues its name ("has no URL"), without a value."""


def translated(text: str, client: KnownClient, home: Path, project: Path | None) -> str:
    """`text` with references of mcpguard in place of those of `client`. Raises NotMoved."""

    def one(found: re.Match[str]) -> str:
        whole, braced, bare = found[0], found[1], found[2]
        if whole.startswith("${{"):
            raise NotMoved("refers to a secret that only its client can resolve: insert the value first")
        if bare:
            return f"${{env:{bare}}}" if client.style == "shell" else whole
        return _braced(braced, client, home, project)

    if client.runs and ("$(" in text or "`" in text):
        raise NotMoved(
            "has a value that a command prints, which mcpguard does not run: write the value out first, so "
            "that it moves into the keychain, or write an entry `command` of `credentials` by hand "
            "(`mcpguard help hold-a-credential`)"
        )
    said = _REFERENCE.sub(one, text)
    if client.style == "curly":
        said = _CURLY.sub(lambda found: _curly(found[1], found[2], home), said)
    return said


def literal(folder: str) -> str:
    """The name of a folder that is to stand in a text. Raises NotMoved where it would be read as a reference,
    also with what stands beside it."""
    if set(folder) & set("${}"):
        raise NotMoved("would have a folder in its settings that looks like a reference: rename that folder")
    return folder


def _curly(kind: str, name: str, home: Path) -> str:
    if kind == "env" and _NAME.fullmatch(name):
        return f"${{env:{name}}}"
    path = str(home / name[2:]) if name.startswith("~/") else name
    if kind == "file" and path.startswith("/"):
        return f"${{file:{path}}}"
    raise NotMoved(f"has a `{{{kind}:…}}` that has no equivalent in mcpguard: write the value out first")


def _braced(inside: str, client: KnownClient, home: Path, project: Path | None) -> str:
    kind, _, name = inside.partition(":")
    if client.style == "braced":
        if kind == "env" and _NAME.fullmatch(name):
            return f"${{env:{name}}}"
        if kind == "input":
            raise NotMoved(
                f"asks for a value when it starts (${{input:{name}}}), and its client keeps the answer where "
                "mcpguard cannot read it: run `mcpguard import` at a terminal and enter it"
            )
        if inside == "userHome":
            return literal(str(home))
        if inside in ("pathSeparator", "/"):
            return os.sep
        if inside in ("workspaceFolder", "workspaceFolderBasename") and project is not None:
            return literal(str(project) if inside == "workspaceFolder" else project.name)
        if inside.startswith("workspaceFolder"):
            raise NotMoved(
                "has a `${workspaceFolder}` that has no equivalent outside of a project: write out the "
                "folder, or move the entry into the project's file"
            )
    elif client.style in ("plain", "shell") and _NAME.fullmatch(inside):
        return f"${{env:{inside}}}"
    raise NotMoved("has a `${…}` that has no equivalent in mcpguard: write the value out first")
