"""What carries messages to a server: `wire.py` is the contract; `stdio.py`, `http.py` and `sse.py` keep it."""
