"""CEL conditions: the two engines, their values, and calls of our functions taken out of a condition.

Begin with `cel.py`, the seam of both engines (`engines.py`); `cel_python.py` is ours, as strict as the other
one by `cel_strict.py`. `hoisting.py` and `hoisted.py` compute calls once per request, on the words of
`cel_text.py`. `names.py` says what a condition may read, and `choices.py` what it looks for in vain;
`spelling.py` which arguments a program may take for those that it reads. `tree.py` takes one apart for tests
of policies and for `explain`. `loops.py` says which loops are costly, and `cel_calls.py` what an evaluation
of ours may cost.
"""
