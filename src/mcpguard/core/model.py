"""The nouns of the one path: who, what, and the verdict. Frozen values; nothing here decides.

Law of this file: a `Permit` is constructed in `core/pdp.py` only and a `Redacted` in
`core/redaction.py` only (an architecture test says so), so holding one proves that the step ran.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct

Json = Any
"""What `msgspec.json.decode` returns: dict, list, str, int, float, bool or None."""


class Principal(Struct, frozen=True):
    """Who is responsible. `id` is unique within `source`; only a verified fact goes in here.

    On stdio `source` is "os-user": the operating system vouches for the user id.
    """

    id: str
    source: str


class Tool(Struct, frozen=True):
    """One tool of one upstream, as last listed.

    `name` is the upstream's own, `exposed` the one that clients see. `descriptor` is the inspected
    MCP Tool object (specification: server/tools) under the exposed name. `facts` is what CEL sees as
    `tool`: name, title, description, annotations. `digest` is the sha256 (hex) of the descriptor as
    the upstream sent it.
    """

    server: str
    name: str
    exposed: str
    descriptor: dict[str, Json]
    facts: dict[str, Json]
    digest: str


class Invocation(Struct, frozen=True):
    """One request that is to be decided. `args` is None when a list is filtered (no call yet)."""

    id: str
    method: str
    principal: Principal
    now: datetime
    agent: str | None = None
    server: str = ""
    tool: Tool | None = None
    args: dict[str, Json] | None = None
    params: dict[str, Json] | None = None
    """The canonical params that go upstream; for `tools/call`, `args` is its `arguments`."""


class Cause(Enum):
    """Why something was refused."""

    RULE = "rule"
    NO_RULE = "no-rule"
    ERROR = "error"
    APPROVAL = "approval"
    PIN = "pin"
    LIMIT = "limit"


class Permit(Struct, frozen=True):
    """The right to make one call. `rules` are "policy/rule" ids; `redact` names extra detectors."""

    invocation: Invocation
    rules: tuple[str, ...]
    redact: tuple[str, ...] = ()


class Deny(Struct, frozen=True):
    """A refusal. `rules` are the "policy/rule" ids that decided; `message` is the author's text."""

    invocation: Invocation
    cause: Cause
    rules: tuple[str, ...] = ()
    message: str = ""


class Finding(Struct, frozen=True):
    """What was removed, and where: never the value. `path` is a JSON Pointer (RFC 6901)."""

    kind: str
    path: str


class Redacted(Struct, frozen=True):
    """A JSON value that has been inspected: the only thing that a transport sends.

    `payload` is `value` as compact JSON text in UTF-8, serialised once, right after the inspection (in
    the same thread), because each inspected value is sent exactly once.
    """

    value: Json
    payload: bytes
    findings: tuple[Finding, ...] = ()
