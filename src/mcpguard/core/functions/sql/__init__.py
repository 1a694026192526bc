"""What `sql()` reads out of a statement. `function.py` is the function of conditions; `text.py` checks the
text that it was given, `tree.py` walks what sqlglot parsed, `plain.py` reads what sqlglot has no tree for.

`calls.py` and `fields.py` find the functions that are called, `long.py` those that could build a value of
any length, `rows.py` the rows that are meant. `words.txt` (read by `words.py`) has what is known to have no
effect.
"""
