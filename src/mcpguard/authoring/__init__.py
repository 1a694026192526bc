"""Policies as an engineering artefact: `check/` finds mistakes, `tests/` runs cases, `explain/` says why,
`replay/` decides recorded calls again, `asking/` queries the evidence and `report/` reviews access.

`suggest.py` proposes rules, which go into the file of `own_policy.py`. `snapshot.py` asks servers what they
offer and keeps it as a file; `conditions.py` reads the parts of a condition, and `kinds.py` the kinds of
values that they have; `findings.py` is how mistakes are reported; `sharing.py` runs the tests of policies in
several processes.
"""
