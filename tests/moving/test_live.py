"""A real client runs the entry that was written: the server has its secret, and the client's file has none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.adapters.test_keyring_live import INSTALLED, SESSION
from tests.moving.corpus import Person
from tests.moving.live import ROOT, round_trip


@pytest.mark.usefixtures("person")
def test_the_entry_that_was_written_gives_the_server_its_secret(person: Person) -> None:
    round_trip(person.home, "--to", "file")


@pytest.mark.skipif(not INSTALLED and not os.environ.get("CI"), reason="needs D-Bus and gnome-keyring-daemon")
def test_it_does_so_with_a_real_keychain() -> None:
    # A Unix socket's path has to be short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="mcpguard-") as home:
        runtime = Path(home, "run")
        runtime.mkdir(mode=0o700)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(ROOT),
        }
        session = SESSION.replace("tests.adapters.keyring_live", "tests.moving.live")
        done = subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", session, sys.executable],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("moved in and out: all well\n")
