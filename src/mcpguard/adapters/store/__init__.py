"""State that outlives a message: `sqlite.py` keeps what a principal did so far in one file."""
