"""Where the state of a user is."""

from __future__ import annotations

import os
from pathlib import Path

_found: dict[tuple[str | None, str | None], Path] = {}


def state_folder(part: str) -> Path:
    """The folder named `part` in the user's state folder (XDG_STATE_HOME on Linux)."""
    return user_state() / part


def user_state(found: Path | None = None) -> Path:
    """The user's state folder, as a process with the same environment has `found` it: the library that knows
    takes half a megabyte."""
    where = os.environ.get("XDG_STATE_HOME"), os.environ.get("HOME")
    if where not in _found:
        if found is None:
            from platformdirs import user_state_path

            found = user_state_path("mcpguard", appauthor=False)
        _found[where] = found
    return _found[where]
