"""Where the state of a user is, and what to do where a configuration is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcpguard.core.errors import McpGuardError


def state_folder(part: str) -> Path:
    """The folder named `part` in the user's state folder (XDG_STATE_HOME on Linux)."""
    return user_state() / part


def user_state() -> Path:
    """The user's state folder, as `platformdirs` has it. Importing that takes 5 ms of each start and half a
    megabyte, so it is left for whatever is not a plain absolute folder on Linux. Raises McpGuardError."""
    folder, home = os.environ.get("XDG_STATE_HOME"), os.environ.get("HOME", "")
    if sys.platform == "linux" and (folder or home)[:1] == "/" and folder == (folder and folder.strip()):
        return Path(folder or os.path.expanduser("~/.local/state")) / "mcpguard"
    from platformdirs import user_state_path

    with home_needed():
        return user_state_path("mcpguard", appauthor=False)


@contextmanager
def home_needed() -> Iterator[None]:
    """Raises McpGuardError where it is not known which folder is the user's home, as for a number that no
    file of users has."""
    try:
        yield
    except RuntimeError:
        raise McpGuardError("this user has no home folder, which mcpguard needs: set HOME") from None


def missing(path: Path) -> str:
    """What to do where there is no configuration at `path`, which a client may have named; "" where there is
    one, or the folder is closed to this user."""
    try:
        path.stat()
    except FileNotFoundError:
        here = "" if path.is_absolute() else f" in {Path.cwd()}"
        said = (
            f"does not exist{here}: create it with `mcpguard import`, or where no client has a server yet, "
            "by hand (`mcpguard help start`), or name another file with --config"
        )
        near = f"; this folder has one: `--config {path.name}`"
        return f"{said}{near}" if Path(path.name).exists() else said
    except OSError:
        pass
    return ""
