"""What carries messages to a server: `wire.py` is the contract; `stdio.py`, `http.py`, `sse.py` keep it."""
