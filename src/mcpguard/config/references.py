"""What can be wrong with texts that may hold references, and with the names that they stand under.

Law of this file: it reads nothing and changes nothing, and no message quotes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct, structs

from mcpguard.config.file import ENTRY, SOURCES
from mcpguard.core.document.reading import Document
from mcpguard.core.document.reading import Path as Place
from mcpguard.core.errors import Problem
from mcpguard.core.secret import CredentialRef, parse_template

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
OWN_HEADERS = frozenset(
    {
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "transfer-encoding",
    }
)


def references(text: str) -> tuple[CredentialRef, ...]:
    """The references in a text, none where it is malformed (which `reference_problems` tells)."""
    try:
        return parse_template(text).refs
    except ValueError:
        return ()


def texts_in(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    """Every text in a value of a configuration, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Struct):
        for field in structs.fields(value):
            yield from texts_in((*place, field.encode_name), getattr(value, field.name))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts_in((*place, key), one)
    elif isinstance(value, tuple):
        for index, one in enumerate(value):
            yield from texts_in((*place, index), one)


def reference_problems(document: Document, place: Place, value: str) -> Iterator[Problem]:
    """Whether each `${` in it is a reference to a source that there is."""
    try:
        refs = parse_template(value).refs
    except ValueError as error:
        yield document.problem(place, str(error))
        return
    for ref in refs:
        if ref.source not in (*SOURCES, ENTRY):
            known = ", ".join((*SOURCES, ENTRY))
            yield document.problem(place, f"unknown source of a reference; known are {known}")


def env_problems(document: Document, at: Place, env: Mapping[str, str]) -> Iterator[Problem]:
    """Mistakes in the variables at `at`."""
    for key, value in env.items():
        place = (*at, key)
        if not _ENV_NAME.fullmatch(key):
            yield document.problem(place, "the name of a variable has only the characters A-Z a-z 0-9 _")
        yield from reference_problems(document, place, value)


def header_problems(document: Document, at: Place, headers: Mapping[str, str]) -> Iterator[Problem]:
    """Mistakes in the headers at `at`."""
    seen: set[str] = set()
    for key, value in headers.items():
        place = (*at, key)
        lower = key.lower()
        if lower in seen:
            yield document.problem(place, "this header is here twice: its case makes no difference")
        seen.add(lower)
        if not _TOKEN.fullmatch(key) or lower in OWN_HEADERS or lower.startswith("mcp-param-"):
            yield document.problem(place, "not a header that can be set here")
        if not value.isprintable():
            yield document.problem(place, "a header value must be one line of printable characters")
        yield from reference_problems(document, place, value)


def split(url: str) -> SplitResult | None:
    """The parts of a URL, None where it has none."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def host_name(text: str) -> str:
    """A host as bindings compare it: lower-case ASCII, A-labels for an internationalised name (RFC 5890).
    Raises ValueError for what no two readers take for the same host."""
    # Imported where it is needed: most configurations bind nothing.
    from mcpguard.core.functions.function import FunctionError
    from mcpguard.core.functions.web.hosts import read_host

    try:
        return read_host(f"[{text}]" if text.count(":") > 1 and text[0] != "[" else text).name
    except FunctionError as error:
        raise ValueError(str(error)) from None
