"""What is found becomes what is removed, and what is left stays usable.

`cuts.py` makes spans of a text into cuts of a value, `rebuilding.py` the value without them, with a
`placeholder.py` in each place; `binary.py` withholds data. `unredacted.py` knows what stays, and `neutral.py`
shows what is hidden.
"""
