"""CEL conditions: the two engines, their values, and calls of our functions taken out of a condition.

Begin with `cel.py`, the seam of both engines (`engines.py`). `hoisting.py` and `hoisted.py` compute calls
once per request; `tree.py` takes a condition apart for tests of policies and for `explain`.
"""
