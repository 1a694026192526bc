"""Tests of policies: `cases.py` as written, `running.py` runs them, `rehearsal.py` plays one case,
`expectations.py` compares, `coverage.py` says what no case showed, `report.py` prints.
"""
