"""Many literals (`matching.py`) and a few expressions (`patterns.py`) in one pass over a text, and the JSON
that a text begins with (`prefixes.py`)."""
