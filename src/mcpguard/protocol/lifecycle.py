"""The legacy era's handshake (specification revisions 2024-11-05 to 2025-11-25: basic/lifecycle)."""

from __future__ import annotations

from mcpguard.core.model import Json

LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first."""


def negotiate(asked: Json) -> str:
    """The revision that we answer with: the client's own if we speak it, else our newest."""
    return asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[0]


def initialize_result(version: str, name: str, release: str) -> dict[str, Json]:
    """What we say of ourselves. Resources and prompts are not served yet, so they are not declared."""
    return {
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": True}, "logging": {}},
        "serverInfo": {"name": name, "version": release},
    }


def initialize_params(version: str, name: str, release: str) -> dict[str, Json]:
    """What we say to an upstream. No capability is declared: nothing may be asked of the client yet."""
    return {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": name, "version": release},
    }
