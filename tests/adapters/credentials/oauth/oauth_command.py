"""`mcpguard secret login` as a process of its own, with a keychain in files and a browser of the test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers.authority import DEADLINE, browse
from tests.wire import warm

ROOT = Path(__file__).parents[4]


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
    `during(pid)` before that, of a process whose arguments and environment are its own."""
    words = ["secret", "login", name, "--config", str(config), *words]
    variables = {**os.environ, **environment}
    if during is None:
        process = warm.Warm(
            warm.socket_of_mcpguard(*warm.SDK), words, stderr=subprocess.STDOUT, env=variables
        )
    else:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcpguard", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=variables,
        )
    process.stdin.close()
    said = ""
    try:
        for line in map(bytes.decode, process.stdout):
            said += line
            if line.startswith("  http"):
                if during is not None:
                    during(process.pid)
                look(line.strip())
        return process.wait(DEADLINE), said
    finally:
        process.kill()
        process.wait(DEADLINE)
        process.stdout.close()
