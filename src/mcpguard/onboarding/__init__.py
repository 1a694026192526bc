"""Moving in (`mcpguard import`, `install`) and back (`undo`): a client's servers go behind mcpguard.

`discovery/` finds what clients have, in their `formats/`. `plan.py` says what would be done, with
`conversion.py` for one server; `edit.py` replaces entries as spans of text. `moves.py` does it and takes it
back, with `journal.py`, `disk.py` and `vault.py`, and with `changed.py` where a file has changed since.
"""
