"""What is wrong with a configuration that has the right types: each mistake at its place.

Law of this file: it reads nothing and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import SplitResult

from msgspec import Struct

from mcpguard.config.bindings import binding_problems
from mcpguard.config.file import ALGORITHMS, LOOPBACK, ConfigFile, HttpEntry, ServerEntry, TokenEntry
from mcpguard.config.references import env_problems, header_problems, reference_problems, split
from mcpguard.core.document.reading import Document
from mcpguard.core.document.reading import Path as Place
from mcpguard.core.errors import Problem
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM

_SERVER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9-])?")
_METHOD = re.compile(r"[A-Za-z0-9_.-]{1,64}(?:/[A-Za-z0-9_.-]{1,64}){1,4}")
_EXTENSION = re.compile(r"[A-Za-z](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
_NAMED = (
    ("allowed_hosts", re.compile(_HOST), "must be a host, or HOST:PORT, without a scheme or a path"),
    ("allowed_origins", re.compile(f"https?://{_HOST}"), "must be an origin, such as https://app.example"),
)


def problems_of(document: Document, written: ConfigFile) -> Iterator[Problem]:
    """Every mistake that the types do not show, at its place."""
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
        yield from env_problems(document, (*at, "env"), entry.env)
    yield from _ambiguous_methods(document, written)
    yield from binding_problems(document, written)
    for index, policy in enumerate(written.policies):
        if not policy:
            yield document.problem(("policies", index), "a path must not be empty")
    if written.audit is not None and not written.audit.path:
        yield document.problem(("audit", "path"), "a path must not be empty")
    yield from _http_problems(document, written.http)
    yield from _bound_problems(document, written)


def _bound_problems(document: Document, written: ConfigFile) -> Iterator[Problem]:
    if not 1024 <= written.limits.message_bytes <= 1 << 30:
        yield document.problem(("limits", "message_bytes"), "must be from 1024 to 1073741824 bytes")
    if not 60 <= written.session.idle_seconds <= 2_592_000:
        yield document.problem(("session", "idle_seconds"), "must be from 60 to 2592000 seconds")
    if not 0 < written.limits.think_seconds <= 86_400:
        yield document.problem(("limits", "think_seconds"), "must be above 0 and at most 86400 seconds")


_TWICE = "this method is declared for another server too, so a request for it could not be routed"
_BAD_NAME = (
    "a server's name has 1 to 32 of the characters a-z 0-9 _ -, starts with a letter or digit, "
    "and contains no `__` and does not end in `_`: `__` stands before the name of a tool"
)
_ARGV = "every process on this machine can read an argv: put the reference in `env`"
_TYPES = ("stdio", "http", "sse")


def _transport_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    if entry.type is not None and entry.type not in _TYPES:
        yield document.problem((*at, "type"), f"unknown type; known are {', '.join(_TYPES)}")
    if entry.url is None:
        if not entry.command:
            yield document.problem((*at, "command"), "`command` or `url` is missing")
        yield from _misplaced(document, at, entry, ("headers",), "belongs to a server with a `url`")
        if entry.type in ("http", "sse"):
            yield document.problem((*at, "type"), "a server of this type needs a `url`")
    else:
        keys = ("command", "args", "env", "cwd")
        yield from _misplaced(document, at, entry, keys, "cannot stand beside `url`: take one of the two out")
        if entry.type == "stdio":
            yield document.problem((*at, "type"), "a server with a `url` is of type http or sse")
        yield from _url_problems(document, at, entry)
    yield from _range(document, at, entry, "start_timeout_seconds", 0, 3600)
    yield from _range(document, at, entry, "call_timeout_seconds", 0, 86400)
    for name, methods in entry.extensions.items():
        if not _EXTENSION.fullmatch(name):
            said = "the name of an extension has a prefix, such as `com.example/skills`"
            yield document.problem((*at, "extensions", name), said)
        for index, method in enumerate(methods):
            if not _METHOD.fullmatch(method) or method in FROM_CLIENT.keys() | FROM_UPSTREAM.keys():
                place = (*at, "extensions", name, index)
                yield document.problem(place, "must be a method of the extension, such as `example/get`")


def _misplaced(
    document: Document, at: Place, entry: ServerEntry, keys: tuple[str, ...], why: str
) -> Iterator[Problem]:
    for key in keys:
        if getattr(entry, key):
            yield document.problem((*at, key), f"`{key}` {why}")


def _range(
    document: Document, at: Place, entry: Struct, key: str, above: float, most: float
) -> Iterator[Problem]:
    if not above < getattr(entry, key) <= most:
        yield document.problem((*at, key), f"must be above {above:g} and at most {most:g} seconds")


def _url_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    place = (*at, "url")
    url = split(entry.url or "")
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        yield document.problem(place, "must be an http:// or https:// URL with a host")
    elif not _has_usable_port(url):
        yield document.problem(place, "must have a port from 1 to 65535, or none")
    elif url.username is not None or url.fragment:
        yield document.problem(place, "must have neither a user name nor a fragment: use `headers`")
    elif url.scheme == "http" and url.hostname not in LOOPBACK and _has_reference(entry):
        yield document.problem(place, "a credential must not leave this machine over http://: use https")
    yield from reference_problems(document, place, entry.url or "")
    yield from header_problems(document, (*at, "headers"), entry.headers)


def _has_usable_port(url: SplitResult) -> bool:
    if "${" in url.netloc:
        return True  # Known when the reference is.
    try:
        return url.port != 0
    except ValueError:
        return False


def _has_reference(entry: ServerEntry) -> bool:
    return any("${" in text for text in (entry.url or "", *entry.headers.values()))


def _argv_problems(document: Document, at: Place, entry: ServerEntry) -> Iterator[Problem]:
    words = {(*at, "args", index): arg for index, arg in enumerate(entry.args)}
    words[(*at, "command")] = entry.command or ""
    for place, word in words.items():
        if "${" in word:
            yield document.problem(place, _ARGV, word.index("${"))


def _http_problems(document: Document, http: HttpEntry) -> Iterator[Problem]:
    if not 1 <= http.max_sessions <= 10_000:
        yield document.problem(("http", "max_sessions"), "must be from 1 to 10000")
    if not 1 <= http.session_idle_seconds <= 86_400:
        yield document.problem(("http", "session_idle_seconds"), "must be from 1 to 86400 seconds")
    for key, form, said in _NAMED:
        for index, value in enumerate(getattr(http, key)):
            if not form.fullmatch(value):
                yield document.problem(("http", key, index), said)
    if http.token is not None:
        yield from _token_problems(document, http.token)


def _token_problems(document: Document, token: TokenEntry) -> Iterator[Problem]:
    for key in ("issuer", "audience", "jwks_url"):
        value = getattr(token, key)
        url = None if value is None else split(value)
        if value is not None and (url is None or url.scheme not in ("http", "https")):
            yield document.problem(("http", "token", key), "must be an http:// or https:// URL")
    for index, name in enumerate(token.algorithms):
        if name not in ALGORITHMS:
            known = ", ".join(sorted(ALGORITHMS))
            yield document.problem(("http", "token", "algorithms", index), f"known algorithms are {known}")
    if not token.algorithms:
        yield document.problem(("http", "token", "algorithms"), "at least one algorithm is needed")


def _ambiguous_methods(document: Document, written: ConfigFile) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, entry in written.servers.items():
        for extension, methods in entry.extensions.items():
            for index, method in enumerate(methods):
                if owner.setdefault(method, name) != name and not entry.disabled:
                    place = ("servers", name, "extensions", extension, index)
                    yield document.problem(place, _TWICE)
