"""Recorded decisions once more, under other policies: what would change."""
