"""`mcpguard demo`: the newcomer's first minute. Nothing here is a part of the proxy. `play.py` is the
session, `stage.py` what it plays on, and `token_server.py` one of its servers."""
