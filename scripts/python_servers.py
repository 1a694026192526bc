#!/usr/bin/env python3
"""MCP servers from PyPI that cannot share our environment, each in a cache folder of its own.

`python3 scripts/python_servers.py NAME` makes the folder where it is missing, and prints it. Standard library
only. What is installed is `scripts/python-servers/NAME.txt`, to the last version: mcp-server-sqlite needs the
MCP library of before 2.0, and mcp-server-fetch brings a dozen packages that nothing of ours should see.

Law of this file: a folder that exists is complete. It is filled under another name and renamed at the end.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LISTS = Path(__file__).resolve().parent / "python-servers"
MINUTES = 5


class ServerMissing(Exception):
    """A server cannot be installed; the text says what failed."""


def ready(name: str) -> Path:
    """The folder of the server `name`, made where it is missing. Raises `ServerMissing`."""
    wanted = LISTS / f"{name}.txt"
    digest = hashlib.sha256(sys.version.encode() + os.uname().machine.encode() + wanted.read_bytes())
    folder = _cache() / f"{name}-{digest.hexdigest()[:16]}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as making:
            _fill(Path(making) / "server", wanted)
            try:
                (Path(making) / "server").rename(folder)
            except OSError:  # Somebody else was faster, which is as good; anything else is seen here.
                if not folder.exists():
                    raise
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mcpguard-python-servers"


def _fill(folder: Path, wanted: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    try:
        done = subprocess.run(
            [*pip, "--no-deps", "--target", str(folder), "--requirement", str(wanted)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ServerMissing(f"pip took longer than {MINUTES} minutes for {wanted.name}") from late
    if done.returncode:
        raise ServerMissing(f"pip failed for {wanted.name}: {(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    try:
        print(ready(sys.argv[1]))
    except ServerMissing as missing:
        sys.exit(str(missing))
