"""What clients have: `clients.py` is the table of them, `reading.py` reads their servers, each an entry of
`entry.py`, and `plaintext.py` finds which of their values are secrets. `name_lists.py` has the lists in which
clients name servers beside the entries.

`completing.py` fills in what a client would, `inputs.py` has what one asks for, `bridges.py` and
`ourselves.py` recognise what an entry really starts, and `programs.py` has what is known of some servers.
"""
