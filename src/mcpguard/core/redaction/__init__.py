"""From a raw value to a Redacted. Begin with `redactor.py`.

`scanning.py` runs `detectors/` (formats) over the texts of a value (`leaves.py`); `holding.py`, `held.py`,
`disguise.py` and `skeleton.py` find held values in every form; `matching.py` finds many literals in one pass.
"""
