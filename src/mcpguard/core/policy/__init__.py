"""Policies: as written (`written.py`), compiled (`compiled.py`), and the decision point (`pdp.py`).

`obligations.py` and `placeholders.py` are what an allowed call must carry, `review.py` decides on what came
back, `session.py` holds what was done so far.
"""
