"""Why a call is decided as it is: `explainer.py` decides once more, with all that the verdict hung on.

`explanation.py` is the form of the answer and prints it; `unknown.py` says why an operand is so, and what is
not known, `changes.py` what would have allowed the call. `reach.py` is all that a principal can reach.
`hypothesis.py` makes a request out of options, `recorded.py` out of the evidence.
"""
