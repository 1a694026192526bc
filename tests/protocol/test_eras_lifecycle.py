"""The handshake of the legacy era, and discovery in the modern one."""

from __future__ import annotations

import pytest

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Caller
from mcpguard.protocol.eras import (
    ANY_CLIENT,
    LEGACY_VERSIONS,
    capabilities,
    initialize_params,
    negotiate,
    read_initialize,
)
from mcpguard.protocol.methods import FROM_CLIENT


def test_a_known_revision_is_kept_and_anything_else_gets_our_newest() -> None:
    for version in LEGACY_VERSIONS:
        assert negotiate(version) == version
    for other in ("2026-07-28", "", None, 3, []):
        assert negotiate(other) == LEGACY_VERSIONS[0]


def test_only_what_is_served_is_declared_on_either_side() -> None:
    declared = capabilities(False, [None], ())
    assert set(declared) == {"tools", "prompts", "resources", "completions", "logging", "tasks"}
    for name, method in {
        "tools": "tools/call",
        "prompts": "prompts/get",
        "resources": "resources/subscribe",
        "completions": "completion/complete",
        "logging": "logging/setLevel",
        "tasks": "tasks/list",
    }.items():
        assert method in FROM_CLIENT, name
    for caller in (Caller(), ANY_CLIENT):
        assert initialize_params(caller, "2025-06-18", "m", "1") == {
            "protocolVersion": "2025-06-18",
            "capabilities": caller.capabilities,
            "clientInfo": {"name": "m", "version": "1"},
        }


def test_discovery_names_the_declared_extensions_only() -> None:
    found = capabilities(True, [None], ("com.example/skills",))
    assert set(found["extensions"]) == {"io.modelcontextprotocol/tasks", "com.example/skills"}
    assert "tasks" not in found


def test_when_all_servers_are_known_what_they_have_is_declared_and_no_more() -> None:
    known = [{"tools": {}}, {"logging": {}, "tasks": {"list": {}}}]
    assert set(capabilities(False, known, ())) == {"tools", "logging", "tasks"}
    assert set(capabilities(False, known[:1], ())) == {"tools"}
    tasks = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    assert set(capabilities(True, [tasks], ())["extensions"]) == {"io.modelcontextprotocol/tasks"}
    assert set(capabilities(True, [{"extensions": None}], ("com.example/x",))["extensions"]) == {
        "com.example/x"
    }
    assert len(capabilities(False, [*known, None], ())) == 6


def test_when_all_servers_are_known_a_detail_is_declared_if_one_of_them_has_it() -> None:
    some = {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {"x": True}}
    other = {
        "tools": {},
        "resources": {"listChanged": True, "subscribe": False},
        "prompts": {},
        "completions": 7,
    }
    assert capabilities(True, [{"tools": {}}], ()) == {"tools": {"listChanged": True}}
    assert capabilities(False, [some], ()) == {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "logging": {},
    }
    assert capabilities(False, [some, other], ()) == {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "completions": {},
        "logging": {},
    }


def test_what_a_legacy_client_says_of_itself_is_kept() -> None:
    said = {"protocolVersion": "2025-03-26", "capabilities": {"roots": {}}}
    assert read_initialize(said) == Caller("2025-03-26", False, {"roots": {}})
    assert read_initialize({}) == Caller(LEGACY_VERSIONS[0], False, {})
    with pytest.raises(MessageError, match="must be an object"):
        read_initialize({"capabilities": []})


@pytest.mark.parametrize("odd", [True, 7, "io.modelcontextprotocol/tasks", ["io.modelcontextprotocol/tasks"]])
def test_extensions_that_are_no_object_declare_nothing_and_cost_nobody_an_answer(odd: object) -> None:
    assert "extensions" not in capabilities(True, [{"extensions": odd}, {"tools": {}}], ())
