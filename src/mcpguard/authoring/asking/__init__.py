"""Asking the evidence: `story.py` has one call's story in plain words, `question.py` and `matching.py` find
the calls that meet a condition, `figures.py` sums them up.

Few of them are read whole: `needed.py` and `patterns.py` say which texts a match must have, and `glance.py`
decides by one line where that is enough.
"""
