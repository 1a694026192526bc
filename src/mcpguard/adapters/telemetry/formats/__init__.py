"""What sinks read: `cef.py`, `ocsf.py` and `otlp.py` (on `protobuf.py`) are a format each; CSV is in
`rows.py`, with what formats share. `jsonl` is the lines of the chain; no other format has the arguments of a
call."""
