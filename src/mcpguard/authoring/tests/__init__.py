"""Tests of policies: `cases.py` and `samples.py` as written, `running.py` runs them, `rehearsal.py` plays
one case, `expectations.py` compares, `scoring.py` counts what becomes of sample calls, `coverage.py` says
what no case showed, `report.py` prints.
"""
