"""What is asked of a client or a person. By upstreams: `relayed.py` at once, `round_trips.py` in an answer
that asks first; `attribution.py` finds the request that a question is about. By policies: `approvals.py` with
a ticket, `elicited.py` of the call's own client."""
