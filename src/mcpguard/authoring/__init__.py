"""Policies as an engineering artefact: `check/` finds mistakes, `tests/` runs cases, `explain/` says why.

`snapshot.py` is what servers offer, as a file; `survey.py` asks a configuration's servers for it.
"""
