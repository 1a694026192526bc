"""Evidence in files: one chain a process (`writer.py`), read back by folder (`reader.py`)."""
