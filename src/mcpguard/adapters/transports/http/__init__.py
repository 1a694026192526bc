"""The HTTP front for clients: Streamable HTTP of both eras, and the deprecated HTTP+SSE.

`server.py` listens, `connection.py` speaks HTTP/1.1, `endpoint.py` routes, `guard.py` checks what anybody may
send, `streamable.py` and `events.py` are the two transports, `sessions.py` says whose world a request belongs
to, `client.py` is `ports.Client`, `handing.py` gives the gateway what came, and `stream.py` is the one way
out. What is kept is bounded by `load.py` on that way, by `intake.py` on the way in, and by `replay.py` for
clients that come back; `shortage.py` reports a lack of files.
"""

from mcpguard.adapters.transports.http.client import HttpClient
from mcpguard.adapters.transports.http.endpoint import Endpoint, Verifier
from mcpguard.adapters.transports.http.guard import refuse_address, split_address
from mcpguard.adapters.transports.http.server import HttpServer
from mcpguard.adapters.transports.http.sessions import Door

__all__ = ["Door", "Endpoint", "HttpClient", "HttpServer", "Verifier", "refuse_address", "split_address"]
