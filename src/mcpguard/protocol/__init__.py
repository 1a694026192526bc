"""MCP as pure values and tables: messages, methods, names. No IO, no SDK, no event loop.

`jsonrpc.py` reads messages, `eras.py` translates them, `methods.py` is the table of how each is handled.
`calls.py` reads the params of requests, `trace.py` their trace context. `catalogue.py` has what upstreams
offer, `names.py` the names that clients use, and `origins.py` names the server that says something.
`headers.py` mirrors a request in HTTP, `refusals.py` is a refusal on the wire, `uri_template.py` matches
URIs.
"""
