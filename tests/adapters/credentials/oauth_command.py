"""`mcpguard secret login` as a process of its own, with a keychain in files and a browser of the test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers.authority import DEADLINE, browse

ROOT = Path(__file__).parents[3]


def keychain(folder):
    """The environment of processes whose keychain is in `folder`."""
    folder.mkdir(exist_ok=True)
    return {
        "PYTHON_KEYRING_BACKEND": "tests.adapters.credentials.file_keyring.FileKeyring",
        "MCPGUARD_TEST_KEYRING": str(folder),
        "PYTHONPATH": str(ROOT),
    }


def run_login(config, environment, name="linear", *, look=browse, words=("--no-browser",), during=None):
    """(code, all that it said) of a login; `look(url)` is called with the address that it prints, and
    `during(pid)` before that."""
    command = [sys.executable, "-m", "mcpguard", "secret", "login", name, "--config", str(config), *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    said = ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("  http"):
                if during is not None:
                    during(process.pid)
                look(line.strip())
        return process.wait(DEADLINE), said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
