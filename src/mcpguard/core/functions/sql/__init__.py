"""What `sql()` reads out of a statement. `function.py` is the function of conditions; `tree.py` walks what
sqlglot parsed, `text.py` checks the text that it was given."""
