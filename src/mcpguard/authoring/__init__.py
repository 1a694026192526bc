"""Policies as an engineering artefact: `check/` finds mistakes, `tests/` runs cases, `explain/` says why,
`replay/` decides recorded calls again, `suggest/` proposes rules and `report/` reviews access.

`snapshot.py` asks servers what they offer and keeps it as a file; `findings.py` is how mistakes are reported.
"""
