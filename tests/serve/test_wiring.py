"""What is served, out of the configuration, or for `mcpguard wrap` without one."""

from __future__ import annotations

from pathlib import Path

from mcpguard.config.loading import load_config
from mcpguard.config.policies import builtin_read_only
from mcpguard.serve.app import settings_for_wrap
from mcpguard.serve.wiring import bound_of

CONFIG = """
version: 1
servers:
  one: {command: x, env: {A: "Bearer ${env:A}", B: "${credential:made}"}}
  two: {command: x}
  far: {url: "https://mcp.example.com/x", headers: {K: "${file:/run/k}"}}
credentials:
  made: {value: "user:${env:PART}", servers: [one]}
  login:
    vault: {address: "https://vault.example.com", token: "${env:VAULT}", path: kv/data/x, field: y}
    servers: [one, two]
  chosen: {value: "${env:OTHER}", servers: [two], env: {X: "${credential:chosen}", Y: "${env:BESIDE}"}}
policies: []
"""


def test_a_server_may_have_what_is_bound_to_it_and_what_its_own_values_are_made_of(tmp_path: Path) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text(CONFIG)
    config = load_config(path)
    found = bound_of(config.servers.values(), config.credentials)
    assert found["one"] == {"env:A", "credential:made", "env:PART", "credential:login"}
    assert found["two"] == {"credential:login", "credential:chosen", "env:OTHER", "env:BESIDE"}
    assert found["far"] == {"file:/run/k"}


def test_a_wrapped_server_is_waited_for_as_long_as_it_may_start_since_it_holds_up_no_other() -> None:
    settings = settings_for_wrap("x", (), (), None, builtin_read_only())
    assert settings.limits.list_seconds == settings.servers[0].start_timeout_seconds == 60
    assert settings.servers[0].eager
