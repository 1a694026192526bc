"""The HTTP front for clients: Streamable HTTP of both eras, and the deprecated HTTP+SSE.

`server.py` listens, `connection.py` reads HTTP/1.1, `request.py` is one request with its body and its answer,
`endpoint.py` routes, `guard.py` checks what anybody may send, `bearer.py` verifies tokens, of which
`token_kinds.py` says which are access tokens. `streamable.py` and `events.py` are the two transports.
`sessions.py` says whose world a request belongs to and gives its gateway what came, `client.py` is
`ports.Client`, `stream.py` is the one way out, also for clients that come back. `unverified.py` bounds
connections that have not shown a token yet, `quotas.py` what one principal may have open, and `load.py` says
who is held back where a client does not take its answer.
"""

from mcpguard.adapters.transports.http.client import HttpClient
from mcpguard.adapters.transports.http.endpoint import Endpoint
from mcpguard.adapters.transports.http.guard import refuse_address, split_address
from mcpguard.adapters.transports.http.server import HttpServer
from mcpguard.adapters.transports.http.sessions import ClientEntrance

__all__ = [
    "ClientEntrance",
    "Endpoint",
    "HttpClient",
    "HttpServer",
    "refuse_address",
    "split_address",
]
