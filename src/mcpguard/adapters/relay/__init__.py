"""The stdio relay: `turn.py` is the end of a turn of the event loop, `link.py` one side of the wire."""
