"""This process and its machine. `own_process.py` has its user and memory, and closes it to others; `clock.py`
has the time, `files.py` its folders and locks, `terminal.py` what commands print.

`guarded.py` starts programs that end with us, `disk.py` does work that may wait for a disk, `authorities.py`
says whose certificates are trusted. `shipped.py` and
`tables.py` find what comes with the code: policies and pages, and compiled tables.
"""
