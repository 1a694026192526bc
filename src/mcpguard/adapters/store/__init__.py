"""State that outlives a message: `sqlite.py` keeps what a principal did so far in a file, `postgres.py` in a
database that replicas share (by `connections.py`), and `state.py` is what both have in common. `sessions.py`
has the rows of the file and knows which are in use, `waits.py` the same of calls that wait for an answer, and
`tickets.py` the questions to people. `pins.py` has how servers defined their tools, and what was accepted.
`upkeep.py` does in a thread what may wait for a disk."""

from pathlib import Path

from mcpguard.config.user_state import state_folder


def default_folder() -> Path:
    """Where state is kept if the configuration does not say: `sessions` in the user's state folder."""
    return state_folder("sessions")
