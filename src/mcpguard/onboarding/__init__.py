"""Moving in (`mcpguard import`, `install`) and back (`undo`): a client's servers go behind mcpguard.

`discovery/` finds what clients have, in their `formats/`. `plan.py` says what would be done, with
`conversion.py` for one server and `policies.py` for its policy; `configuration.py` and `edit.py` make the new
texts, `naming.py` lets the lists of clients name mcpguard, and `masking.py` shows all of it without a secret.
`moves.py` does it and takes it back, with `journal.py`, `disk.py` and `vault.py`, and with `changed.py` where
a file has changed since. `installing.py` adds mcpguard to a client that has no servers; `locks/` makes
clients start nothing but mcpguard.
"""
