"""The session with a server over any wire. Begin with `instance.py`; `conversation.py` is one connection,
`greeting.py` how it begins, `listening.py` what the server says by itself.
"""
