"""From a raw value to a Redacted. Begin with `redactor.py`.

`scanning.py` runs `detectors/` (formats) over the texts of a value (`leaves.py`) and over what these say
behind a disguise (`views/`); `held/` finds held values in every form; `matching.py` finds many literals in
one pass. `cuts.py` removes what was found, `structured/` makes the rest conform to its schema again,
`neutral.py` shows what is hidden, `sparing.py` knows what stays.
"""
