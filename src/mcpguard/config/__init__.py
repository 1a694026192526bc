"""`mcpguard.yaml`: its schema (`file.py`, `credentials.py`, `minted.py`, `oauth.py`), what can be wrong with
it (`problems.py`, `bindings.py`, `references.py`), and what it becomes (`loading.py`).

`policies.py` reads the policy files that it names; `read_only.yaml` is the policy that is built in.
"""
