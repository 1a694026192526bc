"""Recorded decisions once more, under other policies: what would change.

`past.py` reads the decisions, `request.py` makes a request of each, `judging.py` decides it again,
`comparing.py` compares both with the order in `strictness.py`; `replaying.py` does so for all and counts
limits, `report.py` is what it found.
"""
