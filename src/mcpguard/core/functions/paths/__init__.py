"""Paths of files: `pathWithin`, which reads with `reading.py`."""
