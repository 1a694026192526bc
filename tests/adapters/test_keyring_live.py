"""The keychain against a real Secret Service, in a session of its own: never the user's keyring."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INSTALLED = all(shutil.which(name) for name in ("dbus-run-session", "gnome-keyring-daemon"))

# The daemon says on standard output what to export once it serves; it ends with its session's bus.
SESSION = """
printf test-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null || exit 9
exec "$0" -m tests.adapters.keyring_live
"""


@pytest.mark.skipif(
    not INSTALLED and not os.environ.get("CI"),
    reason="needs dbus-run-session and gnome-keyring-daemon (in CI they must be there)",
)
def test_the_command_and_the_source_work_with_a_real_secret_service() -> None:
    # A Unix socket's path has to be short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="mcpguard-") as home:
        runtime = Path(home, "run")
        runtime.mkdir(mode=0o700)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", SESSION, sys.executable],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("live keyring: all well\n")


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
@pytest.mark.parametrize("words", [("list",), ("set", "github/read"), ("rm", "github/read")])
def test_without_a_keychain_the_command_says_so(backend: str, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcpguard", "secret", *words],
        env={"PATH": os.environ["PATH"], "PYTHON_KEYRING_BACKEND": backend},
        input="value-1234",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "this machine has no keychain that mcpguard can use" in done.stderr
    assert "value-1234" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
