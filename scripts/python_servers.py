#!/usr/bin/env python3
"""MCP servers from PyPI that cannot share our environment, each in a cache folder of its own.

`python3 scripts/python_servers.py NAME` makes the folder where it is missing, and prints it. Standard library
only. What is installed is `scripts/python-servers/NAME.txt`, to the last version: mcp-server-sqlite needs the
MCP library of before 2.0, and mcp-server-fetch brings a dozen packages that nothing of ours should see.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

if __package__:  # As tests import it.
    from scripts.environment import installing, made
else:
    from environment import installing, made

LISTS = Path(__file__).resolve().parent / "python-servers"
MINUTES = 5


class ServerMissing(Exception):
    """A server cannot be installed; the text says what failed."""


def ready(name: str) -> Path:
    """The folder of the server `name`, made where it is missing. Raises `ServerMissing`."""
    wanted = LISTS / f"{name}.txt"
    digest = hashlib.sha256(sys.version.encode() + os.uname().machine.encode() + wanted.read_bytes())
    folder = _cache() / f"{name}-{digest.hexdigest()[:16]}"
    with made(folder) as place:
        if place is not None:
            _fill(place, wanted)
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mcpguard-python-servers"


def _fill(folder: Path, wanted: Path) -> None:
    try:
        done = subprocess.run(
            [*installing(), "--no-deps", "--target", str(folder), "--requirement", str(wanted)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ServerMissing(f"installing {wanted.name} took longer than {MINUTES} minutes") from late
    if done.returncode:
        raise ServerMissing(f"{wanted.name} could not be installed: {(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    try:
        print(ready(sys.argv[1]))
    except ServerMissing as missing:
        sys.exit(str(missing))
