"""State that outlives a message."""
