"""The keychain against a real Secret Service, in a session of its own: never the user's keyring."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.adapters.credentials.secret_service import needs_secret_service, run_with_secret_service
from tests.rows import each
from tests.wire.warm import command


@needs_secret_service
def test_the_command_and_the_source_work_with_a_real_secret_service() -> None:
    assert run_with_secret_service("tests.adapters.credentials.keyring_live").endswith(
        "live keyring: all well\n"
    )


@each("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
@each("words", [("list",), ("set", "github/read"), ("rm", "github/read")])
def test_without_a_keychain_the_command_says_so(backend: str, words: tuple[str, ...]) -> None:
    done = command("secret", *words, typed="value-1234", environment={"PYTHON_KEYRING_BACKEND": backend})
    assert done.returncode == 2
    assert b"this machine has no keychain that mcpguard can use" in done.stderr
    assert b"value-1234" not in done.stdout + done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its keychain is found by other means")
def test_no_program_of_the_path_is_run_to_find_the_keychain(tmp_path: Path) -> None:
    for name in ("gcc", "cc", "ld"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\n")
        program.chmod(0o755)
    nobody = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    done = command(
        "secret",
        "list",
        environment={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), **nobody},
    )
    assert b"this machine has no keychain that mcpguard can use" in done.stderr
    assert not (tmp_path / "ran").exists()
