"""Asking the evidence: `story.py` has one call's story in plain words, `question.py` and `matching.py` find
the calls that meet a condition in the names of `names.py`, `figures.py` sums them up.

Few of them are read whole: `needed.py` says what a match must have, which are texts, patterns (`patterns.py`
makes them of a regular expression, `results.py` of a part of a URL) and values in a range (`zoned.py`).
`times.py` finds the times for which a condition is true, and `filters.py` decides by one line where that is
enough.
"""
