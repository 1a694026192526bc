"""`mcpguard audit`: the evidence, verified, printed and asked. Begin with `verb.py`; the others are a
subcommand each, or what these share: `rows.py` (a call as a line, and what was altered) and
`outputs.py` (`--json`).
"""
