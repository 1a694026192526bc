"""How the two sides learn what the other is: the legacy handshake (specification revisions 2024-11-05 to
2025-11-25, basic/lifecycle) and discovery (2026-07-28, server/discover)."""

from __future__ import annotations

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Caller, Json
from mcpguard.protocol.eras import MODERN_VERSIONS, TASKS_EXTENSION
from mcpguard.protocol.jsonrpc import INVALID_PARAMS

LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first."""

ANY_CLIENT = Caller(
    version=LEGACY_VERSIONS[0],
    capabilities={
        "roots": {"listChanged": True},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
    },
)
"""For a legacy upstream whose clients declare what they can with each request."""

_CAPABILITIES: dict[str, Json] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "completions": {},
    "logging": {},
}
_LEGACY_TASKS: dict[str, Json] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}


def negotiate(asked: Json) -> str:
    """The revision that we answer with: the client's own if we speak it, else our newest."""
    return asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[0]


def read_initialize(params: dict[str, Json]) -> Caller:
    """What the client says of itself. Raises MessageError where `capabilities` is no object."""
    capabilities = params.get("capabilities", {})
    if type(capabilities) is not dict:
        raise MessageError(INVALID_PARAMS, "`capabilities` of initialize must be an object")
    return Caller(negotiate(params.get("protocolVersion")), False, capabilities)


def initialize_result(version: str, name: str, release: str) -> dict[str, Json]:
    """What we say of ourselves. It is said before any upstream has started, so all that one of them may
    offer is declared; a list of what none of them has is empty."""
    return {
        "protocolVersion": version,
        "capabilities": {**_CAPABILITIES, "tasks": _LEGACY_TASKS},
        "serverInfo": {"name": name, "version": release},
    }


def discover_result(extensions: tuple[str, ...]) -> dict[str, Json]:
    """As `initialize_result`, for the modern era; `extensions` are the declared ones."""
    declared: dict[str, Json] = {name: {} for name in (TASKS_EXTENSION, *extensions)}
    return {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": {**_CAPABILITIES, "extensions": declared},
    }


def initialize_params(caller: Caller, version: str, name: str, release: str) -> dict[str, Json]:
    """What we say to a legacy upstream on behalf of `caller`, in revision `version`."""
    return {
        "protocolVersion": version,
        "capabilities": caller.capabilities,
        "clientInfo": {"name": name, "version": release},
    }
