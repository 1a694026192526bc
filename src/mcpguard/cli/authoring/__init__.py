"""Verbs for writing policies: check, test and explain them, replay calls under them, suggest rules."""
