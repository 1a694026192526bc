"""State that outlives a message: `session_files.py` keeps what a principal did so far."""
