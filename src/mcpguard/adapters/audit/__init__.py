"""Evidence in files, one chain at a time for each process. Begin with `writer.py`, then `reader.py`.

`chain_file.py` is one chain that is being written, `heads.py` finds what it anchors, `signing.py` has the key
of checkpoints. `bounded.py` counts what would be too much; `upkeep.py` does what can wait, with
`retention.py` for old chains. `following.py` reads on as chains grow, `checking.py` verifies that, `calls.py`
finds the records of one call, `line_reader.py` reads a line at its place. `index.py` answers questions about
all of them; `indexing.py`, `passages.py` and `zones.py` make it.
"""
