"""`mcpguard.yaml`: the configuration schema, where the file is found, and what it becomes.

Law of this file: a configuration is wholly right or refused with every mistake at its place, and no
message shows a line of `env` or `headers`, which may hold a literal credential.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from mcpguard.adapters.policy_files import read_document
from mcpguard.core.document import Document
from mcpguard.core.document import Path as Place
from mcpguard.core.errors import ConfigError, Problem
from mcpguard.core.secret import CredentialRef, Template, parse_template

SOURCES = ("env", "file", "keyring")
"""The sources that a `${SOURCE:NAME}` reference can name."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""The default of `limits.message_bytes`."""

_SERVER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9-])?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = frozenset({"env", "headers"})

Durability = Literal["flush", "fsync"]


class ServerEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `servers` as written: the keys of a client's `mcpServers`, and some of ours."""

    command: str | None = None
    """The program to start: a name that is looked for in PATH, or a path. Needed."""
    args: tuple[str, ...] = ()
    """Its arguments, one word each; no references, since every process can read an argv."""
    env: dict[str, str] = {}
    """Variables of the program; a value may hold `${SOURCE:NAME}` references."""
    cwd: str | None = None
    """The folder to start it in; a relative one is relative to this file. Default: mcpguard's own."""
    start_timeout_seconds: float = 60.0
    """How long start and greeting may take together; above 0, at most 3600."""
    disabled: bool = False
    """`true` leaves the server out."""
    type: str | None = None
    """`stdio`, or left out."""
    url: str | None = None
    """Refused in this version: HTTP upstreams are not served yet."""
    headers: dict[str, str] = {}
    """Refused in this version, as `url`."""


class AuditEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`audit` as written. `flush` survives a killed process, `fsync` a lost machine."""

    path: str
    """The folder; made if it is missing, mode 0700. A relative one is relative to this file."""
    durability: Durability = "flush"
    """`flush` survives a killed process, `fsync` a lost machine."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """`limits`: the largest JSON-RPC message in bytes, either way."""

    message_bytes: int = MESSAGE_BYTES
    """From 1024 to 1073741824."""


class ConfigFile(Struct, frozen=True, forbid_unknown_fields=True):
    """`mcpguard.yaml` as written (format version 1)."""

    version: Literal[1]
    """The version of this format."""
    servers: dict[str, ServerEntry]
    """The upstreams by name; at least one."""
    agent: str | None = None
    """A label for what connects. It is recorded as a claim and can be read by conditions."""
    policies: tuple[str, ...] = ()
    """Policy files, relative to this file. Without one every call is refused."""
    audit: AuditEntry | None = None
    """Default: `flush`, in the `audit` folder of the user's state folder."""
    limits: Limits = Limits()
    """Bounds."""


class Server(Struct, frozen=True):
    """An upstream to start. `cwd` is absolute, or None for the folder that mcpguard runs in."""

    name: str
    command: str
    args: tuple[str, ...]
    env: dict[str, Template]
    cwd: Path | None
    start_timeout_seconds: float
    disabled: bool

    @property
    def credentials(self) -> tuple[CredentialRef, ...]:
        """The references that may be resolved for this server, each once, in order."""
        return tuple(sorted({ref for template in self.env.values() for ref in template.refs}))


class Audit(Struct, frozen=True):
    """Where evidence goes: an absolute path."""

    path: Path
    durability: Durability


class Config(Struct, frozen=True):
    """A configuration that is in force; all paths are absolute. `servers` has at least one entry.

    `agent` is the author's label for what connects. Without `policies` every call is refused.
    """

    path: Path
    servers: dict[str, Server]
    agent: str | None
    policies: tuple[Path, ...]
    audit: Audit | None
    limits: Limits


def find_config(option: str | None, environ: Mapping[str, str]) -> Path:
    """Where the configuration is: `--config`, else $MCPGUARD_CONFIG, else `mcpguard.yaml` in the
    user's config folder. Never the working directory by itself: an agent may write there. The file
    need not exist."""
    named = option or environ.get("MCPGUARD_CONFIG")
    if named:
        return Path(named)
    # Imported where it is needed: most clients name the file, and a start is counted in ms.
    from platformdirs import user_config_path

    return user_config_path("mcpguard", appauthor=False) / "mcpguard.yaml"


