"""State that outlives a message: `sqlite.py` keeps what a principal did so far, `open_sessions.py` knows what
is in use."""

from pathlib import Path

from mcpguard.config.user_state import state_folder


def default_folder() -> Path:
    """Where state is kept if the configuration does not say: `sessions` in the user's state folder."""
    return state_folder("sessions")
