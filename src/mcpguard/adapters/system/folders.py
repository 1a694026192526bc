"""Where mcpguard keeps what outlives a process, if the configuration does not say."""

from __future__ import annotations

from pathlib import Path


def state_folder(part: str) -> Path:
    """The folder named `part` in the user's state folder (XDG_STATE_HOME on Linux)."""
    # Imported where it is needed: most starts name their folders.
    from platformdirs import user_state_path

    return user_state_path("mcpguard", appauthor=False) / part
