"""Tests of policies: `cases.py` and `samples.py` as written, `running.py` runs them and says what no case
showed, `rehearsal.py` plays one case and compares, `report.py` prints.
"""

PATTERN = "*_test.yaml"
"""What a file of tests is called."""
