"""What on a machine bypasses mcpguard or weakens it. `diagnosis.py` runs the checks, each in the module of
its subject: `clients.py`, `plain_text.py`, `permissions.py`, `lifetime.py` (of credentials) and
`operation.py` (what mcpguard needs). `surroundings.py` is what they look at, `codes.py` the findings that
they make."""
