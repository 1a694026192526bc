"""`mcpguard.yaml`: its models (`file.py`, and a module for each large section), what their texts must be
(`references.py`, `urls.py`), and what it becomes (`loading.py`, `terms.py`).

`policies.py` reads the policy files that it names; `read_only.yaml` is the policy that is built in.
"""
