"""The policy enforcement point: the one path of a request, its ports, and what serves a client.

`gateway.py` says what is in turn; `path.py` takes a decided request to its reply, with `judge.py` (decide),
`recorder.py` (record), `results.py` (what came back) and `inspection.py` (what may leave). `listing.py`,
`fetching.py`, `notices.py`, `subscriptions.py` and `tasks.py` serve lists and what upstreams say by
themselves; `questions.py` and `round_trips.py` what upstreams ask of the client. `flight.py` resumes a call
in the turn in which its answer arrives. `ports.py` is what adapters implement.
"""
