"""What an upstream gets to see of the world."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.upstreams.environment import Environment
from mcpguard.adapters.upstreams.process import executable, not_startable
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import parse_template
from tests.adapters.fake_credentials import FakeSource


def resolve(env: dict[str, str], values: dict[str, str], held: list[Any] | None = None) -> dict[str, str]:
    templates = {name: parse_template(text) for name, text in env.items()}
    kept = [] if held is None else held
    environment = Environment(
        templates, {"env": FakeSource(**values)}, lambda name, _secret: kept.append(name)
    )
    return asyncio.run(environment.resolve())


def test_an_upstream_gets_the_allow_list_its_own_settings_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for you")
    monkeypatch.setenv("PATH", "/bin")
    env = resolve({"MODE": "plain"}, {})
    assert env["MODE"] == "plain"
    assert env["PATH"] == "/bin"
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_a_reference_is_filled_in_and_held_first() -> None:
    held: list[Any] = []
    env = resolve({"AUTH": "Bearer ${env:A}-${env:B}!"}, {"A": "value-a", "B": "value-b"}, held)
    assert env["AUTH"] == "Bearer value-a-value-b!"
    assert held == ["env:A", "env:B"]


def test_a_missing_credential_names_its_reference() -> None:
    with pytest.raises(CredentialError, match="env:C is not among"):
        resolve({"X": "${env:C}"}, {})


def test_an_unknown_source_and_a_zero_byte_are_refused() -> None:
    with pytest.raises(CredentialError, match="no credential source 'vault'"):
        resolve({"X": "${vault:C}"}, {})
    with pytest.raises(CredentialError, match="zero byte"):
        resolve({"X": "${env:Z}"}, {"Z": "a\0b"})


def test_a_command_with_a_folder_is_looked_up_where_it_will_run(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    assert executable("bin/server", None, str(tmp_path)) == str(program)
    assert executable(str(program), None, "/") == str(program)
    assert executable("server", str(program.parent), str(tmp_path)) == str(program)
    assert executable("bin/other", None, str(tmp_path)) is None


def test_a_program_that_is_there_and_not_executable_is_told_from_one_that_is_not_there(
    tmp_path: Path,
) -> None:
    script = tmp_path / "server"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)
    for command, path, cwd in (
        (str(script), None, None),
        ("./server", None, str(tmp_path)),
        ("server", str(tmp_path), None),
    ):
        assert executable(command, path, cwd) is None
        said = not_startable(command, path, cwd)
        assert said.startswith(f"the command '{command}' is {tmp_path}/")
        assert "which is not executable; `chmod +x` it" in said
    assert "was not found" in not_startable("server", str(tmp_path / "bin"), None)
