"""From a raw value to a Redacted. Begin with `redactor.py`.

`scanning.py` runs `detectors/` (formats) over the texts of a value (`leaves.py`) and over what these say
behind a disguise (`views/`): `beginnings.py` and `reading.py` find where something begins, within a
`budget.py`, and `several.py` which of several values have nothing in them. `held/` finds held values in
every form; `matching.py` and `patterns.py` find many literals and expressions in one pass. `cuts.py` and
`rebuilding.py` remove what was found and leave a `placeholder.py`, `binary.py` withholds data,
`structured/` makes the rest conform to its schema again, `neutral.py` shows what is hidden, `unredacted.py`
knows what stays.
"""
