"""Files that people write: what their models are made of (`written.py`, `constraints.py`), and the reader,
which reports every mistake at its line and column (`reading.py`, on `yaml_tree.py`). `printed.py` is what
models of outputs are made of, and makes the JSON Schema of both."""
