"""Policies: as written (`written.py`), compiled (`compiled.py`), and the decision point (`pdp.py`).

`problems.py` reports mistakes in rules, `obligations.py` and `placeholders.py` what an allowed call must
carry, `review.py` decides on what came back, `session.py` holds what was done so far.
"""
