"""What is around a name, as far as `apart` has to ask.

`beside.py` is what is beside or below it, `pages.py` what pages show, `printed.py` what programs of clouds
and clusters print. `columns.py` cuts tables into cells and reads their heads, and `statements.py` is rows and
SQL.
"""
