"""Files that people write: what their models are made of (`written.py`), the reader, which reports every
mistake at its line and column (`reading.py`, on `yaml_tree.py`), and their JSON Schema (`json_schema.py`).
`printed.py` is what models of outputs are made of."""
