"""The record of every decision (`records.py`): the chain that binds records (`chain.py`) and its proof
(`verification.py`, and `between.py` for chains that hold each other). Chain and proof share only the file
format. `bounds.py` says how much of it one session may make, `changes.py` which changes by people were
made."""
