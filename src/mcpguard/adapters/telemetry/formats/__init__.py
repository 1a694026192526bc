"""What sinks read: `cef.py`, `csv_rows.py`, `ocsf.py` and `otlp.py` (on `protobuf.py`) are a format each.
`rows.py` is what those that are tables share, `templates.py` fills in lines of calls that are alike. `jsonl`
is the lines of the chain; no other format has the arguments of a call."""
