"""The policy enforcement point: the one path of a request, its ports, and the code that serves a client.

`gateway.py` handles each message in turn, and `welcome.py` the greeting. `path.py` takes a decided request
to its reply, with `judge.py` (decide), `recorder.py` (record), `results.py` (results) and `inspection/` (what
may leave). `lists/` and `tasks.py` serve lists, tasks and notifications from upstreams; `questions/` asks
clients and people.
`scope.py` serves one client, `flight.py` resumes a call in the turn in which its answer
arrives, and `ports.py` is what adapters implement.
"""
