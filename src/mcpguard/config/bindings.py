"""What is wrong with `credentials`, and with references to its entries: each mistake at its place.

Law of this file: a reference that its entry would refuse at every call is a mistake at load, not a surprise
later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mcpguard.config.credentials import KINDS, MOST_CACHE_SECONDS, CredentialEntry
from mcpguard.config.file import ENTRY, LOOPBACK, ConfigFile, ServerEntry
from mcpguard.config.minted import github_app_problems, postgres_problems, vault_problems
from mcpguard.config.oauth import oauth_problems, server_problems, service_problems
from mcpguard.config.references import (
    env_problems,
    header_problems,
    host_name,
    reference_problems,
    references,
    split,
    texts_in,
)
from mcpguard.core.document.reading import Document
from mcpguard.core.document.reading import Path as Place
from mcpguard.core.errors import Problem

_NAME = re.compile(r"[a-z0-9][a-z0-9_./-]{0,127}")
_BAD_NAME = (
    "the name of a credential has 1 to 128 of the characters a-z 0-9 _ . / - and starts with a letter or "
    "a digit"
)
_ARGV = (
    "every process on this machine can read an argv: pass the value to the program in a variable "
    "(`env` names variables of mcpguard's own), or give it a file"
)


def binding_problems(document: Document, written: ConfigFile) -> Iterator[Problem]:
    """Every mistake in `credentials`, and in the references of servers to it."""
    for name, entry in written.credentials.items():
        at: Place = ("credentials", name)
        if not _NAME.fullmatch(name):
            yield document.problem(at, _BAD_NAME)
        yield from _source_problems(document, at, entry)
        yield from _user_problems(document, at, entry, written)
        yield from _host_problems(document, at, entry, written)
        yield from _site_problems(document, at, entry, written)
        if entry.oauth is not None:
            urls = {server: one.url or "" for server, one in _remote(entry, written).items()}
            yield from server_problems(document, (*at, "oauth"), entry.oauth, urls)
    for name, server in written.servers.items():
        yield from _server_problems(document, name, server, written)


# --- where the value comes from ------------------------------------------------------------------


def _source_problems(document: Document, at: Place, entry: CredentialEntry) -> Iterator[Problem]:
    given = [kind for kind in KINDS if getattr(entry, kind) is not None]
    if len(given) != 1:
        said = f"it has {len(given)}: {', '.join(given)}" if given else "it has none"
        yield document.problem(at, f"a credential has exactly one of {', '.join(KINDS)}; {said}")
        return
    (kind,) = given
    yield from CHECKS[kind](document, (*at, kind), getattr(entry, kind))


def _value_problems(document: Document, at: Place, text: str) -> Iterator[Problem]:
    if not references(text):
        said = "a value must not stand in this file: `mcpguard secret set NAME` and say ${keyring:NAME}"
        yield document.problem(at, said)
    elif any(ref.source == ENTRY for ref in references(text)):
        said = "a credential cannot be made of another entry: refer to a source, such as ${keyring:NAME}"
        yield document.problem(at, said)
    else:
        yield from reference_problems(document, at, text)


def _command_problems(document: Document, at: Place, made: Any) -> Iterator[Problem]:
    argv = made if isinstance(made, tuple) else made.argv
    here = at if isinstance(made, tuple) else (*at, "argv")
    if not argv or not argv[0]:
        yield document.problem(here, "the first word must be a program")
    elif "/" in argv[0] and not argv[0].startswith(("/", "~/")):
        said = "a program is looked for in PATH, or has its full path: one in the working folder is never run"
        yield document.problem((*here, 0), said)
    for place, text in texts_in(at, made):
        if "${" in text:
            yield document.problem(place, _ARGV)
    if not isinstance(made, tuple):
        if not 0 < made.timeout_seconds <= 600:
            said = "must be above 0 and at most 600 seconds"
            yield document.problem((*at, "timeout_seconds"), said)
        if made.ttl_seconds is not None and not 0 < made.ttl_seconds <= 86400:
            yield document.problem((*at, "ttl_seconds"), "must be above 0 and at most 86400 seconds")
        yield from env_problems(document, (*at, "env"), {name: "" for name in made.env})


CHECKS: dict[str, Callable[[Document, Place, Any], Iterator[Problem]]] = {
    "value": _value_problems,
    "command": _command_problems,
    "vault": vault_problems,
    "github_app": github_app_problems,
    "postgres": postgres_problems,
    "oauth": oauth_problems,
    "client_credentials": service_problems,
    "token_exchange": service_problems,
}
"""A kind of entry -> what can be wrong in its field, at its place. References in it are to a source only, so
that no two entries wait for each other."""


# --- who may use it ------------------------------------------------------------------------------


def _user_problems(
    document: Document, at: Place, entry: CredentialEntry, written: ConfigFile
) -> Iterator[Problem]:
    if not entry.servers:
        yield document.problem((*at, "servers"), "at least one server is needed: no other may use it")
    for index, name in enumerate(entry.servers):
        if name not in written.servers:
            known = ", ".join(written.servers)
            yield document.problem(
                (*at, "servers", index), f"there is no server of this name; known are {known}"
            )
    for index, name in enumerate(entry.principals):
        if not name or name == "group:":
            yield document.problem((*at, "principals", index), "must be a name, or `group:NAME`")
    if entry.cache_seconds is not None and not 0 <= entry.cache_seconds <= MOST_CACHE_SECONDS:
        said = f"must be from 0 to {MOST_CACHE_SECONDS:g} seconds"
        yield document.problem((*at, "cache_seconds"), said)


def _remote(entry: CredentialEntry, written: ConfigFile) -> dict[str, ServerEntry]:
    """The servers with a `url` that may use it."""
    named = {name: written.servers[name] for name in entry.servers if name in written.servers}
    return {name: server for name, server in named.items() if server.url is not None}


def _host_problems(
    document: Document, at: Place, entry: CredentialEntry, written: ConfigFile
) -> Iterator[Problem]:
    hosts: set[str] = set()
    for index, text in enumerate(entry.hosts):
        try:
            hosts.add(host_name(text))
        except ValueError:
            said = "must be one host name or address, without a scheme, a port, a path or `*`"
            yield document.problem((*at, "hosts", index), said)
    remote = _remote(entry, written)
    if entry.hosts and not remote:
        said = "only a server with a `url` has a host, and none of `servers` is one: take it out"
        yield document.problem((*at, "hosts"), said)
    for name, server in remote.items():
        host, parts = literal_host(server.url or ""), split(server.url or "")
        if host is None and parts is not None and parts.hostname and "${" not in parts.netloc:
            said = f"the host of `{name}` can be read in two ways: write a name without a dot at its end"
            yield document.problem((*at, "servers"), said)
        elif host is None and not entry.hosts:
            said = (
                f"the host of `{name}` is a reference: say in `hosts` which hosts may be told this credential"
            )
            yield document.problem(at, said)
        elif host is not None and len(hosts) == len(set(entry.hosts)) > 0 and host not in hosts:
            said = f"`{name}` is at {host}, which is not among them, so it would never get this credential"
            yield document.problem((*at, "hosts"), said)


def literal_host(url: str) -> str | None:
    """The host of a `url` as bindings compare it; None where it is made of a reference, or none."""
    parts = split(url)
    if parts is None or "${" in parts.netloc:
        return None
    try:
        return host_name(parts.hostname or "")
    except ValueError:
        return None


# --- where it stands -----------------------------------------------------------------------------


def _site_problems(
    document: Document, at: Place, entry: CredentialEntry, written: ConfigFile
) -> Iterator[Problem]:
    remote = _remote(entry, written)
    local = [name for name in entry.servers if name in written.servers and name not in remote]
    if entry.env and not local:
        said = "variables are for servers with a `command`, and none of `servers` is one: use `headers`"
        yield document.problem((*at, "env"), said)
    if entry.headers and not remote:
        said = "headers are for servers with a `url`, and none of `servers` is one: use `env`"
        yield document.problem((*at, "headers"), said)
    if any(_is_open(server.url or "") for server in remote.values()):
        # Without `headers` it could still stand in an argument.
        said = "a credential must not leave this machine over http://: use https"
        yield document.problem((*at, "headers") if entry.headers else (*at, "servers"), said)
    yield from env_problems(document, (*at, "env"), entry.env)
    yield from header_problems(document, (*at, "headers"), entry.headers)
    for place, text in (*_under(at, "env", entry.env), *_under(at, "headers", entry.headers)):
        for name in local if place[-2] == "env" else remote:
            yield from _entry_problems(document, place, text, name, written)


def _is_open(url: str) -> bool:
    parts = split(url)
    return parts is not None and parts.scheme == "http" and parts.hostname not in LOOPBACK


def _under(at: Place, key: str, texts: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    for name, text in texts.items():
        yield (*at, key, name), text


def _server_problems(
    document: Document, name: str, server: ServerEntry, written: ConfigFile
) -> Iterator[Problem]:
    at: Place = ("servers", name)
    url = server.url or ""
    texts = [*_under(at, "env", server.env), *_under(at, "headers", server.headers), ((*at, "url"), url)]
    for place, text in texts:
        yield from _entry_problems(document, place, text, name, written)
    parts = split(url)
    if parts is not None and any(ref.source == ENTRY for ref in references(parts.netloc)):
        said = (
            "an entry of `credentials` is bound to hosts, so it cannot be one: use ${env:…} or ${keyring:…}"
        )
        yield document.problem((*at, "url"), said)


def _entry_problems(
    document: Document, place: Place, text: str, server: str, written: ConfigFile
) -> Iterator[Problem]:
    """Whether the entries that a text of `server` refers to are there, and let it."""
    for ref in references(text):
        if ref.source != ENTRY:
            continue
        entry = written.credentials.get(ref.name)
        if entry is None:
            yield document.problem(place, "there is no entry of this name in `credentials`")
        elif server not in entry.servers:
            said = (
                f"`{ref.name}` is not for the server `{server}`: name it in its `servers`, or use another one"
            )
            yield document.problem(place, said)
