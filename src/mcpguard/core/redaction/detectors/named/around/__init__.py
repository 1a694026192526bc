"""What is around a name, as far as `apart` has to ask.

`beside.py` is what is beside or below it, `pages.py` what pages show, `printed.py` what programs of clouds
and clusters print, `labels.py` what stands behind or below a label, and `items.py` the items of lists below
their heading.
`columns.py` cuts tables into cells and reads their heads, `statements.py` is rows and SQL, `grids.py` the
tables of markup, and `groups.py` what languages print in brackets.
"""
