"""Verbs that move the servers of clients behind mcpguard, and back."""
