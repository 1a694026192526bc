"""`mcpguard.yaml`: its models (`file.py`, with `servers.py`, `credentials.py`, `minted.py` and `evidence.py`
for large sections), what their texts must be (`references.py`, `urls.py`), and what it becomes (`loading.py`,
`terms.py`).

`policies.py` reads the policy files that it names; `read_only.yaml` is the policy that is built in.
`user_state.py` says where the state of a user is.
"""
