"""What carries messages to a server: `wire.py` is the contract; `stdio.py`, `http.py`, `sse.py` keep it.

Over HTTP, `address.py` sends requests with their credentials, `outbox.py` keeps their order, `http_reader.py`
reads what comes back, and `event_stream.py` cuts it into events.
"""
