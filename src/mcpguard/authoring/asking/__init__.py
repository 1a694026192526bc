"""Asking the evidence: `story.py` has one call's story in plain words, `question.py` and `matching.py` find
the calls that meet a condition, `figures.py` sums them up.

Few of them are read whole: `needed.py` says which texts and patterns a match must have (`patterns.py` makes
them of a regular expression, `ranges.py` of numbers and sizes), and `glance.py` decides by one line where
that is enough.
"""
