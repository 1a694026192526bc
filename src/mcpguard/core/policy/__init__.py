"""Policies: as written (`written.py`), compiled (`compiled.py`, with values from `params.py`, to
`terms.py`), and the decision point (`pdp.py`), for which `folding.py` joins conditions
and keeps the verdicts of some. `visibility.py` says what lists show, `pins.py` what of it is held back.

`arguments.py` checks a call against its schema, `egress.py` which held values it may carry. `obligations.py`
and `placeholders.py` are what an allowed call must carry, `tickets.py` what a person is asked, `wording.py`
what a refusal says. `review.py` decides on what came back, `session.py` holds what was done so far.
"""
