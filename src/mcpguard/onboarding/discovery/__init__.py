"""What clients have: `clients.py` is the table of them, `reading.py` their servers, `plaintext.py` which of
their values are secrets.
"""
