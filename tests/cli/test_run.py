"""`mcpguard run` and `wrap`, started by a person."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("words", [["run", "--config", "c.yaml"], ["wrap", "--", "cat"]])
def test_a_person_who_starts_it_reads_that_it_waits_for_a_client_and_ends_it(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("version: 1\nservers: {s: {command: cat}}\naudit: {path: audit}\n")
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "mcpguard", *words]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == (
            b"mcpguard: waiting for an MCP client on standard input (clients normally start this command "
            b"themselves); "
            b"Ctrl-D ends it\n"
        )
        os.write(controller, b"\4")
        assert process.wait(60) == 0
    os.close(terminal)
    os.close(controller)
