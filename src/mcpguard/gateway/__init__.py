"""The policy enforcement point: the one path of a request, its ports, and what serves a client.

`gateway.py` takes each message in turn; `path.py` takes a decided request to its reply, with `judge.py`
(decide), `recorder.py` (record), `results.py` (what came back) and `inspection/` (what may leave). `lists/`
and `tasks.py` serve lists, tasks and what upstreams send unasked; `questions/` is what a client or a person
is asked. `scope.py` is what serves one client, `flight.py` resumes a call in the turn in which its answer
arrives, and `ports.py` is what adapters implement.
"""
