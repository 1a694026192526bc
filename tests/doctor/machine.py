"""A made-up machine for `mcpguard doctor`: a home, a project, a system, and nothing of the real ones."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from unittest.mock import patch

import msgspec

from mcpguard.authoring.findings import Report
from mcpguard.doctor.diagnosis import diagnose
from mcpguard.doctor.surroundings import MachineSurroundings

TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3
"""A made-up value with the format of a token."""

PHRASE = "correct-horse-battery-31"
"""A made-up value that only its name betrays."""

OURS = str(Path(sys.executable).with_name("mcpguard"))
"""The program of the mcpguard that runs these tests."""

SERVER = "git: {command: git-server, args: [/srv/git]}"
POLICY = "version: 1\npolicy: p\nowner: me\nrules:\n  - {id: all, effect: allow}\n"


class Machine:
    """All folders are below one, to which all the ways are open, as to a home of mode 0755."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.project, self.state, self.system, self.program = (
            root / name for name in ("home", "project", "state", "system", "program")
        )
        for folder in (self.home, self.project, self.state, self.system, self.program):
            folder.mkdir(mode=0o755)
        self.at = MachineSurroundings(
            home=self.home,
            settings=self.home / ".config",
            project=self.project,
            environ={},
            uid=os.geteuid(),
            now=datetime.now(UTC),
            platform="linux",
            state=self.state,
            system=self.system,
            programs=(self.program,),
        )
        self.path = self.home / ".config/mcpguard/mcpguard.yaml"

    def write(self, name: str | Path, text: str, mode: int = 0o600) -> Path:
        """A file below the root, with the folders on the way."""
        path = self.root / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def configured(self, servers: str = SERVER, more: str = "") -> None:
        """A right configuration with these servers, a policy and closed folders of state."""
        self.write(self.path.with_name("p.yaml"), POLICY)
        text = f"version: 1\nservers:\n  {servers}\npolicies: [p.yaml]\n{more}"
        self.write(self.path, text)
        for name in ("audit", "sessions"):
            (self.state / name).mkdir(mode=0o700, exist_ok=True)

    def kernel(self, name: str, value: str) -> None:
        """A setting of the kernel."""
        self.write(self.system / "proc/sys/kernel" / name, value + "\n")

    def replaced(self, **changes: object) -> None:
        """Other surroundings."""
        self.at = msgspec.structs.replace(self.at, **changes)

    def diagnosed(self) -> Report:
        """What doctor says of it."""
        return diagnose(self.at, str(self.path) if os.path.lexists(self.path) else None)

    def codes(self) -> set[str]:
        """The codes of what is found."""
        return {one.code for one in self.diagnosed().findings}


@contextmanager
def machine() -> Iterator[Machine]:
    """A clean one, where the variables are set that configurations of the tests refer to. Not below pytest's own
    folder, which is closed to others."""
    root = Path(mkdtemp(prefix="mcpguard-doctor-", dir="/tmp"))
    root.chmod(0o755)
    set_here = dict.fromkeys(("A", "B", "K", "GIT_TOKEN"), "the value of a variable")
    try:
        with patch.dict(os.environ, set_here):
            yield Machine(root.resolve())
    finally:
        rmtree(root)


def later(path: Path, seconds: float = 3600) -> None:
    """Let `path` look as if it was changed in the future."""
    then = time.time() + seconds
    os.utime(path, (then, then))
