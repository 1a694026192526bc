"""How a client starts mcpguard: by absolute paths, since a desktop has another PATH than a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any


def launcher(config: Path) -> dict[str, Any]:
    """`command` and `args` of the entry that serves `config`."""
    command, before = _program()
    return {"command": command, "args": [*before, "run", "--config", str(config)]}


def _program() -> tuple[str, list[str]]:
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "mcpguard")
    found = beside if os.access(beside, os.X_OK) else shutil.which("mcpguard")
    if found:
        return os.path.abspath(found), []
    return os.path.abspath(sys.executable), ["-m", "mcpguard"]
