"""The stdio relay: `turn.py` has the turns of the event loop, and the links that they read and flush."""
