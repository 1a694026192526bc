"""Questions to a client or a person. From upstreams: `relayed.py` as requests, `round_trips.py` as answers
that ask first; `attribution.py` finds the request that a question is about. From policies: `approvals.py`
with a ticket, `elicited.py` through the call's own client."""
