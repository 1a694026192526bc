"""The values that mcpguard holds, found in whatever form they come back. Begin with `search.py`.

`parts.py` says which members of a value are secret, `payloads.py` what else it may be written as,
`guessing.py` how somebody could guess it. `disguise.py` makes the forms to search for, `reduced.py` what is
searched of a text; `fragments.py`, `chains.py` and `scattered.py` find pieces, and `blocks.py` looks once at
what many values share; where very many are held, `sampled.py` looks for most of it. `holding.py` keeps the
values while they come and go.
"""
