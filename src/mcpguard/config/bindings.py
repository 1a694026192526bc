"""What is wrong between credentials and the servers that use them: each mistake at its place.

Law of this file: a reference that its entry would refuse at every call is a mistake at load, not a surprise
later.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from mcpguard.config.credentials import CredentialEntry
from mcpguard.config.oauth import server_mistakes
from mcpguard.config.references import ENTRY, references
from mcpguard.config.urls import NEEDS_TLS, host_name, is_open, literal_host, split
from mcpguard.core.document.must import Mistake, Path


class BoundServer(Protocol):
    """What an entry of `servers` says of where it is, and what it is given."""

    @property
    def url(self) -> str | None:
        """Where it is; None for one with a `command`."""

    @property
    def env(self) -> Mapping[str, str]:
        """The variables of its process."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of each request to it."""


Credentials = Mapping[str, CredentialEntry]
Servers = Mapping[str, BoundServer]


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
            for said in server_mistakes(entry.oauth, urls):
                yield (*at, "oauth"), said
    for name, one in servers.items():
        yield from _server_mistakes(name, one, credentials)


def _remote(entry: CredentialEntry, servers: Servers) -> dict[str, BoundServer]:
    """The servers with a `url` that may use it."""
    named = {name: servers[name] for name in entry.servers if name in servers}
    return {name: server for name, server in named.items() if server.url is not None}


def _host_mistakes(at: Path, entry: CredentialEntry, servers: Servers) -> Iterator[Mistake]:
    hosts: set[str] = set()
    for text in entry.hosts:
        try:
            hosts.add(host_name(text))
        except ValueError:
            return  # Which is told by itself.
    remote = _remote(entry, servers)
    if entry.hosts and not remote:
        yield (
            (*at, "hosts"),
            "only a server with a `url` has a host, and none of `servers` is one: take it out",
        )
    for name, server in remote.items():
        host, parts = literal_host(server.url or ""), split(server.url or "")
        if host is None and parts is not None and parts.hostname and "${" not in parts.netloc:
            said = f"the host of `{name}` can be read in two ways: write a name without a dot at its end"
            yield (*at, "servers"), said
        elif host is None and not entry.hosts:
            said = (
                f"the host of `{name}` is a reference: say in `hosts` which hosts may be told this credential"
            )
            yield at, said
        elif host is not None and hosts and host not in hosts:
            said = f"`{name}` is at {host}, which is not among them, so it would never get this credential"
            yield (*at, "hosts"), said


# --- where it stands -----------------------------------------------------------------------------


def _site_mistakes(
    at: Path, entry: CredentialEntry, credentials: Credentials, servers: Servers
) -> Iterator[Mistake]:
    remote = _remote(entry, servers)
    local = [name for name in entry.servers if name in servers and name not in remote]
    if entry.env and not local:
        said = "variables are for servers with a `command`, and none of `servers` is one: use `headers`"
        yield (*at, "env"), said
    if entry.headers and not remote:
        yield (
            (*at, "headers"),
            "headers are for servers with a `url`, and none of `servers` is one: use `env`",
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


def _server_mistakes(name: str, server: BoundServer, credentials: Credentials) -> Iterator[Mistake]:
    at: Path = ("servers", name)
    url = server.url or ""
    texts = [*_under(at, "env", server.env), *_under(at, "headers", server.headers), ((*at, "url"), url)]
    for place, text in texts:
        yield from _entry_mistakes(place, text, name, credentials)
    parts = split(url)
    if parts is not None and any(ref.source == ENTRY for ref in references(parts.netloc)):
        said = (
            "an entry of `credentials` is bound to hosts, so it cannot be one: use ${env:…} or ${keyring:…}"
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
