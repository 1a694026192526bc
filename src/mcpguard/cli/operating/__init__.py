"""Verbs for operating what runs: what it does now, what waits for a person, what a session has done."""
