"""`servers` and `clients` in `mcpguard.yaml`: what may be written of one server and what is wrong with it,
and which client sees which servers, under which names.

Law of this file: where there are `clients`, who is not named sees nothing. There is no default client, and a
folder counts as a project only where the configuration names it.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mcpguard.config.references import Headers, Variables, header_mistakes, no_reference
from mcpguard.config.terms import MAX_LANES
from mcpguard.config.urls import NEEDS_TLS, ServerUrl, is_open
from mcpguard.core.document.constraints import Constraint, Mistake, Path, above, between, filled, matching
from mcpguard.core.document.written import Items, Written, renamed
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM
from mcpguard.protocol.names import Prefix

_METHOD = re.compile(r"[A-Za-z0-9_.-]{1,64}(?:/[A-Za-z0-9_.-]{1,64}){1,4}")
TYPES = {
    **dict.fromkeys(("streamable-http", "streamableHttp", "streamable_http", "streamablehttp"), "http"),
    **{"remote": "http", "local": "stdio"},
}
"""What clients call a type of server, and what it is here."""
_OF_A_COMMAND = ("command", "args", "env", "cwd", "stateful", "max_lanes")


def _wrong_method(text: str) -> str:
    known = text in FROM_CLIENT or text in FROM_UPSTREAM
    right = _METHOD.fullmatch(text) and not known
    return "" if right else "must be a method of the extension, such as `example/get`"


_NAME = "(?!.*__)[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9-])?"
_WRONG_NAME = (
    "a server's name has 1 to 32 of the characters a-z 0-9 _ -, starts with a letter or digit, "
    "and contains no `__` and does not end in `_`: `__` stands before the name of a tool"
)


def _wrong_name(text: str) -> str:
    if re.fullmatch(_NAME, text):
        return ""
    plain = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:32]
    return f"{_WRONG_NAME}; write `{plain}`" if plain else _WRONG_NAME


ServerName = Annotated[str, Constraint(_wrong_name, pattern=f"^(?:{_NAME})$")]
Extension = Annotated[
    str,
    matching(
        "[A-Za-z](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?",
        "the name of an extension has a prefix, such as `com.example/skills`",
    ),
]
Method = Annotated[str, Constraint(_wrong_method, pattern=f"^(?:{_METHOD.pattern})$")]
Word = Annotated[str, no_reference("put the reference in `env`")]


_ALLOWS = "a rule of a policy with `effect: allow` says which calls pass"
_HIDES = "a tool that no rule of a policy can allow is hidden"
_NO_USE = "leave it out: the name of the server is its key"


class ServerEntry(Written):
    """One entry of `servers` as written: the keys of a client's `mcpServers`, and some of ours."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("serverUrl", "httpUrl", "uri", "endpoint"), "write `url`"),
        **dict.fromkeys(("transport", "transportType"), "write `type`"),
        **dict.fromkeys(("environment", "envs", "env_vars", "env_keys"), "write `env`"),
        **dict.fromkeys(("envFile", "env_file"), "write its variables under `env`"),
        **dict.fromkeys(("http_headers", "requestInit", "requestOptions"), "write `headers`"),
        "env_http_headers": "write `headers: {NAME: '${env:VARIABLE}'}`",
        "bearer_token_env_var": "write `headers: {Authorization: 'Bearer ${env:VARIABLE}'}`",
        "apiKey": "write `headers: {Authorization: 'Bearer ${keyring:NAME}'}`",
        **dict.fromkeys(("cmd", "path"), "write `command`"),
        **dict.fromkeys(("dir", "workingDirectory", "working_directory"), "write `cwd`"),
        "enabled": "write `disabled: true` to leave the server out",
        **dict.fromkeys(
            ("timeout", "timeout_seconds", "tool_timeout_sec"), "write `call_timeout_seconds`, in seconds"
        ),
        **dict.fromkeys(
            ("startup_timeout_sec", "startup_timeout_ms", "connectionTimeout"),
            "write `start_timeout_seconds`, in seconds",
        ),
        **dict.fromkeys(("alwaysAllow", "autoApprove", "trust"), _ALLOWS),
        **dict.fromkeys(
            ("includeTools", "excludeTools", "enabled_tools", "disabled_tools", "disabledTools"), _HIDES
        ),
        **dict.fromkeys(("available_tools", "tools"), _HIDES),
        **dict.fromkeys(("name", "description", "display_name", "bundled", "source"), _NO_USE),
    }

    command: Word | None = Field(
        None,
        description="The program to start: a name that is looked for in PATH, or a path. This or `url` is "
        "needed.",
    )
    args: Items[Word] = Field(
        (), description="Its arguments, one word each; no references, since every process can read an argv."
    )
    env: Variables = Field(
        {}, description="Variables of the program; a value may hold `${SOURCE:NAME}` references."
    )
    cwd: str | None = Field(
        None,
        description="The folder to start it in; a relative one is relative to this file. `client` is the "
        "folder that the client started mcpguard in, often a project: anyone who can write there can "
        "replace the code that `npx` or `python -m` would start. Default: an empty folder of "
        "mcpguard's, new for each start.",
    )
    start_timeout_seconds: Annotated[float, above(0, 3600, "seconds")] = Field(
        60.0, description="How long start and handshake may take together."
    )
    call_timeout_seconds: Annotated[float, above(0, 86400, "seconds")] = Field(
        600.0,
        description="How long one request may take; each progress notification restarts it, up to six "
        "times as long.",
    )
    disabled: bool = Field(False, description="`true` leaves the server out.")
    eager: bool = Field(
        False,
        description="`true` starts the server when a client connects, not when it is first needed, and waits "
        "for it, ten seconds or `limits.list_seconds` if that is longer: then its `instructions` reach the "
        "client. If all servers are eager, what they offer is declared exactly.",
    )
    type: Annotated[Literal["stdio", "http", "sse"] | None, renamed(TYPES)] = Field(
        None,
        description="`stdio`; `http` (Streamable HTTP) or `sse` (the deprecated HTTP+SSE) for a `url`. Left "
        "out, a `url` is tried as `http` and then as `sse`.",
    )
    url: ServerUrl | None = Field(
        None, description="The MCP endpoint of a remote server, `http://` or `https://`; may hold references."
    )
    headers: Headers = Field({}, description="Headers of each request to `url`; a value may hold references.")
    stateful: bool = Field(
        False,
        description="`true` says that the server keeps state between calls, such as a transaction or a "
        "page. `mcpguard check` then reports rules that split its calls between credentials, "
        "since each credential has its own process.",
    )
    max_lanes: Annotated[int, between(1, 256)] = Field(
        MAX_LANES,
        description="How many processes the server may have at once for credentials that rules choose, "
        "besides its own. To make room, one without open calls is ended; if all are in use, the call is "
        "refused.",
    )
    pins: Literal["changed", "all", "report"] = Field(
        "changed",
        description="What is held back until a person accepts it with `mcpguard pins`: it is listed by its "
        "name alone, and calls are refused. `changed`: a tool or prompt whose definition is neither the "
        "first that was seen nor one that was accepted. `all`: also one that is seen for the first time. "
        "`report`: nothing; changes are only reported, for a server that writes a date into its "
        "descriptions, say.",
    )
    extensions: dict[Extension, Items[Method]] = Field(
        {},
        description="Extensions of the protocol that may be used with this server: the identifier of each, "
        "and its request methods. They are decided as the action `extension`; methods that are not listed "
        "are refused.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.url is None:
            if not self.command:
                yield ("command",), "`command` or `url` is missing"
            if self.headers:
                yield ("headers",), "`headers` belongs to a server with a `url`"
            if self.type in ("http", "sse"):
                yield ("type",), "a server of this type needs a `url`"
            return
        for key in _OF_A_COMMAND:
            if getattr(self, key) and key in self.model_fields_set:
                yield (key,), f"`{key}` cannot be combined with `url`: remove one of the two"
        if self.type == "stdio":
            yield ("type",), "a server with a `url` is of type http or sse"
        if is_open(self.url) and any("${" in text for text in (self.url, *self.headers.values())):
            yield ("url",), NEEDS_TLS
        yield from header_mistakes(("headers",), self.headers)


_SOME = "name at least one server, or leave it out"


def project_folder(text: str) -> str:
    """A folder as it is compared: absolute, without `~`, `..` and doubled slashes. Links are not followed,
    since a client names its project as it was opened."""
    return os.path.abspath(os.path.expanduser(text))


def _wrong_project(text: str) -> str:
    full = os.path.isabs(os.path.expanduser(text))
    return "" if full else "a project is an absolute folder, such as /home/ada/shop or ~/shop"


ClientName = Annotated[str, filled("a client needs a name", minLength=1)]
ProjectPath = Annotated[str, Constraint(_wrong_project, pattern="^[/~]")]
ServerNames = Annotated[Items[str], filled(_SOME, minItems=1)]


class ViewEntry(Written):
    """An entry of `clients`: what one client sees."""

    servers: ServerNames = Field(
        (), description="The servers that it sees when `mcpguard run` is started without `--project`."
    )
    projects: Annotated[
        dict[ProjectPath, ServerNames], filled("name at least one project, or leave it out", minProperties=1)
    ] = Field(
        {},
        description="The servers that it sees when it is started with `--project FOLDER`, by folder: these "
        "and no others. Links are not followed.",
    )
    prefix: Prefix = Field(
        "when-needed",
        description="`when-needed`: a tool or prompt keeps the name from its server if no other server of "
        "this client has one of that name; otherwise each is `SERVER__NAME`. `always`: "
        "all are `SERVER__NAME`, even if there is only one server.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.model_fields_set.isdisjoint({"servers", "projects"}):
            yield (), "`servers` or `projects` is missing"
        seen: set[str] = set()
        for folder in self.projects:
            if project_folder(folder) in seen:
                yield ("projects", folder), "this project is already listed, written differently"
            seen.add(project_folder(folder))


def client_mistakes(clients: Mapping[str, ViewEntry], servers: Collection[str]) -> Iterator[Mistake]:
    """Servers that are not among `servers`, and those that are named twice."""
    known = ", ".join(servers)
    for name, entry in clients.items():
        lists: list[tuple[Path, tuple[str, ...]]] = [(("servers",), entry.servers)]
        lists += [(("projects", folder), named) for folder, named in entry.projects.items()]
        for at, named in lists:
            for index, server in enumerate(named):
                place = ("clients", name, *at, index)
                if server not in servers:
                    yield place, f"there is no server of this name; the known ones are {known}"
                elif server in named[:index]:
                    yield place, "this server is already in the list"


def seen_by(clients: Mapping[str, ViewEntry], agent: str | None, project: str | None) -> tuple[str, ...]:
    """The servers that the client `agent` sees in the folder `project`. Raises LookupError with a sentence
    that says what there is."""
    named = ", ".join(clients)
    if agent is None:
        raise LookupError(f"name the client with `--agent NAME`; `clients` has {named}")
    entry = clients.get(agent)
    if entry is None:
        raise LookupError(f"there is no client `{agent}`; `clients` has {named}")
    folders = ", ".join(entry.projects)
    if project is None:
        if not entry.servers:
            said = f"the client `{agent}` has servers in projects only: choose one with `--project FOLDER`"
            raise LookupError(f"{said}; its projects are {folders}")
        return entry.servers
    known = {project_folder(folder): servers for folder, servers in entry.projects.items()}
    wanted = project_folder(project)
    if wanted not in known:
        there = f"its projects are {folders}" if folders else "it has none: leave out `--project`"
        raise LookupError(f"the client `{agent}` has no project {wanted}; {there}")
    return known[wanted]


def viewers(clients: Mapping[str, ViewEntry], server: str) -> list[str]:
    """Who sees `server`: clients by their names, and `CLIENT in FOLDER` for projects."""
    found = [name for name, entry in clients.items() if server in entry.servers]
    projects = ((name, *one) for name, entry in clients.items() for one in entry.projects.items())
    return found + [f"{name} in {folder}" for name, folder, servers in projects if server in servers]