def load_config(path: Path) -> Config:
    """The configuration in the file at `path`. Raises ConfigError with all mistakes."""
    document = Document(read_document(path, ConfigError), str(path), ConfigError, _SECRET_KEYS)
    written = document.read(ConfigFile)
    problems = list(_problems(document, written))
    if problems:
        document.fail(problems)
    audit = written.audit
    full = path.absolute()
    folder = full.parent
    return Config(
        path=full,
        servers={name: _server(name, entry, folder) for name, entry in written.servers.items()},
        agent=written.agent,
        policies=tuple(_absolute(folder, policy) for policy in written.policies),
        audit=None if audit is None else Audit(_absolute(folder, audit.path), audit.durability),
        limits=written.limits,
    )


def _absolute(folder: Path, written: str) -> Path:
    return folder / Path(written).expanduser()


def _server(name: str, entry: ServerEntry, folder: Path) -> Server:
    return Server(
        name=name,
        command=entry.command or "",
        args=entry.args,
        env={key: parse_template(value) for key, value in entry.env.items()},
        cwd=None if entry.cwd is None else _absolute(folder, entry.cwd),
        start_timeout_seconds=entry.start_timeout_seconds,
        disabled=entry.disabled,
    )


def _problems(document: Document, written: ConfigFile) -> Iterator[Problem]:
    if not written.servers:
        yield document.problem(("servers",), "at least one server is needed")
    elif all(entry.disabled for entry in written.servers.values()):
        yield document.problem(("servers",), "every server is disabled: enable at least one")
    for name, entry in written.servers.items():
        at: Place = ("servers", name)
        if not _SERVER_NAME.fullmatch(name) or "__" in name:
            yield document.problem(at, _BAD_NAME)
        yield from _transport_problems(document, at, entry)
        yield from _argv_problems(document, at, entry)
        yield from _env_problems(document, at, entry)
    for index, policy in enumerate(written.policies):
        if not policy:
            yield document.problem(("policies", index), "a path must not be empty")
    if written.audit is not None and not written.audit.path:
        yield document.problem(("audit", "path"), "a path must not be empty")
    if not 1024 <= written.limits.message_bytes <= 1 << 30:
        yield document.problem(("limits", "message_bytes"), "must be from 1024 to 1073741824 bytes")


_BAD_NAME = (
    "a server's name has 1 to 32 of the characters a-z 0-9 _ -, starts with a letter or digit, "
    "and has neither `__` in it nor `_` at its end: `__` stands before the name of a tool"
)
_NO_HTTP = "HTTP upstreams come with the next release"
_ARGV = "every process on this machine can read an argv: put the reference in `env`"


def _transport_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    http = [key for key in ("url", "headers") if getattr(entry, key)]
    if entry.type not in (None, "stdio"):
        http.append("type")
    for key in http:
        yield document.problem((*at, key), _NO_HTTP)
    if not entry.command and not http:
        yield document.problem((*at, "command"), "`command` is missing")
    if not 0 < entry.start_timeout_seconds <= 3600:
        yield document.problem((*at, "start_timeout_seconds"), "must be above 0 and at most 3600 seconds")


def _argv_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    words = {(*at, "args", index): arg for index, arg in enumerate(entry.args)}
    words[(*at, "command")] = entry.command or ""
    for place, word in words.items():
        if "${" in word:
            yield document.problem(place, _ARGV, word.index("${"))


def _env_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    for key, value in entry.env.items():
        place = (*at, "env", key)
        if not _ENV_NAME.fullmatch(key):
            yield document.problem(place, "the name of a variable has only the characters A-Z a-z 0-9 _")
        try:
            refs = parse_template(value).refs
        except ValueError as error:
            yield document.problem(place, str(error))
            continue
        for ref in refs:
            if ref.source not in SOURCES:
                known = ", ".join(SOURCES)
                yield document.problem(place, f"unknown source of a reference; known are {known}")
