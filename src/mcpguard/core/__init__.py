"""The pure core: decides, redacts and seals. No IO, no clock, no event loop, no MCP.

`policy/` decides, with `conditions/` (CEL) and the `functions/` that they call; `redaction/` inspects what
comes back; `evidence/` chains records; `document/` reads what people write. `model.py` has the nouns,
`secret.py` the credentials, `errors.py` every exception; `tables.py` reads tables of facts, `expressions.py`
compiles patterns when they are needed, `legible.py` shows what is hidden in a text, `advised.py` completes
the commands in one, `uncollected.py` lets the collector of garbage wait.
"""
