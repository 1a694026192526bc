"""Verbs for who writes policies: check, test and explain them, decide again, suggest rules."""
