"""How the two sides learn what the other is: the legacy handshake (specification revisions 2024-11-05 to
2025-11-25, basic/lifecycle) and discovery (2026-07-28, server/discover)."""

from collections.abc import Mapping, Sequence

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Caller, Json
from mcpguard.protocol.eras import TASKS_EXTENSION, has_tasks, names
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
    """What the client states about itself. Raises MessageError where `capabilities` is not an object."""
    capabilities = params.get("capabilities", {})
    if type(capabilities) is not dict:
        raise MessageError(INVALID_PARAMS, "`capabilities` of initialize must be an object")
    name, release = names(params.get("clientInfo"))
    version = negotiate(params.get("protocolVersion"))
    return Caller(version, False, capabilities, name=name, release=release)


def capabilities(
    modern: bool, upstreams: Sequence[Mapping[str, Json] | None], extensions: tuple[str, ...]
) -> dict[str, Json]:
    """The ServerCapabilities that we declare: what one of the `upstreams` declares, down to `subscribe`, and
    the `extensions` of the configuration. Each list may change, whatever they declare: policies decide what
    is in it, and the part of a slow server comes later. While one of them (None) is not known yet, all that
    it may offer is declared; a list of what none of them has is empty."""
    known = [one for one in upstreams if one is not None]
    wholly = len(known) == len(upstreams)
    declared = _declared_by(known) if wholly else dict(_CAPABILITIES)
    if not modern:
        tasks = not wholly or any("tasks" in one for one in known)
        return {**declared, "tasks": _LEGACY_TASKS} if tasks else declared
    tasks = not wholly or any(has_tasks(one) for one in known)
    named = (TASKS_EXTENSION, *extensions) if tasks else extensions
    return {**declared, "extensions": {name: {} for name in named}} if named else declared


def _declared_by(upstreams: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """What we serve of what at least one of them has."""
    declared: dict[str, Json] = {}
    for key, ours in _CAPABILITIES.items():
        theirs = [one[key] for one in upstreams if key in one]
        if theirs:
            details = [one for one in theirs if type(one) is dict]
            declared[key] = {
                name: True
                for name in ours
                if name == "listChanged" or any(one.get(name) is True for one in details)
            }
    return declared


def initialize_params(caller: Caller, version: str, name: str, release: str) -> dict[str, Json]:
    """What we say to a legacy upstream on behalf of `caller`, in revision `version`."""
    return {
        "protocolVersion": version,
        "capabilities": caller.capabilities,
        "clientInfo": {"name": name, "version": release},
    }
