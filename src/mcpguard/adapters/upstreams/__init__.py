"""Tool servers. `server.py` is a server as the gateway sees it, `lane.py` its process or connection with one
credential, `supply.py` the credentials of one, which it renews while they are used; `session/` is
the session with it, over one of the `wires/`; `process/` keeps children that never outlive us.
"""
