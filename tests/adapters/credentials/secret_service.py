"""A real Secret Service for one program: GNOME Keyring, unlocked, on a bus and in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")

needs_secret_service = pytest.mark.skipif(
    not all(map(shutil.which, _PROGRAMS)) and not os.environ.get("CI"),
    reason="needs dbus-run-session and gnome-keyring-daemon (in CI they must be there)",
)

# The daemon says on standard output what to export once it serves; it ends with its session's bus.
_SESSION = """
printf test-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null || exit 9
exec "$0" -m "$@"
"""


def run_with_secret_service(module: str, *words: str) -> str:
    """What a module of the tests prints that runs with it, with these arguments; it must succeed."""
    # A Unix socket's path has to be short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="mcpguard-") as home:
        runtime = Path(home, "run")
        runtime.mkdir(mode=0o700)
        done = subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", _SESSION, sys.executable, module, *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": home,
                "XDG_RUNTIME_DIR": str(runtime),
                "PYTHONPATH": str(ROOT),
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
