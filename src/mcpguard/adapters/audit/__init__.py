"""Evidence in files, one chain at a time for each process. Begin with `writer.py`, then `reader.py`.

`bounded.py` counts what would be too much, `upkeep.py` does what can wait, `heads.py` finds what a chain
anchors. `following.py` reads on as chains grow, `checking.py` verifies that, `index.py` answers questions.
"""
