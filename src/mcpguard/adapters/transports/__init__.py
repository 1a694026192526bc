"""The client side: each transport (`stdio.py`, `http/`) takes messages in and lets only `Redacted` values
out."""
