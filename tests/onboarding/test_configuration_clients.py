"""`clients` is added to, in whichever way it is written, and nothing else of the file changes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.errors import ConfigError
from mcpguard.onboarding.configuration import ConfigAddition, checked, extended
from tests.rows import each

HEAD = "version: 1\nservers:\n  a: {command: x}\n  b: {command: x}\n  c: {command: x}\n"

MORE: dict[str, dict[str, Any]] = {
    "cursor": {"servers": ["a", "b"], "projects": {"/p": ["b"], "/q r": ["c"]}},
    "zed": {"servers": ["c"]},
}

SHAPES = [
    "clients:\n  cursor:\n    servers: [a]\n    projects: {/p: [c]}\n",
    "clients:\n  cursor:\n    servers:\n      - a # first\n      - c\n  # the end\n",
    "clients:\n  cursor:\n    projects:\n      /p:\n      - b\n      # more\nagent: cursor\n",
    "clients: {cursor: {servers: [a, ]}}\nagent: cursor",
    "clients: {cursor: {projects: {/q r: [c], '/p': [c]}}}",
    "clients: {\n  cursor: {servers: [\n    a, # one\n    c\n  ]}\n}\n",
    "clients:\n  other: {servers: [a]}\n",
    "clients:\n    zed:\n        servers:\n        - a",
    "clients:\r\n  zed:\r\n    servers:\r\n    - a\r\n",
]


def with_clients(text: str, clients: dict[str, dict[str, Any]]) -> str:
    return extended(text, "mcpguard.yaml", ConfigAddition(clients=clients))


def section(text: str) -> Any:
    return yaml.safe_load(text).get("clients", {})


def merged(there: Any, more: Any) -> Any:
    if isinstance(there, dict):
        both = {key: merged(there[key], more[key]) for key in there.keys() & more.keys()}
        return {**there, **more, **both}
    return [*there, *(one for one in more if one not in there)]


@each("shape", SHAPES)
def test_what_is_there_stays_and_what_is_missing_comes_behind_it(shape: str) -> None:
    text = with_clients(HEAD + shape, MORE)
    assert section(text) == merged(section(shape), MORE)
    checked(text, "mcpguard.yaml")
    left = iter(text)
    assert all(mark in left for mark in HEAD + shape)
    assert with_clients(text, MORE) == text


def test_a_section_that_is_not_there_comes_last_and_reads_as_one_would_write_it() -> None:
    assert with_clients(HEAD.rstrip(), {**MORE, "no": {"servers": ["a"]}}) == (
        f"{HEAD}clients:\n"
        '  cursor:\n    servers: ["a", "b"]\n    projects:\n      "/p": ["b"]\n      "/q r": ["c"]\n'
        '  zed:\n    servers: ["c"]\n'
        '  "no":\n    servers: ["a"]\n'
    )


def test_nothing_to_add_changes_nothing() -> None:
    assert with_clients(HEAD, {}) == HEAD


def test_a_configuration_gets_servers_and_who_sees_them_at_once() -> None:
    first = ConfigAddition(
        servers={"d": {"command": "x"}}, policies={"p.yaml": {}}, clients={"zed": {"servers": ["d"]}}
    )
    fresh = extended("", "s", first)
    more = extended(
        fresh, "s", ConfigAddition(servers={"e": {"command": "x"}}, clients={"zed": {"servers": ["e"]}})
    )
    assert section(more) == {"zed": {"servers": ["d", "e"]}}
    with pytest.raises(ConfigError, match="there is no server of this name"):
        extended(fresh, "s", ConfigAddition(clients={"zed": {"servers": ["x"]}}))


def test_servers_become_eager_and_nothing_else_of_them_changes() -> None:
    rows = "servers:\n  a:\n    command: x # first\n  b: {command: y}\n  c:\n    command: z\n"
    text = extended(f"version: 1\n{rows}", "s", ConfigAddition(eager=("a", "b")))
    assert text == (
        "version: 1\nservers:\n  a:\n    command: x # first\n    eager: true\n"
        '  b: {command: y, "eager": true}\n  c:\n    command: z\n'
    )


def test_a_new_configuration_names_where_what_is_approved_for_good_is_written() -> None:
    more = ConfigAddition(servers={"d": {"command": "x"}})
    assert yaml.safe_load(extended("", "mcpguard.yaml", more))["approvals"] == {"policy": OWN_POLICY}
    assert "approvals" not in yaml.safe_load(extended(HEAD, "mcpguard.yaml", more))
