"""State that outlives a message: `sqlite.py` keeps what a principal did so far, `open_sessions.py` knows what
is in use."""
