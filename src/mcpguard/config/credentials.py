"""The schema of `credentials`: what may be written, what is wrong with an entry by itself, and what is wrong
between entries and the servers that use them.

To add a kind: a field of `CredentialEntry` with the name of the kind, its name in `KINDS`, and a line in
`MINTS` of `adapters/credentials`. References in it are to a source only, so that no two entries wait for each
other. A reference that its entry would refuse at every call is a mistake at load, not a surprise later.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, Tag

from mcpguard.config import minted
from mcpguard.config.references import (
    ENTRY,
    Headers,
    Variable,
    Variables,
    header_mistakes,
    no_reference,
    reference_mistake,
    references,
)
from mcpguard.config.servers import ServerEntry
from mcpguard.config.urls import NEEDS_TLS, Host, host_name, is_open, literal_host, split
from mcpguard.core.document.constraints import Constraint, Mistake, Path, above, between, filled
from mcpguard.core.document.written import Items, Written, by_shape


def _wrong_argv(argv: tuple[str, ...]) -> str:
    if not argv or not argv[0]:
        return "the first word must be a program"
    if "/" in argv[0] and not argv[0].startswith(("/", "~/")):
        return "a program is looked for in PATH, or has its full path: one in the working folder is never run"
    return ""


def _wrong_value(text: str) -> str:
    if not references(text):
        return "a value must not be in this file: `mcpguard secret set NAME` and say ${keyring:NAME}"
    if any(ref.source == ENTRY for ref in references(text)):
        return "a credential cannot be built from another entry: refer to a source, such as ${keyring:NAME}"
    return reference_mistake(text)


Word = Annotated[
    str,
    no_reference(
        "pass the value to the program in a variable (`env` names variables of mcpguard's own), or give it a "
        "file"
    ),
]
_A_PRINCIPAL = Constraint(lambda name: "" if name and name != "group:" else "must be a name, or `group:NAME`")
Argv = Annotated[Items[Word], Constraint(_wrong_argv, minItems=1)]


class JsonEntry(Written):
    """`credentials.NAME.command.json`: where the value stands in what the program prints."""

    value: str = Field(
        description="The key of the value; `.` leads into an inner object: `credential.access_token`."
    )
    expires: str | None = Field(
        None,
        description="The key of its expiry: a number is seconds from now, above 1000000000 seconds since "
        "1970; a string is a time with its zone (ISO 8601).",
    )


class CommandEntry(Written):
    """`credentials.NAME.command`: a program that prints the value. No shell: give its words one by one. A
    list is short for `{argv: …}`."""

    argv: Argv = Field(
        description="The program, looked for in PATH, and its arguments; no references, since every process "
        "can read them."
    )
    timeout_seconds: Annotated[float, above(0, 600, "seconds")] = Field(
        30.0, description="How long it may take; then its whole process group is killed."
    )
    ttl_seconds: Annotated[float, above(0, 86400, "seconds")] | None = Field(
        None, description="How long the value may be used if its output does not say."
    )
    env: Items[Variable] = Field(
        (),
        description="Variables of mcpguard's environment that it gets, besides the few that every program "
        "needs.",
    )
    json_: JsonEntry | None = Field(
        None,
        alias="json",
        description="For a program that prints JSON. Default: the value is its whole output, without one "
        "trailing newline.",
    )


class CredentialEntry(Written):
    """One entry of `credentials` as written: where a value comes from (exactly one of `value`, `command`,
    `vault`, `github_app`, `postgres`, `oauth`, `client_credentials`, `token_exchange`) and who may use it.
    `${credential:NAME}` refers to it, and a rule chooses it with `credential: NAME`."""

    servers: Annotated[
        Items[str], filled("at least one server is needed: no other may use it", minItems=1)
    ] = Field(description="The servers that may use it; at least one.")
    value: Annotated[str, Constraint(_wrong_value, pattern=r"\$\{")] | None = Field(
        None, description="A text with references to sources in it, such as `Bearer ${keyring:NAME}`."
    )
    command: (
        Annotated[
            Annotated[Argv, Tag("a list")] | Annotated[CommandEntry, Tag("a mapping")],
            by_shape("a list", "a mapping"),
        ]
        | None
    ) = Field(None, description="A program that prints it.")
    vault: minted.VaultEntry | None = Field(None, description="A secret of HashiCorp Vault or OpenBao.")
    github_app: minted.GithubAppEntry | None = Field(
        None, description="A token of a GitHub App's installation."
    )
    postgres: minted.PostgresEntry | None = Field(
        None, description="A login role of PostgreSQL, made for the session."
    )
    oauth: minted.OAuthEntry | None = Field(
        None, description="The access token of somebody who ran `mcpguard secret login NAME`."
    )
    client_credentials: minted.ClientCredentialsEntry | None = Field(
        None, description="An OAuth token for mcpguard itself."
    )
    token_exchange: minted.TokenExchangeEntry | None = Field(
        None, description="An OAuth token in exchange for another."
    )
    hosts: Items[Host] = Field(
        (),
        description="The hosts that may receive it, exactly these names; for servers with a `url`. Default: "
        "the host of the `url` of each of `servers`.",
    )
    principals: Items[Annotated[str, _A_PRINCIPAL]] = Field(
        (),
        description="Whose calls may use it: names, and `group:NAME` for all of a group. Default: "
        "everybody's.",
    )
    cache_seconds: Annotated[float, between(0, 3600, "seconds")] | None = Field(
        None,
        description="How long a value without its own expiry may be kept. Default: "
        "300, and 0 for `value`, which is read again for each use.",
    )
    env: Variables = Field(
        {}, description="Variables that override those of a server when a rule chooses this credential."
    )
    headers: Headers = Field(
        {}, description="Headers that override those of a server when a rule chooses this credential."
    )

    def mistakes(self) -> Iterator[Mistake]:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"it has {len(given)}: {', '.join(given)}" if given else "it has none"
            yield (), f"a credential has exactly one of {', '.join(KINDS)}; {said}"
        yield from header_mistakes(("headers",), self.headers)


KINDS = (
    "value", "command", "vault", "github_app", "postgres", "oauth", "client_credentials", "token_exchange",
)  # fmt: skip
"""The fields of a CredentialEntry that say where the value comes from: exactly one of them is given."""

ENTRIES: tuple[type[Written], ...] = (CredentialEntry, CommandEntry, JsonEntry, *minted.MINTED)
"""The models of an entry, for the reference."""


def kind_of(entry: CredentialEntry) -> str:
    """The kind of an entry that has exactly one."""
    return next(kind for kind in KINDS if getattr(entry, kind) is not None)


Credentials = Mapping[str, CredentialEntry]
Servers = Mapping[str, ServerEntry]


def binding_mistakes(credentials: Credentials, servers: Servers) -> Iterator[Mistake]:
    """Every mistake in the bindings of `credentials` to servers, and in the references of servers to them."""
    for name, entry in credentials.items():
        at: Path = ("credentials", name)
        for index, server in enumerate(entry.servers):
            if server not in servers:
                known = ", ".join(servers)
                yield (*at, "servers", index), f"there is no server of this name; the known ones are {known}"
        yield from _host_mistakes(at, entry, servers)
        yield from _site_mistakes(at, entry, credentials, servers)
        if entry.oauth is not None:
            urls = {server: one.url or "" for server, one in _remote(entry, servers).items()}
            for said in minted.server_mistakes(entry.oauth, urls):
                yield (*at, "oauth"), said
    for name, one in servers.items():
        yield from _server_mistakes(name, one, credentials)


def _remote(entry: CredentialEntry, servers: Servers) -> dict[str, ServerEntry]:
    """The servers with a `url` that may use it."""
    named = {name: servers[name] for name in entry.servers if name in servers}
    return {name: server for name, server in named.items() if server.url is not None}


def _host_mistakes(at: Path, entry: CredentialEntry, servers: Servers) -> Iterator[Mistake]:
    hosts: set[str] = set()
    for text in entry.hosts:
        try:
            hosts.add(host_name(text))
        except ValueError:
            return  # Reported on its own.
    remote = _remote(entry, servers)
    if entry.hosts and not remote:
        yield (
            (*at, "hosts"),
            "only a server with a `url` has a host, and `servers` names no such server: remove this key",
        )
    for name, server in remote.items():
        host, parts = literal_host(server.url or ""), split(server.url or "")
        if host is None and parts is not None and parts.hostname and "${" not in parts.netloc:
            said = f"the host of `{name}` can be read in two ways: write a name without a dot at its end"
            yield (*at, "servers"), said
        elif host is None and not entry.hosts:
            said = f"the host of `{name}` is a reference: list in `hosts` the hosts that may receive it"
            yield at, said
        elif host is not None and hosts and host not in hosts:
            said = f"`{name}` is at {host}, which is not among them, so it would never get this credential"
            yield (*at, "hosts"), said


def _site_mistakes(
    at: Path, entry: CredentialEntry, credentials: Credentials, servers: Servers
) -> Iterator[Mistake]:
    remote = _remote(entry, servers)
    local = [name for name in entry.servers if name in servers and name not in remote]
    if entry.env and not local:
        said = "variables are for servers with a `command`, and `servers` names no such server: use `headers`"
        yield (*at, "env"), said
    if entry.headers and not remote:
        yield (
            (*at, "headers"),
            "headers are for servers with a `url`, and `servers` names no such server: use `env`",
        )
    if any(is_open(server.url or "") for server in remote.values()):
        # Without `headers` it could still stand in an argument.
        yield (*at, "headers") if entry.headers else (*at, "servers"), NEEDS_TLS
    for place, text in (*_under(at, "env", entry.env), *_under(at, "headers", entry.headers)):
        for name in local if place[-2] == "env" else remote:
            yield from _entry_mistakes(place, text, name, credentials)


def _under(at: Path, key: str, texts: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for name, text in texts.items():
        yield (*at, key, name), text


def _server_mistakes(name: str, server: ServerEntry, credentials: Credentials) -> Iterator[Mistake]:
    at: Path = ("servers", name)
    url = server.url or ""
    texts = [*_under(at, "env", server.env), *_under(at, "headers", server.headers), ((*at, "url"), url)]
    for place, text in texts:
        yield from _entry_mistakes(place, text, name, credentials)
    parts = split(url)
    if parts is not None and any(ref.source == ENTRY for ref in references(parts.netloc)):
        said = (
            "an entry of `credentials` is bound to hosts, so a host cannot come from one: use ${env:…} or "
            "${keyring:…}"
        )
        yield (*at, "url"), said


def _entry_mistakes(place: Path, text: str, server: str, credentials: Credentials) -> Iterator[Mistake]:
    """Whether the entries that a text of `server` refers to are there, and let it."""
    for ref in references(text):
        if ref.source != ENTRY:
            continue
        entry = credentials.get(ref.name)
        if entry is None:
            yield place, "there is no entry of this name in `credentials`"
        elif server not in entry.servers:
            said = f"`{ref.name}` is not for the server `{server}`: name it in its `servers`, or use another"
            yield place, said
