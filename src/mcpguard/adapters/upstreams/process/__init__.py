"""A server that we start: `child.py` starts and ends it and what it started, `environment.py` and
`inherited.py` say what it gets to see of ours, `own_folder.py` where it starts, and `stderr.py` reads what it
prints."""
