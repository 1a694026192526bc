"""The session with a server over any wire. Begin with `instance.py`; `life.py` says when it may start again,
`connecting.py` which wire and era are tried, `greeting.py` how they greet each other.

`conversation.py` is one connection, with the requests that are open on it (`open_requests.py`) and what the
server asks (`questions.py`); `listening.py` is the stream of what it sends without being asked, and
`doubt.py` finds out whether it still answers.
"""
