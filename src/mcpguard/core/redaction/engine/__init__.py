"""Many literals (`matching.py`) and a few expressions (`patterns.py`) in one pass over a text."""
