"""A server that we start: `child.py` starts and ends it and what it started, `environment.py` says what it
gets to see of ours, `program.py` which program it is.
"""
