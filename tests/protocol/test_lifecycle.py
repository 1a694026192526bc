"""The handshake of the legacy era."""

from __future__ import annotations

from mcpguard.protocol.lifecycle import LEGACY_VERSIONS, initialize_params, initialize_result, negotiate


def test_a_known_revision_is_kept_and_anything_else_gets_our_newest() -> None:
    for version in LEGACY_VERSIONS:
        assert negotiate(version) == version
    for other in ("2026-07-28", "", None, 3, []):
        assert negotiate(other) == LEGACY_VERSIONS[0]


def test_only_what_is_served_is_declared_on_either_side() -> None:
    assert set(initialize_result("2025-06-18", "m", "1")["capabilities"]) == {"tools", "logging"}
    assert initialize_params("2025-06-18", "m", "1")["capabilities"] == {}
